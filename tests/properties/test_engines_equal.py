"""The batch engine gives what the reference engine gives: the same syncs and the same packets, to the nanosecond.

Scenarios are drawn small and odd on purpose.  Some are priced by a profile in which a packet takes tens of
milliseconds, so that a few hundred packets make queues that outlast several rule sets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpsim.cluster.changes import NEVER
from kpsim.cluster.params import ChurnParams, ClusterParams, EndpointCount, ServiceGroup
from kpsim.controlplane.params import ControllerManagerParams
from kpsim.datapath.outcomes import Verdict
from kpsim.errors import InputError
from kpsim.history.events import (
    Crash,
    Drain,
    Ending,
    Event,
    IntOrPercent,
    NodeJoin,
    NodeLoss,
    ReadinessFailure,
    Rollout,
    Scale,
    ServiceChange,
    ServiceDeletion,
    StatefulSetRollout,
    ZoneLoss,
)
from kpsim.kube.objects import Endpoint, EndpointSlice, KubeObjects, Pod, Service, ServicePort
from kpsim.profiles.costs import load_profile
from kpsim.proxy.params import FaultParams, ProxyParams
from kpsim.proxy.registry import MODES
from kpsim.scenario.model import ProfileChoice, RunParams, Scenario
from kpsim.scenario.reader import read
from kpsim.simulation import ModeRun, Replication, build_cluster, prepare, run_mode
from kpsim.traffic.connections import Connections
from kpsim.traffic.params import TrafficParams
from kpsim.units import I64
from tests.in_force import rules_of

FAMILIES = (("IPv4",), ("IPv4", "IPv6"), ("IPv6",))
SLOWED = ("packet_first", "packet_later", "rule_passed", "endpoint_rule", "connection_made", "handshake")
SLOWER = 2_000  # a first packet of the slow profile takes about twenty milliseconds


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The shipped profile with packets two thousand times dearer."""
    text = load_profile("measured-linux-6.18").text.document()
    for family in text["families"].values():
        for name, coefficient in family.items():
            if name in SLOWED:
                for kind in ("quiet", "typical", "cold"):
                    usual = coefficient.get("typical") or coefficient["both"]
                    coefficient[kind] = [SLOWER * value for value in coefficient.get(kind, usual)]
    path: Path = tmp_path_factory.mktemp("profiles") / "slow.yaml"
    path.write_text(yaml.safe_dump(text))
    return str(path)


OBJECTS = KubeObjects(
    services=(
        Service("shop", "sticky", cluster_ip="", ports=(ServicePort(80),), selector=(("app", "a"),),
                session_affinity="ClientIP"),
        Service("shop", "dns", ports=(ServicePort(53, "udp", "UDP"), ServicePort(53, "tcp", "TCP")),
                selector=(("tier", "all"),), external_ips=("192.0.2.1", "192.0.2.2")),
        Service("shop", "front", type="LoadBalancer", ports=(ServicePort(443),), load_balancer_ips=("192.0.2.9",),
                load_balancer_source_ranges=("198.51.100.0/24", "203.0.113.0/24"), session_affinity="ClientIP"),
        Service("shop", "nobody", ports=(ServicePort(80),)),
        Service("shop", "parts", type="NodePort", external_ips=("192.0.2.3",), ports=(
            ServicePort(80, "both"), ServicePort(81, "one", "UDP"), ServicePort(82, "none"))),
        Service("shop", "bare", cluster_ip="None", ports=(ServicePort(80),), selector=(("app", "a"),)),
    ),
    pods=tuple(
        Pod("shop", f"{app}-{i}", (("app", app), ("tier", "all")), ip=f"10.200.{i}.{10 * i + 1}", ready=i != 2)
        for i, app in enumerate(("a", "a", "a", "b"))
    ),
    slices=(
        EndpointSlice("shop", "front-1", "front", ports=(("", 8443, "TCP"),), endpoints=(
            Endpoint("10.201.0.11", ready=False, terminating=True),
            Endpoint("10.201.0.1", ready=False, terminating=True),
            Endpoint("10.201.0.2", ready=False, serving=False),
        )),
        EndpointSlice("shop", "parts-1", "parts", ports=(("both", 8080, "TCP"), ("one", 8081, "UDP")), endpoints=(
            Endpoint("10.201.1.1"), Endpoint("10.201.1.11"),
        )),
        EndpointSlice("shop", "parts-2", "parts", ports=(("both", 8080, "TCP"), ("none", 0, "TCP")), endpoints=(
            Endpoint("10.201.1.2"), Endpoint("10.201.1.1", ready=False),
        )),
        EndpointSlice("shop", "parts-3", "parts", "FQDN", (("none", 80, "TCP"),), (Endpoint("a.example"),)),
    ),
)  # fmt: skip

groups = st.lists(
    st.builds(
        lambda kind, count, endpoints, ports, protocol, policies: ServiceGroup(
            "g",
            count,
            endpoints,
            type="ClusterIP" if kind == "headless" else kind,
            headless=kind == "headless",
            ports=ports,
            protocol=protocol,
            session_affinity="ClientIP" if policies[0] else "None",
            internal_traffic_policy="Local" if policies[1] else "Cluster",
            external_traffic_policy="Local" if policies[2] else "Cluster",
            ip_family_policy="PreferDualStack" if policies[3] else "SingleStack",
        ),
        st.sampled_from(["ClusterIP", "ClusterIP", "NodePort", "LoadBalancer", "ExternalName", "headless"]),
        st.integers(1, 5),
        st.sampled_from([0, 1, 2, 4])
        .map(lambda mean: EndpointCount(mean=float(mean)))
        .__or__(st.just(EndpointCount("uniform", 2.0, min=0, max=4))),
        st.integers(1, 3),
        st.sampled_from(["TCP", "UDP", "SCTP"]),
        st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans()),
    ),
    max_size=4,
).map(lambda drawn: tuple(replace(group, name=f"g{i}") for i, group in enumerate(drawn)))


@st.composite
def events(draw: st.DrawFn, drawn: tuple[ServiceGroup, ...], nodes: int, duration_s: float) -> tuple[Event, ...]:
    """Up to three events in the first half of a run, about Services that have Pods for sure."""
    share = draw(st.sampled_from([IntOrPercent(25, percent=True), IntOrPercent(1), IntOrPercent(100, percent=True)]))
    ending = Ending(draw(st.sampled_from([None, 0.5, 40.0])), draw(st.sampled_from([None, 1.0])))
    makers: list[Callable[[float], Event]] = [
        lambda at_s: NodeLoss(at_s, nodes, for_s=draw(st.sampled_from([None, duration_s / 4]))),
        NodeLoss,
        lambda at_s: Drain(at_s, 1, ending=ending),
        lambda at_s: ZoneLoss(at_s, 0, duration_s / 3),
    ]
    if nodes > 1:
        makers.append(lambda at_s: NodeJoin(at_s, draw(st.integers(1, nodes - 1))))
    there = [f"default/{g.name}-0" for g in drawn]
    if there:
        makers += [
            lambda at_s: ServiceChange(at_s, draw(st.sampled_from(there)), draw(st.booleans())),
            lambda at_s: ServiceDeletion(at_s, draw(st.sampled_from(there))),
        ]
    named = [f"default/{g.name}-0" for g in drawn if g.type != "ExternalName" and g.endpoints.mean > 0]
    if named and all(g.endpoints.distribution == "constant" for g in drawn):
        service = draw(st.sampled_from(named))
        makers += [
            lambda at_s: Rollout(at_s, service, share, IntOrPercent(25, percent=True), ending),
            lambda at_s: Scale(at_s, service, draw(st.integers(0, 6)), ending),
            lambda at_s: Crash(at_s, service, 2, draw(st.integers(1, 2))),
            lambda at_s: ReadinessFailure(at_s, service, duration_s / 3, 2),
        ]
        if draw(st.booleans()):
            makers[-4] = lambda at_s: StatefulSetRollout(at_s, service, ending)
    times = draw(st.lists(st.floats(0, duration_s / 2), max_size=3))
    return tuple(draw(st.sampled_from(makers))(at_s) for at_s in times)


FAULTS = FaultParams(0.3, restarts_per_hour=900.0, flushes_per_hour=600.0, lock_held=0.5, lock_hold_s=8.0)


@st.composite
def scenarios(draw: st.DrawFn, slow: str) -> Scenario:
    """A small scenario of about a thousand packets at most; ``modes`` is set by whoever runs it."""
    duration_s = draw(st.sampled_from([0.4, 3.0, 12.0, 12.0, 4000.0]))
    nodes = draw(st.integers(1, 4))
    k = draw(st.integers(1, 4))
    packets = draw(st.sampled_from([0, 60, 400, 900]))
    churned = draw(st.sampled_from([0.0, 3.0, 25.0]))
    drawn = draw(groups)
    return Scenario(
        name="drawn",
        kubernetes_version=draw(st.sampled_from([(1, 26), (1, 30), (1, 32), (1, 33), (1, 34), (1, 36)])),
        cluster=ClusterParams(nodes, cores=draw(st.integers(1, 3)), ip_families=draw(st.sampled_from(FAMILIES))),
        groups=drawn,
        events=draw(st.one_of(st.just(()), events(drawn, nodes, duration_s))),
        objects=OBJECTS if draw(st.booleans()) else KubeObjects(),
        controller_manager=ControllerManagerParams(
            endpointslice_updates_batch_period_s=draw(st.sampled_from([None, 0.5])),
            max_endpoints_per_slice=draw(st.sampled_from([None, 2])),
        ),
        kube_proxy=ProxyParams(min_sync_period_s=draw(st.sampled_from([None, 0.0, 0.3, 5.0, 40.0]))),
        traffic=TrafficParams(
            packets / (nodes * k * duration_s),
            k,
            draw(st.sampled_from([0.0, 0.001, 0.3])),
            draw(st.floats(0, 1.5)),
            handshakes=draw(st.booleans()),
        ),
        churn=ChurnParams(
            churned / duration_s, draw(st.sampled_from([0.0, 4.0])) / duration_s, draw(st.sampled_from([None, 0.05]))
        ),
        faults=draw(st.sampled_from([FaultParams(), FaultParams(), FAULTS, replace(FAULTS, lock_held=0.0)])),
        profile=ProfileChoice(
            draw(st.sampled_from(["measured-linux-6.18", slow, slow])), draw(st.sampled_from(["quiet", "typical"]))
        ),
        run=RunParams(
            duration_s,
            draw(st.sampled_from([0.0, 0.2])) * duration_s,
            seed=draw(st.integers(0, 2**32)),
            replications=1,
            packets=draw(st.sampled_from([500, 10**6])),
        ),
    )


def both(scenario: Scenario, mode: str) -> tuple[Replication, ModeRun, ModeRun]:
    """One replication and what the batch and the reference engine make of it."""
    given_for_mode = replace(scenario.kube_proxy, mode=mode)
    scenario = replace(scenario, kube_proxy=given_for_mode, modes=(mode,))
    cluster, _ = build_cluster(scenario)
    replication = prepare(scenario, cluster, 0)
    return replication, run_mode(replication, mode, "batch"), run_mode(replication, mode, "reference")


def differences(a: ModeRun, b: ModeRun) -> list[str]:
    """What is not the same in two runs: columns of the sync traces, columns of the outcomes, the delivery logs."""
    parts: list[tuple[str, Any, Any]] = [("outcomes", a.outcomes, b.outcomes)]
    pairs = zip(a.proxiers, b.proxiers, strict=True)
    parts += [("trace", one.syncs, other.syncs) for one, other in pairs]
    found = [
        f"{part}.{name}"
        for part, one, other in parts
        for name in one.__dataclass_fields__
        if not np.array_equal(getattr(one, name), getattr(other, name))
    ]
    left = [[proxier.unwritten.waiting_ns.tolist() for proxier in run.proxiers] for run in (a, b)]
    found += ["unwritten"] if left[0] != left[1] else []
    found += ["log.rows"] if a.sent.rows != b.sent.rows else []
    found += ["log.writes"] if (a.sent.writes, a.sent.written_bytes) != (b.sent.writes, b.sent.written_bytes) else []
    return found


@pytest.mark.parametrize("mode", list(MODES))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_engines_give_the_same_syncs_and_packets(mode: str, slow: str, data: st.DataObject) -> None:
    _, batch, reference = both(data.draw(scenarios(slow)), mode)
    assert not differences(batch, reference)


def busy(slow: str, seed: int = 5) -> Scenario:
    """Lone Pods replaced again and again behind a core that has seconds of packets to serve."""
    return Scenario(
        name="busy",
        cluster=ClusterParams(nodes=2, cores=1),
        groups=(ServiceGroup("lone", 6, EndpointCount(mean=1.0)), ServiceGroup("pair", 2, EndpointCount(mean=2.0))),
        kube_proxy=ProxyParams(),
        traffic=TrafficParams(22.0, 3, 0.05),
        churn=ChurnParams(1.5, 0.2, pod_shutdown_s=0.05),
        profile=ProfileChoice(slow),
        run=RunParams(25.0, 0.0, seed=seed, replications=1),
    )


def as_on_arrival(replication: Replication, run: ModeRun) -> tuple[I64, I64, I64, I64]:
    """Rule sets in force when connections arrived and when they were served; cost and Pod by the former."""
    rules = rules_of(replication, run)
    connections, every = replication.connections, np.arange(len(replication.connections))
    node = replication.windows.nodes[connections.node]
    arrived = rules.edition(node, connections.arrival_ns)[0]
    served = rules.edition(node, run.outcomes.start_ns[:, 0])[0]
    cost, pod, _, _ = rules.first_packets(node, arrived, connections, every)
    return arrived, served, cost, pod


@pytest.mark.parametrize("mode", list(MODES))
def test_packets_that_wait_across_a_switch_of_rules_are_priced_by_the_new_ones(mode: str, slow: str) -> None:
    replication, batch, reference = both(busy(slow), mode)
    assert not differences(batch, reference)
    arrived, served, cost, pod = as_on_arrival(replication, batch)
    waited = served > arrived
    assert waited.sum() > 100
    assert (served - arrived).max() >= 3  # several rule sets went by
    outcomes = batch.outcomes
    refused_now = outcomes.pod < 0
    assert (waited & (pod < 0) & ~refused_now).sum() > 3  # nobody there on arrival, served when its turn came
    assert (waited & (pod >= 0) & refused_now).sum() > 3
    assert (waited & (pod != outcomes.pod) & (pod >= 0) & ~refused_now).any()
    if batch.prices.scans():  # else every first packet costs the same, and only the Pod tells
        assert (outcomes.cost_ns[waited, 0] != cost[waited]).mean() > 0.5  # pricing on arrival is another model
    assert {*np.unique(outcomes.verdict)} == {*Verdict} - {Verdict.DROPPED if batch.mode.refuses else Verdict.REFUSED}


@pytest.mark.parametrize("mode", list(MODES))
def test_a_local_policy_keeps_connections_on_their_node(mode: str) -> None:
    """Each node sends to its own Pods only, and where it has none the mode drops or refuses."""
    groups = [
        ServiceGroup(name, 4, EndpointCount(mean=2.0), type=kind, internal_traffic_policy="Local")  # type: ignore[arg-type]  # two literals
        for name, kind in (("inner", "ClusterIP"), ("door", "NodePort"))
    ]
    scenario = Scenario(
        name="local",
        cluster=ClusterParams(nodes=3, cores=1),
        groups=(*groups, ServiceGroup("plain", 2)),
        traffic=TrafficParams(40.0, 2),
        churn=ChurnParams(2.0, pod_shutdown_s=3.0),
        run=RunParams(15.0, 0.0, seed=4, replications=1),
    )
    replication, batch, reference = both(scenario, mode)
    assert not differences(batch, reference)
    outcomes, cluster, connections = batch.outcomes, replication.cluster, replication.connections
    local = cluster.services.internal_local[cluster.port_service[connections.port]]
    home = cluster.homes(len(replication.changes.pod_ip))[outcomes.pod]
    away = (outcomes.pod >= 0) & local & (home != replication.windows.nodes[connections.node])
    assert away.any() == (batch.mode.falls_back or batch.mode.ignores_policies)
    if batch.mode.ignores_policies:
        return
    nobody = Verdict.DROPPED if batch.mode.drops_without_local else Verdict.REFUSED
    assert (outcomes.verdict[local, 0] == nobody).sum() > 50
    assert (outcomes.pod[local] >= 0).sum() > 50
    assert not (outcomes.verdict[~local, 0] == Verdict.DROPPED).any() or not batch.mode.refuses


@pytest.mark.parametrize("version", [(1, 25), (1, 33), (1, 34), (1, 36)])
@pytest.mark.parametrize("mode", list(MODES))
def test_engines_agree_on_what_goes_wrong(mode: str, version: tuple[int, int], slow: str) -> None:
    """Failed syncs, restarts, noticed flushes and a lock that others hold, all of them often."""
    scenario = replace(busy(slow), kubernetes_version=version, faults=FAULTS)
    _, batch, reference = both(scenario, mode)
    assert not differences(batch, reference)
    trace = batch.proxiers[0].syncs
    assert (trace.failed & trace.ran).sum() > 3
    assert len(np.unique(trace.process_since)) > 3  # several processes
    for node in range(2):
        true, reported = (
            batch.proxiers[0].in_force.true_ns(node),
            batch.proxiers[0].in_force.reported_ns(node, batch.proxiers[0].log.column("trigger_ns")),
        )
        assert (true >= batch.sent.column("sent_ns")[: len(true)]).all()
        lost = reported == NEVER
        assert batch.proxiers[0].in_force.at_once or lost.any()
        known = min(len(true), len(reported))
        assert (reported[:known][~lost[:known]] <= true[:known][~lost[:known]]).all()


@pytest.mark.parametrize("mode", list(MODES))
def test_engines_agree_on_events(mode: str, slow: str) -> None:
    """Rollouts, crashes, hung Pods and lost nodes all at once, in a cluster that is busy anyway."""
    happening = (
        Rollout(2.0, "default/pair-0", ending=Ending(pre_stop_s=0.5)),
        Crash(3.0, "default/lone-0", times=1),
        ReadinessFailure(4.0, "default/pair-1", for_s=60.0, pods=2),
        NodeLoss(5.0, node="node-1", for_s=80.0),
        Scale(90.0, "default/pair-0", 5),
    )
    scenario = replace(busy(slow), events=happening, cluster=ClusterParams(nodes=3, cores=1))
    scenario = replace(scenario, traffic=TrafficParams(3.0, 3, 0.05), run=replace(scenario.run, duration_s=120.0))
    replication, batch, reference = both(scenario, mode)
    assert not differences(batch, reference)
    changes, outcomes = replication.changes, batch.outcomes
    away = changes.outages.cover(outcomes.pod[:, None], outcomes.start_ns)
    assert away.sum() > 50
    assert (outcomes.verdict[away & (outcomes.pod >= 0)[:, None]] == Verdict.STALE).all()
    node = replication.windows.nodes[replication.connections.node]
    assert not changes.lost.cover(node, replication.connections.arrival_ns).any()  # who is gone opens nothing
    assert (node == 1).any()


@pytest.mark.parametrize("mode", list(MODES))
def test_a_dual_stack_node_has_two_proxiers(mode: str, slow: str) -> None:
    """Each has its own slices and its own pace; what is IPv4 alone is not IPv6's business."""
    dual = ServiceGroup("dual", 4, EndpointCount(mean=2.0), ip_family_policy="PreferDualStack")
    scenario = replace(busy(slow), cluster=ClusterParams(nodes=2, cores=1, ip_families=("IPv4", "IPv6")))
    scenario = replace(scenario, groups=(*scenario.groups, dual), traffic=TrafficParams(5.0, 1))
    replication, batch, reference = both(scenario, mode)
    assert not differences(batch, reference)
    four, six = batch.proxiers
    is_dual = replication.cluster.services.dual_stack
    assert is_dual[six.log.column("service")].all()
    of_dual = is_dual[four.log.column("service")].sum()
    assert 0 < len(six.log.rows) == of_dual < len(four.log.rows)  # each slice of theirs has a twin
    assert len(batch.sent.rows) == len(four.log.rows) + len(six.log.rows)
    assert not np.array_equal(four.syncs.start[:3], six.syncs.start[:3])
    assert six.timeline.ports_total.max() < four.timeline.ports_total.max()


@pytest.mark.parametrize("mode", list(MODES))
def test_the_first_packet_decides_for_the_rest_of_its_connection(mode: str, slow: str) -> None:
    _, batch, _ = both(busy(slow, seed=6), mode)
    outcomes = batch.outcomes
    refused = outcomes.pod < 0
    assert 0 < refused.sum() < len(refused)
    assert (outcomes.cost_ns[refused, 1:] == 0).all()
    assert (outcomes.cost_ns[~refused] > 0).all()


@pytest.mark.parametrize("mode", list(MODES))
def test_another_seed_is_not_equal(mode: str, slow: str) -> None:
    """The comparison can fail: one seed on, every column that says something is another one."""
    _, batch, _ = both(busy(slow), mode)
    _, other, _ = both(busy(slow, seed=6), mode)
    wanted = {"trace.start", "trace.end", "trace.absorbed", "outcomes.start_ns", "outcomes.cost_ns", "outcomes.pod"}
    assert wanted <= set(differences(batch, other))


@pytest.mark.parametrize("mode", list(MODES))
@pytest.mark.parametrize("endpoints", [1_000, 1_001])
def test_engines_agree_on_both_sides_of_the_large_cluster(mode: str, endpoints: int) -> None:
    """Beyond a thousand endpoints stale chains are looked for once a period, not at every sync."""
    scenario = Scenario(
        name="large",
        cluster=ClusterParams(nodes=1, cores=1),
        groups=(ServiceGroup("big", 1, EndpointCount(mean=float(endpoints))), ServiceGroup("small", 2)),
        traffic=TrafficParams(20.0, 1),
        churn=ChurnParams(0.5),
        run=RunParams(6.0, 0.0, seed=3, replications=1),
    )
    _, batch, reference = both(scenario, mode)
    assert not differences(batch, reference)
    assert (
        len(batch.proxiers[0].syncs.start) > 2 or batch.proxiers[0].in_force.at_once
    )  # with which only the timer asks for a sync here


@pytest.mark.parametrize("seed", [11, 26, 41, 54, 57])
def test_engines_count_the_same_stale_retries(seed: int) -> None:
    """What the controller does when the run is over does not belong to it."""
    scenario = Scenario(
        name="retries",
        cluster=ClusterParams(nodes=1, cores=1),
        groups=(ServiceGroup("g", 9),),
        objects=replace(OBJECTS, services=tuple(at for at in OBJECTS.services if at.name != "parts")),
        traffic=TrafficParams(0.0),
        churn=ChurnParams(8.0, 1.3),
        run=RunParams(3.0, 0.0, seed=seed, replications=1),
    )
    _, batch, reference = both(scenario, "iptables")
    assert batch.stale_retries > 0
    assert batch.stale_retries == reference.stale_retries


@pytest.mark.parametrize("mode", list(MODES))
def test_a_cluster_without_a_single_pod_refuses_everybody(mode: str) -> None:
    scenario = Scenario(
        name="empty",
        cluster=ClusterParams(nodes=1, cores=1),
        groups=(ServiceGroup("g", 2, EndpointCount(mean=0.0)),),
        traffic=TrafficParams(20.0, 2),
        run=RunParams(5.0, 0.0, replications=1),
    )
    _, batch, reference = both(scenario, mode)
    assert not differences(batch, reference)
    assert (batch.outcomes.verdict[:, 0] == (Verdict.REFUSED if batch.mode.refuses else Verdict.DROPPED)).all()


@pytest.mark.parametrize("mode", list(MODES))
@pytest.mark.parametrize("per_s", [60.0, 150.0])
def test_engines_agree_far_beyond_the_knee(mode: str, per_s: float, slow: str) -> None:
    """Every packet of an overloaded core waits, in the end across dozens of rule sets, and one price moves the next."""
    scenario = busy(slow)
    scenario = replace(scenario, traffic=TrafficParams(per_s, 2, 0.0), run=replace(scenario.run, duration_s=12.0))
    replication, batch, reference = both(scenario, mode)
    assert not differences(batch, reference)
    arrived, served, _, _ = as_on_arrival(replication, batch)
    assert (served > arrived).mean() > 0.5


def test_engines_agree_on_ties() -> None:
    """Whole connections at one instant, on one core: packets go by number, then by connection."""
    scenario = Scenario(
        name="ties",
        cluster=ClusterParams(nodes=1, cores=1),
        groups=(ServiceGroup("g", 3, EndpointCount(mean=2.0)),),
        traffic=TrafficParams(3.0e7, 3, 1e-9),  # thirty connections a microsecond, a packet each nanosecond
        run=RunParams(3e-6, 0.0, replications=1),
    )
    replication, batch, reference = both(scenario, "iptables")
    arrival = replication.connections.arrival_ns
    assert len(arrival) > len(np.unique(arrival)) + 1
    assert not differences(batch, reference)


def at_the_very_instant(replication: Replication, run: ModeRun) -> tuple[Connections, I64]:
    """Connections that start at the very instant of a switch of rules on node 0, which treat their Service differently.

    In turn: one that arrives then, and one that has waited for another, sent as much earlier as it takes; under ipvs
    that does not depend on the rules.
    """
    trace, log, cluster = run.proxiers[0].syncs, run.proxiers[0].log.rows, replication.cluster
    switches = trace.end[trace.ran[:, 0], 0]
    known = np.concatenate([[0], trace.absorbed[trace.ran[:, 0], 0]])
    takes = int(run.prices.first_ns(np.zeros(1, np.int64), np.zeros(1, np.int64), np.zeros(1, np.uint32))[0])
    arrival: list[int] = []
    port: list[int] = []
    for i, at in enumerate(switches.tolist()):
        changed = [row.service for row in log[known[i] : known[i + 1]] if row.changed]
        if changed and (not arrival or at - takes > arrival[-1] + 3 * takes):
            new = [at] if len(arrival) % 3 else [at - takes, at - takes + 1]
            arrival += new
            port += [int(cluster.port_offset[changed[-1]])] * len(new)
    c = len(arrival)
    zero = np.zeros(c, np.int64)
    draws = np.zeros((c, 1), np.uint32)
    return Connections(zero, zero, np.array(arrival), np.array(port), zero, zero, zero, draws, 1, 0), switches


def test_a_switch_holds_for_a_packet_that_starts_with_it(slow: str) -> None:
    scenario = busy(slow)
    replication, run, _ = both(replace(scenario, traffic=TrafficParams(0.0)), "ipvs")
    replication.kept, switches = at_the_very_instant(replication, run)
    batch, reference = (run_mode(replication, "ipvs", engine) for engine in ("batch", "reference"))
    assert not differences(batch, reference)
    outcomes = batch.outcomes
    with_it = np.isin(outcomes.start_ns[:, 0], switches)
    waited = (outcomes.arrival_ns < outcomes.start_ns)[:, 0]
    assert (with_it & waited).sum() > 5
    assert (with_it & ~waited).sum() > 5
    _, _, _, pod = as_on_arrival(replication, batch)
    assert (pod[with_it & waited] != outcomes.pod[with_it & waited]).sum() > 3  # and it matters


def test_a_long_quiet_run_on_many_cores_is_no_trouble() -> None:
    """A day, hundreds of nodes of a hundred cores each, and a few connections: idle queues take no room."""
    scenario = Scenario(
        name="day",
        cluster=ClusterParams(nodes=600, cores=100),
        groups=(ServiceGroup("g", 3, EndpointCount(mean=2.0)),),
        traffic=TrafficParams(2e-5, 2),
        run=RunParams(86_400.0, 0.0, replications=1),
    )
    scenario = replace(scenario, kube_proxy=ProxyParams(mode="iptables"))
    cluster, _ = build_cluster(scenario)
    outcomes = run_mode(prepare(scenario, cluster, 0), "iptables", "batch").outcomes
    assert len(outcomes.arrival_ns) > 500
    assert (outcomes.verdict == Verdict.DELIVERED).all()


def test_engines_agree_when_two_services_have_one_name() -> None:
    """Groups and created Services must not share chains, whatever they are called."""
    scenario = Scenario(
        name="namesakes",
        cluster=ClusterParams(nodes=1, cores=1),
        groups=(ServiceGroup("created", 2, EndpointCount(mean=2.0)),),
        traffic=TrafficParams(20.0, 1),
        churn=ChurnParams(0.0, services_created_per_s=0.5),
        run=RunParams(10.0, 0.0, seed=2, replications=1),
    )
    cluster, _ = build_cluster(scenario)
    assert len({cluster.names[s] for s in range(len(cluster.services.ports))}) == len(cluster.services.ports)
    _, batch, reference = both(scenario, "iptables")
    assert not differences(batch, reference)


def test_engines_agree_when_some_ports_of_a_service_have_a_node_port() -> None:
    """With allocateLoadBalancerNodePorts off, only the ports that name a NodePort have one."""
    lopsided = Service(
        "shop", "half", type="LoadBalancer", cluster_ip="10.96.7.7", ports=(ServicePort(80, "a", node_port=30100),
        ServicePort(81, "b")), selector=(("app", "a"),), allocate_load_balancer_node_ports=False,
    )  # fmt: skip
    scenario = replace(busy("measured-linux-6.18"), objects=replace(OBJECTS, services=(*OBJECTS.services, lopsided)))
    for mode in MODES:
        _, batch, reference = both(scenario, mode)
        assert not differences(batch, reference), mode


def test_an_object_and_a_group_cannot_share_a_name(tmp_path: Path) -> None:
    """Chains are named after Services: a file with two of one name is refused."""
    path = tmp_path / "namesakes.yaml"
    service = "kind: Service, metadata: {name: web-0}, spec: {selector: {app: x}, ports: [{port: 80}]}"
    pod = "kind: Pod, metadata: {name: x, labels: {app: x}}, status: {podIP: 10.9.9.9, phase: Running}"
    path.write_text(
        "apiVersion: kpsim/v1alpha1\nkind: Scenario\nspec:\n  services:\n"
        "  - {name: web, count: 2, endpoints: 2}\n"
        f"  - {{apiVersion: v1, {service}}}\n  - {{apiVersion: v1, {pod}}}\n"
        "  traffic: {connectionsPerSecondPerNode: 20, packetsPerConnection: 1}\n"
        "  run: {duration: 3s, warmup: 0s, replications: 1}\n"
    )
    with pytest.raises(InputError, match="web-0 is also one of the group"):
        both(read(path), "iptables")


@pytest.mark.parametrize("mode", list(MODES))
def test_engines_agree_on_open_source_ranges_and_addresses_of_both_families(mode: str) -> None:
    """A range that holds every node, and external addresses of which only some are of this IP family."""
    service = Service(
        "default", "front", "LoadBalancer", "10.96.7.7", (ServicePort(80, node_port=30123),),
        external_ips=("198.51.100.7", "2001:db8::7"), load_balancer_ips=("198.51.100.8", "2001:db8::8"),
        load_balancer_source_ranges=("0.0.0.0/0", "::/0"),
    )  # fmt: skip
    piece = EndpointSlice("default", "front-1", "front", ports=(("", 8080, "TCP"),), endpoints=(Endpoint("10.9.0.1"),))
    scenario = Scenario(
        name="open",
        cluster=ClusterParams(nodes=2, cores=1),
        groups=(ServiceGroup("g", 3),),
        objects=KubeObjects(services=(service,), slices=(piece,)),
        traffic=TrafficParams(20.0, 2),
        churn=ChurnParams(2.0),
        run=RunParams(6.0, 0.0, replications=1),
    )
    _, batch, reference = both(scenario, mode)
    assert not differences(batch, reference)


@pytest.mark.parametrize(("version", "partial"), [((1, 26), False), ((1, 27), True)])
def test_iptables_writes_everything_in_every_sync_before_1_27(version: tuple[int, int], partial: bool) -> None:
    scenario = Scenario(
        name="old",
        kubernetes_version=version,
        cluster=ClusterParams(nodes=2, cores=1),
        groups=(ServiceGroup("g", 5),),
        traffic=TrafficParams(5.0, 2),
        churn=ChurnParams(2.0),
        run=RunParams(10.0, 0.0, replications=1),
    )
    _, batch, reference = both(scenario, "iptables")
    assert not differences(batch, reference)
    assert batch.proxiers[0].syncs.full[batch.proxiers[0].syncs.ran].all() != partial
