"""Counting whole numbers without keeping them: a histogram by the float's own bits, exact while there are few.

Durations are counted in nanoseconds, anything else in whole units.  Buckets are 64 to an octave (0.8 to 1.6 % wide),
found by shifting a float's bits, so that a hundred million samples are a few kilobytes.  Below a limit the samples are
kept too and percentiles are exact.  Tallies add up; the order in which they are added changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from kpsim.measure.distribution import Distribution
from kpsim.units import F64, I64

SHIFT = 46  # leaves 6 bits of the mantissa: 64 buckets an octave
ONE = 1023 << 6  # the bucket of 1.0
BUCKETS = 62 << 6  # up to 2^62
EXACT_BELOW = 200_000
TOGETHER = 1 << 15  # values counted at once, so that they stay in a processor's cache
COUNTED = {"s": 1e9}  # how many of what is counted make one unit; 1 of any other


def _upper(bucket: I64) -> F64:
    """Upper edge of each bucket."""
    return np.asarray(((bucket + 1 + ONE) << SHIFT).view(np.float64))


@dataclass(slots=True)
class Tally:
    """Observations of one kind, as counts; statistics come in ``unit``.

    ``open`` holds the ages of what was not over when the run was; everything else is about what was.

    >>> tally = Tally("s")
    >>> tally.add(np.array([1_000_000, 3_000_000]))  # nanoseconds
    >>> tally.mean(), tally.quantile(0.5)
    (0.002, 0.001)
    """

    unit: str = "s"
    counts: I64 = field(default_factory=lambda: np.zeros(BUCKETS, np.int64))
    total: int = 0
    least: int = 1 << 62
    most: int = 0
    zeros: int = 0
    values: list[I64] | None = field(default_factory=list)
    n: int = 0
    open: Tally | None = None

    @property
    def per_unit(self) -> float:
        """Return the number of counted things that make one unit."""
        return COUNTED.get(self.unit, 1.0)

    @staticmethod
    def pooled(tallies: Sequence[Tally]) -> Tally:
        """Return all of one or more tallies together, in a new one."""
        pool = Tally(tallies[0].unit)
        for tally in tallies:
            pool.merge(tally)
        return pool

    def add(self, values: I64, times: int | I64 = 1) -> None:
        """Count whole numbers (any shape, not negative), each so many times, or a number of times of its own."""
        flat = values.ravel()
        if isinstance(times, np.ndarray):
            flat, times = flat[times > 0], times[times > 0]
        if not flat.size or not np.any(times):
            return
        for first in range(0, flat.size, TOGETHER):
            here = slice(first, first + TOGETHER)
            self._count(flat[here], times if isinstance(times, int) else times[here])
        if self.values is not None:
            few = self.n <= EXACT_BELOW
            self.values = [*self.values, np.repeat(flat, times).astype(np.int64)] if few else None

    def _count(self, flat: I64, times: int | I64) -> None:
        least = int(flat.min())
        bits = (flat if least > 0 else np.maximum(flat, 1)).astype(np.float64).view(np.int64)
        bits >>= SHIFT
        bits -= ONE
        if isinstance(times, int):
            found = np.bincount(bits) * times
            self.n += flat.size * times
            self.total += int(flat.sum()) * times
            zeros = (flat.size - int(np.count_nonzero(flat))) * times if least <= 0 else 0
        else:
            found = np.zeros(int(bits.max()) + 1, np.int64)
            np.add.at(found, bits, times)
            self.n += int(times.sum())
            high, low = flat >> 20, flat & ((1 << 20) - 1)  # products of a time and a count of nodes may overflow
            self.total += (int(high @ times) << 20) + int(low @ times)
            zeros = int(times[flat == 0].sum())
        self.counts[: len(found)] += found
        self.zeros += zeros
        self.least = min(self.least, least)
        self.most = max(self.most, int(flat.max()))

    def add_open(self, ages: I64, times: int | I64 = 1) -> None:
        """Count what is not over, by its age, each so many times."""
        if ages.size and np.any(times):
            self.open = self.open or Tally(self.unit)
            self.open.add(ages, times)

    def merge(self, other: Tally) -> None:
        """Add another tally's counts to this one's.

        Raises
        ------
        ValueError
            if the two count different things.
        """
        if self.unit != other.unit:
            raise ValueError(f"a tally of {other.unit!r} is not one of {self.unit!r}")
        self.counts = self.counts + other.counts
        self.n += other.n
        self.total += other.total
        self.least = min(self.least, other.least)
        self.most = max(self.most, other.most)
        self.zeros += other.zeros
        if self.values is not None:
            few = other.values is not None and self.n <= EXACT_BELOW
            self.values = [*self.values, *(other.values or [])] if few else None
        if other.open:
            self.open = self.open or Tally(self.unit)
            self.open.merge(other.open)

    def finished(self) -> Tally:
        """Return a tally of the finished observations alone."""
        return replace(self, open=None)

    def bounds(self) -> Tally:
        """Everything, what is not over with its age: no percentile is below theirs."""
        return Tally.pooled([self.finished(), self.open]) if self.open else self

    def mean(self) -> float:
        """Mean; exact whatever the buckets."""
        return self.in_unit(self.total / self.n)

    def quantile(self, share: float) -> float:
        """Return the smallest value with ``share`` of everything at or below it; within its bucket if not exact."""
        return float(self.curve(np.array([share]))[0])

    def curve(self, shares: F64) -> F64:
        """Quantiles at ``shares``, (q,)."""
        return Distribution.of(self).at(shares)

    def points(self) -> tuple[F64, F64, I64]:
        """Lower and upper ends of values or buckets that hold anything, rising, and how many each holds."""
        if self.values is not None:
            values = np.sort(np.concatenate([*self.values, np.zeros(0, np.int64)])).astype(np.float64)
            return values, values, np.ones(len(values), np.int64)
        held = np.flatnonzero(self.counts)
        return *self.edges(held), self.counts[held]

    @staticmethod
    def edges(buckets: I64) -> tuple[F64, F64]:
        """Lower and upper edge of each bucket."""
        return _upper(buckets - 1), _upper(buckets)

    def in_unit(self, counted: float) -> float:
        """Return the counted value in the tally's unit."""
        return counted / self.per_unit


def forget_values(tallies: Sequence[Tally]) -> None:
    """Let go of values that no sum of all ``tallies`` would keep: there are too many of them together."""
    if sum(tally.n for tally in tallies) > EXACT_BELOW:
        for tally in tallies:
            tally.values = None
    ages = [tally.open for tally in tallies if tally.open]
    if ages:
        forget_values(ages)
