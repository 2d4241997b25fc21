"""The JSON Schema of declared parameters: what editors complete, check and explain files with."""

from __future__ import annotations

from dataclasses import MISSING, is_dataclass
from typing import Any, Literal, get_args, get_origin

from kpsim.declared import SPREAD, Declared
from kpsim.scenario.keys.layout import Entry, classes_in, entries, unit_of
from kpsim.scenario.keys.reading import PASTED
from kpsim.scenario.keys.writing import written_value

_NUMBER_TEXT = {"type": "string", "pattern": r"^[0-9][0-9_]*(\.[0-9]+)?([eE][0-9]+)?[kKMGBT]?$"}
_DURATION = {"type": "string", "pattern": r"^(0|([0-9]*\.?[0-9]+(ns|us|µs|ms|s|m|h))+)$"}
_MAPPING = "A mapping; default: what its keys say."
_PLAIN: dict[Any, dict[str, Any]] = {str: {"type": "string"}, bool: {"type": "boolean"}, object: {}}


def schema_of(owner: Any) -> dict[str, Any]:
    """Return the schema of a mapping, with a description of every key."""
    properties: dict[str, Any] = {}
    required: list[str] = []
    for entry in entries(owner):
        if entry.key == SPREAD:
            properties |= schema_of(entry.kind)["properties"]
            continue
        group, held = entry.declared.group, properties
        if group:
            around = {
                "type": "object",
                "description": f"{group.text} {_MAPPING}",
                "properties": {},
                "additionalProperties": False,
            }
            held = properties.setdefault(group.key, around)["properties"]
        held[entry.key] = _property(entry)
        required += [entry.key] if entry.required else []
    schema = {"type": "object", "properties": properties, "additionalProperties": hasattr(owner, PASTED)}
    return {**schema, "required": required} if required else schema


def _property(entry: Entry) -> dict[str, Any]:
    """Return the schema of one key: meaning, unit and default in words, because editors show those."""
    value, said = default_of(entry)
    unit, lot = unit_of(entry), "required" if entry.required else f"default: {said}"
    schema = _value(entry.kind, entry)
    schema["description"] = f"{entry.declared.text}. {unit[:1].upper()}{unit[1:]}; {lot}."
    return {**schema, "default": value} if value is not None and not entry.required else schema


def default_of(entry: Entry) -> tuple[Any, str]:
    """Return what is taken where a key is not given, as it is written (``None`` if that is no value), and in words."""
    default = None if entry.default is MISSING else entry.default
    value = None if default is None else written_value(entry, default)
    if value is not None and not isinstance(value, dict):
        return value, _said(value)
    nested = any(classes_in(entry.kind)) and default
    return None, "what its keys say" if nested else entry.declared.otherwise or "none"


def _said(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(str, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value) or "empty"


def _value(kind: Any, entry: Entry) -> dict[str, Any]:
    declared, origin = entry.declared, get_origin(kind)
    if declared.form:
        simple = _value(declared.form.on, Entry(entry.field, entry.key, declared.form.on, Declared(""), MISSING))
        return (
            {"anyOf": [simple, schema_of(kind)]}
            if isinstance(kind, type) and any(classes_in(kind)) and entries(kind)
            else simple
        )
    if isinstance(kind, type) and is_dataclass(kind):
        return schema_of(kind)
    if entry.is_duration:
        return dict(_DURATION)
    if kind in (int, float):
        bounds = {"minimum": declared.at_least, "maximum": declared.at_most, "exclusiveMinimum": declared.more_than}
        number = {"type": "integer" if kind is int else "number"}
        return {"anyOf": [{**number, **{k: v for k, v in bounds.items() if v is not None}}, dict(_NUMBER_TEXT)]}
    if origin is Literal:
        return {"enum": list(get_args(kind))}
    if origin is tuple:
        item = _value(get_args(kind)[0], Entry(entry.field, "", get_args(kind)[0], Declared(""), MISSING))
        schema: dict[str, Any] = {"type": "array", "items": item}
        if declared.at_least:
            schema["minItems"] = declared.at_least
        return {"anyOf": [item, schema]} if declared.alone else schema
    if origin is dict:
        inside = Entry(entry.field, "", get_args(kind)[1], declared, MISSING)
        return {"type": "object", "additionalProperties": _value(inside.kind, inside)}
    choices = [schema_of(each) for each in classes_in(kind)]
    return {"anyOf": choices} if choices else dict(_PLAIN[kind])
