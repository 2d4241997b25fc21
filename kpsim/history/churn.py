"""Random churn: single Pods are replaced, Services are created.

A replacement is what a Deployment does when a Pod is deleted: the old Pod gets its deletionTimestamp (endpoint
terminating), a new one gets an address (endpoint not ready), becomes ready, and the old one ends: its kubelet posts a
terminal phase (from 1.27 on; not ready before), and deletes the object.  Each is a change, and most cost an
EndpointSlice write.  A new Pod's creation falls together with the old one's deletion, so it is no change of its own;
its kubelet posts a first status at once, which is the transition time that its endpoint comes with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kpsim.cluster.changes import NEVER, ChangeKind, Changes
from kpsim.cluster.columns import Cluster, freeze
from kpsim.profiles.defaults import Lag
from kpsim.units import I64, to_ns


@dataclass(frozen=True, slots=True)
class PodLags:
    """A Pod takes these times: deletion to its process gone, creation to its address, address to ready."""

    shutdown: Lag
    address: Lag
    ready: Lag


@dataclass(frozen=True, slots=True)
class Churn:
    """Pods that are replaced at random: how many a second, and how each ends; ``spared`` are left to events."""

    replacements_per_s: float
    ends_ns: Callable[[I64], I64] = lambda shutdown_ns: shutdown_ns  # deletion to gone, given what SIGTERM takes
    spared: I64 | None = None  # Pods
    exits: bool = True  # the end of a Pod is a terminal phase, else only that it is not ready
    leaves: Lag = Lag(0.0)  # from its end to its object's deletion


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

    deleted = gone + np.maximum(churn.leaves.draw(rng, n), 1)
    at = np.concatenate([start, appeared[appears], ready[lives], deleted, born, gone, start + 1])
    end = ChangeKind.POD_EXITED if churn.exits else ChangeKind.POD_UNREADY
    kinds = [
        ChangeKind.POD_TERMINATING,
        ChangeKind.POD_APPEARED,
        ChangeKind.POD_READY,
        ChangeKind.POD_GONE,
        ChangeKind.SERVICE_CREATED,
        end,
        ChangeKind.POD_POSTED,
    ]
    kind = np.repeat(kinds, [n, int(appears.sum()), int(lives.sum()), n, len(born), n, n])
    services = cluster.initial + np.arange(len(born))
    subject = np.concatenate([old_pod, new_pod[appears], new_pod[lives], old_pod, services, old_pod, new_pod])
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
    """Return the Pod that held each slot before, (n,): the Pod of time zero, or the replacement before this one."""
    order = np.argsort(slot, kind="stable")
    sorted_slot = slot[order]
    previous = slot.copy()
    again = np.flatnonzero(sorted_slot[1:] == sorted_slot[:-1]) + 1
    previous[order[again]] = new_pod[order[again - 1]]
    return previous
