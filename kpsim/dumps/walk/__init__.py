"""A packet's way through the rules of a dump as they stand, chains of other programs included.

Other tracers know what kube-proxy writes; this one knows what netfilter does: hooks in their order, built-in chains
with their policies, calls and returns, marks, and what a match says of the first packet of a connection.  What no dump
shows (what is in an ipset, which interface a packet comes by, marks that somebody else set) is never guessed: such a
rule is passed over and named.  Left out: routing by mark, traffic control, and programs of eBPF.
"""

from __future__ import annotations
