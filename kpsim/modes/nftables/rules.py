"""A kube-proxy table of nftables holds chains of rules, verdict maps, sets, and names for all of these.

A rule here says what it matches in fields, so that it can be walked, and prints itself as ``nft`` takes it.  Maps and
sets are looked up by key, whatever their size; that is why nothing here has an order but the rules of a chain.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from kpsim.proxy.node import EndpointInfo, PortInfo
from kpsim.proxy.rules import Rule, RuleSet
from kpsim.units import Version

TABLE = "kube-proxy"
LONGEST_BASE = 240  # of a chain's name, without its kind

ElementKey = tuple[str, ...]


class Hook(NamedTuple):
    """A base chain's place in the kernel's path, and the chains it leads to, in order."""

    type: str
    hook: str
    priority: int
    leads_to: tuple[str, ...]

    def render(self) -> str:
        """Return the declaration in a chain's braces."""
        return f"{{ type {self.type} hook {self.hook} priority {self.priority} ; }}"


_UNSERVED, _STRAY = "service-endpoints-check", "cluster-ips-check"
_NAT = {
    "nat-prerouting": Hook("nat", "prerouting", -100, ("services",)),
    "nat-output": Hook("nat", "output", -100, ("services",)),
    "nat-postrouting": Hook("nat", "postrouting", 100, ("masquerading",)),
}
HOOKS: dict[str, Hook] = {
    "filter-prerouting-pre-dnat": Hook("filter", "prerouting", -110, ("firewall-check",)),
    "filter-output-pre-dnat": Hook("filter", "output", -110, ("firewall-check",)),
    "filter-input": Hook("filter", "input", 0, ("nodeport-endpoints-check", _UNSERVED)),
    "filter-forward": Hook("filter", "forward", 0, (_UNSERVED, _STRAY)),
    "filter-output": Hook("filter", "output", 0, (_UNSERVED, _STRAY)),
    **_NAT,
}
"""Base chains by name, as of Kubernetes 1.34."""

_EARLY_HOOKS: dict[str, Hook] = {
    "filter-prerouting": Hook("filter", "prerouting", -110, ("firewall-check",)),
    "filter-input": Hook("filter", "input", -110, ("nodeport-endpoints-check", _UNSERVED)),
    "filter-forward": Hook("filter", "forward", -110, (_UNSERVED, _STRAY)),
    "filter-output": Hook("filter", "output", -110, (_UNSERVED, "firewall-check")),
    "filter-output-post-dnat": Hook("filter", "output", -90, (_STRAY,)),
    **_NAT,
}
LATE_FILTERS_SINCE = (1, 33)  # filters see a packet after everybody else's address translation


def hooks_of(version: Version) -> dict[str, Hook]:
    """Return the base chains of a Kubernetes version; what 1.29 and 1.30 had is taken to be what 1.31 and 1.32 have."""
    return HOOKS if version >= LATE_FILTERS_SINCE else _EARLY_HOOKS


class Container(NamedTuple):
    """A set or a map that is always there."""

    kind: str  # set or map
    key: str  # the parts of a key; {ip} is the family's address
    comment: str

    def render(self, ip: str) -> str:
        """Return the declaration in its braces."""
        type_of = self.key.format(ip="ipv6_addr" if ip == "ip6" else "ipv4_addr")
        verdict = " : verdict" if self.kind == "map" else ""
        return f'{{ type {type_of}{verdict} ; comment "{self.comment}" ; }}'


_ADDRESS = "{ip} . inet_proto . inet_service"
_PORT = "inet_proto . inet_service"

CONTAINERS: dict[str, Container] = {
    "cluster-ips": Container("set", "{ip}", "ClusterIPs of Services"),
    "nodeport-ips": Container("set", "{ip}", "addresses that take NodePort traffic"),
    "firewall-ips": Container("map", _ADDRESS, "load-balancer addresses with source ranges"),
    "no-endpoint-services": Container("map", _ADDRESS, "addresses nobody can serve"),
    "no-endpoint-nodeports": Container("map", _PORT, "NodePorts nobody can serve"),
    "service-ips": Container("map", _ADDRESS, "addresses of Services"),
    "service-nodeports": Container("map", _PORT, "NodePorts of Services"),
}


class Element(NamedTuple):
    """A map's verdict for a key; a set's elements have none."""

    verdict: str = ""  # "goto …", "drop"
    comment: str = ""

    def render(self, key: ElementKey) -> str:
        """Return the element in its braces."""
        text = " . ".join(key)
        text += f' comment "{self.comment}"' if self.comment else ""
        text += f" : {self.verdict}" if self.verdict else ""
        return f"{{ {text} }}"


@dataclass(frozen=True, slots=True)
class NftRule(Rule):
    """One nftables rule.

    ``source`` and ``destination`` are an address, a range, a list in braces or ``@set``, with a ``!`` in front for all
    others; ``protocol`` is a match too.  ``verb`` says what happens: jump, goto (to ``target``), vmap (whatever
    ``lookup`` says), choose (one of ``choices`` at random), remember (the source in ``lookup``), dnat, mark, unmark,
    "return unmarked", masquerade, drop, reject.
    """

    verb: str = ""
    ip: str = "ip"  # or ip6
    new: bool = False  # only for the first packet of a connection
    lookup: str = ""
    choices: tuple[str, ...] = ()

    def render(self, chain: str, comments: bool = True) -> str:
        """Return the rule in its chain, as it would stand in the table's block."""
        return f"chain {chain} {{ {self.text(comments)} }}"

    def text(self, comments: bool = True) -> str:
        """Return the rule alone, as ``nft`` takes it."""
        parts = ["ct state new"] if self.new else []
        parts += ["fib saddr type local"] if self.source_type else []
        parts += ["fib daddr type local"] if self.destination_type else []
        if self.interface:
            name = self.interface.removeprefix("!").replace("+", "*")
            parts.append(f'iifname {"!= " if self.interface[0] == "!" else ""}"{name}"')
        for side, address in (("daddr", self.destination), ("saddr", "" if self.interface else self.source)):
            if address:
                parts.append(f"{self.ip} {side} {'!= ' if address[0] == '!' else ''}{address.removeprefix('!')}")
        parts += [f"meta l4proto {self.protocol}"] if self.protocol else []
        parts.append(self._action())
        parts += [f'comment "{self.comment}"'] if self.comment and comments else []
        return " ".join(parts)

    def _action(self) -> str:
        if self.verb in ("jump", "goto"):
            return f"{self.verb} {self.target}"
        if self.verb == "vmap":
            key = "meta l4proto . th dport"
            return f"{'' if self.by_port else f'{self.ip} daddr . '}{key} vmap @{self.lookup}"
        if self.verb == "choose":
            every = " , ".join(f"{i} : goto {chain}" for i, chain in enumerate(self.choices))
            return f"numgen random mod {len(self.choices)} vmap {{ {every} }}"
        actions = {
            "remember": f"update @{self.lookup} {{ {self.ip} saddr }}",
            "dnat": f"dnat to {self.to}",
            "mark": f"mark set mark or {self.options}",
            "unmark": f"mark set mark xor {self.options}",
            "return unmarked": f"mark and {self.options} == 0 return",
            "masquerade": "masquerade fully-random",
        }
        return actions.get(self.verb, self.verb)

    @property
    def by_port(self) -> bool:
        """Return True if the map that is looked up has no address in its keys."""
        return self.lookup.endswith("nodeports")


@dataclass(frozen=True, slots=True)
class NftRules(RuleSet):
    """Everything in the table ``kube-proxy`` of one IP family.

    ``dispatch`` counts elements that lead to a service port or say that nobody serves it, ``own`` rules by Service;
    ``owner`` knows the Service of chains and affinity sets.
    """

    chains: Mapping[str, Sequence[NftRule]] = field(default_factory=dict)
    ip: str = "ip"
    elements: Mapping[str, Mapping[ElementKey, Element]] = field(default_factory=dict)
    affinity: Mapping[str, int] = field(default_factory=dict)  # set -> how long it remembers a client [s]
    hooks: Mapping[str, Hook] = field(default_factory=lambda: HOOKS)


def chain_base(info: PortInfo, endpoint: EndpointInfo | None = None) -> str:
    """Return the common part of a service port's (or endpoint's) chain names: hash, Service, protocol and port.

    The hash is 8 characters of base32(sha256(all that follows it)), and a name too long to keep ends in dots.
    Source: pkg/proxy/nftables/proxier.go (hashAndTruncate and the two functions that call it).
    """
    name = f"{info.service}/{info.protocol.lower()}/{info.port_name}"
    if endpoint:
        name += f"__{endpoint.ip.replace(':', '.')}/{endpoint.port}"
    digest = hashlib.sha256(name.encode()).digest()
    base = f"{base64.b32encode(digest[:5]).decode()}-{name}"
    return base if len(base) <= LONGEST_BASE else f"{base[: LONGEST_BASE - 3]}..."
