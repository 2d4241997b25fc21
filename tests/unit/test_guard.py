"""A run too large in time or memory is refused before either is spent, whichever quantity makes it so."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from kpsim.errors import GuardError, InputError
from kpsim.experiment import guard
from kpsim.experiment.guard import check_layout, check_size, memory_there_is
from kpsim.experiment.replications import run_scenario
from kpsim.experiment.sweeps import sweep
from kpsim.profiles.running import load_run_costs
from kpsim.scenario.reader import read
from kpsim.simulation.amounts import amounts

ROOT = Path(__file__).parents[2]
AT_ONCE_S = 2.0  # of processor time, the reading included
HUGE = "1000000000"
BASE = """\
apiVersion: kpsim/v1alpha1
kind: Scenario
metadata: {name: base}
spec:
  cluster: {nodes: 3, cores: 4}
  services: [{name: web, count: 2, endpoints: 2}]
  traffic: {connectionsPerSecondPerNode: 100, packetsPerConnection: 10}
  changes: {churn: {podReplacementsPerSecond: 1}}
  run: {duration: 30s, warmup: 10s, replications: 2}
"""
MANY_CHANGES = ("changes.churn.podReplacementsPerSecond", HUGE)


@pytest.mark.parametrize(
    "sets",
    [
        [("traffic.packetsPerConnection", HUGE)],
        [("traffic.connectionsPerSecondPerNode", HUGE)],
        [("run.packets", "1000000000000"), ("traffic.connectionsPerSecondPerNode", "1e8")],
        [("cluster.nodes", HUGE)],
        [("cluster.nodes", HUGE), ("cluster.zones", HUGE)],
        [("cluster.cores", HUGE)],
        [("services.web.count", HUGE)],
        [("services.web.endpoints", HUGE)],
        [("services.web.endpoints", "{distribution: lognormal, mean: 1e9, sigma: 1}")],
        [("services.web.endpoints", "{distribution: uniform, min: 1, max: 1000000000}")],
        [("run.replications", HUGE)],
        [("run.duration", "1000000000s")],
        [("run.duration", "10000000s"), ("cluster.cores", "8192")],
        [MANY_CHANGES, ("controllerManager.qps", HUGE)],
        [MANY_CHANGES],
        [("changes.churn.servicesCreatedPerSecond", HUGE)],
        [("changes.events", "[{at: 12s, scale: {service: web-0, replicas: 1000000000}}]")],
        [("controllerManager.concurrentServiceEndpointSyncs", HUGE)],
        [("faults.restartsPerNodePerHour", HUGE), ("run.duration", "1h")],
        [("faults.ruleFlushesPerNodePerHour", HUGE), ("run.duration", "1h")],
        [("dns.coresPerReplica", HUGE), ("dns.clientsUseNames", "true")],
        [("ingress.requestsPerSecond", HUGE)],
        [("ingress.replicas", HUGE)],
        [("ingress.cores", HUGE)],
        [("ingress.tries", HUGE)],
    ],
    ids=lambda sets: ",".join(key for key, _ in sets),
)
def test_every_quantity_is_refused_at_once(tmp_path: Path, sets: list[tuple[str, str]]) -> None:
    (tmp_path / "base.yaml").write_text(BASE, encoding="utf-8")
    load_run_costs()
    began = time.process_time()
    with pytest.raises((GuardError, InputError)) as refused:
        check_size(read(tmp_path / "base.yaml", sets))
    assert time.process_time() - began < AT_ONCE_S
    if isinstance(refused.value, GuardError):
        assert "Less takes less: " in str(refused.value)
    else:
        assert sets[0][0].rpartition(".")[2] in str(refused.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("apiServer.egressBytesPerSecond", "1e9"),
        ("apiServer.egressBytesPerSecond", "1"),
        ("apiServer.maxRequestsInflight", HUGE),
        ("controllerManager.qps", HUGE),
        ("controllerManager.burst", HUGE),
        ("cluster.zones", HUGE),
        ("dns.replicas", HUGE),
        ("traffic.popularity.zipf", "100"),
        ("kubeProxy.conntrack.min", HUGE),
    ],
)
def test_a_number_that_costs_nothing_may_be_large(tmp_path: Path, key: str, value: str) -> None:
    (tmp_path / "base.yaml").write_text(BASE, encoding="utf-8")
    check_size(read(tmp_path / "base.yaml", [(key, value)]))


def test_a_grid_of_a_hundred_million_points_is_refused_before_it_is_written_out(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(BASE, encoding="utf-8")
    axes = [("services.web.count", "1..9000:lin:9000"), ("cluster.nodes", "1..9000:lin:9000"), ("run.seed", "1,2")]
    began = time.process_time()
    with pytest.raises(GuardError, match=r"this sweep of 162,000,000 points would take about .* years"):
        sweep(tmp_path / "base.yaml", axes)
    assert time.process_time() - began < 2 * AT_ONCE_S


def test_points_that_are_too_many_together_are_refused(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(BASE, encoding="utf-8")
    one_s = check_size(read(tmp_path / "base.yaml")).seconds
    with pytest.raises(GuardError, match=r"this sweep.* --max-time raises the limit"):
        sweep(tmp_path / "base.yaml", [("services.web.count", "1,2")], most_s=1.5 * one_s)


def test_limits_can_be_raised_and_say_what_to_turn_down(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(BASE, encoding="utf-8")
    scenario = read(tmp_path / "base.yaml", [("run.packets", HUGE), ("traffic.connectionsPerSecondPerNode", "1e6")])
    with pytest.raises(GuardError, match=r"of memory; the limit is 1 GB\. Less takes less: traffic"):
        check_size(scenario, most_bytes=1e9)
    with pytest.raises(GuardError, match=r"would take about .*; the limit is 20 s\. Less takes less: traffic"):
        check_size(scenario, most_bytes=1e15, most_s=20)
    assert check_size(scenario, most_bytes=1e15, most_s=1e9).seconds > 20


def test_there_are_no_more_processes_than_memory_holds(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(BASE, encoding="utf-8")
    scenario = read(tmp_path / "base.yaml")
    alone = guard.memory_bytes(scenario)
    assert check_size(scenario, most_bytes=1.5 * alone, jobs=8).processes == 1
    assert check_size(scenario, most_bytes=100 * alone, jobs=8).processes == scenario.run.replications
    seconds = check_size(scenario).seconds
    check_size(scenario, most_s=0.6 * seconds, jobs=2)
    with pytest.raises(GuardError, match="--max-time"):
        check_size(scenario, most_s=0.6 * seconds)


def test_a_cluster_is_not_laid_out_for_a_story_if_it_is_too_large(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(BASE, encoding="utf-8")
    check_layout(read(tmp_path / "base.yaml"))
    with pytest.raises(GuardError, match=r"this cluster would take about .* Less takes less: cluster\.nodes"):
        check_layout(read(tmp_path / "base.yaml", [("cluster.nodes", HUGE)]))


def test_the_limits_of_a_control_group_and_of_the_process_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "memory.max").write_text("123456789\n", encoding="ascii")
    (tmp_path / "none").write_text("max\n", encoding="ascii")
    monkeypatch.setattr(guard, "CGROUPS", (str(tmp_path / "none"), str(tmp_path / "nowhere")))
    free = memory_there_is()
    monkeypatch.setattr(guard, "CGROUPS", (str(tmp_path / "none"), str(tmp_path / "memory.max")))
    assert memory_there_is() == 123456789 < free


def test_what_is_counted_has_a_price_and_a_mend() -> None:
    costs = load_run_costs()
    counted: set[str] = set()
    for path in sorted((ROOT / "scenarios").glob("*.yaml")):
        for engine in ("reference", "batch"):
            counted |= set(amounts(read(path), engine))
    assert counted <= set(costs.seconds) | set(costs.bytes)
    assert counted == set(guard.TURNED_BY)


@pytest.mark.parametrize(
    ("sets", "says"),
    [
        ([("traffic.packetInterval", "1000000000s")], "take more than a year"),
        ([("traffic.packetInterval", "100h"), ("traffic.packetsPerConnection", "100")], "take more than a year"),
    ],
)
def test_a_connection_that_never_ends_is_refused(tmp_path: Path, sets: list[tuple[str, str]], says: str) -> None:
    (tmp_path / "base.yaml").write_text(BASE, encoding="utf-8")
    with pytest.raises(InputError, match=says):
        read(tmp_path / "base.yaml", sets)


def test_queues_longer_than_the_clock_are_refused(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(BASE, encoding="utf-8")
    long = [
        ("traffic.packetInterval", "900h"),
        ("cluster.cores", "8192"),
        ("run.engine", "batch"),
        ("run.packets", "1k"),
    ]
    with pytest.raises(GuardError, match=r"Less takes less: traffic.packetInterval, run.duration or cluster.cores"):
        run_scenario(read(tmp_path / "base.yaml", long))
