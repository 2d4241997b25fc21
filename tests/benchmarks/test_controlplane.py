"""The control plane alone: microseconds of CPU a change, a Service sync and an endpoint of a large Service.

Counts are asserted, so that the work timed cannot shrink unseen; times only as ratios within one run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import simpy

from kpsim.clock import Clock, EventQueue, SimPyClock, Steps
from kpsim.cluster.changes import Changes
from kpsim.controlplane.control import ControlPlane
from kpsim.controlplane.controller import EndpointSliceController
from kpsim.scenario.model import Scenario
from kpsim.scenario.reader import read
from kpsim.simulation import Replication, build_cluster, prepare
from kpsim.simulation.wiring import control_plane

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.benchmark


def drawn(scenario: Scenario) -> Replication:
    return prepare(scenario, build_cluster(scenario)[0], 0)


def cpu_s(action: Callable[[], object], times: int = 3) -> float:
    """The least CPU time of several goes."""
    found = []
    for _ in range(times):
        began = time.process_time()
        action()
        found.append(time.process_time() - began)
    return min(found)


def run_on(replication: Replication, clock: Clock, run: Callable[[int], object]) -> ControlPlane:
    plane = control_plane(replication, clock)
    run(replication.horizon_ns)
    return plane


def quick(replication: Replication) -> ControlPlane:
    queue = EventQueue()
    return run_on(replication, queue, queue.run)


def on_simpy(replication: Replication) -> ControlPlane:
    env = simpy.Environment(initial_time=0)
    return run_on(replication, SimPyClock(env), env.run)


def test_a_change_and_a_sync() -> None:
    """One replication of the flagship, on the quick queue and on SimPy."""
    replication = drawn(read(ROOT / "scenarios" / "10k-services.yaml"))
    syncs, original = 0, EndpointSliceController._sync

    def counting(self: EndpointSliceController, *given: object) -> Steps:
        nonlocal syncs
        syncs += 1
        return original(self, *given)  # type: ignore[arg-type]  # whatever it takes

    with patch.object(EndpointSliceController, "_sync", counting):
        plane = quick(replication)
    changes, log = len(replication.changes), plane.api.log
    assert (changes, syncs, log.writes, len(log)) == (35_178, 35_032, 23_420, 23_188)
    fast, slow = cpu_s(lambda: quick(replication)), cpu_s(lambda: on_simpy(replication), 1)

    queue = EventQueue()
    idle = control_plane(replace(replication, changes=_none(replication.changes)), queue)

    def every() -> None:
        for service in range(10_000):
            idle.controller.add(service)
        queue.run(queue.now + 60_000_000_000)

    every()  # the first sync of a Service finds out what it holds
    sync_s = cpu_s(every, 5)
    assert idle.api.log.writes == 0
    print(f"control plane: {fast:.2f} s, {1e6 * fast / changes:.1f} us a change; on SimPy {slow:.2f} s")
    print(f"a Service sync that changes nothing: {1e6 * sync_s / 10_000:.1f} us")
    assert slow > 1.3 * fast


def _none(changes: Changes) -> Changes:
    first = {name: getattr(changes, name)[:0] for name in ("at_ns", "kind", "subject")}
    return replace(changes, **first)


def test_a_rollout_costs_what_its_endpoints_cost() -> None:
    """From 400 endpoints of one Service to 6,400: history and control plane per change."""
    cost: dict[int, tuple[float, float]] = {}
    for endpoints in (400, 6_400):
        given = {"services.web.endpoints": endpoints, "run.duration": "300s", "services.other.count": 10}
        given |= {"controllerManager.qps": 100, "controllerManager.burst": 100}
        scenario = read(ROOT / "scenarios" / "rolling-update.yaml", [(k, str(v)) for k, v in given.items()])
        made = drawn(scenario)
        changes = len(made.changes)
        assert changes == 7 * endpoints
        assert np.unique(made.changes.subject).size == 2 * endpoints
        history, plane = cpu_s(partial(drawn, scenario), 2), cpu_s(partial(quick, made), 2)
        cost[endpoints] = 1e6 * history / changes, 1e6 * plane / changes
        print(f"rollout of {endpoints} endpoints: {changes} changes, history {cost[endpoints][0]:.1f} us a change, "
              f"control plane {cost[endpoints][1]:.1f} us")  # fmt: skip
    few, many = cost.values()
    assert many[0] < 2 * few[0]
    assert many[1] < 3 * few[1]  # each row of the log holds all usable endpoints; quadratic would be sixteen times
