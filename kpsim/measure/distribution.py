"""The distribution of a tally's quantity, where some of its observations were not over when the run ended.

Of something unfinished only a lower bound is known.  Shares are Kaplan and Meier's: whatever was unfinished at some age
goes on as those did that were seen beyond it.  That holds while things at the end of a run are as things before it,
so a value below which more than a tenth of everything is unknown is not estimated: it is "at least"
what the lower bounds alone would make it.

Source: Kaplan and Meier, "Nonparametric estimation from incomplete observations", JASA 1958.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kpsim.units import F64, I64

if TYPE_CHECKING:
    from kpsim.measure.tally import Tally

MOST_UNKNOWN = 0.1  # of everything


@dataclass(frozen=True, slots=True)
class Distribution:
    """Points (or buckets) in rising order, (m,) each, as counted; what of the whole lies in them, of ``n`` in all."""

    low: F64
    high: F64
    mass: F64 | I64
    below: F64 | I64  # the mass up to and with each
    n: int
    tally: Tally

    @staticmethod
    def of(tally: Tally) -> Distribution:
        """Return the distribution of what a tally holds."""
        low, high, events = tally.points()
        mass, n = events, tally.n
        if tally.open:
            n += tally.open.n
            at_risk = np.cumsum(events[::-1])[::-1] + tally.open.n - _under(tally.open, low)
            left = np.cumprod(1 - events / at_risk)
            mass = n * -np.diff(left, prepend=1.0)
        return Distribution(low, high, mass, np.cumsum(mass), n, tally)

    def at(self, shares: F64) -> F64:
        """The smallest value with each of ``shares`` at or below it, in the tally's unit; NaN where nothing tells."""
        tally = self.tally
        if not len(self.mass):
            return np.full(len(shares), np.nan)
        rank = np.clip(np.ceil(shares * self.n).astype(np.int64) - 1, 0, self.n - 1)
        found = np.searchsorted(self.below, rank + 0.5)
        known = found < len(self.mass)
        point = np.minimum(found, len(self.mass) - 1)
        inside = (rank + 0.5 - (self.below[point] - self.mass[point])) / self.mass[point]
        low, high = self.low[point], self.high[point]
        inside = np.minimum(inside, 2.0)  # beyond 1 where nothing tells, which must not overflow
        value = low * (high / low) ** inside if tally.values is None else high
        value = np.where(rank < tally.zeros, 0.0, np.clip(value, tally.least, tally.most))
        return np.asarray(np.where(known, value, np.nan) / tally.per_unit)

    def unknown(self, value: F64) -> F64:
        """Return the share of everything that was unfinished at an age below each counted ``value``."""
        return _under(self.tally.open, value) / self.n if self.tally.open else np.zeros(len(value))

    def mean(self) -> float:
        """Return the mean in the tally's unit; what nothing tells of weighs as the rest."""
        if self.tally.open is None:
            return self.tally.mean()
        return self.tally.in_unit(float((self.mass * np.sqrt(self.low * self.high)).sum() / self.below[-1]))


def _under(tally: Tally, values: F64) -> I64:
    """Return the number of observations under each value."""
    low, _, counts = tally.points()
    return np.concatenate([[0], np.cumsum(counts)])[np.searchsorted(low, values)]
