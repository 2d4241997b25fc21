"""A question asked by ``ask`` is answered first, by its causes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import kpsim
from kpsim.experiment.directory import write_manifest
from kpsim.experiment.kept.reading import open_run
from kpsim.experiment.kept.result import result_of
from kpsim.measure.summary import Estimate
from kpsim.report.directory import write_report
from kpsim.report.figures import picture_called
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


def ends(found: Estimate | None) -> tuple[float, float]:
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


def test_loads_fall_as_chance_has_them_under_random_choice_and_are_even_under_turns() -> None:
    shipped = kpsim.load("scenarios/uneven-load.yaml").run().found
    chance, turns = (
        {load.rank: load for load in shipped.modes[mode].loads if load.of == "endpoint"}
        for mode in ("iptables", "ipvs")
    )
    assert list(chance) == list(range(1, 41))
    for load in chance.values():
        low, high = ends(load.ratio)
        assert low <= load.expected <= high, load.rank
    assert ends(turns[1].ratio)[1] < ends(chance[1].ratio)[0]
    for loads in (chance, turns):
        assert sum(load.ratio.value for load in loads.values()) == pytest.approx(40)
    nodes = [load for load in shipped.modes["iptables"].loads if load.of == "node"]
    assert [load.expected for load in nodes] == [1.5] * 10 + [0.75] * 20  # ten nodes have two Pods
    assert shipped.modes["iptables"].rates["balance_local_ratio"].value == pytest.approx(40 / 30)
    drawn = picture_called(shipped, "imbalance")
    assert drawn.title.startswith(
        "The busiest of 40 endpoints gets 1.5x the mean load with iptables and 1.2x with ipvs"
    )


def test_a_local_policy_is_told_where_nodes_have_unequally_many_endpoints() -> None:
    local = [said for said in asked("balance", cluster__nodes=2) if "externalTrafficPolicy: Local" in said]
    assert len(local) == 1
    assert "each of the 2 nodes with endpoints as much, the busiest would get 1.5x the mean" in local[0]


def test_loads_are_read_back_as_they_were_kept(tmp_path: Path) -> None:
    hello = kpsim.load("scenarios/hello.yaml").with_(run__engine="batch", run__replications=2, ask="balance")
    found = hello.run().found
    write_report(found, tmp_path)
    write_manifest(found, tmp_path)
    again, lacks = result_of(open_run(tmp_path))
    assert not lacks
    assert picture_called(again, "imbalance").title == picture_called(found, "imbalance").title
