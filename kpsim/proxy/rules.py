"""Rules as data: what one node has in its kernel, in kube-proxy's own names and order.

A :class:`RuleSet` holds netfilter chains, IPVS virtual servers, or both.  It is what `explain` prints, what the
reference engine's packets walk, and what the tools' text is made of.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from kpsim.cluster.columns import Cluster, dotted
from kpsim.proxy.node import EndpointInfo, NodeConfig, PortState
from kpsim.proxy.params import LATEST
from kpsim.proxy.states import port_info
from kpsim.units import I64, U32, Bools

FILTER = " (filter)"
REFUSED = -1  # instead of a Pod: nobody can serve it
DROPPED = -2  # a Local policy leaves nobody on this node


COUNTED_SINCE = (1, 26)  # layouts before are not counted in closed form: the engines take them for this one's


def as_counted(version: tuple[int, int] = LATEST) -> NodeConfig:
    """The node that closed forms count rules of: of its own address, and of ranges of ClusterIPs, they know nothing."""
    return NodeConfig(node_through_firewall=False, kubernetes_version=max(version, COUNTED_SINCE))


@dataclass(frozen=True, slots=True)
class NodeView:
    """What kube-proxy on one node holds when a sync starts."""

    cluster: Cluster
    usable: Mapping[int, Sequence[int]]  # Service -> Pods that can serve it; Services it does not know are absent
    order: I64  # service ports in the order in which they are visited
    pod_ip: U32  # of every Pod of the run
    config: NodeConfig = field(default_factory=as_counted)
    leaving: Mapping[int, Sequence[int]] = field(default_factory=dict)  # Pods that a Local policy may fall back to
    here: Bools | None = None  # which Pods of the run are on this node; ``None``: none of them

    def port_states(self) -> Iterator[PortState]:
        """Known service ports with the endpoints that may serve them, in visiting order."""
        for q in self.known_ports():
            s, target = int(self.cluster.port_service[q]), int(self.cluster.port_target[q])
            endpoints = tuple(
                EndpointInfo(
                    ip=dotted(int(self.pod_ip[p])),
                    port=target,
                    ready=ready,
                    terminating=not ready,
                    local=self.here is not None and bool(self.here[p]),
                    pod=p,
                )
                for pods, ready in ((self.usable[s], True), (self.leaving.get(s, ()), False))
                for p in pods
            )
            yield PortState(port_info(self.cluster, q), endpoints, s, q)

    def known_ports(self) -> list[int]:
        """Service ports kube-proxy programs, in visiting order."""
        services = self.cluster.port_service
        proxied = self.cluster.services.proxied
        return [int(q) for q in self.order if int(services[q]) in self.usable and proxied[services[q]]]

    def address(self, port: int, pod: int) -> str:
        """``ip:port`` of an endpoint of a service port."""
        return f"{dotted(int(self.pod_ip[pod]))}:{int(self.cluster.port_target[port])}"


@dataclass(frozen=True, slots=True)
class Rule:
    """One netfilter rule: what it matches, and what happens then.

    ``source`` and ``destination`` are addresses or ranges, with a ``!`` in front for all others.  A rule with an
    ``interface`` matches by that; its ``source`` are then the addresses taken to come in there.  ``match`` is any
    further match that depends on a connection's past (mark, state, recent), ``counts`` one that always matches and
    only keeps count.
    """

    target: str  # "" only keeps count
    comment: str = ""
    destination: str = ""
    protocol: str = ""
    port: int = 0
    source: str = ""
    interface: str = ""
    source_type: str = ""  # LOCAL
    destination_type: str = ""
    match: str = ""
    counts: str = ""
    probability: float | None = None
    options: str = ""  # of the target
    to: str = ""  # DNAT's destination
    pod: int = -1

    def render(self, chain: str) -> str:
        """The rule as ``iptables-restore`` takes it, its parts in the order of ``iptables-save``."""
        parts = [f"-A {chain}"]
        parts += [_address("-s", self.source)] if self.source and not self.interface else []
        parts += [_address("-d", self.destination)] if self.destination else []
        if self.interface:
            parts.append(f"{'! ' if self.interface[0] == '!' else ''}-i {self.interface.removeprefix('!')}")
        parts += [f"-p {self.protocol}"] if self.protocol else []
        parts += [f'-m comment --comment "{self.comment}"'] if self.comment else []
        for side, kind in (("src", self.source_type), ("dst", self.destination_type)):
            parts += [f"-m addrtype --{side}-type {kind}"] if kind else []
        parts += [self.counts] if self.counts.startswith("-m recent") else []
        if self.protocol and (self.port or self.target == "DNAT"):
            parts.append(f"-m {self.protocol}" + (f" --dport {self.port}" if self.port else ""))
        parts += [self.match] if self.match else []
        parts += [f"-m statistic --mode random --probability {self.probability:.10f}"] if self.probability else []
        parts += [self.counts] if self.counts.startswith("-m nfacct") else []
        parts += [f"-j {self.target}"] if self.target else []
        parts += [self.options] if self.options else []
        parts += [f"--to-destination {self.to}"] if self.to else []
        return " ".join(parts)


def _address(option: str, address: str) -> str:
    """``-d 10.0.0.1/32``, ``! -s 10.0.0.0/8``; a range keeps its own length."""
    negated, bare = address.startswith("!"), address.removeprefix("!")
    if "/" not in bare and not bare.startswith("<"):
        bare += "/128" if ":" in bare else "/32"
    return f"! {option} {bare}" if negated else f"{option} {bare}"


@dataclass(frozen=True, slots=True)
class VirtualServer:
    """One IPVS virtual server and its real servers, all of weight 1."""

    ip: str
    port: int
    protocol: str
    scheduler: str
    real_servers: tuple[tuple[str, int], ...]  # ("ip:port", Pod)

    def render(self) -> list[str]:
        """As ``ipvsadm -Ln`` would print it."""
        head = f"{self.protocol.upper()}  {self.ip}:{self.port} {self.scheduler}"
        return [head, *(f"  -> {address:<28} Masq    1" for address, _ in self.real_servers)]


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Everything kube-proxy put on one node.

    ``chains`` holds the nat table's by name, and the filter table's with :data:`FILTER` behind theirs.
    """

    chains: Mapping[str, Sequence[Rule]] = field(default_factory=dict)
    virtual_servers: Mapping[tuple[str, str, int], VirtualServer] = field(default_factory=dict)
    dispatch: int = 0  # rules (or virtual servers) that lead to a service port
    own: Mapping[int, int] = field(default_factory=dict)  # Service -> its other rules
    owner: Mapping[str, str] = field(default_factory=dict)  # chain -> the Service it belongs to, "namespace/name"
    view: NodeView | None = None

    @property
    def present(self) -> int:
        """What :meth:`Mode.rules_present` counts in closed form: rules of the nat table, virtual and real servers."""
        servers = sum(1 + len(server.real_servers) for server in self.virtual_servers.values())
        return self.count("nat") + servers

    def count(self, table: str) -> int:
        """Rules in one netfilter table."""
        return sum(len(rules) for name, rules in self.chains.items() if name.endswith(FILTER) == (table == "filter"))


@dataclass(frozen=True, slots=True)
class Walk:
    """What a first packet met: how far it scanned, how many endpoint rules it tried, and who it goes to."""

    pod: int  # or REFUSED, or DROPPED
    scanned: int
    tried: int
    met: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Packet:
    """The first packet of a connection as it meets a node."""

    source: str
    destination: str
    port: int
    protocol: str = "TCP"


@dataclass(frozen=True, slots=True)
class Trace:
    """What a node does with a packet, and every rule it met on the way."""

    verdict: str  # DNAT, ACCEPT, DROP, REJECT, CLOSED (accepted first), or none: nothing of kube-proxy's touched it
    endpoints: tuple[str, ...] = ()  # all it may be sent to
    masqueraded: bool = False
    met: tuple[str, ...] = ()


@lru_cache(maxsize=1 << 14)  # a chain's name is asked for by every rule that leads to it
def chain_name(kind: str, service_port: str, protocol: str, endpoint: str = "") -> str:
    """``KUBE-SVC-…`` and its kin: 16 characters of base32(sha256(name, lower-case protocol, endpoint)).

    Source: pkg/proxy/iptables/proxier.go (portProtoHash, servicePortEndpointChainName).
    """
    digest = hashlib.sha256(f"{service_port}{protocol.lower()}{endpoint}".encode()).digest()
    return f"KUBE-{kind}-{base64.b32encode(digest).decode()[:16]}"
