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
from kpsim.controlplane.slices import Slice
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


class Commit(NamedTuple):
    """A write leaves this behind: the Service's usable Pods, its number of endpoints, and the changes it brought."""

    usable: Sequence[int]  # as they are now; they go on changing
    leaving: Sequence[int]  # under a Local policy: terminating Pods that serve while others are ready
    endpoints: int
    changed: int  # usable endpoints that came or went
    effects_ns: Sequence[int]  # when the readiness changes happened that this write is the first to carry


@dataclass(slots=True, eq=False)
class ServiceState:
    """One Service's Pods as the informer sees them, and as they are committed.

    Its usable Pods are the ready ones, or else, since 1.26, those still serving while they terminate; traffic policies
    and hints are not looked at.  Source: pkg/proxy/topology.go (CategorizeEndpoints).
    """

    service: int
    rank: list[int]  # of every Pod in kube-proxy's order
    wanted: dict[int, int]
    committed: dict[int, int]
    ready: array[int]  # committed and ready, in kube-proxy's order
    keys: list[int]  # of these, which they are ordered by
    leaving: set[int]  # committed, serving and terminating
    known: bool  # it is there, for its controllers
    local: bool
    published: int = 0  # READY if it publishes addresses that are not
    created_s: int = -1  # when it came into being; -1: before the run, and before any kube-proxy would count it
    falls_back: bool = True  # kube-proxies take Pods that terminate where none is ready
    deleted: bool = False
    fallback: tuple[int, ...] = ()  # usable Pods while none is ready
    slices: list[Slice] | None = None  # None before there are any, or before they are looked at
    news: dict[int, None] = field(default_factory=dict)  # Pods that the next sync looks at, newcomers as they came
    before: dict[int, int | None] = field(default_factory=dict)  # changed Pods' bits when the Endpoints were last made
    moved: dict[int, int] = field(default_factory=dict)  # Pod or _ITSELF -> its new transition time [whole s]
    taken: dict[int, int] = field(default_factory=dict)  # the same as of the last sync that looked
    unwritten: dict[int, _Unwritten] = field(default_factory=dict)
    look: set[int] = field(default_factory=set)  # of these, Pods that changed since the last write
    turns: int = 0

    def take_news(self) -> dict[int, int | None]:
        """Return the endpoints that changed since the last call, with the bits they should have; None: none at all."""
        wanted = self.wanted
        news = {pod: wanted.get(pod) for pod in self.news}
        self.news.clear()
        return news

    def take_before(self) -> dict[int, int | None]:
        """Return the endpoints that changed since the last call, with the bits they had then."""
        before, self.before = self.before, {}
        return before

    def take_trigger(self) -> int:
        """The earliest transition since the last call [ns, whole seconds], or -1: the next writes' annotation.

        Source: endpointslice/util/trigger_time_tracker.go: of each Pod it selects, the Ready condition's transition
        time, if that is a later second than at the last sync.
        """
        moved = self.moved
        if not moved:
            return -1
        first_s = moved[_ITSELF] if _ITSELF in moved else min(moved.values())
        self.taken.update(moved)
        moved.clear()
        return first_s * SECOND_NS if first_s >= 0 else -1

    def move(self, pod: int, at_ns: int) -> None:
        """A Pod's Ready condition has another transition time, which counts if that is a later second than before."""
        second = at_ns // SECOND_NS
        if second > self.taken.get(pod, -1):
            self.moved[pod] = second

    def want(self, pod: int, bits: int | None, at_ns: int) -> None:
        """Set the condition bits that the slices should hold for ``pod``; ``None`` takes it out."""
        before = self.wanted.get(pod)
        if before == bits:
            return
        was_ready = (before or 0) & READY
        if was_ready != (bits or 0) & READY:
            self._note(pod, at_ns, to_ready=not was_ready)
        if pod in self.unwritten:
            self.look.add(pod)
        self.before.setdefault(pod, before)
        if bits is None:
            del self.wanted[pod]
        else:
            self.wanted[pod] = bits
            if before is None:  # it comes after those that are there
                self.news.pop(pod, None)
        self.news[pod] = None

    def _note(self, pod: int, at_ns: int, *, to_ready: bool) -> None:
        """Remember a change of readiness until a write carries it; an older pair that no write carried is forgotten."""
        unwritten = self.unwritten.get(pod)
        if unwritten is None:
            self.turns += 1
            unwritten = self.unwritten[pod] = _Unwritten(self.turns)
        changes = unwritten.changes
        if len(changes) == 2 and changes[0][1] != bool(self.committed.get(pod, 0) & READY):
            changes.clear()
        changes.append((at_ns, to_ready))

    def as_committed(self) -> Commit:
        """Return what was committed, as a write that brings no news."""
        return Commit(self.ready or self.fallback, self._beside(), len(self.committed), 0, ())

    def commit(self, news: Mapping[int, int | None]) -> Commit:
        """Commit what is new in one slice: endpoint -> bits, ``None`` if it is there no more."""
        had_ready, old = bool(self.ready), self.fallback
        moved = self._place(news)
        usable: Sequence[int] = self.ready
        if not self.ready:
            usable = self.fallback = self.in_order(self.leaving)
        both = had_ready and self.ready
        changed = len(moved) if both else len(set(moved if had_ready else old) ^ set(usable))
        if self.unwritten:
            for pod in news:
                if pod in self.unwritten:
                    self.look.add(pod)
        effects = self._take_effects() if self.look else ()
        return Commit(usable, self._beside() if self.local else (), len(self.committed), changed, effects)

    def _beside(self) -> tuple[int, ...]:
        return self.in_order(self.leaving) if self.local and self.ready else ()

    def in_order(self, pods: Iterable[int]) -> tuple[int, ...]:
        """Return Pods in kube-proxy's order."""
        return tuple(sorted(pods, key=self.rank.__getitem__))

    def _place(self, news: Mapping[int, int | None]) -> list[int]:
        """Set (or remove) committed endpoints, keeping the ready ones in order; those that became ready or no more."""
        moved, committed = [], self.committed
        for pod, bits in news.items():
            before, after = committed.get(pod, 0), bits or 0
            if bits is None:
                committed.pop(pod, None)
            else:
                committed[pod] = bits
            if (before ^ after) & READY:
                moved.append(pod)
                key = self.rank[pod]
                at = bisect_left(self.keys, key)
                if after & READY:
                    self.keys.insert(at, key)
                    self.ready.insert(at, pod)
                else:
                    del self.keys[at], self.ready[at]
            if after & LEAVING == LEAVING and self.falls_back:
                self.leaving.add(pod)
            elif before & LEAVING == LEAVING:
                self.leaving.discard(pod)
        return moved

    def _take_effects(self) -> list[int]:
        """Return the times [ns] of changes that are in the committed slices now and were not before.

        A Pod that became ready and was deleted before any write said so has no effect at all; one whose write was
        already under way was in force for a moment, and both its changes count.
        """
        unwritten, again, effects = self.unwritten, set(), []
        for pod in sorted(self.look, key=lambda pod: unwritten[pod].turn) if len(self.look) > 1 else self.look:
            bits, changes = self.committed.get(pod, 0), unwritten[pod].changes
            at_ns, to_ready = changes[0]
            if bool(bits & READY) == to_ready:
                effects.append(at_ns)
                del changes[0]
                again.add(pod)  # for what is left
            elif len(changes) > 1 and (bits & TERMINATING or pod not in self.wanted):
                changes.clear()
            if not changes:
                del unwritten[pod]
                again.discard(pod)
        self.look = again
        return effects


def _create(_state: ServiceState, _pod: int, _at_ns: int) -> bool:
    return True


def _post(state: ServiceState, pod: int, at_ns: int) -> bool:
    """A first transition time, which queues nothing."""
    state.move(pod, at_ns)
    return False


def _appear(state: ServiceState, pod: int, at_ns: int) -> bool:
    if pod in state.wanted:
        return False
    if pod not in state.moved and pod not in state.taken:
        state.move(pod, at_ns)
    state.want(pod, state.published, at_ns)
    return True


def _terminate(state: ServiceState, pod: int, at_ns: int) -> bool:
    before = state.wanted.get(pod)
    if before is None:
        return False
    state.want(pod, before & SERVING | TERMINATING | state.published, at_ns)
    return True


def _go(state: ServiceState, pod: int, at_ns: int) -> bool:
    """A Pod that is no more in the list has no time to look at."""
    state.want(pod, None, at_ns)
    state.moved.pop(pod, None)
    state.taken.pop(pod, None)
    return True


def _exit(state: ServiceState, pod: int, at_ns: int) -> bool:
    before = state.wanted.get(pod)
    if before is None:
        return False
    if before & SERVING:
        state.move(pod, at_ns)
    state.want(pod, None, at_ns)
    return True


def _ready(state: ServiceState, pod: int, at_ns: int) -> bool:
    before = state.wanted.get(pod, 0)
    if before & SERVING:
        return bool(before & TERMINATING)
    state.move(pod, at_ns)
    bits = READY | SERVING if not before & TERMINATING or state.published else SERVING
    state.want(pod, before & TERMINATING | bits, at_ns)
    return True


def _unready(state: ServiceState, pod: int, at_ns: int) -> bool:
    before = state.wanted.get(pod, 0)
    if not before & SERVING:
        return bool(before & TERMINATING)  # every update of a Pod that is terminating queues its Services
    state.move(pod, at_ns)
    state.want(pod, before & ~SERVING if state.published else before & TERMINATING, at_ns)
    return True


# a change of a Pod as its Services see it; True if they are queued for it
_ACTS: dict[int, Callable[[ServiceState, int, int], bool]] = {
    ChangeKind.POD_CREATED: _create,
    ChangeKind.POD_POSTED: _post,
    ChangeKind.POD_APPEARED: _appear,
    ChangeKind.POD_READY: _ready,
    ChangeKind.POD_UNREADY: _unready,
    ChangeKind.POD_TERMINATING: _terminate,
    ChangeKind.POD_EXITED: _exit,
    ChangeKind.POD_GONE: _go,
}


class ServiceStates:
    """Per-Service state of the EndpointSlice controller and of the API."""

    def __init__(self, cluster: Cluster, changes: Changes) -> None:
        self._cluster = cluster
        # two Pods may share an address (host network), so the Pod itself settles the order
        self._rank: list[int] = ((string_order(changes.pod_ip) << 31) + np.arange(len(changes.pod_ip))).tolist()
        self._slot: list[int] = changes.pod_slot.tolist()
        self._bits: list[int] = cluster.pod_state.tolist()
        self._services: dict[int, ServiceState] = {}
        self._local: list[bool] = (cluster.services.internal_local | cluster.services.external_local).tolist()
        self._proxied: list[bool] = cluster.services.proxied.tolist()
        self._published = {row for row, service in cluster.read.items() if service.publish_not_ready_addresses}
        self._hinted = {row for row, _ in cluster.hints}
        self._initial = cluster.initial
        self._falls_back = cluster.terminating_serve
        self._anew = False
        self._owners = _owners(cluster, changes)
        self._selecting: dict[int, tuple[ServiceState, ...]] = {}  # by slot

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
        bits = self._bits
        return {pod: bits[pod] for pod in self._cluster.endpoints(service).tolist() if bits[pod] != ABSENT}

    def create(self, service: int, at_ns: int) -> None:
        """Let a Service come into being: what its Pods did before is no change of its."""
        state = self.of(service)
        state.known = not state.deleted
        state.unwritten.clear()
        state.look.clear()
        state.created_s = at_ns // SECOND_NS
        state.moved = {_ITSELF: state.created_s}  # a first sync counts nothing else

    def begin_anew(self) -> None:
        """Let a new process begin, whose first sync of each Service counts its creation."""
        self._anew = True
        for state in self._services.values():
            state.moved = {_ITSELF: state.created_s}

    def known(self) -> list[int]:
        """Return the Services that are there."""
        others = [state.service for state in self._services.values() if state.service >= self._initial]
        rows = [*range(self._initial), *sorted(others)]
        return [row for row in rows if row not in self._services or self._services[row].known]

    def delete(self, service: int) -> None:
        """Let a Service go: nothing that happens to its Pods is news of it any more."""
        state = self.of(service)
        state.known, state.deleted = False, True

    def apply(self, kind: int, pod: int, at_ns: int) -> list[int]:
        """Let the informer see a Pod change that happened at ``at_ns``; the Services that became dirty."""
        act, slot = _ACTS[kind], self._slot[pod]
        selecting = self._selecting.get(slot)
        if selecting is None:
            selecting = self._selecting[slot] = tuple(self.of(service) for service in self._owners.get(slot, ()))
        return [state.service for state in selecting if act(state, pod, at_ns) and state.known]

    def of(self, service: int) -> ServiceState:
        """Return a Service's state, unfolded from the columns when it is first asked for."""
        state = self._services.get(service)
        if state is None:
            wanted, known = self.at_start(service), self.had_slices(service)
            committed = dict(wanted) if known else {}
            ready = [pod for pod, bits in committed.items() if bits & READY]  # columns are in kube-proxy's order
            leaving = {pod for pod, bits in committed.items() if bits & LEAVING == LEAVING and self._falls_back}
            keys, local = [self._rank[pod] for pod in ready], self._local[service]
            held = (committed, array("i", ready), keys, leaving)
            published = READY if service in self._published else 0
            state = ServiceState(service, self._rank, wanted, *held, known, local, published)
            state.falls_back = self._falls_back
            state.fallback = () if ready else state.in_order(leaving)
            state.moved = {_ITSELF: state.created_s} if self._anew else {}
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
