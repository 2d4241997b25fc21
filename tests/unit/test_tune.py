"""A knob's ladder: the front, the value to take, and what stands in a scenario."""

from __future__ import annotations

import numpy as np
import pytest

import kpsim
from kpsim.experiment.searches.knobs import KNOBS, PROGRAMMING, PROXY_CPU
from kpsim.experiment.searches.quantity import quantity_of
from kpsim.experiment.searches.tune import Rung, tune, value_of
from kpsim.measure.intervals import DRAWS
from kpsim.measure.summary import Estimate
from kpsim.report.figures.searches.pareto import pareto_picture
from kpsim.report.searches.tune import sentences, to_paste
from kpsim.scenario.kinds import identify_data
from kpsim.scenario.reader import read

SPEC: dict[str, object] = {
    "cluster": {"nodes": 2, "cores": 2},
    "services": [{"name": "web", "count": 4, "endpoints": 3}],
    "traffic": {"connectionsPerSecondPerNode": 10, "packetsPerConnection": 2},
    "changes": {"churn": {"podReplacementsPerSecond": 2}},
    "run": {"duration": "30s", "warmup": "5s", "replications": 2, "engine": "batch", "packets": "2k"},
}
AGAINST = ("network_programming_true.p50", "cpu_proxy_cores")


def ladder(*values: str, **more: object) -> list[Rung]:
    spec = {**SPEC, **more}
    return list(tune(identify_data(spec), "minSyncPeriod", values=values, against=AGAINST).rungs)


def test_the_front_trades_latency_for_cpu() -> None:
    rungs = ladder("1s", "2s", "4s")
    assert [rung.on_front for rung in rungs] == [True, True, True]
    programming, cpu = ([value_of(rung, quantity_of(name)) for rung in rungs] for name in AGAINST)
    assert programming == sorted(programming)
    assert cpu == sorted(cpu, reverse=True)


def test_the_cheapest_that_meets_is_taken_and_the_knee_else() -> None:
    look = identify_data({**SPEC, "thresholds": {"network_programming_true": ["p50 < 3s"]}})
    found = tune(look, "minSyncPeriod", values=("1s", "2s", "20s"), against=AGAINST)
    assert (found.chosen.written, found.chosen.met) == ("2s", True)
    assert "meet network_programming_true.p50 < 3s" in sentences(found)[0]
    knee = tune(identify_data(SPEC), "minSyncPeriod", values=("1s", "2s", "20s"), against=AGAINST)
    assert knee.why == "it is the knee of the front"


def test_nothing_is_recommended_where_a_measure_has_no_value() -> None:
    against = ("network_programming_true.p99", "cpu_proxy_cores")
    found = tune(identify_data({**SPEC, "changes": {}}), "minSyncPeriod", values=("1s", "20s"), against=against)
    assert [quantity.name for quantity in found.untold] == ["network_programming_true.p99"]
    said = sentences(found)
    assert said[0].startswith("No minSyncPeriod can be recommended with iptables: network programming latency p99")
    assert "--against network_programming_true.mean,cpu_proxy_cores" in said[0]
    assert not any(word in text for text in said for word in ("Take", "knee"))
    assert to_paste(found) == ("", "")
    assert found.chosen.written == found.now == "1s"
    told = tune(identify_data(SPEC), "minSyncPeriod", values=("1s", "20s"), against=AGAINST)
    assert told.untold == ()
    assert to_paste(told)[1]


def test_kube_proxys_floor_is_of_the_mode() -> None:
    assert [(rung.written, rung.read_as) for rung in ladder("0s", "1s")] == [("0s", "1s"), ("1s", "")]
    ipvs = ladder("0s", "1s", kubeProxy={"mode": "ipvs"})
    assert [(rung.written, rung.read_as) for rung in ipvs] == [("0s", ""), ("1s", "")]


@pytest.mark.parametrize("name", KNOBS)
def test_every_knob_says_where_the_scenario_stands_and_can_be_turned(name: str) -> None:
    changes = {"events": [{"at": "10s", "rollout": {"service": "web-0", "preStop": "3s"}}]}
    look = identify_data({**SPEC, "changes": changes})
    scenario, knob = read(look), KNOBS[name]
    now = {"minSyncPeriod": "1s", "syncPeriod": "30s", "qps": "20", "preStop": "3s", "slices": "100"}[name]
    assert knob.now(scenario, "iptables") == now
    for value in knob.ladder:
        turned = read(look, knob.settings(scenario, "iptables", value))
        assert knob.now(turned, "iptables") in (value, knob.read_as(turned, "iptables", value))


def test_a_value_that_cannot_be_is_said_and_the_others_are_tried() -> None:
    look = identify_data({**SPEC, "controllerManager": {"maxEndpointsPerSlice": 100}})
    found = tune(look, "slices", values=("100", "5000"), against=("sync_duration.mean", "api_bytes_per_s"))
    assert [value for value, _ in found.refused] == ["5000"]
    assert "--max-endpoints-per-slice=100" in to_paste(found)[1]


def test_a_figure_needs_two_values() -> None:
    look = identify_data(SPEC)
    drawn = pareto_picture(tune(look, "minSyncPeriod", values=("1s", "5s"), against=AGAINST))
    assert drawn is not None
    assert "minSyncPeriod" in drawn.title
    assert pareto_picture(tune(look, "minSyncPeriod", values=("1s",), against=AGAINST)) is None


def test_the_front_end_has_both_searches() -> None:
    small = kpsim.load(SPEC)
    found = small.tune("minSyncPeriod", "5s", against=AGAINST)
    assert found.chosen in ("1s", "5s")
    assert "minSyncPeriod" in found.configuration
    assert set(found.frame()["on_front"]) <= {True, False}
    assert found.plot()._repr_svg_()
    assert "<table>" in found._repr_html_()
    most = small.limit("cluster.nodes", "sync_duration.mean < 1m", within=(1, 4))
    assert most.largest["iptables"] is not None
    assert most.plot()._repr_svg_()
    assert "<table>" in most._repr_html_()
    assert np.isfinite(most.frame()["value"]).all()
    assert (PROGRAMMING.unit, PROXY_CPU.unit, DRAWS) == ("s", "cores", 400)


def ends(found: Estimate | None) -> tuple[float, float]:
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


def test_cpu_is_judged_by_its_prices_too_and_what_is_left_of_it_buys_latency() -> None:
    free = tune(identify_data(SPEC), "minSyncPeriod", values=("1s", "2s", "4s"), against=AGAINST)
    by_prices = [rung.prices[PROXY_CPU] for rung in free.rungs]
    seen = [rung.probe.estimate(PROXY_CPU) for rung in free.rungs]
    for prices, sampled in zip(by_prices, seen, strict=True):
        assert sampled is not None
        assert prices.value == pytest.approx(sampled.value)
        low, high = ends(prices)
        assert low < prices.value < high
    assert " cores [95 %: " in sentences(free)[0]
    assert "by prices" in sentences(free)[0].rpartition(" cores [")[2]
    between = (
        by_prices[0].value + ends(by_prices[0])[1]
    ) / 2  # only the dearest prices of the first value are above it
    tight = tune(
        identify_data(SPEC),
        "minSyncPeriod",
        values=("1s", "2s", "4s"),
        against=AGAINST,
        objectives=[f"cpu_proxy_cores < {between:.9f}"],
    )
    met = [rung.met for rung in tight.rungs]
    assert met[0] is None
    assert met[-1] is True
    assert tight.chosen is next(rung for rung in tight.rungs if rung.met)  # the shortest, so the best latency
    assert "it has the least network_programming_true.p50" in sentences(tight)[0]
