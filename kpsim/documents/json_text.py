"""JSON goes through the standard parser, and is searched for places only after something was found wrong."""

from __future__ import annotations

import json
import re
from sys import intern
from typing import NoReturn

from kpsim.documents.document import Document, Early, Key, as_it_is
from kpsim.documents.nodes import MAX_DEPTH
from kpsim.documents.refusals import HELM, refuse, refuse_template
from kpsim.documents.source import Source
from kpsim.errors import InputError, Place, Problem

LARGE_JSON = 1_000_000  # characters; beyond this a failed JSON text is not tried again as YAML

LONGEST_WORD = 20  # characters

_SPACE = re.compile(r"[ \t\r\n]*")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class _NotPlain(ValueError):
    """JSON that the standard parser takes and we do not: a duplicate key, NaN."""


def _mapping(pairs: list[tuple[str, object]]) -> dict[str, object]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise _NotPlain("duplicate key")
    return mapping


def _constant(name: str) -> NoReturn:
    raise _NotPlain(f"{name} is not JSON")


def load_json(source: Source, early: Early = as_it_is) -> tuple[Document, ...] | None:
    """Return the JSON documents of a text (one or several after each other); ``None`` if it should be tried as YAML."""
    decoder = json.JSONDecoder(object_pairs_hook=_mapping, parse_constant=_constant)
    text, at, documents = source.text, _skip(source.text, 0), []
    halves = _SURROGATE.search(text)
    try:
        while at < len(text):
            large = len(text) >= LARGE_JSON and not halves
            data, end = (large and _by_item(decoder, text, at, early)) or decoder.raw_decode(text, at)
            if halves:
                json.dumps(data, ensure_ascii=False).encode()  # half a character cannot be written anywhere
            documents.append(Document(source, data, _JsonPlaces(source, at)))
            at = _skip(text, end)
        return tuple(documents)
    except json.JSONDecodeError as error:
        if len(text) < LARGE_JSON and not source.file.endswith(".json"):
            return None
        if len(text) < LARGE_JSON and HELM.search(text):
            refuse_template(source)
        place = source.place_at(error.pos)
        ends = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated")
        what = "the JSON ends too early" if ends else f"is not JSON: {error.msg.lower()}"
        mend = "it was cut off: print it again, and wait until it is whole" if ends else ""
        raise InputError([Problem(place, what=what, mend=mend, text=source.excerpt(place))]) from None
    except RecursionError:
        refuse(source.file, f"is nested more than {MAX_DEPTH} levels deep")
    except UnicodeEncodeError:
        refuse(source.file, "is not text: it has half a character (a lone surrogate)")
    except ValueError as error:
        if len(text) < LARGE_JSON:
            return None  # the YAML reader refuses the same things and knows where they stand
        refuse(source.file, f"is not JSON kpsim can take: {error}")


def _by_item(decoder: json.JSONDecoder, text: str, at: int, early: Early) -> tuple[object, int] | None:
    """Return a mapping of which each of the ``items`` was taken as soon as it was read, and its end.

    Return ``None`` for anything else, and for everything wrong, which is best told by the decoder of the whole.
    """
    data: dict[str, object] = {}
    try:
        at = _expect("{", text, at)
        while text[at] == '"':
            key, at = decoder.raw_decode(text, at)
            at = _expect(":", text, _skip(text, at))
            if key in data:
                return None
            if key == "items" and text[at] == "[":
                data[key], at = _items(decoder, text, at, early)
            else:
                data[key], at = decoder.raw_decode(text, at)
            at = _skip(text, at)
            if text[at] == "}":
                return data, at + 1
            at = _expect(",", text, at)
    except (ValueError, IndexError):
        return None
    return None


def _items(decoder: json.JSONDecoder, text: str, at: int, early: Early) -> tuple[list[object], int]:
    items: list[object] = []
    at = _expect("[", text, at)
    if text[at] == "]":
        return items, at + 1
    while True:
        item, at = decoder.raw_decode(text, at)
        kept = early(item)
        items.append(_sharing(kept) if kept is item else kept)
        at = _skip(text, at)
        if text[at] == "]":
            return items, at + 1
        at = _expect(",", text, at)


def _sharing(value: object) -> object:
    """Return plain data in which a key, or a word, is one text however often it is decoded."""
    if type(value) is dict:
        return {intern(key): _sharing(inner) for key, inner in value.items()}
    if type(value) is list:
        return [_sharing(inner) for inner in value]
    return intern(value) if type(value) is str and len(value) < LONGEST_WORD and value.isalpha() else value


def _expect(sign: str, text: str, at: int) -> int:
    """Return the offset of what follows a sign.  Raises ``ValueError`` if another stands there."""
    if text[at] != sign:
        raise ValueError(text[at])
    return _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


class _JsonPlaces:
    """Looks up the place of a part of a valid JSON text, remembering each container it walked through."""

    is_yaml = False

    def __init__(self, source: Source, start: int) -> None:
        self._source = source
        self._text = source.text
        self._start = start
        self._decoder = json.JSONDecoder()
        self._seen: dict[int, dict[str | int, tuple[int, int]]] = {}

    def place(self, key: Key, *, on_key: bool) -> Place:
        """Return the place of the value under ``key`` (or of the key); without one, that of the nearest part above."""
        at, on = self._start, self._start
        for part in key:
            child = self._children(at).get(part)
            if child is None:
                return self._source.place_at(at)
            on, at = child
        return self._source.place_at(on if on_key else at)

    def cheap_place(self, _key: Key) -> Place:
        """Return the file: a line must be searched for."""
        return Place(self._source.file)

    def written(self, _key: Key) -> None:
        """Return nothing: JSON says of itself if a value is text."""

    def traps(self) -> list[Problem]:
        """Return none: JSON has no surprises."""
        return []

    def _children(self, at: int) -> dict[str | int, tuple[int, int]]:
        if at not in self._seen:
            opening = self._text[at]
            self._seen[at] = self._walk(at, named=opening == "{") if opening in "{[" else {}
        return self._seen[at]

    def _walk(self, at: int, *, named: bool) -> dict[str | int, tuple[int, int]]:
        text, found = self._text, dict[str | int, tuple[int, int]]()
        at = _skip(text, at + 1)
        while text[at] not in "]}":
            key: str | int = len(found)
            on = at
            if named:
                key, at = self._decoder.raw_decode(text, at)
                at = _skip(text, _skip(text, at) + 1)  # over the colon
            found[key] = (on, at)
            at = _skip(text, self._decoder.raw_decode(text, at)[1])
            if text[at] == ",":
                at = _skip(text, at + 1)
        return found
