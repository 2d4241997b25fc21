"""What kube-proxy knows after each delivery, for every prefix of the log at once.

Nodes differ only in how far along the log they are, so one timeline serves them all: totals are prefix sums, the state
of a Service is its last row before the prefix, and its rank in the scanned list is a count in a prefix.  This is the
closed form of what :meth:`Mode.program` builds rule by rule; the engines' equality test holds the two together.
"""

from __future__ import annotations

import numpy as np

from kpsim.cluster.columns import Cluster, PodState
from kpsim.controlplane.deliveries import DeliveryLog
from kpsim.proxy.contract import Mode
from kpsim.proxy.sync.prefix import PrefixSums
from kpsim.units import I64

__all__ = ["Timeline", "usable_at_start"]


def usable_at_start(cluster: Cluster) -> tuple[I64, I64]:
    """Usable endpoints of every Service at time zero: offsets (n + 1,) and Pods, in kube-proxy's order."""
    bits = cluster.pod_state[cluster.endpoint_pod]
    owner = np.repeat(np.arange(len(cluster.endpoint_offset) - 1), np.diff(cluster.endpoint_offset))
    exists = owner < cluster.initial
    ready = (bits & PodState.READY > 0) & exists
    fallback = (bits & PodState.SERVING > 0) & (bits & PodState.TERMINATING > 0) & exists
    has_ready = np.bincount(owner[ready], minlength=len(cluster.endpoint_offset) - 1) > 0
    take = ready | (fallback & ~has_ready[owner])
    counts = np.bincount(owner[take], minlength=len(cluster.endpoint_offset) - 1)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), cluster.endpoint_pod[take]


class Timeline:
    """The delivery log under one mode, as columns and prefix sums; prefixes run from 0 to ``rows``."""

    def __init__(self, cluster: Cluster, log: DeliveryLog, mode: Mode, order: I64) -> None:
        services = cluster.services
        n = len(services.ports)
        self.rows = len(log.rows)
        self.service = log.column("service")
        self._sort_by_service(n)
        base_offset, base_pods = usable_at_start(cluster)
        row_offset, row_pods = log.ragged("usable")
        self.usable_offset = np.concatenate([base_offset[:-1], base_offset[-1] + row_offset])
        self.usable_pod = np.concatenate([base_pods, row_pods, [-1]])  # an end to look up where nobody serves
        self.usable = np.diff(self.usable_offset)  # by state: n Services at time zero, then the rows
        known = (np.arange(n) < cluster.initial) & services.proxied
        base = mode.rule_counts(services, self.usable[:n])
        after = mode.rule_counts(services.take(self.service), self.usable[n:])
        self.own = np.concatenate([base.own * known, after.own])
        self.dispatch = np.concatenate([base.dispatch * known, after.dispatch])
        ports = np.concatenate([services.ports, services.ports[self.service]])
        held = np.concatenate([np.diff(cluster.endpoint_offset) * known, log.column("endpoints")])
        self.own_total = self._totals(self.own)
        self.dispatch_total = self._totals(self.dispatch)
        self.endpoints_total = self._totals(held * ports)
        self.ports_total = self._totals(np.concatenate([services.ports * known, services.ports[self.service]]))
        self.changed_total = np.concatenate([[0], np.cumsum(log.column("changed"))])
        self._rank_tables(cluster, order, n)

    def _sort_by_service(self, n: int) -> None:
        """For every row, the state it replaces and the next row of its Service (``rows`` for none)."""
        by_service = np.argsort(self.service, kind="stable")
        self._sorted = self.service[by_service] * (self.rows + 1) + by_service + 1
        self._sorted_row = by_service
        again = self.service[by_service[1:]] == self.service[by_service[:-1]]
        self.replaces = self.service.copy()
        self.next_row = np.full(self.rows, self.rows)
        if self.rows:
            self.replaces[by_service[1:][again]] = n + by_service[:-1][again]
            self.next_row[by_service[:-1][again]] = by_service[1:][again]
        self._n = n

    def _totals(self, by_state: I64) -> I64:
        """Sum over all Services after each prefix, (rows + 1,)."""
        steps = by_state[self._n :] - by_state[self.replaces]
        return np.asarray(int(by_state[: self._n].sum()) + np.concatenate([[0], np.cumsum(steps)]), np.int64)

    def _rank_tables(self, cluster: Cluster, order: I64, n: int) -> None:
        self._place = np.empty(len(order), np.int64)
        self._place[order] = np.arange(len(order))
        ports = np.maximum(cluster.services.ports, 1)
        base = (self.dispatch[:n] // ports)[cluster.port_service[order]]
        self._base_rank = np.concatenate([[0], np.cumsum(base)[:-1]]) if len(order) else base
        delta = (self.dispatch[n:] - self.dispatch[self.replaces]) // ports[self.service]
        moved = np.flatnonzero(delta)
        counts = cluster.services.ports[self.service[moved]]
        first = cluster.port_offset[self.service[moved]]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        place = self._place[np.repeat(first, counts) + within]
        self._moved_row = np.repeat(moved, counts)
        self._moved = PrefixSums(place, np.repeat(delta[moved], counts), len(order))

    def state(self, service: I64, prefix: I64) -> I64:
        """Which state (row of the ``usable`` columns) each Service is in after ``prefix`` deliveries; broadcast."""
        key = service * (self.rows + 1) + prefix
        at = np.searchsorted(self._sorted, key, side="right") - 1
        if not self.rows:
            return service + 0 * at
        row = self._sorted_row[np.maximum(at, 0)]
        found = (at >= 0) & (self.service[row] == service)
        return np.where(found, self._n + row, service)

    def rank(self, port: I64, prefix: I64) -> I64:
        """Rules of other service ports before each port's own, in the unrotated list after ``prefix`` deliveries."""
        place = self._place[port]
        moved = np.searchsorted(self._moved_row, prefix, side="left")
        return np.asarray(self._base_rank[place] + self._moved.below(moved, place))

    def changed_between(self, before: I64, after: I64) -> tuple[I64, I64]:
        """Distinct Services changed by rows ``before`` … ``after`` - 1, and the rules they then own; (lanes,) each."""
        length = after - before
        total = int(length.sum())
        lane = np.repeat(np.arange(len(length)), length)
        row = np.arange(total) - np.repeat(np.cumsum(length) - length - before, length)
        last = self.next_row[row] >= after[lane]
        services = np.bincount(lane[last], minlength=len(length))
        own = np.bincount(lane[last], weights=self.own[self._n + row[last]], minlength=len(length))
        return services, own.astype(np.int64)
