"""What two proxiers of one node share, and what UDP flows meet: equal in both engines, and as it should be."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml

from kpsim.cluster.changes import NEVER
from kpsim.cluster.params import ChurnParams, ClusterParams, EndpointCount, ServiceGroup
from kpsim.datapath.outcomes import Verdict
from kpsim.profiles.costs import load_profile
from kpsim.proxy.params import FaultParams
from kpsim.scenario.model import ProfileChoice, RunParams, Scenario
from kpsim.simulation import ModeRun, Replication
from kpsim.traffic.params import TrafficParams
from kpsim.units import Version
from tests.properties.test_engines_equal import both, differences

S = 1_000_000_000
NO_FAULTS = FaultParams()


def profile_with(folder: Path, restore_s: float) -> str:
    """The shipped profile with an iptables-restore that takes so long."""
    text = load_profile("measured-linux-6.18").text.document()
    for family in ("iptables-legacy", "ipvs"):
        text["families"][family]["sync_restore"] |= {"unit": "s", "both": [restore_s] * 3}
    path = folder / "restore.yaml"
    path.write_text(yaml.safe_dump(text))
    return str(path)


def dual(profile: str, seed: int = 7) -> Scenario:
    """Both families change all the time on a few nodes."""
    return Scenario(
        name="dual",
        cluster=ClusterParams(nodes=3, cores=1, ip_families=("IPv4", "IPv6")),
        groups=(ServiceGroup("two", 4, EndpointCount(mean=2.0), ip_family_policy="PreferDualStack"),),
        traffic=TrafficParams(2.0, 2, 0.05),
        churn=ChurnParams(0.5, 0.05),
        profile=ProfileChoice(profile),
        run=RunParams(240.0, 0.0, seed=seed, replications=1),
    )


def restores(run: ModeRun, restore_ns: int) -> list[list[tuple[int, int]]]:
    """By node, when each sync of either family that did not give up held the lock, in order."""
    found: list[list[tuple[int, int]]] = []
    for node in range(run.proxiers[0].syncs.start.shape[1]):
        spans = []
        for proxier in run.proxiers:
            good = proxier.syncs.ran[:, node] & ~proxier.syncs.failed[:, node]
            spans += [(int(end) - restore_ns, int(end)) for end in proxier.syncs.switch[good, node]]
        found.append(sorted(spans))
    return found


@pytest.mark.parametrize("mode", ["iptables", "ipvs"])
@pytest.mark.parametrize("restore_s", [1.0, 7.0])
def test_two_families_restore_one_after_the_other_and_give_up_after_five_seconds(
    mode: str, restore_s: float, tmp_path: Path
) -> None:
    _, batch, reference = both(dual(profile_with(tmp_path, restore_s)), mode)
    assert not differences(batch, reference)
    for spans in restores(batch, int(0.75 * restore_s * S)):  # a sync varies down to three quarters
        assert all(end <= begin for (_, end), (begin, _) in pairwise(spans))
    failed = sum(int((p.syncs.failed & p.syncs.ran).sum()) for p in batch.proxiers)
    assert (failed > 3) == (restore_s > 5)


def test_one_family_alone_waits_for_nobody(tmp_path: Path) -> None:
    alone = dual(profile_with(tmp_path, 7.0))
    alone = replace(alone, cluster=replace(alone.cluster, ip_families=("IPv4",)))
    alone = replace(alone, groups=(replace(alone.groups[0], ip_family_policy="SingleStack"),))
    _, batch, reference = both(alone, "iptables")
    assert not differences(batch, reference)
    assert not batch.proxiers[0].syncs.failed.any()


@pytest.mark.parametrize("mode", ["nftables", "kernelspace"])
def test_modes_without_the_lock_do_not_wait(mode: str, tmp_path: Path) -> None:
    _, batch, reference = both(dual(profile_with(tmp_path, 7.0)), mode)
    assert not differences(batch, reference)
    assert not any(p.syncs.failed.any() for p in batch.proxiers)


# ── UDP ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def flows(version: Version, protocol: str = "UDP", faults: FaultParams = NO_FAULTS) -> Scenario:
    """Long flows to Services whose Pods are replaced all the time."""
    return Scenario(
        name="flows",
        kubernetes_version=version,
        cluster=ClusterParams(nodes=2, cores=2),
        groups=(ServiceGroup("dns", 3, EndpointCount(mean=3.0), protocol=protocol),),  # type: ignore[arg-type]  # a literal
        traffic=TrafficParams(4.0, 20, 1.0),
        churn=ChurnParams(0.5, pod_shutdown_s=0.05),
        faults=faults,
        run=RunParams(90.0, 0.0, seed=3, replications=1),
    )


def ends(replication: Replication, run: ModeRun) -> tuple[int, int]:
    """Flows whose Pod went while they lasted: how many were stale to their end, and how many were heard again."""
    verdict = run.outcomes.verdict
    stale = (verdict == Verdict.STALE).any(axis=1)
    again = stale & (verdict[:, -1] == Verdict.DELIVERED)
    return int((stale & ~again).sum()), int(again.sum())


@pytest.mark.parametrize("mode", ["iptables", "ipvs", "nftables"])
@pytest.mark.parametrize("version", [(1, 30), (1, 34)])
def test_a_udp_flow_finds_somebody_else_after_the_clean_up_and_a_tcp_connection_never(
    mode: str, version: Version
) -> None:
    replication, batch, reference = both(flows(version), mode)
    assert not differences(batch, reference)
    stuck, again = ends(replication, batch)
    assert again > 20
    assert stuck < again
    other, tcp, reference = both(flows(version, "TCP"), mode)
    assert not differences(tcp, reference)
    stuck, again = ends(other, tcp)
    assert (stuck > 20, again) == (True, 0)


def test_up_to_1_31_what_a_failed_sync_should_have_deleted_stays() -> None:
    failing = FaultParams(failed_syncs=0.5)
    counts = {}
    for version in ((1, 30), (1, 34)):
        replication, batch, reference = both(flows(version, faults=failing), "iptables")
        assert not differences(batch, reference)
        counts[version] = ends(replication, batch)
    assert counts[1, 30][0] > 2 * counts[1, 34][0]


def test_the_clean_up_comes_when_the_rules_are_in_force() -> None:
    for version in ((1, 30), (1, 34)):
        _, batch, _ = both(flows(version), "iptables")
        syncs = batch.proxiers[0].syncs
        ran = syncs.ran
        assert (syncs.start[ran] < syncs.switch[ran]).all()
        assert (syncs.switch[ran] <= syncs.end[ran]).all()
        assert (syncs.switch[ran] < syncs.end[ran]).sum() > 10
        assert np.array_equal(syncs.switch[~ran], np.full((~ran).sum(), NEVER))
        _, tcp, _ = both(flows(version, "TCP"), "iptables")
        assert np.array_equal(tcp.proxiers[0].syncs.switch, tcp.proxiers[0].syncs.end)


@pytest.mark.parametrize(("version", "grows"), [((1, 31), True), ((1, 36), False)])
def test_the_first_sync_of_a_process_clears_what_udp_services_left(version: Version, grows: bool) -> None:
    """Every UDP Service is new to it: ``conntrack -D`` for each up to 1.31, then one look at the whole table."""
    times = []
    for services in (2, 12):
        group = ServiceGroup("name", services, EndpointCount(mean=2.0), protocol="UDP")
        still = replace(
            flows(version), groups=(group,), churn=ChurnParams(), faults=FaultParams(restarts_per_hour=60.0)
        )
        _, batch, reference = both(replace(still, run=RunParams(120.0, 0.0, seed=3, replications=1)), "iptables")
        assert not differences(batch, reference)
        syncs = batch.proxiers[0].syncs
        first = syncs.ran & (syncs.process_since > 0)
        times.append(np.median((syncs.end - syncs.switch)[first]))
    assert times[0] > 0
    assert (times[1] > 3 * times[0]) == grows
