"""Priority and fairness: a write is dearer the more watchers it wakes, and waits until all its seats are free.

A mutating request on objects that W clients of this API server watch takes ``min(ceil(W / 10), 10)`` seats while it
runs, and keeps them for ``ceil(W / 10) x 5 ms`` divided by that many seats afterwards, when its client has long been
answered.  Seats are those of the priority level, here workload-high, whose share of both in-flight limits is fixed by
the levels' shares.  Requests are dispatched in order, each when *all* its seats are free; one that has waited for too
long is told to come again (429, Retry-After: a second, doubled while many are).  The level's share is soft: each ten
seconds the levels' limits are set anew by what each has asked for, and one that asks for much takes most of what the
others do not use.  The others are taken to be idle.

Structure from kubernetes/apiserver pkg/util/flowcontrol/request (mutating and list work estimators),
pkg/util/flowcontrol/fairqueuing and pkg/apis/flowcontrol/bootstrap.  Left out: fair
queuing among namespaces (one client with a few workers never has a queue), and what else runs in the level [A6].
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kpsim.controlplane.params import ApiServerParams
from kpsim.profiles.defaults import Defaults
from kpsim.units import to_ns

# shares and lendable percentage by level: system, node-high, leader-election, workload-high, workload-low,
# global-default, catch-all
LEVELS = ((30, 33), (40, 25), (10, 0), (40, 50), (100, 90), (20, 50), (5, 0))
OURS = 3


@dataclass(frozen=True, slots=True)
class WriteCost:
    """A write takes these seats of a level, and keeps them after its answer for ``hold_ns``."""

    seats: int
    hold_ns: int


@dataclass(frozen=True, slots=True)
class PriorityLevel:
    """The workload-high level of one API server."""

    seats: int
    least_seats: int  # what it keeps when others borrow
    most_seats: int  # with all that others lend
    all_seats: int
    hand_size: int
    queue_length: int
    most_write_seats: int
    watchers_per_seat: int
    seat_hold_ns: int
    most_list_seats: int
    list_objects_per_seat: int
    most_list_objects_seats: int
    list_bytes_per_seat: int
    list_bytes_most: int
    most_wait_ns: int
    period_ns: int  # between looks at what the levels ask for
    fading: float  # of demand, each such period

    @staticmethod
    def of(params: ApiServerParams, defaults: Defaults) -> PriorityLevel:
        """Return the level as the in-flight limits and the levels' shares make it."""

        def fact(name: str) -> int:
            return round(defaults.value(f"priority_and_fairness.{name}"))

        def limit(given: int | None, name: str) -> int:
            return round(defaults.value(f"api_server.{name}")) if given is None else given

        inflight = limit(params.max_requests_inflight, "max_requests_inflight")
        inflight += limit(params.max_mutating_requests_inflight, "max_mutating_requests_inflight")
        shares = fact("all_shares")
        nominal = [max(-(-inflight * share // shares), 1) for share, _ in LEVELS]
        lent = [math.floor(seats * percent / 100 + 0.5) for seats, (_, percent) in zip(nominal, LEVELS, strict=True)]
        seats = nominal[OURS]
        share = defaults.value("priority_and_fairness.most_share_of_level")
        most = max(1, min(math.ceil(share * seats), seats // fact("hand_size")))
        return PriorityLevel(
            seats=seats,
            least_seats=seats - lent[OURS],
            most_seats=seats + sum(lent) - lent[OURS],
            all_seats=sum(nominal),
            hand_size=fact("hand_size"),
            queue_length=fact("queue_length"),
            most_write_seats=min(fact("most_write_seats"), most),
            watchers_per_seat=fact("watchers_per_seat"),
            seat_hold_ns=to_ns(defaults.value("priority_and_fairness.seat_hold")),
            most_list_seats=most,
            list_objects_per_seat=fact("list_objects_per_seat"),
            most_list_objects_seats=fact("most_list_objects_seats"),
            list_bytes_per_seat=fact("list_bytes_per_seat"),
            list_bytes_most=fact("list_bytes_most"),
            most_wait_ns=to_ns(defaults.value("priority_and_fairness.queue_wait")),
            period_ns=to_ns(defaults.value("priority_and_fairness.borrowing_period")),
            fading=defaults.value("priority_and_fairness.demand_fading"),
        )

    def write_cost(self, watchers: int) -> WriteCost:
        """Seats of a write on an object that ``watchers`` clients of this server watch; few watchers are free."""
        if watchers < self.watchers_per_seat:
            return WriteCost(1, 0)
        wanted = -(-watchers // self.watchers_per_seat)
        seats = min(wanted, self.most_write_seats)
        return WriteCost(seats, wanted * self.seat_hold_ns // seats)

    def list_seats(self, size: int, objects: int | None = None) -> int:
        """Seats of a list of ``size`` bytes from the watch cache; up to 1.33, of so many ``objects``."""
        if objects is not None:
            by_count = -(-objects // self.list_objects_per_seat)
            return max(1, min(by_count, self.most_list_objects_seats, self.most_list_seats))
        wanted = -(-min(size, self.list_bytes_most) // self.list_bytes_per_seat)
        return max(1, min(wanted, self.most_list_seats))

    def limit_of(self, target: float) -> int:
        """Return the level's seats when it wants ``target`` and idle levels lend; all are scaled alike to fill up."""
        idle = self.all_seats - self.most_seats
        stretched = round(target * self.all_seats / (idle + target))
        return max(min(self.most_seats, stretched), self.most_write_seats)  # or no write ever fits


class RetryAfter:
    """A server's Retry-After grows with refusals: it doubles while many are told it, and loses a second when few are.

    Source: kubernetes/apiserver pkg/util/flowcontrol/dropped_requests_tracker.go.
    """

    MOST_S = 32

    def __init__(self) -> None:
        self._wait_s = 1
        self._doubled_s = 0
        self._dropped: deque[tuple[int, int]] = deque()  # second, how many in it; the last is this one

    def dropped(self, now_ns: int) -> int:
        """Count one that is told at ``now_ns``; how long it is to wait [ns]."""
        now_s = now_ns // 1_000_000_000
        if self._dropped and self._dropped[-1][0] >= now_s:
            second, count = self._dropped.pop()
            self._dropped.append((second, count + 1))
        else:
            self._look(now_s)
            self._dropped.append((now_s, 1))
        return self._wait_s * 1_000_000_000

    def _look(self, now_s: int) -> None:
        """Change what is told by how many there were in as many seconds before this one."""
        while self._dropped and now_s - self._dropped[0][0] > self.MOST_S:
            self._dropped.popleft()
        lately = sum(n for at_s, n in self._dropped if now_s - at_s <= self._wait_s)
        if now_s - self._doubled_s >= self._wait_s and lately >= 3 * self._wait_s:
            self._wait_s, self._doubled_s = min(2 * self._wait_s, self.MOST_S), now_s
        elif lately < self._wait_s:
            self._wait_s = max(self._wait_s - 1, 1)


class SeatPool:
    """Requests in order of arrival, each dispatched when all its seats are free.

    A request is admitted when it arrives; who comes later never overtakes, so no event is needed.
    """

    def __init__(self, level: PriorityLevel, *, borrows: bool) -> None:
        self._level, self._borrows = level, borrows
        self._limit = level.limit_of(level.least_seats) if borrows else level.seats
        self._free = self._limit
        self._taken: list[tuple[int, int]] = []  # (when given back, seats), a heap
        self._last_ns = 0  # nobody is dispatched before who came first
        self._asked: list[tuple[int, int, int]] = []  # arrival, given back, seats: in this period or later
        self._period_ns = 0  # when it began
        self._smoothed = 0.0
        self.retry_after = RetryAfter()
        self.waited_ns = 0
        self.rejected = 0

    def admit(self, arrives_ns: int, seats: int, runs_ns: int, hold_ns: int) -> int | None:
        """Return the dispatch [ns] of a request that runs for ``runs_ns`` and keeps its seats for ``hold_ns`` more.

        ``None`` if it would wait for too long: then it has left the queue, and nobody waited for it.
        """
        if self._borrows and arrives_ns - self._period_ns >= self._level.period_ns:
            self._look(arrives_ns)
        at_ns = max(arrives_ns, self._last_ns)
        while self._taken and self._taken[0][0] <= at_ns:
            self._free += heapq.heappop(self._taken)[1]
        free, given_back = self._free, []
        while free < seats:
            given_back.append(heapq.heappop(self._taken))
            at_ns, free = given_back[-1][0], free + given_back[-1][1]
        if at_ns - arrives_ns > self._level.most_wait_ns:
            for item in given_back:
                heapq.heappush(self._taken, item)
            self.rejected += 1
            return None
        self._free, self._last_ns = free - seats, at_ns
        self.waited_ns += at_ns - arrives_ns
        end_ns = at_ns + runs_ns + hold_ns
        heapq.heappush(self._taken, (end_ns, seats))
        if self._borrows:
            self._asked.append((arrives_ns, end_ns, seats))
        return at_ns

    def _look(self, now_ns: int) -> None:
        """Set the limit by what was asked for in each period that has ended: waiting and at work alike.

        Source: kubernetes/apiserver pkg/util/flowcontrol/apf_controller.go (updateBorrowing).
        """
        level = self._level
        while now_ns - self._period_ns >= level.period_ns:
            begin, end = self._period_ns, self._period_ns + level.period_ns
            most, envelope = _demand(self._asked, begin, end)
            self._smoothed = max(envelope, level.fading * self._smoothed + (1 - level.fading) * envelope)
            lower = max(level.least_seats, min(level.seats, most))
            limit = max(lower, level.limit_of(max(lower, self._smoothed)))
            self._free += limit - self._limit
            self._limit, self._period_ns = limit, end
            self._asked = [each for each in self._asked if each[1] > end]


def _demand(asked: Sequence[tuple[int, int, int]], begin: int, end: int) -> tuple[int, float]:
    """The most seats asked for at any one time, and the mean and a standard deviation together."""
    arrives, leaves, seats = np.array(asked, np.int64).reshape(-1, 3).T
    here = (arrives < end) & (leaves > begin)
    at = [np.array([begin, end]), np.maximum(arrives[here], begin), np.minimum(leaves[here], end)]
    times, which = np.unique(np.concatenate(at), return_inverse=True)
    steps = np.zeros(len(times), np.int64)
    np.add.at(steps, which, np.concatenate([[0, 0], seats[here], -seats[here]]))
    level = np.cumsum(steps)[:-1]
    share = np.diff(times) / (end - begin)
    mean = float((level * share).sum())
    return int(level.max()), mean + math.sqrt(max(float((level**2 * share).sum()) - mean**2, 0.0))


def writes_per_s(level: PriorityLevel, watchers: int, runs_s: float) -> float:
    """Return the writes a second that the level's nominal seats allow, each taking ``runs_s`` to its answer."""
    cost = level.write_cost(watchers)
    return (level.seats // cost.seats) / (runs_s + cost.hold_ns / 1e9)
