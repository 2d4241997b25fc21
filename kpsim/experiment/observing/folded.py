"""Latencies of the same things on many nodes are folded into one tally a stretch of time, some nodes at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kpsim.cluster.changes import NEVER
from kpsim.measure.stretches import Batches
from kpsim.measure.tally import Tally
from kpsim.proxy.sync.inforce import Told
from kpsim.units import I64

FOLD_AT = 60_000  # latencies counted together, so that they stay in a processor's cache


class Folded:
    """Counts latencies over nodes, and ages of what is not in force, some nodes at a time.

    They are those of the things that rows of the log tell of, each with the time since when it waits.
    """

    def __init__(self, measured: Batches, rows: int, row: I64, since_ns: I64) -> None:
        self._until_ns = measured.until_ns
        index = measured.index(since_ns)
        self._parts = [(Told.of(row[index == b], rows), since_ns[index == b]) for b in range(measured.count)]
        self._tallies = [Tally() for _ in self._parts]
        self._open = [np.zeros(len(since), np.int64) for _, since in self._parts]  # nodes without it
        self.pending = 0

    def observe(self, nodes: int, times_of: Callable[[I64, Told, I64], tuple[I64, I64]]) -> None:
        """Count all nodes: ``times_of`` some of them gives (k, m) times, and how many of the m are over on each."""
        for part, (told, since_ns) in enumerate(self._parts):
            at_once = max(FOLD_AT // max(len(told.row), 1), 1)
            for first in range(0, nodes if len(told.row) else 0, at_once):
                some = np.arange(first, min(first + at_once, nodes))
                self._count(part, *times_of(some, told, since_ns))

    def add(self, in_force_ns: I64) -> None:
        """Count one watcher: when each row it absorbed came into force, (absorbed,)."""
        for part, (told, _) in enumerate(self._parts):
            known = np.searchsorted(told.row, len(in_force_ns))
            times = np.full((1, len(told.row)), NEVER)
            times[0, :known] = in_force_ns[told.row[:known]]
            self._count(part, times, np.array([known]))

    def _count(self, part: int, times: I64, known: I64) -> None:
        since_ns, tally = self._parts[part][1], self._tallies[part]
        whole = int(known.min())  # so many are over on all of these nodes
        if times[:, :whole].max(initial=0) < NEVER:
            tally.add(times[:, :whole] - since_ns[:whole])
        else:
            whole = 0
        seen = times[:, whole:] < NEVER
        tally.add((times[:, whole:] - since_ns[whole:])[seen])
        self._open[part] += np.cumsum(np.bincount(known, minlength=len(since_ns) + 1))[:-1]
        self.pending += int((len(since_ns) - known).sum())

    def finish(self, *, open_too: bool = False) -> list[Tally]:
        """Return all tallies; what is not in force is in them only if ``open_too``."""
        if open_too:
            for tally, nodes, (_, since_ns) in zip(self._tallies, self._open, self._parts, strict=True):
                tally.add_open(self._until_ns - since_ns, nodes)
        return self._tallies
