"""kube-proxy on one node, as a SimPy process: deliveries in, a new rule set in force at the end of every sync.

The reference engine's half of the sync loop.  It keeps its own books, programs every rule and counts them one by one;
that :mod:`kpsim.proxy.sync.lanes` gives the same times from closed forms is a test.  Structure from pkg/proxy/runner
and pkg/proxy/iptables/proxier.go; changes are checked out when a sync starts, rules are in force when it ends.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import simpy

from kpsim.clock import Rank, at
from kpsim.cluster.changes import NEVER
from kpsim.cluster.columns import Cluster
from kpsim.controlplane.deliveries import Delivery
from kpsim.proxy.contract import SyncCounts
from kpsim.proxy.rules import NodeView, RuleSet, as_counted
from kpsim.proxy.sync.loop import SyncLoop
from kpsim.proxy.sync.pacing import RunnerState
from kpsim.proxy.sync.timeline import leaving_at_start, usable_at_start
from kpsim.units import I64, U32


class KubeProxy:
    """One node's kube-proxy; ``rules`` is what is in force now."""

    def __init__(
        self,
        env: simpy.Environment,
        node: int,
        cluster: Cluster,
        loop: SyncLoop,
        order: I64,
        pod_ip: U32,
    ) -> None:
        self._env, self._node, self._cluster, self._sync_loop = env, node, cluster, loop
        self._mode, self._pacing, self._faults = loop.mode, loop.pacing, loop.faults
        self._here = np.array([node])
        offset, pods = usable_at_start(cluster)
        known = np.flatnonzero((np.arange(len(offset) - 1) < cluster.initial) & cluster.services.proxied).tolist()
        self._usable: dict[int, Sequence[int]] = {s: tuple(pods[offset[s] : offset[s + 1]].tolist()) for s in known}
        self._held: dict[int, int] = {s: len(cluster.endpoints(s)) for s in known}
        large = self._endpoints() > loop.large_above
        self._state = RunnerState.at_start(loop.draws.phase[:, node : node + 1], loop.pacing, large=large)
        self._leaving: dict[int, Sequence[int]] = leaving_at_start(cluster)
        here = cluster.homes(len(pod_ip)) == node
        config = as_counted(loop.conntrack.version)
        self._view = NodeView(cluster, self._usable, order, pod_ip, config, self._leaving, here)
        self._inbox: list[tuple[int, Delivery]] = []
        self._wake = env.event()
        self.versions = 0
        self.syncs: list[tuple[int, ...]] = []  # start, end, deliveries absorbed so far, full, failed, process since
        self._absorbed = 0
        self.rules = self._program()
        env.process(self._loop())

    def receive(self, delivery: Delivery) -> None:
        """Take a delivery from the watch and ask for a sync."""
        self._inbox.append((int(self._env.now), delivery))
        if self._pacing.at_once:
            self._hold(delivery)
            self.rules = self._program()
        if not self._wake.triggered:
            self._wake.succeed()

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
        """When the next sync starts, as far as is known now; a process that restarts starts with one."""
        asks = [t for t, delivery in self._inbox if delivery.creates or not self._pacing.at_once]
        asks = sorted([*asks, int(self._faults.notice(self._state, self._here)[0])])
        token = int(self._pacing.token_at(self._state)[0])
        request = max(asks[0], int(self._state.last_end[0])) if asks[0] < NEVER else NEVER
        following = next((t for t in asks if t >= token), NEVER)
        due = np.maximum(self._pacing.start(self._state, np.array([request]), np.array([following])), 0)
        return int(self._faults.begin(self._state, due, self._here)[0][0])

    def _sync(self) -> Generator[simpy.Event, Any, None]:
        start = np.array([int(self._env.now)])
        changed, endpoint_changes, udp_changes = self._check_out()
        listed, runs = self._sync_loop.conntrack.counts(udp_changes)
        self.versions += 1
        rules = self._program()
        endpoints = self._endpoints()
        full = self._pacing.is_full(self._state, start) | self._faults.begin(self._state, start, self._here)[1]
        large = np.array([endpoints > self._sync_loop.large_above])
        cleans = self._pacing.cleans(self._state, start, large)
        counts = SyncCounts(
            service_ports=len(self._view.known_ports()),
            endpoints=endpoints,
            dispatch=rules.dispatch,
            own=sum(rules.own.values()),
            changed_services=len(changed),
            changed_own=sum(rules.own.get(s, 0) for s in changed),
            endpoint_changes=endpoint_changes,
            cleanup=int(cleans[0]),
            conntrack_listed=listed,
            conntrack_runs=runs,
            changed_dispatch=self._dispatch_of(changed),
        )
        here, ran = self._here, np.array([True])
        end, failed = self._sync_loop.end(self._state, start, counts, full, self.versions - 1, here)
        self._faults.ran(self._state, ran, start, here)
        self._pacing.ran(self._state, ran, start, end, full, cleans, failed, large)
        since = int(self._state.process_since[0])
        self.syncs.append((int(start[0]), int(end[0]), self._absorbed, bool(full[0]), bool(failed[0]), since))
        yield at(self._env, int(end[0]), Rank.SWITCH)
        if not (failed[0] or self._pacing.at_once):
            self.rules = rules

    def _endpoints(self) -> int:
        """Endpoints of service ports, ready or not."""
        return sum(n * int(self._cluster.services.ports[s]) for s, n in self._held.items())

    def _check_out(self) -> tuple[set[int], int, int]:
        """Absorb what was delivered; the Services it changed, how many usable endpoints came or went, UDP ones too."""
        changed: set[int] = set()
        moved = moved_udp = 0
        for _, delivery in self._inbox:
            self._hold(delivery)
            changed.add(delivery.service)
            moved += delivery.changed
            moved_udp += delivery.changed * bool(self._cluster.services.udp[delivery.service])
        self._absorbed += len(self._inbox)
        self._inbox.clear()
        return changed, moved, moved_udp

    def _hold(self, delivery: Delivery) -> None:
        self._usable[delivery.service] = delivery.usable
        self._leaving[delivery.service] = delivery.leaving
        self._held[delivery.service] = delivery.endpoints

    def _dispatch_of(self, services: Collection[int]) -> int:
        """Rules that lead to these Services."""
        usable = {s: self._usable[s] for s in services}
        return self._mode.program(replace(self._view, usable=usable, leaving=dict(self._leaving)), 0).dispatch

    def _program(self) -> RuleSet:
        view = replace(self._view, usable=dict(self._usable), leaving=dict(self._leaving))
        plain = self._mode.program(view, 0)
        if not plain.dispatch or not self._mode.scan_rotates:
            return plain
        draw = int(self._sync_loop.draws.rotation(self.versions)[self._node])
        return self._mode.program(view, (draw * plain.dispatch) >> 32)
