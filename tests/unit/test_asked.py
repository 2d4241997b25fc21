"""A question asked by ``ask`` is answered first, by its causes."""

from __future__ import annotations

from typing import Any

import pytest

import kpsim
from kpsim.report.verdict import answer


def asked(question: str, **more: Any) -> tuple[str, ...]:
    hello = kpsim.load("scenarios/hello.yaml").with_(
        run__engine="batch", run__replications=2, compare__modes=["iptables", "ipvs"], ask=question, **more
    )
    said = answer(hello.run().found)
    assert said.question == question
    return said.sentences


def test_cpu_is_told_by_its_causes() -> None:
    first, second, *_ = asked("cpu")
    assert first.startswith("kube-proxy's CPU with iptables is ")
    assert "partial syncs" in first
    assert "times a minute" in second
    assert "minSyncPeriod" in second


def test_late_updates_are_told_by_their_stages() -> None:
    first, second, *_ = asked("updates")
    assert first.startswith("An update of endpoints is in force ")
    assert "wait for a sync" in first
    assert second.startswith("Most is the wait for a sync; kube-proxy syncs at most once in minSyncPeriod")
    (quiet, *_) = asked("updates", changes__churn__podReplacementsPerSecond=0)
    assert quiet.startswith("No update of endpoints is late, because none is in the measured time")


def test_balance_tells_round_robin_from_chance() -> None:
    hello = kpsim.load("scenarios/hello.yaml").with_(
        run__engine="batch", run__replications=2, ask="balance", changes__churn__podReplacementsPerSecond=0
    )
    found = hello.run().found
    assert answer(found).sentence.startswith("Load of the Service with most endpoints: the busiest of its 3 ")
    chance, turns = (found.modes[mode].rates for mode in ("iptables", "ipvs"))
    assert chance["balance_endpoints"].value == turns["balance_endpoints"].value == 3
    assert chance["balance_busiest_ratio"].value > turns["balance_busiest_ratio"].value >= 1
    (said, *_) = asked("balance", traffic__connectionsPerSecondPerNode=0)
    assert said.startswith("How even the load is cannot be said")


def test_what_is_not_asked_costs_nothing() -> None:
    found = kpsim.load("scenarios/hello.yaml").with_(run__replications=2).run().found
    assert not [name for name in found.modes["iptables"].rates if name.startswith("balance")]


def test_a_question_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(kpsim.InputError, match="ask"):
        kpsim.load("scenarios/hello.yaml").with_(ask="everything")
