"""How costs grow with the cluster: a scan is a line over position, a hash is flat, and nothing gets cheaper.

The slopes that come out of runs are compared with the profile's own coefficients and their intervals.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from kpsim.cluster.params import ChurnParams, ClusterParams, EndpointCount, ServiceGroup
from kpsim.experiment.answers.curves import position_line, sync_curve
from kpsim.profiles.costs import FACTOR_ONE, Costs, load_profile
from kpsim.profiles.format import Coefficient
from kpsim.proxy.contract import SyncCounts, SyncKind
from kpsim.proxy.params import LATEST, ProxyParams
from kpsim.proxy.registry import MODES, create
from kpsim.scenario.model import ProfileChoice, RunParams, Scenario
from kpsim.simulation import build_cluster, prepare, run_mode
from kpsim.traffic.connections import COLUMNS
from kpsim.traffic.params import TrafficParams
from kpsim.units import F64, I64
from tests.verification.test_queues import flat_profile

SHIPPED = "measured-linux-6.18"
SIZES = (1, 10, 100, 1_000, 10_000, 50_000)
SMALL_SIZES = (1, 5, 40, 200)
WARMTHS = (1.0, 0.5, 0.0)


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> str:
    return flat_profile(tmp_path_factory.mktemp("profiles"))


@dataclass(frozen=True)
class FirstPackets:
    """First packets of a run: rules passed, endpoint rules tried and cost [ns] of each."""

    scanned: I64
    tried: I64
    cost_ns: I64

    def line(self) -> tuple[float, float]:
        """Least squares of cost over position: fixed [ns] and slope [ns a rule]."""
        columns = np.stack([np.ones(len(self.scanned)), self.scanned], axis=1)
        fixed, slope = np.linalg.lstsq(columns, self.cost_ns.astype(np.float64), rcond=None)[0]
        return float(fixed), float(slope)


def scenario_of(services: int, mode: str, profile: ProfileChoice, per_s: float = 40.0) -> Scenario:
    return Scenario(
        name="size",
        cluster=ClusterParams(nodes=4, cores=2),
        groups=(ServiceGroup("s", services, EndpointCount(mean=1.0)),),
        kube_proxy=ProxyParams(mode=mode),
        modes=(mode,),
        traffic=TrafficParams(per_s, 1, 0.0),
        profile=profile,
        run=RunParams(10.0, 0.0, seed=7, replications=1),
    )


@cache
def first_packets(
    sizes: tuple[int, ...], mode: str, profile: str, warmth: float, engine: str, per_s: float = 40.0
) -> FirstPackets:
    """All first packets of runs at each of ``sizes``; one Pod a Service, so that only position matters."""
    found = []
    for services in sizes:
        scenario = scenario_of(services, mode, ProfileChoice(profile, "typical", warmth), per_s)
        cluster, _ = build_cluster(scenario)
        outcomes = run_mode(prepare(scenario, cluster, 0), mode, engine).outcomes
        found.append((outcomes.scanned, outcomes.tried, outcomes.cost_ns[:, 0]))
    return FirstPackets(*(np.concatenate(column) for column in zip(*found, strict=True)))


def coefficient(name: str, warmth: float, mode: str = "iptables") -> Coefficient:
    family = create(ProxyParams(mode=mode)).family
    return load_profile(SHIPPED).costs(family, "typical", warmth).coefficients[name]


# ── A line over position ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("engine", "sizes"), [("batch", SIZES), ("reference", SMALL_SIZES)])
@pytest.mark.parametrize("warmth", WARMTHS)
def test_iptables_first_packet_is_a_line_over_position(
    engine: str, sizes: tuple[int, ...], warmth: float, flat: str
) -> None:
    seen = first_packets(sizes, "iptables", flat, warmth, engine, 40.0 if engine == "batch" else 8.0)
    assert seen.scanned.max() > 0.9 * sizes[-1]
    assert seen.scanned.min() == 0
    assert (seen.tried == 0).all()
    fixed, slope = seen.line()
    rule, path = coefficient("rule_passed", warmth), coefficient("packet_first", warmth)
    rounding = 1.0 / sizes[-1]  # a nanosecond at the far end
    assert slope == pytest.approx(rule.value * 1e9, abs=2 * rounding)
    assert fixed == pytest.approx(path.value * 1e9, abs=2.0)
    assert rule.low * 1e9 <= slope <= rule.high * 1e9
    residual = seen.cost_ns - fixed - slope * seen.scanned
    assert np.abs(residual).max() <= 2.0  # nothing but rounding is left


def test_cold_caches_are_another_line(flat: str) -> None:
    """The twin: the warm slope is not within the cold one's interval, and what is between lies between."""
    slopes = [first_packets(SIZES, "iptables", flat, warmth, "batch").line()[1] for warmth in WARMTHS]
    assert slopes == sorted(slopes)
    cold = coefficient("rule_passed", 0.0)
    assert not cold.low * 1e9 <= slopes[0] <= cold.high * 1e9
    assert slopes[1] == pytest.approx((slopes[0] + slopes[2]) / 2, rel=1e-3)


def test_on_average_the_line_holds_with_variation_too() -> None:
    """With the profile's variation the mean moves with its mean factor, and the report's line is that line."""
    seen = first_packets(SIZES, "iptables", SHIPPED, 1.0, "batch")
    costs = load_profile(SHIPPED).costs("iptables-legacy", "typical", 1.0)
    factor = float(costs.factors["packet_first"].mean()) / FACTOR_ONE
    centred = seen.scanned - seen.scanned.mean()
    slope = float((centred * seen.cost_ns).sum() / (centred**2).sum())
    residual = seen.cost_ns - seen.cost_ns.mean() - slope * centred
    error = float(np.sqrt((centred**2 * residual**2).sum()) / (centred**2).sum())  # scatter grows with cost
    expected = costs.coefficients["rule_passed"].value * 1e9 * factor
    assert abs(slope - expected) <= 4 * error
    assert abs(slope - expected / factor) > 4 * error  # leaving out that the mean is not the median
    fixed, line = position_line(create(ProxyParams(mode="iptables")), costs, tried_mean=0.0)
    assert line * 1e9 == pytest.approx(expected)
    assert fixed * 1e9 == pytest.approx(costs.coefficients["packet_first"].value * 1e9 * factor)


@pytest.mark.parametrize(("engine", "sizes"), [("batch", SIZES), ("reference", SMALL_SIZES)])
@pytest.mark.parametrize("warmth", [1.0, 0.0])
def test_ipvs_first_packet_does_not_know_the_size(
    engine: str, sizes: tuple[int, ...], warmth: float, flat: str
) -> None:
    seen = first_packets(sizes, "ipvs", flat, warmth, engine, 40.0 if engine == "batch" else 8.0)
    assert np.ptp(seen.cost_ns) == 0
    assert seen.cost_ns[0] == round(coefficient("packet_first", warmth, "ipvs").value * 1e9)
    assert (seen.scanned == 0).all()


def test_positions_are_uniform_over_the_list(flat: str) -> None:
    """Every Service stands anywhere in the list equally often: mean position is half the others."""
    services = 200
    means = []
    for seed in range(30):
        scenario = scenario_of(services, "iptables", ProfileChoice(flat))
        scenario = replace(scenario, run=replace(scenario.run, seed=seed, duration_s=5.0))
        cluster, _ = build_cluster(scenario)
        means.append(float(run_mode(prepare(scenario, cluster, 0), "iptables", "batch").outcomes.scanned.mean()))
    error = float(np.std(means, ddof=1)) / 30**0.5
    assert abs(np.mean(means) - (services - 1) / 2) <= 4 * error
    assert abs(np.mean(means) - services / 4) > 4 * error  # as if popular Services stood first


@pytest.mark.parametrize("endpoints", [1, 2, 5, 16])
def test_endpoint_rules_cost_what_choosing_among_them_takes(endpoints: int, flat: str) -> None:
    """Of e endpoint rules (e - 1)(e + 2) / 2e are tried on average, each at the price of a statistic match."""
    scenario = replace(
        scenario_of(1, "iptables", ProfileChoice(flat), 400.0),
        groups=(ServiceGroup("s", 1, EndpointCount(mean=float(endpoints))),),
    )
    cluster, _ = build_cluster(scenario)
    outcomes = run_mode(prepare(scenario, cluster, 0), "iptables", "batch").outcomes
    tried = outcomes.tried
    error = float(tried.std(ddof=1)) / len(tried) ** 0.5
    assert abs(tried.mean() - (endpoints - 1) * (endpoints + 2) / (2 * endpoints)) <= 4 * error
    each = coefficient("endpoint_rule", 1.0).value * 1e9
    path = coefficient("packet_first", 1.0).value * 1e9
    assert np.abs(outcomes.cost_ns[:, 0] - path - each * tried).max() <= 2.0
    chosen = np.bincount(outcomes.pod, minlength=endpoints) / len(tried)
    assert np.abs(chosen - 1 / endpoints).max() <= 4 * (1 / endpoints / len(tried)) ** 0.5


# ── Same draws for every mode ────────────────────────────────────────────────────────────────────────────────────────


def test_modes_compared_see_identical_arrivals() -> None:
    """Connections, changes and the draws of the sync loops do not depend on the mode."""
    drawn = {}
    for mode in MODES:
        scenario = replace(scenario_of(50, mode, ProfileChoice()), churn=ChurnParams(2.0, 0.5))
        cluster, _ = build_cluster(scenario)
        replication = prepare(scenario, cluster, 0)
        run = run_mode(replication, mode, "batch")
        drawn[mode] = (replication, list(run.proxiers[0].log.rows), run.outcomes.arrival_ns)
    (one, rows, arrival), *others = drawn.values()
    for other, other_rows, other_arrival in others:
        for name in COLUMNS:
            assert np.array_equal(getattr(one.connections, name), getattr(other.connections, name)), name
        assert np.array_equal(one.changes.at_ns, other.changes.at_ns)
        assert np.array_equal(one.changes.subject, other.changes.subject)
        assert np.array_equal(one.order, other.order)
        every = np.arange(one.cluster.nodes)
        assert np.array_equal(one.draws[4].factor(3, every), other.draws[4].factor(3, every))
        assert np.array_equal(one.draws[4].rotation(70, every), other.draws[4].rotation(70, every))
        assert rows == other_rows
        assert np.array_equal(arrival, other_arrival)
    scenario = replace(scenario_of(50, "iptables", ProfileChoice()), churn=ChurnParams(2.0, 0.5))
    again = prepare(scenario, build_cluster(scenario)[0], 1)
    assert not np.array_equal(one.connections.arrival_ns[:20], again.connections.arrival_ns[:20])


# ── Nothing gets cheaper ─────────────────────────────────────────────────────────────────────────────────────────────


def held(services: int, endpoints_each: int, cleanup: int) -> SyncCounts:
    return SyncCounts(
        service_ports=services,
        endpoints=services * endpoints_each,
        dispatch=services,
        own=services * (1 + 3 * endpoints_each),
        changed_services=1,
        changed_own=1 + 3 * endpoints_each,
        endpoint_changes=1,
        cleanup=cleanup,
    )


@cache
def costs_of(mode: str) -> Costs:
    return load_profile(SHIPPED).costs(create(ProxyParams(mode=mode)).family, "typical", 1.0)


FLAT = {"ebpf"}  # partial syncs visit what changed and nothing else


@pytest.mark.parametrize("mode", list(MODES))
@pytest.mark.parametrize("kind", list(SyncKind))
@pytest.mark.parametrize("cleanup", [0, 1])
def test_a_sync_of_a_larger_cluster_takes_longer(mode: str, kind: SyncKind, cleanup: int) -> None:
    made, costs = create(ProxyParams(mode=mode)), costs_of(mode)
    by_services = [float(costs.seconds(made.sync_work(kind, held(n, 2, cleanup)))) for n in (0, 1, 10, 1_000, 50_000)]
    by_endpoints = [float(costs.seconds(made.sync_work(kind, held(100, e, cleanup)))) for e in (0, 1, 5, 50, 250)]
    assert (np.diff(by_endpoints) > 0).all()
    if mode in FLAT and not kind.whole:
        assert len(set(by_services)) == 1
        return
    assert (np.diff(by_services) > 0).all()
    for bound in ("low", "high"):
        bounds = [float(costs.seconds(made.sync_work(kind, held(n, 2, cleanup)), bound)) for n in (1, 1_000, 50_000)]
        assert (np.diff(bounds) > 0).all()


@pytest.mark.parametrize("mode", list(MODES))
def test_looking_for_stale_chains_never_makes_a_sync_shorter(mode: str) -> None:
    made, costs = create(ProxyParams(mode=mode)), costs_of(mode)
    for kind in SyncKind:
        without, with_it = (float(costs.seconds(made.sync_work(kind, held(100, 2, c)))) for c in (0, 1))
        assert with_it >= without


@cache
def mean_sync_s(mode: str, services: int, profile: str) -> F64:
    """Mean duration of the syncs of each kind, partial and full [s]; NaN where there was none."""
    scenario = Scenario(
        name="growth",
        cluster=ClusterParams(nodes=3, cores=1),
        groups=(ServiceGroup("s", services, EndpointCount(mean=2.0)),),
        kube_proxy=ProxyParams(mode=mode),
        traffic=TrafficParams(0.0),
        churn=ChurnParams(0.02),
        profile=ProfileChoice(profile),
        run=RunParams(4_000.0, 0.0, seed=2, replications=1),
    )
    cluster, _ = build_cluster(scenario)
    trace = run_mode(prepare(scenario, cluster, 0), mode, "batch").proxiers[0].syncs
    took = (trace.end - trace.start) / 1e9
    return np.array(
        [float(took[which].mean()) if which.any() else np.nan for which in (trace.ran & ~trace.full, trace.full)]
    )


@pytest.mark.parametrize("mode", list(MODES))
@pytest.mark.parametrize("sizes", [(1, 10, 100, 400), (600, 2_000, 10_000)], ids=["small", "large-cluster mode"])
def test_syncs_of_a_run_take_longer_as_the_cluster_grows(mode: str, sizes: tuple[int, ...], flat: str) -> None:
    """On either side of a thousand endpoints; at that line a large cluster saves itself the search for stale chains."""
    seen = np.array([mean_sync_s(mode, n, flat) for n in sizes])
    partial, full = seen[:, 0], seen[:, 1]
    if mode in FLAT:
        assert np.isnan(full).all()  # only an agent that starts writes everything
        assert np.ptp(partial) < 0.01 * partial.mean()
        return
    runner = create(ProxyParams(mode=mode)).runner(LATEST)
    full_s = runner.full_s
    if full_s and (full_s > 4_000.0 or (runner.spares_large and min(sizes) > 500)):  # none is ever due
        assert np.isnan(full).all()
        assert (np.diff(partial) > 0).all()
        return
    assert (np.diff(full) > 0).all()
    if full_s is None:
        assert np.isnan(partial).all()  # it has no partial syncs
    else:
        assert (np.diff(partial) > 0).all()
        assert (partial < full).all()


@pytest.mark.parametrize("mode", list(MODES))
def test_the_curve_of_syncs_rises_and_holds_today_s_size(mode: str) -> None:
    scenario = scenario_of(300, mode, ProfileChoice())
    cluster, _ = build_cluster(scenario)
    partial = mode == "iptables"
    points = sync_curve(cluster, create(ProxyParams(mode=mode)), costs_of(mode), 4.0, partial)
    for kind in ("full", "partial") if partial else ("full",):
        of_kind = [p for p in points if p.kind == kind]
        assert 300 in {p.services for p in of_kind}
        rules = [p.rules for p in of_kind]
        assert rules == sorted(rules)
        below = [p.seconds for p in of_kind if p.services <= 1000]
        above = [p.seconds for p in of_kind if p.services > 1000]
        assert below == sorted(below)
        assert above == sorted(above)
        assert all(p.low_s < p.seconds < p.high_s for p in of_kind)


def test_the_flat_profile_is_flat(tmp_path: Path) -> None:
    costs = load_profile(flat_profile(tmp_path)).costs("ipvs", "typical", 1.0)
    assert {int(f) for table in costs.factors.values() for f in table} == {FACTOR_ONE}
    shipped = load_profile(SHIPPED).costs("ipvs", "typical", 1.0)
    assert costs.coefficients == shipped.coefficients
    assert any(np.ptp(table) > 0 for table in shipped.factors.values())
