"""What holds whatever is simulated: packets are conserved, syncs do not overlap, the same seed gives the same bytes.

The last part registers a mode that is defined here, and asks that nothing else need know of it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from kpsim.cli import main
from kpsim.cluster.changes import NEVER
from kpsim.cluster.params import ChurnParams, ClusterParams, EndpointCount, ServiceGroup
from kpsim.datapath.outcomes import Verdict
from kpsim.errors import InputError
from kpsim.experiment.observing.observe import observe
from kpsim.experiment.replications import run_scenario
from kpsim.modes.ipvs import Ipvs
from kpsim.proxy.contract import PacketState, Stage, Steps
from kpsim.proxy.params import ProxyParams
from kpsim.proxy.registry import MODES, ModeEntry, temporarily
from kpsim.proxy.rules import DROPPED, REFUSED
from kpsim.report.directory import write_report
from kpsim.report.style import mode_style
from kpsim.report.tables import summary_document
from kpsim.scenario.model import RunParams, Scenario, Threshold
from kpsim.scenario.reader import read
from kpsim.simulation import ModeRun, Replication, build_cluster, prepare, run_mode
from kpsim.traffic.connections import COLUMNS
from kpsim.traffic.params import TrafficParams
from kpsim.units import I64
from tests.in_force import rules_of
from tests.models.columns import differing

CALM = Scenario(
    name="calm",
    cluster=ClusterParams(nodes=3, cores=2),
    groups=(
        ServiceGroup("web", 4, EndpointCount(mean=2.0), ports=2, type="NodePort"),
        ServiceGroup("lone", 5, EndpointCount(mean=1.0)),
        ServiceGroup("nobody", 2, EndpointCount(mean=0.0)),
        ServiceGroup("bare", 1, EndpointCount(mean=2.0), headless=True),
    ),
    modes=tuple(MODES),
    traffic=TrafficParams(30.0, 4, 0.05, zipf=0.8),
    churn=ChurnParams(1.0, 0.2, pod_shutdown_s=0.1),
    run=RunParams(20.0, 3.0, seed=11, replications=1),
)
SCENARIOS = {
    "calm": CALM,
    "old": replace(CALM, kubernetes_version=(1, 33), run=replace(CALM.run, seed=12)),
    "overloaded": replace(
        CALM,
        cluster=ClusterParams(nodes=1, cores=1),
        traffic=TrafficParams(60_000.0, 2, 0.0),
        churn=ChurnParams(20.0, 0.0, pod_shutdown_s=0.01),
        run=RunParams(0.5, 0.1, seed=13, replications=1),
    ),
    "sampled": replace(CALM, traffic=TrafficParams(300.0, 4, 0.01), run=replace(CALM.run, packets=8_000)),
    "still": replace(CALM, churn=ChurnParams(), run=RunParams(4.0, 0.0, replications=1)),
}
EVERY = pytest.mark.parametrize(("name", "mode"), [(name, mode) for name in SCENARIOS for mode in MODES])


@cache
def ran(name: str, mode: str) -> tuple[Replication, ModeRun]:
    scenario = SCENARIOS[name]
    cluster, _ = build_cluster(scenario)
    replication = prepare(scenario, cluster, 0)
    return replication, run_mode(replication, mode, "batch")


# ── Packets ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@EVERY
def test_packets_in_are_packets_out(name: str, mode: str) -> None:
    replication, run = ran(name, mode)
    for batches in (1, 10):
        seen = observe(replication, run, batches)
        count = seen.counts
        assert count.packets > 100
        assert count.packets == count.delivered + count.refused + count.dropped + count.stale + count.in_flight
        tallied = sum(t.n for name in ("first_packet_latency", "later_packet_latency") for t in seen.tallies[name])
        unserved_in_flight = count.packets - tallied - count.refused - count.dropped
        assert 0 <= unserved_in_flight <= count.in_flight
        assert count.connections <= count.packets <= count.packets_simulated


def test_every_way_to_end_is_seen() -> None:
    """The sums above would hold for zeros: each verdict occurs somewhere, and so do packets in flight."""
    seen = {name: observe(*ran(name, "iptables"), 1).counts for name in SCENARIOS}
    for kind in ("delivered", "refused", "stale", "in_flight"):
        assert any(getattr(counts, kind) for counts in seen.values()), kind
    assert seen["still"].stale == 0
    assert seen["overloaded"].in_flight > 1000


@EVERY
def test_time_goes_forward_for_every_packet(name: str, mode: str) -> None:
    replication, run = ran(name, mode)
    outcomes, connections = run.outcomes, replication.connections
    assert (outcomes.arrival_ns >= 0).all()
    assert (outcomes.start_ns >= outcomes.arrival_ns).all()
    assert (outcomes.cost_ns[:, 0] > 0).all()
    assert (outcomes.latency_ns[outcomes.verdict != Verdict.UNSENT] > 0).all()
    assert (np.diff(outcomes.arrival_ns, axis=1) == connections.interval_ns).all()
    assert (np.diff(outcomes.start_ns, axis=1) >= 0).all()


@EVERY
def test_a_packet_goes_to_a_pod_of_its_service_or_nowhere(name: str, mode: str) -> None:
    replication, run = ran(name, mode)
    outcomes, connections, cluster = run.outcomes, replication.connections, replication.cluster
    services = cluster.port_service[connections.port]
    for service, pod in {*zip(services.tolist(), outcomes.pod.tolist(), strict=True)}:
        if pod >= 0:
            assert replication.changes.pod_slot[pod] in cluster.endpoints(service)
    nobody = np.isin(services, np.flatnonzero(np.diff(cluster.endpoint_offset) == 0))
    assert nobody.any()
    assert (outcomes.verdict[nobody, 0] == (Verdict.REFUSED if run.mode.refuses else Verdict.DROPPED)).all()
    assert (outcomes.verdict[nobody, 1:] == Verdict.UNSENT).all()
    gone = replication.changes.pod_gone_ns[outcomes.pod]
    stale = outcomes.verdict == Verdict.STALE
    assert (outcomes.start_ns[stale] >= np.broadcast_to(gone[:, None], stale.shape)[stale]).all()


# ── Syncs ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@EVERY
def test_syncs_of_a_node_never_overlap(name: str, mode: str) -> None:
    replication, run = ran(name, mode)
    trace = run.proxiers[0].syncs
    for node in range(replication.cluster.nodes):
        happened = trace.ran[:, node]
        n = int(happened.sum())
        assert happened[:n].all()  # filled from the top
        assert (trace.start[n:, node] == NEVER).all()
        start, end = trace.start[:n, node], trace.end[:n, node]
        assert (end > start).all()
        assert (start[1:] >= end[:-1]).all()
        assert ((start >= 0) & (start < replication.horizon_ns)).all()


@EVERY
def test_a_sync_knows_what_has_arrived_by_its_start_and_nothing_else(name: str, mode: str) -> None:
    replication, run = ran(name, mode)
    trace = run.proxiers[0].syncs
    for node in range(replication.cluster.nodes):
        here = np.full(run.proxiers[0].arrivals.rows, node)
        arrival = run.proxiers[0].arrivals.at(np.arange(run.proxiers[0].arrivals.rows), here)
        happened = trace.ran[:, node]
        expected = [int((arrival <= start).sum()) for start in trace.start[happened, node]]
        assert trace.absorbed[happened, node].tolist() == expected


@EVERY
def test_rules_in_force_come_from_a_finished_sync(name: str, mode: str) -> None:
    """The Pod of every connection is usable in the log as far as the last finished sync knew it, no further."""
    replication, run = ran(name, mode)
    outcomes, connections = run.outcomes, replication.connections
    node = replication.windows.nodes[connections.node]
    start = outcomes.start_ns[:, 0]
    for c in np.random.default_rng(1).permutation(len(connections))[:400].tolist():
        finished = run.proxiers[0].syncs.end[:, node[c]] <= start[c]
        knew = int(run.proxiers[0].syncs.absorbed[finished, node[c]].max(initial=0))
        if run.proxiers[0].in_force.at_once:  # here no sync is needed, only the delivery
            knew = int(run.proxiers[0].arrivals.count(start[c : c + 1], node[c : c + 1], inclusive=True)[0])
        service = int(replication.cluster.port_service[connections.port[c]])
        rows = [row for row in run.proxiers[0].log.rows[:knew] if row.service == service]
        if rows:
            usable = list(rows[-1].usable)
        else:
            offset = run.proxiers[0].timeline.usable_offset
            usable = run.proxiers[0].timeline.usable_pod[offset[service] : offset[service + 1]].tolist()
        assert outcomes.pod[c] in usable if usable else outcomes.pod[c] == (REFUSED if run.mode.refuses else DROPPED)


@EVERY
def test_rule_set_numbers_only_rise(name: str, mode: str) -> None:
    replication, run = ran(name, mode)
    rules = rules_of(replication, run)
    for node in range(replication.cluster.nodes):
        ends = run.proxiers[0].syncs.end[run.proxiers[0].syncs.ran[:, node], node]
        if run.proxiers[0].in_force.at_once:
            ends = run.proxiers[0].arrivals.at(
                np.arange(run.proxiers[0].arrivals.rows), np.full(run.proxiers[0].arrivals.rows, node)
            )
        times = np.unique(np.concatenate([[0], ends - 1, ends, ends + 1, [replication.horizon_ns]]))
        edition: I64 = rules.edition(np.full(len(times), node), times)[0]
        assert (np.diff(edition) >= 0).all()
        assert edition.tolist() == [int((ends <= t).sum()) for t in times.tolist()]  # at its end a rule set holds


# ── Same seed, same bytes ────────────────────────────────────────────────────────────────────────────────────────────

SMALL = replace(
    CALM,
    name="small",
    run=RunParams(12.0, 2.0, seed=5, replications=3),
    thresholds=(Threshold("first_packet_latency", "p50", "<", 1.0, "p50 < 1s"),),
)


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return summarised(SMALL, tmp_path_factory.mktemp("first"))


def summarised(scenario: Scenario, directory: Path, jobs: int = 1) -> bytes:
    write_report(run_scenario(scenario, jobs=jobs), directory)
    return (directory / "summary.json").read_bytes()


def test_same_seed_same_bytes(summary: bytes, tmp_path: Path) -> None:
    assert summarised(SMALL, tmp_path) == summary
    assert len(json.loads(summary)) > 3


def test_two_jobs_same_bytes(summary: bytes, tmp_path: Path) -> None:
    assert summarised(SMALL, tmp_path, jobs=2) == summary


def test_another_seed_other_numbers(summary: bytes) -> None:
    other = summary_document(run_scenario(replace(SMALL, run=replace(SMALL.run, seed=6))))
    assert other["modes"] != json.loads(summary)["modes"]


def test_both_engines_find_the_same() -> None:
    """The engine is part of the scenario, and so of its hash; everything that was found is the same."""
    short = replace(SMALL, run=replace(SMALL.run, duration_s=6.0, replications=2))
    found = []
    for engine in ("batch", "reference"):
        result = run_scenario(replace(short, run=replace(short.run, engine=engine)))
        assert result.engine == engine
        found.append(summary_document(replace(result, scenario=short, engine="", engine_reason="", provenance={})))
    assert found[0] == found[1]


# ── Which modes are compared does not matter to any of them ──────────────────────────────────────────────────────────


@pytest.mark.parametrize("packets", [10**7, 4_000], ids=["all packets", "a sample of the packets"])
def test_the_list_of_modes_leaves_arrivals_alone(packets: int) -> None:
    """Also where not every packet can be simulated: a mode's packets must not depend on whom it is compared with."""
    scenario = replace(SMALL, run=replace(SMALL.run, packets=packets))
    cluster, _ = build_cluster(scenario)
    drawn = [
        prepare(replace(scenario, modes=modes), cluster, 0).connections
        for n in range(1, len(MODES) + 1)
        for modes in permutations(MODES, n)
    ]
    assert len(drawn) > len(MODES)
    for other in drawn[1:]:
        for name in COLUMNS:
            assert np.array_equal(getattr(drawn[0], name), getattr(other, name)), name


def test_a_mode_s_results_do_not_depend_on_its_company() -> None:
    both = run_scenario(SMALL).modes
    for mode in MODES:
        alone = run_scenario(replace(SMALL, modes=(mode,))).modes[mode]
        assert alone.counts == both[mode].counts
        assert alone.summaries == both[mode].summaries
        assert alone.rates == both[mode].rates


# ── A mode from outside ──────────────────────────────────────────────────────────────────────────────────────────────


class Toy(Ipvs):
    """Looks up like ipvs, and always takes the first endpoint."""

    name = "toy"
    family = "ipvs"

    def __init__(self, params: ProxyParams, backend: str = "legacy") -> None:
        super().__init__(params, backend)

    def select(self, draw: I64, turn: I64, endpoints: I64) -> I64:  # noqa: ARG002 - the contract's arguments
        return np.zeros_like(np.asarray(endpoints))

    def stages(self, state: PacketState) -> tuple[Stage, ...]:
        if state == PacketState.LATER:
            return (Stage("later", {"packet_later": 1}),)
        return (Stage("wound up", {"packet_first": 1}), Stage("spring", {"netlink_call": 1}, Steps.ENDPOINT))


@pytest.fixture
def toy() -> Iterator[str]:
    with temporarily(ModeEntry("toy", f"{__name__}:Toy", "a mode for the length of a test", since=(1, 20))):
        yield "toy"
    assert "toy" not in MODES


Command = Callable[..., tuple[int, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """``kpsim`` with some arguments: its exit code and what it wrote."""

    def run(*arguments: str | Path) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["kpsim", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        streams = capsys.readouterr()
        return int(ended.value.code or 0), streams.out + streams.err

    return run


YAML = """\
apiVersion: kpsim/v1alpha1
kind: Scenario
metadata: {{name: toys}}
spec:
  cluster: {{nodes: 2, cores: 1}}
  services: [{{name: web, count: 3, endpoints: 2}}, {{name: db, count: 1, endpoints: 1}}]
  kubeProxy: {{mode: {mode}, toy: {{minSyncPeriod: 2s}}}}
  compare: {{modes: [{modes}]}}
  traffic: {{connectionsPerSecondPerNode: 20, packetsPerConnection: 2}}
  changes: {{churn: {{podReplacementsPerSecond: 0.5}}}}
  run: {{duration: 10s, warmup: 2s, replications: 2}}
"""


def scenario_file(directory: Path, mode: str = "toy", modes: str = "toy, iptables") -> Path:
    path = directory / "toys.yaml"
    path.write_text(YAML.format(mode=mode, modes=modes), encoding="utf-8")
    return path


def test_a_registered_mode_is_a_key_and_a_choice_in_a_scenario(toy: str, tmp_path: Path) -> None:
    scenario = read(scenario_file(tmp_path))
    assert scenario.kube_proxy.mode == toy
    assert scenario.modes == (toy, "iptables")
    assert scenario.kube_proxy.min_sync_period_s == 2.0
    compared = read(scenario_file(tmp_path, mode="iptables"))
    assert compared.kube_proxy.for_mode(toy).min_sync_period_s == 2.0


def test_without_the_registration_the_same_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="toy"):
        read(scenario_file(tmp_path))


def test_a_registered_mode_runs_in_both_engines_alike(toy: str, tmp_path: Path) -> None:
    scenario = read(scenario_file(tmp_path))
    cluster, _ = build_cluster(scenario)
    replication = prepare(scenario, cluster, 0)
    batch, reference = (run_mode(replication, toy, engine) for engine in ("batch", "reference"))
    assert batch.mode.name == toy
    assert not differing(batch.outcomes, reference.outcomes)
    assert len(batch.proxiers[0].syncs.start) > 1
    assert np.array_equal(batch.proxiers[0].syncs.start, reference.proxiers[0].syncs.start)
    assert np.array_equal(batch.proxiers[0].syncs.end, reference.proxiers[0].syncs.end)
    still = run_mode(prepare(replace(scenario, churn=ChurnParams()), cluster, 0), toy, "reference")
    assert set(still.outcomes.pod.tolist()) == set(cluster.endpoint_pod[cluster.endpoint_offset[:-1]].tolist())


def test_a_registered_mode_is_listed(toy: str, command: Command) -> None:
    code, listed = command("modes")
    assert code == 0
    assert "a mode for the length of a test" in listed
    _, as_json = command("modes", "-o", "json")
    (entry,) = [row for row in json.loads(as_json) if row["name"] == toy]
    assert entry["about"] == "a mode for the length of a test"
    assert entry["since"] == "1.20"


def test_a_registered_mode_gets_a_report_and_a_look_of_its_own(toy: str, tmp_path: Path) -> None:
    looks = [mode_style(name) for name in MODES]
    assert len({(look.color, look.marker) for look in looks}) == len(MODES)
    assert mode_style(toy) == mode_style(toy)
    result = run_scenario(read(scenario_file(tmp_path)))
    written = write_report(result, tmp_path)
    assert all(path.exists() for path in written)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert toy in page
    assert mode_style(toy).color.lower() in page.lower()
    assert toy in (tmp_path / "report.md").read_text(encoding="utf-8")
    assert toy in json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))["modes"]
    assert {c.mode for c in result.comparisons} == {"iptables"}
    assert {c.against for c in result.comparisons} == {toy}


def test_a_registered_mode_runs_from_the_command_line(toy: str, tmp_path: Path, command: Command) -> None:
    code, written = command("run", scenario_file(tmp_path), "--out", tmp_path / "out", "--jobs", "1", "-q")
    assert code == 0, written
    assert toy in written
    assert (tmp_path / "out/report.html").exists()


def test_a_registered_mode_is_explained(toy: str, tmp_path: Path, command: Command) -> None:
    code, written = command("explain", "service", "web-0", "-f", scenario_file(tmp_path), "--mode", toy)
    assert code == 0, written
    assert "wound up" in written


def test_a_registered_mode_is_gone_afterwards(command: Command) -> None:
    assert "toy" not in MODES
    assert "toy" not in command("modes")[1]
