from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kpsim.errors import InputError
from kpsim.explain.service import explain_service
from kpsim.kube.objects import (
    Endpoint,
    EndpointSlice,
    KubeObjects,
    Pod,
    ResolvedService,
    Service,
    ServicePort,
    Workload,
)
from kpsim.kube.resolve import resolve
from kpsim.scenario.reader import read
from kpsim.simulation import build_cluster

APP = (("app", "web"),)
WEB = Service("default", "web", ports=(ServicePort(80, target_port=8080),), selector=APP)


def resolved(objects: KubeObjects, cidr: str = "10.96.0.0/12") -> tuple[ResolvedService, ...]:
    return resolve(objects, cidr, (30000, 32767), nodes=4)[0]


def warnings(objects: KubeObjects) -> str:
    return "\n".join(resolve(objects, "10.96.0.0/12", (30000, 32767), nodes=4)[1])


def test_slices_are_the_best_witness() -> None:
    ends = tuple(Endpoint(f"10.1.0.{i}", pod=f"default/web-{i}") for i in range(3))
    slices = (EndpointSlice("default", "a", "web", "IPv4", (("", 8081, "TCP"),), ends[:2]),
              EndpointSlice("default", "b", "web", "IPv4", (("", 8081, "TCP"),), ends[1:]),
              EndpointSlice("default", "c", "web", "IPv6", (("", 8081, "TCP"),), (Endpoint("fd00::1"),)),
              EndpointSlice("other", "d", "web", "IPv4", (), (Endpoint("10.9.9.9"),)))  # fmt: skip
    (made,) = resolved(KubeObjects((WEB,), pods=(Pod("default", "x", APP),), slices=slices))
    assert made.endpoints == ends
    assert made.target_ports == (8081,)


def test_pods_that_the_selector_matches() -> None:
    pods = (
        Pod("default", "a", (*APP, ("v", "1")), ip="10.1.0.1", node="n1"),
        Pod("default", "b", APP, ready=False),
        Pod("default", "leaving", APP, ip="10.1.0.3", terminating=True),
        Pod("default", "done", APP, phase="Succeeded"),
        Pod("default", "waiting", APP, phase="Pending"),
        Pod("other", "c", APP),
        Pod("default", "d", (("app", "db"),)),
    )
    (made,) = resolved(KubeObjects((WEB,), pods=pods))
    assert [(at.pod, at.ip, at.ready, at.serving, at.terminating) for at in made.endpoints] == [
        ("default/a", "10.1.0.1", True, True, False),
        ("default/b", "", False, False, False),
        ("default/leaving", "10.1.0.3", False, True, True),
    ]
    early = replace(WEB, publish_not_ready_addresses=True)
    assert all(at.ready for at in resolved(KubeObjects((early,), pods=pods))[0].endpoints)


def test_replicas_of_workloads_where_there_are_no_pods() -> None:
    workloads = (Workload("Deployment", "default", "web", 2, APP, (("http", 8080, "TCP"),)),
                 Workload("DaemonSet", "default", "agent", None, APP),
                 Workload("StatefulSet", "default", "web", 1, APP))  # fmt: skip
    (made,) = resolved(KubeObjects((WEB,), workloads=workloads))
    assert [at.pod for at in made.endpoints] == [
        "default/web-deployment-0", "default/web-deployment-1",
        *(f"default/agent-{i}" for i in range(4)), "default/web-statefulset-0",
    ]  # fmt: skip
    assert {at.ip for at in made.endpoints} == {""}


def test_a_pod_of_several_services_is_one_pod() -> None:
    objects = KubeObjects(
        (WEB, replace(WEB, name="web-2")), workloads=(Workload("Deployment", "default", "web", 3, APP),)
    )
    first, second = resolved(objects)
    assert first.endpoints == second.endpoints


def test_named_target_ports() -> None:
    ports = (
        ServicePort(80, "a", target_port="http"),
        ServicePort(81, "b", "UDP", "dns"),
        ServicePort(82, "c", target_port="x"),
    )
    pods = (
        Pod("default", "p", APP, container_ports=(("http", 8080, "TCP"), ("dns", 53, "TCP"), ("dns", 5353, "UDP"))),
    )
    objects = KubeObjects((replace(WEB, ports=ports),), pods=pods)
    assert resolved(objects)[0].target_ports == (8080, 5353, 0)
    assert "a named target port that no container of its Pods has" in warnings(objects)


def test_nobody_there_is_worth_a_warning() -> None:
    assert "Service default/web: the selector matches no Pod" in warnings(KubeObjects((WEB,)))
    assert "connections to it are refused" in warnings(KubeObjects((replace(WEB, selector=()),)))
    many = tuple(replace(WEB, name=f"web-{i}") for i in range(5000))
    assert "5,000 Services (default/web-0, default/web-1, default/web-2, …)" in warnings(KubeObjects(many))
    outside = Service("default", "out", "ExternalName", external_name="x.example")
    assert warnings(KubeObjects((outside,))) == ""


def test_addresses_asked_for_come_first_and_the_others_avoid_them() -> None:
    services = (WEB, replace(WEB, name="b", cluster_ip="10.96.1.1"), replace(WEB, name="c", cluster_ip="None"),
                replace(WEB, name="d", cluster_ip="fd00::1"))  # fmt: skip
    made = resolved(KubeObjects(services))
    assert [item.service.cluster_ip for item in made] == ["10.96.1.2", "10.96.1.1", "None", "fd00::1"]


def test_load_balancers_take_node_ports_too() -> None:
    asked = replace(WEB, name="a", type="NodePort", ports=(ServicePort(80, target_port=80, node_port=30086),))
    services = (
        replace(WEB, type="LoadBalancer"),
        asked,
        replace(WEB, name="c", type="LoadBalancer", allocate_load_balancer_node_ports=False),
    )
    made = resolved(KubeObjects(services))
    assert [item.service.ports[0].node_port for item in made] == [30087, 30086, 0]


def test_a_range_that_is_too_small_says_by_how_much() -> None:
    services = tuple(replace(WEB, name=f"web-{i}") for i in range(31))
    with pytest.raises(InputError, match=r"10\.0\.0\.0/27 is too small: it has 30 and 31 are asked for"):
        resolved(KubeObjects(services), "10.0.0.0/27")


def sliced(*slices: EndpointSlice, version: tuple[int, int] = (1, 34), ports: tuple[ServicePort, ...] = ()) -> Any:
    ports = ports or (ServicePort(80, "a"), ServicePort(81, "b"))
    objects = KubeObjects((Service("shop", "web", ports=ports),), slices=slices)
    return resolve(objects, "10.96.0.0/12", (30000, 32767), 3, version=version)


def piece(name: str, ports: Any, *endpoints: Endpoint, kind: str = "IPv4") -> EndpointSlice:
    return EndpointSlice("shop", name, "web", kind, ports, endpoints)


def test_ports_have_the_endpoints_of_the_slices_that_have_them() -> None:
    both, one = (("a", 8080, "TCP"), ("b", 9090, "TCP")), (("a", 8080, "TCP"),)
    (found,), warnings = sliced(piece("1", both, Endpoint("10.0.0.1")), piece("2", one, Endpoint("10.0.0.2")))
    assert (found.target_ports, found.of_ports, warnings) == ((8080, 9090), ((0, 1), (0,)), ())
    (found,), _ = sliced(piece("1", both, Endpoint("10.0.0.1")), piece("2", both, Endpoint("10.0.0.2")))
    assert found.of_ports == ()


@pytest.mark.parametrize("other", [("c", 9090, "TCP"), ("b", 9090, "UDP"), ("b", 0, "TCP")])
def test_a_port_that_no_slice_has_by_name_and_protocol_has_no_endpoints(other: tuple[str, int, str]) -> None:
    (found,), warnings = sliced(piece("1", (("a", 8080, "TCP"), other), Endpoint("10.0.0.1")))
    assert (found.target_ports, found.of_ports) == ((8080, 0), ((0,), ()))
    assert "none of its EndpointSlices has" in warnings[0]


def test_slices_of_names_are_skipped() -> None:
    names = piece("1", (("a", 80, "TCP"), ("b", 81, "TCP")), Endpoint("db.example.com"), kind="FQDN")
    (found,), _ = sliced(names)
    assert (found.endpoints, found.target_ports) == ((), (0, 0))
    (found,), _ = sliced(names, piece("2", (("a", 80, "TCP"), ("b", 81, "TCP")), Endpoint("10.0.0.1")))
    assert [endpoint.ip for endpoint in found.endpoints] == ["10.0.0.1"]


def test_of_an_address_in_two_slices_the_first_counts_and_since_1_36_the_last_that_stays() -> None:
    ports = (("a", 80, "TCP"), ("b", 81, "TCP"))
    old, new, going = (piece(str(i), ports, Endpoint("10.0.0.1", ready=i == 1, terminating=i == 2)) for i in range(3))
    ready = [sliced(old, new, going, version=at)[0][0].endpoints[0].ready for at in ((1, 35), (1, 36))]
    assert ready == [False, True]
    said = ["at random" in "".join(sliced(*pieces, version=at)[1]) for at, pieces in (
        ((1, 35), (old, new)), ((1, 35), (new, new)), ((1, 36), (old, new)), ((1, 36), (going, new)))]  # fmt: skip
    assert said == [True, False, True, False]


def test_a_service_of_unlike_ports_is_laid_out_in_parts(tmp_path: Path) -> None:
    both = [{"name": "a", "port": 8080}, {"name": "b", "port": 9090}]
    slices = [
        {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "ports": both[: 2 - i],
         "metadata": {"name": f"web-{i}", "labels": {"kubernetes.io/service-name": "web"}},
         "endpoints": [{"addresses": [f"10.128.0.{i + 1}"]}]} for i in range(2)
    ]  # fmt: skip
    ports = [{"name": name, "port": 80 + i} for i, name in enumerate("abc")]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": ports}}
    path = tmp_path / "web.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [service, *slices]}))
    scenario = read(path)
    cluster, _ = build_cluster(scenario)
    assert (cluster.service_count, cluster.endpoint_count, list(cluster.rows_of("default/web"))) == (1, 2, [0, 1, 2])
    assert [len(cluster.endpoints(row)) for row in range(3)] == [2, 1, 0]
    assert len(set(cluster.services.cluster_ip.tolist())) == 1
    told = explain_service(scenario, "default/web")
    assert "endpoints: 2, all of them ready" in told.facts
    rules = ["\n".join(port.rules) for port in told.ports]
    assert "10.128.0.2:8080" in rules[0]
    assert "10.128.0.1:9090" in rules[1]
    assert "10.128.0.2" not in rules[1]
    assert "has no endpoints" in rules[2]
    assert "REJECT" in rules[2]


@pytest.mark.parametrize(
    ("kind", "selector", "pods"),
    [
        ("StatefulSet", {"app": "web", "statefulset.kubernetes.io/pod-name": "web-3"}, ["web-3"]),
        ("StatefulSet", {"apps.kubernetes.io/pod-index": "4"}, ["web-4"]),
        ("StatefulSet", {"statefulset.kubernetes.io/pod-name": "web-0"}, []),
        ("Deployment", {"app": "web", "statefulset.kubernetes.io/pod-name": "web-3"}, []),
        ("Job", {"job-name": "web"}, ["web-3", "web-4"]),
        ("Job", {"batch.kubernetes.io/job-completion-index": "3", "batch.kubernetes.io/job-name": "web"}, ["web-3"]),
    ],
)
def test_pods_of_workloads_carry_what_their_controllers_label_them_with(
    kind: str, selector: dict[str, str], pods: list[str]
) -> None:
    made = Workload(kind, "default", "web", 2, APP, first_ordinal=3, indexed=kind == "Job")
    service = replace(WEB, selector=tuple(selector.items()))
    (found,) = resolved(KubeObjects((service,), workloads=(made,)))
    assert [endpoint.pod.removeprefix("default/") for endpoint in found.endpoints] == pods
