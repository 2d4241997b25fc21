"""What the API server fills in, gives out and ignores; what it refuses stands in tests/invalid."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kpsim.explain.packet import NodeRules
from kpsim.explain.service import explain_service
from kpsim.kube.defaults import families_of, node_ports_wanted
from kpsim.kube.objects import KubeObjects, Service, ServicePort
from kpsim.kube.resolve import resolve
from kpsim.kube.service.environment import environment_bytes, variable_count, variables_of
from kpsim.kube.service.writes import (
    allocators_of,
    creation_writes,
    provisioning_s,
    shared_writes,
)
from kpsim.kube.writer import documents_of
from kpsim.scenario.reader import read
from kpsim.scenario.resolved import write_resolved
from kpsim.simulation import build_cluster
from tests.objects import read_objects

WEB = Service("default", "web", ports=(ServicePort(80, target_port=8080),), selector=(("app", "web"),))
EDGE = replace(WEB, name="edge", type="LoadBalancer")
BOTH = ("IPv4", "IPv6")


def resolved(*services: Service, families: tuple[str, ...] = ("IPv4",)) -> list[Service]:
    found, _ = resolve(KubeObjects(services), "10.96.0.0/12", (30000, 32767), nodes=3, families=families)
    return [at.service for at in found]


def notices(tmp_path: Path, spec: dict[str, object], **metadata: object) -> list[str]:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", **metadata},
        "spec": {"ports": [{"port": 80}], **spec},
    }
    path = tmp_path / "service.json"
    path.write_text(json.dumps(service, indent=1), encoding="utf-8")
    lines = path.read_text(encoding="utf-8").split("\n")
    found = []
    for warning in read_objects([path]).warnings:
        place, _, said = warning.removeprefix(f"{path}:").partition(": Service default/web: ")
        line, col = map(int, place.split(":"))
        field = said.partition(" ")[0].rpartition(".")[2].partition("[")[0]
        assert lines[line - 1][col - 1 :].startswith(f'"{field}"'), warning
        found.append(said)
    return found


# ── NodePorts ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_load_balancers_get_a_health_check_port_after_their_node_ports() -> None:
    (edge,) = resolved(replace(EDGE, external_traffic_policy="Local"))
    assert (edge.ports[0].node_port, edge.health_check_node_port) == (30086, 30087)
    (edge,) = resolved(EDGE)
    assert edge.health_check_node_port == 0


def test_a_health_check_port_that_was_asked_for_is_nobody_elses() -> None:
    asked = replace(EDGE, name="b", external_traffic_policy="Local", health_check_node_port=30086)
    first, second = resolved(EDGE, asked)
    assert first.ports[0].node_port == 30087
    assert (second.ports[0].node_port, second.health_check_node_port) == (30088, 30086)


def test_ports_that_differ_in_protocol_share_a_node_port() -> None:
    dns = replace(
        EDGE,
        ports=(
            ServicePort(53, "udp", "UDP", 53),
            ServicePort(53, "tcp", "TCP", 53, node_port=30500),
            ServicePort(9153, "metrics", "TCP", 9153),
        ),
    )
    (given,) = resolved(dns)
    assert [port.node_port for port in given.ports] == [30500, 30500, 30086]
    assert node_ports_wanted(dns) == 2


@pytest.mark.parametrize(
    ("service", "wanted"),
    [
        (WEB, 0),
        (EDGE, 1),
        (replace(EDGE, external_traffic_policy="Local"), 2),
        (replace(EDGE, allocate_load_balancer_node_ports=False), 0),
        (replace(EDGE, allocate_load_balancer_node_ports=False, external_traffic_policy="Local"), 1),
        (replace(EDGE, allocate_load_balancer_node_ports=False, ports=(ServicePort(80, node_port=30000),)), 1),
        (replace(WEB, type="NodePort", ports=(ServicePort(80, node_port=1), ServicePort(80, "", "UDP", 80, 2))), 2),
        (Service("default", "out", "ExternalName", ports=(ServicePort(80),)), 0),
    ],
)
def test_how_many_ports_of_the_range_a_service_takes(service: Service, wanted: int) -> None:
    assert node_ports_wanted(service) == wanted
    (given,) = resolved(service)
    taken = {port.node_port for port in given.ports} | {given.health_check_node_port}
    assert len(taken - {0}) == wanted


# ── IP families ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("service", "single", "dual"),
    [
        (WEB, ("IPv4",), ("IPv4",)),
        (replace(WEB, ip_family_policy="PreferDualStack"), ("IPv4",), BOTH),
        (replace(WEB, ip_family_policy="PreferDualStack", ip_families=("IPv6",)), ("IPv6", "IPv4"), ("IPv6", "IPv4")),
        (replace(WEB, cluster_ip="None"), ("IPv4",), ("IPv4",)),
        (replace(WEB, cluster_ip="None", selector=()), BOTH, BOTH),
        (replace(WEB, cluster_ip="None", selector=(), ip_family_policy="SingleStack"), ("IPv4",), ("IPv4",)),
    ],
)
def test_families_by_policy(service: Service, single: tuple[str, ...], dual: tuple[str, ...]) -> None:
    assert families_of(service, ("IPv4",)) == single
    assert families_of(service, BOTH) == dual


def test_a_service_of_the_other_family_takes_no_address_of_ours() -> None:
    six, four = resolved(replace(WEB, ip_families=("IPv6",)), replace(WEB, name="four"), families=BOTH)
    assert six.cluster_ip.startswith("fd00:")
    assert four.cluster_ip == "10.96.1.1"


def test_an_address_of_each_family_shows_that_the_cluster_has_both() -> None:
    seen = replace(WEB, name="seen", cluster_ip="10.96.0.9", ip_families=BOTH, ip_family_policy="RequireDualStack")
    _, wishing = resolved(seen, replace(WEB, ip_family_policy="PreferDualStack"))
    assert wishing.ip_families == BOTH


# ── Taken and ignored ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"type": "LoadBalancer", "loadBalancerIP": "192.0.2.1"}, "spec.loadBalancerIP is deprecated since 1.24"),
        ({"sessionAffinityConfig": {"clientIP": {}}}, "spec.sessionAffinityConfig is dropped: sessionAffinity is None"),
        ({"clusterIP": "None", "externalIPs": ["192.0.2.1"]}, "spec.externalIPs is ignored for headless services"),
        ({"clusterIP": "None", "loadBalancerIP": "192.0.2.1"}, "spec.loadBalancerIP is ignored for headless services"),
        ({"clusterIP": "None", "sessionAffinity": "ClientIP"}, "spec.sessionAffinity is ignored for headless services"),
        ({"externalName": "db.example"}, 'spec.externalName is ignored when spec.type is not "ExternalName"'),
        (
            {"type": "ExternalName", "externalName": "db.example", "selector": {"a": "b"}},
            'spec.selector is ignored when spec.type is "ExternalName"',
        ),
        (
            {"type": "ExternalName", "externalName": "db.example", "ports": [{"port": 80, "nodePort": 30000}]},
            'spec.ports[0].nodePort is ignored when spec.type is "ExternalName"',
        ),
        (
            {"trafficDistribution": "PreferSameZone", "internalTrafficPolicy": "Local"},
            "spec.trafficDistribution does nothing to internal traffic",
        ),
    ],
)
def test_what_is_taken_and_ignored_is_said_with_its_place(tmp_path: Path, spec: dict[str, object], said: str) -> None:
    (found,) = notices(tmp_path, spec)
    assert said in found


def test_the_annotation_wins_over_the_field(tmp_path: Path) -> None:
    annotations = {"service.kubernetes.io/topology-mode": "Auto"}
    (found,) = notices(tmp_path, {"trafficDistribution": "PreferClose"}, annotations=annotations)
    assert found == "spec.trafficDistribution is ignored: the annotation service.kubernetes.io/topology-mode is Auto"
    settled = {"service.kubernetes.io/topology-mode": "Disabled"}
    assert not notices(tmp_path, {"trafficDistribution": "PreferClose"}, annotations=settled)


def test_many_of_a_kind_are_said_once(tmp_path: Path) -> None:
    items = [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": f"web-{i}"},
            "spec": {"type": "LoadBalancer", "loadBalancerIP": f"192.0.2.{i}", "ports": [{"port": 80}]},
        }
        for i in range(5)
    ]
    path = tmp_path / "all.yaml"
    path.write_text(json.dumps({"kind": "List", "items": items}), encoding="utf-8")
    (found,) = read_objects([path]).warnings
    assert "Service default/web-0" in found
    assert "(so has 4 more)" in found


def test_plain_services_are_not_worth_a_word(tmp_path: Path) -> None:
    assert not notices(tmp_path, {"type": "NodePort", "externalTrafficPolicy": "Local", "sessionAffinity": "ClientIP"})


def test_source_ranges_of_the_old_annotation(tmp_path: Path) -> None:
    annotations = {"service.beta.kubernetes.io/load-balancer-source-ranges": "10.0.0.0/8, 192.0.2.0/24"}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "annotations": annotations},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
    }
    path = tmp_path / "service.json"
    path.write_text(json.dumps(service), encoding="utf-8")
    (made,) = read_objects([path]).services
    assert made.load_balancer_source_ranges == ("10.0.0.0/8", "192.0.2.0/24")


def test_everything_of_the_api_is_written_back_as_it_was_read(tmp_path: Path) -> None:
    services = (
        replace(WEB, ip_families=BOTH, ip_family_policy="RequireDualStack", cluster_ip="10.96.0.9"),
        replace(WEB, name="near", traffic_distribution="PreferSameNode"),
        replace(WEB, name="auto", topology_mode="Auto"),
        replace(EDGE, external_traffic_policy="Local", health_check_node_port=30000),
    )
    path = tmp_path / "all.json"
    path.write_text(json.dumps({"kind": "List", "items": list(documents_of(KubeObjects(services)))}), encoding="utf-8")
    assert read_objects([path]).services == services


# ── API writes ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("version", "allocators"),
    [((1, 32), ("bitmap",)), ((1, 33), ("IPAddress", "bitmap")), ((1, 34), ("IPAddress",))],
)
def test_who_gives_out_cluster_ips(version: tuple[int, int], allocators: tuple[str, ...]) -> None:
    assert allocators_of(version) == allocators


def test_writes_that_create_a_service() -> None:
    # the Service; a dual-stack pair of addresses; two NodePorts and a health check port
    assert [creation_writes(2, 3, (1, minor)) for minor in (32, 33, 34)] == [6, 8, 6]
    assert [shared_writes(2, 3, (1, minor)) for minor in (32, 33, 34)] == [5, 5, 3]
    assert creation_writes(np.array([1, 0]), np.array([0, 0]), (1, 34)).tolist() == [2, 1]


def test_load_balancers_one_after_another() -> None:
    assert provisioning_s(500, 60) == 30_000
    assert provisioning_s(500, 60, workers=10) == 3_000
    assert provisioning_s(501, 60, workers=10) == 3_060
    assert provisioning_s(0, 60) == 0


# ── Environment ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_variables_of_a_service() -> None:
    ports = (("http", 6379, "TCP"),)
    assert list(variables_of("redis-primary", "10.0.0.11", ports)) == [
        "REDIS_PRIMARY_SERVICE_HOST=10.0.0.11",
        "REDIS_PRIMARY_SERVICE_PORT=6379",
        "REDIS_PRIMARY_SERVICE_PORT_HTTP=6379",
        "REDIS_PRIMARY_PORT=tcp://10.0.0.11:6379",
        "REDIS_PRIMARY_PORT_6379_TCP=tcp://10.0.0.11:6379",
        "REDIS_PRIMARY_PORT_6379_TCP_PROTO=tcp",
        "REDIS_PRIMARY_PORT_6379_TCP_PORT=6379",
        "REDIS_PRIMARY_PORT_6379_TCP_ADDR=10.0.0.11",
    ]


@pytest.mark.parametrize(
    "ports",
    [(("", 80, "TCP"),), (("dns", 53, "UDP"), ("metrics", 9153, "TCP")), (("a-b", 1, "SCTP"), ("", 65535, "TCP"))],
)
def test_counting_variables_and_bytes_is_writing_them_out(ports: tuple[tuple[str, int, str], ...]) -> None:
    for name, ip in (("a", "10.0.0.1"), ("a-rather-long-name-of-a-service", "10.196.217.204")):
        written = list(variables_of(name, ip, ports))
        assert len(written) == variable_count(len(ports), sum(bool(port) for port, _, _ in ports))
        assert environment_bytes(len(name), len(ip), ports) == sum(len(text) + 1 + 8 for text in written)


def test_one_unnamed_port_makes_seven_variables() -> None:
    assert variable_count(1, 0) == 7


def test_a_service_of_another_proxy_has_an_address_and_no_rules(tmp_path: Path) -> None:
    """Label service.kubernetes.io/service-proxy-name: kube-proxy does not watch it; DNS and the allocator do."""
    label = "{service.kubernetes.io/service-proxy-name: fancy}"
    path = tmp_path / "other.yaml"
    path.write_text(
        "apiVersion: v1\nkind: List\nitems:\n"
        f"- {{apiVersion: v1, kind: Service, metadata: {{name: theirs, labels: {label}}}, spec: {{selector: {{a: b}},"
        " ports: [{port: 80}]}}\n"
        "- {apiVersion: v1, kind: Service, metadata: {name: ours}, spec: {selector: {a: b}, ports: [{port: 80}]}}\n"
        "- {apiVersion: v1, kind: Pod, metadata: {name: p, labels: {a: b}},"
        " status: {podIP: 10.128.0.9, phase: Running}}\n"
    )
    scenario = read(path)
    (tmp_path / "again.yaml").write_text(write_resolved(scenario))
    for found in (scenario, read(tmp_path / "again.yaml")):
        cluster, _ = build_cluster(found)
        rows = {name: cluster.names.index(f"default/{name}") for name in ("ours", "theirs")}
        assert [bool(cluster.services.proxied[row]) for row in rows.values()] == [True, False]
        assert all(cluster.services.cluster_ip[row] for row in rows.values())
    rules = "\n".join(NodeRules.of(scenario, "node-0").text())
    assert "default/ours" in rules
    assert "default/theirs" not in rules
    told = explain_service(scenario, "default/theirs")
    assert "leaves it to fancy" in " ".join(told.facts)
    assert not told.ports
