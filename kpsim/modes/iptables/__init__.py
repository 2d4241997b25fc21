"""kube-proxy's iptables mode: the rules it writes, the way of a packet through them, their text, and what they cost.

``program`` builds one node's chains exactly; ``tracer`` walks them; ``text`` prints what ``iptables-restore`` takes;
``mode`` answers the engines in counts.
"""

from kpsim.modes.iptables.mode import Iptables

__all__ = ["Iptables"]
