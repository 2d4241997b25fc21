"""The older Endpoints controller: the same changes written once more, in objects that kube-proxies do not watch.

It has its own workers, work queue and token bucket, leaves terminating Pods out altogether, and keeps at most a
thousand addresses in the one object of a Service, the ready ones first.  Nobody in the model waits for it, so it is not
a process: it is brought up to date before anything it looks at changes, and only counts what it writes.

Structure from kubernetes/kubernetes pkg/controller/endpoint/endpoints_controller.go.  Left out: its back-off, that it
shares the API server's seats with the slices' writes (one seat for a few milliseconds a write), and the controller that
mirrors Endpoints of Services without a selector.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np

from kpsim.cluster.changes import NEVER
from kpsim.cluster.columns import PodState
from kpsim.controlplane.api.sizes import ObjectSizes
from kpsim.controlplane.deliveries import DeliveryLog
from kpsim.controlplane.services import ServiceState, ServiceStates
from kpsim.profiles.defaults import Defaults, Lag
from kpsim.ratelimits import TokenBucket
from kpsim.units import to_ns

_READY, _TERMINATING = int(PodState.READY), int(PodState.TERMINATING)
_ADDRESS: dict[int | None, int | None] = {None: None}  # bits of an endpoint -> whether its address is a ready one
_ADDRESS |= {bits: None if bits & _TERMINATING and not bits & _READY else bits & _READY for bits in range(8)}


@dataclass(frozen=True, slots=True)
class EndpointsSettings:
    """Its flags and limits, times in ns."""

    qps: float
    burst: int
    workers: int
    most_addresses: int
    sync_ns: int
    sync_pod_ns: float
    write: Lag
    write_byte_ns: float

    @staticmethod
    def of(qps: float, burst: int, defaults: Defaults) -> EndpointsSettings:
        """kube-controller-manager's client flags over Kubernetes' defaults."""
        return EndpointsSettings(
            qps=qps,
            burst=burst,
            workers=round(defaults.value("endpoints_controller.concurrent_endpoint_syncs")),
            most_addresses=round(defaults.value("endpoints_controller.most_addresses")),
            sync_ns=to_ns(defaults.value("endpointslice.sync")),
            sync_pod_ns=defaults.value("endpoints_controller.sync_pod") * 1e9,
            write=defaults.lag("api_server.write"),
            write_byte_ns=defaults.value("api_server.write_byte") * 1e9,
        )


@dataclass(slots=True)
class _Object:
    """An Endpoints object: how many addresses there are, and those in it if they are not all."""

    addresses: int
    cut: dict[int, int] | None = None

    @property
    def held(self) -> int:
        """Return the addresses in it."""
        return self.addresses if self.cut is None else len(self.cut)


class EndpointsController:
    """Counts the writes of Endpoints objects in ``log``."""

    def __init__(
        self,
        settings: EndpointsSettings,
        sizes: ObjectSizes,
        states: ServiceStates,
        log: DeliveryLog,
        horizon_ns: int,
        rng: np.random.Generator,
    ) -> None:
        self._settings = settings
        self._sizes = sizes
        self._states = states
        self._bucket = TokenBucket(settings.qps, settings.burst)
        self._idle_from = [0] * settings.workers  # a heap
        self._queue: list[tuple[int, int, int]] = []  # (ready at, in this order, Service), a heap
        self._queued: set[int] = set()
        self._busy_until: dict[int, int] = {}
        self._objects: dict[int, _Object] = {}  # as they are written, of Services that have one
        self._added = 0
        self.next_ns = NEVER  # when the next sync starts, if nothing is added
        self._rng = rng
        self._lags: list[int] = []
        self._log = log
        self._horizon_ns = horizon_ns

    def add(self, service: int, at_ns: int) -> None:
        """Queue a Service for ``at_ns``; one that waits already is synced once."""
        if service in self._queued:
            return
        if service not in self._objects and self._states.had_slices(service):  # nothing has been committed since
            self._objects[service] = self._made(self._states.of(service).committed)
        self._queued.add(service)
        self._added += 1
        ready_ns = max(at_ns, self._busy_until.get(service, 0))
        heapq.heappush(self._queue, (ready_ns, self._added, service))
        if ready_ns < self.next_ns:
            self.next_ns = max(ready_ns, self._idle_from[0])

    def advance(self, until_ns: int) -> None:
        """Do all syncs that start before ``until_ns``, with the Pods as they are now."""
        queue, idle_from = self._queue, self._idle_from
        while queue:
            self.next_ns = start = max(queue[0][0], idle_from[0])
            if start >= until_ns:
                return
            service = heapq.heappop(queue)[2]
            self._queued.discard(service)
            self._busy_until[service] = done = self._sync(service, start)
            heapq.heapreplace(idle_from, done)
        self.next_ns = NEVER

    def _sync(self, service: int, start_ns: int) -> int:
        """Write the object if it changed; when the worker is free again."""
        settings, state = self._settings, self._states.of(service)
        done = start_ns + settings.sync_ns + round(settings.sync_pod_ns * len(state.wanted))
        addresses = self._rewrite(state) if state.before or state.deleted or service not in self._objects else None
        if addresses is None:
            return done
        size = self._sizes.endpoints_object(addresses)
        if not self._lags:
            self._lags = settings.write.draw(self._rng, 1024).tolist()[::-1]
        done += self._bucket.take(done) + self._lags.pop() + round(settings.write_byte_ns * size)
        if done < self._horizon_ns:
            self._log.endpoints_ns.append(done)
            self._log.endpoints_bytes += size
        return done

    def _rewrite(self, state: ServiceState) -> int | None:
        """Bring the object to what the informer sees; the addresses in it, ``None`` if it is as it was."""
        known, wanted, before = self._objects.get(state.service), state.wanted, state.take_before()
        if state.deleted:
            self._objects[state.service] = _Object(0)
            return 0 if known is None or known.held else None
        if known is None:
            known = self._objects[state.service] = self._made(wanted)
            return known.held
        total, same = known.addresses, True
        for pod, bits in before.items():
            old, new = _ADDRESS[bits], _ADDRESS[wanted.get(pod)]
            if old != new:
                total, same = total + (new is not None) - (old is not None), False
        if known.cut is None and (same or total <= self._settings.most_addresses):
            known.addresses = total
            return None if same else total
        held = known.cut
        if held is None:
            then = {pod: before.get(pod, bits) for pod, bits in {**wanted, **dict.fromkeys(before)}.items()}
            held = {pod: address for pod, bits in then.items() if (address := _ADDRESS[bits]) is not None}
        new_held = self._cut(wanted)
        known.addresses, known.cut = total, new_held if total > self._settings.most_addresses else None
        return None if new_held == held else len(new_held)

    def _made(self, wanted: Mapping[int, int]) -> _Object:
        """The object as it is made of a Service's endpoints."""
        addresses = sum(_ADDRESS[bits] is not None for bits in wanted.values())
        return _Object(addresses, self._cut(wanted) if addresses > self._settings.most_addresses else None)

    def _cut(self, wanted: Mapping[int, int]) -> dict[int, int]:
        """Address -> whether it is ready: no more than fit, the ready ones first."""
        most = self._settings.most_addresses
        first = islice((pod for pod, bits in wanted.items() if bits & _READY), most)
        held = dict.fromkeys(first, _READY)
        others = (pod for pod, bits in wanted.items() if _ADDRESS[bits] == 0)
        return held | dict.fromkeys(islice(others, most - len(held)), 0)
