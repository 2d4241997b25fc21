"""Fits are drawn beside what they were fitted to."""
