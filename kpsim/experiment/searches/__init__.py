"""Searches over one value of a scenario: the largest that still meets an objective, or the best of a ladder.

Every value is simulated with the same random numbers, as far as scenarios of different sizes can share them, so that
values are compared draw by draw.  Left out: more than one value at a time, which is a sweep.
"""
