"""Priority and fairness: a write is dearer the more watchers it wakes, and waits until all its seats are free.

A mutating request on objects that W clients of this API server watch takes ``min(ceil(W / 10), 10)`` seats while it
runs, and keeps them for ``ceil(W / 10) x 5 ms`` divided by that many seats afterwards, when its client has long been
answered.  Seats are those of the priority level, here workload-high, whose share of both in-flight limits is fixed by
the levels' shares.  Requests are dispatched in order, each when *all* its seats are free; one that has waited for too
long is told to come again (429, Retry-After).

Structure from kubernetes/apiserver pkg/util/flowcontrol/request (mutating and list work estimators),
pkg/util/flowcontrol/fairqueuing and pkg/apis/flowcontrol/bootstrap.  Left out: borrowing seats from idle levels, fair
queuing among namespaces (one client with a few workers never has a queue), and what else runs in the level [A6].
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass

from kpsim.controlplane.params import ApiServerParams
from kpsim.profiles.defaults import Defaults
from kpsim.units import to_ns


@dataclass(frozen=True, slots=True)
class WriteCost:
    """A write takes these seats of a level, and keeps them after its answer for ``hold_ns``."""

    seats: int
    hold_ns: int


@dataclass(frozen=True, slots=True)
class PriorityLevel:
    """The workload-high level of one API server."""

    seats: int
    hand_size: int
    queue_length: int
    most_write_seats: int
    watchers_per_seat: int
    seat_hold_ns: int
    most_list_seats: int
    list_bytes_per_seat: int
    list_bytes_most: int
    most_wait_ns: int
    retry_after_ns: int

    @staticmethod
    def of(params: ApiServerParams, defaults: Defaults) -> PriorityLevel:
        """Return the level as the in-flight limits and the levels' shares make it."""

        def fact(name: str) -> int:
            return round(defaults.value(f"priority_and_fairness.{name}"))

        def limit(given: int | None, name: str) -> int:
            return round(defaults.value(f"api_server.{name}")) if given is None else given

        inflight = limit(params.max_requests_inflight, "max_requests_inflight")
        inflight += limit(params.max_mutating_requests_inflight, "max_mutating_requests_inflight")
        seats = max(-(-inflight * fact("workload_high_shares") // fact("all_shares")), 1)
        share = defaults.value("priority_and_fairness.most_share_of_level")
        most = max(1, min(math.ceil(share * seats), seats // fact("hand_size")))
        return PriorityLevel(
            seats=seats,
            hand_size=fact("hand_size"),
            queue_length=fact("queue_length"),
            most_write_seats=min(fact("most_write_seats"), most),
            watchers_per_seat=fact("watchers_per_seat"),
            seat_hold_ns=to_ns(defaults.value("priority_and_fairness.seat_hold")),
            most_list_seats=most,
            list_bytes_per_seat=fact("list_bytes_per_seat"),
            list_bytes_most=fact("list_bytes_most"),
            most_wait_ns=to_ns(defaults.value("priority_and_fairness.queue_wait")),
            retry_after_ns=to_ns(defaults.value("priority_and_fairness.retry_after")),
        )

    def write_cost(self, watchers: int) -> WriteCost:
        """Seats of a write on an object that ``watchers`` clients of this server watch; few watchers are free."""
        if watchers < self.watchers_per_seat:
            return WriteCost(1, 0)
        wanted = -(-watchers // self.watchers_per_seat)
        seats = min(wanted, self.most_write_seats)
        return WriteCost(seats, wanted * self.seat_hold_ns // seats)

    def list_seats(self, size: int) -> int:
        """Seats of a list of ``size`` bytes from the watch cache."""
        wanted = -(-min(size, self.list_bytes_most) // self.list_bytes_per_seat)
        return max(1, min(wanted, self.most_list_seats))


class SeatPool:
    """Requests in order of arrival, each dispatched when all its seats are free.

    A request is admitted when it is made, for the time at which it will arrive: its client's token bucket lets them go
    in that order, so who comes later never overtakes, and no event is needed.
    """

    def __init__(self, seats: int, most_wait_ns: int) -> None:
        self._free = seats
        self._most_wait_ns = most_wait_ns
        self._taken: list[tuple[int, int]] = []  # (when given back, seats), a heap
        self._last_ns = 0  # nobody is dispatched before who came first
        self.waited_ns = 0
        self.rejected = 0

    def admit(self, arrives_ns: int, seats: int, runs_ns: int, hold_ns: int) -> int | None:
        """Return the dispatch [ns] of a request that runs for ``runs_ns`` and keeps its seats for ``hold_ns`` more.

        ``None`` if it would wait for too long: then it has left the queue, and nobody waited for it.
        """
        at_ns = max(arrives_ns, self._last_ns)
        while self._taken and self._taken[0][0] <= at_ns:
            self._free += heapq.heappop(self._taken)[1]
        free, given_back = self._free, []
        while free < seats:
            given_back.append(heapq.heappop(self._taken))
            at_ns, free = given_back[-1][0], free + given_back[-1][1]
        if at_ns - arrives_ns > self._most_wait_ns:
            for item in given_back:
                heapq.heappush(self._taken, item)
            self.rejected += 1
            return None
        self._free, self._last_ns = free - seats, at_ns
        self.waited_ns += at_ns - arrives_ns
        heapq.heappush(self._taken, (at_ns + runs_ns + hold_ns, seats))
        return at_ns


def writes_per_s(level: PriorityLevel, watchers: int, runs_s: float) -> float:
    """Writes a second that the level's seats allow, each taking ``runs_s`` to its answer."""
    cost = level.write_cost(watchers)
    return (level.seats // cost.seats) / (runs_s + cost.hold_ns / 1e9)
