"""Rules that a real node printed, turned back into the Services and endpoints they were made of.

A dump shows one node at one moment: which Services there are, which addresses lead to them, which endpoints take
their traffic there, and what others put in the way.  It does not show what no rule is made of: selectors, Pods' names,
endpoints that are not ready, how many nodes there are.  Parsers take text; nobody here opens a file or knows a
scenario.
"""

from __future__ import annotations
