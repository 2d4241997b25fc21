"""The check of a file's plain data by the fields and types of the class that holds it: each problem with its key."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from kpsim.errors import InputError, Place, Problem

_UNKNOWN = "there is no such key in a profile"
Held = TypeVar("Held")


def checked(kind: type[Held], written: Any, path: Path) -> Held:
    """Return what a file says as a ``kind``.  Raises :class:`InputError` with every key that is wrong."""
    try:
        held: Held = _adapter(kind).validate_python(written)  # type: ignore[arg-type]  # a class is hashable
    except ValidationError as error:
        raise InputError(
            Problem(
                Place(str(path)),
                key=".".join(map(str, each["loc"])),
                what=_UNKNOWN if each["type"] == "unexpected_keyword_argument" else each["msg"],
            )
            for each in error.errors()
        ) from error
    return held


@cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
