"""Cilium's load-balancing maps as data, for one node and one IP family.

The Service map holds a master entry (slot 0: how many backends, flags) and a slot a backend for every *frontend*: an
address, port and protocol that Services are reached at.  The other maps hang on numbers: a frontend's reverse-NAT
identifier, a backend's identifier.  Left out: backends that terminate beside ready ones (Cilium keeps their slots
behind the others, out of the choice), the wildcard entries for unknown ports, Maglev's tables (the default algorithm is
random), and what fills at run time: session affinity, connection tracking, NAT.
Source: bpf/lib/lb.h (lb4_key, lb4_service, lb4_backend), pkg/loadbalancer/maps, the dumps expected by
pkg/loadbalancer/tests/testdata/*.txtar, of Cilium 1.18 and later.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from kpsim.proxy.node import NodeConfig, ip_port
from kpsim.proxy.rules import RuleSet

SERVICES = "cilium_lb4_services_v2"
BACKENDS = "cilium_lb4_backends_v3"
REVERSE = "cilium_lb4_reverse_nat"
MATCHES = "cilium_lb_affinity_match"
AFFINITY = "cilium_lb4_affinity"
RANGES = "cilium_lb4_source_range"
SOCKETS = "cilium_lb4_reverse_sk"
CONNECTIONS = "cilium_ct4_global"
SNAT = "cilium_snat_v4_external"

CHECKS_RANGES = ("LoadBalancer", "ExternalIPs")  # frontends that loadBalancerSourceRanges guard
ANY = ("0.0.0.0", "::")  # the address of a NodePort's wildcard frontend  # noqa: S104 - nothing is bound to it


def map_name(name: str, family: str) -> str:
    """Return a map's name for an IP family; the one map that both share keeps its name."""
    return name if family == "IPv4" else re.sub("_(lb|ct|v)4_", r"_\g<1>6_", name)


class FrontendKey(NamedTuple):
    """A master entry is found by this key; ``internal`` is the scope of clients inside, where there are two scopes."""

    ip: str
    port: int
    protocol: str
    internal: bool = False

    def __str__(self) -> str:
        return f"{ip_port(self.ip, self.port)}/{self.protocol}{'/i' if self.internal else ''}"


@dataclass(frozen=True, slots=True)
class Backend:
    """An entry of the backend map: one for each address, port and protocol, whatever number of Services it serves."""

    number: int
    ip: str
    port: int
    protocol: str
    local: bool = False  # on this node
    pod: int = -1  # its row, where it has one

    @property
    def address(self) -> str:
        """Return ``ip:port``, IPv6 in brackets."""
        return ip_port(self.ip, self.port)


@dataclass(frozen=True, slots=True)
class Frontend:
    """One address, port, protocol and scope of a service port, with its backends: slot 1, slot 2 and so on."""

    key: FrontendKey
    kind: str  # ClusterIP, NodePort, LoadBalancer or ExternalIPs
    number: int  # reverse-NAT identifier
    backends: tuple[Backend, ...]
    service: str  # "namespace/name"
    row: int = -1  # of its Service in the columns
    affinity_s: int = 0
    source_ranges: tuple[str, ...] = ()
    external_local: bool = False  # the Service's policies, whether they matter for this frontend or not
    internal_local: bool = False

    @property
    def two_scopes(self) -> bool:
        """Return True if clients inside the cluster are sent on to a frontend of their own."""
        return self.external_local != self.internal_local and self.kind != "ClusterIP"

    @property
    def routable(self) -> bool:
        """Return True if clients outside the cluster are served: not at a ClusterIP, nor at the wildcard."""
        return self.kind != "ClusterIP" and self.key.ip not in ANY

    @property
    def checks_source(self) -> bool:
        """Return True if clients from outside must be in the source ranges."""
        return bool(self.source_ranges) and self.kind in CHECKS_RANGES

    @property
    def flags(self) -> tuple[str, ...]:
        """Flags of the master entry, as Cilium's tools spell them, in their order."""
        flags = {
            self.kind: True,
            "Local": self.external_local,
            "InternalLocal": self.internal_local,
            "two-scopes": self.two_scopes,
            "sessionAffinity": bool(self.affinity_s),
            "non-routable": not self.routable,
            "check source-range": self.checks_source,
        }
        return tuple(name for name, there in flags.items() if there)

    @property
    def entries(self) -> int:
        """Return the entries it takes in the Service map: the master and its slots."""
        return 1 + len(self.backends)


@dataclass(frozen=True)
class EbpfRules(RuleSet):
    """Everything the agent wants in the maps of one node.

    ``frontends`` are all that Services ask for, in visiting order, ``services`` those a packet finds: where two
    Services claim one address and port, the first keeps it.  ``dispatch`` counts frontends (entries of the reverse-NAT
    map), ``own`` entries of the Service map.
    """

    config: NodeConfig = NodeConfig()
    frontends: tuple[Frontend, ...] = ()
    services: Mapping[FrontendKey, Frontend] = field(default_factory=dict)

    @property
    def present(self) -> int:
        """Return the number of entries of the Service map and of the reverse-NAT map."""
        return sum(1 + frontend.entries for frontend in self.frontends)

    @cached_property
    def backends(self) -> Mapping[int, Backend]:
        """Return the backend map."""
        every = (backend for frontend in self.services.values() for backend in frontend.backends)
        return dict(sorted({backend.number: backend for backend in every}.items()))

    @cached_property
    def references(self) -> Mapping[int, int]:
        """Return the number of frontends by backend; at none a backend is deleted."""
        count = dict.fromkeys(self.backends, 0)
        for frontend in self.services.values():
            for backend in frontend.backends:
                count[backend.number] += 1
        return count

    @property
    def source_ranges(self) -> Iterator[tuple[int, str]]:
        """Yield the prefix tree of source ranges: each frontend of a Service that has any, checked or not."""
        return ((front.number, cidr) for front in self.services.values() for cidr in front.source_ranges)
