"""HNS load balancers of a Windows node, by hand: which there are, who is behind them, and what a sync asks of HNS."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kpsim.kube.objects import Endpoint, EndpointSlice, KubeObjects, Service, ServicePort
from kpsim.modes.kernelspace.mode import Kernelspace, ProgrammedKernelspace
from kpsim.modes.kernelspace.policies import WindowsRules
from kpsim.profiles.costs import load_profile
from kpsim.profiles.defaults import load_defaults
from kpsim.proxy.contract import SyncCounts, SyncKind
from kpsim.proxy.counts import EndpointCounts
from kpsim.proxy.node import EndpointInfo, NodeConfig, PortInfo, PortState, port_states
from kpsim.proxy.params import ModePeriods, NodeSettings, ProxyParams, WinkernelSettings
from kpsim.proxy.rules import Packet, Trace
from kpsim.scenario.reader import read

CONFIG = NodeConfig(name="win", node_ips=("192.0.2.1",))
POD, NODE, OUTSIDE = "10.128.0.77", "192.0.2.1", "203.0.113.9"
HERE, THERE = EndpointInfo("10.128.0.1", 8080, local=True), EndpointInfo("10.128.0.2", 8080)
UNREADY = EndpointInfo("10.128.0.3", 8080, ready=False, serving=False)
LEAVING = EndpointInfo("10.128.0.4", 8080, ready=False, terminating=True)
LEAVING_HERE = replace(LEAVING, ip="10.128.0.5", local=True)
DEAF = EndpointInfo("10.128.0.6", 8080, ready=False, serving=False, terminating=True)

INSIDE = PortInfo("ns", "svc", "p", "TCP", "10.96.0.1", 80)
NODE_PORT = replace(INSIDE, type="NodePort", node_port=30001)
OPEN = replace(NODE_PORT, type="LoadBalancer", external_ips=("192.0.2.100",), load_balancer_vips=("203.0.113.100",))
EVERY_FRONT = {("10.96.0.1", 80), ("", 30001), ("192.0.2.100", 80), ("203.0.113.100", 80)}


def mode(**settings: object) -> Kernelspace:
    winkernel = WinkernelSettings(**settings)  # type: ignore[arg-type]  # fields by name
    return Kernelspace(ProxyParams(mode="kernelspace", settings=NodeSettings(winkernel=winkernel)))


def rules(info: PortInfo, *endpoints: EndpointInfo, **settings: object) -> WindowsRules:
    return mode(**settings).program([PortState(info, endpoints, 0)], CONFIG).rules


def behind(found: WindowsRules) -> dict[tuple[str, int], set[str]]:
    return {(at.vip, at.external_port): {e.ip for e in at.endpoints} for at in found.policies}


def ips(*endpoints: EndpointInfo) -> set[str]:
    return {e.ip for e in endpoints}


# ── Which load balancers there are ───────────────────────────────────────────────────────────────────────────────────


def test_a_cluster_ip_is_one_load_balancer_over_all_ready_endpoints() -> None:
    found = rules(INSIDE, HERE, THERE, UNREADY)
    (policy,) = found.policies
    assert (policy.kind, policy.front, policy.internal_port) == ("ClusterIP", "10.96.0.1:80/TCP", 8080)
    assert policy.addresses == ("10.128.0.1:8080", "10.128.0.2:8080")
    assert (policy.dsr, policy.affinity, policy.source_vip) == (False, False, NODE)
    assert (found.dispatch, found.own, found.present) == (1, {0: 2}, 3)


def test_every_address_has_a_load_balancer_of_its_own_and_source_ranges_are_ignored() -> None:
    found = rules(replace(OPEN, source_ranges=("198.51.100.0/24",)), HERE, THERE)
    assert behind(found) == dict.fromkeys(EVERY_FRONT, ips(HERE, THERE))
    assert [str(at.kind) for at in found.policies] == ["ClusterIP", "NodePort", "ExternalIP", "IngressIP"]
    assert [at.document()["PortMappings"][0]["Flags"] for at in found.policies] == [0, 18, 16, 16]


def test_nothing_stands_for_a_port_without_endpoints() -> None:
    found = rules(OPEN)
    assert (found.policies, found.dispatch, found.own, found.endpoints) == ((), 0, {}, {})
    assert not rules(NODE_PORT, UNREADY).policies


@pytest.mark.parametrize(
    ("policy", "inside", "outside"),
    [
        ("external_policy_local", {HERE.ip, THERE.ip}, {HERE.ip}),
        ("internal_local", {HERE.ip}, {HERE.ip, THERE.ip}),
    ],
)
def test_a_local_policy_takes_endpoints_of_this_node(policy: str, inside: set[str], outside: set[str]) -> None:
    found = rules(replace(OPEN, **{policy: True}), HERE, THERE)  # type: ignore[arg-type]  # a flag by name
    expected = dict.fromkeys(EVERY_FRONT, outside) | {("10.96.0.1", 80): inside}
    assert behind(found) == expected
    assert {at.dsr for at in found.policies if at.kind != "ClusterIP"} == {policy == "external_policy_local"}
    away = rules(replace(NODE_PORT, **{policy: True}), THERE)  # type: ignore[arg-type]  # a flag by name
    kept = ("10.96.0.1", 80) if policy == "external_policy_local" else ("", 30001)
    assert behind(away) == {kept: {THERE.ip}}


def test_both_local_policies_leave_remote_endpoints_alone() -> None:
    found = rules(replace(OPEN, internal_local=True, external_policy_local=True), HERE, THERE)
    assert behind(found) == dict.fromkeys(EVERY_FRONT, ips(HERE))
    assert [*found.endpoints] == [HERE.ip]


def test_terminating_endpoints_serve_only_where_there_is_a_load_balancer_address_and_all_terminate() -> None:
    assert behind(rules(OPEN, THERE, LEAVING)) == dict.fromkeys(EVERY_FRONT, ips(THERE))
    assert behind(rules(OPEN, LEAVING, DEAF, UNREADY)) == {("10.96.0.1", 80): ips(LEAVING)}
    assert not rules(NODE_PORT, LEAVING).policies  # without such an address nobody is asked


def test_where_nobody_serves_a_load_balancer_service_keeps_its_cluster_ip() -> None:
    assert behind(rules(OPEN, UNREADY, DEAF)) == {("10.96.0.1", 80): ips(UNREADY, DEAF)}


def test_under_external_local_only_this_nodes_endpoints_count_as_terminating() -> None:
    local = replace(OPEN, external_policy_local=True)
    assert behind(rules(local, LEAVING_HERE, THERE)) == {("10.96.0.1", 80): ips(LEAVING_HERE, THERE)}
    assert behind(rules(local, HERE, LEAVING)) == dict.fromkeys(EVERY_FRONT, ips(HERE))
    assert behind(rules(local, THERE, UNREADY)) == {("10.96.0.1", 80): ips(THERE, UNREADY)}  # none here: unready too


def test_all_endpoints_get_the_first_ones_port() -> None:
    (policy,) = rules(INSIDE, HERE, replace(THERE, port=9090)).policies
    assert policy.addresses == ("10.128.0.1:8080", "10.128.0.2:8080")


def test_session_affinity_hashes_the_clients_address() -> None:
    (policy,) = rules(replace(INSIDE, affinity_s=10800), HERE).policies
    assert policy.affinity
    assert policy.document()["PortMappings"][0]["DistributionType"] == 2


def test_direct_server_return_is_for_cluster_ips_and_local_policies() -> None:
    flags = {str(at.kind): at.document()["Flags"] for at in rules(OPEN, HERE, enable_dsr=True).policies}
    assert flags == {"ClusterIP": 1, "NodePort": 0, "ExternalIP": 0, "IngressIP": 0}


def test_health_checks_of_a_load_balancer_go_to_the_node_once_for_all_ports() -> None:
    ports = [PortState(replace(OPEN, port_name=n, port=q, node_port=0), (HERE,), 0) for n, q in (("a", 80), ("b", 81))]
    found = mode(forward_health_check_vip=True).program(ports, CONFIG).rules
    checks = [(at.vip, at.external_port, at.addresses) for at in found.policies if at.kind == "HealthCheck"]
    assert checks == [("203.0.113.100", 10256, ("192.0.2.1:10256",))]
    assert (found.dispatch, found.own) == (7, {0: 7})


def test_headless_and_external_name_services_are_absent() -> None:
    objects = KubeObjects(
        services=(
            Service("ns", "headless", cluster_ip="None", ports=(ServicePort(80),)),
            Service("ns", "alias", type="ExternalName", ports=(ServicePort(80),), external_name="a.example"),
            Service("ns", "web", cluster_ip="10.96.0.7", ports=(ServicePort(80),)),
        ),
        slices=tuple(
            EndpointSlice("ns", f"{name}-x", name, "IPv4", (("", 8080, "TCP"),), (Endpoint("10.128.0.9", node="win"),))
            for name in ("headless", "alias", "web")
        ),
    )
    found = mode().program(port_states(objects, CONFIG), CONFIG).rules
    assert [at.service for at in found.policies] == ["ns/web"]


# ── HNS endpoints ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_remote_endpoints_are_made_once_and_counted_and_local_ones_are_somebody_elses() -> None:
    ports = [PortState(replace(INSIDE, port_name=n, port=q), (HERE, THERE), 0) for n, q in (("a", 80), ("b", 81))]
    found = mode().program(ports, CONFIG).rules
    assert {at.ip: (at.remote, at.references) for at in found.endpoints.values()} == {
        HERE.ip: (False, 0),
        THERE.ip: (True, 2),
    }
    assert found.endpoints[THERE.ip].mac == "02-11-0a-80-00-02"


def test_an_overlay_network_has_an_endpoint_for_each_cluster_ip_served_or_not() -> None:
    found = rules(INSIDE, source_vip="10.128.0.200")
    assert [*found.endpoints] == ["10.96.0.1"]
    assert rules(INSIDE, HERE, source_vip="10.128.0.200").policies[0].source_vip == "10.128.0.200"


def test_the_second_of_two_for_one_address_and_port_does_not_come_to_be() -> None:
    one, two = replace(OPEN, name="one"), replace(OPEN, name="two", cluster_ip="10.96.0.2")
    states = [PortState(one, (HERE,), 0), PortState(two, (THERE,), 1)]
    found = mode().program(states, CONFIG).rules
    assert (len(found.policies), len(found.granted)) == (8, 5)
    assert found.granted[Packet("", "192.0.2.100", 80).key].service == "ns/one"


# ── A packet's way ───────────────────────────────────────────────────────────────────────────────────────────────────


def sent(info: PortInfo, source: str, destination: str, port: int, **settings: object) -> Trace:
    made = mode(**settings)
    states = [PortState(info, (HERE, THERE), 0)]
    return made.program(states, CONFIG).trace(Packet(source, destination, port))


@pytest.mark.parametrize("destination", [("10.96.0.1", 80), (NODE, 30001), ("192.0.2.100", 80), ("203.0.113.100", 80)])
@pytest.mark.parametrize("source", [POD, OUTSIDE])
def test_pods_and_clients_outside_are_sent_to_all_and_lose_their_address(
    source: str, destination: tuple[str, int]
) -> None:
    found = sent(OPEN, source, *destination)
    assert (found.verdict, found.endpoints) == ("DNAT", ("10.128.0.1:8080", "10.128.0.2:8080"))
    assert (found.masqueraded, len(found.met)) == (True, 1)


def test_direct_server_return_keeps_the_clients_address() -> None:
    assert not sent(OPEN, POD, "10.96.0.1", 80, enable_dsr=True).masqueraded
    found = sent(replace(OPEN, external_policy_local=True), OUTSIDE, NODE, 30001)
    assert (found.endpoints, found.masqueraded) == (("10.128.0.1:8080",), False)


@pytest.mark.parametrize(
    ("source", "destination", "port"),
    [
        (NODE, NODE, 30001),
        (NODE, "10.96.0.1", 80),
        (POD, "10.96.0.1", 81),
        (POD, "10.96.0.2", 80),
        (POD, OUTSIDE, 30001),
    ],
)
def test_what_no_load_balancer_is_for_is_left_alone(source: str, destination: str, port: int) -> None:
    assert sent(OPEN, source, destination, port).verdict == "none"


def test_a_packet_to_a_cluster_ip_that_nobody_is_behind_is_lost() -> None:
    found = rules(replace(INSIDE, internal_local=True), THERE)
    ways = [ProgrammedKernelspace(found, mode()).trace(Packet(source, "10.96.0.1", 80)) for source in (POD, NODE)]
    assert [way.verdict for way in ways] == ["DROP", "none"]
    assert "nobody is behind ns/svc:p" in ways[0].met[0]
    assert sent(INSIDE, POD, "10.96.0.1", 80).verdict == "DNAT"


def test_what_the_configuration_says_of_windows(tmp_path: Path) -> None:
    winkernel = {"enableDSR": True, "sourceVip": "10.0.0.9", "forwardHealthCheckVip": True}
    spec = {"kubeProxy": {"mode": "kernelspace", "winkernel": winkernel}}
    path = tmp_path / "scenario.yaml"
    path.write_text(json.dumps({"apiVersion": "kpsim/v1alpha1", "kind": "Scenario", "spec": spec}))
    settings = read(path).kube_proxy.settings.winkernel
    assert settings == WinkernelSettings(enable_dsr=True, source_vip="10.0.0.9")  # no endpoint to forward to is named
    assert settings.overlay


# ── What a sync does ─────────────────────────────────────────────────────────────────────────────────────────────────

COUNTS = SyncCounts(
    service_ports=100, endpoints=300, dispatch=150, own=450, changed_services=2, changed_own=12, endpoint_changes=3,
    cleanup=0, changed_dispatch=4,
)  # fmt: skip


def test_a_sync_lists_everything_and_replaces_load_balancers_of_changed_services() -> None:
    work = mode().sync_work(SyncKind.PARTIAL, COUNTS)
    assert work == {
        "service_port_visited": 100, "hns_query": 4, "object_listed": 450, "endpoint_changed": 3, "endpoint_named": 12,
        "load_balancer_deleted": 4, "load_balancer_created": 4,
    }  # fmt: skip


def test_windows_server_2025_changes_load_balancers_in_place() -> None:
    work = mode(modifies=True).sync_work(SyncKind.PARTIAL, COUNTS)
    assert work["load_balancer_modified"] == 4
    assert not {"load_balancer_deleted", "load_balancer_created"} & {*work}


def test_a_start_makes_every_endpoint_and_load_balancer() -> None:
    work = mode().sync_work(SyncKind.FULL, COUNTS)
    assert (work["endpoint_changed"], work["load_balancer_created"], work["endpoint_named"]) == (300, 150, 450)
    overlay = mode(source_vip="10.128.0.200").sync_work(SyncKind.FULL, COUNTS)
    assert (overlay["endpoint_changed"], overlay["hns_query"], overlay["object_listed"]) == (400, 404, 550)


def test_two_thousand_services_take_the_minute_that_was_measured() -> None:
    """Kubernetes pull request 109124: 1 minute on Windows Server 2022 with updates, 22 on 2019; the fit comes back."""
    counts = replace(COUNTS, service_ports=2000, endpoints=5000, dispatch=2000, own=5000)
    costs = load_profile("measured-linux-6.18").costs("kernelspace", "typical", 1.0)
    work = mode().sync_work(SyncKind.FULL, counts)
    assert 55 < float(costs.seconds(work)) < 65
    assert float(costs.seconds(work, "low")) < 60 < 22 * 60 < float(costs.seconds(work, "high"))


def test_an_idle_sync_costs_its_lists() -> None:
    idle = replace(COUNTS, changed_services=0, changed_own=0, endpoint_changes=0, changed_dispatch=0)
    work = mode().sync_work(SyncKind.PARTIAL, idle)
    assert {name for name, count in work.items() if count} == {"service_port_visited", "hns_query", "object_listed"}


def test_syncs_come_at_least_every_half_minute_and_are_never_full() -> None:
    old, new = (mode().runner(version) for version in ((1, 33), (1, 34)))
    assert (old.min_sync_s, old.idle_s, new.idle_s) == (1.0, 30.0, 30.0)
    assert (old.full_s or 0) > 10 * 365 * 86400
    lent = ProxyParams(mode="kernelspace", periods=(ModePeriods("iptables", 5.0, 60.0),))
    assert (Kernelspace(lent).runner((1, 33)).min_sync_s, Kernelspace(lent).runner((1, 33)).idle_s) == (5.0, 60.0)


def test_it_has_no_resource_that_adds_up_and_says_where_a_load_balancer_ends() -> None:
    assert not mode().resources()
    most = int(load_defaults().value("limits.hns_load_balancer_endpoints"))
    for n, refused in ((most, False), (most + 1, True)):
        many = [EndpointInfo(f"10.129.{i // 256}.{i % 256}", 8080) for i in range(n)]
        lines = [*ProgrammedKernelspace(rules(INSIDE, *many), mode()).listing("ns/svc")]
        assert any("refused" in line for line in lines) == refused
        assert len(lines) < 15


# ── Counting and text ────────────────────────────────────────────────────────────────────────────────────────────────


def test_health_checks_are_in_the_closed_form_too() -> None:
    from kpsim.cluster.columns import ServiceColumns

    fields = ServiceColumns.__dataclass_fields__
    zeros = {name: np.zeros(1, bool if name not in NUMBERS else np.int64) for name in fields}
    columns = ServiceColumns(**zeros | {
        "proxied": np.array([True]), "ports": np.array([2]), "external_ips": np.array([1]),
        "load_balancer_ips": np.array([1]), "cluster_ip": np.array([1], np.uint32),
    })  # fmt: skip
    counts = mode(forward_health_check_vip=True).rule_counts(columns, EndpointCounts.elsewhere(np.array([3])))
    assert (counts.dispatch[0], counts.own[0]) == (7, 19)  # three fronts of two ports, and one check


NUMBERS = ("ports", "external_ips", "load_balancer_ips", "source_ranges", "node_ports")


def documents(lines: Iterable[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in lines if not line.startswith("#")]


def test_text_is_one_document_a_line_and_only_what_changed_where_asked() -> None:
    one, two = replace(INSIDE, name="one"), replace(INSIDE, name="two", cluster_ip="10.96.0.2")
    states = [PortState(one, (HERE,), 0), PortState(two, (THERE,), 1)]
    found = mode().program(states, CONFIG).rules
    whole = documents(ProgrammedKernelspace(found, mode()).text())
    assert next(ProgrammedKernelspace(found, mode()).text()).startswith("# a listing")
    assert [at["ID"] for at in whole if "FrontendVIPs" not in at] == [at.id for at in found.endpoints.values()]
    assert [at["FrontendVIPs"] for at in whole if "FrontendVIPs" in at] == [["10.96.0.1"], ["10.96.0.2"]]
    part = documents(ProgrammedKernelspace(found, mode()).text({"ns/two"}))
    assert [at.get("FrontendVIPs") for at in part] == [None, ["10.96.0.2"]]
    assert part[1]["HostComputeEndpoints"] == [part[0]["ID"]]
