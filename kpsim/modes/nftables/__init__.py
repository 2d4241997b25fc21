"""kube-proxy's nftables mode: one table of verdict maps and short chains, a way through it, its text, and its cost.

``rules`` are what a table holds; ``program`` builds one node's table exactly; ``tracer`` walks it; ``transaction`` says
what a sync sends, ``writer`` keeps a node's table over time and ``text`` prints what ``nft -f`` takes; ``mode`` answers
the engines in counts.
"""

from kpsim.modes.nftables.mode import Nftables

__all__ = ["Nftables"]
