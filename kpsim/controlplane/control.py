"""The control plane of one run: changes go in, deliveries to every node come out."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import simpy

from kpsim.clock import Rank, at, call_at
from kpsim.cluster.changes import ChangeKind, Changes
from kpsim.cluster.columns import Cluster
from kpsim.controlplane.apiserver import ApiServer, fanout
from kpsim.controlplane.controller import ControllerSettings, EndpointSliceController
from kpsim.controlplane.deliveries import Delivery, Fanout
from kpsim.controlplane.params import ControllerManagerParams
from kpsim.controlplane.services import ServiceStates
from kpsim.profiles.defaults import Defaults
from kpsim.rng import stream
from kpsim.units import I64

__all__ = ["ControlPlane"]


class ControlPlane:
    """kubelets, the EndpointSlice controller and the API server, as SimPy processes on ``env``.

    Draws come from streams of its own, so the deliveries do not depend on who else lives on ``env``.
    """

    def __init__(
        self,
        env: simpy.Environment,
        cluster: Cluster,
        changes: Changes,
        params: ControllerManagerParams,
        defaults: Defaults,
        key: tuple[int, int],
        horizon_ns: int,
    ) -> None:
        seed, replication = key
        settings = ControllerSettings.of(params, defaults)
        self._env = env
        self._settings = settings
        self._horizon_ns = horizon_ns
        self._states = {4: ServiceStates(cluster, changes)}
        if cluster.services.dual_stack.any():  # EndpointSlices hold addresses of one family
            self._states[6] = ServiceStates(cluster.second_family(), changes)
        self._dual_stack: list[bool] = cluster.services.dual_stack.tolist()
        self.api = ApiServer(env, defaults, cluster.nodes, stream(seed, "api-writes", replication), horizon_ns)
        self.controller = EndpointSliceController(env, settings, self.api, self._states)
        self.fanout: Fanout = fanout(cluster.nodes, defaults, stream(seed, "watch-lags", replication))
        lags = _informer_lags(changes, defaults, stream(seed, "status-lags", replication))
        env.process(self._feed(changes, lags))

    def subscribe(self, subscriber: Callable[[Delivery], None]) -> None:
        """Call ``subscriber`` with each delivery when it is sent."""
        self.api.subscribers.append(subscriber)

    def _feed(self, changes: Changes, lags: I64) -> Generator[simpy.Event, Any, None]:
        seen = _in_order(changes, changes.at_ns + lags)
        for i in np.argsort(seen, kind="stable").tolist():
            time_ns = int(seen[i])
            if time_ns >= self._horizon_ns:
                return
            if time_ns > self._env.now:
                yield at(self._env, time_ns, Rank.CHANGE)
            kind, subject = ChangeKind(int(changes.kind[i])), int(changes.subject[i])
            if kind == ChangeKind.SERVICE_CREATED:
                self._create_service(subject, int(changes.at_ns[i]))
                continue
            dirty = [states.apply(kind, subject, int(changes.at_ns[i])) for states in self._states.values()]
            for service in dirty[0]:
                self.controller.add(service, self._settings.batch_ns)

    def _create_service(self, service: int, at_ns: int) -> None:
        """The Service object goes to every kube-proxy at once, and its slices follow when the controller gets to it."""
        for states in self._states.values():
            states.create(service, at_ns)
        self.api.commit(
            self._settings.service_bytes,
            watched=self._states[4].proxied(service),
            service=service,
            usable=(),
            endpoints=0,
            changed=0,
            trigger_ns=-1,
            effects_ns=(at_ns,),
            creates=True,
            families=(4, 6) if self._dual_stack[service] else (4,),
        )
        call_at(self._env, int(self._env.now) + self._settings.informer_ns, Rank.CHANGE, self.controller.add, service)


def _in_order(changes: Changes, seen_ns: I64) -> I64:
    """The informer sees one object's changes in the order in which they happened, whatever each took, (c,)."""
    latest: dict[tuple[bool, int], int] = {}
    ordered = seen_ns.tolist()
    for i, (kind, subject) in enumerate(zip(changes.kind.tolist(), changes.subject.tolist(), strict=True)):
        key = (kind == ChangeKind.SERVICE_CREATED, subject)
        ordered[i] = latest[key] = max(ordered[i], latest.get(key, 0))
    return np.array(ordered, np.int64)


def _informer_lags(changes: Changes, defaults: Defaults, rng: np.random.Generator) -> I64:
    """From a change on a node or in the API to the controller's informer [ns], (c,)."""
    n = len(changes)
    from_kubelet = np.isin(changes.kind, [ChangeKind.POD_APPEARED, ChangeKind.POD_READY])
    patch = defaults.lag("pod.status_patch").draw(rng, n)
    write = defaults.lag("api_server.write").draw(rng, n)
    watch = defaults.lag("api_server.watch").draw(rng, n)
    return np.where(from_kubelet, patch, write) + watch
