"""A mapping becomes declared parameters; whatever is wrong with it is complained of, with a place and a mend.

Everything that can be read is read: what is wrong is replaced by its default, so that the rest is checked in the same
pass.  An empty key is one left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, is_dataclass
from typing import Any, Literal, TypeVar, get_args, get_origin

from kpsim.declared import SPREAD, Declared
from kpsim.documents import Key, dotted
from kpsim.errors import did_you_mean
from kpsim.scenario.complaints import Complaints
from kpsim.scenario.keys.layout import Entry, below, classes_in, entries, grouped, keys_of, undeclared
from kpsim.units import UnitError, format_duration, parse_count, parse_duration, parse_number

P = TypeVar("P")

PASTED = "__pasted__"  # a class with this attribute takes keys that it does not declare; they are looked at elsewhere
_WORDS = {str: "text", bool: "true or false", dict: "a mapping"}


class Reader:
    """Reads declared parameters out of a tree; knows the whole, to say where a misplaced key belongs."""

    def __init__(self, complaints: Complaints, whole: type, examples: Mapping[str, str]) -> None:
        self._complaints, self._whole, self._examples = complaints, whole, examples
        self._homes: dict[str, tuple[str, ...]] | None = None

    def read(self, owner: type[P], value: object, key: Key = ()) -> P:
        """Return the parameters that stand under ``key``; what cannot be read is complained of and left out."""
        try:
            return self._mapping(owner, value, key)
        except UnitError as error:
            self._complaints.problem(key, error.what, error.mend)
            return self._mapping(owner, {}, key, silent=True)

    def _mapping(self, owner: type[P], value: object, key: Key, *, silent: bool = False) -> P:
        if not isinstance(value, dict):
            raise UnitError(f"must be a mapping, not {shown(value)}")
        given = {name: item for name, item in value.items() if item is not None}
        kind: Any = owner
        for name, item in value.items():
            if name not in keys_of(kind) and not hasattr(owner, PASTED):
                self._unknown((*key, name), item, keys_of(kind))
        return owner(**self._values(owner, given, key, silent=silent))

    def _values(self, owner: type, given: dict[str, object], key: Key, *, silent: bool) -> dict[str, Any]:
        """The fields of ``owner``: as given, else as they stand in."""
        below_groups = {group: self._group(group.key, given, key, owner) for group in grouped(owner)}
        values: dict[str, Any] = {}
        for entry in entries(owner):
            if entry.key == SPREAD:
                values[entry.field] = entry.kind(**self._values(entry.kind, given, key, silent=silent))
                continue
            group = entry.declared.group
            held, place = (below_groups[group], (*key, group.key, entry.key)) if group else (given, (*key, entry.key))
            if held.get(entry.key) is not None:
                values[entry.field] = self._entry(entry, held[entry.key], place)
            elif entry.required:
                if not silent:
                    self._complaints.problem(place, "is missing", self._examples.get(entry.key, ""))
                values[entry.field] = _stand_in(entry, place)
        return dict.fromkeys(undeclared(owner), 0.0) | values

    def _group(self, name: str, given: dict[str, object], key: Key, owner: type) -> dict[str, object]:
        value = given.get(name, {})
        if not isinstance(value, dict):
            self._complaints.problem((*key, name), f"must be a mapping, not {shown(value)}")
            return {}
        known = [entry.key for entry in entries(owner) if entry.declared.group and entry.declared.group.key == name]
        for word, item in value.items():
            if word not in known:
                self._unknown((*key, name, word), item, known)
        return value

    def _unknown(self, key: Key, value: object, known: Sequence[str]) -> None:
        """Complain of a key that is none; between braces, of a comma that was meant to part thousands."""
        word = str(key[-1])
        digits = value is None and word.isdecimal()
        mend = "a comma ends a value: write 1000 or 1k, not 1,000" if digits else self._belongs(word, key[:-1], known)
        self._complaints.problem(key, "unknown key", mend, on_key=True)

    def _entry(self, entry: Entry, value: object, key: Key) -> Any:
        try:
            return self._value(entry.kind, entry, value, key)
        except UnitError as error:
            self._complaints.problem(key, error.what, error.mend)
            return _stand_in(entry, key)

    def _value(self, kind: Any, entry: Entry, value: object, key: Key) -> Any:
        """A value of a type; raises UnitError for what is wrong with it itself, complains of what is below it."""
        declared = entry.declared
        if declared.form and not (isinstance(value, dict) and is_dataclass(kind)):
            simple = Entry(entry.field, entry.key, declared.form.on, Declared(""), MISSING)
            before = len(self._complaints.problems)
            plain = self._value(simple.kind, simple, value, key)
            faulty = len(self._complaints.problems) > before  # an item of a list
            return _stand_in(entry, key) if faulty else declared.form.read(plain)
        origin = get_origin(kind)
        if declared.choose and origin is not tuple:
            kind = declared.choose(value)
        if isinstance(kind, type) and is_dataclass(kind):
            return self._mapping(kind, value, key)
        if kind in (int, float):
            return _number(entry, kind, value)
        if origin is Literal:
            return _word(get_args(kind), value, key)
        if origin is tuple:
            return self._list(kind, entry, value, key)
        if kind is object:
            return value
        if not isinstance(value, origin or kind):
            raise UnitError(f"must be {_WORDS[origin or kind]}, not {shown(value)}", self._mend(kind, value, key))
        if origin is dict:
            inside = Entry(entry.field, entry.key, get_args(kind)[1], declared, ())
            return {name: self._entry(inside, item, (*key, name)) for name, item in value.items() if item is not None}
        return value

    def _list(self, kind: Any, entry: Entry, value: object, key: Key) -> tuple[Any, ...]:
        if entry.declared.alone and isinstance(value, str):
            value = [value]
        if not isinstance(value, list):
            mend = "" if isinstance(value, dict) else f"put it in brackets: [{_short(value)}]"
            raise UnitError(f"must be a list, not {shown(value)}", mend)
        if len(value) < entry.declared.at_least:
            raise UnitError("must not be empty")
        inside = Entry(entry.field, entry.key, get_args(kind)[0], Declared("", choose=entry.declared.choose), MISSING)
        return tuple(self._entry(inside, item, (*key, index)) for index, item in enumerate(value))

    def _mend(self, kind: Any, value: object, key: Key) -> str:
        if kind is not str or not isinstance(value, int | float):
            return ""
        written = self._complaints.tree.written(key) or str(value)
        if isinstance(value, float) and key[-1] == "version":
            return f'quote it: version: "{written}" (YAML reads 1.30 as the number 1.3)'
        return f'quote it: "{written}"'

    def _belongs(self, word: object, key: Key, beside: Sequence[str]) -> str:
        """The key that was meant: the nearest beside it, or where else this one belongs."""
        here = dotted(tuple(part for part in key if isinstance(part, str)))
        near = did_you_mean(str(word), beside)
        if self._homes is None:
            self._homes = homes(self._whole)
        elsewhere = self._homes.get(str(word), ())
        if near or not elsewhere or here in elsewhere:
            return near or f"there are {', '.join(beside)}"
        return f"{word} belongs under {elsewhere[0]}"


def homes(whole: type) -> dict[str, tuple[str, ...]]:
    """Return, for every key below ``whole``, the keys it stands under, those nearest to the top first."""
    found: dict[str, tuple[str, ...]] = {}
    waiting: list[tuple[type, str]] = [(whole, "")]
    while waiting:
        owner, above = waiting.pop(0)
        groups = {f"{above}.{group.key}": [entry.key for entry in inside] for group, inside in grouped(owner).items()}
        for home, keys in {above or "the top": keys_of(owner), **groups}.items():
            for key in keys:
                found[key] = (*found.get(key, ()), home)
        for key, inside in below(owner):
            waiting += [(kind, f"{above}.{key}" if above else key) for kind in inside]
    return found


def shown(value: object) -> str:
    """Return a value as a message quotes it."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    if isinstance(value, float):
        return f"{value:.12g}"
    text = str(value) if not isinstance(value, int) or abs(value) < 10**40 else "a number of very many digits"
    return repr(text if len(text) <= 60 else text[:57] + "...") if isinstance(value, str) else text


def _short(value: object) -> str:
    return str(value) if len(str(value)) <= 40 else "..."


def _number(entry: Entry, kind: type, value: object) -> float:
    declared = entry.declared
    if entry.is_duration:
        number, quoted = parse_duration(value), shown(value)
    else:
        number = parse_count(value) if kind is int else parse_number(value)
        quoted = shown(number)
    if declared.at_most is not None and number > declared.at_most:
        most = format_duration(declared.at_most) if entry.is_duration else f"{declared.at_most:g}"
        raise UnitError(f"must be at most {most}, not {quoted}")
    if declared.more_than is not None and number <= declared.more_than:
        raise UnitError(f"must be more than {declared.more_than:g}, not {shown(number)}")
    if number < declared.at_least:
        bound = f"must be at least {declared.at_least:g}, not" if declared.at_least else "must not be negative, but is"
        raise UnitError(f"{bound} {quoted}")
    return number


def _word(words: tuple[Any, ...], value: object, key: Key) -> object:
    if value in words:
        return value
    if key in (("kind",), ("apiVersion",)) or len(words) == 1:
        what = f"must be {' or '.join(words)}, not {shown(value)}"
    else:
        what = f"{shown(value)} is not one of {', '.join(words)}"
    raise UnitError(what, did_you_mean(str(value), words))


def _stand_in(entry: Entry, key: Key) -> Any:
    """A value for what is missing or wrong: the default, else one that nothing more will be said about."""
    if entry.default is not MISSING:
        return entry.default
    if get_origin(entry.kind) is Literal:
        return get_args(entry.kind)[0]
    if any(classes_in(entry.kind)):
        return None
    if entry.kind is str:
        return f"stand-in-{next((part for part in reversed(key) if isinstance(part, int)), 0)}"
    return () if get_origin(entry.kind) is tuple else 0
