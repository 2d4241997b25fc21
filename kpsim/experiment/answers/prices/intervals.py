"""From a profile's coefficients to the interval of the number a reader sees, and coefficient by coefficient."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from kpsim.experiment.answers.prices.parts import Part, Priced, spread_over
from kpsim.experiment.result import Swing
from kpsim.measure.summary import Estimate, Summary

SWUNG = ("p99", "p50", "mean")  # the first of these that is known is what coefficients are seen to move
LEAST = 1e-3  # of a measure: a coefficient that moves it less is left out


def priced(parts: Priced, summaries: Mapping[str, Summary]) -> dict[str, dict[str, Estimate]]:
    """Return every statistic of every priced measure with the interval that prices give it."""
    found: dict[str, dict[str, Estimate]] = {}
    for name, summary in summaries.items():
        for statistic, value in _statistics(summary).items():
            of = parts.parts(name, statistic, value)
            if of:
                found.setdefault(name, {})[statistic] = spread_over(of).of(value)
    return found


def _statistics(summary: Summary) -> dict[str, float]:
    values = {"mean": summary.mean, **summary.quantiles}
    known = {name: each.value for name, each in values.items()}
    return {name: value for name, value in (known | {"min": summary.min, "max": summary.max}).items() if value > 0}


def swings(parts: Priced, summaries: Mapping[str, Summary]) -> dict[str, tuple[Swing, ...]]:
    """Return by measure how far each coefficient's own interval moves it, those that move it most first."""
    found = {}
    for name, summary in summaries.items():
        values = _statistics(summary)
        for statistic in [each for each in SWUNG if each in values][:1]:
            each = _swings(parts.parts(name, statistic, values[statistic]), statistic, values[statistic])
            if each:
                found[name] = tuple(sorted(each, key=lambda swing: swing.low - swing.high))
    return found


def _swings(parts: Sequence[Part], statistic: str, value: float) -> list[Swing]:
    """Return each coefficient's swing; of a sum, the share of its variance is the square of a swing's share."""
    moved: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    sources: dict[str, str] = {}
    for part in parts:
        times = {name: float(np.max(count)) for name, count in part.work.items()}
        total = sum(times[name] * part.coefficients[name].value for name in times)
        for name, count in times.items() if total > 0 else ():
            price = part.coefficients[name]
            sources[name] = price.source
            for end, at in enumerate((price.low, price.high)):
                moved[name][end] += part.share * count * (at - price.value) / total
    squares = sum((high - low) ** 2 for low, high in moved.values()) or 1.0
    return [
        Swing(name, sources[name], statistic, value, value * (1 + low), value * (1 + high), (high - low) ** 2 / squares)
        for name, (low, high) in moved.items()
        if high - low >= LEAST
    ]


def ratio_by_prices(one: Estimate | None, other: Estimate | None) -> Estimate | None:
    """Return the ratio of two priced values with its interval, as if their prices had nothing in common."""
    if one is None or other is None or not min(one.low or 0.0, other.low or 0.0) > 0:
        return None
    down, up = (
        math.hypot(math.log(ends(one) / one.value), math.log(others(other) / other.value))
        for ends, others in ((_low, _high), (_high, _low))
    )
    ratio = one.value / other.value
    return Estimate(ratio, ratio * math.exp(-down), ratio * math.exp(up))


def _low(found: Estimate) -> float:
    return found.value if found.low is None else found.low


def _high(found: Estimate) -> float:
    return found.value if found.high is None else found.high
