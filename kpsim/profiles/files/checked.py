"""The check of a profile file by the fields and types of its classes: each problem with its key."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from kpsim.errors import InputError, Place, Problem
from kpsim.profiles.format import ProfileText

_UNKNOWN = "there is no such key in a profile"


def checked(written: Any, path: Path) -> ProfileText:
    """Return a profile of plain data.  Raises :class:`InputError` with every key that is wrong."""
    try:
        return _adapter().validate_python(written)
    except ValidationError as error:
        raise InputError(
            Problem(
                Place(str(path)),
                key=".".join(map(str, each["loc"])),
                what=_UNKNOWN if each["type"] == "unexpected_keyword_argument" else each["msg"],
            )
            for each in error.errors()
        ) from error


@cache
def _adapter() -> TypeAdapter[ProfileText]:
    return TypeAdapter(ProfileText)
