"""Block YAML as kubectl prints it is read line by line, several times faster than by way of nodes.

Each line is a key, a key with a value, or a value, with dashes before it; a value is one plain or quoted text of ASCII,
``{}``, ``[]``, or a literal block.  Of a text with any other line nothing is read here: comments, escapes, folded and
continued texts, anchors, tags, flow collections and everything wrong are the composer's.
"""

from __future__ import annotations

import re
from sys import intern

from kpsim.documents.nodes import plain

REMEMBERED = 1 << 14  # values: a dump repeats itself, and one object stands for all of a text
DEEPEST = 100  # containers in each other; real objects have about fifteen

_KEY = r"[A-Za-z0-9_./][A-Za-z0-9_./-]{0,250}+(?::[A-Za-z0-9_./-]{1,250}+){0,2}"
_LINE = re.compile(rf"^( *+)((?:- )*+)(?:({_KEY}):(?: (?:\|(-?)((?:\n\1 +[!-~][ -~]*)+)|(.+)))?|(.+))$", re.MULTILINE)
_PLAIN = re.compile(
    r"(?:[A-Za-z0-9_./]|--?(?=[A-Za-z0-9]))(?:[!\"$-9;-~]++|:(?=[!-~])|(?<=[!-~])\#|\ ++(?=[!\"$-~]))*+"
)
_DOUBLE = re.compile(r'"[ !#-\[\]-~]*"')
_SINGLE = re.compile(r"'(?:[ -&(-~]++|'')*+'")

Remembered = dict[str, object]
Line = tuple[str, str, str, str, str, str, str]
Mapping = dict[str, object]
Container = list[object] | Mapping


def read_regular(text: str, remembered: Remembered) -> list[object] | None:
    r"""Return a sequence as plain data, or ``None`` where a line is not regular; ``remembered`` is kept between texts.

    >>> read_regular("- name: web\n  ports:\n  - port: 80\n", {})
    [{'name': 'web', 'ports': [{'port': 80}]}]
    >>> read_regular("- name: web # a comment\n", {}) is None
    True
    """
    lines = _LINE.findall(text)
    within = sum([line[4].count("\n") for line in lines if line[4]])
    if not lines or not text.endswith("\n") or len(lines) + within != text.count("\n"):
        return None
    if len(remembered) > REMEMBERED:
        remembered.clear()
    try:
        return _built(lines, remembered)
    except ValueError:  # of too many digits too, which are for the composer to tell
        return None


class _IrregularError(ValueError):
    """A text that only the composer reads right, or says what is wrong with it."""


def _built(lines: list[Line], remembered: Remembered) -> list[object]:
    """Return what the lines say: each container that is open stands on a stack with its column."""
    root: list[object] = []
    opened: list[tuple[int, Container]] = [(len(lines[0][0]), root)]
    waiting: tuple[Mapping, str, int] | None = None  # a key without a value so far, in this column
    at: int | None = None  # the column of the mapping that the line before stood in
    inner: Mapping = {}  # that mapping
    for indent, dashes, key, chomped, block, value, item in lines:
        column = len(indent)
        if column != at or dashes:  # most lines follow one of their own mapping
            top = _stepped(column, bool(dashes), opened, waiting)
            if dashes:
                column, top = _entered(column, top, dashes, opened, mapping=bool(key))
            if not key:
                if type(top) is not list or block:
                    raise _IrregularError
                top.append(_value(item, remembered))
                at = waiting = None
                continue
            if type(top) is not dict:
                raise _IrregularError
            at, inner = column, top
        if not key or key in inner:
            raise _IrregularError
        name = intern(key)
        waiting = None
        if value:
            found = remembered.get(value, remembered)
            inner[name] = _value(value, remembered) if found is remembered else found
        elif block:
            inner[name] = _literal(block, chomped, dashes)
        else:
            inner[name] = None
            waiting = inner, name, column
    return root


def _stepped(
    column: int, dashed: bool, opened: list[tuple[int, Container]], waiting: tuple[Mapping, str, int] | None
) -> Container:
    """Open the value that a key waits for, or close what ends before a line, and return what the line stands in."""
    if waiting is not None:
        mapping, name, above = waiting
        if column > above or (dashed and column == above):
            inner: Container = [] if dashed else {}
            mapping[name] = inner
            opened.append((column, inner))
    at, top = opened[-1]
    while at > column or (at == column and not dashed and type(top) is list):
        opened.pop()
        at, top = opened[-1] if opened else (-1, top)
    if at != column or len(opened) > DEEPEST:
        raise _IrregularError
    return top


def _entered(
    column: int, top: Container, dashes: str, opened: list[tuple[int, Container]], *, mapping: bool
) -> tuple[int, Container]:
    """Begin an item for each dash of a line, and return the column and the container that the rest of it stands in."""
    for last in range(2, len(dashes) + 1, 2):
        if type(top) is not list:
            raise _IrregularError
        if last == len(dashes) and not mapping:
            break
        inner: Container = {} if last == len(dashes) else []
        top.append(inner)
        column, top = column + 2, inner
        opened.append((column, inner))
    return column, top


def _value(written: str, remembered: Remembered) -> object:
    found = remembered.get(written, remembered)
    if found is not remembered:
        return found
    if written == "{}":
        return {}
    if written == "[]":
        return []
    if _PLAIN.fullmatch(written):
        found = plain(written)
    elif _DOUBLE.fullmatch(written):
        found = written[1:-1]
    elif _SINGLE.fullmatch(written):
        found = written[1:-1].replace("''", "'")
    else:
        raise _IrregularError
    remembered[written] = found
    return found


def _literal(block: str, chomped: str, dashes: str) -> str:
    """Return the text of a literal block: the first line's indent is that of all."""
    lines = block.split("\n")[1:]
    indent = " " * (len(lines[0]) - len(lines[0].lstrip(" ")))
    if dashes or not all(line.startswith(indent) for line in lines):
        raise _IrregularError
    return "\n".join([line[len(indent) :] for line in lines]) + ("" if chomped else "\n")
