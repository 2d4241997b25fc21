"""Commands that were timed move the costs of another profile, each as little as the times allow.

A bench has few sizes and a few runs of each: prices fitted to them freely follow the noise, those that grow by the
square most of all, and miss the next size.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from kpsim.calibration.records import Record
from kpsim.calibration.scatter import assumed_scatter
from kpsim.experiment.calibrating.posterior import NORMAL_95, known_before, moved
from kpsim.experiment.validation.setups import Unspoken, question
from kpsim.profiles.costs import CostProfile
from kpsim.profiles.terms import work

WALL = ".wall"


@dataclass(frozen=True, slots=True)
class Moved:
    """A cost after the commands were timed [s], the largest count among them, and whether they tell it apart."""

    value: float
    low: float
    high: float
    most: float
    told: bool


def moved_costs(records: Iterable[Record], base: CostProfile) -> dict[str, dict[str, Moved]]:
    """Return the costs of commands' wall time by family and name, as ``records`` move those of ``base``."""
    rows: dict[str, list[tuple[dict[str, float], float]]] = defaultdict(list)
    for record in records:
        if not record.quantity.endswith(WALL) or record.measured <= 0:
            continue
        try:
            asked = question(record)
        except Unspoken:
            continue
        (part,) = asked.parts
        known = base.text.families.get(part.family, {})
        counted = {name: count for name, count in (work(part, asked.counts) or {}).items() if count}
        priced = {
            name: count
            for name, count in counted.items()
            if name in known and known[name].resolve(name, "typical").high
        }
        if priced and counted.keys() <= known.keys():
            rows[part.family].append((priced, record.measured * asked.scale))
    return {family: _moved(family, mine, base) for family, mine in rows.items()}


def _moved(family: str, rows: list[tuple[dict[str, float], float]], base: CostProfile) -> dict[str, Moved]:
    names = sorted({name for counted, _ in rows for name in counted})
    counts = np.array([[counted.get(name, 0.0) for name in names] for counted, _ in rows])
    measured = np.array([value for _, value in rows])
    prior, wide = known_before([base.text.families[family][name].resolve(name, "typical") for name in names])
    scatter = np.full(len(rows), assumed_scatter("bench_row") / NORMAL_95)
    after = moved(prior, wide, assumed_scatter("other_machine") / NORMAL_95, counts, measured, scatter)
    ends = zip(after.value, after.low, after.high, counts.max(axis=0), after.told, strict=True)
    return {
        name: Moved(float(value), float(low), float(high), float(most), bool(told))
        for name, (value, low, high, most, told) in zip(names, ends, strict=True)
    }
