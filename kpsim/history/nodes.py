"""Nodes that go or come: losing them, noticing it, evicting their Pods; draining; joining; and where Pods are bound.

A lost node renews its Lease no more.  The node lifecycle controller looks at all nodes every few seconds and takes one
for lost when its last renewal is older than the grace period; it then patches the node's Pods not ready one after
another, eight nodes at a time, and tells an event for each, all through its own token bucket, before it looks again.
Endpoints leave there.  The node is then tainted, so many nodes of a zone a second, and its Pods are deleted when they
no longer tolerate that; they stay in the API until the node is back.  Left out: Pods that are behind no Service,
shutdown that a kubelet announces, PodDisruptionBudgets, and that the scheduler goes on binding Pods to a lost node
until it is noticed.

Sources: pkg/controller/nodelifecycle/node_lifecycle_controller.go (monitorNodeHealth, ComputeZoneState,
handleDisruption), pkg/controller/tainteviction, pkg/kubelet/nodelease, kubectl's drain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from kpsim.clock import Clock, after
from kpsim.cluster.changes import NEVER
from kpsim.history.client import Client
from kpsim.history.pods import Pod, PodBook
from kpsim.profiles.defaults import Defaults
from kpsim.units import Version, to_ns

NODE_UPDATE_WORKERS = 8  # nodeUpdateWorkerSize
FEW_NODES = 2  # ComputeZoneState: a zone with so few lost nodes is normal
LONGER_GRACE_SINCE = (1, 32)


@dataclass(frozen=True, slots=True)
class NodeTimings:
    """The node lifecycle controller goes by these numbers; times in ns."""

    renewal_ns: int
    monitor_ns: int
    grace_ns: int
    eviction_per_s: float
    secondary_per_s: float
    large_zone: int
    unhealthy_zone: float
    toleration_ns: int

    @staticmethod
    def of(defaults: Defaults, version: Version) -> NodeTimings:
        """Kubernetes' defaults in a version."""

        def value(name: str) -> float:
            return defaults.value(f"node_lifecycle.{name}")

        grace = "grace_period" if version >= LONGER_GRACE_SINCE else "grace_period_before_1_32"
        return NodeTimings(
            renewal_ns=to_ns(value("lease_renewal")),
            monitor_ns=to_ns(value("monitor_period")),
            grace_ns=to_ns(value(grace)),
            eviction_per_s=value("eviction_rate"),
            secondary_per_s=value("secondary_eviction_rate"),
            large_zone=int(value("large_zone")),
            unhealthy_zone=value("unhealthy_zone"),
            toleration_ns=to_ns(value("toleration")),
        )


@dataclass(slots=True)
class _Lost:
    """A node that is lost, and how far the controllers are with it."""

    node: int
    since_ns: int
    event: int
    renewed_ns: int
    noticed: bool = False
    tainted: bool = False
    taints: int = 0  # so far, or taken back


class Nodes:
    """Nodes take Pods, or are cordoned, drained or lost."""

    def __init__(
        self,
        clock: Clock,
        book: PodBook,
        count: int,
        zones: int,
        timings: NodeTimings,
        monitor: Client,
        eviction: Client,
        rng: np.random.Generator,
    ) -> None:
        self._clock, self._book, self._count, self._zones, self._timings = clock, book, count, zones, timings
        self._monitor, self._eviction, self._rng = monitor, eviction, rng
        self._lost: dict[int, _Lost] = {}
        self._cordoned: set[int] = set()
        self._absent: set[int] = set()  # will join
        self._looking = False
        self._zone_free_ns = [0] * min(zones, count)
        self.spells: list[tuple[int, int, int]] = []  # node, lost from, until
        self.pods_on: Callable[[int], Sequence[Pod]] = lambda _node: ()
        self.evict: Callable[[Pod, int], None] = lambda _pod, _event: None

    def place(self, number: int) -> int:
        """The node for a new Pod: dealt in turn to those that can take it; -1 if there is none."""
        every = (step % self._count for step in range(number, number + self._count))
        unfit = (self._lost, self._cordoned, self._absent)
        return next((node for node in every if not any(node in those for those in unfit)), -1)

    def await_join(self, nodes: Iterable[int]) -> None:
        """Leave these nodes out until they join."""
        self._absent.update(nodes)

    def join(self, nodes: Sequence[int]) -> None:
        """Let these nodes take Pods from now on."""
        for node in self._absent.intersection(nodes):
            self._absent.discard(node)
            self.spells.append((node, -NEVER, self._clock.now))

    def lose(self, nodes: Sequence[int], event: int, for_ns: int | None) -> None:
        """These nodes stop at once; with ``for_ns`` they come back."""
        now = self._clock.now
        for node in nodes:
            if node in self._lost or node in self._absent:
                continue
            renewed = now - int(self._rng.integers(0, self._timings.renewal_ns))
            self._lost[node] = _Lost(node, now, event, renewed)
            for pod in self.pods_on(node):
                self._book.strand(pod, event)
            if for_ns is not None:
                after(self._clock, for_ns, partial(self._return, node))
        if not self._looking:
            self._looking = True
            after(self._clock, int(self._rng.integers(0, self._timings.monitor_ns)), self._look)

    def drain(self, nodes: Sequence[int], event: int) -> None:
        """Cordon the first, evict all its Pods, wait until they are gone, and go on with the next."""
        if not nodes:
            return
        self._cordoned.add(nodes[0])
        waiting = [pod for pod in self.pods_on(nodes[0]) if not pod.gone]
        for pod in waiting:
            self.evict(pod, event)

        def once_gone(_pod: Pod) -> None:
            if once_gone in self._book.listeners and all(pod.gone for pod in waiting):
                self._book.listeners.remove(once_gone)
                after(self._clock, 0, lambda: self.drain(nodes[1:], event))

        self._book.listeners.append(once_gone)
        if not waiting:
            once_gone(Pod(-1, -1, -1))

    def finish(self) -> None:
        """Note which nodes are still lost in the end."""
        self.spells += [(lost.node, lost.since_ns, NEVER) for lost in self._lost.values()]
        self.spells += [(node, -NEVER, NEVER) for node in self._absent]
        self._lost.clear()

    def _return(self, node: int) -> None:
        lost = self._lost.pop(node)
        self.spells.append((node, lost.since_ns, self._clock.now))
        for pod in self.pods_on(node):
            if pod.stranded:
                self._book.bring_back(pod, lost.event)

    def _look(self) -> None:
        """One pass of the node lifecycle controller; the next begins a period after this one has ended."""
        now = self._clock.now
        self._queue_taints()
        late = now - self._timings.grace_ns
        due = [lost for lost in self._lost.values() if not lost.noticed and lost.renewed_ns < late]
        if due:
            self._patch(due)
        else:
            self._look_again()

    def _look_again(self) -> None:
        if any(not lost.tainted for lost in self._lost.values()):
            after(self._clock, self._timings.monitor_ns, self._look)
        else:
            self._looking = False

    def _patch(self, due: list[_Lost]) -> None:
        """Mark nodes and then their Pods not ready: eight workers, each a node at a time, each a Pod at a time."""
        queue = due[::-1]
        at_work = min(NODE_UPDATE_WORKERS, len(queue))

        def take() -> None:
            nonlocal at_work
            if queue:
                lost = queue.pop()
                lost.noticed = True
                pods = [pod for pod in self.pods_on(lost.node) if pod.ready]
                self._monitor.call(lambda: mark(lost, pods))
                return
            at_work -= 1
            if not at_work:
                self._look_again()

        def mark(lost: _Lost, pods: list[Pod]) -> None:
            if not pods:
                take()
                return

            def patched() -> None:
                self._monitor.post()
                if pods[0].stranded:
                    self._book.lose_readiness(pods[0], lost.event, pods[0].life)
                mark(lost, pods[1:])

            self._monitor.call(patched)

        for _ in range(at_work):
            take()

    def _queue_taints(self) -> None:
        """Let nodes that were noticed before be tainted at the rate of their zone, and evicted when Pods had enough."""
        now = self._clock.now
        noticed = sum(lost.noticed for lost in self._lost.values())
        if noticed == self._count - len(self._absent):  # rather it is the controller that is cut off
            for lost in self._lost.values():
                lost.tainted, lost.taints = False, lost.taints + 1
            return
        for lost in [lost for lost in self._lost.values() if lost.noticed and not lost.tainted]:
            zone = lost.node % self._zones
            rate = self._rate(zone)
            if rate:
                lost.tainted = True
                at_ns = max(now, self._zone_free_ns[zone])
                self._zone_free_ns[zone] = at_ns + to_ns(1 / rate)
                after(self._clock, at_ns - now + self._timings.toleration_ns, partial(self._evict, lost, lost.taints))

    def _rate(self, zone: int) -> float:
        """Nodes a second that may be tainted in a zone, by how many of it are lost."""
        lost = sum(each.noticed for each in self._lost.values() if each.node % self._zones == zone)
        size = len(range(zone, self._count, self._zones))
        if not (FEW_NODES < lost < size and lost >= self._timings.unhealthy_zone * size):
            return self._timings.eviction_per_s
        return self._timings.secondary_per_s if size > self._timings.large_zone else 0.0

    def _evict(self, lost: _Lost, taints: int) -> None:
        if self._lost.get(lost.node) is not lost or lost.taints != taints:
            return
        for pod in self.pods_on(lost.node):
            if not pod.deleted:
                self._eviction.call(partial(self.evict, pod, lost.event))
