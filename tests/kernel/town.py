"""A node with Pods behind it and the world in front of it, each a namespace, and listeners that say who they are.

Every Pod has one address and a route to nothing but its node, as most network plugins lay it; the node forwards.  The
node's own addresses stand on its loopback, so that a masqueraded packet has the first of them as its source, whatever
way it leaves.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from tests.kernel.namespaces import Namespace

__all__ = [
    "NODE",
    "OUTSIDE",
    "PATIENCE_S",
    "PODS",
    "SECOND",
    "SILENCE_S",
    "STRANGER",
    "TARGET_PORT",
    "Answer",
    "Town",
    "build",
]

NODE, SECOND = "192.0.2.1", "192.0.2.77"  # both the node's; kube-proxy calls the first its primary
OUTSIDE, STRANGER = "198.51.100.10", "198.51.100.99"  # both of one machine outside
PODS = ("10.128.0.2", "10.128.0.11", "10.128.0.12", "10.129.0.13")  # a client, two of this node, one of elsewhere
TARGET_PORT = 8080
GATEWAY = "169.254.1.1"
SILENCE_S = 0.8  # without an answer for so long, a packet was dropped; the kernel asks again after one second
PATIENCE_S = 5.0


@dataclass(frozen=True)
class Answer:
    """What became of one connection: served by ``endpoint`` that saw ``peer``, refused, or no answer at all."""

    what: str  # served, refused, silence
    endpoint: str = ""
    peer: str = ""
    took_s: float = 0.0


@dataclass
class Town:
    """The namespaces by address; who asks from an address asks from its namespace."""

    node: Namespace
    outside: Namespace
    pods: dict[str, Namespace] = field(default_factory=dict)
    listeners: list[socket.socket] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)

    def home(self, address: str) -> Namespace:
        """Where an address is at home; loopback is the node's."""
        if address in (OUTSIDE, STRANGER):
            return self.outside
        return self.pods.get(address, self.node)

    def listen(self, address: str, port: int) -> None:
        """Answer every connection with the listener's own address and the peer's."""
        listener = self.home(address).tcp()
        listener.bind((address, port))
        listener.listen(128)
        self.listeners.append(listener)
        thread = threading.Thread(target=_answer, args=(listener, f"{address}:{port}"), daemon=True)
        thread.start()
        self.threads.append(thread)

    def ask(self, source: str, destination: str, port: int, *, patience_s: float = PATIENCE_S) -> Answer:
        """One connection from ``source``: what became of it."""
        began = time.perf_counter()
        with closing(self.home(source).tcp()) as client:
            client.settimeout(patience_s)
            try:
                client.bind((source, 0))
                client.connect((destination, port))
                endpoint, peer = _read(client).split(" ")
            except ConnectionRefusedError:
                return Answer("refused", took_s=time.perf_counter() - began)
            except TimeoutError:
                return Answer("silence", took_s=time.perf_counter() - began)
        return Answer("served", endpoint, peer, time.perf_counter() - began)

    def close(self) -> None:
        """Stop the listeners and let go of every namespace."""
        for listener in self.listeners:
            listener.shutdown(socket.SHUT_RDWR)  # wakes its thread
        for thread in self.threads:
            thread.join(PATIENCE_S)
        for namespace in (self.node, self.outside, *self.pods.values()):
            namespace.close()


def _read(client: socket.socket) -> str:
    text = b""
    while piece := client.recv(256):
        text += piece
    return text.decode()


def _answer(listener: socket.socket, name: str) -> None:
    with listener:
        while True:
            try:
                connection, (peer, _) = listener.accept()
            except OSError:
                return  # the listener was shut down
            with connection:
                connection.sendall(f"{name} {peer}".encode())


@contextmanager
def build() -> Iterator[Town]:
    """The town with its routes, every Pod but the client listening."""
    town = Town(Namespace.make(), Namespace.make())
    try:
        town.node.ip(
            "link set lo up",
            *(f"addr add {address}/32 dev lo" for address in (NODE, SECOND)),
        )
        town.node.sysctl(
            ip_forward=1,
            conf__all__rp_filter=0,
            conf__default__rp_filter=0,
            conf__all__route_localnet=1,  # as kube-proxy sets it for NodePorts on localhost
            icmp_ratelimit=0,  # else only the first few of many refusals are sent
        )
        _wire(town, "ext0", town.outside, (OUTSIDE, STRANGER))
        town.node.ip(f"route add default via {OUTSIDE} dev ext0 onlink")
        for i, address in enumerate(PODS):
            pod = town.pods[address] = Namespace.make()
            _wire(town, f"pod{i}", pod, (address,))
            if i:
                town.listen(address, TARGET_PORT)
        yield town
    finally:
        town.close()


def _wire(town: Town, link: str, other: Namespace, addresses: tuple[str, ...]) -> None:
    """A cable between the node and another namespace, whose way to everything it is."""
    near, far = f"02:00:00:01:00:{link[-1]}{len(link)}", f"02:00:00:02:00:{link[-1]}{len(link)}"
    town.node.ip(
        f"link add {link} address {near} type veth peer name eth0 address {far} netns {other.path}",
        f"link set {link} up",
    )
    other.sysctl(ip_forward=0, conf__all__rp_filter=0, conf__default__rp_filter=0, conf__eth0__rp_filter=0)
    other.ip(
        "link set lo up",
        "link set eth0 up",
        *(f"addr add {address}/32 dev eth0" for address in addresses),
        f"neigh add {GATEWAY} lladdr {near} dev eth0 nud permanent",
        f"route add default via {GATEWAY} dev eth0 onlink",
    )
    town.node.ip(*(f"route add {address}/32 dev {link}" for address in addresses))
    town.node.ip(*(f"neigh add {address} lladdr {far} dev {link} nud permanent" for address in addresses))
