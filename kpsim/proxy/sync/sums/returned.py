"""Events that undo each other between two syncs: of several of one thing in a stretch of the log, few or none count.

Each event turns its thing over: a Pod comes to a Service's list or goes from it, a Service is there or not.  So of an
even number nothing is left, and of an odd number the last.  Sums over all events are differences of prefix sums; here
is what is to be taken off them.  Only neighbours that are as close as a stretch is long are ever looked at.

A Pod (number 7) goes in row 2, comes back in row 4 and goes in row 9; each event weighs its row:

>>> events = Returned(np.array([7, 7, 7]), np.array([2, 4, 9]), (np.array([2, 4, 9]),))
>>> events.between(before=np.array([0, 0, 3, 0]), after=np.array([4, 5, 10, 10]))
[array([ 0,  6, 13,  6])]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kpsim.proxy.sync import Prefixes, Rows
from kpsim.proxy.sync.sums.changed import spread
from kpsim.units import I64


class _Pairs(NamedTuple):
    """Neighbouring events of one thing at least ``gap`` and less than twice as many rows apart, in order."""

    gap: int
    row: I64  # of the first of the two
    event: I64  # the same, among events by thing


class Returned:
    """Events by thing: ``key`` (events,) says of which, ``row`` where in the log, ``weights`` (events,) each."""

    def __init__(self, key: I64, row: Rows, weights: Sequence[I64]) -> None:
        self.order = np.lexsort((row, key))
        key, self._row = key[self.order], row[self.order]
        self._weights = [weight[self.order] for weight in weights]
        self._sums = [np.concatenate([[0], np.cumsum(weight)]) for weight in self._weights]
        first = np.flatnonzero(key[1:] == key[:-1])
        first = first[np.argsort(self._row[first], kind="stable")]
        size = np.frexp(self._row[first + 1] - self._row[first])[1] - 1
        self._pairs = [_Pairs(1 << int(n), self._row[first[size == n]], first[size == n]) for n in np.unique(size)]

    def groups(self, before: Prefixes, after: Prefixes) -> tuple[I64, I64, I64]:
        """Return (lane, first, last event) of things with several events in rows ``before`` … ``after`` - 1."""
        longest, found = int((after - before).max(initial=0)), []
        for pairs in self._pairs:
            if pairs.gap < longest:
                low, high = np.searchsorted(pairs.row, before), np.searchsorted(pairs.row, after - pairs.gap)
                lane, at = spread(low, np.maximum(high - low, 0))
                event = pairs.event[at]
                inside = self._row[event + 1] < after[lane]
                found.append(lane[inside] * len(self._row) + event[inside])
        keys = np.sort(np.concatenate(found)) if found else np.zeros(0, np.int64)
        begins = np.flatnonzero(np.diff(keys, prepend=-2) != 1)
        ends = np.append(begins[1:], len(keys))[: len(begins)] - 1
        events = max(len(self._row), 1)
        return keys[begins] // events, keys[begins] % events, keys[ends] % events + 1

    def cancelled(self, weight: int, first: I64, last: I64) -> I64:
        """Return how much of a weight's sum over each thing's events ``first`` … ``last`` does not count."""
        sums, odd = self._sums[weight], (last - first) % 2 == 0
        return np.asarray(sums[last + 1] - sums[first] - odd * self._weights[weight][last], np.int64)

    def between(self, before: Prefixes, after: Prefixes) -> list[I64]:
        """Return how much of each weight's sum over rows ``before`` … ``after`` - 1 does not count, (lanes,) each."""
        lane, first, last = self.groups(before, after)
        totals = [np.zeros(len(before), np.int64) for _ in self._weights]
        for number, total in enumerate(totals):
            np.add.at(total, lane, self.cancelled(number, first, last))
        return totals
