"""``iptables -nvL`` and its kin print for people; this reads it back as the rules of ``iptables-save``.

Tables are not named in a listing; their built-in chains tell them apart, and a file may hold several in a row.  With
packet counters or without, with line numbers or without, protocols as names or (since 1.8.9) as numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from kpsim.dumps.saved import Parts, Tables, made_rule, protocol_name, table_of
from kpsim.proxy.rules import Rule

BUILT_IN = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
EVERYWHERE = ("", "*", "any", "0.0.0.0/0", "::/0", "anywhere")

_CHAIN = re.compile(r"Chain (\S+) \((?:policy (\w+)|\d+ references)")
_HEAD = re.compile(r"(num\s+)?(pkts\s+bytes\s+)?target\s+prot\s+opt\s+(in\s+out\s+)?source\s+destination")
_PROTOCOL = r"!?(?:all|tcp|udp|udplite|sctp|dccp|icmp|icmpv6|ipv6-icmp|esp|ah|gre|igmp|ipencap|ipip|vrrp|\d+)"
_COLUMNS = r"(?:(?P<target>\S+)\s+)?(?P<protocol>" + _PROTOCOL + r")\s+(?:(?:--|[-!+]f)\s+)?"
_ADDRESSES = r"(?P<source>\S+)\s+(?P<destination>\S+)(?P<rest>.*)"

# What stands behind the addresses, and how iptables-save says it.
_WORDS: tuple[tuple[str, str], ...] = (
    (r"(! )?ctstate (\S+)", r"-m conntrack \1--ctstate \2"),
    (r"state (\S+)", r"-m state --state \1"),
    (r"mark match (! )?(\S+)", r"-m mark \1--mark \2"),
    (r"recent: CHECK (?:seconds: (\d+) )?(?:reap )?name: (\S+)(?: side: \S+)?(?: mask: \S+)?",
     r"-m recent --rcheck --seconds \1 --name \2"),
    (r"multiport (\S+) (\S+)", r"-m multiport --\1 \2"),
    (r"match-set (\S+) (\S+)", r"-m set --match-set \1 \2"),
    (r"ADDRTYPE match ((?:(?:src|dst)-type \S+ ?)+(?:limit-(?:in|out) ?)?)", r"-m addrtype \1"),
    (r"PHYSDEV match (.*)", r"-m physdev \1"),
    (r"(?:spt|spts|dpts):\S+", r"\g<0>"),
)  # fmt: skip
_COUNTS = r"(recent: SET name: \S+(?: side: \S+)?(?: mask: \S+)?|nfacct-name\s+\S+)"
_OPTIONS: tuple[tuple[str, str], ...] = (
    (r"MARK or (\S+)", r"--or-mark \1"),
    (r"MARK xor (\S+)", r"--xor-mark \1"),
    (r"reject-with (\S+)", r"--reject-with \1"),
    (r"(?<!-)\b(random-fully|random|persistent)\b", r"--\1"),
)


def read_listing(text: str) -> Tables:
    """Return every table of a listing; what is cut off at the end is left out."""
    tables: dict[str, dict[str, list[Rule]]] = {}
    sections: list[dict[str, list[Rule]]] = []
    dropping: list[tuple[dict[str, list[Rule]], str]] = []
    parse: Callable[[str], Rule | None] = _parser(counters=True, numbers=False, interfaces=True)
    rules: list[Rule] | None = None
    odd = 0
    for line in text.splitlines():
        opening = _CHAIN.match(line)
        head = _HEAD.match(line.strip())
        if opening:
            rules = []
            here = _section(sections, opening[1])
            here[opening[1]] = rules
            dropping += [(here, opening[1])] if opening[2] == "DROP" else []
        elif head:
            parse = _parser(counters=bool(head[2]), numbers=bool(head[1]), interfaces=bool(head[3]))
        elif rules is not None and line.strip():
            made = parse(line)
            odd += made is None
            rules += [made] if made is not None else []
        else:
            rules = None  # after the blank line, another tool's text may follow
    for chains in sections:
        tables.setdefault(table_of(chains), {}).update(chains)
    warnings = (f"{odd:,} lines were not understood as rules and are left out",) if odd else ()
    policies = {(table_of(chains), name): "DROP" for chains, name in dropping}
    return Tables(tables, "", warnings, policies)


def _section(sections: list[dict[str, list[Rule]]], chain: str) -> dict[str, list[Rule]]:
    """Return the table that a chain belongs to: built-in chains come first, and no table has a chain twice."""
    here = sections[-1] if sections else None
    if here is None or chain in here or (chain in BUILT_IN and any(name not in BUILT_IN for name in here)):
        here = {}
        sections.append(here)
    return here


def _parser(*, counters: bool, numbers: bool, interfaces: bool) -> Callable[[str], Rule | None]:
    """Return a reader of one line, for the columns there are."""
    pattern = r"\s*" + (r"\d+\s+" if numbers else "") + (r"\d+[KMGTP]?\s+\d+[KMGTP]?\s+" if counters else "")
    pattern += _COLUMNS + (r"(?P<inside>\S+)\s+(?P<outside>\S+)\s+" if interfaces else "") + _ADDRESSES
    columns = re.compile(pattern)

    def parse(line: str) -> Rule | None:
        found = columns.fullmatch(line)
        try:
            return _rule(found.groupdict()) if found else None
        except ValueError:  # a number that is none
            return None

    return parse


def _rule(columns: dict[str, str | None]) -> Rule:
    said = {name: value or "" for name, value in columns.items()}
    parts = Parts(protocol=protocol_name(said["protocol"]))
    for option, name in (("-i", "inside"), ("-o", "outside")):
        if said.get(name, "") not in EVERYWHERE:
            parts.match.append(f"{option} {said[name]}")
    for name in ("source", "destination"):
        value = said[name]
        if value not in EVERYWHERE:
            parts.address(name, value.removeprefix("!"), value.startswith("!"))
    target, rest = said["target"], f" {said['rest'].strip()} "
    if comment := re.search(r"/\* (.*?) \*/", rest):
        parts.comment = comment[1]
        rest = rest.replace(comment[0], " ")
    if "[goto]" in rest:
        parts.match.append(f"-g {target}")
        target, rest = "", rest.replace("[goto]", " ")
    return _with_rest(parts, target, rest)


def _with_rest(parts: Parts, target: str, rest: str) -> Rule:
    """Return the rule with the text behind its addresses: matches that decide, those kept as text, options."""
    options: list[str] = []
    steps: tuple[tuple[str, Callable[[re.Match[str]], None]], ...] = (
        (r" (?:tcp|udp|sctp) dpt:(\d+)(?= )", lambda found: setattr(parts, "port", int(found[1]))),
        (r" statistic mode random probability (\S+)", lambda found: setattr(parts, "probability", float(found[1]))),
        (r" ADDRTYPE match src-type LOCAL(?= )(?! limit)", lambda _: setattr(parts, "source_type", "LOCAL")),
        (r" ADDRTYPE match dst-type LOCAL(?= )(?! limit)", lambda _: setattr(parts, "destination_type", "LOCAL")),
        (r" (?:tcp |udp |sctp )?to:(\S+)", lambda found: options.extend(["--to-destination", found[1]])),
        (_COUNTS, lambda found: parts.counts.append(found[1])),
        *((words, _append(parts.match, said)) for words, said in _WORDS),
        *((words, _extend(options, said)) for words, said in _OPTIONS),
    )
    for pattern, take in steps:
        if found := re.search(pattern, rest):
            take(found)
            rest = rest.replace(found[0], " ", 1)
    left = " ".join(word for word in rest.split() if word not in ("tcp", "udp", "sctp"))
    if left and target in ("MARK", "CONNMARK", "REJECT", "LOG", "NFLOG", "SNAT", "MASQUERADE", "DNAT", "CT", "TPROXY"):
        options += left.split()
    elif left:
        parts.match.append(left)
    return made_rule(parts, target, options)


def _append(to: list[str], said: str) -> Callable[[re.Match[str]], None]:
    return lambda found: to.append(found.expand(said).strip())


def _extend(to: list[str], said: str) -> Callable[[re.Match[str]], None]:
    return lambda found: to.extend(found.expand(said).split())
