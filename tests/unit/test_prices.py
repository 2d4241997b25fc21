"""A profile's intervals reach the numbers that readers see, and an objective is judged by the wider of two."""

from __future__ import annotations

import math
from dataclasses import astuple, replace
from importlib import resources
from pathlib import Path

import pytest
import yaml

from kpsim.cluster.params import ChurnParams, ClusterParams, EndpointCount, ServiceGroup
from kpsim.experiment.answers.judge import judge
from kpsim.experiment.answers.prices.parts import Spread, spread_of
from kpsim.experiment.replications import run_scenario
from kpsim.experiment.result import ModeResult, Result, ThresholdVerdict
from kpsim.measure.summary import Estimate
from kpsim.profiles.costs import load_profile
from kpsim.profiles.format import Coefficient
from kpsim.scenario.model import ProfileChoice, RunParams, Scenario, Threshold
from kpsim.traffic.params import TrafficParams
from tests.report_fixture import make_mode

SCENARIO = Scenario(
    name="priced",
    cluster=ClusterParams(nodes=3, cores=2),
    groups=(ServiceGroup("web", 400, EndpointCount(mean=5.0)),),
    modes=("iptables", "ipvs"),
    traffic=TrafficParams(20.0, 2),
    churn=ChurnParams(pod_replacements_per_s=1.0),
    run=RunParams(30.0, 5.0, seed=5, replications=2, engine="batch"),
)


def price(name: str, value: float, low: float, high: float, source: str) -> Coefficient:
    return Coefficient(name, "s", value, low, high, source)


def test_prices_of_one_source_move_together_and_of_two_apart() -> None:
    same = {name: price(name, 1.0, 0.7, 1.4, "study") for name in "ab"}
    apart = {name: price(name, 1.0, 0.7, 1.4, name) for name in "ab"}
    work = {"a": 3, "b": 4}
    assert astuple(spread_of(same, work)) == pytest.approx((0.7, 1.4))
    five_sevenths = math.hypot(3, 4) / 7
    assert astuple(spread_of(apart, work)) == pytest.approx((1 - 0.3 * five_sevenths, 1 + 0.4 * five_sevenths))
    assert spread_of(same, {}) == Spread(1.0, 1.0)


@pytest.fixture(scope="module")
def result() -> Result:
    return run_scenario(SCENARIO)


def test_a_run_at_the_prices_ends_lies_where_the_spread_says(result: Result, tmp_path: Path) -> None:
    """All prices at their upper end at once move a sync at least as far as the spread, and a change by its share."""
    shipped = Path(str(resources.files("kpsim.profiles"))) / f"{load_profile(ProfileChoice().name).name}.yaml"
    text = yaml.safe_load(shipped.read_text(encoding="utf-8"))
    for family in text["families"].values():
        for each in family.values():
            for which in {"both", "quiet", "typical"} & set(each):
                _, low, high = each[which]
                each[which] = [high, low, high]
            each.pop("cold", None)
    dear = tmp_path / "dear.yaml"
    dear.write_text(yaml.safe_dump(text), encoding="utf-8")
    moved = run_scenario(replace(SCENARIO, profile=ProfileChoice(name=str(dear))))
    for mode, found in result.modes.items():
        for measure, slack in (
            ("sync_duration", 0.02),
            ("later_packet_latency", 0.02),
            ("network_programming_true", 0.1),
        ):
            spread = found.priced[measure]["mean"]
            assert spread.high is not None
            at_the_end = moved.modes[mode].summaries[measure].mean.value
            assert at_the_end > spread.high * (1 - slack), (mode, measure)
            assert at_the_end < spread.value + 3 * (spread.high - spread.value) + slack * spread.value, (mode, measure)


def test_what_waits_for_a_pause_does_not_move_with_prices(result: Result) -> None:
    found = result.modes["iptables"]
    sync, change = (found.priced[name]["mean"] for name in ("sync_duration", "network_programming_true"))
    assert sync.high is not None
    assert change.high is not None
    assert 1 < change.high / change.value < 1 + 0.3 * (sync.high / sync.value - 1)


BOUND = Threshold("first_packet_latency", "p99", "<", 1.0, "p99 < 1s")


def with_found(found: Estimate | None, profile: Estimate | None, statistic: str = "p99") -> dict[str, ModeResult]:
    mode = make_mode("toy")
    summary = replace(mode.summaries["first_packet_latency"], quantiles={} if found is None else {statistic: found})
    priced = {} if profile is None else {"first_packet_latency": {statistic: profile}}
    return {"toy": replace(mode, summaries={"first_packet_latency": summary}, priced=priced)}


@pytest.mark.parametrize(
    ("found", "profile", "passed"),
    [
        (Estimate(0.9, 0.85, 0.95), Estimate(0.9, 0.8, 0.99), True),
        (Estimate(0.9, 0.85, 0.95), Estimate(0.9, 0.7, 1.2), None),  # by prices
        (Estimate(0.9, 0.7, 1.1), Estimate(0.9, 0.89, 0.91), None),  # by sampling
        (Estimate(1.5, 1.4, 1.6), Estimate(1.5, 0.9, 2.0), None),
        (Estimate(1.5, 1.4, 1.6), Estimate(1.5, 1.1, 2.0), False),
        (Estimate(1.5, 1.4, 1.6), None, False),
        (Estimate(0.9), Estimate(0.9, 0.8, 0.95), None),  # too small a sample for an interval
        (None, None, None),
    ],
)
def test_the_wider_interval_decides(found: Estimate | None, profile: Estimate | None, passed: bool | None) -> None:
    (verdict,) = judge([BOUND], with_found(found, profile))
    assert verdict.passed is passed


def test_the_largest_seen_needs_no_interval() -> None:
    most = Threshold("first_packet_latency", "max", "<", 1.0, "max < 1s")
    (verdict,) = judge([most], with_found(None, None))
    assert verdict.passed is True


def test_both_intervals_together_are_wider_than_either() -> None:
    verdict = ThresholdVerdict(BOUND, "toy", Estimate(1.0, 0.7, 1.3), None, Estimate(1.0, 0.6, 1.4))
    assert verdict.combined is not None
    assert (verdict.combined.low, verdict.combined.high) == pytest.approx((0.5, 1.5))
    assert verdict.ends == (0.6, 1.4)


def test_a_swing_is_one_coefficients_share_of_the_spread(result: Result) -> None:
    """All of a measure's swings, added as squares by source, are its interval by prices."""
    for found in result.modes.values():
        swings = found.swings["sync_duration_full" if "sync_duration_full" in found.swings else "sync_duration_partial"]
        first = swings[0]
        name = next(name for name, each in found.swings.items() if each == swings)
        sides: dict[str, float] = {}
        for swing in swings:
            sides[swing.source] = sides.get(swing.source, 0.0) + swing.high - swing.value
        high = found.priced[name][first.statistic].high
        assert high is not None
        assert first.value + math.hypot(*sides.values()) == pytest.approx(high, rel=2e-3)
        assert sum(swing.variance for swing in swings) == pytest.approx(1, abs=0.01)
        assert [s.high - s.low for s in swings] == sorted((s.high - s.low for s in swings), reverse=True)


def test_a_changes_way_moves_with_the_control_planes_prices_too(result: Result) -> None:
    names = {swing.name for swing in result.modes["iptables"].swings["network_programming_true"]}
    assert {"pod.status_patch", "api_server.write"} <= names
