"""kube-proxy's CPU has a price in every mode: of all that its syncs do, and of what they are told by watches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kpsim.experiment.answers.cautions import cautions
from kpsim.experiment.answers.memory import counts_today
from kpsim.experiment.answers.prices.cpu import cpu_by_prices
from kpsim.measure.summary import Estimate
from kpsim.profiles.costs import load_profile
from kpsim.proxy.contract import SyncKind
from kpsim.proxy.registry import MODES
from kpsim.proxy.work import cpu_work
from kpsim.scenario.model import Scenario
from kpsim.scenario.reader import read
from kpsim.simulation import build_cluster, cpu_costs_of, mode_of

YAML = """\
apiVersion: kpsim/v1alpha1
kind: Scenario
metadata: {name: small}
spec:
  kubernetes: {version: "1.25"}
  services: [{name: web, count: 20, endpoints: 3}]
  compare: {modes: [MODE]}
"""


def scenario_of(mode: str, folder: Path) -> Scenario:
    file = folder / "small.yaml"
    version = "1.36" if mode == "nftables" else "1.25"
    file.write_text(YAML.replace("MODE", mode).replace("1.25", version), encoding="utf-8")
    return read(file)


@pytest.mark.parametrize("name", list(MODES))
def test_every_mode_has_a_price_of_its_cpu(name: str, tmp_path: Path) -> None:
    """With an interval that holds it: one of nothing, or of the wall time without a word, would be no price."""
    scenario = scenario_of(name, tmp_path)
    cluster, _ = build_cluster(scenario)
    mode, wall = mode_of(scenario, name)
    costs = cpu_costs_of(scenario, mode)
    assert costs is not None
    assert "change_decoded" in costs.coefficients
    counts = counts_today(cluster, mode, 1.0)
    for kind in SyncKind:
        work = cpu_work(mode, kind, counts)
        assert float(costs.seconds(work, "low")) <= float(costs.seconds(work)) <= float(costs.seconds(work, "high"))
    assert float(costs.seconds(cpu_work(mode, SyncKind.FULL, counts))) > 0
    rates = {f"cpu_proxy{kind}_cores": Estimate(value) for kind, value in (("", 0.4), ("_full", 0.3), ("_beside", 0.1))}
    priced = cpu_by_prices(cluster, mode, costs, wall, rates, 1.0)["cpu_proxy_cores"]["mean"]
    assert priced.value == 0.4
    assert (priced.low or 0.0) < 0.4 < (priced.high or 0.0)


def test_a_profile_without_cpu_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    scenario = scenario_of("ipvs", tmp_path)
    assert not [said for said in cautions(scenario, {}, ()) if "not priced" in said]
    whole = load_profile("linux-6.18-zen3")
    families = {name: each for name, each in whole.text.families.items() if name != "ipvs/cpu"}
    bare = replace(whole, text=replace(whole.text, families=families))
    monkeypatch.setattr("kpsim.simulation.setting.load_profile", lambda _: bare)
    (said,) = (said for said in cautions(scenario, {}, ()) if "not priced" in said)
    assert said.startswith("ipvs: CPU of syncs is not priced, because")


@pytest.mark.parametrize("name", ["linux-6.18-zen3", "linux-6.18-zen5"])
def test_events_are_known_within_a_factor_and_alike_in_every_mode(name: str) -> None:
    profile = load_profile(name)
    families = ("iptables-legacy", "iptables-nft", "nftables", "ipvs", "userspace")
    for event in ("change_decoded", "sync_accounted"):
        told = {profile.costs(f"{each}/cpu", "typical", 1.0).coefficients[event] for each in families}
        assert len({(c.value, c.low, c.high) for c in told}) == 1
        assert all(c.high / c.low < 6 for c in told)
