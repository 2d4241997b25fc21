"""Sensitivity: each coefficient's own interval moves a measure, and the widest that a command measures is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from kpsim.cli import _kpsim
from kpsim.experiment.answers.levers import levers
from kpsim.scenario.reader import read
from kpsim.simulation import mode_of

FILE = Path(__file__).parents[2] / "scenarios" / "hello.yaml"


def test_a_coefficient_moves_a_measure_by_its_own_interval_and_no_more() -> None:
    found = levers(read(FILE))
    packets = [each for each in found.each if each.measure.startswith("a first packet") and each.mode == "iptables"]
    _, costs = mode_of(read(FILE), "iptables")
    (first,) = (each for each in packets if each.coefficient.name == "packet_first")
    price = costs.coefficients["packet_first"]
    assert first.high_s - first.value_s == pytest.approx(price.high - price.value)
    assert first.value_s - first.low_s == pytest.approx(price.value - price.low)
    assert sum(each.share for each in packets) == pytest.approx(1)
    assert all(each.low_s <= each.value_s <= each.high_s for each in found.each)


def test_rules_passed_weigh_more_where_there_are_more_of_them() -> None:
    few, many = (
        {e.coefficient.name: e for e in levers(read(FILE, [("services.web.count", n)])).each if e.mode == "iptables"}
        for n in ("10", "10000")
    )
    assert many["rule_passed"].share > 0.5 > few["rule_passed"].share
    assert many["rule_passed"].wide > 10 * few["rule_passed"].wide


def test_what_to_measure_next_is_the_widest_that_a_command_measures() -> None:
    found = levers(read(FILE))
    best = found.next_measured
    assert best is not None
    assert best.measured_with
    assert all(each.wide <= best.wide for each in found.each if each.measured_with)
    assert any(not each.measured_with for each in found.each), "some are assumed, and no command measures them"


def test_the_command_says_what_to_measure_next_and_with_what() -> None:
    told = CliRunner().invoke(_kpsim, ["explain", "coefficients", "-f", str(FILE)])
    assert told.exit_code == 0, told.output
    best = levers(read(FILE)).next_measured
    assert best is not None
    assert f"Measure next: {best.coefficient.name} ({best.mode})." in told.output
    assert f"{best.measured_with} measures it." in " ".join(told.output.split())
    document = json.loads(CliRunner().invoke(_kpsim, ["explain", "coefficients", "-f", str(FILE), "-o", "json"]).output)
    assert len(document["coefficients"]) == len(levers(read(FILE)).each)
