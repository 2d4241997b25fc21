"""Counting durations without keeping them: a histogram by the float's own bits, exact while there are few.

Buckets are 64 to an octave (1.1 to 1.6 % wide), found by shifting a float's bits, so that a hundred million samples are
a few kilobytes.  Below a limit the samples are kept too and percentiles are exact.  Tallies add up; the order in which
they are added changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from kpsim.units import F64, I64

SHIFT = 46  # leaves 6 bits of the mantissa: 64 buckets an octave
ONE_NS = 1023 << 6  # the bucket of 1.0
BUCKETS = 62 << 6  # up to 2^62 ns
EXACT_BELOW = 200_000


def _upper(bucket: I64) -> F64:
    """Upper edge of each bucket [ns]."""
    return np.asarray(((bucket + 1 + ONE_NS) << SHIFT).view(np.float64))


@dataclass(slots=True)
class Tally:
    """Durations of one kind [ns], as counts."""

    counts: I64 = field(default_factory=lambda: np.zeros(BUCKETS, np.int64))
    total_ns: int = 0
    least_ns: int = 1 << 62
    most_ns: int = 0
    values: list[I64] | None = field(default_factory=list)
    n: int = 0

    def add(self, values_ns: I64) -> None:
        """Count ``values_ns`` (any shape, not negative)."""
        if not values_ns.size:
            return
        flat = values_ns.ravel()
        bucket = (np.maximum(flat, 1).astype(np.float64).view(np.int64) >> SHIFT) - ONE_NS
        self.counts += np.bincount(bucket, minlength=BUCKETS)
        self.n += flat.size
        self.total_ns += int(flat.sum())
        self.least_ns = min(self.least_ns, int(flat.min()))
        self.most_ns = max(self.most_ns, int(flat.max()))
        if self.values is not None:
            self.values = None if self.n > EXACT_BELOW else [*self.values, flat.astype(np.int64)]

    def merge(self, other: Tally) -> None:
        """Add another tally's counts to this one's."""
        self.counts = self.counts + other.counts
        self.n += other.n
        self.total_ns += other.total_ns
        self.least_ns = min(self.least_ns, other.least_ns)
        self.most_ns = max(self.most_ns, other.most_ns)
        if self.values is not None:
            few = other.values is not None and self.n <= EXACT_BELOW
            self.values = [*self.values, *(other.values or [])] if few else None

    def mean_s(self) -> float:
        """Mean [s]; exact whatever the buckets."""
        return self.total_ns / self.n / 1e9

    def quantile_s(self, share: float) -> float:
        """The smallest value with ``share`` of the samples at or below it [s]; within its bucket if not exact."""
        return float(self.curve(np.array([share]))[0])

    def curve(self, shares: F64) -> F64:
        """Quantiles at ``shares`` [s], (q,)."""
        rank = np.clip(np.ceil(shares * self.n).astype(np.int64) - 1, 0, self.n - 1)
        if self.values is not None:
            return np.asarray(np.sort(np.concatenate(self.values))[rank] / 1e9)
        below = np.cumsum(self.counts)
        bucket = np.searchsorted(below, rank, side="right")
        inside = (rank + 0.5 - (below[bucket] - self.counts[bucket])) / self.counts[bucket]
        low, high = _upper(bucket - 1), _upper(bucket)
        return np.asarray(np.clip(low * (high / low) ** inside, self.least_ns, self.most_ns) / 1e9)
