"""The keys of a parameter class: names, types, defaults and a description for each, derived from its fields."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from kpsim.declared import SPREAD, Declared, Group

ABBREVIATIONS = {"cidr": "CIDR", "cidrs": "CIDRs", "ip": "IP", "arp": "ARP", "dsr": "DSR"}  # as Kubernetes spells them
_PER = re.compile(r"Per([A-Z][a-z]+)")


@dataclass(frozen=True, slots=True)
class Entry:
    """One declared field as a key: its name there, its type without ``None``, and its default."""

    field: str
    key: str
    kind: Any
    declared: Declared
    default: Any  # MISSING where the key must be given

    @property
    def required(self) -> bool:
        """Return whether a file must have the key."""
        return self.default is MISSING or self.declared.required

    @property
    def is_duration(self) -> bool:
        """Return whether the field holds seconds, which a file writes with their unit."""
        return self.kind is float and self.field.endswith("_s") and not self.field.endswith("_per_s")


@cache
def entries(owner: type) -> tuple[Entry, ...]:
    """Return the keys of a parameter class, in the order of its fields."""
    hints = get_type_hints(owner, include_extras=True)
    found = []
    for field in fields(owner):
        hint = hints[field.name]
        if get_origin(hint) is not Annotated:
            continue
        kind, declared = get_args(hint)[:2]
        default = field.default if field.default_factory is MISSING else field.default_factory()
        key = declared.key or camel(field.name)
        found.append(Entry(field.name, key, _without_none(kind), declared, default))
    return tuple(found)


@cache
def undeclared(owner: type) -> tuple[str, ...]:
    """Return the fields that must have a value and have no key here; they are set by whoever knows them."""
    known = {entry.field for entry in entries(owner)}
    wanted = (field for field in fields(owner) if field.default is field.default_factory is MISSING)
    return tuple(field.name for field in wanted if field.name not in known)


@cache
def keys_of(owner: type) -> tuple[str, ...]:
    """Return the keys a mapping may have, as they are written."""
    return tuple(dict.fromkeys(key for key, _ in _spread(owner)))


def below(owner: type) -> Iterator[tuple[str, Iterator[type]]]:
    """Yield each key of a mapping, and the classes of the mappings that may stand under it."""
    for key, entry in _spread(owner):
        if isinstance(entry, Entry):
            yield key, classes_in(entry.kind)


@cache
def grouped(owner: type) -> dict[Group, tuple[Entry, ...]]:
    """Return the keys that stand in mappings around some of the fields."""
    found: dict[Group, tuple[Entry, ...]] = {}
    for entry in entries(owner):
        if entry.declared.group:
            found[entry.declared.group] = (*found.get(entry.declared.group, ()), entry)
    return found


def _spread(owner: type) -> Iterator[tuple[str, Entry | Group]]:
    for entry in entries(owner):
        if entry.key == SPREAD:
            yield from _spread(entry.kind)
        elif entry.declared.group:
            yield entry.declared.group.key, entry.declared.group
        else:
            yield entry.key, entry


def classes_in(kind: object) -> Iterator[type]:
    """Yield the parameter classes somewhere inside a type."""
    if isinstance(kind, type) and is_dataclass(kind):
        yield kind
    for argument in get_args(kind):
        yield from classes_in(argument)


def camel(name: str) -> str:
    """Return the key that a field's name stands for: ``packet_interval_s`` is ``packetInterval``."""
    first, *rest = re.sub(r"_s$", "", re.sub(r"_per_s(?=_|$)", "_per_second", name)).split("_")
    return first + "".join(ABBREVIATIONS.get(word, word.capitalize()) for word in rest)


def unit_of(entry: Entry) -> str:
    """Return what is to be written under a key, in words: ``a number per second per node``."""
    declared, kind = entry.declared, entry.kind
    per = "".join(f" per {word.lower()}" for word in _PER.findall(entry.key))
    bounds = "" if declared.at_most is None else f" to {declared.at_most:g}"
    if declared.form:
        return declared.form.unit
    if entry.is_duration:
        return "a duration, e.g. 30s or 250ms"
    if kind is int:
        return f"a whole number{per}, from {declared.at_least:g}{bounds}"
    if kind is float:
        return "a share, from 0 to 1" if declared.at_most == 1 else f"a number{per}"
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    if get_origin(kind) is tuple:
        return "a list"
    return {str: "text", bool: "true or false"}.get(kind, "a mapping")


def _without_none(kind: Any) -> Any:
    if get_origin(kind) not in (Union, UnionType):
        return kind
    inside = tuple(argument for argument in get_args(kind) if argument is not NoneType)
    return inside[0] if len(inside) == 1 else Union[inside]  # noqa: UP007 - made at run time
