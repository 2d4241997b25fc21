"""Syncs of each kind are compared with what a profile says of the same syncs, with an interval of the ratio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, sqrt

import numpy as np

from kpsim.calibration.scatter import assumed_scatter
from kpsim.experiment.calibrating.pricing import FIRST, FULL, PARTIAL, Priced, costs_of
from kpsim.profiles.costs import FACTOR_ONE, CostProfile
from kpsim.units import F64

FEW = 6  # syncs, below which a median's interval is taken from the scatter that the profile gives a sync
NORMAL_95 = 1.959964


@dataclass(frozen=True, slots=True)
class Comparison:
    """Syncs of one kind: ``times`` as long as the profile says, and the interval that the profile itself allows."""

    kind: str
    syncs: int
    services: tuple[float, float]  # fewest and most
    measured_s: float
    predicted_s: float
    times: float
    low: float
    high: float
    allowed: tuple[float, float]

    @property
    def inside(self) -> bool:
        """Return True if the interval touches the one that the profile allows."""
        return self.low <= self.allowed[1] and self.high >= self.allowed[0]

    def sentence(self, profile: str) -> str:
        """Return the comparison in words."""
        numbers = f"{_rounded(self.times)} times [{_rounded(self.low)}, {_rounded(self.high)}]"
        return f"your {self.kind} syncs take {numbers} what profile {profile} says"


def compared(syncs: Sequence[Priced], profile: CostProfile, family: str) -> list[Comparison]:
    """Return a comparison of each kind, the most frequent first, first syncs last."""
    found = []
    for kind in (PARTIAL, FULL, FIRST):
        mine = [each for each in syncs if each.kind == kind and each.predicted_s > 0]
        if mine:
            found.append(_compared(kind, mine, profile, family))
    return sorted(found, key=lambda each: (each.kind == FIRST, -each.syncs))


def _compared(kind: str, mine: Sequence[Priced], profile: CostProfile, family: str) -> Comparison:
    measured = np.array([each.reading.took_s for each in mine])
    predicted = np.array([each.predicted_s for each in mine])
    number = np.array([each.reading.times for each in mine])
    alone = spread_of_a_sync(profile, family)
    if number.max() > 1:  # means of many: their sum against the sum of what is said
        middle, said = float(np.average(measured, weights=number)), float(np.average(predicted, weights=number))
        spread = np.array([each.reading.spread or alone for each in mine])
        share = measured * number / (measured * number).sum()
        wide = NORMAL_95 * sqrt(float((share**2 * spread**2 / number).sum()))
        times = middle / said
        low, high = times * exp(-wide), times * exp(wide)
    else:
        ratios = np.sort(measured / predicted)
        times, middle, said = float(np.median(ratios)), float(np.median(measured)), float(np.median(predicted))
        low, high = _of_median(ratios, times, alone)
    half = profile.text.scatter.get(family, {})
    wide = half.get("wall_s", half.get("all", assumed_scatter("no_fit")))
    services = [each.services for each in mine]
    ends = min(services), max(services)
    return Comparison(kind, int(number.sum()), ends, middle, said, times, low, high, (exp(-wide), exp(wide)))


def _of_median(ratios: F64, times: float, alone: float) -> tuple[float, float]:
    """Return a 95 % interval of a median: between two of the sorted values, or by the usual scatter of few."""
    n = len(ratios)
    if n < FEW:
        seen = float(np.log(ratios).std(ddof=1)) if n > 1 else 0.0
        wide = NORMAL_95 * max(seen, alone) * sqrt(np.pi / 2 if n > 2 else 1.0) / sqrt(n)
        return times * exp(-wide), times * exp(wide)
    reach = NORMAL_95 * sqrt(n) / 2
    below, above = max(int(np.floor(n / 2 - reach)), 0), min(int(np.ceil(n / 2 + reach)), n - 1)
    return float(ratios[below]), float(ratios[above])


def spread_of_a_sync(profile: CostProfile, family: str) -> float:
    """Return the standard deviation of the logarithm of one sync among its like, as the profile says."""
    factors = costs_of(profile, family).factors.get("sync")
    if factors is None:
        return assumed_scatter("least")
    low, high = np.quantile(factors / FACTOR_ONE, [0.025, 0.975])
    return float(log(high / low) / (2 * NORMAL_95))


def _rounded(value: float) -> str:
    """Return a ratio with two digits that count, three from ten on."""
    if value >= 99.5:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value >= 9.95 else f"{value:.2g}" if value < 0.995 else f"{value:.1f}"
