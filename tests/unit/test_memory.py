"""Memory of a node: kube-proxy, its restore and its rules, a limit row each, as large as the terms say."""

from __future__ import annotations

import pytest

from kpsim.cluster.params import ClusterParams, EndpointCount, ServiceGroup
from kpsim.experiment.answers.limits import limits_of
from kpsim.experiment.validation.prediction import priced
from kpsim.experiment.validation.setups import sync_question
from kpsim.experiment.validation.sizes import Size
from kpsim.profiles.costs import load_profile
from kpsim.scenario.model import ProfileChoice, Scenario
from kpsim.simulation import build_cluster

ROWS = ("memory of kube-proxy", "memory of a restore", "memory of rules")


def told(mode: str, services: int, each: int) -> dict[str, str]:
    groups = (ServiceGroup("web", services, EndpointCount(mean=each)),)
    scenario = Scenario("m", cluster=ClusterParams(nodes=4, cores=2), groups=groups, modes=(mode,))
    found = limits_of(scenario, build_cluster(scenario)[0])
    return {limit.name.removeprefix(f"{mode}: "): limit.source for limit in found if "memory of" in limit.name}


def rows(mode: str, services: int, each: int, profile: str = "linux-6.18-zen3") -> dict[str, float]:
    groups = (ServiceGroup("web", services, EndpointCount(mean=each)),)
    cluster = ClusterParams(nodes=4, cores=2)
    scenario = Scenario("m", cluster=cluster, groups=groups, modes=(mode,), profile=ProfileChoice(profile))
    found = limits_of(scenario, build_cluster(scenario)[0])
    mb = 1e6
    assert all(limit.limit == round(2 * 4 * 2**30 / mb) for limit in found if "memory of" in limit.name)
    return {limit.name.removeprefix(f"{mode}: "): limit.used for limit in found}


@pytest.mark.parametrize(("mode", "family"), [("iptables", "iptables-legacy"), ("nftables", "nftables")])
def test_kube_proxy_takes_what_validation_predicts_and_all_of_it_grows(mode: str, family: str) -> None:
    small, large = rows(mode, 100, 5), rows(mode, 1_000, 5)
    assert all(small[name] < large[name] for name in ROWS)
    asked = sync_question(family, (1, 34), Size(1_000, 5_000), "full", ("memory",), "rss_kb")
    predicted = priced(asked, load_profile("linux-6.18-zen3"))
    assert large["memory of kube-proxy"] == round(predicted / 1e6)
    assert 5e7 < predicted < 3e8


def test_connections_are_remembered_under_every_mode_and_what_nobody_measured_is_not_told() -> None:
    assert rows("ipvs", 100, 5)["memory of conntrack entries"] > 0
    assert not set(ROWS) & rows("ipvs", 100, 5).keys()
    assert not set(ROWS) & rows("iptables", 100, 5, "uml-6.1").keys()


def test_memory_beyond_what_was_measured_is_called_extrapolated_and_what_is_assumed_too() -> None:
    small, large = told("nftables", 1_000, 5), told("nftables", 20_000, 5)
    assert not [name for name in ROWS if "extrapolated" in small[name]]
    assert "service_kept 4x beyond" in large["memory of rules"]
    assert "extrapolated" in large["memory of kube-proxy"]
    assert "scaled from another machine" in large["memory of kube-proxy"]
    assert "assumed" in large["memory of conntrack entries"].split(";")[1]
