"""A connection's way through one node's maps, lookup by lookup: from a socket of this node, or from outside.

A Pod or the node itself is translated once, when its socket connects: the packets it sends carry the Pod's address from
the first on, and no packet is looked up as a Service's.  One from outside is looked up at the node's device, tracked,
and masqueraded if its backend is on another node (a local one sees the client).  Without backends connect() fails, and
one from outside is answered with an ICMP error.  Unless a draw chooses, every backend there could be is listed.
Left out: direct server return, XDP, Maglev, NodePorts at other nodes' addresses (a socket is translated for those as
well), network policies, SCTP (which sockets leave to a lookup a packet; it is shown like the rest).
Source: bpf/bpf_sock.c (__sock4_xlate_fwd, sock4_wildcard_lookup, sock4_skip_xlate), bpf/lib/nodeport.h
(nodeport_svc_lb4), bpf/lib/lb.h (lb4_lookup_service, lb4_local, lb4_src_range_ok).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from kpsim.modes.ebpf.rules import (
    AFFINITY,
    ANY,
    BACKENDS,
    CONNECTIONS,
    RANGES,
    SERVICES,
    SNAT,
    SOCKETS,
    Backend,
    EbpfRules,
    Frontend,
    FrontendKey,
    map_name,
)
from kpsim.proxy.node import in_ranges, ip_port, network
from kpsim.proxy.rules import Packet, Trace

FIRST_NODE_PORT, LAST_NODE_PORT = 30_000, 32_767  # --node-port-range
ABSENT = "none"


@dataclass(frozen=True, slots=True)
class EbpfTrace(Trace):
    """A trace that knows which frontend took the connection, what was chosen, and who would see the node's address."""

    frontend: Frontend | None = None
    masqueraded_to: tuple[str, ...] = ()
    pod: int = -1
    lookups: int = 0  # of all maps, for one backend


@dataclass(slots=True)
class _Walk:
    rules: EbpfRules
    packet: Packet
    draw: int | None
    hook: str = ""
    met: list[str] = field(default_factory=list)
    lookups: int = 0

    def looked_up(self, name: str, key: object, value: object) -> None:
        """Take note of a lookup and what it found."""
        self.lookups += 1
        self._note(name, key, f"→ {value}")

    def written(self, name: str, key: object, value: object) -> None:
        """Take note of an entry that is made for this connection."""
        self._note(name, key, f"← {value}")

    def _note(self, name: str, key: object, what: str) -> None:
        self.met.append(f"{self.hook}: {map_name(name, self.rules.config.ip_family)}, {key} {what}")

    def master(self, key: FrontendKey) -> Frontend | None:
        """Look up slot 0 of a frontend."""
        found = self.rules.services.get(key)
        self.looked_up(SERVICES, f"{key} slot 0", _described(found) if found else ABSENT)
        return found

    def backends(self, frontend: Frontend) -> tuple[Backend, ...]:
        """Choose a slot, and look up its backend; all of them if nothing is drawn."""
        count = len(frontend.backends)
        chosen = range(count) if self.draw is None else ((self.draw * count) >> 32,)
        before = self.lookups
        for slot in chosen:
            backend = frontend.backends[slot]
            self.looked_up(SERVICES, f"{frontend.key} slot {slot + 1}", f"backend {backend.number}")
            self.looked_up(BACKENDS, backend.number, f"{backend.address}/{backend.protocol}")
        self.lookups = before + 2
        return tuple(frontend.backends[slot] for slot in chosen)

    def affinity(self, frontend: Frontend, client: str) -> None:
        """Look for a client that was here before: this one never was."""
        if frontend.affinity_s:
            self.looked_up(AFFINITY, f"{client}, REVNAT_ID {frontend.number}", ABSENT)
            self.written(
                AFFINITY, f"{client}, REVNAT_ID {frontend.number}", f"its backend, for {frontend.affinity_s} s"
            )

    def ended(self, verdict: str, why: str = "", frontend: Frontend | None = None) -> EbpfTrace:
        """Return the end of a way that leads to no backend."""
        if why:
            self.met.append(f"{self.hook}: {why}")
        return EbpfTrace(verdict, met=tuple(self.met), frontend=frontend, lookups=self.lookups)


def trace(rules: EbpfRules, packet: Packet, *, draw: int | None = None) -> EbpfTrace:
    """Follow the first packet of a connection; ``draw`` (32 bits) chooses one backend."""
    walk = _Walk(rules, packet, draw)
    if rules.config.is_local(packet.source):
        return _connected(walk, "the node")
    return _connected(walk, "the Pod") if _is_pod(rules, packet.source) else _arrived(walk)


def _is_pod(rules: EbpfRules, ip: str) -> bool:
    cidr = rules.config.pod_cidr
    inside = cidr is not None and in_ranges(ip, [cidr])
    return inside or any(backend.ip == ip for backend in rules.backends.values())


def _described(frontend: Frontend) -> str:
    count = len(frontend.backends)
    backends = f"{count:,} backend{'' if count == 1 else 's'}"
    return f"{backends}, REVNAT_ID {frontend.number} [{', '.join(frontend.flags)}]"


def _connected(walk: _Walk, client: str) -> EbpfTrace:
    """A socket of this node connects (or, UDP without connect(), sends)."""
    walk.hook = f"connect() of {client}"
    packet, config = walk.packet, walk.rules.config
    frontend = walk.master(FrontendKey(packet.destination, packet.port, packet.protocol))
    if frontend and frontend.two_scopes:
        frontend = walk.master(frontend.key._replace(internal=True))
    elif frontend is None and _at_this_node(walk, client) and FIRST_NODE_PORT <= packet.port <= LAST_NODE_PORT:
        any_address = ANY[config.ip_family == "IPv6"]
        frontend = walk.master(FrontendKey(any_address, packet.port, packet.protocol))
        if frontend and frontend.two_scopes:
            frontend = walk.master(frontend.key._replace(internal=True))
    if frontend is None:
        return walk.ended("none", "no Service: the socket keeps its address")
    if not frontend.backends:
        return walk.ended("REJECT", "no backend: connect() fails at once (EHOSTUNREACH)", frontend)
    if frontend.kind == "ExternalIPs" and not config.is_local(packet.destination):
        why = "an external IP that is not the node's is left to the network, lest a Service steal a public address"
        return walk.ended("none", why, frontend)
    walk.affinity(frontend, f"network namespace of {client}")
    backends = walk.backends(frontend)
    original = ip_port(packet.destination, packet.port)
    walk.written(SOCKETS, "socket, backend", f"{original}, what getpeername() and UDP answers show the client")
    if client == "the Pod":
        walk.hook = "tc at the Pod's device"
        walk.written(CONNECTIONS, f"{packet.source} to the backend", "a connection that leaves its Pod")
    return _sent(walk, frontend, backends, ())


def _at_this_node(walk: _Walk, client: str) -> bool:
    """Return True if the wildcard is asked: for the node's addresses, and for loopback if the node itself connects."""
    ip = walk.packet.destination
    if ipaddress.ip_address(ip).is_loopback:
        return client == "the node"
    return walk.rules.config.is_local(ip)


def _arrived(walk: _Walk) -> EbpfTrace:
    """A packet comes in at the node's device."""
    walk.hook = "tc at the node's device"
    packet = walk.packet
    frontend = walk.master(FrontendKey(packet.destination, packet.port, packet.protocol))
    if frontend is None:
        return walk.ended("none", "no Service: on to the kernel's own routing")
    if frontend.checks_source:
        found = _covering(frontend, packet.source)
        walk.looked_up(RANGES, f"REVNAT_ID {frontend.number}, {packet.source}", found or ABSENT)
        if not found:
            return walk.ended("DROP", "not in the source ranges", frontend)
    if not frontend.backends:
        return walk.ended("REJECT", "no backend: answered with ICMP port unreachable", frontend)
    if not frontend.routable:
        return walk.ended("DROP", "a ClusterIP is not served from outside (bpf-lb-external-clusterip)", frontend)
    walk.affinity(frontend, packet.source)
    backends = walk.backends(frontend)
    walk.written(CONNECTIONS, f"{packet.source} to {frontend.key}", "the Service's entry, with the backend chosen")
    walk.written(CONNECTIONS, f"{packet.source} to the backend", "the connection's entry")
    away = tuple(backend.address for backend in backends if not backend.local)
    if away:
        walk.written(SNAT, f"{packet.source} to {', '.join(away)}", "the node's address and a port, and the way back")
    return _sent(walk, frontend, backends, away)


def _covering(frontend: Frontend, ip: str) -> str:
    """Return the source range that holds ``ip``, the longest first, as a prefix tree finds it."""
    holding = [network(cidr) for cidr in frontend.source_ranges if in_ranges(ip, [cidr])]
    return str(max(holding, key=lambda range_: range_.prefixlen)) if holding else ""


def _sent(walk: _Walk, frontend: Frontend, backends: tuple[Backend, ...], masqueraded: tuple[str, ...]) -> EbpfTrace:
    return EbpfTrace(
        "DNAT",
        tuple(backend.address for backend in backends),
        bool(masqueraded),
        tuple(walk.met),
        frontend,
        masqueraded,
        backends[0].pod,
        walk.lookups,
    )
