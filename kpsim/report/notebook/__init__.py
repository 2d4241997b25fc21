"""A result as a notebook wants it: tidy tables of pandas, and a few lines of HTML below a cell."""
