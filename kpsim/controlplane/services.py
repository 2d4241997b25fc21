"""An EndpointSlice write has two sides: the controllers' knowledge of a Service, and the committed part of it.

``wanted`` is the informer's view of the Pods a Service selects; ``committed`` is what its slices hold in the API, which
is what every kube-proxy will come to know.  Only Services that change are ever unfolded from the columns.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from kpsim.cluster.changes import ChangeKind, Changes
from kpsim.cluster.columns import Cluster, PodState, string_order
from kpsim.controlplane.slices import Slice

READY, SERVING, TERMINATING = int(PodState.READY), int(PodState.SERVING), int(PodState.TERMINATING)
SECOND_NS = 1_000_000_000  # API times have a resolution of one second
ABSENT = -1  # the state of a Pod that is not there at time zero, though it has a place
_ITSELF = -1  # the Service among its Pods


@dataclass(slots=True)
class _Service:
    wanted: dict[int, int]
    committed: dict[int, int]
    pieces: dict[int, dict[int, int]]  # slice -> its endpoints as committed
    ready: list[int]  # committed and ready, in kube-proxy's order
    usable: tuple[int, ...]
    moved: dict[int, int] = field(default_factory=dict)  # Pod or _ITSELF -> its new transition time [whole s]
    taken: dict[int, int] = field(default_factory=dict)  # the same as of the last sync that looked
    pending: dict[int, list[tuple[int, bool]]] = field(default_factory=dict)  # Pod -> (when, to ready or not)


def _move(state: _Service, pod: int, at_ns: int) -> None:
    """A Pod's Ready condition has another transition time, which counts if that is a later second than before."""
    second = at_ns // SECOND_NS
    if second > state.taken.get(pod, -1):
        state.moved[pod] = second


def _note(state: _Service, pod: int, at_ns: int, *, to_ready: bool) -> None:
    """Remember a change of readiness until a write carries it; an older pair that no write carried is forgotten."""
    changes = state.pending.setdefault(pod, [])
    committed = bool(state.committed.get(pod, 0) & READY)
    if len(changes) == 2 and changes[0][1] != committed:
        changes.clear()
    changes.append((at_ns, to_ready))


def _take_effects(state: _Service) -> list[int]:
    """Return the times [ns] of changes that are in the committed slices now and were not before.

    A Pod that became ready and was deleted before any write said so has no effect at all; one whose write was already
    under way was in force for a moment, and both its changes count.
    """
    effects = []
    for pod, changes in list(state.pending.items()):
        bits = state.committed.get(pod, 0)
        at_ns, to_ready = changes[0]
        if bool(bits & READY) == to_ready:
            effects.append(at_ns)
            del changes[0]
        elif len(changes) > 1 and (bits & TERMINATING or pod not in state.wanted):
            changes.clear()
        if not changes:
            del state.pending[pod]
    return effects


@dataclass(frozen=True, slots=True)
class Commit:
    """A write leaves this behind: the Service's usable Pods, its number of endpoints, and the changes it brought."""

    usable: tuple[int, ...]
    leaving: tuple[int, ...]  # under a Local policy: terminating Pods that serve while others are ready
    endpoints: int
    changed: int  # usable endpoints that came or went
    effects_ns: tuple[int, ...]  # when the readiness changes happened that this write is the first to carry


def usable_first(endpoints: dict[int, int], ready: Sequence[int], keys: Sequence[int]) -> tuple[int, ...]:
    """Return the endpoints that get traffic: the ready ones, or else those still serving while they terminate.

    Source: pkg/proxy/topology.go (CategorizeEndpoints); traffic policies and hints are not looked at.
    """
    if ready:
        return tuple(ready)
    fallback = [pod for pod, bits in endpoints.items() if bits & SERVING and bits & TERMINATING]
    return tuple(sorted(fallback, key=keys.__getitem__))


class ServiceStates:
    """Per-Service state of the EndpointSlice controller and of the API."""

    def __init__(self, cluster: Cluster, changes: Changes) -> None:
        self._cluster = cluster
        # two Pods may share an address (host network), so the Pod itself settles the order
        self._keys: list[int] = ((string_order(changes.pod_ip) << 31) + np.arange(len(changes.pod_ip))).tolist()
        self._slot: list[int] = changes.pod_slot.tolist()
        self._state: list[int] = cluster.pod_state.tolist()
        self._services: dict[int, _Service] = {}
        self._local: list[bool] = (cluster.services.internal_local | cluster.services.external_local).tolist()
        self._created: set[int] = set()
        self._deleted: set[int] = set()
        self._published = {row for row, service in cluster.read.items() if service.publish_not_ready_addresses}
        self._hinted = {row for row, _ in cluster.hints}
        self._by_pod = np.argsort(cluster.endpoint_pod, kind="stable")
        self._sorted_pods = cluster.endpoint_pod[self._by_pod]

    def proxied(self, service: int) -> bool:
        """Return True if kube-proxies watch this Service's slices (headless ones are filtered out)."""
        return bool(self._cluster.services.proxied[service])

    def hinted(self, service: int) -> bool:
        """Return True if its slices name zones or nodes for each endpoint; hints only make them larger here."""
        return service in self._hinted

    def had_slices(self, service: int) -> bool:
        """Return True if the Service existed, with its slices, before time zero."""
        return service < self._cluster.initial

    def at_start(self, service: int) -> dict[int, int]:
        """Return the endpoints a Service had at time zero, with their bits."""
        pods = self._cluster.endpoints(service).tolist()
        return {pod: self._state[pod] for pod in pods if self._state[pod] != ABSENT}

    def endpoints(self, service: int) -> dict[int, int]:
        """Return the endpoints its slices should hold, as the informer sees the Pods."""
        return self._get(service).wanted

    def adopt(self, service: int, slices: list[Slice]) -> None:
        """Take slices that existed before time zero as committed."""
        self._get(service).pieces = {id(piece): dict(piece.endpoints) for piece in slices}

    def create(self, service: int, at_ns: int) -> None:
        """Let a Service come into being: what its Pods did before is no change of its."""
        self._created.add(service)
        state = self._get(service)
        state.pending.clear()
        state.moved = {_ITSELF: at_ns // SECOND_NS}  # a first sync counts nothing else

    def delete(self, service: int) -> None:
        """Let a Service go: nothing that happens to its Pods is news of it any more."""
        self._deleted.add(service)

    def deleted(self, service: int) -> bool:
        """Return True if the Service is gone."""
        return service in self._deleted

    def committed(self, service: int) -> Commit:
        """Return what was committed of a Service, as a write that brings no news."""
        state = self._get(service)
        return Commit(state.usable, self._leaving(state, service), len(state.committed), 0, ())

    def take_trigger(self, service: int) -> int:
        """The earliest transition since the last call [ns, whole seconds], or -1: the next writes' annotation.

        Source: endpointslice/util/trigger_time_tracker.go: of each Pod it selects, the Ready condition's transition
        time, if that is a later second than at the last sync.
        """
        state = self._get(service)
        if not state.moved:
            return -1
        first_s = state.moved[_ITSELF] if _ITSELF in state.moved else min(state.moved.values())
        state.taken.update(state.moved)
        state.moved.clear()
        return first_s * SECOND_NS

    def apply(self, kind: ChangeKind, pod: int, at_ns: int) -> list[int]:
        """Let the informer see a Pod change that happened at ``at_ns``; the Services that became dirty."""
        dirty = [s for s in self._owners(self._slot[pod]) if self._apply(self._get(s), s, kind, pod, at_ns)]
        return [s for s in dirty if (self.had_slices(s) or s in self._created) and s not in self._deleted]

    def _owners(self, slot: int) -> list[int]:
        """Return the Services whose selectors match the Pods in a slot."""
        lo, hi = np.searchsorted(self._sorted_pods, [slot, slot + 1])
        rows = self._by_pod[lo:hi]
        owners: list[int] = (np.searchsorted(self._cluster.endpoint_offset, rows, side="right") - 1).tolist()
        return owners

    def _apply(self, state: _Service, service: int, kind: ChangeKind, pod: int, at_ns: int) -> bool:
        """Change what is wanted; whether the Service is queued for it."""
        before = state.wanted.get(pod)
        match kind:
            case ChangeKind.POD_CREATED:
                return True
            case ChangeKind.POD_POSTED:  # a first transition time, which queues nothing
                _move(state, pod, at_ns)
                return False
            case ChangeKind.POD_APPEARED:
                if before is not None:
                    return False
                if pod not in state.moved and pod not in state.taken:
                    _move(state, pod, at_ns)
                self._want(state, pod, READY if service in self._published else 0, at_ns)
            case ChangeKind.POD_READY:
                return self._ready(state, service, pod, at_ns)
            case ChangeKind.POD_UNREADY:
                return self._unready(state, service, pod, at_ns)
            case ChangeKind.POD_TERMINATING:
                if before is None:
                    return False
                published = READY if service in self._published else 0
                self._want(state, pod, before & SERVING | TERMINATING | published, at_ns)
            case ChangeKind.POD_EXITED:
                return self._exit(state, pod, at_ns)
            case _:  # who is no more in the list has no time to look at
                self._want(state, pod, None, at_ns)
                state.moved.pop(pod, None)
                state.taken.pop(pod, None)
        return True

    def _exit(self, state: _Service, pod: int, at_ns: int) -> bool:
        before = state.wanted.get(pod)
        if before is None:
            return False
        if before & SERVING:
            _move(state, pod, at_ns)
        self._want(state, pod, None, at_ns)
        return True

    def _ready(self, state: _Service, service: int, pod: int, at_ns: int) -> bool:
        before = state.wanted.get(pod, 0)
        if before & SERVING:
            return bool(before & TERMINATING)
        _move(state, pod, at_ns)
        bits = READY | SERVING if not before & TERMINATING or service in self._published else SERVING
        self._want(state, pod, before & TERMINATING | bits, at_ns)
        return True

    def _unready(self, state: _Service, service: int, pod: int, at_ns: int) -> bool:
        before = state.wanted.get(pod, 0)
        if not before & SERVING:
            return bool(before & TERMINATING)  # every update of a Pod that is terminating queues its Services
        _move(state, pod, at_ns)
        left = before & ~SERVING if service in self._published else before & TERMINATING
        self._want(state, pod, left, at_ns)
        return True

    def _want(self, state: _Service, pod: int, bits: int | None, at_ns: int) -> None:
        """Set the condition bits that the slices should hold for ``pod``; ``None`` takes it out."""
        before = state.wanted.get(pod, 0)
        if (before ^ (bits or 0)) & READY:
            _note(state, pod, at_ns, to_ready=not before & READY)
        if bits is None:
            state.wanted.pop(pod, None)
        else:
            state.wanted[pod] = bits

    def commit(self, service: int, piece: int, endpoints: dict[int, int]) -> Commit:
        """Commit one slice."""
        state = self._get(service)
        before = state.pieces.get(piece, {})
        for pod in before.keys() - endpoints.keys():
            self._place(state, pod, None)
        for pod, bits in endpoints.items():
            if before.get(pod) != bits:
                self._place(state, pod, bits)
        if endpoints:
            state.pieces[piece] = endpoints
        else:
            state.pieces.pop(piece, None)
        old, state.usable = state.usable, usable_first(state.committed, state.ready, self._keys)
        changed = 0 if old == state.usable else len(set(old) ^ set(state.usable))
        leaving = self._leaving(state, service)
        return Commit(state.usable, leaving, len(state.committed), changed, tuple(_take_effects(state)))

    def _leaving(self, state: _Service, service: int) -> tuple[int, ...]:
        return usable_first(state.committed, (), self._keys) if state.ready and self._local[service] else ()

    def _place(self, state: _Service, pod: int, bits: int | None) -> None:
        """Set (or remove) one committed endpoint, keeping the ready ones in order."""
        was = state.committed.get(pod, 0) & READY
        now = (bits or 0) & READY
        if bits is None:
            state.committed.pop(pod, None)
        else:
            state.committed[pod] = bits
        if was != now:
            at = bisect_left(state.ready, self._keys[pod], key=self._keys.__getitem__)
            if now:
                state.ready.insert(at, pod)
            else:
                del state.ready[at]

    def _get(self, service: int) -> _Service:
        state = self._services.get(service)
        if state is None:
            wanted = self.at_start(service)
            committed = dict(wanted) if self.had_slices(service) else {}
            ready = [pod for pod, bits in committed.items() if bits & READY]  # columns are in kube-proxy's order
            usable = usable_first(committed, ready, self._keys)
            state = self._services[service] = _Service(wanted, committed, {}, ready, usable)
        return state
