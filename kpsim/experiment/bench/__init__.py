"""A plan for measuring this host is made of the modes' own rules here, and what was measured becomes a profile."""
