"""The rules in force on each node by time, and the time at which each delivery came into force.

Deliveries come into force with the end of the first sync that took them up and did not fail; in modes that take
endpoints as they come, when they arrive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from kpsim.cluster.changes import NEVER
from kpsim.controlplane.api.joins import Join
from kpsim.proxy.sync import Editions, Nodes, Prefixes, Rows
from kpsim.proxy.sync.lanes import Arrivals
from kpsim.proxy.sync.table import SyncTable
from kpsim.units import I64, Bools

ALIKE = 128  # times asked for one node one after another, from which on they are looked up in its own column


@dataclass(frozen=True, slots=True)
class Told:
    """Things that deliveries tell of, in order of their rows, (m,), and how many there are before each row.

    >>> Told.of(np.array([0, 2, 2]), rows=3).before
    array([0, 1, 1, 3])
    """

    row: Rows
    before: I64  # (rows + 1,)

    @staticmethod
    def of(row: Rows, rows: int) -> Told:
        """Return the things in ``row`` of a log of ``rows``."""
        return Told(row, np.searchsorted(row, np.arange(rows + 1)))

    @staticmethod
    def every(rows: int) -> Told:
        """Return a log's deliveries themselves."""
        return Told(np.arange(rows), np.arange(rows + 1))


class InForce:
    """The syncs of all nodes read as editions of the rules in force: 0 at the start, then one more with each change."""

    def __init__(
        self, syncs: SyncTable, arrivals: Arrivals, at_once: bool, horizon_ns: int, joins: Sequence[Join] = ()
    ) -> None:
        self.syncs, self.arrivals, self.at_once, self.horizon_ns = syncs, arrivals, at_once, horizon_ns
        nodes = syncs.switch.shape[1]
        self._reach: I64 | None = None
        self._made = self._last_good() if syncs.failed.any() else None
        self._joins = bool(joins)
        self._joined_ns, self.usable_ns = np.full(nodes, -NEVER), np.full(nodes, -NEVER)
        good = np.where(syncs.ran & ~syncs.failed, syncs.switch, NEVER).min(0, initial=NEVER)
        for join in joins:
            self._joined_ns[join.node], self.usable_ns[join.node] = join.at_ns, good[join.node]

    def edition(self, node: Nodes, time_ns: I64) -> tuple[Editions, I64, I64]:
        """Return (edition in force, since [ns], until [ns] or NEVER) for each (node, time) pair.

        It is -1 on a node that has joined, until its first sync is in force: there are no rules.
        """
        edition, since, until = self._edition(node, time_ns)
        if not self._joins:
            return edition, since, until
        usable = self.usable_ns[node]
        cold = time_ns < usable
        since = np.where(cold, -NEVER, np.maximum(since, usable))
        return np.where(cold, -1, edition), since, np.where(cold, usable, until)

    def _edition(self, node: Nodes, time_ns: I64) -> tuple[Editions, I64, I64]:
        if self.at_once:
            known = self.arrivals.count(time_ns, node, inclusive=True)
            since = np.where(known > 0, self.arrivals.at(known - 1, node), -NEVER)
            return known, since, self.arrivals.at(known, node)
        switch = self.syncs.switch
        edition = ended_by(switch, node, time_ns)
        if not len(switch):
            return edition, np.full(len(node), -NEVER), np.full(len(node), NEVER)
        since = np.where(edition > 0, switch[np.maximum(edition - 1, 0), node], -NEVER)
        until = np.where(edition < len(switch), switch[np.minimum(edition, len(switch) - 1), node], NEVER)
        return edition, since, until

    def known(self, edition: Editions, node: Nodes) -> tuple[Prefixes, Editions]:
        """Return (deliveries held, number of the rule set) of each edition; none where there are no rules."""
        edition = np.maximum(edition, 0)
        if self.at_once:
            return edition, edition
        if not len(self.syncs.absorbed):
            return np.zeros_like(node), np.zeros_like(node)
        made = edition if self._made is None else self._made[edition, node]
        return np.where(made > 0, self.syncs.absorbed[np.maximum(made - 1, 0), node], 0), made

    def _last_good(self) -> I64:
        """Return the last sync that did not fail before each edition, counted from 1; (editions, nodes)."""
        good = np.where(self.syncs.failed, 0, np.arange(1, len(self.syncs.end) + 1)[:, None])
        nothing = np.zeros((1, good.shape[1]), np.int64)
        return np.concatenate([nothing, np.maximum.accumulate(good, axis=0)])

    def true_ns(self, node: int) -> I64:
        """Return the times at which deliveries came into force on ``node`` [ns], in order of delivery.

        NEVER for those that a node which joined later found in its lists.
        """
        times, known = self.true_times(np.array([node]), Told.every(self.arrivals.rows))
        return np.asarray(times[0, : known[0]])

    def reported_ns(self, node: int, trigger_ns: I64) -> I64:
        """Return the time of kube-proxy's sample for each delivery [ns]; NEVER if lost or triggered before its start.

        ``trigger_ns`` by delivery, (rows,).
        """
        times, known = self.reported_times(np.array([node]), Told.every(self.arrivals.rows), trigger_ns)
        return np.asarray(times[0, : known[0]])

    def true_times(self, nodes: Nodes, told: Told) -> tuple[I64, I64]:
        """Return when each thing ``told`` came into force on some nodes [ns], (k, m), and how many did on each, (k,).

        The others come last, with NEVER, as have those that a node which joined later found in its lists.
        """
        if self.at_once:
            times, known = self._as_they_come(nodes, told)
        else:
            syncs = self._syncs_of(told)
            times, known = self._repeated(nodes, told, syncs, self.syncs.switch, ~self.syncs.failed[syncs, nodes])
        late = np.flatnonzero(self._joined_ns[nodes] > -NEVER)
        if len(late):
            listed = self.arrivals.sent_ns[told.row] < self._joined_ns[nodes[late], None]
            times[late] = np.where(listed, NEVER, times[late])
        return times, known

    def reported_times(self, nodes: Nodes, told: Told, trigger_ns: I64) -> tuple[I64, I64]:
        """Return the time of kube-proxies' sample for each thing ``told`` [ns], (k, m), and how many are over, (k,).

        NEVER if the sample is lost, or the thing was triggered, at ``trigger_ns`` (m,), before the kube-proxy started.
        """
        if self.at_once:
            return self._as_they_come(nodes, told)
        table, syncs = self.syncs, self._syncs_of(told)
        times, known = self._repeated(nodes, told, syncs, table.switch)
        failed = np.flatnonzero(table.failed[syncs, nodes].any(axis=0))
        if len(failed):
            lost, _ = self._repeated(nodes[failed], told, syncs, table.failed)
            times[failed] = np.where(lost > 0, NEVER, times[failed])
        since = table.process_since[-1, nodes] if len(table.start) else nodes * 0 - NEVER
        again = np.flatnonzero(since > trigger_ns.min(initial=NEVER))
        if len(again):
            begun, _ = self._repeated(nodes[again], told, syncs, table.process_since)
            times[again] = np.where(trigger_ns < begun, NEVER, times[again])
        return times, known

    def _syncs_of(self, told: Told) -> slice:
        """Return the numbers of the syncs that may be the first good one to take up any of the things."""
        if self._reach is None:
            good, every = self.syncs.ran & ~self.syncs.failed, self.syncs.absorbed
            known, reach = np.zeros(every.shape[1], np.int64), np.zeros((2, len(every)), np.int64)
            for i in range(len(every)):
                known = np.where(good[i], every[i], known)
                reach[:, i] = known.min(), every[i].max()
            self._reach = reach
        if not len(told.row):
            return slice(0, 0)
        least, most = self._reach
        first, last = np.searchsorted(most, told.row[0], side="right"), np.searchsorted(least, told.row[-1], "right")
        return slice(int(first), int(last) + 1)

    def _repeated(
        self, nodes: Nodes, told: Told, syncs: slice, values: np.ndarray, which: Bools | None = None
    ) -> tuple[I64, I64]:
        """Return for each thing the value of the first of ``syncs`` that ran, and is in ``which``, and took it up.

        ``values`` is a column of the table; (k, m), NEVER where none did, and how many were taken up, (k,).
        """
        ran = self.syncs.ran[syncs, nodes]
        absorbed = np.where(ran if which is None else ran & which, self.syncs.absorbed[syncs, nodes], 0).T
        depth = absorbed.shape[1]
        upto = np.zeros((len(nodes), depth + 2), np.int64)
        upto[:, 1:-1] = told.before[np.maximum.accumulate(absorbed, axis=1)]
        upto[:, -1] = len(told.row)
        padded = np.full((len(nodes), depth + 1), NEVER)
        padded[:, :-1] = values[syncs, nodes].T
        times = np.repeat(padded.ravel(), np.diff(upto, axis=1).ravel())
        return times.reshape(len(nodes), len(told.row)), upto[:, -2]

    def _as_they_come(self, nodes: Nodes, told: Told) -> tuple[I64, I64]:
        row, node = np.tile(told.row, len(nodes)), np.repeat(nodes, len(told.row))
        times = np.maximum(self.arrivals.at(row, node), self.usable_ns[node])
        times = times.reshape(len(nodes), len(told.row))
        known = times < self.horizon_ns
        return np.where(known, times, NEVER), known.sum(axis=1)


def ended_by(ends: I64, node: Nodes, time_ns: I64) -> I64:
    """Return how many of a node's ``ends`` (syncs, nodes), which rise, are not after each time, (q,).

    >>> ended_by(np.array([[1, 4], [3, 9]]), node=np.array([0, 1, 1]), time_ns=np.array([2, 3, 9]))
    array([1, 0, 2])
    """
    begins = np.flatnonzero(node[1:] != node[:-1]) + 1
    if len(node) > ALIKE * (len(begins) + 1):
        some = pairwise([0, *begins.tolist(), len(node)])
        found = [np.searchsorted(ends[:, node[lo]], time_ns[lo:hi], side="right") for lo, hi in some]
        return np.concatenate(found)
    low, high = np.zeros(len(node), np.int64), np.full(len(node), len(ends))
    for _ in range(len(ends).bit_length()):  # a binary search for all at once
        middle = (low + high) >> 1
        over = ends[np.minimum(middle, len(ends) - 1), node] <= time_ns
        over &= low < high
        low, high = np.where(over, middle + 1, low), np.where(over, high, middle)
    return low
