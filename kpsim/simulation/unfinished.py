"""Changes that had not left the control plane when the run was over: in a kubelet, queue, bucket, seat or commit.

The history says how every Pod stands at the end, the deliveries which of its changes kube-proxies were sent: a change
is unwritten if nothing sent carries it, and the Pod still is as it left it.  A Pod that became ready and was deleted
before any write said so has no effect at all, as in :mod:`kpsim.controlplane.services`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kpsim.cluster.changes import OF_SERVICES, ChangeKind, Changes
from kpsim.cluster.columns import Cluster, PodState
from kpsim.controlplane.deliveries import STAGES, DeliveryLog
from kpsim.units import I64, Bools


@dataclass(frozen=True, slots=True)
class Unwritten:
    """The times of the changes that no delivery carries [ns], in order."""

    waiting_ns: I64
    overtaken_ns: I64  # taken back before anything said so, so that they have no effect


def find_unwritten(cluster: Cluster, changes: Changes, log: DeliveryLog) -> Unwritten:
    """Compare the history with what was sent."""
    of, (offset, effects_ns) = log.column("service"), log.ragged("effects_ns")
    told = Counter(zip(np.repeat(of, np.diff(offset)).tolist(), effects_ns.tolist(), strict=True))
    known = dict.fromkeys(range(cluster.initial), -1)  # Service -> changes up to here are no changes of its
    created = np.flatnonzero((log.column("creates") != 0) & (of >= cluster.initial))[::-1]
    written_ns = log.ragged("stages")[1].reshape(-1, len(STAGES))[created, -1]
    known |= dict(zip(of[created].tolist(), written_ns.tolist(), strict=True))
    proxied, published = (
        cluster.services.proxied,
        {s for s, read in cluster.read.items() if read.publish_not_ready_addresses},
    )
    owners = _Owners(cluster, changes)
    waiting: dict[tuple[int, int], int] = {}
    overtaken: list[int] = []
    for at_ns, kind, subject, ready, there in _readiness(cluster, changes, comings=bool(published)):
        if kind in OF_SERVICES:
            exists = kind == ChangeKind.SERVICE_CREATED or subject in known
            if proxied[subject] and exists and not told[subject, at_ns]:
                waiting[subject, -1] = at_ns
            elif kind == ChangeKind.SERVICE_DELETED:  # nobody waits for what has not been written of it
                known.pop(subject, None)
                waiting = {key: time for key, time in waiting.items() if key[0] != subject}
            continue
        for service in owners.of(subject):
            moved = there if service in published else ready
            if not moved or service not in known:
                continue
            key = service, subject
            if told[service, at_ns]:
                told[service, at_ns] -= 1
                waiting.pop(key, None)
            elif key in waiting:
                overtaken += [waiting.pop(key), at_ns]
            elif at_ns > known[service]:
                waiting[key] = at_ns
    return Unwritten(*(np.array(sorted(times), np.int64) for times in (waiting.values(), overtaken)))


class _Owners:
    """The Services that kube-proxies watch and that select a Pod, of those that change."""

    def __init__(self, cluster: Cluster, changes: Changes) -> None:
        pods = _pods(changes)
        slots = changes.pod_slot[pods]
        changing = np.zeros(int(max(slots.max(initial=0), cluster.endpoint_pod.max(initial=0))) + 1, np.bool_)
        changing[slots] = True
        at = np.flatnonzero(changing[cluster.endpoint_pod])
        owner = np.searchsorted(cluster.endpoint_offset, at, side="right") - 1
        at, owner = (column[cluster.services.proxied[owner]] for column in (at, owner))
        order = np.argsort(cluster.endpoint_pod[at], kind="stable")
        slot = cluster.endpoint_pod[at][order]
        self._services: list[int] = owner[order].tolist()
        low, high = (np.searchsorted(slot, slots, side).tolist() for side in ("left", "right"))
        self._of = {pod: slice(lo, hi) for pod, lo, hi in zip(pods.tolist(), low, high, strict=True)}

    def of(self, pod: int) -> list[int]:
        return self._services[self._of[pod]]


def _pods(changes: Changes) -> I64:
    """Return the Pods that change, in order: few of all, which is why nothing here is made for the others."""
    return np.unique(changes.subject[~np.isin(changes.kind, OF_SERVICES)])


def _readiness(cluster: Cluster, changes: Changes, *, comings: bool) -> Iterator[tuple[int, int, int, bool, bool]]:
    """Yield each change of a Service, and of a Pod whose readiness moved, or if ``comings`` that came or went.

    As (time, kind, subject, True if readiness moved, True if the Pod came or went).
    """
    of_services = np.isin(changes.kind, OF_SERVICES)
    rows = np.flatnonzero(~of_services)
    rows = rows[np.argsort(changes.subject[rows], kind="stable")]
    kind, pod = changes.kind[rows], changes.subject[rows]
    old = pod < len(cluster.pod_state)
    bits = np.zeros(len(pod), np.int64)
    bits[old] = cluster.pod_state[pod[old]]
    first = np.diff(pod, prepend=-1) != 0
    ends = kind == ChangeKind.POD_TERMINATING
    leaves = _after(first, ends, ends, bits & PodState.TERMINATING > 0)
    begins = (kind == ChangeKind.POD_READY) & ~leaves
    stops = ends | (kind == ChangeKind.POD_UNREADY)
    moved, came = np.zeros((2, len(changes)), np.bool_)
    moved[rows] = _moves(first, begins, stops, bits & PodState.READY > 0)
    if comings:
        came[rows] = _moves(first, kind == ChangeKind.POD_APPEARED, kind == ChangeKind.POD_GONE, old)
    told = np.flatnonzero(of_services | moved | came)
    columns = (changes.at_ns, changes.kind, changes.subject, moved, came)
    return zip(*(column[told].tolist() for column in columns), strict=True)


def _after(first: Bools, sets: Bools, to: Bools, start: Bools) -> Bools:
    """Return a flag of each Pod after each of its changes, which stand together from a ``first`` on, (c,).

    It is what ``start`` says until a change ``sets`` it ``to`` something.
    """
    at = np.maximum.accumulate(np.where(sets | first, np.arange(len(first)), 0))
    return np.asarray(np.where(sets, to, start)[at])


def _moves(first: Bools, begins: Bools, stops: Bools, start: Bools) -> Bools:
    """Return True for each change that moves a flag, (c,): it is true from ``begins`` on, false from ``stops`` on."""
    after = _after(first, begins | stops, begins, start)
    return np.asarray(after != np.where(first, start, np.roll(after, 1)))
