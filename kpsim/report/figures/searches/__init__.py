"""Figures of searches: an objective against the value searched, and two measures against each other."""
