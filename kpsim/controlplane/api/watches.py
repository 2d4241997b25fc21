"""Clients that lost their watch come back, and new ones come: some resume, the others list, one after another.

A restarted API server breaks all its watches at one instant.  Each client's reflector tries again after a jittered
delay that doubles.  Another server's history still holds what the client has not seen, and its watch is resumed, if
that is not too long ago; a server that has just started has no history, answers 410 Gone, and everything is listed
again.  Lists take seats of a priority level and share the server's egress; who finds the queue full or waits in it for
too long gets 429, and comes back when Retry-After says so, a few times, before the reflector backs off again.

Structure from client-go tools/cache/reflector.go and rest/with_retry.go, kubernetes/apiserver pkg/storage/cacher and
pkg/util/flowcontrol, and KEP-1904.  Left out: that deliveries to clients already back share the egress with lists, and
that writes meet lists in their priority level (they are another flow, and fair queuing lets them pass).
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kpsim.controlplane.api.seats import PriorityLevel, RetryAfter
from kpsim.profiles.defaults import Defaults
from kpsim.units import I64, to_ns


@dataclass(frozen=True, slots=True)
class Backoff:
    """A reflector's delays: doubling from ``first_ns`` to ``most_ns``, each drawn between once and twice that."""

    first_ns: int
    most_ns: int
    retries: int  # of one request that was told to come again, before the reflector backs off

    @staticmethod
    def of(defaults: Defaults) -> Backoff:
        """client-go's."""
        return Backoff(
            to_ns(defaults.value("reflector.backoff")),
            to_ns(defaults.value("reflector.backoff_most")),
            round(defaults.value("reflector.retries")),
        )

    def delay_ns(self, failures: int, rng: np.random.Generator) -> int:
        """Return the delay after so many failures in a row, the first being 0."""
        step = min(self.first_ns << min(failures, 30), self.most_ns)
        return int(step * (1 + rng.random()))


@dataclass(frozen=True, slots=True)
class Relist:
    """Clients list this many bytes after a restart, and the server sends them at this speed."""

    size: int  # bytes a client
    egress_byte_ns: float  # of the server
    stream_byte_ns: float  # of one list alone
    objects: int | None = None  # a client, where lists are priced by them

    @staticmethod
    def of(size: int, egress_byte_ns: float, defaults: Defaults, objects: int | None = None) -> Relist:
        """With the profile's speed of a single stream."""
        return Relist(size, egress_byte_ns, 1e9 / defaults.value("api_server.list_stream"), objects)

    def takes_ns(self, at_once: int) -> int:
        """Return the time that one list takes when ``at_once`` of them share the egress [ns]."""
        return round(self.size * max(self.stream_byte_ns, at_once * self.egress_byte_ns))


class ListingServer:
    """One API server answering lists, as many at once as its level has seats for, the others in a bounded queue."""

    def __init__(self, level: PriorityLevel, relist: Relist) -> None:
        self._at_once = max(level.seats // level.list_seats(relist.size, relist.objects), 1)
        self._places = level.hand_size * level.queue_length  # all come from one flow, which is dealt a hand of queues
        self._most_wait_ns = level.most_wait_ns
        self._relist = relist
        self._busy: list[int] = []  # when each place is free again, those in the queue included; a heap
        self._waiting: deque[int] = deque()  # when those in the queue will start
        self.retry_after = RetryAfter()
        self.rejected = 0

    def answer(self, now_ns: int) -> tuple[int, bool]:
        """Return (time, True) when the list finishes sending, or (time the client is told 429, False); times in ns."""
        while self._waiting and self._waiting[0] <= now_ns:
            self._waiting.popleft()
        while self._busy and self._busy[0] <= now_ns:
            heapq.heappop(self._busy)
        start = now_ns
        if len(self._busy) >= self._at_once:
            if len(self._waiting) >= self._places:
                self.rejected += 1
                return now_ns, False
            start = max(now_ns, self._busy[0])
            if start - now_ns > self._most_wait_ns:
                self.rejected += 1
                return now_ns + self._most_wait_ns, False
            heapq.heappop(self._busy)
            if start > now_ns:
                self._waiting.append(start)
        end = start + self._relist.takes_ns(len(self._busy) + 1)
        heapq.heappush(self._busy, end)
        return end, True


@dataclass(frozen=True, slots=True)
class Reconnection:
    """All there is to know about clients that lost their watch."""

    backoff: Backoff
    level: PriorityLevel
    relist: Relist
    restart_ns: int  # until a restarted server answers
    history_ns: int  # how far back the watch cache of a server that did not restart reaches

    @staticmethod
    def of(level: PriorityLevel, relist: Relist, defaults: Defaults) -> Reconnection:
        """With Kubernetes' defaults."""
        times = (to_ns(defaults.value(f"api_server.{name}")) for name in ("restart", "watch_history"))
        return Reconnection(Backoff.of(defaults), level, relist, *times)

    def back_ns(self, clients: int, broken_ns: int, rng: np.random.Generator, *, elsewhere: bool) -> I64:
        """Return the time at which each client has its watch again and all that it missed [ns], (clients,).

        All were cut off at ``broken_ns``; ``elsewhere`` there are other servers, or else they wait for the one.
        """
        up_ns = broken_ns + (0 if elsewhere else self.restart_ns)
        resumable_ns = broken_ns + (self.history_ns if elsewhere else -1)
        return self.served_ns(
            [broken_ns + self.backoff.delay_ns(0, rng) for _ in range(clients)], rng, up_ns, resumable_ns
        )

    def served_ns(
        self, first_ns: Sequence[int], rng: np.random.Generator, up_ns: int = -1, resumable_ns: int = -1
    ) -> I64:
        """Return the time at which each client that first tries at ``first_ns`` has its watch [ns], (clients,)."""
        server, clients = ListingServer(self.level, self.relist), len(first_ns)
        back = np.zeros(clients, np.int64)
        failures, told_again = [0] * clients, [0] * clients
        tries = [(time_ns, client) for client, time_ns in enumerate(first_ns)]
        heapq.heapify(tries)
        while tries:
            now, client = heapq.heappop(tries)
            at_ns, answered = now, now <= resumable_ns
            if now >= up_ns and not answered:
                at_ns, answered = server.answer(now)
            if answered:
                back[client] = at_ns
            elif now >= up_ns and told_again[client] < self.backoff.retries:
                told_again[client] += 1
                heapq.heappush(tries, (at_ns + server.retry_after.dropped(at_ns), client))
            else:
                failures[client] += 1
                told_again[client] = 0
                heapq.heappush(tries, (at_ns + self.backoff.delay_ns(failures[client], rng), client))
        return back
