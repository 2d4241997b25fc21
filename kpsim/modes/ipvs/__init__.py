"""kube-proxy's IPVS mode: virtual servers, the sets and the few chains around them, a packet's way, and what it costs.

``program`` builds one node's virtual servers exactly, ``ipsets`` and ``chains`` what stands around them; ``sync`` turns
one state of a kernel into the next; ``tracer`` follows a packet; ``text`` prints what the tools take; ``mode`` answers
the engines in counts.
"""

from kpsim.modes.ipvs.mode import Ipvs

__all__ = ["Ipvs"]
