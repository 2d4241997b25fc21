"""Every node's syncs at once: the i-th sync of all nodes is one row of arithmetic.

The batch engine's half of the sync loop; :mod:`kpsim.proxy.sync.process` is the same model as SimPy processes.  Nodes
do not influence each other, so each is a lane, and only a sync's place in its lane's sequence is in order; where two
families share the xtables lock, syncs of a node are taken in the order in which they ask for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kpsim.cluster.changes import NEVER
from kpsim.controlplane.deliveries import Fanout
from kpsim.proxy.contract import SyncCounts
from kpsim.proxy.sync import Nodes, Prefixes, Rows
from kpsim.proxy.sync.faults import Faults
from kpsim.proxy.sync.loop import ConntrackCleanup, SyncLoop, Takes
from kpsim.proxy.sync.pacing import Pacing, RunnerState
from kpsim.proxy.sync.table import SyncRow, SyncTable, WrittenSyncs
from kpsim.proxy.sync.timeline import Timeline
from kpsim.units import I64, Bools


class Arrivals:
    """Each delivery's arrival at each node is computed, never stored, because it is rows times nodes."""

    def __init__(self, sent: I64, spread: I64, fanout: Fanout) -> None:
        if (sent[:-1] + spread[:-1] > sent[1:]).any():
            raise ValueError("a delivery leaves when the last copy of the one before it has left")
        self.sent_ns, self._spread, self._fanout = sent, spread, fanout
        self.rows = len(sent)

    def at(self, row: Rows, node: Nodes) -> I64:
        """Arrival [ns] of row ``row[i]`` at node ``node[i]``; NEVER where there is no such row."""
        if not self.rows:
            return np.full(len(node), NEVER)
        inside = np.minimum(row, self.rows - 1)
        time = self._fanout.arrival_ns(self.sent_ns[inside], self._spread[inside], node)
        return np.asarray(np.where(row < self.rows, time, NEVER))

    def count(self, time: I64, node: Nodes, *, inclusive: bool) -> I64:
        """Return the number of rows that reached ``node[i]`` by ``time[i]``.

        Of the rows that had begun to leave by then, all but the last had left for everybody.
        """
        if not self.rows:
            return np.zeros(len(node), np.int64)
        fanout = self._fanout
        by = time if inclusive else time - 1
        left = by - fanout.lag_ns[node]
        begun = np.searchsorted(self.sent_ns, left, side="right")
        last = np.maximum(begun - 1, 0)
        known = begun - (self.sent_ns[last] + self._spread[last] * fanout.rank[node] // fanout.watchers > left)
        known = np.maximum(known, 0)  # nothing had begun
        for outage in fanout.outages:
            kept = np.searchsorted(self.sent_ns, outage.from_ns)
            known = np.where(outage.back_ns[node] > by, np.minimum(known, kept), known)
        return known


class _Next(NamedTuple):
    """The next sync of each node, (nodes,) each: as it is to be if nothing comes in between."""

    start: I64
    runs: Bools  # before the horizon
    absorbed: Prefixes
    full: Bools
    cleans: Bools
    large: Bools  # in large-cluster mode
    takes: Takes


class Lanes:
    """The syncs of one IP family's proxiers on all nodes; ``asks`` are the arrivals that ask for one."""

    def __init__(self, loop: SyncLoop, timeline: Timeline, arrivals: Arrivals, asks: Arrivals) -> None:
        self._loop, self._timeline, self._arrivals, self._asks = loop, timeline, arrivals, asks
        self.nodes = loop.draws.nodes
        self._node = np.arange(self.nodes)
        large = bool(timeline.endpoints_total[0] > loop.large_above)
        self._state = RunnerState.at_start(loop.draws.phase, loop.pacing, loop.faults.joining(), large=large)
        self._absorbed, self._answered, self._number = (np.zeros(loop.draws.nodes, np.int64) for _ in range(3))
        self._joins = np.isin(self._node, loop.faults.joining())
        restarts = loop.faults.params.any or bool(loop.faults.joins)
        self._written = WrittenSyncs(loop.draws.nodes, restarts=restarts)

    def next(self) -> _Next:
        """Return every node's next sync."""
        loop, state, node, timeline = self._loop, self._state, self._node, self._timeline
        due = _due(loop.pacing, state, loop.faults, self._asks, self._answered, node)
        start, forced = loop.faults.begin(state, due, node)
        runs = start < loop.horizon_ns
        prefix = np.where(runs, self._arrivals.count(start, node, inclusive=True), self._absorbed)
        full = loop.pacing.is_full(state, start) | forced
        large = timeline.endpoints_total[prefix] > loop.large_above
        cleans = loop.pacing.cleans(state, start, large)
        first = loop.faults.restart(state, node) <= start, self._joins & (self._number == 0)
        counts = _counts(timeline, self._absorbed, prefix, node, cleans, loop.conntrack, *first)
        takes = loop.takes(counts, full, self._number, node)
        return _Next(start, runs, prefix, full, cleans, large, takes)

    def asks_lock(self, following: _Next) -> I64:
        """Return when each node's next sync asks for the xtables lock [ns]."""
        return self._loop.asks_lock(following.start, following.takes)

    def run(self, following: _Next, ran: Bools, free_at: I64) -> I64:
        """Let the nodes that ``ran`` have their next sync; return when the xtables lock is free on each node [ns]."""
        loop, state, node, start = self._loop, self._state, self._node, following.start
        ended = loop.end(state, start, following.takes, self._number, node, free_at)
        loop.faults.ran(state, ran, start, node)
        loop.pacing.ran(state, ran, start, ended.end, following.full, following.cleans, ended.failed, following.large)
        row = SyncRow(
            start,
            ended.switch,
            ended.end,
            following.absorbed,
            following.full,
            ended.failed,
            state.process_since,
            following.takes.cpu,
        )
        if ran.all():
            self._written.put(node, self._number, row)
        else:
            here = np.flatnonzero(ran)
            self._written.put(here, self._number[here], row.take(here))
        self._number = self._number + ran
        self._absorbed = np.where(ran, following.absorbed, self._absorbed)
        if self._asks is self._arrivals:
            self._answered = self._absorbed
        else:
            answered = self._asks.count(start, node, inclusive=True)
            self._answered = np.where(ran, answered, self._answered)
        return np.where(ran, ended.free_at, free_at)

    def table(self) -> SyncTable:
        """Return what has run."""
        return self._written.table()


def run_lanes(families: Sequence[Lanes], *, share_lock: bool) -> tuple[SyncTable, ...]:
    """Return all syncs that start before the horizon, a table a family.

    Where two families ``share_lock``, their syncs are taken in the order in which they ask for it.
    """
    nobody = np.zeros(families[0].nodes, np.int64)
    if len(families) < 2 or not share_lock:
        for lanes in families:
            while (following := lanes.next()).runs.any():
                lanes.run(following, following.runs, nobody)
    else:
        _run_sharing(families[0], families[1], nobody)
    return tuple(lanes.table() for lanes in families)


def _run_sharing(first: Lanes, second: Lanes, free_at: I64) -> None:
    while True:
        one, other = first.next(), second.next()
        if not (one.runs | other.runs).any():
            return
        ours = one.runs & (~other.runs | (first.asks_lock(one) <= second.asks_lock(other)))
        free_at = first.run(one, ours, free_at)
        free_at = second.run(other, other.runs & ~ours, free_at)


def _due(pacing: Pacing, state: RunnerState, faults: Faults, asks: Arrivals, answered: Prefixes, node: Nodes) -> I64:
    """Return the time at which the runner lets each node's next sync start [ns]."""
    notice = faults.flush_noticed(state, node)
    first = np.minimum(asks.at(answered, node), notice)
    request = np.where(first < NEVER, np.maximum(first, state.last_end), NEVER)
    following = request
    if pacing.bursts:
        token = pacing.token_at(state)
        following = asks.at(asks.count(token, node, inclusive=False), node)
        following = np.where(notice >= token, np.minimum(following, notice), following)
    return np.maximum(pacing.start(state, request, following), 0)


def _counts(
    timeline: Timeline,
    before: Prefixes,
    after: Prefixes,
    node: Nodes,
    cleans: Bools,
    conntrack: ConntrackCleanup,
    first: Bools,
    fresh: Bools,
) -> SyncCounts:
    at_first = timeline.conntrack_at_first(after) * first
    written = (timeline.udp_writes_total[after] > timeline.udp_writes_total[before]) | (at_first > 0)
    listed, runs = written * conntrack.entries, 0 * after
    if not conntrack.reconciles:
        listed, runs = 0 * listed, np.where(first, at_first, timeline.conntrack_runs(before, after))
    changed = timeline.changed_between(before, after, node)
    return SyncCounts(
        service_ports=timeline.ports_total[after],
        endpoints=timeline.endpoints_total[after],
        dispatch=timeline.dispatch_at(after, node),
        own=timeline.own_at(after, node),
        changed_services=changed.services,
        changed_own=changed.own,
        endpoint_changes=timeline.changed_total[after] - timeline.changed_total[before],
        cleanup=cleans.astype(np.int64),
        conntrack_listed=listed,
        conntrack_runs=runs,
        changed_dispatch=changed.dispatch,
        fresh=fresh.astype(np.int64),
        moved=timeline.moved_between(before, after, node, fresh),
        first=first.astype(np.int64),
        gone_services=changed.gone,
        new_services=changed.new,
    )
