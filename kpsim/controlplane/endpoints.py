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
from dataclasses import dataclass

import numpy as np

from kpsim.cluster.columns import PodState
from kpsim.controlplane.api.sizes import ObjectSizes
from kpsim.controlplane.deliveries import DeliveryLog
from kpsim.controlplane.services import ServiceStates
from kpsim.profiles.defaults import Defaults, Lag
from kpsim.ratelimits import TokenBucket
from kpsim.units import to_ns

_READY, _TERMINATING = int(PodState.READY), int(PodState.TERMINATING)


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
        self._written: dict[int, dict[int, int]] = {}  # addresses in each object -> whether ready
        self._added = 0
        self._rng = rng
        self._lags: list[int] = []
        self._log = log
        self._horizon_ns = horizon_ns

    def add(self, service: int, at_ns: int) -> None:
        """Queue a Service for ``at_ns``; one that waits already is synced once."""
        if service in self._queued:
            return
        if service not in self._written and self._states.had_slices(service):
            self._written[service] = self._addresses(self._states.at_start(service))
        self._queued.add(service)
        self._added += 1
        heapq.heappush(self._queue, (max(at_ns, self._busy_until.get(service, 0)), self._added, service))

    def advance(self, until_ns: int) -> None:
        """Do all syncs that start before ``until_ns``, with the Pods as they are now."""
        while self._queue:
            start = max(self._queue[0][0], self._idle_from[0])
            if start >= until_ns:
                return
            _, _, service = heapq.heappop(self._queue)
            self._queued.discard(service)
            done = self._sync(service, start)
            self._busy_until[service] = done
            heapq.heapreplace(self._idle_from, done)

    def _sync(self, service: int, start_ns: int) -> int:
        """Write the object if it changed; when the worker is free again."""
        settings, endpoints = self._settings, self._states.endpoints(service)
        done = start_ns + settings.sync_ns + round(settings.sync_pod_ns * len(endpoints))
        addresses = {} if self._states.deleted(service) else self._addresses(endpoints)
        if addresses == self._written.get(service):
            return done
        self._written[service] = addresses
        size = self._sizes.endpoints_object(len(addresses))
        if not self._lags:
            self._lags = settings.write.draw(self._rng, 1024).tolist()[::-1]
        done += self._bucket.take(done) + self._lags.pop() + round(settings.write_byte_ns * size)
        if done < self._horizon_ns:
            self._log.endpoints_ns.append(done)
            self._log.endpoints_bytes += size
        return done

    def _addresses(self, endpoints: dict[int, int]) -> dict[int, int]:
        """Address -> whether it is ready; without terminating Pods, and no more than fit."""
        kept = {pod: bits & _READY for pod, bits in endpoints.items() if not bits & _TERMINATING or bits & _READY}
        most = self._settings.most_addresses
        if len(kept) <= most:
            return kept
        return dict(sorted(kept.items(), key=lambda item: -item[1])[:most])
