"""Fits are drawn beside what they were fitted to, and by what they leave open."""
