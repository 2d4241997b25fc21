"""The control plane on the quick queue of events does what it does on SimPy, in the same order at one instant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import simpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpsim.clock import Clock, EventQueue, Rank, SimPyClock, Steps
from kpsim.cluster.params import ChurnParams, ClusterParams, EndpointCount, ServiceGroup
from kpsim.controlplane.control import ControlPlane
from kpsim.controlplane.params import ApiServerParams, ControllerManagerParams
from kpsim.history.events import (
    ApiServerRestart,
    ControllerManagerRestart,
    Crash,
    Event,
    IntOrPercent,
    NodeLoss,
    Rollout,
    Scale,
    ServiceChange,
    ServiceDeletion,
)
from kpsim.scenario.model import RunParams, Scenario
from kpsim.simulation import build_cluster, prepare
from kpsim.simulation.wiring import control_plane
from kpsim.traffic.params import TrafficParams

RANKS = (Rank.DELIVERY, Rank.CHANGE, Rank.START, Rank.WAIT)


@dataclass
class Program:
    """Processes that wait, start each other, call and park, each by its own list of steps; times collide often."""

    clock: Clock
    scripts: list[list[tuple[str, int, int]]]
    seen: list[tuple[int, str]] = field(default_factory=list)
    started: int = 0

    def begin(self, script: int, rank: Rank) -> None:
        if self.started < 40:
            self.started += 1
            number = self.started
            steps = self.process(number, self.scripts[script % len(self.scripts)])
            self.clock.start(steps, rank)

    def process(self, number: int, script: list[tuple[str, int, int]]) -> Steps:
        for at, (what, n, m) in enumerate(script):
            self.seen.append((self.clock.now, f"{number}.{at} {what}"))
            if what == "wait":
                yield n
            elif what == "start":
                self.begin(m, RANKS[2 + n % 2])
            elif what == "call":
                self.clock.call_at(self.clock.now + n, RANKS[m % 4], self.note, f"{number}.{at}")
            else:
                yield None

    def note(self, text: str) -> None:
        self.seen.append((self.clock.now, text))


def on_both(scripts: list[list[tuple[str, int, int]]], until: list[int]) -> tuple[Program, Program]:
    """The same program on the quick queue and on SimPy, in several legs."""
    queue, env = EventQueue(), simpy.Environment(initial_time=0)
    quick, slow = Program(queue, scripts), Program(SimPyClock(env), scripts)
    for program in (quick, slow):
        for script in range(len(scripts)):
            steps = program.process(-script, scripts[script])
            program.clock.start(steps, Rank.START, (Rank.WAIT, Rank.CHANGE)[script % 2])
    for leg in sorted(set(until)):
        queue.run(leg)
        env.run(until=leg)
    return quick, slow


SCRIPTS = st.lists(
    st.lists(
        st.tuples(st.sampled_from(["wait", "wait", "start", "call", "park"]), st.integers(0, 3), st.integers(0, 5)),
        min_size=1,
        max_size=7,
    ),
    min_size=1,
    max_size=6,
)


@given(SCRIPTS, st.lists(st.integers(1, 30), min_size=1, max_size=3))
def test_what_happens_at_one_instant_comes_in_simpy_s_order(
    scripts: list[list[tuple[str, int, int]]], until: list[int]
) -> None:
    quick, slow = on_both(scripts, until)
    assert quick.seen == slow.seen
    assert quick.clock.now == slow.clock.now == max(until)


def test_who_has_parked_goes_on_where_he_was() -> None:
    script = [("park", 0, 0), ("wait", 2, 0), ("park", 0, 0), ("call", 1, 1)]
    for clock, run in _clocks():
        program = Program(clock, [script])
        steps = program.process(0, script)
        clock.start(steps)
        run(3)
        clock.start(steps, Rank.WAIT)
        run(10)
        clock.start(steps)
        run(20)
        assert program.seen == [(0, "0.0 park"), (3, "0.1 wait"), (5, "0.2 park"), (10, "0.3 call"), (11, "0.3")]


def _clocks() -> list[tuple[Clock, Callable[[int], object]]]:
    queue, env = EventQueue(), simpy.Environment(initial_time=0)
    return [(queue, queue.run), (SimPyClock(env), env.run)]


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    """Small clusters in which a lot happens at once, to Services of several slices."""
    dual = draw(st.booleans())
    groups = (
        ServiceGroup("web", draw(st.integers(1, 4)), EndpointCount(mean=float(draw(st.sampled_from([1, 3, 9]))))),
        ServiceGroup(
            "both", 2, EndpointCount(mean=4.0), ip_family_policy="PreferDualStack" if dual else "SingleStack",
            external_traffic_policy="Local", type="NodePort",
        ),
        ServiceGroup("bare", 1, EndpointCount(mean=2.0), headless=True),
    )  # fmt: skip
    share = draw(st.sampled_from([IntOrPercent(25, percent=True), IntOrPercent(1), IntOrPercent(100, percent=True)]))
    makers: list[Event] = [
        NodeLoss(4.0, draw(st.integers(1, 2)), for_s=draw(st.sampled_from([None, 60.0]))),
        ApiServerRestart(draw(st.sampled_from([3.0, 6.0, 20.0]))),
        ControllerManagerRestart(draw(st.sampled_from([4.0, 6.0])), draw(st.sampled_from([None, 2.0]))),
        Rollout(5.0, "default/web-0", max_surge=share),
        Scale(8.0, "default/both-1", replicas=draw(st.integers(0, 12))),
        Crash(9.0, "default/both-0", pods=2),
        ServiceDeletion(draw(st.sampled_from([5.0, 7.0])), "default/web-0"),
        ServiceChange(12.0, "default/both-0"),
    ]
    few = ApiServerParams(max_requests_inflight=4, max_mutating_requests_inflight=2)
    return Scenario(
        name="clocks",
        cluster=ClusterParams(
            nodes=draw(st.sampled_from([3, 40])), ip_families=("IPv4", "IPv6") if dual else ("IPv4",)
        ),
        groups=groups,
        events=tuple(draw(st.lists(st.sampled_from(makers), max_size=4, unique_by=id))),
        controller_manager=ControllerManagerParams(
            qps=draw(st.sampled_from([None, 2.0, 1e6])),
            burst=draw(st.sampled_from([None, 1])),
            concurrent_service_endpoint_syncs=draw(st.sampled_from([None, 1])),
            max_endpoints_per_slice=draw(st.sampled_from([None, 2])),
            endpointslice_updates_batch_period_s=draw(st.sampled_from([None, 0.5])),
        ),
        api_server=draw(st.sampled_from([ApiServerParams(), ApiServerParams(3), few])),
        traffic=TrafficParams(1.0, 1),
        churn=ChurnParams(draw(st.sampled_from([0.0, 3.0, 30.0])), draw(st.sampled_from([0.0, 0.2]))),
        run=RunParams(30.0, 0.0, seed=draw(st.integers(0, 1000)), replications=1),
    )


def told(plane: ControlPlane) -> tuple[object, ...]:
    """Everything that others see of a control plane."""
    log = plane.api.log
    numbers = (log.writes, log.written_bytes, log.endpoints_bytes, plane.controller.stale_retries)
    return list(log.rows), log.written_ns, log.endpoints_ns, numbers, repr(plane.fanout), plane.joins


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scenarios())
def test_the_control_plane_is_the_same_on_both_clocks(scenario: Scenario) -> None:
    cluster, _ = build_cluster(scenario)
    replication = prepare(scenario, cluster, 0)
    seen = []
    for clock, run in _clocks():
        plane = control_plane(replication, clock)
        run(replication.horizon_ns)
        seen.append(told(plane))
    assert seen[0] == seen[1]


def test_a_wrong_order_is_found() -> None:
    """A process that starts after what waits, instead of before, is seen."""
    scripts = [[("call", 0, 3), ("start", 0, 1), ("wait", 1, 0)], [("call", 1, 3), ("wait", 1, 0)]]
    late = [[("start", 1, 1) if step[0] == "start" else step for step in script] for script in scripts]
    assert on_both(scripts, [9])[0].seen != on_both(late, [9])[1].seen
