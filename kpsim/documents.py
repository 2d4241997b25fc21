"""Text to a tree with line and column: YAML and JSON, one document or many.

JSON goes through the standard parser and is searched for places only after something was found wrong, because dumps
are large and mostly right.  YAML is composed into nodes, which know where they stand, and turned into plain data here:
no tag of YAML's can make anything but mappings, lists, text, numbers, truth values and nothing.

This module has no meaning: it must not know what a key stands for.  It opens no file; it takes bytes and a name.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import zlib
from collections.abc import Callable
from typing import Any, NoReturn

import yaml

from kpsim.errors import InputError, Place, Problem
from kpsim.yamltree import MAX_DEPTH, Builder, Source, place_of, raw_text, traps_in

Key = tuple[str | int, ...]

MAX_TEXT_BYTES = 1 << 30  # a limit on everything: what a small compressed file may unfold to
LARGE_JSON = 1_000_000  # characters; beyond this a failed JSON text is not tried again as YAML

_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_SPACE = re.compile(r"[ \t\r\n]*")
_BRACKET = re.compile(r"[\[\]{}]")
_PREFIX = re.compile(r"^[ \-?:]*", re.MULTILINE)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_HELM = re.compile(r"\{\{")


class Document:
    """One document of a text: plain data, and on demand the place of any part of it."""

    __slots__ = ("_find", "_node", "data", "source")

    def __init__(
        self, source: Source, data: object, node: yaml.Node | None, find: Callable[[Key, bool], int] | None = None
    ) -> None:
        self.source = source
        self.data = data
        self._node = node
        self._find = find

    @property
    def file(self) -> str:
        """Return the name the text was read under."""
        return self.source.file

    @property
    def is_yaml(self) -> bool:
        """True if the document was read as YAML, which knows all its places and takes its time."""
        return self._node is not None

    def place(self, key: Key = (), *, on_key: bool = False) -> Place:
        """Return the place of the value under ``key`` (or of the key); without one, that of the nearest part above."""
        if self._node is not None:
            return place_of(self._node, key, self.source, on_key=on_key)
        if self._find is not None:
            return self.source.place_at(self._find(key, on_key))
        return Place(self.file)

    def cheap_place(self, key: Key = ()) -> Place:
        """:meth:`place` where it costs nothing (YAML), else only the file: for objects that are probably right."""
        return self.place(key) if self._node is not None else Place(self.file)

    def problem(self, key: Key, what: str, mend: str = "", *, on_key: bool = False) -> Problem:
        """Return a :class:`Problem` with the value under ``key``, showing its line."""
        place = self.place(key, on_key=on_key)
        return Problem(place, dotted(key), what, mend, self.source.excerpt(place))

    def written(self, key: Key) -> str | None:
        """Return the scalar under ``key`` as it was typed, not as a number or a truth value; ``None`` for JSON."""
        return raw_text(self._node, key, self.source) if self._node is not None else None

    def traps(self) -> list[Problem]:
        """Return every place where YAML 1.1 reads a surprise: sexagesimals, octals, on/off, aliases.

        Objects with an ``apiVersion`` and a ``kind`` of their own below the top are left alone.
        """
        return traps_in(self._node, self.source) if self._node is not None else []


def dotted(key: Key) -> str:
    """Return a key as people write it: ``spec.services[0].count``."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) or "/" in part else f".{part}" if text else part
    return text


def decode(raw: bytes, file: str) -> str:
    """Text from bytes: UTF-8 or UTF-16 with or without a byte-order mark, gzip or not.

    Raises
    ------
    InputError
        if it is not text.
    """
    if raw[:2] == b"\x1f\x8b":
        raw = _gunzip(raw, file)
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        _refuse(file, f"is not text: byte {error.start} on line {line} is not {encoding[:6].upper().rstrip('-')}")
    if "\0" in text:
        _refuse(file, "is not text: it contains NUL characters", "give YAML or JSON, as kubectl get -o json prints it")
    return text


def load(text: str, file: str) -> tuple[Document, ...]:
    """Return every document of a text, in order; empty ones (only comments) are left out.

    Raises
    ------
    InputError
        with every syntax error and duplicate key.
    """
    source = Source(file, text)
    if not text.strip():
        raise InputError([Problem(Place(file), what="is empty")])
    if text.lstrip()[0] in "{[":
        documents = _load_json(source)
        if documents is not None:
            return documents
    documents = _load_yaml(source)
    if not documents:
        raise InputError([Problem(Place(file), what="is empty: nothing but comments")])
    return documents


def _refuse(file: str, what: str, mend: str = "") -> NoReturn:
    raise InputError([Problem(Place(file), what=what, mend=mend)])


def _gunzip(raw: bytes, file: str) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as stream:
            text = stream.read(MAX_TEXT_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        _refuse(file, f"is a damaged gzip file: {error}")
    if len(text) > MAX_TEXT_BYTES:
        _refuse(file, f"unfolds to more than {MAX_TEXT_BYTES >> 20} MiB")
    return text


# JSON


class _NotPlain(ValueError):
    """JSON that the standard parser takes and we do not: a duplicate key, NaN."""


def _mapping(pairs: list[tuple[str, object]]) -> dict[str, object]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise _NotPlain("duplicate key")
    return mapping


def _constant(name: str) -> NoReturn:
    raise _NotPlain(f"{name} is not JSON")


def _load_json(source: Source) -> tuple[Document, ...] | None:
    """Return the JSON documents of a text (one or several after each other); ``None`` if it should be tried as YAML."""
    decoder = json.JSONDecoder(object_pairs_hook=_mapping, parse_constant=_constant)
    text, at, documents = source.text, _skip(source.text, 0), []
    try:
        while at < len(text):
            data, end = decoder.raw_decode(text, at)
            if _SURROGATE.search(text):
                json.dumps(data, ensure_ascii=False).encode()  # half a character cannot be written anywhere
            documents.append(Document(source, data, None, _Finder(text, at)))
            at = _skip(text, end)
        return tuple(documents)
    except json.JSONDecodeError as error:
        if len(text) < LARGE_JSON and not source.file.endswith(".json"):
            return None
        if len(text) < LARGE_JSON and _HELM.search(text):
            _refuse_template(source)
        place = source.place_at(error.pos)
        what = "the JSON ends too early" if error.pos >= len(text.rstrip()) else f"is not JSON: {error.msg.lower()}"
        raise InputError([Problem(place, what=what, text=source.excerpt(place))]) from None
    except RecursionError:
        _refuse(source.file, f"is nested more than {MAX_DEPTH} levels deep")
    except UnicodeEncodeError:
        _refuse(source.file, "is not text: it has half a character (a lone surrogate)")
    except ValueError as error:
        if len(text) < LARGE_JSON:
            return None  # the YAML reader refuses the same things and knows where they stand
        _refuse(source.file, f"is not JSON kpsim can take: {error}")


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


class _Finder:
    """Looks up the offset of a part of a valid JSON text, remembering each container it walked through."""

    def __init__(self, text: str, start: int) -> None:
        self._text = text
        self._start = start
        self._decoder = json.JSONDecoder()
        self._seen: dict[int, dict[str | int, tuple[int, int]]] = {}

    def __call__(self, key: Key, on_key: bool) -> int:
        at, on = self._start, self._start
        for part in key:
            child = self._children(at).get(part)
            if child is None:
                return at
            on, at = child
        return on if on_key else at

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


# YAML


def _load_yaml(source: Source) -> tuple[Document, ...]:
    _check_depth(source)
    documents: list[Document] = []
    problems: list[Problem] = []
    try:
        loader = _LOADER(source.text)
        while loader.check_node():
            node = loader.get_node()
            builder = Builder(source)
            data = builder.build(node)
            problems += builder.problems
            if data is not None:
                documents.append(Document(source, data, node))
    except (yaml.YAMLError, UnicodeEncodeError) as error:
        if _HELM.search(source.text):
            _refuse_template(source)
        raise InputError([*problems, _syntax_problem(error, source)]) from None
    if problems:
        if re.search(r"[:\-]\s*\{\{", source.text):
            _refuse_template(source)
        raise InputError(problems)
    return tuple(documents)


def _refuse_template(source: Source) -> NoReturn:
    match = _HELM.search(source.text)
    place = source.place_at(match.start() if match else 0)
    what = "looks like a template, not like a manifest"
    mend = "render it first: helm template CHART > manifests.yaml"
    raise InputError([Problem(place, what=what, mend=mend, text=source.excerpt(place))])


def _syntax_problem(error: Exception, source: Source) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    position = getattr(error, "position", None)
    if mark is not None:
        place = Place(source.file, mark.line + 1, mark.column + 1)
    elif isinstance(position, int):
        place = source.place_at(min(position, len(source.text)))
    else:
        place = Place(source.file)
    reason = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be read"
    context = getattr(error, "context", None)
    tab = "tab" in str(reason) or (mark is not None and source.at(place) == "\t")
    mend = "indent with spaces, not tabs" if tab else ""
    what = f"is not YAML: {context}, {reason}" if context else f"is not YAML: {reason}"
    return Problem(place, what=what, mend=mend, text=source.excerpt(place))


def _check_depth(source: Source) -> None:
    """Refuse a text nested too deeply before the composer, which recurses in C, meets it."""
    if _depth_bound(source.text) <= 4 * MAX_DEPTH:
        return
    depth = 0
    try:
        for event in yaml.parse(source.text, Loader=_LOADER):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                _refuse(source.file, f"is nested more than {MAX_DEPTH} levels deep")
    except (yaml.YAMLError, UnicodeEncodeError):
        return  # the composer meets the same error before it is too deep, and reports it


def _depth_bound(text: str) -> int:
    """More levels than the text can have: brackets open at once, plus two for each column of the longest indent."""
    deepest = depth = 0
    for bracket in _BRACKET.findall(text):
        depth = depth + 1 if bracket in "[{" else max(0, depth - 1)
        deepest = max(deepest, depth)
    return deepest + 2 * max((match.end() - match.start() for match in _PREFIX.finditer(text)), default=0)
