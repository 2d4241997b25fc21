"""Who opens connections to which service port, and when."""
