"""The parameters of traffic in a scenario: how many connections, how long, to which Services."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from kpsim.declared import Declared, Group

_POPULARITY = Group("popularity", "How unevenly connections choose among Services.")


@dataclass(frozen=True, slots=True)
class TrafficParams:
    """Connections opened on every node, from Pods to ClusterIPs.

    ``zipf`` is the exponent of the popularity of service ports (0: uniform).  Later packets of a connection follow its
    first at ``packet_interval_s`` (open loop).
    """

    connections_per_s_per_node: Annotated[float, Declared("Connections that Pods open to ClusterIPs")] = 100.0
    packets_per_connection: Annotated[int, Declared("Packets that a client sends", at_least=1)] = 10
    packet_interval_s: Annotated[float, Declared("From one packet of a connection to the next")] = 0.01
    zipf: Annotated[float, Declared("Exponent of Zipf's law; 0 is uniform", group=_POPULARITY)] = 0.0
    handshakes: Annotated[
        bool, Declared("TCP connections pay their whole handshake where they begin, and not only its first packet")
    ] = False

    @property
    def life_s(self) -> float:
        """Return the time that a connection is open [s]."""
        return self.packet_interval_s * (self.packets_per_connection - 1)

    def conntrack_entries(self, time_wait_s: float) -> float:
        """Return a node's mean conntrack entries, by Little's law; each stays ``time_wait_s`` after its end."""
        return self.connections_per_s_per_node * (self.life_s + time_wait_s)
