"""Large YAML is composed in pieces: one document or one item of a list at a time, so that few nodes live at once.

A node of YAML's takes a kilobyte, forty times what it stands for.  Where text can be cut at the beginning of a line
without a change of meaning, each piece is composed, turned into plain data and forgotten; its nodes are composed
again for the place of a part that is wrong.
"""

from __future__ import annotations

import re
from itertools import accumulate, pairwise
from typing import Any, cast

import yaml

from kpsim.documents.document import Early, Key
from kpsim.documents.nodes import Builder, Nodes
from kpsim.documents.regular import read_regular
from kpsim.documents.source import Source
from kpsim.errors import Place, Problem

LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
LARGE = 500_000  # characters; below this a text is composed as a whole

_SHARED = re.compile(r"(?<![^\s\[{,:])[&*][^\s,\[\]{}]")  # an anchor, an alias
_CUT = re.compile(r"^(?:---|\.\.\.)(?=\s|$)", re.MULTILINE)
_ITEMS = re.compile(r"^items:[ \t]*\n(?=( *)- )", re.MULTILINE)
_BREAKS = "\r\x85\u2028\u2029"
_NOT_PLAIN = re.compile(r"^[^\s#]", re.MULTILINE)


class Piecewise:
    """A document of ``items``: the text before and after them, and where each item begins."""

    is_yaml = True

    def __init__(self, source: Source, start: int, end: int, cuts: list[int], tail: int) -> None:
        self._source = source
        self._start, self._end, self._tail = start, end, tail
        self._list = source.text.rindex(":", start, cuts[0]) + 1
        self._cuts = [*cuts, tail]  # offsets of the items' first characters, and of the end of the last
        self._lines: list[int] = []  # of the cuts
        self._last: tuple[int | None, Nodes] | None = None

    def build(self, early: Early) -> dict[str, object] | None:
        """Return the document as plain data; ``None`` if a piece is wrong, which only the whole text can tell well."""
        text = self._source.text
        rest = self._piece(text[self._start : self._list] + " []\n" + text[self._tail : self._end])
        items: list[object] = []
        remembered: dict[str, object] = {}
        for start, end in pairwise(self._cuts):
            piece = text[start:end]
            item = read_regular(piece, remembered) or self._piece(piece)
            if not isinstance(item, list) or len(item) != 1:
                return None
            items.append(early(item[0]))
        if not isinstance(rest, dict) or rest.get("items") != []:
            return None
        rest["items"] = items
        return rest

    def _piece(self, text: str) -> object:
        builder = Builder(Source(self._source.file, text))
        try:
            made = builder.build(_compose(text))
        except (yaml.YAMLError, UnicodeEncodeError):
            return None
        return None if builder.problems else made

    def _within(self, key: Key) -> tuple[Nodes, Key]:
        """Return nodes that hold the value under ``key``, with their lines in the text, and the key from there."""
        number = self._number(key)
        if self._last is None or self._last[0] != number:
            start, end = (self._start, self._end) if number is None else self._cuts[number : number + 2]
            before = "\n" * (self._source.place_at(start).line - 1)
            self._last = number, Nodes(_compose(before + self._source.text[start:end]), self._source)
        return self._last[1], key if number is None else (0, *key[2:])

    def _number(self, key: Key) -> int | None:
        """Return the number of the item that holds ``key``; ``None`` outside of items."""
        item = key[1] if len(key) > 1 and key[0] == "items" else None
        return item if isinstance(item, int) and item < len(self._cuts) - 1 else None

    def place(self, key: Key, *, on_key: bool) -> Place:
        """Return the place of the value under ``key`` (or of the key); without one, that of the nearest part above."""
        nodes, within = self._within(key)
        return nodes.place(within, on_key=on_key)

    def written(self, key: Key) -> str | None:
        """Return the scalar under ``key`` as it was typed."""
        nodes, within = self._within(key)
        return nodes.written(within)

    def traps(self) -> list[Problem]:
        """Return none: a list of items is not a scenario."""
        return []

    def cheap_place(self, key: Key) -> Place:
        """Return the place of the item that holds ``key``, without composing it."""
        number = self._number(key)
        if number is None:
            return Place(self._source.file)
        if not self._lines:  # in steps, because a text has a hundred times as many lines as items
            text = self._source.text
            steps = (text.count("\n", start, end) for start, end in pairwise([0, *self._cuts]))
            self._lines = [1 + lines for lines in accumulate(steps)]
        column = self._source.text.index("-", self._cuts[number]) - self._cuts[number] + 3
        return Place(self._source.file, self._lines[number], column)


def cut(source: Source) -> list[Piecewise] | None:
    """Return the documents of a large text in pieces; ``None`` where it is small or cannot be cut safely."""
    text = source.text
    if (
        len(text) < LARGE
        or any(mark in text for mark in _BREAKS)
        or text.startswith("%")
        or "\n%" in text
        or _shared(text)
    ):
        return None
    starts = [0, *(match.end() for match in _CUT.finditer(text))]
    ends = [*(match.start() for match in _CUT.finditer(text)), len(text)]
    documents = []
    for start, end in zip(starts, ends, strict=True):
        if not _NOT_PLAIN.search(text, start, end):
            continue
        found = _items(source, start, end)
        if found is None:
            return None
        documents.append(found)
    return documents


def _shared(text: str) -> bool:
    """Return True if a part of the text may stand for another one."""
    return ("&" in text or "*" in text) and _SHARED.search(text) is not None


def _items(source: Source, start: int, end: int) -> Piecewise | None:
    """Return a document cut at the items of its list; ``None`` if it has no list of items at the top."""
    match = _ITEMS.search(source.text, start, end)
    if match is None:
        return None
    dash = re.compile(rf"^{match[1]}- ", re.MULTILINE)
    after = re.compile(r"^[^\s#-]" if not match[1] else r"^[^\s#]", re.MULTILINE).search(source.text, match.end(), end)
    tail = after.start() if after else end
    return Piecewise(source, start, end, [at.start() for at in dash.finditer(source.text, match.end(), tail)], tail)


def _compose(text: str) -> yaml.Node:
    node: Any = yaml.compose(text, Loader=LOADER)
    return cast("yaml.Node", node)
