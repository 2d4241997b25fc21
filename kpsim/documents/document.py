"""One document: plain data, and the place of any part of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from kpsim.documents.source import Source
from kpsim.errors import Place, Problem

Key = tuple[str | int, ...]
Early = Callable[[object], object]
"""Makes of an item of a large list what shall be kept of it, as soon as it is read: the item itself, or less."""


def as_it_is(item: object) -> object:
    """Return an item of a list as it was read."""
    return item


class Places(Protocol):
    """Knows where the parts of a document stand in its text."""

    @property
    def is_yaml(self) -> bool:
        """Return True for YAML."""

    def place(self, key: Key, *, on_key: bool) -> Place:
        """Return the place of the value under ``key`` (or of the key); without one, that of the nearest part above."""

    def cheap_place(self, key: Key) -> Place:
        """:meth:`place` as far as it costs nothing."""

    def written(self, key: Key) -> str | None:
        """Return the scalar under ``key`` as it was typed; ``None`` where that is not known."""

    def traps(self) -> list[Problem]:
        """Return every place where the text is read as a surprise."""


class Document:
    """One document of a text: plain data, and on demand the place of any part of it."""

    __slots__ = ("_places", "data", "source")

    def __init__(self, source: Source, data: object, places: Places | None = None) -> None:
        self.source = source
        self.data = data
        self._places = places

    @property
    def file(self) -> str:
        """Return the name the text was read under."""
        return self.source.file

    @property
    def is_yaml(self) -> bool:
        """Return True if the document was read as YAML, which takes its time."""
        return self._places is not None and self._places.is_yaml

    def place(self, key: Key = (), *, on_key: bool = False) -> Place:
        """Return the place of the value under ``key`` (or of the key); without one, that of the nearest part above."""
        return self._places.place(key, on_key=on_key) if self._places else Place(self.file)

    def cheap_place(self, key: Key = ()) -> Place:
        """:meth:`place` as far as it costs nothing, for objects that are probably right: in JSON, only the file."""
        return self._places.cheap_place(key) if self._places else Place(self.file)

    def problem(self, key: Key, what: str, mend: str = "", *, on_key: bool = False) -> Problem:
        """Return a :class:`Problem` with the value under ``key``, showing its line."""
        place = self.place(key, on_key=on_key)
        return Problem(place, dotted(key), what, mend, self.source.excerpt(place))

    def written(self, key: Key) -> str | None:
        """Return the scalar under ``key`` as it was typed, not as a number or a truth value; ``None`` for JSON."""
        return self._places.written(key) if self._places else None

    def traps(self) -> list[Problem]:
        """Return every place where YAML 1.1 reads a surprise: sexagesimals, octals, on/off, aliases.

        Objects with an ``apiVersion`` and a ``kind`` of their own below the top are left alone.
        """
        return self._places.traps() if self._places else []


def dotted(key: Key) -> str:
    """Return a key as people write it: ``spec.services[0].count``."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) or "/" in part else f".{part}" if text else part
    return text
