"""``nft list ruleset`` as tables of sets, maps and chains, from its text or from its JSON.

Only as much of the language as rules of kube-proxy's need; a rule stays text, in nft's own words, also where it came
as JSON.  A text that is cut off is read as far as it goes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_TABLE = re.compile(r"table (\w+) (\S+) \{")
_BLOCK = re.compile(r"(set|map|chain|flowtable|counter|ct \w+|limit|quota) (\S+) \{")
_HANDLE = re.compile(r"\s*# handle \d+\s*$")
_HOOK = re.compile(r"type (\w+) hook (\w+)(?: device\S* \S+)? priority ([^;]+);(?: policy (\w+);)?")
_ELEMENTS = re.compile(r"elements = \{(.*)\}", re.DOTALL)
_PIECES = re.compile(r'(?:"[^"]*"|\{[^}]*\}|[^,"{])+')
_ITEM = re.compile(r'(?P<key>.*?)(?: (?:timeout|expires) \S+)*(?: comment "(?P<comment>[^"]*)")?(?: : (?P<value>.*))?')
PROTOCOLS = {"6": "tcp", "17": "udp", "132": "sctp"}
_WORDED = {  # what nft -nn writes as numbers
    "meta": PROTOCOLS,
    "ct": {"1": "invalid", "2": "established", "4": "related", "8": "new", "32": "dnat", "64": "untracked"},
    "fib": {"2": "local"},
}
_NUMBERS = re.compile(
    r"(?P<before>meta l4proto |ct (?:state|status) (?:!= )?|fib [sd]addr type (?:!= )?)"
    r"(?P<number>0x[0-9a-f]+|\d+)(?![\w/])"
)
_PRIORITIES = {"raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100}


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a set or a map; ``value`` is a map's verdict or data."""

    key: tuple[str, ...]
    value: str = ""
    comment: str = ""


@dataclass(slots=True)
class Chain:
    """A chain and its rules; a base chain has a hook."""

    rules: list[str] = field(default_factory=list)
    hook: str = ""
    kind: str = ""
    priority: int = 0
    policy: str = ""


@dataclass(slots=True)
class NftTable:
    """One table of one family."""

    family: str
    name: str
    elements: dict[str, list[Element]] = field(default_factory=dict)
    timeouts_s: dict[str, int] = field(default_factory=dict)
    chains: dict[str, Chain] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ruleset:
    """All tables of one node."""

    tables: tuple[NftTable, ...] = ()
    warnings: tuple[str, ...] = ()


# Text


def read_ruleset(text: str) -> Ruleset:
    """Return the tables of ``nft list ruleset`` (or ``list table``), with handles or without."""
    tables: list[NftTable] = []
    lines = _logical_lines(text)
    whole = True
    for line in lines:
        opening = _TABLE.match(line)
        if opening:
            tables.append(NftTable(opening[1], opening[2]))
            whole = _fill(tables[-1], lines)
    cut = () if whole else ("the ruleset has no end: the text is cut off, read as far as it goes",)
    return Ruleset(tuple(tables), cut)


def _logical_lines(text: str) -> Iterator[str]:
    """Lines without handles; one that nft broke within braces or brackets is one line again."""
    waiting: list[str] = []
    depth = 0
    for raw in text.splitlines():
        line = _HANDLE.sub("", raw).strip()
        bare = re.sub(r'"[^"]*"', "", line)
        opens_block = not waiting and (_TABLE.match(line) or _BLOCK.match(line))
        depth += 0 if opens_block or (line == "}" and not waiting) else bare.count("{") - bare.count("}")
        waiting.append(line)
        if depth <= 0:
            yield " ".join(waiting)
            waiting, depth = [], 0
    if waiting:
        yield " ".join(waiting)


def _fill(table: NftTable, lines: Iterator[str]) -> bool:
    """Everything down to the table's closing brace; whether there is one."""
    for line in lines:
        if line == "}":
            return True
        opening = _BLOCK.match(line)
        if opening and not _fill_block(table, opening[1], opening[2], lines):
            return False
    return False


def _fill_block(table: NftTable, kind: str, name: str, lines: Iterator[str]) -> bool:
    chain = table.chains.setdefault(name, Chain()) if kind == "chain" else Chain()
    elements = table.elements.setdefault(name, []) if kind in ("set", "map") else []
    for line in lines:
        if line == "}":
            return True
        hook = _HOOK.match(line)
        if line.startswith("elements = {"):
            elements += _elements(line)
        elif hook and kind == "chain":
            chain.kind, chain.hook, chain.priority = hook[1], hook[2], _priority(hook[3])
            chain.policy = hook[4] or ""
        elif kind == "chain" and line and not line.startswith(("comment ", "policy ", "#")):
            chain.rules.append(_NUMBERS.sub(_in_words, line))
        elif kind == "set" and line.startswith("timeout "):
            table.timeouts_s[name] = _seconds(line.split()[1])
    return False


def _elements(line: str) -> Iterator[Element]:
    """Yield the elements of a list; one that is cut off is left out."""
    whole = _ELEMENTS.search(line)
    inner = whole[1] if whole else line.partition("{")[2].rpartition(",")[0]
    for piece in _PIECES.findall(inner):
        item = _ITEM.fullmatch(piece.strip())
        if item and item["key"]:
            yield Element(_named(item["key"].split(" . ")), item["value"] or "", item["comment"] or "")


def _named(parts: list[str]) -> tuple[str, ...]:
    """A key in which a protocol has its name; it stands before the port."""
    if len(parts) > 1 and parts[-2] in PROTOCOLS:
        parts[-2] = PROTOCOLS[parts[-2]]
    return tuple(parts)


def _in_words(found: re.Match[str]) -> str:
    """Return a number as ``nft`` words it without ``-nn``; as it stands where it is none of those."""
    number = str(int(found["number"], 0))
    return found["before"] + _WORDED[found["before"].split()[0]].get(number, found["number"])


def _priority(text: str) -> int:
    name, sign, number = re.match(r"\s*([a-z]*)\s*([+-]?)\s*(\d*)", text).groups()  # type: ignore[union-attr]  # matches anything
    return _PRIORITIES.get(name, 0) + (-1 if sign == "-" else 1) * int(number or 0)


def _seconds(text: str) -> int:
    units = {"d": 86400, "h": 3600, "m": 60, "s": 1}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([dhms])(?!s)", text))


# JSON


def read_json(text: str) -> Ruleset:
    """Return the tables of ``nft -j list ruleset``, object by object, so that what was cut off costs only itself."""
    tables: dict[tuple[str, str], NftTable] = {}
    whole = True
    try:
        for item in _objects(text):
            for kind, made in item.items():
                _take(tables, kind, made)
    except ValueError:
        whole = False
    cut = () if whole else ("the ruleset has no end: the JSON is cut off, read as far as it goes",)
    return Ruleset(tuple(tables.values()), cut)


def _objects(text: str) -> Iterator[dict[str, Any]]:
    decoder, space = json.JSONDecoder(), re.compile(r"[\s,]*")
    at = text.index("[") + 1
    while True:
        gap = space.match(text, at)
        at = gap.end() if gap else at
        if text.startswith("]", at):
            return
        item, at = decoder.raw_decode(text, at)
        if isinstance(item, dict):
            yield item


def _take(tables: dict[tuple[str, str], NftTable], kind: str, made: object) -> None:
    """One object of the JSON; a list of things that is not as expected is passed over."""
    if not isinstance(made, dict) or kind not in ("table", "set", "map", "chain", "rule"):
        return
    family, name = str(made.get("family")), str(made.get("name"))
    owner = name if kind == "table" else str(made.get("table"))
    table = tables.setdefault((family, owner), NftTable(family, owner))
    if kind == "chain":
        chain = table.chains.setdefault(name, Chain())
        chain.hook, chain.kind = str(made.get("hook", "")), str(made.get("type", ""))
        chain.policy = str(made.get("policy", ""))
        chain.priority = made["prio"] if isinstance(made.get("prio"), int) else 0
    elif kind == "rule":
        written = made.get("expr")
        words = [_expression(part) for part in written] if isinstance(written, list) else []
        table.chains.setdefault(str(made.get("chain")), Chain()).rules.append(" ".join(filter(None, words)))
    elif kind in ("set", "map"):
        listed = made.get("elem")
        table.elements.setdefault(name, []).extend(map(_element, listed if isinstance(listed, list) else []))
        if isinstance(made.get("timeout"), int):
            table.timeouts_s[name] = made["timeout"]


def _element(item: object) -> Element:
    key, value = item if isinstance(item, list) and len(item) == 2 else (item, None)
    comment = ""
    if isinstance(key, dict) and isinstance(key.get("elem"), dict):
        comment, key = str(key["elem"].get("comment", "")), key["elem"].get("val")
    parts = key["concat"] if isinstance(key, dict) and isinstance(key.get("concat"), list) else [key]
    return Element(tuple(map(_expression, parts)), "" if value is None else _expression(value), comment)


def _expression(made: object) -> str:
    """Return an expression in nft's own words, as far as they are looked at; others by their name."""
    if isinstance(made, list):
        return ", ".join(map(_expression, made))
    if not isinstance(made, dict) or not made:
        return "" if made is None else str(made)
    kind, said = next(iter(made.items()))
    write = _WORDS.get(kind)
    if write is None or not isinstance(said, (dict, list)):
        return kind if said is None or not isinstance(said, str) else f"{kind} {said}"
    try:
        return str(write(said))
    except (AttributeError, TypeError):  # a shape that nft does not write
        return str(kind)


def _match(said: Mapping[str, Any]) -> str:
    sign = "" if said.get("op") in ("==", "in") else f"{said.get('op')} "
    return f"{_expression(said.get('left'))} {sign}{_expression(said.get('right'))}"


def _items(said: list[Any]) -> str:
    pairs = (
        f"{_expression(i[0])} : {_expression(i[1])}" if isinstance(i, list) and len(i) == 2 else _expression(i)
        for i in said
    )
    return "{ " + ", ".join(pairs) + " }"


def _dnat(said: Mapping[str, Any]) -> str:
    address = _expression(said.get("addr"))
    if "port" not in said:
        return f"dnat to {address}"
    return f"dnat to {f'[{address}]' if ':' in address else address}:{_expression(said['port'])}"


_WORDS: dict[str, Any] = {
    "match": _match,
    "payload": lambda said: f"{said.get('protocol')} {said.get('field')}",
    "meta": lambda said: f"meta {said.get('key')}",
    "ct": lambda said: f"ct {said.get('key')}",
    "fib": lambda said: f"fib {_expression(said.get('flags'))} {said.get('result')}",
    "&": lambda said: " & ".join(map(_expression, said)),
    "|": lambda said: " | ".join(map(_expression, said)),
    "^": lambda said: " ^ ".join(map(_expression, said)),
    "mangle": lambda said: f"{_expression(said.get('key'))} set {_expression(said.get('value'))}",
    "range": lambda said: "-".join(map(_expression, said)),
    "prefix": lambda said: f"{said.get('addr')}/{said.get('len')}",
    "set": lambda said: _items(said) if isinstance(said, list) else f"update {said.get('set')}",
    "concat": lambda said: " . ".join(map(_expression, said)),
    "numgen": lambda said: f"numgen {said.get('mode')} mod {said.get('mod')}",
    "vmap": lambda said: f"{_expression(said.get('key'))} vmap {_expression(said.get('data'))}",
    "map": lambda said: f"{_expression(said.get('key'))} map {_expression(said.get('data'))}",
    "jump": lambda said: f"jump {said.get('target')}",
    "goto": lambda said: f"goto {said.get('target')}",
    "dnat": _dnat,
}
