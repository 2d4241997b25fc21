"""Packets as arrays: every queue is a lane, and the i-th packets of all lanes are one row of Lindley's recursion.

A packet is charged for the rules in force when its service *starts*.  Prices are first computed for the rules in force
when it *arrives*; only a packet that waits across a switch of rules is priced again, one by one, in the row where that
happens.  Time is integer nanoseconds, so the result equals :mod:`kpsim.datapath.packets` exactly.
Source: Lindley, "The theory of queues with a single server", 1952.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kpsim.cluster.changes import NEVER
from kpsim.cluster.columns import Cluster
from kpsim.datapath.outcomes import Outcomes, verdicts
from kpsim.datapath.prices import PacketPrices
from kpsim.proxy.contract import Mode
from kpsim.proxy.draws import SyncDraws
from kpsim.proxy.lanes import SyncTrace
from kpsim.proxy.timeline import Timeline
from kpsim.traffic.connections import Connections, Windows
from kpsim.units import I64

__all__ = ["RulesInForce", "lindley", "run_batch"]


@dataclass(frozen=True, slots=True)
class RulesInForce:
    """Which rules hold where and when: everything the price of a first packet depends on."""

    cluster: Cluster
    mode: Mode
    timeline: Timeline
    trace: SyncTrace
    draws: SyncDraws
    prices: PacketPrices

    def version(self, node: I64, time_ns: I64) -> tuple[I64, I64]:
        """Rule set number in force at ``time_ns`` on each node, and when the next one comes (NEVER for none)."""
        ends = np.vstack([self.trace.end, np.full((1, self.trace.end.shape[1]), NEVER)])
        version = np.empty(len(node), np.int64)
        for n in np.unique(node).tolist():
            here = node == n
            version[here] = np.searchsorted(ends[:, n], time_ns[here], side="right")
        return version, ends[version, node]

    def first_packets(self, node: I64, version: I64, connections: Connections, which: I64) -> tuple[I64, I64, I64, I64]:
        """Cost [ns], Pod (-1: refused), rules scanned and endpoint rules tried of connections ``which``."""
        prefix = np.where(version > 0, self.trace.absorbed[np.maximum(version - 1, 0), node], 0) if len(
            self.trace.absorbed
        ) else np.zeros_like(node)  # fmt: skip
        port = connections.port[which]
        timeline = self.timeline
        state = timeline.state(self.cluster.port_service[port], prefix)
        usable = timeline.usable[state]
        index = self.mode.select(connections.draw[which], connections.turn[which], usable)
        at = timeline.usable_offset[state] + index
        served = usable > 0
        pod = np.where(served, timeline.usable_pod[np.where(served, at, -1)], -1)
        total = timeline.dispatch_total[prefix]
        scanned = np.zeros_like(total)
        if self.prices.scans():
            rotation = (self._rotation(version, node) * total) >> 32
            rank = timeline.rank(port, prefix)
            scanned = np.where(served, (rank + rotation) % np.maximum(total, 1), total)
        tried = np.where(served, self.mode.endpoint_steps(index, usable), 0)
        draw = connections.cost_draw[which, 0]
        cost = np.where(
            served,
            self.prices.first_ns(np.where(served, scanned, 0), tried, draw),
            self.prices.refused_ns(np.where(served, 0, scanned), draw),
        )
        return cost, pod, scanned, tried

    def _rotation(self, version: I64, node: I64) -> I64:
        draws = np.empty(len(version), np.int64)
        for v in np.unique(version).tolist():
            here = version == v
            draws[here] = self.draws.rotation(v)[node[here]]
        return draws


@dataclass(slots=True)
class _Lanes:
    """Packets laid out row by row: row i holds the i-th packet of every lane that has one, longest lanes first."""

    packet: I64  # packet number (connection * k + number) at each flat place
    place: I64  # flat place of each packet number
    bounds: I64  # (rows + 1,) where each row begins

    @staticmethod
    def lay_out(lane: I64, arrival: I64) -> _Lanes:
        order = np.lexsort((arrival, lane))  # stable: packet number breaks ties
        sorted_lane = lane[order]
        lanes, first, counts = np.unique(sorted_lane, return_index=True, return_counts=True)
        column = np.argsort(np.argsort(-counts, kind="stable"), kind="stable")
        row = np.arange(len(order)) - np.repeat(first, counts)
        flat = order[np.argsort(row * len(lanes) + np.repeat(column, counts), kind="stable")]
        place = np.empty(len(order), np.int64)
        place[flat] = np.arange(len(order))
        widths = np.bincount(row) if len(row) else np.zeros(0, np.int64)
        return _Lanes(flat, place, np.concatenate([[0], np.cumsum(widths)]))


def lindley(arrival: I64, cost: I64) -> I64:
    """Start of service in one queue with one server [ns], (n,): arrivals in order, exact in integers."""
    work = np.cumsum(cost)
    return np.asarray(np.maximum.accumulate(arrival - (work - cost)) + (work - cost))


def run_batch(rules: RulesInForce, connections: Connections, windows: Windows, gone_ns: I64) -> Outcomes:
    """Serve every packet of ``connections``."""
    c, k = len(connections), connections.packets
    node = windows.nodes[connections.node]
    version, switch = rules.version(node, connections.arrival_ns)
    first_cost, pod, scanned, tried = rules.first_packets(node, version, connections, np.arange(c))
    arrival = connections.arrival_ns[:, None] + connections.interval_ns * np.arange(k)[None, :]
    later = rules.prices.later_ns(connections.cost_draw)
    cost = np.where((pod < 0)[:, None], 0, later)
    cost[:, 0] = first_cost
    lane = (connections.node * len(windows.starts_ns) + connections.window) * rules.cluster.cores + connections.core
    lanes = _Lanes.lay_out(np.repeat(lane, k), arrival.ravel())
    switches = np.full((c, k), NEVER)
    switches[:, 0] = switch

    a, s, w = (x.ravel()[lanes.packet] for x in (arrival, cost, switches))
    start = np.empty_like(a)
    free = np.zeros(int(lanes.bounds[1]) if len(lanes.bounds) > 1 else 0, np.int64)
    for lo, hi in zip(lanes.bounds[:-1].tolist(), lanes.bounds[1:].tolist(), strict=True):
        begin = np.maximum(a[lo:hi], free[: hi - lo])
        if (begin >= w[lo:hi]).any():
            late = lo + np.flatnonzero(begin >= w[lo:hi])
            which = lanes.packet[late] // k
            again, _ = rules.version(node[which], begin[late - lo])
            s[late], pod[which], scanned[which], tried[which] = rules.first_packets(
                node[which], again, connections, which
            )
            rest = lanes.place[which[:, None] * k + np.arange(1, k)[None, :]]
            s[rest] = np.where((pod[which] < 0)[:, None], 0, later[which, 1:])
        start[lo:hi] = begin
        free[: hi - lo] = begin + s[lo:hi]

    start_ns, cost_ns = start[lanes.place].reshape(c, k), s[lanes.place].reshape(c, k)
    return Outcomes(arrival, start_ns, cost_ns, verdicts(start_ns, pod, gone_ns), pod, scanned, tried)
