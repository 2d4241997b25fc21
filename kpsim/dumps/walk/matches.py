"""A match of iptables is judged on the first packet of a connection: yes, no, or None if a dump does not tell.

A packet is new to conntrack, is no fragment, carries SYN alone where it is TCP, and comes from a port nobody knows.
Interfaces have no names here but the loopback's.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

from kpsim.dumps.walk.way import EVERY_BIT, Node, Way
from kpsim.proxy.rules import covers

Clause = tuple[str, ...]
Judge = Callable[[Sequence[str], Way, Node], "bool | None"]

_STARTS = ("-m", "-i", "-o", "-p", "-f", "-g", "-j", "-s", "-d", "--source", "--destination")
_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')
_LISTED_PORTS = re.compile(r"dpts:(\d+:\d+)")


@lru_cache(maxsize=65536)
def clauses_of(match: str) -> tuple[Clause, ...]:
    """Return a rule's matches one by one; a ``!`` in front of one is its first word."""
    words = [found[2] or found[1] or "" for found in _TOKEN.finditer(match)]
    found: list[list[str]] = []
    at = 0
    while at < len(words):
        negated = words[at] == "!" and at + 1 < len(words) and words[at + 1] in _STARTS
        if negated or words[at] in _STARTS or not found:
            found.append(words[at : at + 1 + negated])
        else:
            found[-1] += words[at : at + 1]
        at += 1 + negated
    return tuple(map(tuple, found))


def judge(clause: Clause, way: Way, node: Node) -> bool | None:
    """Return True if a match holds; None if the dump does not tell."""
    negated = clause[:1] == ("!",)
    said = _judged(clause[negated:], way, node)
    return said if said is None else said != negated


def _judged(clause: Clause, way: Way, node: Node) -> bool | None:
    name, values = clause[0], clause[1:]
    if name == "-m" and values:
        return _module(values[0], values[1:], way, node)
    if found := _LISTED_PORTS.fullmatch(" ".join(clause)):
        return between(found[1], way.packet.port)
    known = _PLAIN.get(name)
    return known(values, way, node) if known and (values or name == "-f") else None


def _module(name: str, words: Sequence[str], way: Way, node: Node) -> bool | None:
    """Return the judgement on all options of a module: False if one fails, None if one cannot be judged."""
    if name in ("comment", "statistic", "nfacct"):  # what chance does is followed by whoever asks
        return True
    answers = [_option(name, *option, way, node) for option in _options(words)]
    if not answers:
        return True if name in ("tcp", "udp", "sctp") else None
    return False if False in answers else None if None in answers else True


def _option(module: str, negated: bool, name: str, values: list[str], way: Way, node: Node) -> bool | None:
    known = _OPTIONS.get((module, name))
    try:
        said = known(values, way, node) if known else None
    except (IndexError, ValueError):  # not as the tool writes it
        said = None
    return said if said is None else said != negated


def _options(words: Sequence[str]) -> Iterator[tuple[bool, str, list[str]]]:
    negated, name = False, ""
    values: list[str] = []
    for word in words:
        if word == "!" or word.startswith("--"):
            if name:
                yield negated, name, values
                negated, name, values = False, "", []
            if word == "!":
                negated = True
            else:
                name = word
        else:
            values.append(word)
    if name or values:
        yield negated, name, values


def number(text: str) -> int:
    """Return a number as tools print it, hexadecimal or not."""
    return int(text, 0)


def between(text: str, port: int) -> bool:
    """Return True if a port is in ``80``, ``1024:2048``, ``80-90`` or a list of those."""
    for part in text.split(","):
        first, _, last = part.strip().replace("-", ":").partition(":")
        if int(first or 0) <= port <= int(last or (65535 if ":" in part else first)):
            return True
    return False


def interface(pattern: str, is_loopback: bool) -> bool | None:
    """Return True if an interface is the one asked for; None if that depends on more than being the loopback."""
    bare = pattern.strip('"')
    if bare in ("+", "*"):
        return True
    if is_loopback:
        return "lo".startswith(bare[:-1]) if bare[-1:] in ("+", "*") else bare == "lo"
    return False if bare == "lo" else None


def states_of(way: Way) -> set[str]:
    """Return conntrack's states of a connection that begins."""
    return {"UNTRACKED"} if way.untracked else {"NEW", "DNAT"} if way.endpoint else {"NEW"}


def _state(values: Sequence[str], way: Way, _: Node) -> bool:
    return bool(states_of(way) & set(values[0].upper().split(",")))


def _mark(values: Sequence[str], way: Way, _: Node) -> bool | None:
    value, mask = [*values[0].split("/"), ""][:2]
    return way.has_mark(number(value), number(mask) if mask else EVERY_BIT)


def _kind_of(ip: str, kinds: str, node: Node) -> bool | None:
    wanted = set(kinds.split(","))
    if wanted == {"LOCAL"}:
        return node.is_local(ip)
    if wanted == {"MULTICAST"}:
        return ipaddress.ip_address(ip).is_multicast
    return None


def _range(text: str, ip: str) -> bool:
    first, _, last = text.partition("-")
    at, low = ipaddress.ip_address(ip), ipaddress.ip_address(first)
    high = ipaddress.ip_address(last or first)
    return at.version == low.version == high.version and int(low) <= int(at) <= int(high)


def _flags(values: Sequence[str], way: Way, _: Node) -> bool:
    """``--tcp-flags MASK SET``: of a first packet only SYN is set."""
    mask = {"FIN", "SYN", "RST", "PSH", "ACK", "URG"} if values[0] == "ALL" else set(values[0].split(","))
    wanted: set[str] = set() if values[1] == "NONE" else set(values[1].split(","))
    return way.packet.protocol == "TCP" and {"SYN"} & mask == wanted


def _destination_port(values: Sequence[str], way: Way, _: Node) -> bool:
    return between(values[0], way.packet.port)


def _any_address(values: Sequence[str], ip: str) -> bool:
    return any(covers(part, ip) for part in values[0].split(","))


_PLAIN: dict[str, Judge] = {
    "-i": lambda v, way, _: interface(v[0], way.looped),
    "-o": lambda v, way, node: interface(v[0], node.has(way.packet.destination)),
    "-p": lambda v, way, _: v[0] == way.packet.protocol.lower(),
    "-f": lambda _, __, ___: False,
    "-s": lambda v, way, _: _any_address(v, way.packet.source),
    "-d": lambda v, way, _: _any_address(v, way.packet.destination),
    "--source": lambda v, way, _: _any_address(v, way.packet.source),
    "--destination": lambda v, way, _: _any_address(v, way.packet.destination),
}

_OPTIONS: dict[tuple[str, str], Judge] = {
    ("conntrack", "--ctstate"): _state,
    ("state", "--state"): _state,
    ("conntrack", "--ctdir"): lambda v, _, __: v[0] == "ORIGINAL",
    ("conntrack", "--ctorigdst"): lambda v, way, _: covers(v[0], way.asked_for.destination),
    ("conntrack", "--ctorigdstport"): lambda v, way, _: between(v[0], way.asked_for.port),
    ("mark", "--mark"): _mark,
    ("addrtype", "--src-type"): lambda v, way, node: _kind_of(way.packet.source, v[0], node),
    ("addrtype", "--dst-type"): lambda v, way, node: _kind_of(way.packet.destination, v[0], node),
    ("multiport", "--dports"): _destination_port,
    ("multiport", "--destination-ports"): _destination_port,
    ("multiport", "--ports"): lambda v, way, _: between(v[0], way.packet.port) or None,
    ("iprange", "--src-range"): lambda v, way, _: _range(v[0], way.packet.source),
    ("iprange", "--dst-range"): lambda v, way, _: _range(v[0], way.packet.destination),
    ("tcp", "--tcp-flags"): _flags,
    ("tcp", "--syn"): lambda _, way, __: way.packet.protocol == "TCP",
    **{(protocol, "--dport"): _destination_port for protocol in ("tcp", "udp", "sctp")},
}
