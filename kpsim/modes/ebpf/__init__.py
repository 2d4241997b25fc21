"""A Cilium-like replacement of kube-proxy: what is in its eBPF maps, a packet's way by them, and what it costs.

``rules`` are the maps as data, ``program`` fills them, ``tracer`` follows a connection from the socket or from outside,
``text`` prints what Cilium's own tool would list, ``mode`` answers the engines in counts.
"""

from kpsim.modes.ebpf.mode import Ebpf

__all__ = ["Ebpf"]
