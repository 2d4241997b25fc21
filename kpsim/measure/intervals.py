"""From tallies of groups of observations to summaries with 95 % intervals: a bootstrap over the groups.

Packets wait in the same queue, and every node sees the same write: an interval never comes from the scatter of single
observations.  A group is a replication, or a stretch of one's time where there are few; groups are drawn again with
replacement, and an interval is what the statistic does over the draws.  It is wide enough for few groups: the draws'
standard deviation times Student's t, and where the draws are skewed as far as their own percentiles, both widened for
what drawing from few groups takes away, and for what neighbouring stretches of time have in common.  Durations and
ratios are looked at on the logarithmic scale.  A percentile is given only where at least ten observations lie beyond.

Source: Hesterberg, "What teachers should know about the bootstrap", American Statistician 2015, on widened percentiles.
How often such intervals hold the truth is measured by ``make coverage``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from kpsim.measure.distribution import MOST_UNKNOWN, Distribution
from kpsim.measure.summary import Estimate, Summary
from kpsim.measure.tally import Tally
from kpsim.rng import stream
from kpsim.units import F64

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
BEYOND = 10  # observations that must lie beyond a percentile
GROUPS = 20  # at least so many, of one replication or of all
DRAWS = 400
MOST_ALIKE = 0.7  # correlation of neighbouring groups

# Two-sided 95 % points of Student's t for 1 … 30 degrees of freedom (any table), and the normal's beyond.
_T95 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
_NORMAL95 = 1.960


def student_t95(degrees: int) -> float:
    """Return the two-sided 95 % point of Student's t."""
    return _T95[degrees - 1] if degrees <= len(_T95) else _NORMAL95


def estimate(values: Sequence[float], least: float = -math.inf) -> Estimate:
    """Return the mean of a few values, one a replication, with its interval by Student's t.

    ``least`` is what the quantity cannot be below: a duration's interval ends at 0.
    """
    centre = float(np.mean(values))
    if len(values) < 2:
        return Estimate(centre)
    half = student_t95(len(values) - 1) * float(np.std(values, ddof=1)) / len(values) ** 0.5
    return Estimate(centre, max(centre - half, least), centre + half)


def supports(n: int, share: float) -> bool:
    """Return True if ``n`` observations are enough to speak of the percentile at ``share``."""
    return round(n * (1 - share), 6) >= BEYOND  # rounded, because 100 (1 - 0.9) is not quite 10 to a float


@dataclass(frozen=True, slots=True)
class Drawn:
    """A statistic of all groups together, and of each draw of groups, (draws,); a single group has no draws."""

    value: float
    draws: F64
    means: F64  # of each group, in order; NaN where it holds nothing
    at_least: bool = False

    def estimate(self) -> Estimate:
        """Return the statistic with its interval; without one where it is only known to be at least so large."""
        if self.at_least:
            return Estimate(self.value, at_least=True)
        return _estimate(self.value, self.draws, self.means)

    def less(self, other: Drawn) -> Estimate:
        """Return the difference to the same statistic of another mode, which saw the same draws."""
        means = self.means - other.means
        return _estimate(self.value - other.value, self.draws - other.draws, means, logarithmic=False)

    def over(self, other: Drawn) -> Estimate:
        """Return the ratio to the same statistic of another mode, which saw the same draws."""
        with np.errstate(divide="ignore", invalid="ignore"):  # what is not finite is left out
            draws, means = self.draws / other.draws, self.means / other.means
        return _estimate(self.value / other.value, draws, means)


def _estimate(value: float, draws: F64, means: F64, *, logarithmic: bool = True) -> Estimate:
    groups, draws = int(np.isfinite(means).sum()), draws[np.isfinite(draws)]
    if groups < 2:
        return Estimate(value)
    least = 0.0 if logarithmic else -math.inf  # of the quantity
    logarithmic = logarithmic and value > 0 and float(draws.min()) > 0
    centre, seen = (math.log(value), np.log(draws)) if logarithmic else (value, draws)
    times = _memory(means)
    widened = student_t95(max(int(groups / times) - 1, 1)) * (times * groups / (groups - 1)) ** 0.5
    half, tail = widened * float(np.std(seen)), NormalDist().cdf(-widened)
    ends = np.quantile(seen, [tail, 1 - tail])
    low, high = min(float(ends[0]), centre - half), max(float(ends[1]), centre + half)
    return Estimate(value, math.exp(low), math.exp(high)) if logarithmic else Estimate(value, max(low, least), high)


def _memory(means: F64) -> float:
    """Return the factor by which the variance of a mean grows because neighbouring groups are alike.

    Groups with an empty one between them are no neighbours.
    """
    away = means - np.nanmean(means)
    pairs = away[1:] * away[:-1]
    pairs = pairs[np.isfinite(pairs)]
    spread = float(np.nansum(away**2))
    if not spread or not len(pairs):
        return 1.0
    groups = int(np.isfinite(means).sum())
    alike = float(pairs.sum()) / spread + 1 / groups  # a short series seems less alike than it is
    alike = min(max(alike, 0.0), MOST_ALIKE)
    return (1 + alike) / (1 - alike)


def draw(groups: Sequence[Tally]) -> Mapping[str, Drawn]:
    """Return the mean and every percentile that the sample supports, by name; nothing if nothing was observed.

    The draws depend on the number of groups alone, so that modes that saw the same changes are drawn alike.
    """
    if not any(g.n or g.open for g in groups):
        return {}
    pooled = Tally.pooled(groups)
    whole = Distribution.of(pooled)
    shares = {name: share for name, share in QUANTILES.items() if supports(whole.n, share)}
    times = stream(0, "bootstrap", len(groups)).multinomial(len(groups), [1 / len(groups)] * len(groups), DRAWS)
    every = np.vstack([np.ones(len(groups), np.int64), times]).astype(np.float64)
    found = dict(zip(shares, _quantiles(groups, every, np.array(list(shares.values()))), strict=True))
    n, total = (every @ np.array([getattr(g, name) for g in groups], np.float64) for name in ("n", "total"))
    found["mean"] = total / np.maximum(n, 1)
    values = dict(zip(shares, whole.at(np.array(list(shares.values()))).tolist(), strict=True))
    values["mean"] = whole.mean() if pooled.n else math.nan
    means, sure = np.array([g.mean() if g.n else math.nan for g in groups]), pooled.bounds()
    drawn = {}
    for name, value in values.items():
        age = float(pooled.most) if name == "mean" else value * pooled.per_unit
        if math.isnan(value) or whole.unknown(np.array([age]))[0] > MOST_UNKNOWN:
            least = sure.mean() if name == "mean" else sure.quantile(shares[name])
            drawn[name] = Drawn(least, np.zeros(0), means, at_least=True)
            continue
        one, *_ = found[name]
        seen = np.where(n > 0, found[name], np.nan)[1:]  # a draw of nothing but empty groups says nothing
        scale = value / one if value > 0 and one > 0 else 1 / pooled.per_unit  # from within a bucket to the value
        drawn[name] = Drawn(value, seen * scale, means)
    return drawn


def _quantiles(groups: Sequence[Tally], times: F64, shares: F64) -> F64:
    """Return quantiles at ``shares`` by bucket, (shares, draws); ``times`` (draws, groups) weighs the groups."""
    counts = np.array([g.counts for g in groups], np.float64)
    ages = np.array([g.open.counts if g.open else np.zeros_like(g.counts) for g in groups], np.float64)
    held = np.flatnonzero(counts.any(axis=0) | ages.any(axis=0))
    events, left = times @ counts[:, held], times @ ages[:, held]
    at_risk = np.cumsum((events + left)[:, ::-1], axis=1)[:, ::-1]
    below = 1 - np.cumprod(1 - events / np.maximum(at_risk, 1), axis=1)
    low, high = Tally.edges(held)
    each = np.arange(len(times))
    found = []
    for share in shares.tolist():
        reached = below >= share - 1e-12  # from one bucket on, because shares below buckets rise
        point = np.where(reached[:, -1], reached.argmax(axis=1), len(held) - 1)
        before = np.where(point > 0, below[each, point - 1], 0.0)
        inside = np.clip((share - before) / np.maximum(below[each, point] - before, 1e-12), 0.0, 1.0)
        found.append(low[point] * (high[point] / low[point]) ** inside)
    return np.array(found).reshape(len(shares), len(times))


def summarise(measure: str, groups: Sequence[Tally]) -> Summary | None:
    """Return the summary of one measure in its tallies' unit, or ``None`` if nothing was observed."""
    drawn = draw(groups)
    if not drawn:
        return None
    pooled = Tally.pooled(groups)
    bounds = pooled.bounds()
    estimates = {name: each.estimate() for name, each in drawn.items()}
    return Summary(
        measure=measure,
        unit=pooled.unit,
        n=pooled.n,
        mean=estimates.pop("mean"),
        min=pooled.in_unit(bounds.least),
        max=pooled.in_unit(bounds.most),
        quantiles=estimates,
        batches=sum(1 for g in groups if g.n),
        unfinished=pooled.open.n if pooled.open else 0,
        max_at_least=bounds.most > pooled.most,
    )
