"""Changes: what happens to Pods and Services during a run, drawn before any engine starts.

What events of the scenario add to them is played out in :mod:`kpsim.cluster.history`.  Random churn replaces single
Pods.  A replacement is what a Deployment does when a Pod is deleted: the old Pod gets its deletionTimestamp (endpoint
terminating), a new one gets an address (endpoint not ready), becomes ready, and the old one's object goes.  Each is
one change, and each may cost an EndpointSlice write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from kpsim.cluster.columns import Cluster, freeze
from kpsim.cluster.events import Event
from kpsim.profiles.defaults import Lag
from kpsim.units import I64, U32, Bools, to_ns

__all__ = [
    "NEVER",
    "NOWHERE",
    "ChangeKind",
    "Changes",
    "Churn",
    "Course",
    "EventTrace",
    "PodLags",
    "Spells",
    "draw_changes",
]

NEVER = 1 << 62  # a time [ns] after every other


class ChangeKind(IntEnum):
    """What happened."""

    POD_TERMINATING = 0
    POD_APPEARED = 1  # has an address, is not ready
    POD_READY = 2
    POD_GONE = 3  # the object is deleted
    SERVICE_CREATED = 4
    POD_UNREADY = 5  # its Ready condition is false again


@dataclass(frozen=True, slots=True)
class PodLags:
    """How long a Pod takes: deletion to its process gone, creation to its address, address to ready."""

    shutdown: Lag
    address: Lag
    ready: Lag


@dataclass(frozen=True, slots=True)
class Churn:
    """Pods that are replaced at random: how many a second, and how each ends; ``spared`` are left to events."""

    replacements_per_s: float
    ends_ns: Callable[[I64], I64] = lambda shutdown_ns: shutdown_ns  # deletion to gone, given what SIGTERM takes
    spared: I64 | None = None  # Pods


@dataclass(frozen=True, slots=True)
class Spells:
    """Stretches of time in which something is the case with things that have numbers, (s,); none overlap."""

    of: I64
    from_ns: I64
    until_ns: I64

    @staticmethod
    def made_of(spells: Iterable[tuple[int, int, int]]) -> Spells:
        """Spells in order of the thing and of time."""
        table = np.array(sorted(spells), np.int64).reshape(-1, 3)
        return Spells(*(np.asarray(freeze(column)) for column in table.T.copy()))

    def __len__(self) -> int:
        return len(self.of)

    def cover(self, which: I64, time_ns: I64) -> Bools:
        """Whether it is the case with each of ``which`` at ``time_ns``; broadcast."""
        which, time_ns = np.broadcast_arrays(which, time_ns)
        if not len(self):
            return np.zeros(which.shape, np.bool_)
        starts = np.unique(self.from_ns)  # ranks in time, because things and times side by side overflow
        key = self.of * (len(starts) + 1) + np.searchsorted(starts, self.from_ns, side="right")
        asked = which * (len(starts) + 1) + np.searchsorted(starts, time_ns, side="right")
        at = np.maximum(np.searchsorted(key, asked, side="right") - 1, 0)
        inside = (self.of[at] == which) & (self.from_ns[at] <= time_ns) & (time_ns < self.until_ns[at])
        return np.asarray(inside, np.bool_)


NOWHERE = Spells.made_of(())


@dataclass(frozen=True, slots=True)
class Course:
    """How the Pods concerned stood after each change of an event's course, (t,) each; times since the run began."""

    time_ns: I64
    old_ready: I64  # there when the event began
    new_ready: I64
    starting: I64  # with or without an address, not ready
    terminating: I64

    @staticmethod
    def of(
        told: Sequence[tuple[int, ChangeKind, int]], old: set[int], new: set[int], ready: set[int], from_ns: int
    ) -> Course:
        """Count Pods by what they are, from the beginning of an event on."""
        state = {pod: "ready" if pod in ready else "starting" for pod in old}
        counts = {"old ready": len(ready), "new ready": 0, "starting": len(old) - len(ready), "terminating": 0}
        after = {
            ChangeKind.POD_APPEARED: "starting",
            ChangeKind.POD_READY: "ready",
            ChangeKind.POD_UNREADY: "starting",
            ChangeKind.POD_TERMINATING: "terminating",
            ChangeKind.POD_GONE: "",
        }
        rows = [(from_ns, *counts.values())]
        for at_ns, kind, pod in told:
            late = kind is ChangeKind.POD_UNREADY and state.get(pod) == "terminating"
            if late or (pod not in old and pod not in new):
                continue
            age = "old " if pod in old else "new "
            for name, step in ((state.get(pod, ""), -1), (after[kind], 1)):
                if name:
                    counts[age + name if name == "ready" else name] += step
            state[pod] = after[kind]
            now_ns = max(at_ns, from_ns)
            if now_ns == rows[-1][0]:
                rows.pop()
            rows.append((now_ns, *counts.values()))
        return Course(*np.array(rows, np.int64).T.copy())


@dataclass(frozen=True, slots=True)
class EventTrace:
    """What came of one event: outages of Pods, readiness taken from Pods (r,), and its course."""

    event: Event
    outages: Spells  # of Pods; each Pod at most once
    removed_pod: I64
    removed_ns: I64
    course: Course


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes in order of time, (c,); and every Pod of the run, (k,): those of the cluster, then the replacements."""

    at_ns: I64
    kind: I64
    subject: I64  # Pod, or Service for SERVICE_CREATED
    pod_slot: I64  # the Pod of time zero whose place it took (itself for those)
    pod_ip: U32
    pod_gone_ns: I64  # its process no longer answers from here on; NEVER for survivors
    pod_home: I64 | None = None  # the node each is on; None: as the cluster deals them
    outages: Spells = field(default_factory=lambda: NOWHERE)  # of Pods whose process answers again afterwards
    lost: Spells = field(default_factory=lambda: NOWHERE)  # nodes
    events: tuple[EventTrace, ...] = ()

    def __len__(self) -> int:
        return len(self.at_ns)


def draw_changes(
    cluster: Cluster,
    churn: Churn,
    lags: PodLags,
    duration_s: float,
    rng: np.random.Generator,
) -> Changes:
    """Draw a run's changes: Pods behind endpoints are replaced at random, Services beyond ``initial`` are created.

    Creations are placed uniformly in the run: a Poisson process given its count.
    """
    horizon = to_ns(duration_s)
    eligible = np.unique(cluster.endpoint_pod)
    if churn.spared is not None:
        eligible = np.setdiff1d(eligible, churn.spared)
    n = int(rng.poisson(churn.replacements_per_s * duration_s)) if len(eligible) else 0
    start = np.sort(rng.integers(0, max(horizon, 1), n))
    slot = eligible[rng.integers(0, len(eligible), n)] if n else np.zeros(0, np.int64)
    gone = start + churn.ends_ns(lags.shutdown.draw(rng, n))
    appeared = start + lags.address.draw(rng, n)
    ready = appeared + lags.ready.draw(rng, n)
    new_pod = cluster.pods + np.arange(n)
    old_pod = _previous_holder(slot, new_pod)
    born = np.sort(rng.integers(0, max(horizon, 1), len(cluster.services.ports) - cluster.initial))

    # a Pod replaced before it was ready never gets there
    next_start = np.full(n, NEVER)
    by_old = old_pod - cluster.pods
    next_start[by_old[by_old >= 0]] = start[by_old >= 0]
    lives = ready < next_start
    appears = appeared < next_start

    at = np.concatenate([start, appeared[appears], ready[lives], gone, born])
    kind = np.repeat(np.arange(5), [n, int(appears.sum()), int(lives.sum()), n, len(born)])
    subject = np.concatenate(
        [old_pod, new_pod[appears], new_pod[lives], old_pod, cluster.initial + np.arange(len(born))]
    )
    order = np.lexsort((kind, at))
    within = order[at[order] < horizon]
    pod_gone = np.full(cluster.pods + n, NEVER)
    pod_gone[old_pod] = gone
    first_free = int(cluster.pod_ip.max()) + 1 if cluster.pods else 1
    return Changes(
        at_ns=np.asarray(freeze(at[within])),
        kind=np.asarray(freeze(kind[within])),
        subject=np.asarray(freeze(subject[within])),
        pod_slot=np.asarray(freeze(np.concatenate([np.arange(cluster.pods), slot]))),
        pod_ip=freeze(np.concatenate([cluster.pod_ip, first_free + np.arange(n)]).astype(np.uint32)),
        pod_gone_ns=np.asarray(freeze(pod_gone)),
    )


def _previous_holder(slot: I64, new_pod: I64) -> I64:
    """Who held each slot before, (n,): the Pod of time zero, or the replacement before this one."""
    order = np.argsort(slot, kind="stable")
    sorted_slot = slot[order]
    previous = slot.copy()
    again = np.flatnonzero(sorted_slot[1:] == sorted_slot[:-1]) + 1
    previous[order[again]] = new_pod[order[again - 1]]
    return previous
