"""An EndpointSlice write has two sides: the controllers' knowledge of a Service, and the committed part of it.

``wanted`` is the informer's view of the Pods a Service selects; ``committed`` is what its slices hold in the API, which
is what every kube-proxy will come to know.  Only Services that change are ever unfolded from the columns, and each
change or write costs what it is about, not what the Service holds.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from kpsim.cluster.changes import OF_SERVICES, ChangeKind, Changes
from kpsim.cluster.columns import Cluster, PodState, string_order
from kpsim.units import I64

READY, SERVING, TERMINATING = int(PodState.READY), int(PodState.SERVING), int(PodState.TERMINATING)
LEAVING = SERVING | TERMINATING
SECOND_NS = 1_000_000_000  # API times have a resolution of one second
ABSENT = -1  # the state of a Pod that is not there at time zero, though it has a place
_ITSELF = -1  # the Service among its Pods


@dataclass(slots=True, eq=False)
class _Unwritten:
    """Changes of a Pod's readiness that no write carries yet, and when among its Service's Pods the first came."""

    turn: int
    changes: list[tuple[int, bool]] = field(default_factory=list)  # when, to ready or not


@dataclass(slots=True, eq=False)
class _Service:
    wanted: dict[int, int]
    committed: dict[int, int]
    ready: array[int]  # committed and ready, in kube-proxy's order
    keys: list[int]  # of these, which they are ordered by
    leaving: set[int]  # committed, serving and terminating
    fallback: tuple[int, ...]  # usable Pods while none is ready
    news: dict[int, None] = field(default_factory=dict)  # Pods that the next sync looks at, newcomers as they came
    before: dict[int, int | None] = field(default_factory=dict)  # changed Pods' bits when the Endpoints were last made
    moved: dict[int, int] = field(default_factory=dict)  # Pod or _ITSELF -> its new transition time [whole s]
    taken: dict[int, int] = field(default_factory=dict)  # the same as of the last sync that looked
    unwritten: dict[int, _Unwritten] = field(default_factory=dict)
    look: set[int] = field(default_factory=set)  # of these, Pods that changed since the last write
    turns: int = 0


def _move(state: _Service, pod: int, at_ns: int) -> None:
    """A Pod's Ready condition has another transition time, which counts if that is a later second than before."""
    second = at_ns // SECOND_NS
    if second > state.taken.get(pod, -1):
        state.moved[pod] = second


def _note(state: _Service, pod: int, at_ns: int, *, to_ready: bool) -> None:
    """Remember a change of readiness until a write carries it; an older pair that no write carried is forgotten."""
    unwritten = state.unwritten.get(pod)
    if unwritten is None:
        state.turns += 1
        unwritten = state.unwritten[pod] = _Unwritten(state.turns)
    changes = unwritten.changes
    if len(changes) == 2 and changes[0][1] != bool(state.committed.get(pod, 0) & READY):
        changes.clear()
    changes.append((at_ns, to_ready))


def _take_effects(state: _Service) -> list[int]:
    """Return the times [ns] of changes that are in the committed slices now and were not before.

    A Pod that became ready and was deleted before any write said so has no effect at all; one whose write was already
    under way was in force for a moment, and both its changes count.
    """
    unwritten, again, effects = state.unwritten, set(), []
    for pod in sorted(state.look, key=lambda pod: unwritten[pod].turn) if len(state.look) > 1 else state.look:
        bits, changes = state.committed.get(pod, 0), unwritten[pod].changes
        at_ns, to_ready = changes[0]
        if bool(bits & READY) == to_ready:
            effects.append(at_ns)
            del changes[0]
            again.add(pod)  # for what is left
        elif len(changes) > 1 and (bits & TERMINATING or pod not in state.wanted):
            changes.clear()
        if not changes:
            del unwritten[pod]
            again.discard(pod)
    state.look = again
    return effects


class Commit(NamedTuple):
    """A write leaves this behind: the Service's usable Pods, its number of endpoints, and the changes it brought."""

    usable: Sequence[int]  # as they are now; they go on changing
    leaving: Sequence[int]  # under a Local policy: terminating Pods that serve while others are ready
    endpoints: int
    changed: int  # usable endpoints that came or went
    effects_ns: Sequence[int]  # when the readiness changes happened that this write is the first to carry


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
        self._proxied: list[bool] = cluster.services.proxied.tolist()
        self._created: set[int] = set()
        self._deleted: set[int] = set()
        self._published = {row for row, service in cluster.read.items() if service.publish_not_ready_addresses}
        self._hinted = {row for row, _ in cluster.hints}
        self._initial = cluster.initial
        self._owners = _owners(cluster, changes)
        self._acts: dict[int, Callable[[_Service, int, int, int], bool]] = {
            ChangeKind.POD_CREATED: lambda _state, _service, _pod, _at_ns: True,
            ChangeKind.POD_POSTED: self._post,
            ChangeKind.POD_APPEARED: self._appear,
            ChangeKind.POD_READY: self._ready,
            ChangeKind.POD_UNREADY: self._unready,
            ChangeKind.POD_TERMINATING: self._terminate,
            ChangeKind.POD_EXITED: self._exit,
            ChangeKind.POD_GONE: self._go,
        }

    def proxied(self, service: int) -> bool:
        """Return True if kube-proxies watch this Service's slices (headless ones are filtered out)."""
        return self._proxied[service]

    def hinted(self, service: int) -> bool:
        """Return True if its slices name zones or nodes for each endpoint; hints only make them larger here."""
        return service in self._hinted

    def had_slices(self, service: int) -> bool:
        """Return True if the Service existed, with its slices, before time zero."""
        return service < self._initial

    def at_start(self, service: int) -> dict[int, int]:
        """Return the endpoints a Service had at time zero, with their bits."""
        state = self._state
        return {pod: state[pod] for pod in self._cluster.endpoints(service).tolist() if state[pod] != ABSENT}

    def endpoints(self, service: int) -> Mapping[int, int]:
        """Return the endpoints its slices should hold, as the informer sees the Pods."""
        return self._get(service).wanted

    def take_news(self, service: int) -> dict[int, int | None]:
        """Return the endpoints that changed since the last call, with the bits they should have; None: none at all."""
        state = self._get(service)
        if not state.news:
            return {}
        wanted = state.wanted
        news = {pod: wanted.get(pod) for pod in state.news}
        state.news.clear()
        return news

    def take_before(self, service: int) -> dict[int, int | None]:
        """Return the endpoints that changed since the last call, with the bits they had then."""
        state = self._get(service)
        before, state.before = state.before, {}
        return before

    def create(self, service: int, at_ns: int) -> None:
        """Let a Service come into being: what its Pods did before is no change of its."""
        self._created.add(service)
        state = self._get(service)
        state.unwritten.clear()
        state.look.clear()
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
        return Commit(state.ready or state.fallback, self._leaving(state, service), len(state.committed), 0, ())

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

    def apply(self, kind: int, pod: int, at_ns: int) -> list[int]:
        """Let the informer see a Pod change that happened at ``at_ns``; the Services that became dirty."""
        dirty, act = [], self._acts[kind]
        for service in self._owners.get(self._slot[pod], ()):
            known = (service < self._initial or service in self._created) and service not in self._deleted
            if act(self._get(service), service, pod, at_ns) and known:
                dirty.append(service)
        return dirty

    def _post(self, state: _Service, _service: int, pod: int, at_ns: int) -> bool:
        """A first transition time, which queues nothing."""
        _move(state, pod, at_ns)
        return False

    def _appear(self, state: _Service, service: int, pod: int, at_ns: int) -> bool:
        if pod in state.wanted:
            return False
        if pod not in state.moved and pod not in state.taken:
            _move(state, pod, at_ns)
        self._want(state, pod, READY if service in self._published else 0, at_ns)
        return True

    def _terminate(self, state: _Service, service: int, pod: int, at_ns: int) -> bool:
        before = state.wanted.get(pod)
        if before is None:
            return False
        published = READY if service in self._published else 0
        self._want(state, pod, before & SERVING | TERMINATING | published, at_ns)
        return True

    def _go(self, state: _Service, _service: int, pod: int, at_ns: int) -> bool:
        """A Pod that is no more in the list has no time to look at."""
        self._want(state, pod, None, at_ns)
        state.moved.pop(pod, None)
        state.taken.pop(pod, None)
        return True

    def _exit(self, state: _Service, _service: int, pod: int, at_ns: int) -> bool:
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

    def want(self, service: int, pod: int, bits: int | None, at_ns: int) -> None:
        """Set the condition bits that a Service's slices should hold for ``pod``; ``None`` takes it out."""
        self._want(self._get(service), pod, bits, at_ns)

    def _want(self, state: _Service, pod: int, bits: int | None, at_ns: int) -> None:
        before = state.wanted.get(pod)
        if before == bits:
            return
        was_ready = (before or 0) & READY
        if was_ready != (bits or 0) & READY:
            _note(state, pod, at_ns, to_ready=not was_ready)
        if pod in state.unwritten:
            state.look.add(pod)
        state.before.setdefault(pod, before)
        if bits is None:
            del state.wanted[pod]
        else:
            state.wanted[pod] = bits
            if before is None:  # it comes after those that are there
                state.news.pop(pod, None)
        state.news[pod] = None

    def commit(self, service: int, news: Mapping[int, int | None]) -> Commit:
        """Commit what is new in one slice: endpoint -> bits, ``None`` if it is there no more."""
        state = self._get(service)
        had_ready, old = bool(state.ready), state.fallback
        moved = self._place(state, news.items())
        usable: Sequence[int] = state.ready
        if not state.ready:
            usable = state.fallback = self._in_order(state.leaving)
        both = had_ready and state.ready
        changed = len(moved) if both else len(set(moved if had_ready else old) ^ set(usable))
        if state.unwritten:
            state.look.update(pod for pod in news if pod in state.unwritten)
        effects = _take_effects(state) if state.look else ()
        return Commit(usable, self._leaving(state, service), len(state.committed), changed, effects)

    def _leaving(self, state: _Service, service: int) -> tuple[int, ...]:
        return self._in_order(state.leaving) if self._local[service] and state.ready else ()

    def _in_order(self, pods: Iterable[int]) -> tuple[int, ...]:
        """Return Pods in kube-proxy's order."""
        return tuple(sorted(pods, key=self._keys.__getitem__))

    def _place(self, state: _Service, news: Iterable[tuple[int, int | None]]) -> list[int]:
        """Set (or remove) committed endpoints, keeping the ready ones in order; those that became ready or no more."""
        moved, committed = [], state.committed
        for pod, bits in news:
            before, after = committed.get(pod, 0), bits or 0
            if bits is None:
                committed.pop(pod, None)
            else:
                committed[pod] = bits
            if (before ^ after) & READY:
                moved.append(pod)
                key = self._keys[pod]
                at = bisect_left(state.keys, key)
                if after & READY:
                    state.keys.insert(at, key)
                    state.ready.insert(at, pod)
                else:
                    del state.keys[at], state.ready[at]
            if after & LEAVING == LEAVING:
                state.leaving.add(pod)
            elif before & LEAVING == LEAVING:
                state.leaving.discard(pod)
        return moved

    def _get(self, service: int) -> _Service:
        """Return a Service's state, unfolded from the columns when it is first asked for.

        Its usable Pods are the ready ones, or else those still serving while they terminate; traffic policies and hints
        are not looked at.  Source: pkg/proxy/topology.go (CategorizeEndpoints).
        """
        state = self._services.get(service)
        if state is None:
            wanted = self.at_start(service)
            committed = dict(wanted) if self.had_slices(service) else {}
            ready = [pod for pod, bits in committed.items() if bits & READY]  # columns are in kube-proxy's order
            leaving = {pod for pod, bits in committed.items() if bits & LEAVING == LEAVING}
            keys, fallback = [self._keys[pod] for pod in ready], () if ready else self._in_order(leaving)
            state = _Service(wanted, committed, array("i", ready), keys, leaving, fallback)
            self._services[service] = state
        return state


def _owners(cluster: Cluster, changes: Changes) -> dict[int, list[int]]:
    """Return the Services whose selectors match the Pods in a slot, for all slots that change."""
    of_pods = ~np.isin(changes.kind, OF_SERVICES)
    slots = np.unique(changes.pod_slot[changes.subject[of_pods]])
    order = np.argsort(cluster.endpoint_pod, kind="stable")
    pods = cluster.endpoint_pod[order]
    low, high = (np.searchsorted(pods, slots, side=side) for side in ("left", "right"))
    offset = np.concatenate([[0], np.cumsum(high - low)])
    rows = order[np.repeat(low - offset[:-1], high - low) + np.arange(offset[-1])]
    owner: list[int] = (np.searchsorted(cluster.endpoint_offset, rows, side="right") - 1).tolist()
    ends: I64 = offset
    return {slot: owner[a:b] for slot, (a, b) in zip(slots.tolist(), pairwise(ends.tolist()), strict=True)}
