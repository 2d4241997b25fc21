"""The errors that kpsim raises, as a tree, and the shape of every message.

    KpsimError
    ├── InputError      a file or an option says something kpsim cannot take      exit 3
    ├── GuardError      the run would take more memory, events or time than asked exit 4
    └── MissingExtra    an optional dependency is not installed                   exit 2

An :class:`InputError` carries *all* problems of a reading, sorted by place, because a user who mends one line at a
time and runs again each time is a user we have made wait.  This module must not know what any problem is about.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from unicodedata import category

LONGEST_TEXT = 2000  # characters of one part of a message
MOST_SHOWN = 200  # problems in one message
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[a-zA-Zµ]*")
_MOVES = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))  # controls, directions of writing, halves of pairs, line ends
SHORTEST_BEGINNING = 3  # letters of a word of which the rest can be guessed


def nearest(word: str, words: Collection[str], cutoff: float = 0.6) -> str:
    """Return the one of ``words`` that is spelt most like ``word``, or alone begins with it; "" if none is near.

    >>> nearest("iptabels", ["iptables", "ipvs"]), nearest("NFT", ["iptables", "nftables"])
    ('iptables', 'nftables')
    """
    from difflib import get_close_matches  # not needed until something is wrong

    folded = {known.lower(): known for known in words}
    close = get_close_matches(word.lower(), folded, 1, cutoff)
    longer = [known for known in folded if known.startswith(word.lower())] if len(word) >= SHORTEST_BEGINNING else []
    return next((folded[found] for found in (*close, *longer[: len(longer) == 1])), "")


def did_you_mean(word: str, words: Collection[str], otherwise: str = "") -> str:
    """Return the question whether the nearest of ``words`` was meant, or ``otherwise`` if none is near."""
    near = nearest(word, words)
    return f"did you mean {near}?" if near else otherwise


def shown(text: str) -> str:
    """Return text that is safe on a terminal: control characters as escapes, what is longer than a page cut.

    >>> shown("one" + chr(7)) == "one" + chr(92) + "x07"
    True
    """
    if len(text) > LONGEST_TEXT:
        text = f"{text[:LONGEST_TEXT]}… ({len(text):,} characters)"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else _escaped(c) for c in text)


def inert(text: str) -> str:
    r"""Return text in which nothing moves a terminal or turns its line around; what is printable stays.

    >>> inert("two" + chr(9) + "words" + chr(10)) == "two" + chr(9) + "words" + chr(10)
    True
    >>> print(inert("a" + chr(27) + "[2J" + chr(0x202E)))
    a\x1b[2J\u202e
    """
    if text.isprintable():
        return text
    escapes = {ord(c): _escaped(c) for c in set(text) if c not in "\n\t" and category(c) in _MOVES}
    return text.translate(escapes) if escapes else text


def inert_json(document: object) -> str:
    """Return a document as JSON in which whatever could move a terminal is written as JSON's own escapes."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    return text if inert(text) == text else json.dumps(document, indent=2, allow_nan=False)


def inert_cell(text: str) -> str:
    """Return a text for a table of values, which no spreadsheet takes for a formula and runs.

    >>> inert_cell("=cmd|' /C calc'!A0"), inert_cell("-1.5"), inert_cell("p99 < 1s")
    ("'=cmd|' /C calc'!A0", '-1.5', 'p99 < 1s')
    """
    formula = text[:1] in ("=", "+", "-", "@", "\t", "\r") and not _NUMBER.fullmatch(text)
    return inert(f"'{text}" if formula else text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


class KpsimError(Exception):
    """Anything kpsim reports to a user in one message instead of a traceback."""

    exit_code = 1


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A position in a text: ``file:line:col``, lines and columns counted from 1 (0 means unknown)."""

    file: str = ""
    line: int = 0
    col: int = 0

    def __str__(self) -> str:
        parts = [self.file] if self.file else []
        if self.line:
            parts += [str(self.line), str(self.col)]
        return ":".join(parts)


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong, where, and how to mend it.

    ``path`` and ``kind`` are the API server's words for the field of the object and for what is wrong with it, where
    it is the API server that would refuse.
    """

    place: Place
    key: str = ""
    what: str = ""
    mend: str = ""
    text: str = field(default="", compare=False)
    path: str = field(default="", compare=False)
    kind: str = field(default="", compare=False)

    def __str__(self) -> str:
        where = f"{shown(str(self.place))}: " if str(self.place) else ""
        key = f"{shown(self.key)}: " if self.key else ""
        lines = [f"{where}{key}{shown(self.what)}"]
        if self.text:
            lines += [f"    {self.text}", "    " + " " * (self.place.col - 1) + "^"]
        if self.mend:
            lines.append(f"    {shown(self.mend)}")
        return "\n".join(lines)


class InputError(KpsimError):
    """All faults in the user's input, found in one pass, sorted by place."""

    exit_code = 3

    def __init__(self, problems: Iterable[Problem] | str) -> None:
        if isinstance(problems, str):
            problems = [Problem(Place(), what=problems)]
        self.problems = tuple(sorted(problems))
        lines = [str(problem) for problem in self.problems[:MOST_SHOWN]]
        if len(self.problems) > MOST_SHOWN:
            lines.append(f"and {len(self.problems) - MOST_SHOWN:,} problems more")
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[type[InputError], tuple[tuple[Problem, ...]]]:
        return (type(self), (self.problems,))


class GuardError(KpsimError):
    """The run was stopped before it started because it would take more than it may."""

    exit_code = 4


class MissingExtra(KpsimError):
    """An optional dependency is needed and not installed; the message names it."""

    exit_code = 2
