"""Words: numbers as readers see them, and sentences that never say more than their intervals allow."""

from __future__ import annotations

import dataclasses
import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kpsim.experiment.answers.limits import Limit
from kpsim.experiment.result import Comparison, Result, ThresholdVerdict
from kpsim.measure.summary import Estimate
from kpsim.report.answers.objectives import standing
from kpsim.report.verdict import answer
from kpsim.report.wording.change import gains
from kpsim.report.wording.quantity import EMPTY, compact, estimate, factor, percent, quantity, rate, ratio
from kpsim.report.wording.ranking import apart, listed, rank
from kpsim.scenario.model import Threshold
from tests.report_fixture import make_result

BOUND = Threshold("first_packet_latency", "p99", "<", 1e-4, "p99 < 100us")


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (63.1e-6, "s", "63.1 µs"),
        (999.6e-6, "s", "1.00 ms"),
        (4.2e-9, "s", "4.20 ns"),
        (0.0, "s", "0 s"),
        (-37.1e-6, "s", "-37.1 µs"),
        (151.0, "s", "151 s"),
        (41.5e6, "B/s", "41.5 MB/s"),
        (12, "B", "12.0 B"),
        (12_345.6, "", "12,346"),
        (math.nan, "s", EMPTY),
        (None, "s", EMPTY),
    ],
)
def test_a_quantity_has_a_prefix_and_few_digits(value: float | None, unit: str, text: str) -> None:
    assert quantity(value, unit) == text


def test_interval_has_the_prefix_and_the_digits_of_its_value() -> None:
    assert estimate(Estimate(63.1e-6, 62e-6, 64.3e-6), "s") == "63.1 µs [62.0, 64.3]"
    assert estimate(Estimate(-0.3e-6, -12e-6, 11e-6), "s") == "-0.3 µs [-12.0, 11.0]"
    assert estimate(Estimate(63.1e-6), "s") == "63.1 µs"
    assert estimate(None, "s") == EMPTY


@given(st.floats(1e-9, 1e3), st.floats(1, 2), st.floats(1, 2))
def test_an_interval_fits_in_its_column(value: float, below: float, above: float) -> None:
    text = estimate(Estimate(value, value / below, value * above), "s")
    assert len(text) <= 24
    low, high = text[text.index("[") + 1 : -1].replace(",", "").split()
    assert float(low) <= float(text.split()[0].replace(",", "")) <= float(high)


def test_thresholds_shares_factors_and_rates_have_few_digits() -> None:
    assert [compact(v, "s") for v in (1e-3, 5e-5, 10.0)] == ["1 ms", "50 µs", "10 s"]
    assert compact(1_048_574) == "1,048,574"
    assert [percent(v) for v in (0.0, 0.0004, 0.0095, 0.62, 0.998, 0.99999, 1.0, 1.05)] == [
        "0 %", "< 0.1 %", "0.95 %", "62 %", "99.8 %", "99.9 %", "100 %", "105 %",
    ]  # fmt: skip
    assert [factor(v) for v in (12.3, 1.27, 0.366)] == ["12x", "1.3x", "0.37x"]
    assert rate("api_bytes_per_s", Estimate(41.5e6)) == "41.5 MB/s"
    assert rate("api_writes_per_s", Estimate(38.2)) == "38.2 /s"


def test_ratios_have_three_digits() -> None:
    assert ratio(Estimate(0.4, 0.396, 0.404)) == "0.400x [0.396, 0.404]"
    assert ratio(Estimate(12.34)) == "12.3x"
    assert ratio(Estimate(math.nan)) == EMPTY


def test_words_are_listed_with_and_before_the_last() -> None:
    assert [listed(words) for words in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]


# ── What may be claimed ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("found", "passed", "expected"),
    [
        (Estimate(9e-5, 8e-5, 9.9e-5), True, "met"),
        (Estimate(2e-4, 1.5e-4, 3e-4), False, "failed"),
        (Estimate(9e-5, 8e-5, 1.2e-4), True, "undecided"),
        (Estimate(1.1e-4, 8e-5, 1.2e-4), False, "undecided"),
        (Estimate(9e-5), True, "met"),
        (None, None, "undecided"),
        (Estimate(9e-5, 8e-5, 9.9e-5), None, "undecided"),
    ],
)
def test_an_interval_around_the_bound_says_nothing(found: Estimate | None, passed: bool | None, expected: str) -> None:
    assert standing(ThresholdVerdict(BOUND, "toy", found, passed)) == expected


def test_estimates_are_apart_only_if_their_intervals_are() -> None:
    assert apart(Estimate(1, 0.9, 1.1), Estimate(2, 1.9, 2.1))
    assert not apart(Estimate(1, 0.5, 2.0), Estimate(2, 1.9, 2.1))
    assert not apart(Estimate(1), Estimate(1.04))
    assert apart(Estimate(1), Estimate(1.06))


def test_ranking_takes_the_highest_percentile_of_all() -> None:
    ranking = rank(make_result(), "first_packet_latency")
    assert ranking is not None
    assert (ranking.statistic, ranking.best[0], ranking.worst[0]) == ("p99", "ipvs", "iptables")
    assert ranking.decided
    assert rank(make_result(), "no_such_measure") is None


def judged(result: Result, **each: tuple[Estimate | None, bool | None]) -> Result:
    verdicts = tuple(ThresholdVerdict(BOUND, mode, found, passed) for mode, (found, passed) in each.items())
    return dataclasses.replace(result, verdicts=verdicts)


MET = (Estimate(9e-5, 8e-5, 9.9e-5), True)
FAILED = (Estimate(2e-4, 1.9e-4, 2.1e-4), False)
UNCLEAR = (Estimate(1.1e-4, 8e-5, 1.2e-4), None)


def test_the_current_mode_fails_and_another_meets() -> None:
    said = answer(judged(make_result(), iptables=FAILED, ipvs=MET))
    assert said.standing == "failed"
    assert said.recommended == "ipvs"
    assert said.sentence.startswith(
        "iptables fails first_packet_latency p99 < 100 µs (found 200 µs [95 %: 190 µs, 210 µs by sampling])"
    )
    assert said.sentence.endswith("ipvs (deprecated from 1.35, nftables is the alternative) meets the objective.")
    assert "missed by 100 % with iptables and has 10 % to spare with ipvs" in said.headroom
    assert said.change.startswith(
        "Changing to ipvs meets what iptables fails, but ipvs is deprecated from Kubernetes 1.35"
    )
    assert said.configuration is not None
    written = yaml.safe_load(said.configuration)
    assert (written["mode"], written["ipvs"]["scheduler"]) == ("ipvs", "rr")
    assert "syncPeriod" not in written["ipvs"], "30s is what iptables was told"


def test_nothing_is_recommended_where_the_current_mode_meets_everything() -> None:
    said = answer(judged(make_result(), iptables=MET, ipvs=MET))
    assert said.standing == "met"
    assert said.recommended is None
    assert said.change.startswith("Nothing has to change; of the modes run, ipvs gains most")
    assert "nftables is the alternative" in said.change
    assert said.configuration is not None
    assert "mode: iptables" in said.configuration


def test_a_mode_that_fails_is_not_proposed_as_a_gain() -> None:
    said = answer(judged(make_result(), iptables=MET, ipvs=FAILED))
    assert said.change == "Nothing has to change; no other mode run meets every objective."


def test_too_close_to_call() -> None:
    said = answer(judged(make_result(), iptables=UNCLEAR, ipvs=MET))
    assert said.standing == "undecided"
    assert said.recommended is None
    assert said.sentence.startswith("It is undecided whether iptables meets first_packet_latency")
    assert "because the interval by sampling holds the bound" in said.sentence
    assert said.change.startswith("More replications than 5")
    assert "ipvs is shown to meet every objective, but ipvs is deprecated" in said.change
    assert "nftables is the alternative" in said.change
    assert "too close to call" in said.headroom


def test_no_mode_meets_everything() -> None:
    said = answer(judged(make_result(["iptables", "ipvs", "nftables"]), iptables=FAILED, ipvs=UNCLEAR, nftables=FAILED))
    assert said.recommended is None
    assert "None of the modes run is shown to meet every objective" in said.change
    assert "whether ipvs does cannot be said" in said.change


def test_extrapolation_and_missing_intervals_are_part_of_the_verdict() -> None:
    said = answer(judged(make_result(["iptables"]), iptables=(Estimate(9e-5), True)))
    assert "on costs extrapolated beyond measured sizes and without an interval on every value" in said.sentence
    assert "`kpsim compare`" in said.change


def test_no_objectives_no_limits_and_an_incomplete_run() -> None:
    result = dataclasses.replace(make_result(["ipvs"], thresholds=()), limits=(), complete=False)
    said = answer(result)
    assert said.standing == "unset"
    assert said.sentence.startswith(
        "The run is incomplete. No objective is set: a change is in force after 6.27 s [95 %: 6.18 s, 6.37 s "
        "by sampling] (p99) with ipvs."
    )
    assert said.headroom == "Headroom: no limit and no objective to measure it against."


def test_a_broken_limit_is_said() -> None:
    broken = Limit("NodePorts", "hard", 3000, 2768, "ports", "serviceNodePortRange")
    said = answer(dataclasses.replace(make_result(), limits=(broken,)))
    assert "NodePorts is beyond the limit" in said.headroom


def test_a_mode_that_no_configuration_file_sets_has_nothing_to_paste() -> None:
    assert answer(make_result(["toy"])).configuration is None


def compared(ratio: Estimate, mode: str, against: str) -> Result:
    comparison = Comparison("first_packet_latency", "p99", mode, against, Estimate(0.0), ratio)
    return dataclasses.replace(make_result(), comparisons=(comparison,))


def test_ratios_are_read_either_way_round() -> None:
    (gain,) = gains(compared(Estimate(4, 2, 5), "iptables", "ipvs"), "ipvs", "iptables")
    assert gain.ratio == Estimate(0.25, 0.2, 0.5)
    assert gain.clear


def test_a_ratio_whose_interval_holds_1_is_no_gain() -> None:
    result = judged(compared(Estimate(0.8, 0.5, 1.1), "ipvs", "iptables"), iptables=MET, ipvs=MET)
    assert answer(result).change == "Nothing has to change; no other mode run here is clearly better than iptables."


def test_what_a_gain_costs_is_said_with_it() -> None:
    result = compared(Estimate(0.4, 0.39, 0.41), "ipvs", "iptables")
    costs = dataclasses.replace(result.comparisons[0], measure="sync_duration_full", ratio=Estimate(1.5, 1.4, 1.6))
    result = judged(dataclasses.replace(result, comparisons=(*result.comparisons, costs)), iptables=FAILED, ipvs=MET)
    assert answer(result).change.endswith(
        "Relative to iptables, times are 0.400x [95 %: 0.390, 0.410] for first packets (p99), "
        "but 1.50x [95 %: 1.40, 1.60] for full syncs (p99)."
    )
