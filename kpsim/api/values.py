"""Values of Python as ``--set`` takes them: keys with dots, texts as they are, anything else as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from kpsim.errors import InputError


def dotted(settings: Mapping[str, object]) -> dict[str, object]:
    """Return keys as YAML's paths: ``services__small__count`` is services.small.count."""
    return {name.replace("__", "."): value for name, value in settings.items()}


def pairs_of(values: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return keys and values as ``--set`` takes them.  Raises :class:`InputError` for what is no value."""
    return [(key, value_text(value)) for key, value in values.items()]


def value_text(value: object) -> str:
    """Return a value as ``--set`` takes it: a text as it is, anything else as JSON, which is YAML too."""
    if isinstance(value, str):
        return value
    plain = value.item() if hasattr(value, "item") else value  # a number of numpy's
    if isinstance(plain, tuple | range):
        plain = list(plain)
    try:
        return json.dumps(plain, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"{value!r:.100} is no value of a scenario: {error}") from None


def range_text(value: object) -> str:
    """Return an axis as ``--set`` takes it: a range as it is written, or its values with commas between."""
    if isinstance(value, str):
        return value
    if hasattr(value, "tolist"):
        value = value.tolist()
    return ",".join(map(value_text, value)) if isinstance(value, Iterable) else value_text(value)
