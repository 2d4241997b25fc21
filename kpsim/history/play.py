"""A run's churn and the scenario's events are played together, before any engine starts.

Pods that events have to do with are left out of the random churn, so that the two never meet.  A Pod belongs to the
workload of the first event that names one of its Services, else of the first Service that selects it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from kpsim.clock import EventQueue, after
from kpsim.cluster.changes import NEVER, Changes, Spells
from kpsim.cluster.columns import Cluster, PodState, freeze
from kpsim.cluster.params import ChurnParams
from kpsim.errors import InputError
from kpsim.history.churn import Churn, PodLags, draw_changes
from kpsim.history.client import Client
from kpsim.history.events import Event
from kpsim.history.nodes import Nodes, NodeTimings
from kpsim.history.pods import Pod, PodBook, PodTimings, termination_ns
from kpsim.history.scene import Scene
from kpsim.history.traces import Course, EventTrace
from kpsim.history.workloads import Deployment, StatefulSet, Workload
from kpsim.profiles.defaults import Defaults, Lag
from kpsim.ratelimits import TokenBucket
from kpsim.rng import stream
from kpsim.units import I64, Version, to_ns


@dataclass(frozen=True, slots=True)
class HistorySettings:
    """Timings of kubelets and controllers in one Kubernetes version, and their clients' token buckets."""

    pods: PodTimings
    nodes: NodeTimings
    write: Lag
    watch: Lag
    status_patch: Lag
    qps: float
    burst: int

    @staticmethod
    def of(
        defaults: Defaults, churn: ChurnParams, version: Version, qps: float | None, burst: int | None
    ) -> HistorySettings:
        """Kubernetes' defaults under what the scenario says."""
        shutdown = churn.pod_shutdown_s
        lags = PodLags(
            shutdown=defaults.lag("pod.shutdown") if shutdown is None else Lag(shutdown),
            address=defaults.lag("pod.address"),
            ready=defaults.lag("pod.ready"),
        )
        return HistorySettings(
            pods=PodTimings.of(defaults, lags, churn.pre_stop_s or 0.0, version),
            nodes=NodeTimings.of(defaults, version),
            write=defaults.lag("api_server.write"),
            watch=defaults.lag("api_server.watch"),
            status_patch=defaults.lag("pod.status_patch"),
            qps=defaults.value("controller_manager.kube_api_qps") if qps is None else qps,
            burst=int(defaults.value("controller_manager.kube_api_burst") if burst is None else burst),
        )


def draw_history(
    cluster: Cluster,
    churn: ChurnParams,
    events: Sequence[Event],
    settings: HistorySettings,
    duration_s: float,
    key: tuple[int, int],
) -> tuple[Changes, tuple[EventTrace, ...]]:
    """All changes of one replication; ``key`` is the seed and the replication.

    Raises
    ------
    InputError
        if an event is about a Service without Pods, or a node that is not there.
    """
    seed, number = key
    pods = settings.pods

    def ends_ns(shutdown_ns: I64) -> I64:
        grace = (pods.grace_ns, pods.least_grace_ns)
        return np.array([termination_ns(pods.pre_stop_ns, ns, *grace) for ns in shutdown_ns.tolist()], np.int64)

    nodes_rng = stream(seed, "event-nodes", number)
    chosen = [event.nodes_of(cluster, nodes_rng) for event in events]
    joins = _joins(events, chosen)
    if joins:
        cluster = replace(cluster, pod_home=_kept_away(cluster.homes(cluster.pods), joins, cluster.nodes))
    spared = _touched(cluster, events, chosen) if events else None
    leaves = pods.status_patch if pods.exits else pods.removal
    drawn = Churn(churn.pod_replacements_per_s, ends_ns, spared, pods.exits, leaves)
    changes = draw_changes(cluster, drawn, pods.lags, duration_s, stream(seed, "changes", number))
    if not events:
        return changes, ()
    played = _Play(cluster, changes, events, chosen, settings, stream(seed, "events", number))
    played.await_joins(joins)
    changes, traces = played.run(to_ns(duration_s))
    return replace(changes, joins=joins), traces


def _joins(events: Sequence[Event], chosen: Sequence[Sequence[int]]) -> dict[int, int]:
    """Return when each node that joins does so [ns]; a node that two events name joins with the first."""
    joins: dict[int, int] = {}
    for event, nodes in zip(events, chosen, strict=True):
        for node in nodes if event.joins else ():
            joins[node] = min(to_ns(event.at_s), joins.get(node, NEVER))
    return joins


def _kept_away(home: I64, nodes: Collection[int], count: int, first: int = 0) -> I64:
    """Return the homes of Pods, from the ``first`` on dealt to others of the ``count`` nodes, if there are any."""
    left = np.array([node for node in range(count) if node not in nodes], np.int64)
    moved = first + np.flatnonzero(np.isin(home[first:], list(nodes)) & (len(left) > 0))
    home = home.copy()
    home[moved] = left[moved % max(len(left), 1)]
    return home


def _service(cluster: Cluster, event: Event) -> int:
    """The row of the Service whose Pods an event is about, -1 if it is about others."""
    name = event.service_named()
    if not name or not event.of_pods:
        return -1
    parts = cluster.rows_of(name)
    row = max(parts, key=lambda at: len(cluster.endpoints(at))) if parts else cluster.names.index(name)
    if row is None or not len(cluster.endpoints(row)):
        raise InputError(f"spec.changes.events: there are no Pods behind a Service called {name}")
    return row


def _touched(cluster: Cluster, events: Sequence[Event], chosen: Sequence[Sequence[int]]) -> I64:
    """Pods of time zero that events have to do with."""
    home = cluster.homes(cluster.pods)
    rows = [_service(cluster, event) for event in events]
    found = [cluster.endpoints(row) for row in rows if row >= 0]
    found += [np.flatnonzero(np.isin(home, nodes)) for nodes in chosen if nodes]
    return np.unique(np.concatenate([np.zeros(0, np.int64), *found]))


class _Play:
    """Pods, nodes and workloads of one run, and the events that act on them in order."""

    def __init__(
        self,
        cluster: Cluster,
        churn: Changes,
        events: Sequence[Event],
        chosen: Sequence[Sequence[int]],
        settings: HistorySettings,
        rng: np.random.Generator,
    ) -> None:
        self._cluster, self._churn, self._events = cluster, churn, events
        self._settings, self._rng = settings, rng
        self._home = cluster.homes(cluster.pods)
        self._by_home = np.argsort(self._home, kind="stable")
        self._home_sorted = self._home[self._by_home]
        self._clock = EventQueue()
        self._clients = {name: self._client() for name in ("deployment", "replicaset", "statefulset")}
        self._book = PodBook(self._clock, settings.pods, rng, self._place, len(churn.pod_ip))
        self._book.listeners.append(self._heard)
        self._nodes = Nodes(
            self._clock, self._book, cluster.nodes, cluster.zones, settings.nodes, self._client(), self._client(), rng
        )
        self._nodes.pods_on, self._nodes.evict = self._pods_on, self._evict
        self._rows = [_service(cluster, event) for event in events]
        self._owner = self._owners()
        self._stateful = {
            row for row, event in zip(self._rows, events, strict=True) if event.controller == "StatefulSet"
        }
        self._workloads: dict[int, Workload] = {}
        self._scenes = [
            Scene(i, self._book, self._nodes, rng, row, nodes, cluster.rows_of(event.service_named()))
            for i, (event, row, nodes) in enumerate(zip(events, self._rows, chosen, strict=True))
        ]

    def _client(self) -> Client:
        settings = self._settings
        bucket = TokenBucket(settings.qps, settings.burst)
        return Client(self._clock, bucket, settings.write, settings.watch, self._rng)

    def _place(self, number: int) -> int:
        return self._nodes.place(number)

    def _owners(self) -> dict[int, int]:
        """For every Pod of time zero, the Service whose workload it belongs to."""
        cluster = self._cluster
        first = np.full(cluster.pods, -1)
        owner = np.repeat(np.arange(len(cluster.services.ports)), np.diff(cluster.endpoint_offset))
        first[cluster.endpoint_pod[::-1]] = owner[::-1]
        for row in dict.fromkeys(row for row in self._rows[::-1] if row >= 0):
            first[cluster.endpoints(row)] = row
        return dict(enumerate(first.tolist()))

    def await_joins(self, nodes: Iterable[int]) -> None:
        """Leave nodes out until they join."""
        self._nodes.await_join(nodes)

    def run(self, horizon_ns: int) -> tuple[Changes, tuple[EventTrace, ...]]:
        """Play everything, and write it down."""
        for i, event in enumerate(self._events):
            after(self._clock, to_ns(event.at_s), partial(self._begin, i))
        self._clock.run(horizon_ns)
        self._nodes.finish()
        return _written(self._cluster, self._churn, self._book, self._nodes.spells, horizon_ns), self._traces()

    def _workload(self, row: int) -> Workload:
        if row not in self._workloads:
            state = self._cluster.pod_state
            mine = [
                self._adopt(pod)
                for pod in np.sort(self._cluster.endpoints(row)).tolist()
                if self._owner[pod] == row and not state[pod] & PodState.TERMINATING
            ]
            self._workloads[row] = (
                StatefulSet(row, self._book, mine, self._clients["statefulset"])
                if row in self._stateful
                else Deployment(
                    row, self._book, mine, self._clients["deployment"], self._clients["replicaset"], self._rng
                )
            )
        return self._workloads[row]

    def _adopt(self, pod: int) -> Pod:
        ready = bool(self._cluster.pod_state[pod] & PodState.READY)
        return self._book.adopt(pod, self._owner[pod], int(self._home[pod]), ready=ready)

    def _begin(self, i: int) -> None:
        scene = self._scenes[i]
        if scene.row >= 0:
            workload = self._workload(scene.row)
            scene.workloads.append(workload)
            scene.pods = [pod for pod in workload.every if not pod.deleted]
        else:
            scene.pods = [pod for node in scene.nodes for pod in self._pods_on(node)]
            scene.workloads += [self._workload(row) for row in dict.fromkeys(pod.workload for pod in scene.pods)]
        self._events[i].act(scene)

    def _pods_on(self, node: int) -> list[Pod]:
        """Pods on a node, those of time zero first; what churn put there is not its business."""
        here = self._by_home[slice(*np.searchsorted(self._home_sorted, [node, node + 1]))]
        staying = here[self._cluster.pod_state[here] & PodState.TERMINATING == 0]
        found = [self._adopt(pod) for pod in staying.tolist() if self._owner[pod] >= 0]
        found += sorted(self._book.bound.get(node, ()), key=lambda pod: pod.number)
        return [pod for pod in found if not pod.gone]

    def _evict(self, pod: Pod, i: int) -> None:
        """Delete a Pod for its node's sake."""
        workload = self._workload(pod.workload)
        workload.touch(i)
        workload.delete(pod, self._events[i].ending_of_evicted())

    def _heard(self, pod: Pod) -> None:
        """Let the Pod's controller know, once its informer does."""
        workload = self._workloads.get(pod.workload)
        if workload is not None:
            lag = self._settings.status_patch.one(self._rng) + self._settings.watch.one(self._rng)
            after(self._clock, lag, lambda: workload.heard(pod))

    def _traces(self) -> tuple[EventTrace, ...]:
        found, book = [], self._book
        told: dict[int, list[int]] = {}
        for row, (_, _, pod) in enumerate(book.told):
            told.setdefault(pod, []).append(row)
        removals: dict[int, list[tuple[int, int]]] = {}
        for number, pod, at_ns in book.removals:
            removals.setdefault(number, []).append((pod, at_ns))
        down: dict[int, list[tuple[int, int, int]]] = {}
        for o in book.outages:
            down.setdefault(o.event, []).append((o.pod, o.from_ns, o.until_ns))
        for i, event in enumerate(self._events):
            scene = self._scenes[i]
            old = {pod.number for pod in scene.pods}
            new = {pod.number for workload in scene.workloads for pod in workload.every} - old
            new = {number for number in new if number >= len(self._churn.pod_ip)}
            table = np.array(removals.get(i, []), np.int64).reshape(-1, 2)
            ready = {pod for pod in old if pod >= len(self._churn.pod_ip) or self._ready_at_start(pod)}
            rows = sorted(row for pod in old | new for row in told.get(pod, ()))
            course = Course.of([book.told[row] for row in rows], old, new, ready, to_ns(event.at_s))
            found.append(EventTrace(event, Spells.made_of(down.get(i, ())), table[:, 0], table[:, 1], course))
        return tuple(found)

    def _ready_at_start(self, pod: int) -> bool:
        return bool(self._cluster.pod_state[pod] & PodState.READY)


def _written(
    cluster: Cluster,
    churn: Changes,
    book: PodBook,
    lost: Sequence[tuple[int, int, int]],
    horizon_ns: int,
) -> Changes:
    """Churn and events as one table of changes."""
    noted = [(time_ns, int(kind), subject) for time_ns, kind, subject in book.told + book.objects]
    told = np.array(noted, np.int64).reshape(-1, 3)
    at = np.concatenate([churn.at_ns, told[:, 0]])
    kind = np.concatenate([churn.kind, told[:, 1]])
    subject = np.concatenate([churn.subject, told[:, 2]])
    order = np.lexsort((kind, at))
    order = order[at[order] < horizon_ns]
    first_free = int(churn.pod_ip.max(initial=0)) + 1
    gone = np.concatenate([churn.pod_gone_ns, np.full(len(book.made), NEVER)])
    for outage in book.outages:
        if outage.until_ns == NEVER:
            gone[outage.pod] = min(outage.from_ns, gone[outage.pod])
    slots = np.array([pod.slot for pod in book.made], np.int64)
    ips = (first_free + np.arange(len(book.made))).astype(np.uint32)
    return Changes(
        at_ns=np.asarray(freeze(at[order])),
        kind=np.asarray(freeze(kind[order])),
        subject=np.asarray(freeze(subject[order])),
        pod_slot=np.asarray(freeze(np.concatenate([churn.pod_slot, slots]))),
        pod_ip=np.asarray(freeze(np.concatenate([churn.pod_ip, ips])), np.uint32),
        pod_gone_ns=np.asarray(freeze(gone)),
        pod_home=_homes(cluster, len(churn.pod_ip), book, {node for node, _, _ in lost}),
        outages=Spells.made_of((o.pod, o.from_ns, o.until_ns) for o in book.outages if o.until_ns < NEVER),
        lost=Spells.made_of(lost),
    )


def _homes(cluster: Cluster, churned: int, book: PodBook, lost: set[int]) -> I64:
    """The node of every Pod; those that churn makes keep away from nodes that are lost in this run."""
    home = cluster.homes(churned + len(book.made)).copy()
    home[: cluster.pods] = cluster.homes(cluster.pods)
    home[:churned] = _kept_away(home[:churned], lost, cluster.nodes, cluster.pods)
    for pod in book.made:
        home[pod.number] = pod.node if pod.node >= 0 else home[pod.number]
    return np.asarray(freeze(home))
