"""One Pod's life as its kubelet leads it: start, readiness, crash and restart, end.

A Pod is bound to a node, gets an address, its container starts, and from that moment its readiness probe runs: the
first at once, then one a period.  It becomes not ready after three failures in a row, or when the kubelet's look at
the containers finds it gone.  A deleted Pod's process ends after its preStop hook and its own shutdown, at the latest
with the grace period, and always has two seconds after SIGTERM.  Left out: liveness and startup probes, sidecars,
image pulls, and that a Pod on a full node waits.

Sources: pkg/kubelet/prober/worker.go, pkg/kubelet/pleg/generic.go, pkg/kubelet/kuberuntime/kuberuntime_container.go
(killContainer), pkg/kubelet/kuberuntime/kuberuntime_manager.go (doBackOff).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kpsim.clock import Clock, after
from kpsim.cluster.changes import NEVER, ChangeKind
from kpsim.history.churn import PodLags
from kpsim.history.terms import Ending
from kpsim.profiles.defaults import Defaults, Lag
from kpsim.units import to_ns

TERMINAL_PHASE_SINCE = (1, 27)


@dataclass(frozen=True, slots=True)
class PodTimings:
    """A kubelet and a scheduler take these times for a Pod; times in ns."""

    lags: PodLags
    scheduling: Lag
    pleg_ns: int
    probe_ns: int
    probe_timeout_ns: int
    probe_failures: int
    backoff_ns: int
    backoff_most_ns: int
    grace_ns: int
    least_grace_ns: int
    pre_stop_ns: int  # of Pods about which no event says anything
    exits: bool  # the kubelet posts a terminal phase and deletes the object at once
    status_patch: Lag
    removal: Lag  # of what is left of a Pod whose phase is never terminal

    @staticmethod
    def of(defaults: Defaults, lags: PodLags, pre_stop_s: float, version: tuple[int, int]) -> PodTimings:
        """Kubernetes' defaults in a version."""

        def ns(name: str) -> int:
            return to_ns(defaults.value(f"pod.{name}"))

        return PodTimings(
            lags=lags,
            scheduling=defaults.lag("pod.scheduling"),
            pleg_ns=ns("pleg_period"),
            probe_ns=ns("probe_period"),
            probe_timeout_ns=ns("probe_timeout"),
            probe_failures=int(defaults.value("pod.probe_failures")),
            backoff_ns=ns("restart_backoff"),
            backoff_most_ns=ns("restart_backoff_most"),
            grace_ns=ns("grace_period"),
            least_grace_ns=ns("least_grace"),
            pre_stop_ns=to_ns(pre_stop_s),
            exits=version >= TERMINAL_PHASE_SINCE,
            status_patch=defaults.lag("pod.status_patch"),
            removal=defaults.lag("pod.removal"),
        )


def termination_ns(pre_stop_ns: int, shutdown_ns: int, grace_ns: int, least_grace_ns: int) -> int:
    """From the deletionTimestamp until the process is gone [ns]; a hook that takes too long is cut short."""
    hook = min(pre_stop_ns, grace_ns)
    return hook + min(shutdown_ns, max(grace_ns - hook, least_grace_ns))


@dataclass(slots=True, eq=False)
class PodOutage:
    """A stretch of time in which a Pod's process does not answer, and the event that is to blame."""

    pod: int
    from_ns: int
    event: int
    until_ns: int = NEVER


@dataclass(slots=True, eq=False)
class Pod:
    """A Pod that events have to do with."""

    number: int
    slot: int
    workload: int
    node: int = -1  # -1 until it is bound
    appeared: bool = False
    ready: bool = False  # the condition, as the API has it
    deleted: bool = False
    gone: bool = False
    stranded: bool = False  # its node is lost
    life: int = 0  # of its container; what was planned for an earlier one is void
    probe_ns: int = -1  # when in a period its readiness probe runs; -1 until somebody asks
    down: PodOutage | None = None


class PodBook:
    """Every Pod that events touch, and what is told of them: changes, outages, and readiness lost."""

    def __init__(
        self,
        clock: Clock,
        timings: PodTimings,
        rng: np.random.Generator,
        bind: Callable[[int], int],
        first: int,
    ) -> None:
        self._clock, self._timings, self._rng, self._bind = clock, timings, rng, bind
        self.pods: dict[int, Pod] = {}
        self.made: list[Pod] = []
        self.bound: dict[int, list[Pod]] = {}  # of these, by node
        self.told: list[tuple[int, ChangeKind, int]] = []
        self.objects: list[tuple[int, ChangeKind, int]] = []  # the same of Services
        self.outages: list[PodOutage] = []
        self.removals: list[tuple[int, int, int]] = []  # event, Pod, when it was deleted while ready, or not ready
        self.listeners: list[Callable[[Pod], None]] = []
        self._first = first

    def note_object(self, kind: ChangeKind, row: int) -> None:
        """Note what happens to a Service object now."""
        self.objects.append((self._clock.now, kind, row))

    def adopt(self, number: int, workload: int, node: int, *, ready: bool) -> Pod:
        """Take in a Pod of time zero."""
        if number not in self.pods:
            self.pods[number] = Pod(number, number, workload, node, appeared=True, ready=ready)
        return self.pods[number]

    def create(self, slot: int, workload: int, warm_up_ns: int) -> Pod:
        """A Pod object is there; its start takes its course."""
        pod = Pod(self._first + len(self.made), slot, workload)
        self.made.append(pod)
        self.pods[pod.number] = pod
        self._tell(ChangeKind.POD_CREATED, pod)
        after(self._clock, self._timings.scheduling.one(self._rng), lambda: self._bound(pod, warm_up_ns))
        return pod

    def delete(self, pod: Pod, event: int, ending: Ending) -> None:
        """The deletionTimestamp is set."""
        if pod.deleted:
            return
        pod.deleted = True
        if pod.ready:
            self.removals.append((event, pod.number, self._clock.now))
        if pod.appeared:
            self._tell(ChangeKind.POD_TERMINATING, pod)
        timings = self._timings
        pre_stop = timings.pre_stop_ns if ending.pre_stop_s is None else to_ns(ending.pre_stop_s)
        grace = timings.grace_ns if ending.grace_s is None else to_ns(ending.grace_s)
        shutdown = timings.lags.shutdown.one(self._rng)
        left = termination_ns(pre_stop, shutdown, grace, timings.least_grace_ns) if pod.appeared else 0
        after(self._clock, left, lambda: self._end(pod, event))
        self._heard(pod)

    def crash(self, pod: Pod, event: int, times: int, warm_up_ns: int) -> None:
        """The container exits; the kubelet starts it again, at once the first time, then after a back-off."""
        if not pod.ready or pod.deleted or pod.stranded:
            return
        timings = self._timings
        self._stop(pod, event)
        life, noticed = pod.life, self._uniform(timings.pleg_ns)
        after(self._clock, noticed, lambda: self.lose_readiness(pod, event, life))
        wait = noticed
        for n in range(times - 1):
            backoff = min(timings.backoff_ns << min(n, 30), timings.backoff_most_ns)
            wait += timings.lags.ready.one(self._rng) + self._uniform(timings.pleg_ns) + backoff
        after(self._clock, wait, lambda: self._start(pod, life, warm_up_ns))

    def hang(self, pod: Pod, event: int, for_ns: int) -> None:
        """The process answers nobody for a while; its readiness probes find out."""
        if not pod.ready or pod.deleted or pod.stranded or pod.down:
            return
        now, timings, life = self._clock.now, self._timings, pod.life
        self._fall(pod, event)
        if pod.probe_ns < 0:
            pod.probe_ns = self._uniform(timings.probe_ns)
        last = self._next_probe(pod, now) + (timings.probe_failures - 1) * timings.probe_ns
        if last < now + for_ns:
            found = last + self._uniform(timings.probe_timeout_ns)
            after(self._clock, found - now, lambda: self.lose_readiness(pod, event, life))
        after(self._clock, for_ns, lambda: self._recover(pod, life))

    def strand(self, pod: Pod, event: int) -> None:
        """Its node is lost: the process is gone, and nobody is left to say so."""
        pod.stranded = True
        if pod.appeared and not pod.gone:
            self._stop(pod, event)
        else:
            pod.life += 1

    def bring_back(self, pod: Pod, event: int) -> None:
        """Its node is back: what was deleted meanwhile goes, the others start anew."""
        pod.stranded = False
        if pod.gone:
            return
        if pod.deleted:
            self._end(pod, event)
            return
        self.lose_readiness(pod, event, pod.life)
        life = pod.life
        after(self._clock, self._timings.lags.address.one(self._rng), lambda: self._addressed(pod, life, 0))

    def lose_readiness(self, pod: Pod, event: int, life: int) -> None:
        """The Ready condition becomes false, unless that container is not the one that runs."""
        if not pod.ready or pod.gone or pod.life != life:
            return
        pod.ready = False
        if not pod.deleted:
            self.removals.append((event, pod.number, self._clock.now))
        self._tell(ChangeKind.POD_UNREADY, pod)
        self._heard(pod)

    def _bound(self, pod: Pod, warm_up_ns: int) -> None:
        if pod.deleted:
            return
        pod.node = self._bind(pod.number)
        if pod.node >= 0:  # else no node takes it
            self.bound.setdefault(pod.node, []).append(pod)
            life = pod.life
            self._tell(ChangeKind.POD_POSTED, pod)
            after(
                self._clock, self._timings.lags.address.one(self._rng), lambda: self._addressed(pod, life, warm_up_ns)
            )

    def _addressed(self, pod: Pod, life: int, warm_up_ns: int) -> None:
        if pod.life != life or pod.deleted:
            return
        if not pod.appeared:
            pod.appeared = True
            self._tell(ChangeKind.POD_APPEARED, pod)
        self._start(pod, life, warm_up_ns)

    def _start(self, pod: Pod, life: int, warm_up_ns: int) -> None:
        """The container is started, and probed at once: it is ready with the first probe it passes."""
        if pod.life != life or pod.deleted:
            return
        period = self._timings.probe_ns
        now = self._clock.now
        started = now + self._timings.lags.ready.one(self._rng)
        pod.probe_ns = started % period
        ready = started + -(-warm_up_ns // period) * period
        after(self._clock, ready - now, lambda: self._become_ready(pod, life))

    def _become_ready(self, pod: Pod, life: int) -> None:
        if pod.life != life or pod.deleted or pod.ready:
            return
        self._answer(pod)
        pod.ready = True
        self._tell(ChangeKind.POD_READY, pod)
        self._heard(pod)

    def _recover(self, pod: Pod, life: int) -> None:
        """A process that hung answers again; the next probe says so."""
        if pod.life != life or pod.gone:
            return
        self._answer(pod)
        now = self._clock.now
        after(self._clock, self._next_probe(pod, now) - now, lambda: self._become_ready(pod, life))

    def _end(self, pod: Pod, event: int) -> None:
        """The process is gone, its kubelet says so and deletes the object; on a lost node nobody does."""
        if pod.gone or pod.stranded:
            return
        if not pod.appeared:
            self._disappear(pod)
            return
        self._stop(pod, event)
        pod.ready = False
        timings = self._timings
        self._tell(ChangeKind.POD_EXITED if timings.exits else ChangeKind.POD_UNREADY, pod)
        left = (timings.status_patch if timings.exits else timings.removal).one(self._rng)
        after(self._clock, left, lambda: self._disappear(pod))

    def _disappear(self, pod: Pod) -> None:
        """The object is deleted."""
        if pod.gone or pod.stranded:
            return
        if pod.appeared:
            self._tell(ChangeKind.POD_GONE, pod)
        pod.gone = True
        self._heard(pod)

    def _stop(self, pod: Pod, event: int) -> None:
        pod.life += 1
        self._fall(pod, event)

    def _fall(self, pod: Pod, event: int) -> None:
        if pod.down is None and (pod.ready or pod.deleted):
            pod.down = PodOutage(pod.number, self._clock.now, event)
            self.outages.append(pod.down)

    def _answer(self, pod: Pod) -> None:
        if pod.down is not None:
            pod.down.until_ns = self._clock.now
            pod.down = None

    def _next_probe(self, pod: Pod, time_ns: int) -> int:
        period = self._timings.probe_ns
        return time_ns + (pod.probe_ns - time_ns) % period

    def _tell(self, kind: ChangeKind, pod: Pod) -> None:
        self.told.append((self._clock.now, kind, pod.number))

    def _heard(self, pod: Pod) -> None:
        for listener in self.listeners:
            listener(pod)

    def _uniform(self, below_ns: int) -> int:
        return int(self._rng.integers(0, max(below_ns, 1)))
