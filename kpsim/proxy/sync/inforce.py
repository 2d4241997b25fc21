"""The rules in force on each node by time, and the time at which each delivery came into force.

Deliveries come into force with the end of the first sync that took them up and did not fail; in modes that take
endpoints as they come, when they arrive.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kpsim.cluster.changes import NEVER
from kpsim.controlplane.api.joins import Join
from kpsim.proxy.sync import Editions, Nodes, Prefixes
from kpsim.proxy.sync.lanes import Arrivals, SyncTable
from kpsim.units import I64


class InForce:
    """The syncs of all nodes read as editions of the rules in force: 0 at the start, then one more with each change."""

    def __init__(
        self, syncs: SyncTable, arrivals: Arrivals, at_once: bool, horizon_ns: int, joins: Sequence[Join] = ()
    ) -> None:
        self.syncs, self.arrivals, self.at_once, self.horizon_ns = syncs, arrivals, at_once, horizon_ns
        nodes = syncs.switch.shape[1]
        self._ends = np.vstack([np.full((1, nodes), -NEVER), syncs.switch, np.full((1, nodes), NEVER)])
        self._made = self._last_good() if syncs.failed.any() else None
        self._joined_ns, self.usable_ns = np.full(nodes, -NEVER), np.full(nodes, -NEVER)
        good = np.where(syncs.ran & ~syncs.failed, syncs.switch, NEVER).min(0, initial=NEVER)
        for join in joins:
            self._joined_ns[join.node], self.usable_ns[join.node] = join.at_ns, good[join.node]

    def edition(self, node: Nodes, time_ns: I64) -> tuple[Editions, I64, I64]:
        """Return (edition in force, since [ns], until [ns] or NEVER) for each (node, time) pair.

        It is -1 on a node that has joined, until its first sync is in force: there are no rules.
        """
        edition, since, until = self._edition(node, time_ns)
        usable = self.usable_ns[node]
        cold = time_ns < usable
        since = np.where(cold, -NEVER, np.maximum(since, usable))
        return np.where(cold, -1, edition), since, np.where(cold, usable, until)

    def _edition(self, node: Nodes, time_ns: I64) -> tuple[Editions, I64, I64]:
        if self.at_once:
            known = self.arrivals.count(time_ns, node, inclusive=True)
            since = np.where(known > 0, self.arrivals.at(known - 1, node), -NEVER)
            return known, since, self.arrivals.at(known, node)
        ends = self._ends
        edition = np.empty(len(node), np.int64)
        for n in np.unique(node).tolist():
            here = node == n
            edition[here] = np.searchsorted(ends[1:, n], time_ns[here], side="right")
        return edition, ends[edition, node], ends[edition + 1, node]

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
        times = self._true_ns(node)
        return np.asarray(np.where(self.arrivals.sent_ns[: len(times)] < self._joined_ns[node], NEVER, times))

    def _true_ns(self, node: int) -> I64:
        if self.at_once:
            return self._as_they_come(node)
        good = self.syncs.ran[:, node] & ~self.syncs.failed[:, node]
        return np.repeat(self.syncs.switch[good, node], np.diff(self.syncs.absorbed[good, node], prepend=0))

    def reported_ns(self, node: int, trigger_ns: I64) -> I64:
        """Return the time of kube-proxy's sample for each delivery [ns]; NEVER if lost or triggered before its start.

        ``trigger_ns`` by delivery, (rows,).
        """
        if self.at_once:
            return self._as_they_come(node)
        syncs, ran = self.syncs, self.syncs.ran[:, node]
        taken = np.diff(syncs.absorbed[ran, node], prepend=0)
        sampled = np.where(syncs.failed[ran, node], NEVER, syncs.switch[ran, node])
        times = np.repeat(sampled, taken)
        begun = np.repeat(syncs.process_since[ran, node], taken)
        return np.where(trigger_ns[: len(times)] < begun, NEVER, times)

    def _as_they_come(self, node: int) -> I64:
        every = np.arange(self.arrivals.rows)
        times = np.maximum(self.arrivals.at(every, np.full(len(every), node)), self.usable_ns[node])
        return np.asarray(times[times < self.horizon_ns])
