"""What was not over when a run was: changes that wait in the control plane, percentiles of everything, "at least"."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from kpsim.clock import EventQueue
from kpsim.experiment.answers.judge import judge
from kpsim.experiment.replications import run
from kpsim.experiment.result import Result
from kpsim.measure.distribution import Distribution
from kpsim.measure.intervals import GROUPS, draw, summarise
from kpsim.measure.summary import Estimate
from kpsim.measure.tally import Tally
from kpsim.report.wording.quantity import estimate
from kpsim.scenario.model import Threshold
from kpsim.scenario.reader import read
from kpsim.simulation import build_cluster, prepare
from kpsim.simulation.unfinished import find_unwritten
from kpsim.simulation.wiring import control_plane

S = 1_000_000_000
MEASURE = "network_programming_true"
SCENARIO = """\
apiVersion: kpsim/v1alpha1
kind: Scenario
metadata: {name: behind}
spec:
  cluster: {nodes: 3, cores: 2}
  controllerManager: {qps: 2, burst: 1}
  services:
    - {name: web, count: 60, endpoints: 2}
  compare: {modes: [iptables]}
  traffic: {connectionsPerSecondPerNode: 1, packetsPerConnection: 1}
  changes:
    churn: {podReplacementsPerSecond: 4}
  run: {duration: 40s, warmup: 2s, seed: 1, replications: 1, engine: batch, packets: 1k}
"""


def tally(seen: Sequence[int], ages: Sequence[int] = ()) -> Tally:
    made = Tally("s")
    made.add(np.array(seen, np.int64) * S)
    made.add_open(np.array(ages, np.int64) * S)
    return made


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("behind") / "behind.yaml"
    file.write_text(SCENARIO)
    return file


@pytest.fixture(scope="module")
def result(path: Path) -> Result:
    return run(path)


@pytest.mark.parametrize("qps", ["2", "20"])
def test_what_is_unwritten_is_what_the_control_plane_still_holds(path: Path, qps: str) -> None:
    scenario = read(path, [("controllerManager.qps", qps)])
    cluster, _ = build_cluster(scenario)
    replication = prepare(scenario, cluster, 0)
    clock = EventQueue()
    plane = control_plane(replication, clock)
    clock.run(replication.horizon_ns)
    found = find_unwritten(cluster, replication.changes, plane.api.log).waiting_ns
    written = {at_ns for row in plane.api.log.rows for at_ns in row.effects_ns}
    assert not written & set(found.tolist())
    held = plane._states[4]._services.values()
    alone = {one.changes[0][0] for s in held for one in s.unwritten.values() if len(one.changes) == 1}
    unseen = [at_ns for at_ns in found.tolist() if at_ns not in alone]
    assert all(at_ns > replication.horizon_ns - 2 * S for at_ns in unseen)  # the informer has not seen them yet
    assert len(alone - set(found.tolist())) <= 5  # about to be taken back
    assert (len(found) > 50) == (qps == "2")


def test_an_overloaded_control_plane_says_so(result: Result) -> None:
    mode = result.modes["iptables"]
    waiting, summary = mode.counts["changes_in_control_plane"], mode.summaries[MEASURE]
    runs = result.scenario.run.replications
    assert waiting.value > 0.2 * mode.counts["changes"].value
    assert summary.n + summary.unfinished == pytest.approx(3 * runs * mode.counts["changes"].value)
    assert runs * mode.counts["node_changes_pending"].value == pytest.approx(summary.unfinished)
    assert summary.quantiles["p50"].at_least
    assert summary.quantiles["p90"].at_least
    assert summary.quantiles["p90"].value > 10
    assert any("no steady state" in warning for warning in result.warnings)
    assert MEASURE not in {c.measure for c in result.comparisons}


def test_what_is_at_least_beyond_a_bound_fails_and_below_it_nobody_knows(result: Result) -> None:
    def verdict(text: str, bound: float) -> bool | None:
        operator = text.split()[1]
        threshold = Threshold(MEASURE, "p90", operator, bound, text)  # type: ignore[arg-type]
        (found,) = judge([threshold], result.modes)
        return found.passed

    assert verdict("p90 < 5s", 5.0) is False
    assert verdict("p90 < 500s", 500.0) is None
    assert verdict("p90 > 5s", 5.0) is True
    assert verdict("p90 > 500s", 500.0) is None


def test_at_least_is_in_words() -> None:
    assert estimate(Estimate(2.0, at_least=True), "s") == "at least 2.00 s"


def test_shares_are_kaplan_and_meiers() -> None:
    whole = Distribution.of(tally([1, 3, 5, 7], [2, 4]))
    # 1/6 at 1; 1/4 of the rest at 3; half of the rest at 5; all at 7
    assert (whole.below / whole.n).tolist() == pytest.approx([1 / 6, 1 - 5 / 6 * 3 / 4, 1 - 5 / 6 * 3 / 8, 1.0])
    assert whole.unknown(np.array([3.0 * S, 9.0 * S])).tolist() == pytest.approx([1 / 6, 2 / 6])
    assert Distribution.of(tally([1, 3], [2, 9])).at(np.array([0.5, 0.9])).tolist() == pytest.approx(
        [3.0, np.nan], nan_ok=True
    )


def test_buckets_give_nearly_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    life, age = rng.exponential(5 * S, 4000), rng.uniform(0, 60 * S, 4000)
    seen, ages = life[life <= age].astype(np.int64), age[life > age].astype(np.int64)
    exact, coarse = Tally("s"), Tally("s", values=None)
    for each in (exact, coarse):
        each.add(seen)
        each.add_open(ages)
    assert coarse.open
    shares = np.array([0.1, 0.5, 0.9, 0.99])
    truth = -5 * np.log1p(-shares)
    assert exact.curve(shares) == pytest.approx(truth, rel=0.1)
    assert exact.finished().curve(shares)[1] < exact.curve(shares)[1]  # who is left out is who takes long
    coarse.open.values = None
    assert coarse.curve(shares) == pytest.approx(exact.curve(shares), rel=0.02)


def test_a_few_that_are_unfinished_at_the_end_leave_percentiles_known() -> None:
    values = list(range(1, 101))
    some = summarise(MEASURE, [tally(values, [50] * 5)])
    assert some
    assert (some.n, some.unfinished, some.quantiles["p50"].at_least) == (100, 5, False)
    many = summarise(MEASURE, [tally(values, [50] * 100)])
    assert many
    assert not many.quantiles["p50"].at_least or many.quantiles["p50"].value >= 50
    assert many.quantiles["p90"] == Estimate(80.0, at_least=True)
    assert many.statistic("max") == Estimate(100.0)
    only = summarise(MEASURE, [tally([], [3] * 30)])
    assert only
    assert (only.mean, only.statistic("max")) == (Estimate(3.0, at_least=True), Estimate(3.0, at_least=True))


def test_a_pair_of_modes_is_drawn_alike() -> None:
    rng = np.random.default_rng(2)
    groups = []
    for _ in range(GROUPS):
        made = Tally("s")
        made.add(rng.integers(S, 2 * S, 200))
        groups.append(made)
    first, again = draw(groups), draw(groups)
    for name, mine in first.items():
        ratio, difference = mine.over(again[name]), mine.less(again[name])
        assert (ratio.value, ratio.low, ratio.high) == pytest.approx((1.0, 1.0, 1.0))
        assert (difference.value, difference.low, difference.high) == pytest.approx((0.0, 0.0, 0.0))
        found = mine.estimate()
        assert found.low is not None
        assert found.high is not None
        assert found.low < found.value < found.high
    constant = draw([tally([2] * 10) for _ in range(GROUPS)])["p50"].estimate()
    assert (constant.value, constant.low, constant.high) == pytest.approx((2.0, 2.0, 2.0))


def test_groups_with_an_empty_one_between_are_no_neighbours() -> None:
    times = (3, 4, 5, 6, 7, 8)
    together = draw([tally([at] * 50) for at in times])["mean"].estimate()
    apart = draw([part for at in times for part in (tally([at] * 50), tally([]))])["mean"].estimate()
    assert together.low is not None
    assert apart.low is not None
    assert together.value == apart.value
    assert 0 < together.low < apart.low, "a series that rises is alike to itself: fewer groups than it seems"
