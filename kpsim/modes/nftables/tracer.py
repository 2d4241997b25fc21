"""A packet's way through one node's nftables table: every hook in the kernel's order, and where it can end up.

Unless a draw chooses, every endpoint a packet could be sent to is listed.  A client is never one that was here before.
Left out: the nat INPUT hook and what other tables do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from kpsim.modes.nftables.layout import HAIRPIN
from kpsim.modes.nftables.rules import NftRule, NftRules
from kpsim.proxy.node import NodeConfig, in_ranges
from kpsim.proxy.rules import Packet, Trace

ENDS = {"drop": "DROP", "reject": "REJECT"}


@dataclass(frozen=True, slots=True)
class NftTrace(Trace):
    """A trace that has counted the rules looked at, matched or not, and knows what the choice was made among."""

    evaluated: int = 0
    among: int = 0
    pod: int = -1


@dataclass(slots=True)
class _Walk:
    rules: NftRules
    config: NodeConfig
    packet: Packet
    new: bool
    draw: int | None
    destination: str = ""  # what the packet's destination is now
    port: int = 0
    endpoints: dict[str, int] = field(default_factory=dict)  # address -> Pod, in order
    met: list[str] = field(default_factory=list)
    evaluated: int = 0
    among: int = 0
    marked: bool = False
    verdict: str = ""

    def hook(self, name: str) -> bool:
        """Go through the base chains of a hook by their priority; whether the packet's way ends there."""
        there = [(chain, base) for chain, base in self.rules.layout.hooks.items() if base.hook == name]
        for chain, base in sorted(there, key=lambda one: one[1].priority):
            if base.type == "nat" and not self.new:
                continue
            self._chain(chain)
            if self.verdict:
                return True
            if base.type == "nat":
                self.translate()
        return False

    def _chain(self, name: str) -> bool:
        """Go through a chain; whether anything was decided, so that callers need not go on."""
        for rule in self.rules.chains.get(name, ()):
            self.evaluated += 1
            if not self._matches(rule):
                continue
            target = self._looked_up(rule)
            if rule.verb == "vmap" and not target:
                continue
            self.met.append(rule.render(name))
            if rule.verb == "goto" or (rule.verb == "vmap" and target not in ENDS):
                return self._chain(target)
            if rule.verb in ("jump", "jump if in"):
                if self._chain(target):
                    return True
            elif rule.verb == "choose":
                return self._choose(rule.choices)
            elif rule.verb in ("return unmarked", "return if in"):
                return False
            elif self._decides(rule, target):
                return True
        return False

    def _looked_up(self, rule: NftRule) -> str:
        """Return the chain that a rule leads to, or the verdict that ends the packet's way; "" for neither."""
        if rule.verb != "vmap":
            return rule.target or rule.verb
        protocol, port = self.packet.protocol.lower(), str(self.port)
        key = (protocol, port) if rule.by_port else (self.destination, protocol, port)
        found = self.rules.elements[rule.lookup].get(key)
        return found.verdict.removeprefix("goto ") if found else ""

    def _choose(self, choices: tuple[str, ...]) -> bool:
        self.among = len(choices)
        if self.draw is not None:
            return self._chain(choices[(self.draw * len(choices)) >> 32])
        decided = [self._chain(choice) for choice in choices]  # every one, not only up to the first that decides
        return any(decided)

    def _decides(self, rule: NftRule, target: str) -> bool:
        """Do what a rule does that leads nowhere; whether the chain's way ends."""
        if target in ENDS:
            self.verdict = ENDS[target]
            return True
        if rule.verb == "dnat":
            self.endpoints[rule.to] = rule.pod
            return True
        if rule.verb == "dnat map":
            self.among = len(rule.choices)
            chosen = dict(zip(rule.choices, rule.pods, strict=True))
            if self.draw is not None:
                to = rule.choices[(self.draw * len(rule.choices)) >> 32]
                chosen = {to: chosen[to]}
            self.endpoints |= chosen
            return True
        if rule.verb in ("mark", "masquerade hairpin"):
            self.marked = True
        return rule.verb.startswith("masquerade")

    def _matches(self, rule: NftRule) -> bool:
        packet, elements = self.packet, self.rules.elements
        return (
            (self.new or not rule.new)
            and rule.protocol in ("", packet.protocol.lower())
            and not rule.match
            and (rule.verb != "return unmarked" or not self.marked)
            and (rule.verb != "masquerade marked" or self.marked)
            and (not rule.verb.endswith((" in", " hairpin")) or self._in(rule.lookup))
            and _covers(rule.source, packet.source, elements)
            and _covers(rule.destination, self.destination, elements)
            and (not rule.source_type or self.config.is_local(packet.source))
            and (not rule.destination_type or self.config.is_local(self.destination))
        )

    def _in(self, name: str) -> bool:
        """Return True if a set holds the packet: with its source in front (hairpin), behind, or without it."""
        protocol, elements = self.packet.protocol.lower(), self.rules.elements[name]
        if name == HAIRPIN:  # whichever endpoint is chosen: the packet may come back to where it is from
            ports = {
                at.rpartition(":")[2]
                for at in self.endpoints
                if at.rpartition(":")[0].strip("[]") == self.packet.source
            }
            return any((self.packet.source, self.packet.source, protocol, port) in elements for port in ports)
        key = (self.destination, protocol, str(self.port))
        return any(at[:3] == key and (len(at) == 3 or _inside(at[3], self.packet.source)) for at in elements)

    def translate(self) -> None:
        """Give the packet the destination it was given first."""
        if self.endpoints:
            ip, _, port = next(iter(self.endpoints)).rpartition(":")
            self.destination, self.port = ip.strip("[]"), int(port)


def trace(
    rules: NftRules, config: NodeConfig, packet: Packet, *, draw: int | None = None, known: bool = False
) -> NftTrace:
    """Follow a packet through ``rules``.

    ``draw`` (32 bits) chooses one endpoint.  ``known``: conntrack knows the connection, ``packet`` already has the
    destination that it was translated to, and the nat hooks are skipped.
    """
    walk = _Walk(rules, config, packet, not known, draw, packet.destination, packet.port)
    _follow(walk, outgoing=config.is_local(packet.source))
    verdict = walk.verdict or ("DNAT" if walk.endpoints else "none")
    found = walk.endpoints if verdict == "DNAT" else {}
    pod = next(iter(found.values()), -1)
    masqueraded = walk.marked and verdict == "DNAT"
    return NftTrace(verdict, tuple(found), masqueraded, tuple(walk.met), walk.evaluated, walk.among, pod)


def _follow(walk: _Walk, *, outgoing: bool) -> None:
    """Go through the kernel's hooks; where to after the first is decided by the destination the packet has then."""
    if walk.hook("output" if outgoing else "prerouting"):
        return
    here = walk.config.is_local(walk.destination)
    later = ("postrouting", "input") if outgoing and here else ("postrouting",) if outgoing else ()
    if not outgoing:
        later = ("input",) if here else ("forward", "postrouting")
    any(walk.hook(name) for name in later)  # up to the first that decides


@lru_cache(maxsize=4096)
def _inside(text: str, ip: str) -> bool:
    """Return True if ``ip`` is an address, in a range, or in a list in braces."""
    if text.startswith("{"):
        return any(_inside(part.strip(), ip) for part in text.strip("{}").split(","))
    if "/" not in text:
        return text == ip
    return in_ranges(ip, [text])


def _covers(address: str, ip: str, elements: Mapping[str, Mapping[tuple[str, ...], object]]) -> bool:
    """Return True if a rule's address (or ``!`` all others) covers ``ip``; sets of known clients are taken as empty."""
    if not address:
        return True
    bare = address.removeprefix("!")
    found = (ip,) in elements.get(bare[1:], {}) if bare.startswith("@") else _inside(bare, ip)
    return found != address.startswith("!")
