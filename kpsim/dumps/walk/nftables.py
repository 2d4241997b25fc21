"""The rules of kube-proxy's nftables table as steps of a walk, read out of nft's own words.

A rule is read from left to right; a word that is not known here spoils the rest of it.  Sets and maps are looked up in
what the dump lists of them, clients that a Service remembers among it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from kpsim.dumps.nft import Element, NftTable
from kpsim.dumps.walk.engine import Act, Answer, ChainKey
from kpsim.dumps.walk.matches import between, interface, number, states_of
from kpsim.dumps.walk.way import EVERY_BIT, Node, Way
from kpsim.proxy.rules import covers

_VALUE = r"(?P<value>@\S+|\{[^}]*\}|[^\s{}]+)"
_NOT = r"(?P<not>!= )?(?:== )?"
_FIELD = r"(?:ip6? [sd]addr|ip protocol|ip6 nexthdr|meta l4proto|(?:th|tcp|udp|sctp) [sd]port)"
_WHERE = r"\{(?P<list>[^}]*)\}"
_NUMBER = r"0x[0-9a-fA-F]+|\d+"
_MASK = rf"(?:meta )?mark (?:&|and) (?P<mask>{_NUMBER}) (?P<not>!= )?(?:== )?(?P<value>{_NUMBER})"
_SET = rf"(?:meta )?mark set (?:(?:meta )?mark (?P<verb>\||\^|&|or|xor|and) )?(?P<value>{_NUMBER})"
_DNAT = r"dnat (?:ip6? )?(?:addr \. port )?to"
_PATTERNS = {
    "state": rf"ct state {_NOT}(?P<value>\{{[^}}]*\}}|[a-z]+(?:, ?[a-z]+)*)",
    "choice": rf"numgen \w+ mod \d+(?: offset \d+)? vmap {_WHERE}",
    "lookup": rf"(?P<key>{_FIELD}(?: \. {_FIELD})*) vmap (?:@(?P<map>\S+)|{_WHERE})",
    "field": rf"(?P<key>{_FIELD}(?: \. {_FIELD})*) {_NOT}{_VALUE}",
    "translated": r"ct status (?P<not>!= )?dnat",
    "local": r"fib (?P<key>[sd]addr) type (?P<not>!= )?local",
    "set mark": _SET,
    "masked": _MASK,
    "marked": rf"(?:meta )?mark (?P<not>!= )?(?P<value>{_NUMBER})",
    "interface": rf"(?:meta )?(?P<key>iif|oif)(?:name)? {_NOT}{_VALUE}",
    "translate": rf"{_DNAT} (?:numgen \w+ mod \d+(?: offset \d+)? map {_WHERE}|(?P<to>\S+))",
    "source": r"(?:masquerade|snat)\b.*",
    "jump": r"(?P<verb>jump|goto) (?P<chain>\S+)",
    "verdict": r"(?P<verb>accept|drop|return|reject)\b(?: with [\w -]+)?",
    "nothing": r'counter(?: packets \d+ bytes \d+)?|comment "[^"]*"|log\b.*|(?:update|add) @\S+(?: \{[^}]*\})?',
}
_READERS = {name: re.compile(pattern + r"(?: |$)") for name, pattern in _PATTERNS.items()}
_ADDRESS = re.compile(r"\[?([0-9a-fA-F.:]+?)\]?(?::(\d+))?")
_VERBS = {"|": "or", "^": "xor", "&": "and"}

Said = Mapping[str, str]


@dataclass
class NftStep:
    """One rule of one chain of a table."""

    table: NftTable
    chain: str
    rule: str
    _elements: dict[str, dict[tuple[str, ...], Element]] = field(default_factory=dict, repr=False)

    @property
    def text(self) -> str:
        """Return the rule as ``nft`` lists it, in its chain."""
        return f"{self.table.family} {self.table.name}: chain {self.chain} {{ {self.rule} }}"

    @cached_property
    def _said(self) -> tuple[tuple[str, Said], ...]:
        """Return the rule's parts; the last one is called "" where a part is not understood."""
        return tuple(_parts(self.rule))

    def ask(self, way: Way, node: Node) -> Answer | None:
        """Return the rule's answer to a packet; ``None`` if it does not match."""
        unsure = ""
        acts: tuple[Act, ...] = ()
        for kind, said in self._said:
            if kind in _JUDGES:
                holds = _JUDGES[kind](self, said, way, node)
                if holds is False:
                    return None
                unsure = unsure or (said["text"] if holds is None else "")
            elif kind == "lookup":
                found = self._looked_up(said, way)
                if found is None:
                    unsure = unsure or f"@{said['map']}"
                elif not found:
                    return None
                acts = tuple(found or ())
            elif kind == "set mark":
                way = way.marked(*_mark(said))
                acts = (Act(after=way),)
            else:
                acts = acts if kind == "nothing" else tuple(_acts(kind, said, way))
                unsure = unsure or (said["text"] if not kind else "")
        if any(act.chain and act.chain not in self.table.chains for act in acts):
            unsure = unsure or "a chain that is not in the dump"
        return Answer(acts or (Act(),), unsure=unsure)

    def members(self, name: str) -> Mapping[tuple[str, ...], Element] | None:
        """Return the elements of a set or a map by key, ``None`` where it is not in the dump."""
        if name not in self.table.elements:
            return None
        if name not in self._elements:
            self._elements[name] = {element.key: element for element in self.table.elements[name]}
        return self._elements[name]

    def _looked_up(self, said: Said, way: Way) -> list[Act] | None:
        """Return a map's acts on a packet: none, or one verdict; ``None`` if the map's elements are not known."""
        if said["list"]:
            listed = dict(_pairs(said["list"]))
            found = listed.get(" . ".join(_value(name, way) for name in said["key"].split(" . ")))
            return [_verdict(found)] if found else []
        members = self.members(said["map"])
        if members is None:
            return None
        element = members.get(tuple(_value(name, way) for name in said["key"].split(" . ")))
        return [_verdict(element.value)] if element else []

    def contains(self, values: tuple[str, ...], text: str) -> bool | None:
        """Return True if a rule names these values of its fields: in a range, a list or a set; None if unknown."""
        listed: Iterable[tuple[str, ...]]
        if text.startswith("@"):
            members = self.members(text[1:])
            if members is None:
                return None
            if len(values) > 1 or values in members:  # of several fields no dump of kube-proxy's has ranges
                return values in members
            listed = members
        else:
            listed = (tuple(part.strip().split(" . ")) for part in text.strip("{} ").split(","))
        return any(len(key) == len(values) and all(map(_within, key, values)) for key in listed)


def _parts(rule: str) -> Iterator[tuple[str, Said]]:
    at = 0
    while at < len(rule):
        read = ((name, reader.match(rule, at)) for name, reader in _READERS.items())
        name, found = next(((name, found) for name, found in read if found), ("", None))
        if found is None:
            yield "", {"text": " ".join(rule[at:].split()[:2])}
            return
        yield name, {key: value or "" for key, value in found.groupdict().items()} | {"text": found[0].strip()}
        at = found.end()


def _value(name: str, way: Way) -> str:
    """Return a field of the packet as sets and maps hold it."""
    what = name.rsplit(" ", maxsplit=1)[-1]
    packet = way.packet
    said = {"saddr": packet.source, "daddr": packet.destination, "dport": str(packet.port)}
    return said.get(what, packet.protocol.lower())


def _within(text: str, value: str) -> bool:
    if not value.isdigit() and text and (text[0].isdigit() or ":" in text):
        return covers(text, value)
    return (between(text, int(value)) if re.fullmatch(r"[\d-]+", text) else False) if value.isdigit() else text == value


def _field(step: NftStep, said: Said, way: Way, _: Node) -> bool | None:
    first, what = said["key"].split(" ", 1)
    if first in ("tcp", "udp", "sctp") and first != way.packet.protocol.lower():
        return False
    if what.endswith("sport"):
        return None
    values = tuple(_value(name, way) for name in said["key"].split(" . "))
    return _either(step.contains(values, said["value"]), said)


def _translated(_: NftStep, said: Said, way: Way, __: Node) -> bool | None:
    """``ct status dnat``: its destination was changed, which is the endpoint's by now."""
    return _either(bool(way.endpoint), said)


def _local(_: NftStep, said: Said, way: Way, node: Node) -> bool | None:
    packet = way.packet
    return _either(node.is_local(packet.source if said["key"] == "saddr" else packet.destination), said)


def _state(_: NftStep, said: Said, way: Way, __: Node) -> bool | None:
    wanted = {word.strip().upper() for word in said["value"].strip("{} ").split(",")}
    return _either(bool(states_of(way) - {"DNAT"} & wanted), said)


def _marks(_: NftStep, said: Said, way: Way, __: Node) -> bool | None:
    mask = number(said["mask"]) if said.get("mask") else EVERY_BIT
    return _either(way.has_mark(number(said["value"]), mask), said)


def _interface(_: NftStep, said: Said, way: Way, node: Node) -> bool | None:
    loopback = way.looped if said["key"] == "iif" else node.has(way.packet.destination)
    return _either(interface(said["value"], loopback), said)


def _either(holds: bool | None, said: Said) -> bool | None:
    return holds if holds is None else holds != bool(said["not"])


_JUDGES: dict[str, Callable[[NftStep, Said, Way, Node], bool | None]] = {
    "field": _field, "local": _local, "state": _state, "masked": _marks, "marked": _marks, "interface": _interface,
    "translated": _translated,
}  # fmt: skip


def _mark(said: Said) -> tuple[str, int, int]:
    return _VERBS.get(said["verb"], said["verb"]) or "set", number(said["value"]), EVERY_BIT


def _acts(kind: str, said: Said, way: Way) -> Iterator[Act]:
    if kind == "verdict":
        yield Act(said["verb"])
    elif kind == "jump":
        yield Act(said["verb"], said["chain"])
    elif kind == "choice":
        yield from (_verdict(verdict) for _, verdict in _pairs(said["list"]))
    elif kind == "source":
        yield Act("accept", after=replace(way, masqueraded=True))
    elif kind == "translate":
        places = [place.replace(" . ", ":") for _, place in _pairs(said["list"])] if said["list"] else [said["to"]]
        for found in filter(None, map(_place, places)):
            yield Act("accept", after=way.sent_to(*found))


def _place(text: str) -> tuple[str, int] | None:
    if text.count(":") > 1 and not text.startswith("["):  # an IPv6 address, with its port behind the last colon or none
        ip, _, port = text.rpartition(":")
        return (ip, int(port)) if port.isdigit() else None
    found = _ADDRESS.fullmatch(text)
    return (found[1], int(found[2] or 0)) if found else None


def _pairs(listed: str) -> Iterator[tuple[str, str]]:
    """``0 : goto a, 1 : goto b``."""
    for part in listed.split(","):
        key, colon, value = part.strip().partition(" : ")
        if colon:
            yield key, value


def _verdict(text: str) -> Act:
    verb, _, chain = text.partition(" ")
    return Act(verb, chain)


def settable_bits(table: NftTable) -> int:
    """Bits of the mark that some rule sets."""
    found = 0
    for rule in (rule for chain in table.chains.values() for rule in chain.rules if "mark set" in rule):
        for kind, said in _parts(rule):
            if kind == "set mark":
                verb, value, _ = _mark(said)
                found |= {"set": EVERY_BIT, "and": ~value & EVERY_BIT}.get(verb, value)
    return found


def steps_of(table: NftTable) -> dict[ChainKey, tuple[NftStep, ...]]:
    """Return every chain of a table, under the table's family and name."""
    elements: dict[str, dict[tuple[str, ...], Element]] = {}
    return {
        (f"{table.family} {table.name}", name): tuple(NftStep(table, name, rule, elements) for rule in chain.rules)
        for name, chain in table.chains.items()
    }
