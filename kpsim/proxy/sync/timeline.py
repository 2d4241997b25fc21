"""The timeline is kube-proxy's knowledge after each delivery, for every prefix of the log at once.

Nodes differ only in how far along the log they are, so one timeline serves them all: totals are prefix sums, the state
of a Service is its last row before the prefix, and its rank in the scanned list is a count in a prefix.  This is the
closed form of what :meth:`Mode.program` builds rule by rule; the engines' equality test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from kpsim.cluster.columns import Cluster, PodState
from kpsim.controlplane.deliveries import DeliveryLog
from kpsim.proxy.contract import Mode, Moved, RuleCounts
from kpsim.proxy.counts import EndpointCounts
from kpsim.proxy.rules import Held
from kpsim.proxy.sync import Nodes, Ports, Prefixes, Ragged, Services, States
from kpsim.proxy.sync.sums.changed import ChangedSums, Lives
from kpsim.proxy.sync.sums.held import MovedSums, only_before
from kpsim.proxy.sync.sums.locality import LocalStates, NodePlaces, NodeRows, NodeSums
from kpsim.proxy.sync.sums.prefix import PrefixSums
from kpsim.proxy.sync.sums.runs import ConntrackRuns, runs_at_first
from kpsim.units import I32, I64, Bools

NOBODY = np.array([-1], np.int32)  # an end of a list of Pods to look up where nobody serves


def usable_at_start(cluster: Cluster) -> Ragged:
    """Usable endpoints of every Service at time zero: offsets (n + 1,) and Pods, in kube-proxy's order."""
    return _at_start(cluster)[0]


def leaving_at_start(cluster: Cluster) -> dict[int, Sequence[int]]:
    """Return by Service the Pods that terminate beside ready ones and serve at time zero, under a Local policy."""
    policy = cluster.services.internal_local | cluster.services.external_local
    offset, pods = _at_start(cluster)[1]
    return {s: tuple(pods[offset[s] : offset[s + 1]].tolist()) for s in np.flatnonzero(policy).tolist()}


def _at_start(cluster: Cluster) -> tuple[Ragged, Ragged]:
    """Usable endpoints at time zero; and those that leave while there are others, but may serve their own node."""
    n = len(cluster.endpoint_offset) - 1
    bits = cluster.pod_state[cluster.endpoint_pod]
    owner = np.repeat(np.arange(n), np.diff(cluster.endpoint_offset))
    exists = owner < cluster.initial
    ready = (bits & PodState.READY > 0) & exists
    fallback = (bits & PodState.SERVING > 0) & (bits & PodState.TERMINATING > 0) & exists & ~ready
    fallback &= cluster.terminating_serve
    has_ready = (np.bincount(owner[ready], minlength=n) > 0)[owner]

    def ragged(take: Bools) -> Ragged:
        counts = np.bincount(owner[take], minlength=n)
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), cluster.endpoint_pod[take]

    return ragged(ready | (fallback & ~has_ready)), ragged(fallback & has_ready)


def start_counts(cluster: Cluster, mode: Mode) -> RuleCounts:
    """Return the rule counts of every Service at time zero on a node without any of the endpoints, (n,)."""
    usable = np.diff(usable_at_start(cluster)[0])
    counts = mode.rule_counts(cluster.services, EndpointCounts.elsewhere(usable))
    known = (np.arange(len(usable)) < cluster.initial) & cluster.services.proxied
    held = counts.held and Held(*(column * known for column in counts.held))
    return RuleCounts(counts.dispatch * known, counts.own * known, held)


class ChangedServices(NamedTuple):
    """Distinct Services that changed between two syncs, (lanes,) each, with the rules they then have."""

    services: I64
    own: I64
    dispatch: I64
    gone: I64  # of them, those that are there no more
    new: I64  # and those that were not there before


class Timeline:
    """The delivery log under one mode, as columns and prefix sums; prefixes run from 0 to ``rows``."""

    def __init__(self, cluster: Cluster, log: DeliveryLog, mode: Mode, order: I64) -> None:
        services = cluster.services
        n = len(services.ports)
        self.rows = len(log.rows)
        self.service = log.column("service")
        self._cluster, self._mode = cluster, mode
        self._sort_by_service(n)
        base_usable, base_leaving = _at_start(cluster)
        self.usable_offset, pods = _joined(base_usable, log.ragged("usable"), NOBODY)
        leaving = _joined(base_leaving, log.ragged("leaving"))
        self.usable = np.diff(self.usable_offset)  # by state: n Services at time zero, then the rows
        self._owner = np.concatenate([np.arange(n), self.service])  # by state
        known = (np.arange(n) < cluster.initial) & services.proxied
        there = log.column("gone") == 0
        self._known = np.concatenate([known, there])
        policy = ((services.internal_local | services.external_local) & services.proxied)[self._owner] & self._known
        self.usable_pod, pods = pods, pods[:-1]
        homes = cluster.homes(1 + int(max(pods.max(initial=0), leaving[1].max(initial=0))))
        self.local = LocalStates((self.usable_offset, pods), leaving, policy, homes, cluster.nodes)
        self._local_at = len(pods)
        if len(self.local):
            self.usable_pod = np.concatenate([pods, self.local.pods.astype(np.int32), NOBODY])
        after = mode.rule_counts(services.take(self.service), EndpointCounts.elsewhere(self.usable[n:]))
        base = start_counts(cluster, mode)
        self.own = np.concatenate([base.own, after.own * there])
        self.dispatch = np.concatenate([base.dispatch, after.dispatch * there])
        ports = services.ports[self._owner]
        held = np.concatenate([np.diff(cluster.endpoint_offset) * known, log.column("endpoints")])
        self.own_total = self._totals(self.own)
        self.dispatch_total = self._totals(self.dispatch)
        self.endpoints_total = self._totals(held * ports)
        self.ports_total = self._totals(ports * self._known)
        changed = log.column("changed")
        self.changed_total = np.concatenate([[0], np.cumsum(changed)])
        self._row_changed = changed
        udp_slices = (log.column("creates") == 0) & services.udp[self.service]
        self.udp_writes_total = np.concatenate([[0], np.cumsum(udp_slices)])
        self._rank_tables(order, n)
        self._correct_locally()
        self._ask_nothing()
        self._beside: MovedSums | None = None
        if base.held is not None and after.held is not None:
            pairs = zip(base.held, after.held, strict=True)
            both = Held(*(np.concatenate([at_start, rows * there]) for at_start, rows in pairs))
            self._beside = self._things_beside(both, pods, homes)

    def _ask_nothing(self) -> None:
        """Make nothing yet of what only some modes, releases and moments ask for."""
        self._changed: ChangedSums | None = None
        self._lives: Lives | None = None
        self._removals: dict[tuple[int, int], list[int]] | None = None
        self._runs: ConntrackRuns | None = None
        self._first_runs: I64 | None = None

    def _things_beside(self, held: Held[I64], pods: I32, homes: I64) -> MovedSums:
        ports, usable = self._cluster.services.ports, (self.usable_offset, pods)
        at_start, of_rows = ports * self._known[: self._n], ports[self.service]
        return MovedSums(held, self.service, self.replaces, usable, self._row_changed, of_rows, at_start, homes)

    def _correct_locally(self) -> None:
        """Compute the counts by which nodes with endpoints of their own differ from ``own`` and ``dispatch``."""
        local, services = self.local, self._cluster.services
        owner = self._owner[local.state]
        counts = self._mode.rule_counts(services.take(owner), local.counts(self.usable))
        self._own_here = counts.own - self.own[local.state]
        self._dispatch_here = counts.dispatch - self.dispatch[local.state]
        row = local.state - self._n
        self._rows_here = NodeRows(local.node, row, self.rows)
        until = np.append(self.next_row, 0)[np.maximum(row, -1)]
        until = np.where(row < 0, self._first_row[np.minimum(local.state, self._n - 1)], until)
        node, start, end = np.tile(local.node, 2), np.maximum(row + 1, 0), until + 1
        prefix = np.concatenate([start, end])
        own, dispatch = (np.concatenate([x, -x]) for x in (self._own_here, self._dispatch_here))
        self._own_by_node = NodeSums(node, prefix, own, self.rows + 1)
        self._dispatch_by_node = NodeSums(node, prefix, dispatch, self.rows + 1)
        moved = np.flatnonzero(dispatch)
        which, place = self._places(np.tile(owner, 2)[moved])
        each = dispatch[moved] // np.maximum(services.ports, 1)[np.tile(owner, 2)[moved]]
        self._moved_here = NodePlaces(node[moved][which], prefix[moved][which], place, each[which], len(self._place))

    def _places(self, services: Services) -> tuple[I64, I64]:
        """Return the places of all ports of some Services: which of them each belongs to, and the place."""
        counts = self._cluster.services.ports[services]
        first = self._cluster.port_offset[services]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        which = np.repeat(np.arange(len(services)), counts)
        return which, self._place[np.repeat(first, counts) + within]

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
        self._first_row, self._last_row = np.full(n, self.rows), np.full(n, self.rows)  # past the end: it has none
        self._first_row[self.service[by_service[::-1]]] = by_service[::-1]
        self._last_row[self.service] = np.arange(self.rows)
        self._n = n

    def _totals(self, by_state: I64) -> I64:
        """Sum over all Services after each prefix, (rows + 1,)."""
        steps = by_state[self._n :] - by_state[self.replaces]
        return np.asarray(int(by_state[: self._n].sum()) + np.concatenate([[0], np.cumsum(steps)]), np.int64)

    def _rank_tables(self, order: I64, n: int) -> None:
        cluster = self._cluster
        self._place = np.empty(len(order), np.int64)
        self._place[order] = np.arange(len(order))
        ports = np.maximum(cluster.services.ports, 1)
        base = (self.dispatch[:n] // ports)[cluster.port_service[order]]
        self._base_rank = np.concatenate([[0], np.cumsum(base)[:-1]]) if len(order) else base
        delta = (self.dispatch[n:] - self.dispatch[self.replaces]) // ports[self.service]
        moved = np.flatnonzero(delta)
        which, place = self._places(self.service[moved])
        self._moved_row = moved[which]
        self._moved = PrefixSums(place, delta[moved][which], len(order))

    def state(self, service: Services, prefix: Prefixes) -> States:
        """Return each Service's state (row of the ``usable`` columns) after ``prefix`` deliveries, (q,)."""
        first, last = self._first_row[service], self._last_row[service]
        state = np.where(prefix > last, self._n + last, service)
        between = np.flatnonzero((prefix > first) & (prefix <= last))  # the others need no search
        key = service[between] * (self.rows + 1) + prefix[between]
        state[between] = self._n + self._sorted_row[np.searchsorted(self._sorted, key, side="right") - 1]
        return state

    def dispatch_at(self, prefix: Prefixes, node: Nodes) -> I64:
        """Dispatch rules on each node after ``prefix`` deliveries; broadcast."""
        return self.dispatch_total[prefix] + self._dispatch_by_node.at(prefix, node)

    def most_dispatch(self) -> int:
        """Return the most dispatch rules that any node ever has."""
        return int(self.dispatch_total.max(initial=0)) + self._dispatch_by_node.most()

    def own_at(self, prefix: Prefixes, node: Nodes) -> I64:
        """Return all other rules of Services on each node after ``prefix`` deliveries; broadcast."""
        return self.own_total[prefix] + self._own_by_node.at(prefix, node)

    def rank(self, port: Ports, prefix: Prefixes, node: Nodes) -> I64:
        """Return the number of other ports' rules before each port's own, in the unrotated list after ``prefix``."""
        place = self._place[port]
        moved = np.searchsorted(self._moved_row, prefix, side="left")
        shared = self._base_rank[place] + self._moved.below(moved, place)
        return np.asarray(shared + self._moved_here.below(prefix, place, node))

    def choices(self, port: Ports, prefix: Prefixes, node: Nodes) -> tuple[I64, I64, Bools]:
        """Return (first, number, policy) of the endpoints that a connection from ``node`` to each port may go to, (q,).

        Where they begin in ``usable_pod``, how many, and whether a policy is to blame that there are none.
        """
        cluster, services = self._cluster, self._cluster.services
        service = cluster.port_service[port]
        state = self.state(service, prefix)
        here = self.local.find(state, node)
        policy = services.internal_local[service] & (not self._mode.ignores_policies)
        mine = policy & (here >= 0)
        spared = np.zeros(len(port), np.bool_)
        if self._mode.falls_back:
            addresses = services.external_ips[service] + services.load_balancer_ips[service]
            spared = (cluster.port_node_port[port] > 0) | (addresses > 0)
        everybody = np.where(policy & ~spared, 0, self.usable[state])
        if not len(self.local):
            return self.usable_offset[state], everybody, policy & (everybody == 0) & (self.usable[state] > 0)
        count = np.where(mine, self.local.count[here], everybody)
        first = np.where(mine, self._local_at + self.local.offset[here], self.usable_offset[state])
        return first, count, policy & (count == 0) & (self.usable[state] > 0)

    def knows(self, port: Ports, prefix: Prefixes) -> Bools:
        """Return one bool a port: True if its Service is there after ``prefix`` deliveries."""
        return np.asarray(self._known[self.state(self._cluster.port_service[port], prefix)])

    def moved_between(self, before: Prefixes, after: Prefixes, node: Nodes, fresh: Bools) -> Moved:
        """Return what came or went beside rules in rows ``before`` … ``after`` - 1, where the mode has such things.

        Everything comes to nodes that are ``fresh``.
        """
        if self._beside is None:
            return Moved()
        moved = self._beside.between(before, after, node)
        if not fresh.any():
            return moved
        every = self._beside.everything(after, node)
        names = Moved.__dataclass_fields__
        return Moved(*(np.where(fresh, getattr(every, name), getattr(moved, name)) for name in names))

    def forget_changes(self) -> None:
        """Let go of what only syncs look at, once all have been: the sums of changed Services."""
        self._changed = None

    def removals(self) -> Mapping[tuple[int, int], Sequence[int]]:
        """Return the rows that took a Pod from a UDP Service's usable ones, by Service and Pod, in order."""
        if self._removals is None:
            self._removals = {}
            rows = np.flatnonzero(self._cluster.services.udp[self.service])
            lists = self.usable_offset, self.usable_pod
            for at, pod in zip(*only_before(lists, self.replaces[rows], self._n + rows), strict=True):
                row = int(rows[at])
                self._removals.setdefault((int(self.service[row]), int(pod)), []).append(row)
        return self._removals

    def conntrack_runs(self, before: Prefixes, after: Prefixes) -> I64:
        """Return the ``conntrack`` processes of syncs up to 1.31, after rows ``before`` … ``after`` - 1."""
        if self._runs is None:
            rows = np.flatnonzero(self._cluster.services.udp[self.service])
            states = self.replaces[rows], self._n + rows
            self._runs = ConntrackRuns(
                self._cluster.services,
                (self.usable_offset, self.usable_pod),
                rows,
                self.service[rows],
                states,
                (self._known[states[0]], self._known[states[1]]),
                self._row_changed[rows],
                self.rows + 1,
            )
        return self._runs.between(before, after)

    def conntrack_at_first(self, after: Prefixes) -> I64:
        """Return the processes of a first sync, to which every UDP Service with endpoints is new."""
        if self._first_runs is None:
            services = self._cluster.services
            served = self._known & (self.usable > 0)
            self._first_runs = self._totals((runs_at_first(services) * services.udp)[self._owner] * served)
        return np.asarray(self._first_runs[after])

    def changed_between(self, before: Prefixes, after: Prefixes, node: Nodes) -> ChangedServices:
        """Return the Services changed by rows ``before`` … ``after`` - 1, and the rules they then have."""
        if self._changed is None:
            n, most = self._n, (int(self.own_total.max()), int(self.dispatch_total.max()), self._n)
            there = self._known[n:]
            self._changed = ChangedSums(
                self.next_row, (self.own[n:], self.dispatch[n:], (~there).astype(np.int64)), most
            )
            self._lives = Lives(self.service, there, self._known[self.replaces], self._known[:n])
        services, own, dispatch, gone = self._changed.between(before, after)
        if len(self.local):
            lane, at = self._rows_here.between(before, after, node)
            last = self.next_row[self.local.state[at] - self._n] >= after[lane]
            lane, at = lane[last], at[last]
            np.add.at(own, lane, self._own_here[at])
            np.add.at(dispatch, lane, self._dispatch_here[at])
        assert self._lives is not None
        new, passed = self._lives.begun(before, after)
        lane, row = self._lives.rows_of_others(before, after)
        if len(row):
            last = self.next_row[row] >= after[lane]
            lane, row = lane[last], row[last]
            was, there = self._known[self.state(self.service[row], before[lane])], self._known[self._n + row]
            np.add.at(new, lane, there & ~was)
            np.add.at(passed, lane, ~there & ~was)  # the trackers let go of a Service that came and went
        return ChangedServices(services - passed, own, dispatch, gone - passed, new)


def _joined(base: Ragged, rows: Ragged, end: I32 = NOBODY[:0]) -> tuple[I64, I32]:
    """Return states at time zero, then one a row, and ``end`` behind the values of all."""
    values = np.concatenate([base[1].astype(np.int32), rows[1], end], dtype=np.int32)
    return np.concatenate([base[0][:-1], base[0][-1] + rows[0]]), values
