"""A profile file is checked where it is another's, and completed from the profile that it names as its base."""
