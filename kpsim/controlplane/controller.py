"""The EndpointSlice controller: a work queue that holds a Service once, five workers, one token bucket.

Structure from kubernetes/kubernetes pkg/controller/endpointslice/endpointslice_controller.go and client-go's
workqueue: adding a queued key does nothing; a key in work is queued again when its worker is done; a delayed key keeps
its earliest deadline.  Writes of one sync are sent one after another, each through the controller's own client-side
token bucket, and wait in the API server until their seats are free.  A sync that comes before the informer saw the
controller's own last write fails; a key waits twice as long after each failure, and is dropped after fifteen.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Mapping, Sequence

from kpsim.clock import Clock, Rank, Steps
from kpsim.cluster.changes import NEVER
from kpsim.controlplane.apiserver import ApiServer
from kpsim.controlplane.deliveries import Notice
from kpsim.controlplane.params import ControllerSettings
from kpsim.controlplane.services import READY, ServiceState, ServiceStates
from kpsim.controlplane.slices import Slice, pack, reconcile
from kpsim.ratelimits import RetryLimiter, TokenBucket


class EndpointSliceController:
    """Turns dirty Services into EndpointSlice writes."""

    def __init__(
        self, clock: Clock, settings: ControllerSettings, api: ApiServer, states: Mapping[int, ServiceStates]
    ) -> None:
        self._clock = clock
        self._settings = settings
        self._api = api
        self._states = states
        self._bucket = TokenBucket(settings.qps, settings.burst)
        bucket = TokenBucket(settings.retry_qps, settings.retry_burst)
        steps = (settings.stale_retry_ns, settings.stale_retry_most_ns)
        self._retries = RetryLimiter(*steps, bucket, settings.most_retries)
        self._queued: deque[int] = deque()
        self._dirty: set[int] = set()
        self._working: set[int] = set()
        self._delayed: dict[int, int] = {}  # Service -> when it is to be queued
        self._since: dict[int, int] = {}  # Service -> when the informer saw the first change of what waits
        self._seen_ns: dict[int, int] = {}  # when the informer will have seen our last write for a Service
        self._workers = [self._work(number) for number in range(settings.workers)]
        self._idle = deque(range(settings.workers))
        self._foreign_ns = max(settings.foreign_change_ns, settings.batch_ns)
        self._renewed: set[int] = set()  # Services whose slices all have to be written
        self.stale_retries = 0
        self._stopped = False

    def stop(self) -> None:
        """Forget what waits, and take no more; the few syncs that are under way end."""
        self._stopped = True
        for waiting in (self._queued, self._dirty, self._delayed, self._since, self._seen_ns):
            waiting.clear()

    def begin(self, services: Iterable[int]) -> None:
        """Begin as a new process, which queues every Service there is."""
        self._stopped = False
        self._bucket = TokenBucket(self._settings.qps, self._settings.burst)
        for service in services:
            self._retries.forget(service)
            self.add(service)

    def dismiss(self) -> None:
        """Let the workers go, for good: each holds the controller that holds it."""
        self._workers.clear()

    def add(self, service: int, delay_ns: int = 0) -> None:
        """Queue a Service that changed, now or after ``delay_ns``; a second add of a waiting key does nothing."""
        if self._stopped:
            return
        if service not in self._since:
            self._since[service] = self._clock.now
        if delay_ns:
            self._add_later(service, delay_ns)
        elif service not in self._dirty:
            self._add(service)

    def _add(self, service: int) -> None:
        """Queue a Service that does not wait yet."""
        self._dirty.add(service)
        if service not in self._working:
            self._queued.append(service)
            if self._idle:
                self._clock.start(self._workers[self._idle.popleft()], Rank.WAIT)

    def _add_later(self, service: int, delay_ns: int) -> None:
        if self._stopped:
            return
        deadline = self._clock.now + delay_ns
        if deadline < self._delayed.get(service, NEVER):
            self._delayed[service] = deadline
            self._clock.call_at(deadline, Rank.WAIT, self._due, service)

    def _due(self, service: int) -> None:
        if self._delayed.get(service) == self._clock.now:  # else an earlier one came in between
            del self._delayed[service]
            if service not in self._dirty:
                self._add(service)

    def changed_by_others(self, service: int) -> None:
        """Queue a Service whose slices another client changed: after a second, or the batch period if longer."""
        self._add_later(service, self._foreign_ns)

    def renew(self, service: int) -> None:
        """Queue a Service whose slices need other ports."""
        self._renewed.add(service)
        self.add(service)

    def collect(self, service: int) -> None:
        """Delete the slices of a Service that is gone, all at once, as the garbage collector's workers do."""
        for family, states in self._states.items():
            if family == 4 or states.proxied(service):
                for piece in self._slices(states, states.of(service)) or ():
                    self._clock.start(self._collect(service, family, piece))

    def _collect(self, service: int, family: int, piece: Slice) -> Steps:
        states, now = self._states[family], self._clock.now
        size = self._api.sizes.endpoint_slice(len(piece.endpoints), hinted=states.hinted(service))
        stages = yield from self._request((now, now), size, throttled=False)
        done = states.of(service).commit(dict.fromkeys([*piece.endpoints, *piece.unsent]))
        notice = Notice(
            service, (), 0, done.changed, -1, (), creates=False, families=(family,), gone=True, stages=stages
        )
        self._api.commit(size, states.proxied(service), notice)

    def _work(self, number: int) -> Steps:
        """One worker."""
        clock, states, sync_ns = self._clock, self._states[4], self._settings.sync_ns
        others = [(family, states) for family, states in self._states.items() if family != 4]
        queued, dirty, working, since, seen_ns = self._queued, self._dirty, self._working, self._since, self._seen_ns
        while True:
            while not queued:
                self._idle.append(number)
                yield None
            service = queued.popleft()
            dirty.discard(service)
            working.add(service)
            taken_ns = clock.now
            since_ns = since.pop(service, taken_ns)
            yield sync_ns
            state = states.of(service)
            if not state.deleted:
                if clock.now < seen_ns.get(service, 0):
                    since[service] = min(since_ns, since.get(service, since_ns))
                    self._retry(service)
                else:
                    begun, trigger_ns = (since_ns, taken_ns), state.take_trigger()
                    yield from self._sync(4, state, trigger_ns, begun)
                    for family, other in others:
                        if other.proxied(service):
                            yield from self._sync(family, other.of(service), trigger_ns, begun)
                    self._renewed.discard(service)
                    self._retries.forget(service)
            working.discard(service)
            if service in dirty:
                self._add(service)

    def _retry(self, service: int) -> None:
        """Queue a Service again whose sync failed, unless it has failed too often."""
        if self._api.over:
            return
        self.stale_retries += 1
        wait_ns = self._retries.failed(service, self._clock.now)
        if wait_ns is not None:
            self._add_later(service, wait_ns)

    def _sync(self, family: int, state: ServiceState, trigger_ns: int, begun: tuple[int, int]) -> Steps:
        """The slices of one address type: creations, updates, deletions, one after another."""
        wanted, slices = state.wanted, state.slices
        if slices is None:
            slices = self._slices(self._states[family], state)
        if slices is None:
            wanted = dict(wanted)  # as they were listed
        news = state.take_news() if state.news else {}
        yield round(self._settings.sync_pod_ns * len(wanted))
        if slices is None:
            slices = state.slices = pack(wanted, self._settings.endpoints_per_slice)
            for piece in slices:
                piece.unsent = dict(piece.endpoints)
            writes: Sequence[Slice] = tuple(slices)
        elif news or state.service in self._renewed:
            writes = self._outdated(state.service, slices, news)
        else:
            return
        for piece in writes:
            if not (yield from self._write(family, state, piece, trigger_ns, begun)):
                return

    def _outdated(self, service: int, slices: list[Slice], news: dict[int, int | None]) -> Sequence[Slice]:
        """Return the slices that have to be written, in order."""
        done = reconcile(slices, news, self._settings.endpoints_per_slice)
        writes = (*done.created, *done.updated)
        if service in self._renewed:
            moved = set(map(id, writes))
            writes += tuple(piece for piece in slices if id(piece) not in moved)
        return writes + done.deleted

    def _slices(self, states: ServiceStates, state: ServiceState) -> list[Slice] | None:
        """Return the slices of a Service, those of time zero as they must have been packed; ``None``: none yet."""
        if state.slices is None and states.had_slices(state.service):  # nothing has been committed since
            state.slices = pack(state.committed, self._settings.endpoints_per_slice)
        return state.slices

    def _write(
        self, family: int, state: ServiceState, piece: Slice, trigger_ns: int, begun: tuple[int, int]
    ) -> Generator[int, None, bool]:
        """Write a slice and wait for the answer, whose event may come to the informer before or after that.

        An event that comes first is of a generation that the tracker does not know yet, so it counts as somebody
        else's change.  Returns False if the Service is gone when its turn comes.  Source:
        endpointslice/util/endpointslice_tracker.go (ShouldSync, StaleSlices).
        """
        service, api = state.service, self._api
        size = api.sizes.endpoint_slice(len(piece.endpoints), hinted=self._states[family].hinted(service))
        stages = yield from self._request(begun, size)
        if state.deleted:
            return False
        self._commit(family, state, piece, size, trigger_ns, stages)
        event_ns, answer_ns = api.heard_ns(), api.answer_ns()
        self._seen_ns[service] = max(self._seen_ns.get(service, 0), self._clock.now + event_ns)
        if event_ns < answer_ns:
            yield event_ns
            self.changed_by_others(service)
            answer_ns -= event_ns
        yield answer_ns
        return True

    def _request(
        self, begun: tuple[int, int], size: int, *, throttled: bool = True
    ) -> Generator[int, None, tuple[int, ...]]:
        """Wait for a token (if ``throttled``), for seats and for the commit; when each stage of the write ended."""
        clock, api = self._clock, self._api
        asked = clock.now
        runs = api.write_lag_ns(size)
        while True:
            wait_ns = self._bucket.take(clock.now) if throttled else 0
            if wait_ns:
                yield wait_ns
            granted = clock.now
            start = api.admit(granted, runs)
            if start is None:  # 429: come again
                yield api.told_again_ns()
                continue
            yield start + runs - granted
            if not api.lost(start):
                return (*begun, asked, granted, start, start + runs)

    def _commit(
        self, family: int, state: ServiceState, piece: Slice, size: int, trigger_ns: int, stages: tuple[int, ...]
    ) -> None:
        service = state.service
        usable, leaving, endpoints, changed, effects_ns = state.commit(piece.unsent)
        piece.unsent = {}
        if service in self._renewed:
            changed += 2 * sum(bits & READY for bits in piece.endpoints.values())
        told = (service, usable, endpoints, changed, trigger_ns, effects_ns)  # by place: it is made for every write
        notice = Notice(*told, False, (family,), leaving, False, stages)
        self._api.commit(size, self._states[family].proxied(service), notice)
