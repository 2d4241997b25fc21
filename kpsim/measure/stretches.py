"""Stretches of the measured time, whose observations are tallied apart where there are few replications."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kpsim.measure.summary import MEASURES
from kpsim.measure.tally import Tally
from kpsim.units import I64


@dataclass(frozen=True, slots=True)
class Batches:
    """The measured time cut into stretches; one stretch where replications give the intervals."""

    from_ns: int
    until_ns: int
    count: int

    def index(self, time_ns: I64) -> I64:
        """Return the index of the stretch in which each time lies."""
        share = (time_ns - self.from_ns) * self.count // max(self.until_ns - self.from_ns, 1)
        np.maximum(share, 0, out=share)
        return np.minimum(share, self.count - 1, out=share)

    def empty(self, measure: str) -> list[Tally]:
        """Return a tally of the measure for each stretch."""
        return [Tally(MEASURES[measure].unit) for _ in range(self.count)]

    def split(self, values: I64, time_ns: I64) -> list[tuple[int, I64]]:
        """Return the values whose time lies in each stretch, for the stretches that have any."""
        if self.count == 1 or not len(values):
            return [(0, values)]
        index = self.index(time_ns)
        first = int(index.min())
        index -= first
        counts = np.bincount(index)
        if len(counts) > 1:
            few = len(counts) < 256  # to sort without comparing
            values = values[np.argsort(index.astype(np.uint8) if few else index, kind="stable")]
        parts = np.split(values, np.cumsum(counts)[:-1])
        return [(batch, part) for batch, part in enumerate(parts, first) if len(part)]
