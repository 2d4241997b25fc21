"""What goes wrong on nodes: failed syncs, restarts, flushes, a lock that others hold, and what becomes of samples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kpsim.cluster.changes import NEVER
from kpsim.cluster.params import ChurnParams, ClusterParams, EndpointCount, ServiceGroup
from kpsim.profiles.defaults import load_defaults
from kpsim.proxy.params import FaultParams, NodeSettings, ProxyParams
from kpsim.scenario.model import RunParams, Scenario
from kpsim.simulation import ModeRun, build_cluster, prepare, run_mode
from kpsim.traffic.params import TrafficParams

S = 1_000_000_000
DOWN = round(load_defaults().value("kube_proxy.start_up") * S)
PERIOD = 30 * S
CHURNING = Scenario(
    name="faulty",
    cluster=ClusterParams(nodes=40, cores=1),
    groups=(ServiceGroup("g", 20, EndpointCount(mean=3.0)),),
    kube_proxy=ProxyParams(),
    traffic=TrafficParams(0.0),
    churn=ChurnParams(1.0),
    run=RunParams(300.0, 0.0, seed=8, replications=1),
)
IDLE = replace(CHURNING, churn=ChurnParams(0.0))


def run(scenario: Scenario, faults: FaultParams, mode: str = "iptables") -> ModeRun:
    scenario = replace(scenario, faults=faults)
    return run_mode(prepare(scenario, build_cluster(scenario)[0], 0), mode, "batch")


def test_the_share_of_syncs_that_fail_is_the_one_asked_for() -> None:
    trace = run(CHURNING, FaultParams(failed_syncs=0.2)).proxiers[0].syncs
    share = trace.failed[trace.ran].mean()
    n = trace.ran.sum()
    assert n > 5_000
    assert abs(share - 0.2) < 4 * (0.2 * 0.8 / n) ** 0.5


@pytest.mark.parametrize(("mode", "latest"), [("iptables", PERIOD), ("nftables", PERIOD)])
def test_after_a_failed_sync_the_next_is_full_and_soon(mode: str, latest: int) -> None:
    trace = run(CHURNING, FaultParams(failed_syncs=0.3), mode).proxiers[0].syncs
    again = trace.failed[:-1] & trace.ran[1:]
    assert again.sum() > 1_000
    assert trace.full[1:][again].all()
    assert ((trace.start[1:] - trace.end[:-1])[again] <= latest).all()
    assert not trace.full[1:][trace.ran[1:] & ~again].all()  # others need not be


def test_an_idle_node_tries_again_after_sync_period() -> None:
    """Nothing asks for a sync but the hour's full one; if that fails, syncPeriod does."""
    hours = replace(IDLE, run=RunParams(7200.0, 0.0, seed=8, replications=1))
    trace = run(hours, FaultParams(failed_syncs=0.5)).proxiers[0].syncs
    again = trace.failed[:-1] & trace.ran[1:]
    assert again.sum() > 20
    assert ((trace.start[1:] - trace.end[:-1])[again] == PERIOD).all()


def test_changes_of_a_failed_sync_come_into_force_later_and_leave_no_sample() -> None:
    found = run(CHURNING, FaultParams(failed_syncs=0.3))
    trigger = found.proxiers[0].log.column("trigger_ns")
    lost = 0
    for node in range(40):
        true, reported = found.proxiers[0].in_force.true_ns(node), found.proxiers[0].in_force.reported_ns(node, trigger)
        sampled = reported < NEVER
        lost += int((~sampled).sum())
        both = sampled[: len(true)]
        assert (true[both] == reported[: len(true)][both]).all()  # a sync that took them up and did not fail
        assert (np.diff(true) >= 0).all()
    assert 0.2 < lost / (40 * len(trigger)) < 0.45


def test_without_faults_nothing_is_lost() -> None:
    found = run(CHURNING, FaultParams())
    for node in range(40):
        true, reported = (
            found.proxiers[0].in_force.true_ns(node),
            found.proxiers[0].in_force.reported_ns(node, found.proxiers[0].log.column("trigger_ns")),
        )
        assert np.array_equal(true, reported)


def test_a_restart_ends_the_sync_under_way_and_begins_with_a_full_one() -> None:
    found = run(CHURNING, FaultParams(restarts_per_hour=60.0))
    trace = found.proxiers[0].syncs
    born = np.unique(trace.process_since[trace.process_since > 0])
    assert 100 < len(born) < 300  # 40 nodes for five minutes at sixty an hour: 200
    first = (trace.process_since[1:] != trace.process_since[:-1]) & trace.ran[1:]
    assert trace.full[1:][first].all()
    assert (trace.start[1:][first] == trace.process_since[1:][first] + DOWN).all()
    killed = trace.failed & trace.ran
    assert killed.any()
    assert np.isin(trace.end[killed], born).all()
    before = trace.ran[1:] & ~first
    assert (trace.start[1:][before] >= trace.process_since[1:][before]).all()


def test_kube_proxy_takes_no_sample_of_what_happened_before_it_started() -> None:
    found = run(CHURNING, FaultParams(restarts_per_hour=120.0))
    trigger = found.proxiers[0].log.column("trigger_ns")
    lost = 0
    for node in range(40):
        trace, reported = found.proxiers[0].syncs, found.proxiers[0].in_force.reported_ns(node, trigger)
        lost += int((reported == NEVER).sum())
        ran = trace.ran[:, node]
        since = np.repeat(trace.process_since[ran, node], np.diff(trace.absorbed[ran, node], prepend=0))
        sampled = reported < NEVER
        assert (trigger[: len(reported)][sampled] >= since[sampled]).all()
    assert lost > 100


def test_flushed_rules_are_noticed_by_the_canary_alone() -> None:
    """An idle node syncs in full once for each flush, at most syncPeriod later; nftables has no canary."""
    flushed = run(IDLE, FaultParams(flushes_per_hour=30.0)).proxiers[0].syncs
    quiet = run(IDLE, FaultParams()).proxiers[0].syncs
    extra = flushed.ran.sum() - quiet.ran.sum()
    assert 60 < extra < 140  # forty nodes for five minutes at thirty an hour: 100, less those noticed together
    assert flushed.full[flushed.ran].all()
    assert run(IDLE, FaultParams(flushes_per_hour=30.0), "nftables").proxiers[0].syncs.ran.sum() == quiet.ran.sum()


def test_a_sync_waits_for_the_lock_and_gives_up_after_five_seconds() -> None:
    held = FaultParams(lock_held=0.5, lock_hold_s=8.0)
    free, waited = run(CHURNING, FaultParams()).proxiers[0].syncs, run(CHURNING, held).proxiers[0].syncs
    length = (waited.end - waited.start)[waited.ran]
    usual = (free.end - free.start)[free.ran]
    given_up = waited.failed[waited.ran]
    assert (length[given_up] == 5 * S).all()
    assert abs(given_up.mean() - 0.5 * 3 / 8) < 0.05  # held half of the time, with three of eight seconds too many
    assert np.median(length) > 5 * np.median(usual)
    never = run(CHURNING, held, "nftables").proxiers[0].syncs
    assert not never.failed.any()  # nft has no such lock


@pytest.mark.parametrize(
    ("mode", "minor", "fails"), [("nftables", 30, True), ("nftables", 31, False), ("iptables", 30, False)]
)
def test_nftables_with_a_prefix_of_interfaces_fails_in_every_sync_up_to_1_30(
    mode: str, minor: int, fails: bool
) -> None:
    settings = NodeSettings(detect_local_mode="InterfaceNamePrefix", interface_name_prefix="veth")
    scenario = replace(CHURNING, kube_proxy=ProxyParams(settings=settings), kubernetes_version=(1, minor))
    trace = run(scenario, FaultParams(), mode).proxiers[0].syncs
    assert trace.ran.sum() > 40
    assert (trace.failed == (trace.ran & fails)).all()
    if fails:  # the runner tries again
        assert ((trace.start[1:] - trace.end[:-1])[trace.ran[1:]] <= PERIOD).all()
