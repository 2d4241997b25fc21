"""Priced syncs become rows, a size of a kind each, and those move the coefficients of the profile."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from kpsim.calibration.scatter import assumed_scatter
from kpsim.experiment.calibrating.posterior import NORMAL_95, known_before, moved
from kpsim.experiment.calibrating.pricing import FIRST, FULL, Priced, costs_of
from kpsim.profiles.costs import CostProfile
from kpsim.units import F64

MAD = 1.4826  # from the median absolute deviation of a normal distribution to its standard deviation
ENOUGH_FULL = 3  # full syncs, with which first ones need not stand for them


@dataclass(frozen=True, slots=True)
class Moved:
    """A coefficient after the fit, in SI; ``told`` where the data tell it apart from the others."""

    name: str
    before: float
    value: float
    low: float
    high: float
    told: bool
    most: float  # the largest count seen


@dataclass(frozen=True, slots=True)
class Fitted:
    """The coefficients that the syncs pay, and the median relative error of rows before and after."""

    coefficients: tuple[Moved, ...]
    rows: int
    off_before: float
    off: float
    first_as_full: bool


def fitted(syncs: Sequence[Priced], profile: CostProfile, family: str, spread: float) -> Fitted:
    """Return the profile's coefficients as the syncs move them; ``spread`` is one sync's among its like."""
    few = sum(each.reading.times for each in syncs if each.kind == FULL) < ENOUGH_FULL
    groups: dict[tuple[str, ...], list[Priced]] = defaultdict(list)
    for each in syncs:
        if each.kind != FIRST or few:
            size = (each.services, each.endpoints, each.reading.written or 0.0, each.reading.present or 0.0)
            groups[each.kind, *(f"{count:.2g}" for count in size)].append(each)
    known = costs_of(profile, family).coefficients
    rows = list(groups.values())
    names = sorted({n for row in rows for each in row for n in each.work if known[n].value > 0})
    counts = np.array([[_middle([each.work.get(n, 0.0) for each in row]) for n in names] for row in rows])
    measured = np.array([_measured(row) for row in rows])
    scatter = np.array([_scatter(row, spread) for row in rows])
    prior, wide = known_before([known[n] for n in names])
    after = moved(prior, wide, assumed_scatter("other_machine") / NORMAL_95, counts, measured, scatter)
    return Fitted(
        tuple(
            Moved(
                n, float(prior[i]), float(after.value[i]), float(after.low[i]), float(after.high[i]),
                bool(after.told[i]), float(counts[:, i].max()),
            )
            for i, n in enumerate(names)
        ),
        len(rows),
        _off(counts @ prior, measured),
        _off(after.predicted, measured),
        few and any(each.kind == FIRST for each in syncs),
    )  # fmt: skip


def _middle(values: Sequence[float]) -> float:
    return float(np.median(values))


def _measured(row: Sequence[Priced]) -> float:
    """Return the median of syncs, or the mean of means of many."""
    number = [each.reading.times for each in row]
    took = [each.reading.took_s for each in row]
    return float(np.average(took, weights=number)) if max(number) > 1 else _middle(took)


def _scatter(row: Sequence[Priced], spread: float) -> float:
    """Return the standard deviation of the logarithm of a row's middle."""
    number = sum(each.reading.times for each in row)
    took = np.log([each.reading.took_s for each in row])
    seen = MAD * float(np.median(np.abs(took - np.median(took))))
    seen = max(seen, *(each.reading.spread for each in row), spread if number < ENOUGH_FULL else 0.0)
    return max(seen / sqrt(number), assumed_scatter("least") / NORMAL_95)


def _off(predicted: F64, measured: F64) -> float:
    return float(np.median(np.abs(predicted / measured - 1)))
