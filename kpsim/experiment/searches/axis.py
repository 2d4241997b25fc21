"""The value that a search changes: any key of a scenario, or all its Services in proportion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from kpsim.cluster.params import EndpointCount, ServiceGroup
from kpsim.errors import InputError, Place, Problem, did_you_mean
from kpsim.scenario.kinds import Look
from kpsim.scenario.model import Scenario
from kpsim.scenario.reader import read
from kpsim.scenario.resolved import to_document
from kpsim.scenario.tree import ALIASES
from kpsim.units import UnitError, format_duration, parse_duration, parse_number

SERVICES = "services"
GROWN = "grown"  # the group of Services beside those that were read
Kind = Literal["services", "whole", "number", "duration"]
Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Axis:
    """One value of a scenario; durations in seconds.  ``start`` is where the scenario stands."""

    look: Look
    name: str
    overrides: tuple[tuple[str, str], ...]
    base: Scenario
    kind: Kind
    start: float | None

    @staticmethod
    def of(look: Look, name: str, overrides: Pairs) -> Axis:
        """Return the axis called ``services``, or as a path below ``spec`` such as ``cluster.nodes``.

        Raises :class:`InputError` for a path that is not there or holds no number.
        """
        base = read(look, overrides)
        if name == SERVICES:
            count = sum(group.count for group in base.groups) + len(base.objects.services)
            if not count:
                raise InputError(f"{look.name}: there are no Services, so there is nothing to make more of")
            return Axis(look, name, tuple(overrides), base, "services", float(count))
        value = _value_at(to_document(base)["spec"], name)
        kind = _kind(look, name, overrides, value)
        return Axis(look, name, tuple(overrides), base, kind, _number(value))

    @property
    def noun(self) -> str:
        """Return the things counted: "Services"; the path where it counts nothing with a name."""
        return {SERVICES: "Services", "cluster.nodes": "nodes"}.get(self.name, self.name)

    @property
    def least(self) -> float:
        """Return the smallest value worth looking at."""
        if self.kind == "services":
            return float(max(len(self.base.objects.services) + len(self.base.groups), 1))
        return 1.0 if self.kind == "whole" else 0.0

    def snap(self, value: float) -> float:
        """Return the nearest value that can be: whole where things are counted, else of four digits."""
        if self.kind in ("services", "whole"):
            return float(max(round(value), self.least))
        return float(f"{value:.4g}")

    def text(self, value: float) -> str:
        """Return the value as ``--set`` takes it."""
        if self.kind == "duration":
            return format_duration(round(value, 9))
        return str(round(value)) if self.kind in ("services", "whole") else f"{value:.6g}"

    def scenario_at(self, value: float) -> Scenario:
        """Return the scenario with this value.  Raises :class:`InputError` where it cannot be."""
        if self.kind == "services":
            return replace(self.base, groups=self._groups(round(value)))
        return read(self.look, [*self.overrides, (self.name, self.text(value))])

    def settings(self, value: float) -> tuple[str, ...]:
        """Return the options that set this value on a command line; none where groups have no counts of their own."""
        if self.kind != "services":
            return (f"--set {self.name}={self.text(value)}",)
        groups = self._groups(round(value))
        if len(groups) != len(self.base.groups):
            return ()
        return tuple(f"--set services.{group.name}.count={group.count}" for group in groups)

    def _groups(self, services: int) -> tuple[ServiceGroup, ...]:
        """Return the scenario's groups, scaled in proportion; beside real objects alone, a group of their likes."""
        groups, read_ones = self.base.groups, len(self.base.objects.services)
        if not groups:
            endpoints = len(self.base.objects.pods) / max(read_ones, 1)
            more = ServiceGroup(GROWN, services - read_ones, EndpointCount(mean=float(max(round(endpoints), 1))))
            return (more,) if more.count > 0 else ()
        now = np.array([group.count for group in groups], np.float64)
        wanted = now * (services - read_ones) / now.sum()
        counts = np.floor(wanted).astype(np.int64)
        short = services - read_ones - int(counts.sum())
        counts[np.argsort(counts - wanted, kind="stable")[:short]] += 1
        return tuple(replace(group, count=int(max(n, 0))) for group, n in zip(groups, counts, strict=True))


def _value_at(document: object, path: str) -> object:
    """Return the value under a dotted path, items of lists by name or number; ``None`` without one."""
    parts = path.split(".")
    parts[0] = ALIASES.get(parts[0], parts[0])
    for part in parts:
        if isinstance(document, list):
            named = [item for item in document if isinstance(item, dict) and item.get("name") == part]
            numbered = document[int(part)] if part.isdecimal() and int(part) < len(document) else None
            document = named[0] if named else numbered
        elif isinstance(document, dict):
            document = document.get(part)
        else:
            return None
    return document


def _number(value: object) -> float | None:
    """Return a number or a duration as a number; ``None`` of anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    for parse in (parse_number, parse_duration):
        try:
            return float(parse(value))
        except UnitError:
            continue
    return None


def _kind(look: Look, name: str, overrides: Pairs, value: object) -> Kind:
    """Return what the key holds, by what it takes.  Raises :class:`InputError` if it takes no number."""
    now = _number(value)
    tries: dict[Kind, str] = {
        "number": f"{(now or 1.0) * 1.0625:.6g}",
        "whole": str(max(round(now or 2), 2)),
        "duration": format_duration(now or 1.0),
    }
    if isinstance(value, str) and now is not None:
        tries = {"duration": tries["duration"]}
    problem: InputError | None = None
    for kind, text in tries.items():
        try:
            read(look, [*overrides, (name, text)])
        except InputError as error:
            problem = problem or error
        else:
            return kind
    if value is None and problem is not None:
        first = problem.problems[0]  # what it was tried with is nobody's question
        near = first.mend if "." in name else did_you_mean(name, [SERVICES]) or first.mend
        raise InputError([Problem(Place(look.name), what=f"spec.{name}: {first.what}", mend=near)])
    what = f"{name} is {value!r:.60}, and a search needs a number or a duration"
    raise InputError([Problem(Place(look.name), what=what)])
