"""Sums over the first deliveries of the log: in a prefix, on one node, and of what Services hold beside rules."""
