"""Replications, comparisons and sweeps, and the directory their results are kept in."""
