"""The latencies of all lookups at once, as arrays.

A try begins when the one before it is answered, so when it arrives depends on every queue before.  Lookups of one try
are one pass of arrays (:mod:`kpsim.queues`); others are served in order of time, by Kiefer and Wolfowitz' recursion
on when each core is free.  Time is integer nanoseconds, and SimPy processes (a test's) find the same.
Source: Kiefer and Wolfowitz, "On the theory of queues with many servers", 1955.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush, heapreplace

import numpy as np

from kpsim.dns.lookups import Callers, Lookups, draw_lookups
from kpsim.dns.params import DnsParams
from kpsim.measure.summary import Estimate
from kpsim.profiles.defaults import load_defaults
from kpsim.queues import last_starts
from kpsim.rng import stream
from kpsim.units import I64


def lookup_latencies(params: DnsParams, callers: Callers, seed: int, replication: int) -> I64:
    """From the call of ``getaddrinfo`` to its answer, for each of the callers' lookups [ns], (n,).

    Raises
    ------
    GuardError
        if CoreDNS is hopelessly overloaded.
    """
    return latencies(draw_lookups(params, callers, stream(seed, "dns", replication)))


def latencies(lookups: Lookups) -> I64:
    """Return the latency of each of ``lookups`` [ns], (n,)."""
    if len(lookups.trips) == 1 and lookups.node_queue is None:
        return _one_try(lookups)
    return in_order(lookups)


def _one_try(lookups: Lookups) -> I64:
    """Lookups whose only exchange is with CoreDNS: nothing waits for anything but its queue."""
    to_core, home = _direct_ways(lookups)
    background = lookups.background
    start = last_starts(
        np.concatenate([lookups.arrival_ns + to_core[0], background.arrival_ns]),
        np.concatenate([lookups.queue[0], background.queue]),
        np.concatenate([lookups.asked[0], background.size]),
        lookups.cores,
        lookups.query_ns,
    )[: len(lookups)]
    return np.asarray(start + home[0] - lookups.arrival_ns)


def _direct_ways(lookups: Lookups) -> tuple[I64, I64]:
    """From the start of each exchange to CoreDNS, and from the turn of its last query to its end [ns], (m, n)."""
    there = lookups.trip_ns // 2
    to_core = lookups.lost_ns + (lookups.trips[:, None] - 1) * lookups.trip_ns + there
    return to_core, lookups.query_ns + lookups.upstream_ns + lookups.trip_ns - there


class _Cores:
    """The times at which each core of each server is free [ns]."""

    def __init__(self, queues: int, cores: int, query_ns: int) -> None:
        self._free = [[0] * cores for _ in range(queues)]
        self._query_ns = query_ns

    def last_start(self, queue: int, now_ns: int, queries: int) -> int:
        """Return when the last of ``queries`` that arrive now starts to be served."""
        free, start = self._free[queue], now_ns
        for _ in range(queries):
            start = max(now_ns, free[0])
            heapreplace(free, start + self._query_ns)
        return start


class _NodeCaches:
    """The cache on each node, which all queries pass, and the ways to it and from it [ns] by number of exchange."""

    def __init__(self, lookups: Lookups, queue: I64) -> None:
        m, n = lookups.trip_ns.shape
        half, near = lookups.node_trip_ns // 2, lookups.node_trip_ns
        self.to_node: list[int] = ((lookups.trips[:, None] - 1) * near + half).ravel().tolist()
        self.back: list[int] = (near - half).ravel().tolist()
        self.to_core: list[int] = (lookups.trip_ns // 2).ravel().tolist()
        self._queue: list[int] = np.tile(queue, m).tolist()
        self._queries: list[int] = np.repeat(lookups.queries, n).tolist()
        self._query_ns = lookups.node_query_ns
        self._cores = _Cores(int(queue.max(initial=0)) + 1, 1, lookups.node_query_ns)

    def answered(self, number: int, now_ns: int) -> int:
        """Return when the node has looked for every query of an exchange that reaches it now."""
        return self._cores.last_start(self._queue[number], now_ns, self._queries[number]) + self._query_ns


def in_order(lookups: Lookups) -> I64:
    """Serve every query of every lookup in order of time; how long each lookup takes [ns], (n,).

    At one nanosecond and server, earlier tries go before later ones, then by lookup, then everybody else.
    """
    n, others = len(lookups), lookups.trip_ns.size
    background = lookups.background
    queue: list[int] = [*lookups.queue.ravel().tolist(), *background.queue.tolist()]
    asked: list[int] = [*lookups.asked.ravel().tolist(), *background.size.tolist()]
    cores = _Cores(max(queue, default=0) + 1, lookups.cores, lookups.query_ns)
    to_core, home = (way.ravel().tolist() for way in _direct_ways(lookups))
    node = None if lookups.node_queue is None else _NodeCaches(lookups, lookups.node_queue)
    begin, shift = (to_core, 0) if node is None else (node.to_node, len(queue))  # shift: at the node, not at CoreDNS
    bits = (2 * len(queue)).bit_length()
    answered: list[int] = lookups.arrival_ns.tolist()
    planned = [(now + begin[i]) << bits | (i + shift) for i, now in enumerate(answered)]
    planned += [now << bits | (others + b) for b, now in enumerate(background.arrival_ns.tolist())]
    planned.sort(reverse=True)
    under_way: list[int] = []
    while planned or under_way:
        later = not planned or (under_way and under_way[0] < planned[-1])
        key = heappop(under_way) if later else planned.pop()
        now, number = key >> bits, key & ((1 << bits) - 1)
        if node is not None and number >= shift:
            number -= shift
            now = node.answered(number, now)
            if asked[number]:
                heappush(under_way, (now + node.to_core[number]) << bits | number)
                continue
        else:
            now = cores.last_start(queue[number], now, asked[number])
            if number >= others:
                continue
            now += home[number]
        now += node.back[number] if node is not None else 0
        if number + n < others:
            heappush(under_way, (now + begin[number + n]) << bits | (number + n + shift))
        else:
            answered[number + n - others] = now
    return np.array(answered, np.int64) - lookups.arrival_ns


def unloaded_s(exchanges: Sequence[tuple[int, int]], *, upstream: int = 0, node_local: bool = False) -> Estimate:
    """Return the latency of one lookup (round trips, queries) that meets no other [s], at typical distances.

    ``upstream`` of its exchanges wait for a name outside the cluster; with ``node_local`` the node has all answers.
    """
    known = load_defaults().coefficients
    trip, query = ("node_round_trip", "node_local_query") if node_local else ("round_trip", "query")
    ends = []
    for bound in ("value", "low", "high"):
        each = {name: float(getattr(known[f"dns.{name}"], bound)) for name in (trip, query, "upstream")}
        waits = 0.0 if node_local else upstream * each["upstream"]
        ends.append(sum(trips * each[trip] + queries * each[query] for trips, queries in exchanges) + waits)
    return Estimate(ends[0], ends[1], ends[2])
