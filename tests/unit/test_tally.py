"""Tallies and intervals, on which every printed percentile rests: empty, one value, ties, zeros, units, support."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kpsim.measure import tally as tallies
from kpsim.measure.intervals import BEYOND, QUANTILES, estimate, student_t95, summarise, supports
from kpsim.measure.summary import Estimate
from kpsim.measure.tally import Tally


def counted(*values: int, unit: str = "s") -> Tally:
    tally = Tally(unit)
    tally.add(np.array(values, np.int64))
    return tally


@pytest.fixture(params=["exact", "bucketed"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "bucketed":
        monkeypatch.setattr(tallies, "EXACT_BELOW", 0)
    return str(request.param)


def test_nothing_observed_is_no_summary() -> None:
    empty = counted()
    assert (empty.n, empty.total, empty.values) == (0, 0, [])
    assert summarise("m", []) is None
    assert summarise("m", [Tally(), empty]) is None


@pytest.mark.parametrize("value", [0, 1, 2, 999, 10**9, (1 << 61) + 12345])
def test_one_value_is_every_percentile(kind: str, value: int) -> None:
    tally = counted(value)
    assert (tally.values is None) is (kind == "bucketed")
    assert tally.curve(np.array([0.0, 0.5, 0.999, 1.0])).tolist() == [value / 1e9] * 4
    assert (tally.mean(), tally.least, tally.most) == (value / 1e9, value, value)


@pytest.mark.parametrize("value", [0, 7, 10**6])
def test_ties_are_themselves(kind: str, value: int) -> None:
    tally = counted(*[value] * 1000)
    assert {tally.quantile(share) for share in (0.001, 0.5, 0.99, 1.0)} == {value / 1e9}


def test_a_percentile_is_the_smallest_value_with_that_share_at_or_below(kind: str) -> None:
    tally = counted(*range(1, 1001), unit="Pods")
    exact = {0.0: 1, 0.0001: 1, 0.001: 1, 0.5: 500, 0.5001: 501, 0.99: 990, 0.999: 999, 1.0: 1000}
    found = {share: tally.quantile(share) for share in exact}
    assert found == (exact if kind == "exact" else pytest.approx(exact, rel=0.016))


def test_zeros_are_zero_also_among_others(kind: str) -> None:
    tally = counted(*[0] * 90, *[5] * 10, unit="Pods")
    assert [tally.quantile(share) for share in (0.5, 0.9, 0.91)] == [0.0, 0.0, pytest.approx(5.0, rel=0.016)]


def test_samples_are_kept_up_to_a_limit_and_not_beyond(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies, "EXACT_BELOW", 3)
    kept = counted(1, 2, 3)
    assert kept.values is not None
    more = counted(1, 2, 3, 4)
    assert (more.values, more.n, more.total) == (None, 4, 10)
    both = Tally.pooled([counted(1, 2), counted(3, 4)])
    assert (both.values, both.counts.tolist()) == (None, more.counts.tolist())


def test_a_tally_keeps_its_unit_through_a_summary() -> None:
    pods = summarise("pods", [counted(3, 4, unit="Pods"), counted(unit="Pods"), counted(5, 6, unit="Pods")])
    assert pods is not None
    assert (pods.unit, pods.min, pods.max, pods.mean.value, pods.n, pods.batches) == ("Pods", 3, 6, 4.5, 4, 2)
    time = summarise("time", [counted(2_000_000_000)])
    assert time is not None
    assert (time.unit, time.min, time.mean) == ("s", 2.0, Estimate(2.0))
    with pytest.raises(ValueError, match="a tally of 's' is not one of 'Pods'"):
        Tally.pooled([counted(1, unit="Pods"), counted(1)])


def test_pooling_leaves_its_parts_alone() -> None:
    parts = [counted(1, 2), counted(3)]
    assert Tally.pooled(parts).n == 3
    assert [part.n for part in parts] == [2, 1]


def test_support_is_ten_observations_beyond() -> None:
    least = {"p50": 20, "p90": 100, "p99": 1000, "p99.9": 10_000}
    for name, share in QUANTILES.items():
        assert supports(least[name], share), name
        assert not supports(least[name] - 1, share), name
    summary = summarise("m", [counted(*range(500)), counted(*range(499))])
    assert summary is not None
    assert list(summary.quantiles) == ["p50", "p90"]
    assert summary.statistic("p99") is None
    assert BEYOND == 10


def test_an_estimate_is_student_over_batches() -> None:
    assert estimate([3.0]) == Estimate(3.0)
    found = estimate([1.0, 2.0, 3.0])
    half = 4.303 * 1.0 / math.sqrt(3)
    assert (found.value, found.low, found.high) == pytest.approx((2.0, 2 - half, 2 + half))
    assert estimate([1.0, 2.0, 3.0], least=0.0).low == 0.0
    assert estimate([2.0] * 5) == Estimate(2.0, 2.0, 2.0)
    assert (student_t95(1), student_t95(30), student_t95(31)) == (12.706, 2.042, 1.960)


def test_values_counted_so_many_times_each_are_those_values_repeated(kind: str) -> None:
    rng = np.random.default_rng(3)
    values, times = rng.integers(0, 1 << 50, 500), rng.integers(0, 40, 500)
    values[:20] = 0
    weighted, repeated = Tally(), Tally()
    for some in (slice(0, 300), slice(300, 500)):
        weighted.add(values[some], times[some])
    for value, count in zip(values.tolist(), times.tolist(), strict=True):
        repeated.add(np.full(count, value))
    assert weighted.counts.tolist() == repeated.counts.tolist()
    told = [(t.n, t.total, t.least, t.most, t.zeros) for t in (weighted, repeated)]
    assert told[0] == told[1]
    assert (weighted.values is None) is (kind == "bucketed")
    assert weighted.curve(np.array([0.1, 0.5, 0.9])).tolist() == repeated.curve(np.array([0.1, 0.5, 0.9])).tolist()
