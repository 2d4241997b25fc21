"""Every node's syncs at once: the i-th sync of all nodes is one row of arithmetic.

The batch engine's half of the sync loop; :mod:`kpsim.proxy.sync.process` is the same model as SimPy processes.  Nodes
do not influence each other, so each is a lane, and only a sync's place in its lane's sequence is in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from kpsim.cluster.changes import NEVER
from kpsim.controlplane.deliveries import Fanout
from kpsim.proxy.contract import SyncCounts
from kpsim.proxy.sync import Nodes, Prefixes, Rows
from kpsim.proxy.sync.faults import Faults
from kpsim.proxy.sync.loop import ConntrackCleanup, SyncLoop
from kpsim.proxy.sync.pacing import Pacing, RunnerState
from kpsim.proxy.sync.timeline import Timeline
from kpsim.units import I64, Bools


@dataclass(frozen=True, slots=True)
class SyncTable:
    """All syncs of all nodes: arrays (syncs, nodes); a node's rows are filled from the top, NEVER below."""

    start: I64
    end: I64
    absorbed: I64  # deliveries it knew when it started
    full: Bools
    failed: Bools
    process_since: I64  # when the kube-proxy that ran it started; -NEVER: before the run

    @property
    def ran(self) -> Bools:
        """Return (syncs, nodes) True for cells that hold a sync."""
        return self.start < NEVER


class SyncRow(NamedTuple):
    """The i-th sync of every node, or fillers where there is none: a row of :class:`SyncTable`, (nodes,) each."""

    start: I64
    end: I64
    absorbed: I64
    full: Bools
    failed: Bools
    process_since: I64


class Arrivals:
    """Each delivery's arrival at each node is computed, never stored, because it is rows times nodes."""

    def __init__(self, sent: I64, spread: I64, fanout: Fanout) -> None:
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
        """Return the number of rows that reached ``node[i]`` by ``time[i]`` (a binary search in all lanes at once)."""
        low = np.zeros(len(node), np.int64)
        high = np.full(len(node), self.rows)
        for _ in range(self.rows.bit_length()):
            middle = (low + high) // 2
            arrival = self.at(middle, node)
            here = (arrival <= time) if inclusive else (arrival < time)
            here &= low < high
            low = np.where(here, middle + 1, low)
            high = np.where(here, high, middle)
        return low


def run_lanes(loop: SyncLoop, timeline: Timeline, arrivals: Arrivals, asks: Arrivals) -> SyncTable:
    """Return all syncs that start before the horizon; ``asks`` are the arrivals that ask for one."""
    pacing, faults, nodes = loop.pacing, loop.faults, loop.draws.nodes
    node = np.arange(nodes)
    state = RunnerState.at_start(loop.draws.phase, pacing, faults.joining())
    absorbed, answered = np.zeros(nodes, np.int64), np.zeros(nodes, np.int64)
    rows: list[SyncRow] = []
    while True:
        due = _due(pacing, state, faults, asks, answered, node)
        start, forced = faults.begin(state, due, node)
        runs = start < loop.horizon_ns
        if not runs.any():
            break
        prefix = np.where(runs, arrivals.count(start, node, inclusive=True), absorbed)
        full = pacing.is_full(state, start) | forced
        cleans = pacing.cleans(state, start, timeline.endpoints_total[prefix] > loop.large_above)
        counts = _counts(timeline, absorbed, prefix, node, cleans, loop.conntrack)
        end, failed = loop.end(state, start, counts, full, len(rows), node)
        faults.ran(state, runs, start, node)
        pacing.ran(state, runs, start, end, full, cleans, failed)
        beyond = ~runs
        start, end = np.where(beyond, NEVER, start), np.where(beyond, NEVER, end)
        rows.append(SyncRow(start, end, prefix, full & runs, failed & runs, state.process_since))
        absorbed = prefix
        answered = prefix if asks is arrivals else np.where(runs, asks.count(start, node, inclusive=True), answered)
    return table_of(rows, nodes)


def table_of(rows: Sequence[SyncRow], nodes: int) -> SyncTable:
    """Return rows one below the other as one table."""
    if not rows:
        nothing = np.zeros((0, nodes), np.int64)
        never = nothing.astype(np.bool_)
        return SyncTable(nothing, nothing, nothing, never, never, nothing)
    start, end, absorbed, full, failed = (np.stack(column) for column in list(zip(*rows, strict=True))[:-1])
    processes = [row.process_since for row in rows]
    one = processes[0]  # where nothing restarts, one row says it for all
    since = np.broadcast_to(one, start.shape) if all(row is one for row in processes) else np.stack(processes)
    return SyncTable(start, end, absorbed, full, failed, since)


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
    timeline: Timeline, before: Prefixes, after: Prefixes, node: Nodes, cleans: Bools, conntrack: ConntrackCleanup
) -> SyncCounts:
    listed, runs = conntrack.counts(timeline.changed_udp_total[after] - timeline.changed_udp_total[before])
    services, own, dispatch = timeline.changed_between(before, after, node)
    return SyncCounts(
        service_ports=timeline.ports_total[after],
        endpoints=timeline.endpoints_total[after],
        dispatch=timeline.dispatch_at(after, node),
        own=timeline.own_at(after, node),
        changed_services=services,
        changed_own=own,
        endpoint_changes=timeline.changed_total[after] - timeline.changed_total[before],
        cleanup=cleans.astype(np.int64),
        conntrack_listed=listed,
        conntrack_runs=runs,
        changed_dispatch=dispatch,
        moved=timeline.moved_between(before, after, node),
    )
