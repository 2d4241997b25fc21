"""kube-proxy on one node, as a SimPy process: deliveries in, a new rule set in force at the end of every sync.

The reference engine's half of the sync loop.  It keeps its own books, programs every rule and counts them one by one;
that :mod:`kpsim.proxy.sync.lanes` gives the same times from closed forms is a test.  Structure from pkg/proxy/runner
and pkg/proxy/iptables/proxier.go; changes are checked out when a sync starts, rules are in force when it ends.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import simpy

from kpsim.clock import Rank, at
from kpsim.cluster.changes import NEVER
from kpsim.cluster.columns import Cluster
from kpsim.controlplane.deliveries import Delivery
from kpsim.proxy.contract import Moved, PacketState, Programmed, Steps, SyncCounts
from kpsim.proxy.node import counted_node
from kpsim.proxy.rules import DROPPED, REFUSED, Held, RuleSet, Walk
from kpsim.proxy.states import NodeView
from kpsim.proxy.sync.loop import SyncLoop
from kpsim.proxy.sync.pacing import RunnerState
from kpsim.proxy.sync.timeline import leaving_at_start, usable_at_start
from kpsim.units import I64, U32

NOTHING: Held[int] = Held(0, 0, 0)


class Sync(NamedTuple):
    """One sync of one node, as :class:`~kpsim.proxy.sync.table.SyncTable` holds it."""

    start: int
    switch: int
    end: int
    absorbed: int  # deliveries it knew when it started
    full: bool
    failed: bool
    process_since: int
    cpu: int


class _CheckedOut(NamedTuple):
    """A sync takes up changed Services, endpoints that came or went, writes of UDP's slices, and what that leaves."""

    services: set[int]
    endpoints: int
    udp_writes: int
    runs: int  # of conntrack, up to 1.31
    moved: Moved


@dataclass(slots=True)
class XtablesLock:
    """The lock that the proxiers of a node's two IP families share."""

    free_at_ns: int = 0


class KubeProxy:
    """One node's kube-proxy, with what is in force there now."""

    def __init__(
        self,
        env: simpy.Environment,
        node: int,
        cluster: Cluster,
        loop: SyncLoop,
        order: I64,
        pod_ip: U32,
        lock: XtablesLock | None = None,
        rank: Rank = Rank.LOCK,
    ) -> None:
        self._lock, self._rank = lock, rank
        self._env, self._node, self._cluster, self._sync_loop = env, node, cluster, loop
        self._mode, self._pacing, self._faults = loop.mode, loop.pacing, loop.faults
        self._here = np.array([node])
        self._cold = node in loop.faults.joining()
        offset, pods = usable_at_start(cluster)
        known = np.flatnonzero((np.arange(len(offset) - 1) < cluster.initial) & cluster.services.proxied).tolist()
        self._usable: dict[int, Sequence[int]] = {s: tuple(pods[offset[s] : offset[s + 1]].tolist()) for s in known}
        self._held: dict[int, int] = {s: len(cluster.endpoints(s)) for s in known}
        large = self._endpoints() > loop.large_above
        absent = np.zeros(int(self._cold), np.int64)
        self._state = RunnerState.at_start(loop.draws.phase[:, node : node + 1], loop.pacing, absent, large=large)
        self._leaving: dict[int, Sequence[int]] = leaving_at_start(cluster)
        here = cluster.homes(len(pod_ip)) == node
        config = counted_node(loop.conntrack.version)
        self._view = NodeView(cluster, self._usable, order, pod_ip, config, self._leaving, here)
        self._inbox: list[tuple[int, Delivery]] = []
        self._wake = env.event()
        self._edition = 0
        self.syncs: list[Sync] = []
        self._absorbed = 0
        self._programmed, self._served = self._program(), frozenset(self._usable)
        self._scans = any(stage.steps is Steps.DISPATCH for stage in loop.mode.stages(PacketState.FIRST))
        held = self._programmed.rules.held
        self._beside = None if held is None else dict(held)
        env.process(self._loop())

    def receive(self, delivery: Delivery) -> None:
        """Take a delivery from the watch and ask for a sync."""
        self._inbox.append((int(self._env.now), delivery))
        if self._pacing.at_once:
            self._hold(delivery)
            self._programmed, self._served = self._program(), frozenset(self._usable)
        if not self._wake.triggered:
            self._wake.succeed()

    def walk(self, port: int, draw: int, turn: int) -> Walk:
        """Return the walk of the first packet of a Pod's connection to service port ``port`` now."""
        if self._cold:  # there are no rules at all
            return Walk(DROPPED, 0, 0)
        if int(self._cluster.port_service[port]) not in self._served:  # no rule matches
            passed = self._programmed.rules.dispatch if self._scans else 0
            return Walk(REFUSED if self._mode.refuses else DROPPED, passed, 0)
        return self._programmed.walk(self._view.packet(port), draw, turn)

    def _loop(self) -> Generator[simpy.Event, Any, None]:
        while True:
            start = self._next_start()
            self._wake = self._env.event()
            if start >= self._sync_loop.horizon_ns:
                if self._env.now >= self._sync_loop.horizon_ns:
                    return
                yield self._wake
                continue
            timer = at(self._env, start, Rank.SYNC)
            yield timer | self._wake
            if not timer.processed:
                continue  # a delivery came first: it may bring the sync forward
            yield from self._sync()

    def _next_start(self) -> int:
        """Return the start of the next sync [ns], as far as it is known; a process that restarts starts with one."""
        asks = [t for t, delivery in self._inbox if delivery.creates or not self._pacing.at_once]
        asks = sorted([*asks, int(self._faults.flush_noticed(self._state, self._here)[0])])
        token = int(self._pacing.token_at(self._state)[0])
        request = max(asks[0], int(self._state.last_end[0])) if asks[0] < NEVER else NEVER
        following = next((t for t in asks if t >= token), NEVER)
        due = np.maximum(self._pacing.start(self._state, np.array([request]), np.array([following])), 0)
        return int(self._faults.begin(self._state, due, self._here)[0][0])

    def _sync(self) -> Generator[simpy.Event, Any, None]:
        start = np.array([int(self._env.now)])
        before = frozenset(self._usable)
        checked = self._check_out()
        conntrack = self._sync_loop.conntrack
        first = bool(self._faults.restart(self._state, self._here)[0] <= start[0])
        runs = self._conntrack_at_first() if first else checked.runs
        reads = conntrack.reconciles and (checked.udp_writes or (first and runs))
        changed = {s for s in checked.services if s in self._usable or s in before}  # not what came and went
        self._edition += 1
        programmed = self._program()
        rules = programmed.rules
        endpoints = self._endpoints()
        full = self._pacing.is_full(self._state, start) | self._faults.begin(self._state, start, self._here)[1]
        fresh = not self.syncs and self._cold
        large = np.array([endpoints > self._sync_loop.large_above])
        cleans = self._pacing.cleans(self._state, start, large)
        counts = SyncCounts(
            service_ports=len(self._view.known_ports()),
            endpoints=endpoints,
            dispatch=rules.dispatch,
            own=sum(rules.own.values()),
            changed_services=len(changed),
            changed_own=sum(rules.own.get(s, 0) for s in changed),
            endpoint_changes=checked.endpoints,
            cleanup=int(cleans[0]),
            conntrack_listed=conntrack.entries if reads else 0,
            conntrack_runs=0 if conntrack.reconciles else runs,
            changed_dispatch=self._rules_of(changed).dispatch,
            fresh=int(fresh),
            moved=self._everything() if fresh else checked.moved,
            first=int(first),
            gone_services=sum(s not in self._usable for s in changed),
            new_services=sum(s in self._usable and s not in before for s in changed),
        )
        here, ran = self._here, np.array([True])
        number, absorbed = self._edition - 1, self._absorbed
        takes = self._sync_loop.takes(counts, full, number, here)
        if self._lock is not None:
            yield at(self._env, int(self._sync_loop.asks_lock(start, takes)[0]), self._rank)
        free_at = np.array([0 if self._lock is None else self._lock.free_at_ns])
        ended = self._sync_loop.end(self._state, start, takes, number, here, free_at)
        if self._lock is not None:
            self._lock.free_at_ns = int(ended.free_at[0])
        self._faults.ran(self._state, ran, start, here)
        self._pacing.ran(self._state, ran, start, ended.end, full, cleans, ended.failed, large)
        switch, end, failed = int(ended.switch[0]), int(ended.end[0]), bool(ended.failed[0])
        since = int(self._state.process_since[0])
        self.syncs.append(Sync(int(start[0]), switch, end, absorbed, bool(full[0]), failed, since, int(takes.cpu[0])))
        yield at(self._env, switch, Rank.SWITCH)
        self._cold &= failed
        if not (failed or self._pacing.at_once):
            self._programmed, self._served = programmed, frozenset(self._usable)
        if end > switch:
            yield at(self._env, end, Rank.SWITCH)

    def _endpoints(self) -> int:
        """Return the endpoints of service ports, ready or not."""
        return sum(n * int(self._cluster.services.ports[s]) for s, n in self._held.items())

    def _check_out(self) -> _CheckedOut:
        """Absorb what was delivered, and return what it changed."""
        services: set[int] = set()
        endpoints = udp_writes = 0
        total, turned = np.zeros(6, np.int64), dict[tuple[str | int, int], list[I64]]()
        for _, delivery in self._inbox:
            s = delivery.service
            before = set(self._usable.get(s, ())), s in self._usable
            self._hold(delivery)
            services.add(s)
            endpoints += delivery.changed
            udp_writes += bool(self._cluster.services.udp[s]) and not delivery.creates
            total += self._turn(delivery, *before, turned)
        self._absorbed += len(self._inbox)
        self._inbox.clear()
        total += sum((events[-1] for events in turned.values() if len(events) % 2), np.zeros(6, np.int64))
        held = sum(each.addresses for each in (self._beside or {}).values())
        servers, entries, addresses, real_servers, here, runs = total.tolist()
        beside = self._beside is not None
        moved = Moved(servers, entries, addresses, real_servers, here, held) if beside else Moved()
        return _CheckedOut(services, endpoints, udp_writes, runs, moved)

    def _conntrack_at_first(self) -> int:
        """Return the processes of a first sync up to 1.31: each UDP Service that anybody serves is new to it."""
        services = self._cluster.services
        each = 1 + services.external_ips + services.load_balancer_ips + services.node_ports
        return sum(int(each[s]) for s, usable in self._usable.items() if len(usable) and services.udp[s])

    def _everything(self) -> Moved:
        """Return all that is there beside rules, as what comes to a node that has nothing."""
        if self._beside is None:
            return Moved()
        here, totals = self._view.here, np.zeros(5, np.int64)
        assert here is not None
        for s, has in self._beside.items():
            usable, ports = self._usable.get(s, ()), int(self._cluster.services.ports[s])
            totals += [*has, len(usable) * has.servers, ports * sum(bool(here[pod]) for pod in usable)]
        servers, entries, addresses, real_servers, mine = totals.tolist()
        return Moved(servers, entries, addresses, real_servers, mine, addresses)

    def _turn(
        self, delivery: Delivery, before: set[int], was: bool, turned: dict[tuple[str | int, int], list[I64]]
    ) -> I64:
        """Note what one delivery turns over, things beside rules and UDP flows; its Service had ``before``.

        Weights are the first five of :class:`Moved` and ``conntrack`` processes; returns those that nothing undoes.
        """
        s, services, here = delivery.service, self._cluster.services, self._view.here
        assert here is not None
        had = has = NOTHING
        if self._beside is not None:
            had, has = self._beside.get(s, NOTHING), (self._rules_of([s]).held or {}).get(s, NOTHING)
            self._beside[s] = has
        ports, udp, after, there = (
            int(services.ports[s]),
            bool(services.udp[s]),
            set(delivery.usable),
            s in self._usable,
        )
        addresses = 1 + int(services.external_ips[s]) + int(services.load_balancer_ips[s])
        each = (ports * addresses + int(services.node_ports[s])) * udp * there
        if had != has:
            turned.setdefault(("objects", s), []).append(np.array([*np.abs(np.subtract(has, had)), 0, 0, 0]))
        for pod in before ^ after:
            event = np.array([0, 0, 0, has.servers, ports * bool(here[pod]), each * (pod in before)])
            turned.setdefault((s, pod), []).append(event)
        if udp and bool(before) != bool(after):
            first = (addresses + int(services.node_ports[s])) * bool(after)
            turned.setdefault(("served", s), []).append(np.array([0, 0, 0, 0, 0, first]))
        if udp and was != there:
            turned.setdefault(("known", s), []).append(np.array([0, 0, 0, 0, 0, int(was)]))
        others = delivery.changed - len(before ^ after)  # endpoints that have another port
        return np.array([0, 0, 0, others * has.servers, 0, each * (max(others, 0) // 2)])

    def _hold(self, delivery: Delivery) -> None:
        if delivery.gone:
            for held in (self._usable, self._leaving, self._held):
                held.pop(delivery.service, None)
            return
        self._usable[delivery.service] = delivery.usable
        self._leaving[delivery.service] = delivery.leaving
        self._held[delivery.service] = delivery.endpoints

    def _rules_of(self, services: Collection[int]) -> RuleSet:
        """Return the rules of these Services alone."""
        usable = {s: self._usable[s] for s in services if s in self._usable}
        view = replace(self._view, usable=usable)
        return self._mode.program(view.port_states(), view.config).rules

    def _program(self) -> Programmed:
        states, config = tuple(self._view.port_states()), self._view.config
        plain = self._mode.program(states, config)
        if not plain.rules.dispatch or not self._mode.scan_rotates:
            return plain
        draw = int(self._sync_loop.draws.rotation(self._edition, np.array([self._node]))[0])
        return self._mode.program(states, config, (draw * plain.rules.dispatch) >> 32)
