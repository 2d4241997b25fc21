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

from kpsim.modes.nftables.layout import LATEST, Layout
from kpsim.proxy.node import EndpointInfo, PortInfo
from kpsim.proxy.rules import Rule, RuleSet

TABLE = "kube-proxy"
LONGEST_BASE = 240  # of a chain's name, without its kind

ElementKey = tuple[str, ...]


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
    others; ``protocol`` (with ``port``, where there is one) is a match too, and so is ``match``, which no first packet
    of a connection fits.  ``verb`` says what happens: jump, goto (to ``target``), vmap (whatever ``lookup`` says),
    choose (one of ``choices`` at random), remember (the source in ``lookup``), dnat, "dnat map" (to one of
    ``choices``), mark, unmark, "return unmarked", masquerade, "masquerade marked", "masquerade hairpin" (what
    ``lookup`` holds), drop, reject, "jump if in" and "return if in" (``lookup``).
    """

    verb: str = ""
    ip: str = "ip"  # or ip6
    interface_by: str = "iifname"
    new: bool = False  # only for the first packet of a connection
    lookup: str = ""
    choices: tuple[str, ...] = ()
    pods: tuple[int, ...] = ()  # of the choices

    def render(self, chain: str) -> str:
        """Return the rule in its chain, as it would stand in the table's block."""
        return f"chain {chain} {{ {self.text()} }}"

    def text(self) -> str:
        """Return the rule alone, as ``nft`` takes it."""
        parts = ["ct state new"] if self.new else []
        parts += ["fib saddr type local"] if self.source_type else []
        parts += ["fib daddr type local"] if self.destination_type else []
        parts += [self._address("daddr", self.destination)] if self.destination else []
        if self.protocol:
            parts.append(f"{self.protocol} dport {self.port}" if self.port else f"meta l4proto {self.protocol}")
        if self.interface:
            name = self.interface.removeprefix("!").replace("+", "*")
            parts.append(f"{self.interface_by} {'!= ' if self.interface[0] == '!' else ''}{name}")
        elif self.source:
            parts.append(self._address("saddr", self.source))
        parts += [self.match] if self.match else []
        parts.append(self._action())
        parts += [f'comment "{self.comment}"'] if self.comment else []
        return " ".join(parts)

    def _address(self, side: str, address: str) -> str:
        return f"{self.ip} {side} {'!= ' if address[0] == '!' else ''}{address.removeprefix('!')}"

    def _action(self) -> str:
        if self.verb in ("jump", "goto"):
            return f"{self.verb} {self.target}"
        if self.verb == "vmap":
            key = "meta l4proto . th dport"
            return f"{'' if self.by_port else f'{self.ip} daddr . '}{key} vmap @{self.lookup}"
        if self.verb == "choose":
            every = " , ".join(f"{i} : goto {chain}" for i, chain in enumerate(self.choices))
            return f"numgen random mod {len(self.choices)} vmap {{ {every} }}"
        if self.verb == "dnat map":
            pairs = (at.rpartition(":") for at in self.choices)
            every = " , ".join(f"{i} : {ip.strip('[]')} . {port}" for i, (ip, _, port) in enumerate(pairs))
            return f"dnat {self.ip} addr . port to numgen random mod {len(self.choices)} map {{ {every} }}"
        mark = self.options
        to_here = f"{self.ip} daddr . meta l4proto . th dport"
        actions = {
            "jump if in": f"{to_here} @{self.lookup} jump {self.target}",
            "return if in": f"{to_here} . {self.ip} saddr @{self.lookup} return",
            "masquerade marked": f"mark and {mark} != 0 mark set mark xor {mark} masquerade fully-random",
            "masquerade hairpin": f"ct status dnat {self.ip} saddr . {to_here} @{self.lookup} masquerade fully-random",
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
    layout: Layout = LATEST


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
