"""Both engines see the same nodes come, and the same Services change and go."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kpsim.cluster.params import ChurnParams, ClusterParams, EndpointCount, ServiceGroup
from kpsim.datapath.outcomes import Verdict
from kpsim.experiment.replications import run
from kpsim.history.events import (
    ApiServerRestart,
    Ending,
    NodeJoin,
    NodeLoss,
    ReadinessFailure,
    Scale,
    ServiceChange,
    ServiceDeletion,
)
from kpsim.profiles.defaults import load_defaults
from kpsim.proxy.params import FaultParams, ProxyParams
from kpsim.proxy.registry import MODES
from kpsim.scenario.model import RunParams, Scenario
from kpsim.traffic.params import TrafficParams
from tests.properties.test_engines_equal import both, differences

S = 1_000_000_000
FAULTS = FaultParams(0.3, restarts_per_hour=900.0, lock_held=0.5, lock_hold_s=8.0)


def scenario(*events: object, churned: float = 2.0) -> Scenario:
    return Scenario(
        name="lifecycle",
        cluster=ClusterParams(nodes=4, cores=1),
        groups=(
            ServiceGroup("web", 3, EndpointCount(mean=3.0)),
            ServiceGroup("name", 2, EndpointCount(mean=2.0), protocol="UDP", ports=2),
            ServiceGroup("local", 1, EndpointCount(mean=4.0), internal_traffic_policy="Local"),
            ServiceGroup("bare", 3, EndpointCount(mean=4.0), headless=True),
        ),
        traffic=TrafficParams(12.0, 2),
        churn=ChurnParams(churned, 0.2, 0.3),
        events=events,  # type: ignore[arg-type]  # any kind
        run=RunParams(25.0, 0.0, seed=3, replications=1),
    )


@pytest.mark.parametrize("mode", list(MODES))
@pytest.mark.parametrize("faults", [FaultParams(), FAULTS], ids=["calm", "faults"])
def test_engines_agree_on_a_node_that_joins(mode: str, faults: FaultParams) -> None:
    events = (
        NodeJoin(6.0, node="node-2"),
        Scale(7.0, "default/web-0", 12),
        NodeJoin(9.0, node="node-1"),
        ApiServerRestart(15.0),
        NodeLoss(17.0, node="node-2"),
    )
    replication, batch, reference = both(replace(scenario(*events), faults=faults), mode)
    assert not differences(batch, reference)
    assert replication.changes.joins == {2: 6 * S, 1: 9 * S}
    first, second = replication.joins
    assert (first.node, second.node) == (1, 2)
    least_s = load_defaults().value("kube_proxy.cold_start_least")
    for join in replication.joins:
        assert join.begins_ns - join.at_ns == pytest.approx(least_s * S, rel=1e-6)
        starts = batch.proxiers[0].syncs.start[:, join.node]
        assert starts.min() == join.begins_ns or faults.any
        usable = batch.proxiers[0].in_force.usable_ns[join.node]
        assert usable > join.begins_ns
        node = replication.windows.nodes[replication.connections.node]
        arrival, verdict = batch.outcomes.start_ns[:, 0], batch.outcomes.verdict[:, 0]
        mine = node == join.node
        assert arrival[mine].min() >= join.at_ns  # there is nobody to send before
        cold = mine & (arrival < usable)
        assert cold.any()
        assert (verdict[cold] == Verdict.DROPPED).all()
        dropped = (verdict == Verdict.DROPPED) & mine & ~cold
        assert dropped.sum() < (mine & ~cold).sum() / 2
        true = batch.proxiers[0].in_force.true_ns(join.node)
        sent = batch.proxiers[0].log.column("sent_ns")[: len(true)]
        assert (true[sent >= join.at_ns] >= usable).all()
        assert (true[sent < join.at_ns] > 1000 * S).all()  # what it listed is no change to it


def test_a_first_sync_writes_everything_that_others_have_written_before() -> None:
    """Under IPVS virtual servers come one by one, and ipset entries a process each."""
    many = (
        ServiceGroup("web", 100, EndpointCount(mean=5.0)),
        ServiceGroup("bare", 9, EndpointCount(mean=5.0), headless=True),
    )
    _, batch, reference = both(
        replace(scenario(NodeJoin(6.0, node="node-2"), Scale(1.0, "default/bare-0", 60)), groups=many), "ipvs"
    )
    assert not differences(batch, reference)
    syncs = batch.proxiers[0].syncs
    took_s = np.where(syncs.ran, (syncs.end - syncs.start) / S, 0.0)
    assert took_s[0, 2] > 2 * took_s[:, [0, 1, 3]].max()


def test_pods_are_on_a_node_only_after_it_has_joined() -> None:
    events = (NodeJoin(6.0, node="node-2"), Scale(2.0, "default/web-0", 8), Scale(10.0, "default/web-0", 20))
    replication, _, _ = both(scenario(*events), "ipvs")
    changes, home = replication.changes, replication.changes.pod_home
    assert home is not None
    here = np.flatnonzero(home == 2)
    assert len(here)
    assert here.min() >= replication.cluster.pods
    of_pods = np.isin(changes.kind, range(4)) & np.isin(changes.subject, here)
    assert changes.at_ns[of_pods].min() > 6 * S


@pytest.mark.parametrize("mode", list(MODES))
@pytest.mark.parametrize("service", ["web-0", "name-0", "local-0", "bare-0"])
def test_engines_agree_on_services_that_change_and_go(mode: str, service: str) -> None:
    name = f"default/{service}"
    events = (ServiceChange(4.0, name, target_port=True), ServiceDeletion(8.0, name), NodeJoin(12.0))
    replication, batch, reference = both(scenario(*events, ServiceChange(14.0, "default/web-1"), churned=6.0), mode)
    assert not differences(batch, reference)
    cluster, proxier = replication.cluster, batch.proxiers[0]
    (row,) = cluster.rows_of(name)
    rows = [each for each in proxier.log.rows if each.service == row]
    if service == "bare-0":
        assert not rows  # kube-proxies do not watch what is headless
        return
    deleted = next(i for i, each in enumerate(rows) if each.gone)
    assert [each.creates for each in rows[deleted:]] == [True, False]  # the object, and its one slice
    assert all(each.gone for each in rows[deleted:])
    changed = [i for i, each in enumerate(rows[:deleted]) if each.creates]
    assert len(changed) == 1
    assert any(each.changed >= 4 for each in rows[changed[0] + 1 : deleted])  # endpoints come and go with their port
    in_force = [proxier.in_force.true_ns(node)[rows[deleted].index] for node in range(4)]
    until = np.array(in_force)[replication.windows.nodes[replication.connections.node]]
    mine = (cluster.port_service[replication.connections.port] == row) & (batch.outcomes.start_ns[:, 0] >= until)
    assert mine.any()
    assert (batch.outcomes.pod[mine] < 0).all()
    assert (batch.outcomes.pod[cluster.port_service[replication.connections.port] != row] >= 0).any()


def test_a_result_says_how_long_a_node_had_no_rules_and_a_service_was_known(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        "apiVersion: kpsim/v1alpha1\nkind: Scenario\nspec:\n"
        "  cluster: {nodes: 3}\n  services: [{name: web, count: 2, endpoints: 2}]\n"
        "  traffic: {connectionsPerSecondPerNode: 20}\n"
        "  changes: {events: [{at: 5s, nodeJoin: {}}, {at: 9s, serviceDeletion: {service: default/web-0}}]}\n"
        "  run: {duration: 15s, warmup: 1s, replications: 2}\n"
    )
    (found,) = run(path).modes.values()
    join, deletion = found.events
    assert join.unusable_s is not None
    assert 0.35 < join.unusable_s < 2.0
    assert join.unusable_for in ("lists", "start-up", "sync")
    assert found.counts["dropped"].value > 0
    assert deletion.unusable_s is None
    assert deletion.propagation_s is not None
    assert 0 < deletion.propagation_s < 3.0
    assert found.counts["refused"].value > 0


@pytest.mark.parametrize(("minor", "serve"), [(25, False), (26, True)])
def test_pods_that_terminate_serve_where_none_is_ready_since_1_26(minor: int, serve: bool) -> None:
    """Before, the gate ProxyTerminatingEndpoints is off: whoever asks for a Service that ends is refused at once."""
    ended = Scale(5.0, "default/web-0", 0, ending=Ending(30.0, 60.0))
    old = replace(scenario(ended, churned=0.0), kubernetes_version=(1, minor))
    replication, batch, reference = both(old, "iptables")
    assert not differences(batch, reference)
    late = (replication.cluster.port_service[replication.connections.port] == 0) & (
        batch.outcomes.start_ns[:, 0] > 10 * S
    )
    assert late.sum() > 50
    wanted = Verdict.DELIVERED if serve else Verdict.REFUSED
    assert (batch.outcomes.verdict[late, 0] == wanted).all()


@pytest.mark.parametrize(("mode", "minor"), [("ipvs", 36), ("ipvs", 30), ("iptables", 30), ("iptables", 36)])
def test_what_is_as_it_was_at_the_last_sync_counts_nothing_beside_rules(mode: str, minor: int) -> None:
    """A probe that fails for a moment: its slice's writes count as changes of the Service, as in endpointslicecache.go.

    But IPVS compares real servers with what it has, and ``conntrack -D`` up to 1.31 runs for endpoints that are gone.
    """
    rare, run = ProxyParams(min_sync_period_s=30.0), RunParams(75.0, 0.0, seed=3, replications=1)
    flapping = replace(scenario(ReadinessFailure(2.0, "default/name-0", for_s=32.0)), kube_proxy=rare, run=run)
    flapping = replace(flapping, churn=ChurnParams(), kubernetes_version=(1, minor))
    replication, batch, reference = both(flapping, mode)
    assert not differences(batch, reference)
    timeline = batch.proxiers[0].timeline
    rows = np.flatnonzero(timeline.service == replication.cluster.rows_of("default/name-0")[0])
    before, after, node = np.array([rows[0]]), np.array([rows[1] + 1]), np.array([0])
    middle = np.array([rows[0] + 1])
    steps = [timeline.moved_between(*span, node, node > 0) for span in ((before, middle), (middle, after))]
    whole = timeline.moved_between(before, after, node, node > 0)
    assert timeline.changed_between(before, after, node).services == 1
    assert [int(np.sum(step.real_servers)) for step in steps] == ([2, 2] if mode == "ipvs" else [0, 0])  # of two ports
    assert (whole.real_servers, whole.endpoints_here) == (0, 0)
    assert [int(np.sum(timeline.conntrack_runs(*span))) for span in ((before, middle), (middle, after))] == [2, 0]
    assert timeline.conntrack_runs(before, after) == 0
