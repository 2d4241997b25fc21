"""Lookups as SimPy processes: each client sends a question, waits for its answers, and goes on to the next name.

The reference for :mod:`kpsim.dns.resolver`: what one process does here, the resolver does for all at once.  Of several
that arrive at a server in the same nanosecond, the one with the lower number goes first: earlier tries before later
ones, then by lookup, then everybody else.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import simpy

from kpsim.dns.lookups import Lookups
from kpsim.units import I64

Steps = Generator[simpy.Event, Any, None]


class _Server:
    """CoreDNS or a node's cache: some cores, one line, the same time for every query."""

    def __init__(self, env: simpy.Environment, cores: int, query_ns: int) -> None:
        self._env, self._query_ns = env, query_ns
        self._cores = simpy.Resource(env, capacity=cores)
        self._arrived: list[tuple[int, int, simpy.Event]] = []

    def ask(self, number: int, queries: int) -> simpy.Event:
        """The event that the last of ``queries`` asked now is answered."""
        answered = self._env.event()
        if not self._arrived:
            self._env.process(self._admit())
        self._arrived.append((number, queries, answered))
        return answered

    def _admit(self) -> Steps:
        yield self._env.timeout(0)  # everyone who arrives at this instant is there now
        arrived, self._arrived = sorted(self._arrived, key=lambda each: each[0]), []
        for _, queries, answered in arrived:
            self._env.process(self._answer([self._cores.request() for _ in range(queries)], answered))

    def _answer(self, turns: list[Any], answered: simpy.Event) -> Steps:
        served = [self._env.process(self._serve(turn)) for turn in turns]
        yield self._env.all_of(served)
        answered.succeed()

    def _serve(self, turn: Any) -> Steps:
        yield turn
        yield self._env.timeout(self._query_ns)
        self._cores.release(turn)


class _Town:
    """The servers and the clients of one set of lookups."""

    def __init__(self, lookups: Lookups) -> None:
        self.env = simpy.Environment(initial_time=0)
        self._lookups = lookups
        self._core: dict[int, _Server] = {}
        self._near: dict[int, _Server] = {}
        self.answered_ns = np.zeros(len(lookups), np.int64)
        for i in range(len(lookups)):
            self.env.process(self._client(i))
        first = lookups.trip_ns.size
        background = lookups.background
        for b, time_ns in enumerate(background.arrival_ns.tolist()):
            self.env.process(self._other(first + b, time_ns, int(background.queue[b]), int(background.size[b])))

    def _replica(self, queue: int) -> _Server:
        lookups = self._lookups
        return self._core.setdefault(queue, _Server(self.env, lookups.cores, lookups.query_ns))

    def _other(self, number: int, time_ns: int, queue: int, queries: int) -> Steps:
        yield self.env.timeout(time_ns)
        yield self._replica(queue).ask(number, queries)

    def _client(self, i: int) -> Steps:
        lookups = self._lookups
        yield self.env.timeout(int(lookups.arrival_ns[i]))
        for k, trips in enumerate(lookups.trips.tolist()):
            if lookups.node_queue is None:
                yield self.env.timeout(int(lookups.lost_ns[k, i]))
                yield from self._from_replica(k, i, trips)
            else:
                yield from self._from_node(k, i, trips, int(lookups.node_queue[i]))
        self.answered_ns[i] = int(self.env.now)

    def _from_node(self, k: int, i: int, trips: int, queue: int) -> Steps:
        lookups = self._lookups
        near = int(lookups.node_trip_ns[k, i])
        server = self._near.setdefault(queue, _Server(self.env, 1, lookups.node_query_ns))
        yield self.env.timeout((trips - 1) * near + near // 2)
        yield server.ask(k * len(lookups) + i, int(lookups.queries[k]))
        if lookups.asked[k, i]:
            yield from self._from_replica(k, i, 1)
        yield self.env.timeout(near - near // 2)

    def _from_replica(self, k: int, i: int, trips: int) -> Steps:
        lookups = self._lookups
        trip = int(lookups.trip_ns[k, i])
        yield self.env.timeout((trips - 1) * trip + trip // 2)
        yield self._replica(int(lookups.queue[k, i])).ask(k * len(lookups) + i, int(lookups.asked[k, i]))
        yield self.env.timeout(int(lookups.upstream_ns[k, i]) + trip - trip // 2)


def latencies_by_process(lookups: Lookups) -> I64:
    """Return the latency of each of ``lookups`` [ns], (n,), by SimPy processes: the same numbers as ``latencies``."""
    town = _Town(lookups)
    town.env.run()
    return town.answered_ns - lookups.arrival_ns
