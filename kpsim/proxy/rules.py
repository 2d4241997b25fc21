"""Rules as data: one node's rules in its kernel, in kube-proxy's own names and order.

A :class:`RuleSet` holds netfilter chains; modes that have other things too add them in a class of their own.  It is
what `explain` prints, what the reference engine's packets walk, and what the tools' text is made of.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Generic, NamedTuple, TypeVar

from kpsim.proxy.node import network
from kpsim.units import I64

FILTER = " (filter)"
ALIKE_SHOWN = 3  # of rules or chains of one kind, to people who look
REFUSED = -1  # instead of a Pod: nobody can serve it
DROPPED = -2  # a Local policy leaves nobody on this node


class PortKey(NamedTuple):
    """A node looks up a packet by this key: the address, protocol and port of a service port."""

    ip: str
    protocol: str
    port: int


@dataclass(frozen=True, slots=True)
class Packet:
    """The first packet of a connection as it meets a node."""

    source: str
    destination: str
    port: int
    protocol: str = "TCP"

    @property
    def key(self) -> PortKey:
        """Return the key that the packet's destination is looked up by."""
        return PortKey(self.destination, self.protocol, self.port)


@dataclass(frozen=True, slots=True)
class Rule:
    """One netfilter rule: its matches and its target.

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

    def fits(self, packet: Packet, is_local: Callable[[str], bool]) -> bool:
        """Return whether ``packet`` has the rule's addresses, protocol and port; further matches are not looked at."""
        return (
            self.protocol in ("", packet.protocol.lower())
            and self.port in (0, packet.port)
            and covers(self.source, packet.source)
            and covers(self.destination, packet.destination)
            and (not self.source_type or is_local(packet.source))
            and (not self.destination_type or is_local(packet.destination))
        )

    def render(self, chain: str) -> str:
        """Return the rule as ``iptables-restore`` takes it, its parts in the order of ``iptables-save``."""
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


def covers(address: str, ip: str) -> bool:
    """Return whether ``ip`` is what a rule's address (or range, or ``!`` all others) asks for."""
    if not address:
        return True
    negated, bare = address.startswith("!"), address.removeprefix("!")
    try:
        inside = bare == ip or ("/" in bare and ipaddress.ip_address(ip) in network(bare))
    except ValueError:  # an address that is known by count only
        inside = False
    return inside != negated


def _address(option: str, address: str) -> str:
    """``-d 10.0.0.1/32``, ``! -s 10.0.0.0/8``; a range keeps its own length."""
    negated, bare = address.startswith("!"), address.removeprefix("!")
    if "/" not in bare and not bare.startswith("<"):
        bare += "/128" if ":" in bare else "/32"
    return f"! {option} {bare}" if negated else f"{option} {bare}"


Count = TypeVar("Count", int, I64)


class Held(NamedTuple, Generic[Count]):
    """A Service's things on a node beside rules, or those of many Services, (n,) each; endpoints change none."""

    servers: Count  # virtual servers
    entries: Count  # of ipsets, without those of endpoints
    addresses: Count  # bound on the node's service device


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Everything kube-proxy put on one node.

    ``chains`` holds the nat table's by name, and the filter table's with :data:`FILTER` behind theirs.
    """

    chains: Mapping[str, Sequence[Rule]] = field(default_factory=dict)
    dispatch: int = 0  # rules (or whatever a mode has in their place) that lead to a service port
    own: Mapping[int, int] = field(default_factory=dict)  # Service -> its other rules
    owner: Mapping[str, str] = field(default_factory=dict)  # chain -> the Service it belongs to, "namespace/name"
    held: Mapping[int, Held[int]] | None = None  # by Service, where a mode has such things

    @property
    def present(self) -> int:
        """Return the count of :meth:`Mode.rules_present`: rules of the nat table, or what a mode has instead."""
        return self.count("nat")

    def count(self, table: str) -> int:
        """Return the number of rules in one netfilter table."""
        return sum(len(rules) for name, rules in self.chains.items() if name.endswith(FILTER) == (table == "filter"))


@dataclass(frozen=True, slots=True)
class Walk:
    """A first packet's way: list entries scanned, endpoint rules tried, and the Pod it goes to."""

    pod: int  # or REFUSED, or DROPPED
    scanned: int
    tried: int
    met: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Trace:
    """A node's verdict on a packet, and every rule that the packet met on the way."""

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


def table_and_chain(name: str) -> tuple[str, str]:
    """Return the table and the name of a chain as :attr:`RuleSet.chains` is keyed."""
    chain, _, table = name.partition(" (")
    return table.rstrip(")") or "nat", chain


def few(lines: Sequence[str], what: str) -> Iterator[str]:
    """Yield the first lines and the last, and how many there are between."""
    if len(lines) <= 2 * ALIKE_SHOWN + 1:
        yield from lines
        return
    yield from lines[: ALIKE_SHOWN + 1]
    yield f"… {len(lines) - ALIKE_SHOWN - 2:,} more {what} …"
    yield lines[-1]
