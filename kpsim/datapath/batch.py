"""Packets as arrays: every queue of every node at once, by Lindley's recursion in closed form.

A packet is charged for the rules in force when its service *starts*.  Prices are first computed for the rules in force
when it *arrives*; the few packets that wait across a switch of rules are priced again, and the queues computed anew,
until every price fits its start.  The earliest wrong price of a queue is put right in each round, because everything
before it is right, so the rounds end, and with the one answer the recursion has.  Time is integer nanoseconds, so it
equals :mod:`kpsim.datapath.packets` exactly.
Source: Lindley, "The theory of queues with a single server", 1952.

Three packets come to one core at 0, 3 and 6 ns, where a first packet costs 10 ns.  At 15 ns new rules come into force
under which it costs 4 ns.  All three are priced for their arrival; the third starts after the switch and is priced
again:

>>> from types import SimpleNamespace as Some
>>> zeros, switch_ns = np.zeros(3, np.int64), 15
>>> rules = Some(
...     cluster=Some(cores=1),
...     flows=None,
...     prices=Some(later_ns=lambda draw: 0 * draw.astype(np.int64), most_ns=lambda: 10),
...     edition=lambda node, t: (t >= 15, np.where(t < 15, -NEVER, 15), np.where(t < 15, 15, NEVER)),
...     first_packets=lambda node, edition, of, which: (np.where(edition, 4, 10), *3 * [0 * node]),
... )
>>> drawn = Connections(zeros, zeros, np.array([0, 3, 6]), *4 * [zeros], np.zeros((3, 1), np.uint32), 1, 0)
>>> packets = serve_packets(rules, drawn, Windows(zeros[:1], zeros[:1], 100, 0, True), gone_ns=np.array([NEVER]))
>>> for row in zip(packets.arrival_ns.flat, packets.start_ns.flat, packets.cost_ns.flat):
...     print(*row)
0 0 10
3 10 10
6 20 4
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kpsim.cluster.changes import NEVER, NOWHERE, Spells
from kpsim.cluster.columns import Cluster
from kpsim.datapath.flows import UdpFlows
from kpsim.datapath.outcomes import Outcomes, verdicts
from kpsim.datapath.prices import PacketPrices
from kpsim.proxy.contract import Mode
from kpsim.proxy.rules import DROPPED, REFUSED
from kpsim.proxy.sync import Editions, Nodes
from kpsim.proxy.sync.draws import SyncDraws
from kpsim.proxy.sync.inforce import InForce
from kpsim.proxy.sync.timeline import Timeline
from kpsim.queues import lindley
from kpsim.traffic.connections import Connections, Windows
from kpsim.units import I64


@dataclass(frozen=True, slots=True)
class RulesInForce:
    """Everything that the price of a first packet depends on: the rules in force by node and time, and their costs."""

    cluster: Cluster
    mode: Mode
    timeline: Timeline
    in_force: InForce
    draws: SyncDraws
    prices: PacketPrices
    flows: UdpFlows | None = None  # None: nobody deletes entries of conntrack

    def edition(self, node: Nodes, time_ns: I64) -> tuple[Editions, I64, I64]:
        """Return (edition in force, since [ns], until [ns] or NEVER) for each (node, time) pair."""
        return self.in_force.edition(node, time_ns)

    def first_packets(
        self, node: Nodes, edition: Editions, connections: Connections, which: I64
    ) -> tuple[I64, I64, I64, I64]:
        """Cost [ns], Pod (or REFUSED, DROPPED), rules scanned and endpoint rules tried of connections ``which``."""
        prefix, rule_set = self.in_force.known(edition, node)
        port = connections.port[which]
        timeline, prices = self.timeline, self.prices
        first, choices, policy = timeline.choices(port, prefix, node)
        bare = edition < 0  # there are no rules at all
        if bare.any():
            choices = np.where(bare, 0, choices)
        index = self.mode.select(connections.draw[which], connections.turn[which], choices)
        pod = timeline.usable_pod[first + index].astype(np.int64)
        scanned = total = np.zeros_like(prefix)
        if prices.scans():
            total = timeline.dispatch_at(prefix, node)
            place = timeline.rank(port, prefix, node)
            if self.mode.scan_rotates:
                place += (self.draws.rotation(rule_set, node).astype(np.int64) * total) >> 32
            scanned = place % np.maximum(total, 1)
        tried = self.mode.endpoint_steps(index, choices)
        draw = connections.cost_draw[which, 0]
        rest = np.flatnonzero(choices == 0)  # few, as a rule: nobody serves them
        tried[rest] = 0
        cost = prices.first_ns(scanned, tried, draw, port)
        if len(rest):
            nobody = REFUSED if self.mode.refuses else DROPPED
            dropped = bare[rest] | (policy[rest] & self.mode.drops_without_local)
            pod[rest] = np.where(dropped, DROPPED, nobody)
            found = timeline.knows(port[rest], prefix[rest]) & prices.finds_refused()
            passed = np.where(found, scanned[rest], total[rest])
            scanned[rest] = np.where(bare[rest], 0, passed)
            cost[rest] = prices.refused_ns(scanned[rest], draw[rest])
        return cost, pod, scanned, tried


def serve_packets(
    rules: RulesInForce, connections: Connections, windows: Windows, gone_ns: I64, outages: Spells = NOWHERE
) -> Outcomes:
    """Return the outcomes of every packet of ``connections``.

    Queues are put one after another on one long axis of time, each in an epoch of its own, so that one recursion
    serves them all.  Packets at the same instant in one queue go by their number within the connection, then by
    connection.
    """
    c, k = len(connections), connections.packets
    node = windows.nodes[connections.node]
    lane = (connections.node * len(windows.starts_ns) + connections.window) * rules.cluster.cores + connections.core
    lane -= lane.min(initial=NEVER)
    arrival = connections.arrival_ns[:, None] + connections.interval_ns * np.arange(k)
    edition, since, until = rules.edition(node, connections.arrival_ns)
    first_cost, pod, scanned, tried = rules.first_packets(node, edition, connections, np.arange(c))
    cost = rules.prices.later_ns(connections.cost_draw)
    cost[np.flatnonzero(pod < 0)] = 0
    cost[:, 0] = first_cost

    begins = lane * _epoch_ns(lane, connections, rules.prices.most_ns())
    queued, place = _line(lane, connections.arrival_ns + begins, connections)
    start = np.empty((c, k), np.int64)
    for _ in range(c + 1):  # each round settles at least one more connection
        start.ravel()[place] = lindley(queued, cost.ravel()[place])
        start -= begins[:, None]
        wrong = np.flatnonzero((start[:, 0] >= until) | (start[:, 0] < since))
        if not len(wrong):
            break
        edition, since[wrong], until[wrong] = rules.edition(node[wrong], start[wrong, 0])
        cost[wrong, 0], pod[wrong], scanned[wrong], tried[wrong] = rules.first_packets(
            node[wrong], edition, connections, wrong
        )
        later = rules.prices.later_ns(connections.cost_draw[wrong, 1:])
        cost[wrong, 1:] = later * (pod[wrong] >= 0)[:, None]
    else:
        raise AssertionError("prices and switches of rules contradict each other")
    cleared = None if rules.flows is None else rules.flows.cleared(node, connections.port, pod, start[:, 0])
    return Outcomes(arrival, start, cost, verdicts(start, pod, gone_ns, outages, cleared), pod, scanned, tried)


def _line(lane: I64, first_ns: I64, connections: Connections) -> tuple[I64, I64]:
    """Return all packets in the order in which they are served, (c * k,): their times, and their places in (c, k).

    ``first_ns`` is when connections, which are in order of arrival in each window, open on the axis of all queues.
    """
    few = lane.max(initial=0) < 1 << 16  # to sort without comparing
    by_lane = np.argsort(lane.astype(np.uint16) if few else lane, kind="stable")
    number = np.arange(connections.packets)[:, None]
    times = (first_ns[by_lane] + connections.interval_ns * number).ravel()
    line = np.argsort(times, kind="stable")  # as many sorted runs to merge as a connection has packets
    return times[line], (by_lane * connections.packets + number).ravel()[line]


def _epoch_ns(lane: I64, connections: Connections, dearest_ns: int) -> int:
    """Length of a queue's epoch [ns]: longer than any queue can be busy, if every packet cost ``dearest_ns``."""
    if not len(connections):
        return 1
    last = int(connections.arrival_ns.max()) + connections.interval_ns * (connections.packets - 1)
    epoch = last + dearest_ns * connections.cost_draw.size + 1
    assert (int(lane.max()) + 1) * epoch < NEVER, "too many queues for one block: serve fewer nodes at once"
    return epoch
