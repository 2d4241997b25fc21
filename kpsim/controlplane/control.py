"""The control plane of one run: changes go in, deliveries to every node come out.

An API server may be restarted: what kube-proxies and the controllers see from then on waits for their watches; and
kube-controller-manager: the next one looks at every Service anew.  Left out: what its other controllers write, that its
own informers list more than a kube-proxy's, and that Service objects are written while nobody leads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from kpsim.clock import Clock, Rank, Steps
from kpsim.cluster.changes import OF_SERVICES, ChangeKind, Changes
from kpsim.cluster.columns import Cluster
from kpsim.controlplane.api.joins import Join, cold_starts, start_up_s
from kpsim.controlplane.api.watches import Reconnection, Relist
from kpsim.controlplane.apiserver import ApiServer, fanout
from kpsim.controlplane.controller import EndpointSliceController
from kpsim.controlplane.deliveries import Delivery, Fanout, Notice, WatchOutage
from kpsim.controlplane.endpoints import EndpointsController, EndpointsSettings
from kpsim.controlplane.params import ApiServerParams, ControllerManagerParams, ControllerSettings
from kpsim.controlplane.services import Commit, ServiceStates
from kpsim.controlplane.statuses import informer_lags
from kpsim.profiles.defaults import Defaults
from kpsim.rng import stream
from kpsim.units import I64, to_ns

DEFAULT = ApiServerParams()
LISTS_BY_SIZE_SINCE = (1, 34)


class ControlPlane:
    """kubelets, the EndpointSlice controller and the API server, as processes on ``clock``.

    Draws come from streams of its own, so the deliveries do not depend on other processes on ``clock``.

    >>> import kpsim
    >>> from kpsim.clock import EventQueue
    >>> from kpsim.profiles.defaults import load_defaults
    >>> from kpsim.simulation import build_cluster, prepare
    >>> scenario = kpsim.load("scenarios/hello.yaml").model
    >>> drawn = prepare(scenario, build_cluster(scenario)[0], 0)
    >>> clock = EventQueue()
    >>> given = drawn.cluster, drawn.changes, ControllerManagerParams(), load_defaults(), (1, 0), drawn.horizon_ns
    >>> plane = ControlPlane(clock, *given)
    >>> sent: list[Delivery] = []
    >>> plane.subscribe(sent.append)
    >>> clock.run(drawn.horizon_ns)
    >>> len(sent) == plane.api.log.writes, sent[0].service, sent[0].usable
    (True, 2, (5,))
    """

    def __init__(
        self,
        clock: Clock,
        cluster: Cluster,
        changes: Changes,
        params: ControllerManagerParams,
        defaults: Defaults,
        key: tuple[int, int],
        horizon_ns: int,
        api: ApiServerParams = DEFAULT,
        lags: I64 | None = None,
        version: tuple[int, int] = LISTS_BY_SIZE_SINCE,
    ) -> None:
        seed, replication = key
        settings = ControllerSettings.of(params, defaults)
        self._clock = clock
        self._cluster, self._defaults, self._key = cluster, defaults, key
        self._settings, self._version = settings, version
        self._horizon_ns = horizon_ns
        self._states = {4: ServiceStates(cluster, changes)}
        if cluster.services.dual_stack.any():  # EndpointSlices hold addresses of one family
            self._states[6] = ServiceStates(cluster.second_family(), changes)
        self._dual_stack: list[bool] = cluster.services.dual_stack.tolist()
        self.api = ApiServer(clock, defaults, cluster.nodes, stream(seed, "api-writes", replication), horizon_ns, api)
        self.controller = EndpointSliceController(clock, settings, self.api, self._states)
        self.endpoints: EndpointsController | None = None
        if params.endpoints_controller:
            older = EndpointsSettings.of(settings.qps, settings.burst, defaults)
            rng = stream(seed, "endpoints-writes", replication)
            self.endpoints = EndpointsController(older, self.api.sizes, self._states[4], self.api.log, horizon_ns, rng)
        self.fanout: Fanout
        self.fanout, self._server = fanout(
            cluster.nodes, defaults, stream(seed, "watch-lags", replication), api.replicas
        )
        self._cut_until_ns = 0  # kube-controller-manager's own watches
        self._leaders = 0
        self.joins = self._join(changes) if changes.joins else ()
        if lags is None:
            lags = informer_lags(cluster, changes, defaults, stream(seed, "status-lags", replication))
        clock.start(self._feed(changes, lags), then=Rank.CHANGE)

    def subscribe(self, subscriber: Callable[[Delivery], None]) -> None:
        """Call ``subscriber`` with each delivery when it is sent."""
        self.api.subscribers.append(subscriber)

    def _join(self, changes: Changes) -> tuple[Join, ...]:
        """Return how nodes that join begin; whatever is sent before one has its lists comes with them."""
        endpoints, rng = self._listed_endpoints(), stream(self._key[0], "joins", self._key[1])
        start_up_ns = to_ns(start_up_s(len(endpoints), int(endpoints.sum()), self._defaults))
        joins = cold_starts(changes.joins, self._reconnection(), start_up_ns, rng)
        back_ns = np.zeros(self._cluster.nodes, np.int64)
        back_ns[[join.node for join in joins]] = [join.listed_ns for join in joins]
        self.fanout = replace(self.fanout, outages=(*self.fanout.outages, WatchOutage(0, back_ns)))
        return joins

    def restart(self, at_ns: int, server: int = 0) -> None:
        """Restart one of the API servers at ``at_ns``, which is now or later; 0 is kube-controller-manager's own."""
        self._clock.call_at(at_ns, Rank.CHANGE, self._restart, server)

    def _restart(self, server: int) -> None:
        """Break the watches of one API server, and find out when each of its clients is back."""
        now, outages = self._clock.now, self.fanout.outages
        again = self._reconnection()
        elsewhere = self.api.replicas > 1
        from_ns = self.api.stop(now + again.restart_ns)
        rng = stream(self._key[0], "reconnects", self._key[1], len(outages))
        lost = np.flatnonzero(self._server == server)
        back_ns = np.zeros(self._cluster.nodes, np.int64)
        back_ns[lost] = again.back_ns(len(lost), now, rng, elsewhere=elsewhere)
        self.fanout = replace(self.fanout, outages=(*outages, WatchOutage(from_ns, back_ns)))
        if server == 0:
            self._cut_until_ns = int(again.back_ns(1, now, rng, elsewhere=elsewhere)[0])
        if elsewhere:  # nothing calls clients back once they are with the others
            other = np.arange(len(lost)) % (self.api.replicas - 1)
            self._server[lost] = (server + 1 + other) % self.api.replicas

    def restart_controllers(self, at_ns: int, away_s: float) -> None:
        """End kube-controller-manager at ``at_ns``; another process leads after about ``away_s``."""
        self._clock.call_at(at_ns, Rank.CHANGE, self._lose_controllers, to_ns(away_s))

    def _lose_controllers(self, away_ns: int) -> None:
        """Let the controllers go; the next ones lead, and list, once they have seen the lease run out."""
        seed, replication = self._key
        self._leaders += 1
        rng = stream(seed, "leaders", replication, self._leaders)
        renewed, looked = rng.random(2)
        retry_ns = to_ns(self._defaults.value("controller_manager.lease_retry"))
        leads_ns = self._clock.now + max(away_ns + round(retry_ns * (looked - renewed)), 0)
        listed_ns = int(self._reconnection().served_ns([leads_ns], rng)[0])
        self._cut_until_ns = max(self._cut_until_ns, listed_ns)
        self.controller.stop()
        self._clock.call_at(listed_ns, Rank.CHANGE, self._lead, self._leaders)

    def _lead(self, leader: int) -> None:
        """Look at every Service anew, as a process does that has just listed them, unless it is gone again."""
        if leader != self._leaders:
            return
        for states in self._states.values():
            states.begin_anew()
        self.controller.begin(self._states[4].known())

    def _reconnection(self) -> Reconnection:
        """Return what clients that list have to wait for; churn leaves their lists about as long as at time zero."""
        endpoints, most = self._listed_endpoints(), self._settings.endpoints_per_slice
        slices = int(np.maximum(-(-endpoints // most), 1).sum())
        counted = None if self._version >= LISTS_BY_SIZE_SINCE else slices
        relist = Relist.of(self.api.sizes.listing(endpoints, most), self.api.byte_ns, self._defaults, counted)
        return Reconnection.of(self.api.level, relist, self._defaults)

    def _listed_endpoints(self) -> I64:
        """Return the endpoints of each Service that kube-proxies list, (n,)."""
        initial = self._cluster.initial
        return np.diff(self._cluster.endpoint_offset)[:initial][self._cluster.services.proxied[:initial]]

    def _feed(self, changes: Changes, lags: I64) -> Steps:
        clock, endpoints, horizon_ns, batch_ns = self._clock, self.endpoints, self._horizon_ns, self._settings.batch_ns
        states, others = self._states[4], [states for family, states in self._states.items() if family != 4]
        of_services = frozenset(map(int, OF_SERVICES))
        seen = _in_order(changes, changes.at_ns + lags)
        order = np.argsort(seen, kind="stable")
        columns = (seen[order], changes.kind[order], changes.subject[order], changes.at_ns[order])
        for seen_ns, kind, subject, at_ns in zip(*(column.tolist() for column in columns), strict=True):
            time_ns = max(seen_ns, self._cut_until_ns)
            while clock.now < time_ns < horizon_ns:
                yield time_ns - clock.now
                time_ns = max(time_ns, self._cut_until_ns)  # the watch may have broken meanwhile
            if time_ns >= horizon_ns:
                break
            if endpoints and endpoints.next_ns < time_ns:
                endpoints.advance(time_ns)
            if kind in of_services:
                self._write_service(ChangeKind(kind), subject, at_ns)
                continue
            for other in others:
                other.apply(kind, subject, at_ns)
            for service in states.apply(kind, subject, at_ns):
                self.controller.add(service, batch_ns)
                if endpoints:
                    endpoints.add(service, time_ns)
        if endpoints:
            endpoints.advance(horizon_ns)

    def _write_service(self, kind: ChangeKind, service: int, at_ns: int) -> None:
        """Write a Service object, which goes to every kube-proxy at once; its slices follow when controllers see it."""
        states = self._states[4]
        if states.of(service).deleted:
            return
        for each in self._states.values():
            if kind == ChangeKind.SERVICE_CREATED:
                each.create(service, at_ns)
            if kind == ChangeKind.SERVICE_DELETED:
                each.delete(service)
        known = kind in (ChangeKind.SERVICE_CHANGED, ChangeKind.TARGET_CHANGED)
        held = states.of(service).as_committed() if known else Commit((), (), 0, 0, ())
        notice = Notice(
            service=service,
            usable=held.usable,
            leaving=held.leaving,
            endpoints=held.endpoints,
            changed=0,
            trigger_ns=-1,
            effects_ns=(at_ns,),
            creates=True,
            gone=kind == ChangeKind.SERVICE_DELETED,
            families=(4, 6) if self._dual_stack[service] else (4,),
            stages=(at_ns, at_ns, at_ns, at_ns, at_ns, self._clock.now),
        )
        self.api.commit(self.api.sizes.service_bytes, states.proxied(service), notice)
        seen_ns = self._clock.now + self._settings.informer_ns
        then = {ChangeKind.SERVICE_DELETED: self.controller.collect, ChangeKind.TARGET_CHANGED: self.controller.renew}
        self._clock.call_at(seen_ns, Rank.CHANGE, then.get(kind, self.controller.add), service)
        if self.endpoints:
            self.endpoints.add(service, seen_ns)


def _in_order(changes: Changes, seen_ns: I64) -> I64:
    """Return the times with each object's changes in the order in which they happened, as informers see them, (c,)."""
    key = 2 * changes.subject + np.isin(changes.kind, OF_SERVICES)
    by_object = np.argsort(key, kind="stable")
    of, at = key[by_object], seen_ns[by_object]
    late = np.unique(of[1:][(of[1:] == of[:-1]) & (at[1:] < at[:-1])])  # few are overtaken
    ordered = seen_ns.copy()
    for first, last in zip(np.searchsorted(of, late), np.searchsorted(of, late, side="right"), strict=True):
        ordered[by_object[first:last]] = np.maximum.accumulate(at[first:last])
    return ordered
