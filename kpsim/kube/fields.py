"""Looking into an object as it was written, collecting what has the wrong shape instead of stopping at it.

A :class:`Fields` is one mapping of an object with its key from the document's top; asking it for a number, a text or
a list gives that or a default, and notes a :class:`Fault` where something else stands there.  ``null`` is the same as
leaving the field out, as it is to Kubernetes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kpsim.documents import Key, dotted


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of an object: the key from the document's top, the fault, and the mend.

    ``kind`` is the API server's word for it (``FieldValueInvalid``); ``path`` the field as the server calls it, where
    that is not the key as it was written.
    """

    key: Key
    what: str
    mend: str = ""
    on_key: bool = False
    kind: str = ""
    path: str = ""

    @property
    def field(self) -> str:
        """The field as the API server calls it."""
        return self.path or dotted(self.key)


class Fields:
    """One mapping of an object, its key, and where faults go."""

    __slots__ = ("faults", "key", "raw")

    def __init__(self, raw: object, key: Key, faults: list[Fault]) -> None:
        self.key = key
        self.faults = faults
        self.raw: Mapping[str, object] = {}
        if isinstance(raw, dict):
            self.raw = raw
        elif raw is not None:
            faults.append(Fault(key, f"must be a mapping, not {_kind(raw)}", kind="BadRequest"))

    def __contains__(self, name: str) -> bool:
        return self.raw.get(name) is not None

    def text(self, name: str, default: str = "") -> str:
        """Return a string field."""
        value = self.raw.get(name)
        if value is None:
            return default
        if isinstance(value, str):
            return value
        mend = f"quote it: '{value}'" if isinstance(value, bool | int | float) else ""
        self._wrong(name, f"must be text, not {_kind(value)}", mend)
        return default

    def number(self, name: str, default: int = 0) -> int:
        """Return a whole-number field."""
        value = self.raw.get(name)
        if value is None:
            return default
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        digits = isinstance(value, str) and value.isdecimal()
        self._wrong(name, f"must be a whole number, not {_kind(value)}", "leave out the quotes" if digits else "")
        return default

    def truth(self, name: str, default: bool) -> bool:
        """Return a boolean field."""
        value = self.raw.get(name)
        if value is None:
            return default
        if isinstance(value, bool):
            return value
        self._wrong(name, f"must be true or false, not {_kind(value)}")
        return default

    def part(self, name: str) -> Fields:
        """Return a mapping field; an empty one if it is not there."""
        return Fields(self.raw.get(name), (*self.key, name), self.faults)

    def parts(self, name: str) -> Iterator[Fields]:
        """Yield the mappings of a list field."""
        for index, value in enumerate(self.items(name)):
            yield Fields(value, (*self.key, name, index), self.faults)

    def texts(self, name: str) -> tuple[str, ...]:
        """Return the strings of a list field."""
        values = self.items(name)
        for index, value in enumerate(values):
            if not isinstance(value, str):
                what = f"must be text, not {_kind(value)}"
                self.faults.append(Fault((*self.key, name, index), what, kind="BadRequest"))
        return tuple(value for value in values if isinstance(value, str))

    def labels(self, name: str) -> tuple[tuple[str, str], ...]:
        """Return a mapping of text to text, in order of its keys."""
        part = self.part(name)
        return tuple(sorted((key, part.text(key)) for key in part.raw))

    def items(self, name: str) -> list[object]:
        """Return a list field as it was written."""
        value = self.raw.get(name)
        if value is None:
            return []
        if isinstance(value, list):
            return value
        self._wrong(name, f"must be a list, not {_kind(value)}")
        return []

    def _wrong(self, name: str, what: str, mend: str = "") -> None:
        self.faults.append(Fault((*self.key, name), what, mend, kind="BadRequest"))


class FittingFields(Fields):
    """The same of an object whose every field has its type (``shapes.fits`` says so): nothing is checked."""

    __slots__ = ()
    raw: Mapping[str, Any]

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.raw = raw

    def text(self, name: str, default: str = "") -> str:
        """Return a string field."""
        return self.raw.get(name, default)  # type: ignore[no-any-return]  # it fits, as all below

    def number(self, name: str, default: int = 0) -> int:
        """Return a whole-number field."""
        return self.raw.get(name, default)  # type: ignore[no-any-return]

    def truth(self, name: str, default: bool) -> bool:
        """Return a boolean field."""
        return self.raw.get(name, default)  # type: ignore[no-any-return]

    def part(self, name: str) -> FittingFields:
        """Return a mapping field; an empty one if it is not there."""
        return FittingFields(self.raw.get(name, _NOTHING))

    def parts(self, name: str) -> Iterator[Fields]:
        """Yield the mappings of a list field."""
        return map(FittingFields, self.raw.get(name, ()))

    def texts(self, name: str) -> tuple[str, ...]:
        """Return the strings of a list field."""
        return tuple(self.raw.get(name, ()))

    def labels(self, name: str) -> tuple[tuple[str, str], ...]:
        """Return a mapping of text to text, in order of its keys."""
        return tuple(sorted(self.raw.get(name, _NOTHING).items()))


_NOTHING: Mapping[str, Any] = {}


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return f"the truth value {str(value).lower()}"
    if isinstance(value, str):
        return f"the text {value if len(value) <= 40 else value[:37] + '...'!r}"
    if isinstance(value, int | float):
        return f"the number {value}"
    return "a list" if isinstance(value, list) else "a mapping"
