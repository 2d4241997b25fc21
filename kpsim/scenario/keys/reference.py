"""Every key below a parameter class with its path, meaning, unit, default and the field it becomes.

A key of a list's items stands below the list's own with ``[]``: ``spec.services[].count``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from kpsim.declared import SPREAD
from kpsim.scenario.keys.jsonschema import default_of
from kpsim.scenario.keys.layout import Entry, classes_in, entries, unit_of

MAPPING = "a mapping"


@dataclass(frozen=True, slots=True)
class KeyText:
    """One key of a file in words; ``becomes`` is the field of a class that holds its value, "" for a mere mapping."""

    path: str
    text: str
    unit: str
    default: str
    required: bool = False
    choices: tuple[str, ...] = ()
    becomes: str = ""


def texts_of(owner: Any, above: str = "") -> Iterator[KeyText]:
    """Yield every key of a mapping and of those below it, each before what is below it."""
    grouped: set[str] = set()
    for entry in entries(owner):
        if entry.key == SPREAD:
            yield from texts_of(entry.kind, above)
            continue
        group, path = entry.declared.group, above
        if group:
            path = _join(above, group.key)
            if group.key not in grouped:
                yield KeyText(path, group.text.rstrip("."), MAPPING, "what its keys say")
            grouped.add(group.key)
        path = _join(path, entry.key)
        becomes = f"{owner.__module__}.{owner.__qualname__}.{entry.field}"
        default = "" if entry.required else default_of(entry)[1]
        yield KeyText(path, entry.declared.text, _unit(entry), default, entry.required, _choices(entry.kind), becomes)
        inside = f"{path}[]" if get_origin(entry.kind) is tuple else path
        below: dict[str, KeyText] = {}
        for kind in classes_in(entry.kind):  # those that may stand in one place share some keys
            for text in texts_of(kind, inside):
                below.setdefault(text.path, text)
        yield from below.values()


def _join(above: str, key: str) -> str:
    return f"{above}.{key}" if above else key


def _unit(entry: Entry) -> str:
    """Return what is to be written there, with the bounds that a number has."""
    unit, declared = unit_of(entry), entry.declared
    if entry.kind is float and declared.at_most != 1 and not declared.form:
        if declared.more_than is not None:
            unit += f", more than {declared.more_than:g}"
        elif declared.at_least:
            unit += f", at least {declared.at_least:g}"
        if declared.at_most is not None:
            unit += f", at most {declared.at_most:g}"
    return unit


def _choices(kind: Any) -> tuple[str, ...]:
    return tuple(map(str, get_args(kind))) if get_origin(kind) is Literal else ()
