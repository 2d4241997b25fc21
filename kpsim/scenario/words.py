"""What pydantic found wrong, in words a user would use, with the mend and the nearest right word."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from kpsim.documents import Key, dotted
from kpsim.errors import Problem, did_you_mean
from kpsim.scenario.schema import PresetPart, ScenarioDocument, ServicePart
from kpsim.scenario.sections.quantities import Part
from kpsim.scenario.tree import Tree
from kpsim.units import format_duration

VERSION = ("spec", "kubernetes", "version")

_STAND_INS = {"apiVersion": "kpsim/v1alpha1", "kind": "Scenario", "spec": {}, "at": "0s"}

_KINDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


def problems_of(error: ValidationError, tree: Tree, below: Key = ()) -> list[Problem]:
    """Every complaint of a validation as a problem with its place; ``below`` is where the validated part stands."""
    problems = []
    for found in error.errors():
        key: Key = (*below, *(part for part in found["loc"] if not str(part).startswith("<")))
        problems.append(_problem(found["type"], key, found.get("ctx", {}), found["input"], tree))
    return problems


def without_faults(data: object, error: ValidationError) -> object:
    """A copy of a document that lacks what a validation complained about, with stand-ins where something must be.

    Lists keep their length, so that whatever else is wrong in them keeps its index.
    """
    data = copy.deepcopy(data)
    for found in error.errors():
        _leave_out(data, [part for part in found["loc"] if not str(part).startswith("<")], found["type"])
    return data


def _leave_out(data: object, key: list[str | int], kind: str) -> None:
    if not key:
        return
    if "endpoints" in key[:-1]:  # a drawn number with a fault in it says nothing about its other fields
        _leave_out(data, key[: key.index("endpoints") + 1], kind)
        return
    here: Any = data
    for part in key[:-1]:
        here = here[part] if _has(here, part) else None
    last = key[-1]
    if isinstance(here, dict) and isinstance(last, str):
        here.pop(last, None)
        if kind == "missing" or last in _STAND_INS:
            here[last] = _STAND_INS.get(last, "stand-in") if last != "name" else f"stand-in-{key[-2]}"
    elif isinstance(here, list) and isinstance(last, int) and last < len(here):
        here[last] = {"name": f"stand-in-{last}"} if "services" in key else "stand-in"


def _has(here: object, part: str | int) -> bool:
    if isinstance(here, list):
        return isinstance(part, int) and part < len(here)
    return isinstance(here, dict) and part in here


def _problem(kind: str, key: Key, context: dict[str, Any], value: object, tree: Tree) -> Problem:
    if kind == "extra_forbidden":
        return tree.problem(key, "unknown key", _mend_key(key, tree), on_key=True)
    if kind == "missing":
        return tree.problem(key, "is missing", _example(key))
    if kind == "unit":
        return tree.problem(key, str(context["what"]), str(context["mend"]))
    if kind == "literal_error":
        return _literal(key, context, value, tree)
    if kind in ("greater_than_equal", "greater_than", "less_than_equal"):
        return tree.problem(key, _bound(kind, context, value))
    if kind == "too_short":
        return tree.problem(key, "must not be empty")
    if kind in _KINDS:
        return tree.problem(key, f"must be {_KINDS[kind]}, not {_shown(value)}", _mend_kind(kind, key, value, tree))
    return tree.problem(key, f"cannot be {_shown(value)}")


def _literal(key: Key, context: dict[str, Any], value: object, tree: Tree) -> Problem:
    words = [word.strip(" '") for word in str(context["expected"]).replace(" or ", ", ").split(",")]
    if key in (("kind",), ("apiVersion",)) or len(words) == 1:
        what = f"must be {' or '.join(words)}, not {_shown(value)}"
    else:
        what = f"{_shown(value)} is not one of {', '.join(words)}"
    return tree.problem(key, what, did_you_mean(str(value), words))


def _bound(kind: str, context: dict[str, Any], value: object) -> str:
    if kind == "less_than_equal":
        duration = isinstance(value, str) and value.endswith(("s", "m", "h"))
        most = format_duration(context["le"]) if duration else f"{context['le']:g}"
        return f"must be at most {most}, not {_shown(value)}"
    if kind == "greater_than":
        return f"must be more than {context['gt']:g}, not {_shown(value)}"
    if context["ge"] == 0:
        return f"must not be negative, but is {_shown(value)}"
    return f"must be at least {context['ge']:g}, not {_shown(value)}"


def _mend_kind(kind: str, key: Key, value: object, tree: Tree) -> str:
    written = tree.written(key) or str(value)
    if key == VERSION:
        return f'quote it: version: "{written}" (YAML reads 1.30 as the number 1.3)'
    if kind == "string_type" and isinstance(value, int | float):
        return f'quote it: "{written}"'
    if kind == "list_type" and not isinstance(value, dict):
        return f"put it in brackets: [{_plain(value)}]"
    return ""


def _example(key: Key) -> str:
    if key == ("spec",):
        return "a scenario has its settings under spec:"
    if key == ("apiVersion",):
        return "begin the file with apiVersion: kpsim/v1alpha1"
    if key == ("kind",):
        return "write kind: Scenario"
    if key[-1] == "at":
        return "say when, since the run began: {at: 30s, …}"
    if key[-1] == "name":
        return "give the group a name: {name: web, count: 100, endpoints: 5}"
    return ""


def _mend_key(key: Key, tree: Tree) -> str:
    """The key that was meant: the nearest beside it, or where in the schema this one belongs."""
    word, item = str(key[-1]), tree.at(key[:-1])
    preset = isinstance(item, dict) and "preset" in item  # in a list that holds groups, presets and objects
    model = PresetPart if preset else _model_at(key[:-1])
    beside = keys_of(model) if model is not None else []
    near = did_you_mean(word, beside)
    if near or preset:
        return near or f"there are {', '.join(beside)}"
    homes = [home for home in _homes().get(word, ()) if home != dotted(key[:-1])]
    if homes:
        return f"{word} belongs under {homes[0]}"
    return f"there are {', '.join(beside)}" if beside else ""


def keys_of(model: type[BaseModel]) -> list[str]:
    """The keys a mapping may have, as they are written."""
    return [field.alias or name for name, field in model.model_fields.items()]


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    """The mappings somewhere inside a field's type."""
    if isinstance(annotation, type):
        if issubclass(annotation, BaseModel):
            yield annotation
        return
    for argument in get_args(annotation):
        yield from _models(argument)


def _model_at(key: Key) -> type[BaseModel] | None:
    """The mapping that stands under ``key`` in the schema."""
    model: type[BaseModel] = ScenarioDocument
    for part in key:
        if isinstance(part, int):
            continue
        inside = [field for name, field in model.model_fields.items() if (field.alias or name) == part]
        below = list(_models(inside[0].annotation)) if inside else []
        if not below:
            return None
        model = ServicePart if ServicePart in below else below[0]
    return model


@lru_cache(maxsize=1)
def _homes() -> dict[str, tuple[str, ...]]:
    """For every key of the schema, the keys it stands under."""
    homes: dict[str, tuple[str, ...]] = {}
    waiting: list[tuple[type[BaseModel], str]] = [(ScenarioDocument, "")]
    while waiting:
        model, at = waiting.pop(0)
        for name, field in model.model_fields.items():
            alias = field.alias or name
            homes[alias] = (*homes.get(alias, ()), at or "the top")
            waiting += [
                (below, f"{at}.{alias}" if at else alias)
                for below in _models(field.annotation)
                if issubclass(below, Part) or alias != "objects"
            ]
    return homes


def _plain(value: object) -> str:
    return str(value) if len(str(value)) <= 40 else "..."


def _shown(value: object) -> str:
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, float):
        return f"{value:.12g}"
    text = str(value) if not isinstance(value, int) or abs(value) < 10**40 else "a number of very many digits"
    return repr(text if len(text) <= 60 else text[:57] + "...") if isinstance(value, str) else text
