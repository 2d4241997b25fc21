"""A YAML text's nodes, with what they become and where they stand.

Plain scalars by YAML 1.1's rules as kubectl applies them,
duplicate keys, and the traps.  It must not know what a key stands for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from sys import intern

import yaml

from kpsim.documents.document import Key
from kpsim.documents.source import Source
from kpsim.errors import Place, Problem

MAX_DEPTH = 200  # levels; real objects have about fifteen
MOST_COPIED = 100_000  # values that aliases may stand for; charts that use them have some hundred

_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_TRUE = frozenset(("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"))
_FALSE = frozenset(("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"))
_MAYBE_NUMBER = frozenset("0123456789+-.")
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9_]*)")
_OCTAL = re.compile(r"[-+]?0[0-7_]+")
_OTHER_INT = re.compile(r"[-+]?(?:0x[0-9a-fA-F_]+|0o[0-7_]+|0b[01_]+)")
_FLOAT = re.compile(r"[-+]?(?:[0-9][0-9_]*(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_ENDLESS = re.compile(r"[-+]?\.(?:inf|Inf|INF|nan|NaN|NAN)")
_SEXAGESIMAL = re.compile(r"[-+]?[0-9]+(?::[0-5]?[0-9])+(?:\.[0-9]*)?")
_PLAIN_TAGS = frozenset(f"tag:yaml.org,2002:{t}" for t in ("str", "seq", "map", "int", "float", "bool", "null"))


class Builder:
    """Turns nodes into plain data, collecting every problem on the way."""

    def __init__(self, source: Source) -> None:
        self.problems: list[Problem] = []
        self._source = source
        self._made: dict[int, object] = {}
        self._sizes: dict[int, int] = {}  # values in what was made, those of its aliases counted each time
        self._values = 0
        self._copied = 0
        self._open: set[int] = set()

    def build(self, node: yaml.Node, depth: int = 0) -> object:
        """Mappings, lists, text, numbers, truth values and ``None``."""
        self._values += 1
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        known = id(node)
        if known in self._made:  # an alias: the same object again, so that a bomb of aliases stays small
            return self._copy(node)
        if known in self._open or depth > MAX_DEPTH:
            deep = f"is nested more than {MAX_DEPTH} levels deep"
            self._add(node, "contains itself" if known in self._open else deep)
            return None
        self._open.add(known)
        before = self._values
        made = self._mapping(node, depth) if isinstance(node, yaml.MappingNode) else self._sequence(node, depth)
        self._open.discard(known)
        self._made[known], self._sizes[known] = made, self._values - before
        return made

    def _copy(self, node: yaml.Node) -> object:
        """Return the object that an alias stands for; None once all aliases together stand for too many values."""
        size = self._sizes[id(node)]
        self._values += size
        if self._copied <= MOST_COPIED < self._copied + size:
            self._add(node, f"aliases stand for more than {MOST_COPIED:,} values", "write it out where it is meant")
        self._copied += size
        return self._made[id(node)] if self._copied <= MOST_COPIED else None

    def _add(self, node: yaml.Node, what: str, mend: str = "") -> None:
        place = _place(node, self._source)
        self.problems.append(Problem(place, what=what, mend=mend, text=self._source.excerpt(place)))

    def _sequence(self, node: yaml.Node, depth: int) -> list[object]:
        self._check_tag(node)
        return [self.build(item, depth + 1) for item in node.value]

    def _mapping(self, node: yaml.Node, depth: int) -> dict[str, object]:
        self._check_tag(node)
        made: dict[str, object] = {}
        merged: dict[str, object] = {}
        lines: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._add(key, "a key must be plain text, not a mapping or a list")
            elif key.value == "<<" and not key.style:
                built = self.build(value, depth + 1)
                if not _mergeable(built):
                    self._add(
                        value, "<< takes in a mapping, or a list of mappings", "name one by its anchor: <<: *name"
                    )
                for part in _parts(built):
                    merged = {**part, **merged}
            elif key.value in lines:
                first = lines[key.value]
                self._add(key, f"the key {_shown(key.value)} is written twice", f"it is on line {first} already")
            else:
                lines[key.value] = key.start_mark.line + 1
                made[intern(key.value)] = self.build(value, depth + 1)  # a key is one text however often written
        return {**merged, **made} if merged else made

    def _check_tag(self, node: yaml.Node) -> None:
        if node.tag not in _PLAIN_TAGS:
            self._add(node, f"the tag {_shown(str(node.tag))} is not taken", "write plain YAML without tags")

    def _scalar(self, node: yaml.ScalarNode) -> object:
        value: str = node.value
        if node.tag not in _PLAIN_TAGS:
            self._check_tag(node)
            return None
        if node.style:
            return value
        try:
            return plain(value)
        except ValueError:
            self._add(node, "the number has too many digits")
            return None


def plain(value: str) -> object:
    """Return the value of a plain scalar.  Raises ``ValueError`` for a number of too many digits."""
    if value in _NULL:
        return None
    if value[0] not in _MAYBE_NUMBER:
        return True if value in _TRUE else False if value in _FALSE else value
    return _number(value)


def _number(value: str) -> object:
    if _INT.fullmatch(value):
        return int(value)
    if _OCTAL.fullmatch(value):
        return int(value.replace("_", ""), 8)
    if _OTHER_INT.fullmatch(value):
        return int(value, 0)
    if _FLOAT.fullmatch(value):
        return float(value.replace("_", ""))
    if _ENDLESS.fullmatch(value):
        return float(value.replace(".", ""))
    return value


def _mergeable(value: object) -> bool:
    """Return True if a value is what ``<<`` may stand before; a problem inside it is said there."""
    return value is None or isinstance(value, dict) or (isinstance(value, list) and all(map(_mergeable, value)))


def _parts(value: object) -> Iterator[dict[str, object]]:
    for part in value if isinstance(value, list) else [value]:
        if isinstance(part, dict):
            yield part


def _place(node: yaml.Node, source: Source) -> Place:
    return Place(source.file, node.start_mark.line + 1, node.start_mark.column + 1)


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


class Nodes:
    """The nodes of one document, which know where they stand."""

    is_yaml = True
    __slots__ = ("_inside", "_root", "_source")

    def __init__(self, root: yaml.Node, source: Source) -> None:
        self._root = root
        self._source = source
        self._inside: dict[int, dict[str, tuple[yaml.Node, yaml.Node]]] = {}  # mappings that were looked into, by id

    def place(self, key: Key, *, on_key: bool) -> Place:
        """Return the place of the value under ``key`` (or of the key); without one, that of the nearest part above."""
        on = node = self._root
        for index, part in enumerate(key):
            step = self._step(node, part)
            if step is None:
                return _place(on if index else node, self._source)
            on, node = step
        if on_key or (isinstance(node, yaml.ScalarNode) and not node.value and not node.style):
            return _place(on, self._source)  # an empty value has no place worth showing
        return _place(node, self._source)

    def cheap_place(self, key: Key) -> Place:
        """:meth:`place`: a node knows it."""
        return self.place(key, on_key=False)

    def written(self, key: Key) -> str | None:
        """Return the scalar under ``key`` as it was typed."""
        node = self._root
        for part in key:
            step = self._step(node, part)
            if step is None:
                return None
            node = step[1]
        return str(node.value) if isinstance(node, yaml.ScalarNode) else None

    def traps(self) -> list[Problem]:
        """Return problems for scalars that YAML 1.1 reads as something else than was meant, and for aliases."""
        return traps_in(self._root, self._source)

    def _step(self, node: yaml.Node, part: str | int) -> tuple[yaml.Node, yaml.Node] | None:
        """Return the node of the key of one part, and the node under it."""
        if isinstance(node, yaml.MappingNode):
            if id(node) not in self._inside:
                pairs = (at for at in reversed(node.value) if isinstance(at[0], yaml.ScalarNode))
                self._inside[id(node)] = {key.value: (key, value) for key, value in pairs}
            return self._inside[id(node)].get(str(part)) if isinstance(part, str) else None
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            return node.value[part], node.value[part]
        return None


def traps_in(root: yaml.Node, source: Source) -> list[Problem]:
    """Problems for scalars that YAML 1.1 reads as something else than was meant, and for aliases."""
    problems: list[Problem] = []
    seen: set[int] = set()
    waiting: list[tuple[yaml.Node, yaml.Node, str]] = [(root, root, "")]
    while waiting:
        on, node, name = waiting.pop()
        scalar = isinstance(node, yaml.ScalarNode)
        trap = _trap(node) if isinstance(node, yaml.ScalarNode) else _alias(node, seen)
        if trap:
            place = _place(node if scalar else on, source)  # an alias has no place, its key has
            problems.append(Problem(place, name, trap[0], trap[1], source.excerpt(place)))
        if not scalar and id(node) not in seen:
            seen.add(id(node))
            waiting += reversed([*_inside(node, name, top=node is root)])
    return problems


def _inside(node: yaml.Node, name: str, *, top: bool) -> Iterator[tuple[yaml.Node, yaml.Node, str]]:
    """Yield (key's node, value's node, value's name) for each entry of a collection."""
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield item, item, f"{name}[{index}]"
        return
    keys = {key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)}
    if not top and {"apiVersion", "kind"} <= keys:
        return
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode):
            yield key, value, f"{name}.{key.value}" if name else str(key.value)


def _alias(node: yaml.Node, seen: set[int]) -> tuple[str, str] | None:
    if id(node) in seen:
        return "is used a second time through an alias", "write it out: aliases are not taken in a scenario"
    return None


def _trap(node: yaml.ScalarNode) -> tuple[str, str] | None:
    value = node.value
    if node.style or value in _NULL:
        return None
    if value.lower() in ("on", "yes") or value.lower() in ("off", "no"):
        truth = "true" if value in _TRUE else "false"
        return f"YAML reads {value} as {truth}", f"write {truth}, or quote it if it is text: '{value}'"
    if _OCTAL.fullmatch(value):
        plain = value.lstrip("0") or "0"
        return f"YAML reads {value} as an octal number", f"write {plain}, or quote it if it is text: '{value}'"
    if _SEXAGESIMAL.fullmatch(value):
        return f"YAML reads {value} as a number to base 60", f"quote it ('{value}'), or write a duration such as 1m30s"
    return None
