"""A core's queue of packets against queueing theory: the batch engine with one lane a replication.

Each node is a replication with one core, one Service with one Pod, and no churn, so that a packet's price is the same
constant (or the profile's variation of it).  A comparison fails beyond four standard errors; twins are the formulas of
other queues, which must fail.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from kpsim import theory
from kpsim.cluster.params import ClusterParams, EndpointCount, ServiceGroup
from kpsim.datapath.outcomes import Outcomes
from kpsim.experiment.answers.curves import load_curve
from kpsim.experiment.result import LoadPoint
from kpsim.profiles.costs import FACTOR_ONE, load_profile
from kpsim.proxy.contract import PacketState
from kpsim.proxy.params import ProxyParams
from kpsim.proxy.registry import MODES, create
from kpsim.queues import lindley
from kpsim.scenario.model import ProfileChoice, RunParams, Scenario
from kpsim.simulation import build_cluster, prepare, run_mode
from kpsim.traffic.params import TrafficParams
from kpsim.units import F64, I64

SHIPPED = "measured-linux-6.18"
REPLICATIONS = 40
PACKETS = 9_000  # of each replication, on average
SETTLED = 0.1  # the share of a replication's time that is not looked at

LOADS = [0.3, 0.6, 0.8]


def flat_profile(directory: Path) -> str:
    """A profile in which nothing varies: the shipped one with every cost factor at one."""
    text: dict[str, Any] = load_profile(SHIPPED).text.document()
    text["variation"] = {kind: {name: {0: 1.0, 1: 1.0} for name in item} for kind, item in text["variation"].items()}
    path = directory / "flat.yaml"
    path.write_text(yaml.safe_dump(text), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> str:
    return flat_profile(tmp_path_factory.mktemp("profiles"))


def agrees(replications: F64, expected: float) -> bool:
    """Whether ``expected`` is within four standard errors of the mean over replications."""
    assert replications.shape == (REPLICATIONS,)
    error = float(replications.std(ddof=1)) / math.sqrt(REPLICATIONS)
    return abs(float(replications.mean()) - expected) <= 4 * error


@cache
def first_packets(mode: str, profile: str, rho: float) -> tuple[F64, I64]:
    """Mean wait of each replication [s], and the costs of all packets [ns], at utilisation ``rho``."""
    made = create(ProxyParams(mode=mode))
    costs = load_profile(profile).costs(made.family, "typical", 1.0)
    mean_ns = _mean_cost_ns(mode, profile)
    rate = rho / mean_ns * 1e9
    scenario = Scenario(
        name="queue",
        cluster=ClusterParams(nodes=REPLICATIONS, cores=1),
        groups=(ServiceGroup("s", 1, EndpointCount(mean=1.0)),),
        kube_proxy=ProxyParams(mode=mode),
        modes=(mode,),
        traffic=TrafficParams(rate, 1, 0.0),
        profile=ProfileChoice(profile),
        run=RunParams(PACKETS / rate, 0.0, seed=3, replications=1),
    )
    cluster, _ = build_cluster(scenario)
    replication = prepare(scenario, cluster, 0)
    outcomes = run_mode(replication, mode, "batch").outcomes
    wait = (outcomes.start_ns - outcomes.arrival_ns)[:, 0] / 1e9
    settled = outcomes.arrival_ns[:, 0] > SETTLED * replication.horizon_ns
    node = replication.connections.node
    assert costs.family == made.family
    return np.array([float(wait[settled & (node == n)].mean()) for n in range(REPLICATIONS)]), outcomes.cost_ns[:, 0]


def _mean_cost_ns(mode: str, profile: str) -> float:
    """What a first packet to the only Service costs on average, in the engine's own integers."""
    return float(_possible_costs_ns(mode, profile).mean())


def _possible_costs_ns(mode: str, profile: str) -> I64:
    """Every cost a first packet to the only Service can have, all equally likely [ns]."""
    made = create(ProxyParams(mode=mode))
    costs = load_profile(profile).costs(made.family, "typical", 1.0)
    path = next(stage for stage in made.stages(PacketState.FIRST) if "packet_first" in stage.work)
    return (int(costs.ns(path.work)) * costs.factors["packet_first"]) >> 10


# ── M/D/1 and M/G/1 ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mode", list(MODES))
@pytest.mark.parametrize("rho", LOADS)
def test_constant_packets_wait_as_in_m_d_1(mode: str, rho: float, flat: str) -> None:
    waits, costs = first_packets(mode, flat, rho)
    assert np.ptp(costs) == 0
    es = float(costs[0]) / 1e9
    lam = rho / es
    assert agrees(waits, theory.md1_mean_wait(lam, es))
    assert not agrees(waits, theory.mm1_mean_wait(lam, es))
    assert not agrees(waits, theory.md1_mean_wait(lam, es) + es)  # a sojourn is not a wait
    assert not agrees(waits, theory.mmc_mean_wait(lam, es, 2) / 2)


@pytest.mark.parametrize("mode", list(MODES))
@pytest.mark.parametrize("rho", LOADS)
def test_packets_that_vary_wait_as_in_m_g_1(mode: str, rho: float) -> None:
    waits, costs = first_packets(mode, SHIPPED, rho)
    possible = _possible_costs_ns(mode, SHIPPED) / 1e9
    es, cs2 = float(possible.mean()), float(possible.var() / possible.mean() ** 2)
    assert float(costs.mean()) / 1e9 == pytest.approx(es, rel=0.01)
    assert 0.02 < cs2 < 0.5
    lam = rho / es
    assert agrees(waits, theory.mg1_mean_wait(lam, es, cs2))
    assert not agrees(waits, theory.md1_mean_wait(lam, es))
    assert not agrees(waits, theory.mm1_mean_wait(lam, es))


def test_two_cores_are_two_queues() -> None:
    """A flow stays on its receive queue: two cores at half the rate each wait as one does, not as M/M/2."""
    rng = np.random.default_rng(5)
    gaps = rng.exponential(1.0, (REPLICATIONS, 8_000))
    arrival = np.rint(np.cumsum(gaps, axis=1) * 1e6).astype(np.int64)
    core = rng.integers(0, 2, arrival.shape)
    cost = np.rint(rng.exponential(1.4e6, arrival.shape)).astype(np.int64)  # utilisation 0.7 of two cores
    waits = np.empty(REPLICATIONS)
    for r in range(REPLICATIONS):
        start = np.empty_like(arrival[r])
        for c in (0, 1):
            here = core[r] == c
            start[here] = lindley(arrival[r, here], cost[r, here])
        waits[r] = float((start - arrival[r])[800:].mean()) / 1e9
    assert agrees(waits, theory.mm1_mean_wait(500.0, 0.0014))
    assert not agrees(waits, theory.mmc_mean_wait(1000.0, 0.0014, 2))


@pytest.mark.parametrize("cs2", [0.0, 1.0, 4.0])
def test_lindley_is_m_g_1(cs2: float) -> None:
    rng = np.random.default_rng(11)
    shape = (REPLICATIONS, 12_000)
    arrival = np.rint(np.cumsum(rng.exponential(1e6 / 0.7, shape), axis=1)).astype(np.int64)
    dear = rng.random(shape) < 0.2
    cost = {
        0.0: np.full(shape, 1e6),
        1.0: rng.exponential(1e6, shape),
        4.0: np.where(dear, 5e6, 0.0),
    }[cs2]
    waits = np.empty(REPLICATIONS)
    for r in range(REPLICATIONS):
        start = lindley(arrival[r], np.rint(cost[r]).astype(np.int64))
        waits[r] = float((start - arrival[r])[2000:].mean()) / 1e9
    assert agrees(waits, theory.mg1_mean_wait(700.0, 0.001, cs2))
    assert not agrees(waits, theory.mg1_mean_wait(700.0, 0.001, cs2 + 0.5))


# ── A connection of many packets ─────────────────────────────────────────────────────────────────────────────────────


def connections(mode: str, per_s: float, packets: int, interval_s: float, duration_s: float) -> tuple[I64, Outcomes]:
    """Two nodes of one core under ``per_s`` connections: the node of each connection, and what happened."""
    scenario = Scenario(
        name="connections",
        cluster=ClusterParams(nodes=2, cores=1),
        groups=(ServiceGroup("s", 1, EndpointCount(mean=1.0)),),
        kube_proxy=ProxyParams(mode=mode),
        modes=(mode,),
        traffic=TrafficParams(per_s, packets, interval_s),
        run=RunParams(duration_s, 0.0, seed=4, replications=1),
    )
    cluster, _ = build_cluster(scenario)
    replication = prepare(scenario, cluster, 0)
    return replication.connections.node, run_mode(replication, mode, "batch").outcomes


@pytest.mark.parametrize("mode", list(MODES))
def test_work_is_conserved(mode: str) -> None:
    """A core serves in order of arrival, is never idle while a packet waits, and never serves two at once."""
    slower = 5 if mode == "userspace" else 1  # two connections for one
    node, outcomes = connections(mode, 12_000.0 / slower, 4, 0.001, 0.2 * slower)
    for n in (0, 1):
        arrival, start, cost = (
            x[node == n].ravel() for x in (outcomes.arrival_ns, outcomes.start_ns, outcomes.cost_ns)
        )
        order = np.argsort(start, kind="stable")
        arrival, start, cost = arrival[order], start[order], cost[order]
        free = np.concatenate([[0], (start + cost)[:-1]])
        assert (np.diff(arrival) >= 0).all()
        assert (start == np.maximum(arrival, free)).all()
        assert 0.1 < (start > arrival).mean() < 0.9  # some wait, some do not
        assert len(arrival) > 8_000


# ── The knee ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def curve(mode: str, packets: int, interval_ns: int) -> tuple[tuple[LoadPoint, ...], float]:
    made = create(ProxyParams(mode=mode))
    costs = load_profile(SHIPPED).costs(made.family, "typical", 1.0)
    return load_curve(made, costs, _possible_costs_ns(mode, SHIPPED), packets, interval_ns, seed=1)


@pytest.mark.parametrize("mode", list(MODES))
@pytest.mark.parametrize(("packets", "interval_ns"), [(1, 0), (4, 100_000), (10, 10_000_000), (3, 1_000_000_000)])
def test_a_core_delivers_what_is_offered_up_to_the_knee_and_its_capacity_beyond(
    mode: str, packets: int, interval_ns: int
) -> None:
    points, capacity = curve(mode, packets, interval_ns)
    assert [p.offered_per_s for p in points] == sorted(p.offered_per_s for p in points)
    below = [p for p in points if p.offered_per_s <= 0.9 * capacity]
    beyond = [p for p in points if p.offered_per_s >= 1.1 * capacity]
    assert len(below) > 4
    assert len(beyond) > 1
    for point in below:
        assert point.delivered_per_s == pytest.approx(point.offered_per_s, rel=0.08)
    for point in beyond:
        assert point.delivered_per_s == pytest.approx(capacity, rel=0.08)
        assert point.first_packet_p99_s is None
        assert point.utilisation == 1.0


@pytest.mark.parametrize("mode", list(MODES))
def test_capacity_is_one_over_the_work_of_a_connection(mode: str) -> None:
    made = create(ProxyParams(mode=mode))
    costs = load_profile(SHIPPED).costs(made.family, "typical", 1.0)
    first_s = _mean_cost_ns(mode, SHIPPED) / 1e9
    later_s = float(costs.coefficients["packet_later"].value) * float(costs.factors["packet_later"].mean()) / FACTOR_ONE
    for packets in (1, 2, 10):
        _, capacity = curve(mode, packets, 0)
        assert capacity == pytest.approx(1 / (first_s + (packets - 1) * later_s), rel=1e-3)


@pytest.mark.parametrize("mode", list(MODES))
def test_p99_of_single_packets_rises_towards_the_knee(mode: str) -> None:
    points, _ = curve(mode, 1, 0)
    p99 = [p.first_packet_p99_s for p in points if p.first_packet_p99_s is not None]
    assert p99 == sorted(p99)
    assert p99[-1] > 3 * p99[0]


def test_a_mode_whose_packets_are_dearer_saturates_sooner() -> None:
    knees = {mode: curve(mode, 1, 0)[1] for mode in ("iptables", "ipvs")}
    assert knees["iptables"] > knees["ipvs"]  # with one Service there is nothing to scan
    made = create(ProxyParams(mode="iptables"))
    costs = load_profile(SHIPPED).costs(made.family, "typical", 1.0)
    scanned = _possible_costs_ns("iptables", SHIPPED) + int(costs.ns({"rule_passed": 10_000}))
    assert load_curve(made, costs, scanned, 1, 0, seed=1)[1] < knees["ipvs"]


def test_the_run_agrees_with_the_curve_about_the_knee() -> None:
    """A core offered nine tenths of the curve's capacity keeps up, one offered more than all of it does not."""
    _, capacity = curve("iptables", 3, 1_000_000)
    for load, keeps_up in ((0.9, True), (1.15, False)):
        _, outcomes = connections("iptables", load * capacity, 3, 0.001, 0.6)
        late = (outcomes.start_ns - outcomes.arrival_ns)[:, 0] > 10_000_000
        last = outcomes.arrival_ns[:, 0] > 500_000_000
        assert bool(late[last].all()) is not keeps_up
        assert bool(late.any()) is not keeps_up


def test_replications_differ(flat: str) -> None:
    """The twin of independence: forty nodes with the same arrivals would have no standard error at all."""
    waits, _ = first_packets("iptables", flat, 0.6)
    assert len(set(waits.tolist())) == REPLICATIONS
    scenario = replace(Scenario("again"), cluster=ClusterParams(nodes=2, cores=1), groups=(ServiceGroup("s", 1),))
    cluster, _ = build_cluster(scenario)
    drawn = prepare(scenario, cluster, 0).connections
    one, two = (drawn.arrival_ns[drawn.node == n] for n in (0, 1))
    assert not np.array_equal(one[:50], two[:50])
