"""Parameters become the mapping that a file would hold; what is ``None`` is left out."""

from __future__ import annotations

from dataclasses import is_dataclass
from typing import Any

from kpsim.declared import SPREAD
from kpsim.scenario.keys.layout import Entry, entries
from kpsim.units import format_duration


def written(params: object) -> dict[str, Any]:
    """Return declared parameters as their mapping, with every default explicit."""
    found: dict[str, Any] = {}
    owner: Any = type(params)
    for entry in entries(owner):
        value = getattr(params, entry.field)
        instead = entry.declared.instead_of
        if value is None or (instead and getattr(params, instead)):
            continue
        if entry.key == SPREAD:
            found |= written(value)
            continue
        text = written_value(entry, value)
        group = entry.declared.group
        if text is not None:
            (found.setdefault(group.key, {}) if group else found)[entry.key] = text
    return found


def written_value(entry: Entry, value: Any) -> Any:
    """Return one value as it stands under its key; ``None`` if it is left out."""
    if entry.declared.form:
        short = entry.declared.form.write(value)
        return written(value) if short is None and is_dataclass(value) else short
    return format_duration(value) if entry.is_duration else _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return written(value) if is_dataclass(value) else value
