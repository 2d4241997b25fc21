"""Changes: what happens to Pods and Services during a run, drawn before any engine starts.

A Pod replacement is what a Deployment does when a Pod is deleted: the old Pod gets its deletionTimestamp (endpoint
terminating), a new one gets an address (endpoint not ready), becomes ready, and the old one's object goes.  Each is
one change, and each may cost an EndpointSlice write.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from kpsim.cluster.columns import Cluster, freeze
from kpsim.profiles.defaults import Lag
from kpsim.units import I64, U32, to_ns

__all__ = ["NEVER", "ChangeKind", "Changes", "PodLags", "draw_changes"]

NEVER = 1 << 62  # a time [ns] after every other


class ChangeKind(IntEnum):
    """What happened."""

    POD_TERMINATING = 0
    POD_APPEARED = 1  # has an address, is not ready
    POD_READY = 2
    POD_GONE = 3  # the object is deleted
    SERVICE_CREATED = 4


@dataclass(frozen=True, slots=True)
class PodLags:
    """How long a Pod takes: deletion to its process gone, creation to its address, address to ready."""

    shutdown: Lag
    address: Lag
    ready: Lag


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes in order of time, (c,); and every Pod of the run, (k,): those of the cluster, then the replacements."""

    at_ns: I64
    kind: I64
    subject: I64  # Pod, or Service for SERVICE_CREATED
    pod_slot: I64  # the Pod of time zero whose place it took (itself for those)
    pod_ip: U32
    pod_gone_ns: I64  # its process no longer answers from here on; NEVER for survivors

    def __len__(self) -> int:
        return len(self.at_ns)


def draw_changes(
    cluster: Cluster,
    replacements_per_s: float,
    lags: PodLags,
    duration_s: float,
    rng: np.random.Generator,
) -> Changes:
    """Draw a run's changes: Pods behind endpoints are replaced at random, Services beyond ``initial`` are created.

    Creations are placed uniformly in the run: a Poisson process given its count.
    """
    horizon = to_ns(duration_s)
    eligible = np.unique(cluster.endpoint_pod)
    n = int(rng.poisson(replacements_per_s * duration_s)) if len(eligible) else 0
    start = np.sort(rng.integers(0, max(horizon, 1), n))
    slot = eligible[rng.integers(0, len(eligible), n)] if n else np.zeros(0, np.int64)
    gone = start + lags.shutdown.draw(rng, n)
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
