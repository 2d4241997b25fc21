"""A mode that tells nothing of its rules runs in both engines alike, and `explain` refuses it in one line."""

# ruff: noqa: ARG002 - a mode has the arguments of the contract

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from kpsim.cli import main
from kpsim.cluster.columns import ServiceColumns
from kpsim.proxy.contract import PacketState, Resource, RuleCounts, RunnerSettings, Stage, SyncCounts, SyncKind, Work
from kpsim.proxy.counts import EndpointCounts
from kpsim.proxy.node import NodeConfig, PortState
from kpsim.proxy.params import ProxyParams
from kpsim.proxy.registry import ModeEntry, temporarily
from kpsim.proxy.rules import REFUSED, Packet, PortKey, RuleSet, Walk
from kpsim.scenario.reader import read
from kpsim.simulation import build_cluster, prepare, run_mode
from kpsim.units import I64, Version
from tests.models.columns import differing


class Bare:
    """One entry a service port and one an endpoint, looked up at once, taken in turn."""

    name = "bare"
    family = "ipvs"
    scan_rotates = False
    falls_back = False
    ignores_policies = True
    drops_without_local = False
    refuses = True
    reports_programming = False

    def __init__(self, params: ProxyParams, backend: str = "legacy") -> None: ...

    def runner(self, version: Version) -> RunnerSettings:
        return RunnerSettings(min_sync_s=1.0, idle_s=30.0, full_s=None, cleanup_s=30.0)

    def resources(self) -> Sequence[Resource]:
        return ()

    def rule_counts(self, services: ServiceColumns, endpoints: EndpointCounts) -> RuleCounts:
        ports = services.ports * services.proxied
        return RuleCounts(dispatch=ports, own=ports * endpoints.usable)

    def rules_present(self, dispatch: int | I64, own: int | I64) -> int | I64:
        return dispatch + own

    def sync_work(self, kind: SyncKind, counts: SyncCounts) -> Work:
        return {"netlink_call": counts.dispatch + counts.own, "sync_restore": 1}

    def stages(self, state: PacketState) -> Sequence[Stage]:
        return (Stage("lookup", {"packet_later" if state == PacketState.LATER else "packet_first": 1}),)

    def endpoint_steps(self, index: I64, endpoints: I64) -> I64:
        return np.zeros_like(index)

    def select(self, draw: I64, turn: I64, endpoints: I64) -> I64:
        return turn % np.maximum(endpoints, 1)

    def program(self, states: Iterable[PortState], config: NodeConfig, rotation: int = 0) -> BareRules:
        return BareRules({PortKey(s.info.cluster_ip, s.info.protocol, s.info.port): s for s in states})


@dataclass(frozen=True)
class BareRules:
    """The entries of one node."""

    entries: dict[PortKey, PortState]

    @property
    def rules(self) -> RuleSet:
        own: dict[int, int] = {}
        for state in self.entries.values():
            own[state.row] = own.get(state.row, 0) + sum(e.ready for e in state.endpoints)
        return RuleSet(dispatch=len(self.entries), own=own)

    def walk(self, packet: Packet, draw: int, turn: int) -> Walk:
        found = [e for e in self.entries[packet.key].endpoints if e.ready]
        return Walk(found[turn % len(found)].pod if found else REFUSED, 0, 0)


YAML = """\
apiVersion: kpsim/v1alpha1
kind: Scenario
metadata: {name: bare}
spec:
  cluster: {nodes: 3, cores: 1}
  services:
    - {name: web, count: 3, endpoints: 2}
    - {name: db, count: 2, endpoints: 1, ports: 2}
    - {name: idle, count: 1, endpoints: 0}
  kubeProxy: {mode: bare}
  traffic: {connectionsPerSecondPerNode: 20, packetsPerConnection: 2}
  changes: {churn: {podReplacementsPerSecond: 1}}
  run: {duration: 15s, warmup: 2s, replications: 1}
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Iterator[Path]:
    with temporarily(ModeEntry("bare", f"{__name__}:Bare", "nothing but what engines ask for")):
        path = tmp_path / "bare.yaml"
        path.write_text(YAML, encoding="utf-8")
        yield path


def test_both_engines_give_the_same_syncs_and_packets(scenario: Path) -> None:
    question = read(scenario)
    replication = prepare(question, build_cluster(question)[0], 0)
    batch, reference = (run_mode(replication, "bare", engine) for engine in ("batch", "reference"))
    assert not differing(batch.outcomes, reference.outcomes)
    assert len(batch.outcomes.pod) > 100
    one, other = batch.proxiers[0].syncs, reference.proxiers[0].syncs
    assert len(one.start) > 3
    assert not differing(one, other)


COMMANDS = (
    ["explain", "service", "web-0", "-f"],
    ["explain", "packet", "--to", "default/web-0", "-f"],
    ["rules"],
)


@pytest.mark.parametrize("command", COMMANDS)
def test_whoever_explains_says_in_one_line_that_it_cannot(
    command: list[str], scenario: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["kpsim", *command, str(scenario)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code not in (0, None)
    (line,) = capsys.readouterr().err.splitlines()
    assert "mode bare has no stories of its rules" in line


def test_it_runs_and_is_listed_from_the_command_line(
    scenario: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = ["run", str(scenario), "--out", str(tmp_path / "out"), "--jobs", "1", "-q"]
    for arguments in (runs, ["modes"]):
        monkeypatch.setattr(sys, "argv", ["kpsim", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code in (0, None)
    assert "nothing but what engines ask for" in capsys.readouterr().out
