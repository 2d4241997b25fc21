"""A search's answer for people and for programs: sentences, rows, and one JSON document."""
