"""A text under its name, with the places in it."""

from __future__ import annotations

import re
from bisect import bisect_right

from kpsim.errors import Place

LONGEST_EXCERPT = 160  # characters; a longer line is not shown

_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")


class Source:
    """A text under the name it was read with; gives line and column of an offset, and a line to show."""

    __slots__ = ("_starts", "file", "text")

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self._starts: list[int] | None = None

    def _lines(self) -> list[int]:
        if self._starts is None:
            self._starts = [0, *(match.end() for match in _BREAK.finditer(self.text))]
        return self._starts

    def place_at(self, offset: int) -> Place:
        """Line and column, both from 1, of a character offset."""
        line = bisect_right(self._lines(), offset)
        return Place(self.file, line, offset - self._lines()[line - 1] + 1)

    def at(self, place: Place) -> str:
        """Return the character at a place; "" beyond the end of the text."""
        starts = self._lines()
        if not 0 < place.line <= len(starts):
            return ""
        offset = starts[place.line - 1] + place.col - 1
        return self.text[offset : offset + 1]

    def excerpt(self, place: Place) -> str:
        """Return the line of ``place``, safe to print; "" if it is too long to show."""
        starts = self._lines()
        if not 0 < place.line <= len(starts):
            return ""
        end = starts[place.line] if place.line < len(starts) else len(self.text)
        line = self.text[starts[place.line - 1] : end].rstrip("\r\n\x85\u2028\u2029 \t")
        if len(line) > LONGEST_EXCERPT or not line.strip():
            return ""
        return "".join(c if c.isprintable() else " " for c in line)
