"""A part of a measurement is a sum of counts times coefficients; which, is read from ``terms.yaml``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from kpsim.profiles.shipped import shipped
from kpsim.units import Version

Counts = Mapping[str, Any]
"""Counts by name: numbers, or (lanes,) arrays of them."""


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that was timed: by whom it is priced, of which kind it was and in which release."""

    part: str
    family: str
    kind: str = ""
    version: Version = (1, 34)


@dataclass(frozen=True, slots=True)
class _Entry:
    part: str
    terms: Mapping[str, tuple[str, ...]]
    families: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    aspects: tuple[str, ...] = ()
    since: Version = (0, 0)
    until: Version = (99, 0)

    def fits(self, part: Part, aspect: str) -> bool:
        """Return True if the entry says what ``part`` is made of, where ``aspect`` of it was measured."""
        return (
            self.part == part.part
            and (not self.families or part.family in self.families)
            and (not self.kinds or part.kind in self.kinds)
            and (not self.aspects or aspect in self.aspects)
            and self.since <= part.version < self.until
        )


def release(text: str) -> Version:
    """Return "1.34" or "1.34.9" as a release of Kubernetes."""
    major, minor = text.split(".")[:2]
    return int(major), int(minor)


@cache
def _entries() -> tuple[_Entry, ...]:
    found = shipped("terms.yaml")
    return tuple(
        _Entry(
            each["part"],
            {name: tuple(str(count).split("*")) for name, count in each["terms"].items()},
            tuple(each.get("families", ())),
            tuple(each.get("kinds", ())),
            tuple(each.get("aspects", ())),
            release(each.get("since", "0.0")),
            release(each.get("until", "99.0")),
        )
        for each in found
    )


@cache
def _entry(part: Part, aspect: str) -> _Entry | None:
    return next((each for each in _entries() if each.fits(part, aspect)), None)


def work(part: Part, counts: Counts, aspect: str = "") -> dict[str, Any] | None:
    """Return how often each coefficient is paid, by name, or ``None`` where no entry speaks of the part."""
    entry = _entry(part, aspect)
    if entry is None:
        return None
    found = {}
    for name, (first, *others) in entry.terms.items():
        found[name] = counts[first]
        for each in others:
            found[name] = found[name] * counts[each]
    return found


def coefficients(family: str, parts: Collection[str]) -> frozenset[str]:
    """Return the names of all coefficients that any of ``parts`` is made of under a family."""
    mine = (each for each in _entries() if each.part in parts and family in (each.families or (family,)))
    return frozenset(name for each in mine for name in each.terms)


def coefficients_of(*beginnings: str) -> frozenset[str]:
    """Return the names of all coefficients in parts that begin so, of any family."""
    return frozenset(name for each in _entries() if each.part.startswith(beginnings) for name in each.terms)
