"""Workloads: how many Pods there shall be, and in which order a controller brings that about.

A Deployment scales its newest ReplicaSet up and the older ones down, never beyond maxSurge and maxUnavailable; it
counts what ReplicaSets *shall* have and what their status says is available.  A ReplicaSet creates missing Pods in
batches of 1, 2, 4 …, each write through its controller's own token bucket, and deletes surplus ones at once, those
that are not ready first.  A StatefulSet takes one step at a time, and a new Pod waits until the old one of its name is
gone.  Left out: that a status which is a moment old lets a Deployment remove two Pods for one, proportional scaling in
the middle of a rollout, minReadySeconds, progress deadlines, and the ranks of Pods for deletion beyond readiness.

Sources: pkg/controller/deployment/rolling.go and util/deployment_util.go (NewRSNewReplicas, ResolveFenceposts),
pkg/controller/replicaset/replica_set.go (slowStartBatch, manageReplicas), pkg/controller/statefulset/
stateful_set_control.go (updateStatefulSet).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from kpsim.history.client import Client
from kpsim.history.pods import Pod, PodBook
from kpsim.history.terms import QUARTER, Ending, IntOrPercent

BURST_REPLICAS = 500  # pkg/controller/replicaset/replica_set.go: most Pods made or deleted in one sync
FIRST_BATCH = 1  # pkg/controller/controller_utils.go, SlowStartInitialBatchSize


def fenceposts(replicas: int, surge: IntOrPercent, unavailable: IntOrPercent) -> tuple[int, int]:
    """Return (Pods allowed above, Pods allowed below) ``replicas``; (0, 1) if rounding leaves neither."""
    most, least = surge.of(replicas, up=True), unavailable.of(replicas, up=False)
    return (most, least) if most or least else (0, 1)


class Workload:
    """Pods of one make; what events change about them, and how its controllers hear of Pods."""

    def __init__(self, number: int, book: PodBook, pods: Sequence[Pod]) -> None:
        self.number, self.book = number, book
        self.event = -1  # the latest that had to do with it
        self.ending = Ending()
        self.warm_up_ns = 0
        self.every = list(pods)  # whoever belonged to it
        self._slots = [pod.slot for pod in pods]
        self._vacant: deque[int] = deque()
        self._turn = 0

    def touch(self, event: int, ending: Ending | None = None, warm_up_ns: int | None = None) -> None:
        """Let ``event`` be to blame from now on, and Pods end and start as it says."""
        self.event = event
        if ending is not None:
            pre_stop, grace = ending.pre_stop_s, ending.grace_s
            self.ending = Ending(
                self.ending.pre_stop_s if pre_stop is None else pre_stop,
                self.ending.grace_s if grace is None else grace,
            )
        self.warm_up_ns = self.warm_up_ns if warm_up_ns is None else warm_up_ns

    def create(self, slot: int | None = None) -> Pod:
        """A new Pod, in the place of one that left if there is any."""
        if slot is None:
            slot = self._vacant.popleft() if self._vacant else self._slots[self._turn % len(self._slots)]
            self._turn += 1
        pod = self.book.create(slot, self.number, self.warm_up_ns)
        self.every.append(pod)
        return pod

    def delete(self, pod: Pod, ending: Ending | None = None) -> None:
        """Delete one of its Pods."""
        if not pod.deleted:
            self._vacant.append(pod.slot)
        mine = ending or Ending()
        pre_stop = self.ending.pre_stop_s if mine.pre_stop_s is None else mine.pre_stop_s
        grace = self.ending.grace_s if mine.grace_s is None else mine.grace_s
        self.book.delete(pod, self.event, Ending(pre_stop, grace))

    def heard(self, pod: Pod) -> None:
        """A Pod of it has changed, and the informer has seen it."""
        raise NotImplementedError

    def roll(self, surge: IntOrPercent = QUARTER, unavailable: IntOrPercent = QUARTER) -> None:
        """Take a new Pod template."""
        raise NotImplementedError

    def scale(self, replicas: int) -> None:
        """Take another number of replicas."""
        raise NotImplementedError


class ReplicaSet:
    """Keeps ``wanted`` Pods; ``available`` is what its status says, once that is written."""

    def __init__(
        self, owner: Workload, client: Client, pods: Sequence[Pod], rng: np.random.Generator, told: Callable[[], None]
    ) -> None:
        self._owner, self._client, self._rng, self._told = owner, client, rng, told
        self.pods = list(pods)
        self._mine = set(pods)
        self.wanted = len(pods)
        self.available = sum(pod.ready for pod in pods)
        self._status = (len(pods), self.available)
        self._busy = self._again = False

    def active(self) -> list[Pod]:
        """Its Pods but for those that are being deleted."""
        return [pod for pod in self.pods if not pod.deleted]

    def __contains__(self, pod: Pod) -> bool:
        return pod in self._mine

    def reconcile(self) -> None:
        """One sync, and another if something happened meanwhile."""
        if self._busy:
            self._again = True
            return
        self._busy = True
        active = self.active()
        missing = self.wanted - len(active)
        if missing > 0:
            self._make(min(missing, BURST_REPLICAS), FIRST_BATCH)
        elif missing < 0:
            self._remove(active, min(-missing, BURST_REPLICAS))
        else:
            self._report()

    def _make(self, left: int, batch: int) -> None:
        size, done = min(left, batch), 0

        def made() -> None:
            nonlocal done
            pod = self._owner.create()
            self.pods.append(pod)
            self._mine.add(pod)
            done += 1
            if done == size:
                if left > size:
                    self._make(left - size, 2 * size)
                else:
                    self._report()

        for _ in range(size):
            self._client.call(made)

    def _remove(self, active: Sequence[Pod], surplus: int) -> None:
        order = sorted(self._rng.permutation(len(active)).tolist(), key=lambda i: active[i].ready)
        victims, done = [active[i] for i in order[:surplus]], 0

        def removed(pod: Pod) -> None:
            nonlocal done
            self._owner.delete(pod)
            done += 1
            if done == len(victims):
                self._report()

        for pod in victims:
            self._client.call(partial(removed, pod))

    def _report(self) -> None:
        """Write the status if it is not what it says, and let go."""
        self.pods = self.active()
        self._mine = set(self.pods)
        status = (len(self.pods), sum(pod.ready for pod in self.pods))
        if status == self._status:
            self._let_go()
            return

        def written() -> None:
            self._status, self.available = status, status[1]
            self._client.hear(self._told)
            self._let_go()

        self._client.call(written)

    def _let_go(self) -> None:
        again = self._again or len(self.active()) != self.wanted
        self._busy = self._again = False
        if again:
            self.reconcile()


class Deployment(Workload):
    """A Deployment, its ReplicaSets the newest last."""

    def __init__(
        self, number: int, book: PodBook, pods: Sequence[Pod], client: Client, sets: Client, rng: np.random.Generator
    ) -> None:
        super().__init__(number, book, pods)
        self._client, self._sets_client, self._rng = client, sets, rng
        self.sets = [ReplicaSet(self, sets, pods, rng, self.sync)]
        self.replicas = len(pods)
        self._surge = self._unavailable = QUARTER
        self._busy = False

    def roll(self, surge: IntOrPercent = QUARTER, unavailable: IntOrPercent = QUARTER) -> None:
        """Take a new Pod template."""
        self._surge, self._unavailable = surge, unavailable
        self.sets = [each for each in self.sets if each.wanted or each.active()]
        self.sets.append(ReplicaSet(self, self._sets_client, [], self._rng, self.sync))
        self._client.hear(self.sync)

    def scale(self, replicas: int) -> None:
        """Take another number of replicas."""
        self.replicas = replicas
        self._client.hear(self.sync)

    def heard(self, pod: Pod) -> None:
        """Its ReplicaSets sync."""
        for each in self.sets:
            if pod in each:
                each.reconcile()

    def sync(self) -> None:
        """One step: scale the newest up if there may be more, else the older ones down as far as there may be fewer."""
        steps = [] if self._busy else self._steps()
        if steps:
            self._busy = True
            self._write(steps)

    def _steps(self) -> list[tuple[ReplicaSet, int]]:
        new, old = self.sets[-1], self.sets[:-1]
        surge, unavailable = fenceposts(self.replicas, self._surge, self._unavailable)
        total = sum(each.wanted for each in self.sets)
        if new.wanted > self.replicas:
            return [(new, self.replicas)]
        room = self.replicas + surge - total if old else self.replicas - total
        if new.wanted < self.replicas and room > 0:
            return [(new, min(new.wanted + room, self.replicas))]
        least = self.replicas - unavailable
        most_down = total - least - (new.wanted - new.available)
        if most_down <= 0:
            return []
        return _cuts(old, least, most_down, sum(each.available for each in self.sets))

    def _write(self, steps: list[tuple[ReplicaSet, int]]) -> None:
        which, wanted = steps[0]

        def written() -> None:
            which.wanted = wanted
            self._sets_client.hear(which.reconcile)
            if steps[1:]:
                self._write(steps[1:])
            else:
                self._client.hear(self._done)

        self._client.call(written)

    def _done(self) -> None:
        self._busy = False
        self.sync()


def _cuts(old: Sequence[ReplicaSet], least: int, most_down: int, available: int) -> list[tuple[ReplicaSet, int]]:
    """Return (ReplicaSet, new size) for older sets that shrink: first by unavailable Pods, then by those to spare."""
    wanted = [each.wanted for each in old]
    for i, each in enumerate(old):
        unhealthy = min(most_down, max(wanted[i] - each.available, 0))
        wanted[i] -= unhealthy
        most_down -= unhealthy
    spare = min(max(available - least, 0), most_down)  # statuses may be a moment old; what shall be is not
    for i in range(len(old)):
        cut = min(spare, wanted[i])
        wanted[i] -= cut
        spare -= cut
    return [(each, n) for each, n in zip(old, wanted, strict=True) if n != each.wanted]


class StatefulSet(Workload):
    """A StatefulSet under OrderedReady: Pod 0 … ``replicas`` - 1 by ordinal, one step at a time."""

    def __init__(self, number: int, book: PodBook, pods: Sequence[Pod], client: Client) -> None:
        super().__init__(number, book, pods)
        self._client = client
        self.replicas = len(pods)
        self.members = dict(enumerate(pods))
        self._outdated: set[int] = set()
        self._busy = False

    def roll(self, surge: IntOrPercent = QUARTER, unavailable: IntOrPercent = QUARTER) -> None:  # noqa: ARG002
        """Take a new Pod template; there is one Pod too few at a time, whatever a Deployment would do."""
        self._outdated = {pod.number for pod in self.members.values()}
        self._client.hear(self.reconcile)

    def scale(self, replicas: int) -> None:
        """Take another number of replicas."""
        self.replicas = replicas
        self._client.hear(self.reconcile)

    def heard(self, pod: Pod) -> None:  # noqa: ARG002 - whichever it was
        """It syncs."""
        self.reconcile()

    def reconcile(self) -> None:
        """Send the next step, if there is one."""
        step = None if self._busy else self._step()
        if step is None:
            return
        self._busy = True

        def written() -> None:
            step()
            self._client.hear(self._done)

        self._client.call(written)

    def _done(self) -> None:
        self._busy = False
        self.reconcile()

    def _step(self) -> Callable[[], None] | None:
        for ordinal in range(self.replicas):
            pod = self.members.get(ordinal)
            if pod is None or pod.gone:
                return partial(self._make, ordinal)
            if pod.deleted or not pod.ready:
                return None
        for ordinal in sorted(self.members, reverse=True):
            pod = self.members[ordinal]
            if ordinal >= self.replicas and not pod.gone:
                return None if pod.deleted else partial(self.delete, pod)
            if ordinal < self.replicas and pod.number in self._outdated:
                return partial(self.delete, pod)
        return None

    def _make(self, ordinal: int) -> None:
        before = self.members.get(ordinal)
        slot = before.slot if before else self._slots[ordinal % len(self._slots)]
        self.members[ordinal] = self.create(slot)
