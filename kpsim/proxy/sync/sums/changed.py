"""Services that changed between two prefixes of the log, each counted once, as its last row between them left it.

A row counts if the next row of its Service is not in the stretch.  Short stretches are looked up: for the prefixes of a
block, sums over the 1, 2, 3 … rows before each are made once for all nodes, so that a node costs one look and not its
rows.  Long stretches are counted in a :class:`PrefixSums`.  Several sums are packed into one integer, whose overflow
cancels in a difference.

Service A changes in rows 0 and 2, B in row 1; each row has as many rules as its number and ten more:

>>> sums = ChangedSums(next_row=np.array([2, 3, 3]), weights=(np.array([10, 11, 12]),), most=(100,))
>>> sums.between(before=np.array([0, 0, 1]), after=np.array([2, 3, 3]))
[array([2, 2, 2]), array([21, 23, 23])]
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from kpsim.proxy.sync import Prefixes, Services
from kpsim.proxy.sync.sums.prefix import PrefixSums
from kpsim.units import I64, Bools

BLOCK = 256  # prefixes whose sums are made together
LONGEST = 512  # rows of a stretch that is looked up
KEPT = 24  # blocks
_BITS = 62


class ChangedSums:
    """Sums over the last row of each Service in a stretch of the log: how many, and some weights.

    ``next_row`` (rows,) is the next row of the same Service (``rows`` for none), ``weights`` (rows,) each are not
    negative, and no stretch has more of one than its ``most``.
    """

    def __init__(self, next_row: I64, weights: Sequence[I64], most: Sequence[int]) -> None:
        rows = len(next_row)
        self._next = next_row
        self._packed = _packed((np.ones(rows, np.int64), *weights), (rows, *most))
        self._length = 32  # rows a look-up reaches back, as long as anything asked for needs
        self._blocks: dict[int, list[I64]] = {}
        self._far: list[tuple[PrefixSums, I64]] | None = None

    def between(self, before: Prefixes, after: Prefixes) -> list[I64]:
        """Return the number of Services with rows ``before`` … ``after`` - 1 and their weights, (lanes,) each."""
        length = after - before
        near = length <= LONGEST
        block = after // BLOCK
        needed = np.flatnonzero(np.bincount(block[near])) if near.any() else np.zeros(0, np.int64)
        if len(needed) > KEPT:
            needed, near = needed[:0], np.zeros_like(near)
        sums = [np.zeros(len(length), np.int64) for _ in self._packed]
        if len(needed):
            self._reach(int(length[near].max()))
            for passed in [number for number in self._blocks if number < needed[0]]:
                del self._blocks[passed]  # no node goes back
        for number in needed.tolist():
            if len(needed) == 1 and near.all():
                at = (after - number * BLOCK) * (self._length + 1) + length
                sums = [table.take(at) for table in self._block(number)]
                break
            here = np.flatnonzero(near & (block == number))
            at = (after[here] - number * BLOCK) * (self._length + 1) + length[here]
            for total, table in zip(sums, self._block(number), strict=True):
                total[here] = table.take(at)
        if not near.all():
            far = np.flatnonzero(~near)
            for total, found in zip(sums, self._counted(before[far], after[far]), strict=True):
                total[far] = found
        return [part for packed, total in zip(self._packed, sums, strict=True) for part in packed.parts(total)]

    def _reach(self, length: int) -> None:
        if length > self._length:
            self._length = min(1 << (length - 1).bit_length(), LONGEST)
            self._blocks.clear()

    def _block(self, number: int) -> list[I64]:
        """Return the sums over the 0, 1, 2 … rows before each prefix of a block, (BLOCK, length + 1) each."""
        if number not in self._blocks:
            while len(self._blocks) >= KEPT:
                self._blocks.pop(next(iter(self._blocks)))
            first, length = number * BLOCK, self._length
            prefix = np.arange(first, min(first + BLOCK, len(self._next) + 1))
            follows = self._stretches(self._next, first, len(prefix)) >= prefix[:, None]
            made = []
            for packed in self._packed:
                table = np.zeros((len(prefix), length + 1), np.int64)
                np.cumsum(self._stretches(packed.word, first, len(prefix)) * follows, axis=1, out=table[:, 1:])
                made.append(table)
            self._blocks[number] = made
        return self._blocks[number]

    def _stretches(self, column: I64, first: int, prefixes: int) -> I64:
        """Return the rows before each prefix, the last one first, (prefixes, length); -1 and 0 before the log."""
        low = first - self._length
        nothing = np.full(max(-low, 0), -1 if column is self._next else 0)
        rows = np.concatenate([nothing, column[max(low, 0) : first + prefixes - 1]])
        return np.asarray(sliding_window_view(rows, self._length)[:, ::-1])

    def _counted(self, before: Prefixes, after: Prefixes) -> list[I64]:
        if self._far is None:
            rows = len(self._next)
            self._far = [
                (PrefixSums(self._next, packed.word, rows + 1), np.concatenate([[0], np.cumsum(packed.word)]))
                for packed in self._packed
            ]
        return [
            total[after] - total[before] - (sums.below(after, after) - sums.below(before, after))
            for sums, total in self._far
        ]


class Lives:
    """Services are there from one row to another, nearly all once at most; the rows of the others are listed.

    ``service`` (rows,) is each row's, ``there`` and ``was`` say that it is known after it and was before, ``at_start``
    (services,) that it was at the start.
    """

    def __init__(self, service: Services, there: Bools, was: Bools, at_start: Bools) -> None:
        rows, begins = len(service), there & ~was
        again = at_start + np.bincount(service[begins], minlength=len(at_start)) > 1
        ends = np.full(len(at_start), rows)
        ends[service[was & ~there]] = np.flatnonzero(was & ~there)
        once = begins & ~again[service]
        self._begun = ChangedSums(np.where(once, ends[service], 0), (), ()) if once.any() else None
        self._begins_total = np.concatenate([[0], np.cumsum(once)])
        self._others = np.flatnonzero(again[service])

    def begun(self, before: Prefixes, after: Prefixes) -> tuple[I64, I64]:
        """Return (those still there, those gone again) of Services of one life that began in a stretch, (lanes,)."""
        if self._begun is None:
            return np.zeros(len(before), np.int64), np.zeros(len(before), np.int64)
        there = self._begun.between(before, after)[0]
        return there, self._begins_total[after] - self._begins_total[before] - there

    def rows_of_others(self, before: Prefixes, after: Prefixes) -> tuple[I64, I64]:
        """Return (lane, row) of all rows ``before`` … ``after`` - 1 of Services that have several lives."""
        if not len(self._others):
            return self._others, self._others
        low, high = np.searchsorted(self._others, before), np.searchsorted(self._others, after)
        lane, at = spread(low, high - low)
        return lane, self._others[at]


def spread(low: I64, length: I64) -> tuple[I64, I64]:
    """Return (which, index) of every index low, low + 1, … of some stretches.

    >>> spread(np.array([3, 9]), np.array([2, 1]))
    (array([0, 0, 1]), array([3, 4, 9]))
    """
    which = np.repeat(np.arange(len(length)), length)
    return which, np.arange(len(which)) - np.repeat(np.cumsum(length) - length - low, length)


class _Packed:
    """Columns side by side in one integer."""

    def __init__(self, columns: Sequence[I64], bits: Sequence[int]) -> None:
        self._bits = bits
        self.word = np.zeros(len(columns[0]), np.int64)
        for column, width in zip(columns, bits, strict=True):
            self.word = (self.word << width) | column

    def parts(self, total: I64) -> list[I64]:
        """Return the sums of the columns from a sum of packed integers."""
        found: list[I64] = []
        for width in self._bits[::-1]:
            found.append(total & ((1 << width) - 1))
            total = total >> width
        return found[::-1]


def _packed(columns: Sequence[I64], most: Sequence[int]) -> list[_Packed]:
    """Return the columns in as few integers as hold sums of up to ``most`` of each."""
    packed, some, widths = [], list[I64](), list[int]()
    for column, limit in zip(columns, most, strict=True):
        width = max(int(limit).bit_length(), 1)
        if sum(widths) + width > _BITS and some:
            packed.append(_Packed(some, widths))
            some, widths = [], []
        some, widths = [*some, column], [*widths, width]
    return [*packed, _Packed(some, widths)]
