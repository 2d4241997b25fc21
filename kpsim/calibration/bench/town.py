"""A client, a node and a server, each a namespace, wired in a row: a packet crosses the node's rules on its way.

The server answers for all Pods' addresses, so that one socket of each protocol hears every endpoint there is.  Nothing
is resolved on the way (neighbours are set), so that a first packet waits for nobody.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass

from kpsim.calibration.bench.namespaces import Namespace

CLIENT, PODS, TARGET_PORT, NODE = "10.200.0.2", "10.128.0.0/10", 8080, "192.0.2.1"
_GATEWAYS = ("169.254.1.1", "169.254.1.2")
_BACKLOG, _BUFFER_BYTES, _SO_RCVBUFFORCE = 1024, 1 << 22, 33
_NEAR, _FAR = "02:00:00:00:01:0", "02:00:00:00:02:0"


@dataclass(frozen=True, slots=True)
class Town:
    """Three namespaces and what listens in the last."""

    client: Namespace
    node: Namespace
    server: Namespace
    udp: socket.socket
    tcp: socket.socket

    def close(self) -> None:
        """Let go of everything."""
        self.udp.close()
        self.tcp.close()
        for each in (self.client, self.node, self.server):
            each.close()


def build() -> Town:
    """Return the three with their routes and listeners.  Raises ``Refused`` where a link cannot be made."""
    client, node, server = Namespace.make(), Namespace.make(), Namespace.make()
    for each in (client, node, server):
        each.ip("link set lo up")
        each.sysctl(conf__all__rp_filter=0, conf__default__rp_filter=0)
    node.sysctl(ip_forward=1)
    node.ip(f"addr add {NODE}/32 dev lo")
    for i, (other, address) in enumerate(((client, CLIENT), (server, "10.201.0.2"))):
        node.ip(
            f"link add pod{i} address {_NEAR}{i} type veth peer name eth0 address {_FAR}{i} netns {other.path}",
            f"link set pod{i} up",
        )
        other.ip(
            "link set eth0 up",
            f"addr add {address}/32 dev eth0",
            f"neigh add {_GATEWAYS[0]} lladdr {_NEAR}{i} dev eth0 nud permanent",
            f"route add default via {_GATEWAYS[0]} dev eth0 onlink",
        )
        node.ip(
            f"neigh add {_GATEWAYS[1]} lladdr {_FAR}{i} dev pod{i} nud permanent",
            f"route add {(CLIENT + '/32', PODS)[i]} via {_GATEWAYS[1]} dev pod{i} onlink",
        )
    server.ip(f"route add local {PODS} dev lo")
    udp, tcp = server.socket(socket.SOCK_DGRAM), server.socket(socket.SOCK_STREAM)
    for listener in (udp, tcp):
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("0.0.0.0", TARGET_PORT))  # noqa: S104 - in a namespace that nobody else can reach
        listener.setblocking(False)
    udp.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
    tcp.listen(_BACKLOG)
    return Town(client, node, server, udp, tcp)
