"""Packets as SimPy processes: each waits for its core, meets the rules in force when its service starts, and is done.

The reference engine.  A first packet walks the node's rule set rule by rule; a later one is known to conntrack.  A
window's queues start empty, as they do in the batch engine.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
import simpy

from kpsim.cluster.changes import NOWHERE, Spells
from kpsim.datapath.flows import UdpFlows
from kpsim.datapath.outcomes import Outcomes, verdicts
from kpsim.datapath.prices import PacketPrices
from kpsim.proxy.rules import Walk
from kpsim.proxy.sync.process import KubeProxy
from kpsim.traffic.connections import Connections, Windows
from kpsim.units import I64, U32


def price_of(prices: PacketPrices, walk: Walk, draw: U32, port: int) -> int:
    """Return what a first packet to a service ``port`` pays for its ``walk`` [ns]; ``draw`` (1,) are 32 bits."""
    scanned, tried = np.array([walk.scanned]), np.array([walk.tried])
    if walk.pod < 0:
        return int(prices.refused_ns(scanned, draw)[0])
    return int(prices.first_ns(scanned, tried, draw, np.array([port]))[0])


class PacketProcesses:
    """Puts every packet of ``connections`` on ``env``; :meth:`outcomes` after the environment has run."""

    def __init__(
        self,
        env: simpy.Environment,
        prices: PacketPrices,
        proxies: Sequence[KubeProxy],
        connections: Connections,
        windows: Windows,
    ) -> None:
        self._env, self._prices = env, prices
        self._proxies, self._connections, self._windows = proxies, connections, windows
        shape = (len(connections), connections.packets)
        self._arrival = np.zeros(shape, np.int64)
        self._start = np.zeros(shape, np.int64)
        self._cost = np.zeros(shape, np.int64)
        self._pod, self._scanned, self._tried = (np.zeros(shape[0], np.int64) for _ in range(3))
        self._queues: dict[tuple[int, int, int], simpy.Resource] = {}
        for number in range(shape[1]):  # the order breaks ties
            for c in range(shape[0]):
                env.process(self._packet(c, number))

    def _packet(self, c: int, number: int) -> Generator[simpy.Event, Any, None]:
        connections = self._connections
        arrival = int(connections.arrival_ns[c]) + number * connections.interval_ns
        yield self._env.timeout(arrival - int(self._env.now))
        lane = (int(connections.node[c]), int(connections.window[c]), int(connections.core[c]))
        if lane not in self._queues:
            self._queues[lane] = simpy.Resource(self._env, capacity=1)
        with self._queues[lane].request() as turn:
            yield turn
            start = int(self._env.now)
            cost = self._first_packet(c) if number == 0 else self._later_packet(c, number)
            self._arrival[c, number], self._start[c, number], self._cost[c, number] = arrival, start, cost
            yield self._env.timeout(cost)

    def _first_packet(self, c: int) -> int:
        connections = self._connections
        proxy = self._proxies[int(self._windows.nodes[connections.node[c]])]
        walk = proxy.walk(int(connections.port[c]), int(connections.draw[c]), int(connections.turn[c]))
        self._pod[c], self._scanned[c], self._tried[c] = walk.pod, walk.scanned, walk.tried
        return price_of(self._prices, walk, connections.cost_draw[c, :1], int(connections.port[c]))

    def _later_packet(self, c: int, number: int) -> int:
        if self._pod[c] < 0:
            return 0  # the client was refused and sends nothing more
        return int(self._prices.later_ns(self._connections.cost_draw[c, number]))

    def outcomes(self, gone_ns: I64, outages: Spells = NOWHERE, flows: UdpFlows | None = None) -> Outcomes:
        """Return every packet's ``Outcomes``, once ``env`` has run."""
        connections, node = self._connections, self._windows.nodes[self._connections.node]
        cleared = None if flows is None else flows.cleared(node, connections.port, self._pod, self._start[:, 0])
        found = verdicts(self._start, self._pod, gone_ns, outages, cleared)
        return Outcomes(self._arrival, self._start, self._cost, found, self._pod, self._scanned, self._tried)
