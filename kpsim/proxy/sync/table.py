"""All syncs of all nodes as one table, and how it is written while they run.

A row holds the i-th sync of every node.  Cells are written where they stay, so that a hundred thousand nodes' syncs are
in memory once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from kpsim.cluster.changes import NEVER
from kpsim.proxy.sync import Nodes
from kpsim.units import I64, Bools

_FIRST_ROWS = 64


@dataclass(frozen=True, slots=True)
class SyncTable:
    """All syncs of all nodes: arrays (syncs, nodes); a node's rows are filled from the top, NEVER below."""

    start: I64
    switch: I64  # its rules are in force; what follows until its end is the clean-up of conntrack
    end: I64
    absorbed: I64  # deliveries it knew when it started; below the last sync, those that one knew
    full: Bools
    failed: Bools
    process_since: I64  # when the kube-proxy that ran it started; -NEVER: before the run
    cpu: I64  # what it took of the node's cores [ns], waits apart
    ran: Bools = field(init=False)  # the cells that hold a sync

    def __post_init__(self) -> None:
        object.__setattr__(self, "ran", self.start < NEVER)


class SyncRow(NamedTuple):
    """Some syncs for a :class:`SyncTable`, (k,) each, or (nodes,) for one of every node."""

    start: I64
    switch: I64
    end: I64
    absorbed: I64
    full: Bools
    failed: Bools
    process_since: I64
    cpu: I64

    def take(self, which: I64) -> SyncRow:
        """Return some of the syncs."""
        times = self.start[which], self.switch[which], self.end[which], self.absorbed[which]
        flags = self.full[which], self.failed[which]
        return SyncRow(*times, *flags, self.process_since[which], self.cpu[which])


_EMPTY = SyncRow(*(np.array(cell) for cell in (NEVER, NEVER, NEVER, 0, False, False, -NEVER, 0)))


class WrittenSyncs:
    """The table under way: rows in any order, each node's from the top.

    ``restarts`` says that a kube-proxy may start during the run.  Two nodes, of which one has a second sync:

    >>> written = WrittenSyncs(2, restarts=False)
    >>> zeros, no = np.zeros(2, np.int64), np.zeros(2, np.bool_)
    >>> first = SyncRow(np.array([3, 5]), np.array([4, 6]), np.array([4, 6]), np.array([1, 1]), no, no, zeros, zeros)
    >>> written.put(np.arange(2), zeros, first)
    >>> written.put(np.array([1]), np.array([1]), first.take(np.array([1])))
    >>> table = written.table()
    >>> table.start[:, 1].tolist(), table.ran.tolist(), table.absorbed.tolist()
    ([5, 5], [[True, True], [False, True]], [[1, 1], [1, 1]])
    """

    def __init__(self, nodes: int, *, restarts: bool) -> None:
        self._nodes, self._depth, self._restarts = nodes, 0, restarts
        self._columns = [np.empty((_FIRST_ROWS, nodes), cell.dtype) for cell in self._kept(_EMPTY)]

    def put(self, node: Nodes, number: I64, row: SyncRow) -> None:
        """Write sync ``number`` of each of ``node``, which rises, (k,) each."""
        if not len(node):
            return
        low, high = int(number.min()), int(number.max())
        whole = len(node) == self._nodes and low == high
        self._grow(high + 1, filled=not whole)
        for table, column in zip(self._columns, self._kept(row), strict=True):
            if whole:  # nodes in their order
                table[low] = column
            else:
                table[number, node] = column

    def table(self) -> SyncTable:
        """Return everything written; nothing is written afterwards."""
        start, switch, end, absorbed, full, failed, cpu, *since = (column[: self._depth] for column in self._columns)
        np.maximum.accumulate(absorbed, out=absorbed)
        if since:
            np.maximum.accumulate(since[0], out=since[0])
        else:
            since = [np.broadcast_to(_EMPTY.process_since, start.shape)]
        return SyncTable(start, switch, end, absorbed, full, failed, since[0], cpu)

    def _kept(self, row: SyncRow) -> tuple[np.ndarray, ...]:
        *others, since, cpu = row
        return (*others, cpu, since) if self._restarts else (*others, cpu)

    def _grow(self, depth: int, *, filled: bool) -> None:
        """Make room for ``depth`` rows; memory that nothing is written to is not taken."""
        for i, (table, cell) in enumerate(zip(self._columns, self._kept(_EMPTY), strict=True)):
            if depth > len(table):
                larger = np.empty((2 * depth, self._nodes), table.dtype)
                larger[: self._depth] = table[: self._depth]
                self._columns[i] = larger
            if filled:
                self._columns[i][self._depth : depth] = cell
        self._depth = max(self._depth, depth)
