"""Who talks to which Service, how often and for how long, as a scenario asks for it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TrafficParams"]


@dataclass(frozen=True, slots=True)
class TrafficParams:
    """Connections opened on every node, from Pods to ClusterIPs.

    ``zipf`` is the exponent of the popularity of service ports (0: uniform).  Later packets of a connection follow its
    first at ``packet_interval_s`` (open loop).
    """

    connections_per_s_per_node: float = 100.0
    packets_per_connection: int = 10
    packet_interval_s: float = 0.01
    zipf: float = 0.0
