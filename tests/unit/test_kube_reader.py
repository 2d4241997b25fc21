from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kpsim.errors import InputError
from kpsim.kube.objects import EndpointSlice, KubeObjects
from tests.objects import read_objects

SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}


def read(tmp_path: Path, *texts: object, suffix: str = "json") -> KubeObjects:
    for index, text in enumerate(texts):
        written = text if isinstance(text, str) else json.dumps(text)
        (tmp_path / f"{index}.{suffix}").write_text(written, encoding="utf-8")
    return read_objects([tmp_path])


def refused(tmp_path: Path, *texts: object, suffix: str = "json") -> str:
    with pytest.raises(InputError) as caught:
        read(tmp_path, *texts, suffix=suffix)
    return str(caught.value)


def test_defaults_of_the_api_server(tmp_path: Path) -> None:
    (service,) = read(tmp_path, SERVICE).services
    assert (service.namespace, service.type, service.cluster_ip, service.session_affinity) == (
        "default",
        "ClusterIP",
        "",
        "None",
    )
    (port,) = service.ports
    assert (port.protocol, port.target_port, port.node_port) == ("TCP", 80, 0)
    assert service.session_affinity_timeout_s == 10800
    assert service.proxied


@pytest.mark.parametrize("kind", ["List", "ServiceList"])
def test_lists_of_any_kind_and_of_one_hold_their_items(tmp_path: Path, kind: str) -> None:
    bare = {key: value for key, value in SERVICE.items() if kind == "List" or key not in ("kind", "apiVersion")}
    assert len(read(tmp_path, {"apiVersion": "v1", "kind": kind, "items": [bare]}).services) == 1


def test_empty_lists_and_nulls(tmp_path: Path) -> None:
    assert not read(tmp_path, {"apiVersion": "v1", "kind": "List", "items": None})
    made = read(tmp_path, {**SERVICE, "spec": {"ports": [{"port": 80, "name": None}], "selector": None, "type": None}})
    assert made.services[0].selector == ()


def test_documents_one_after_another(tmp_path: Path) -> None:
    other = {**SERVICE, "metadata": {"name": "db", "namespace": "shop"}}
    assert [s.name for s in read(tmp_path, json.dumps(SERVICE) + "\n" + json.dumps(other)).services] == ["web", "db"]


def test_the_same_object_in_two_files_counts_once(tmp_path: Path) -> None:
    assert len(read(tmp_path, SERVICE, {"kind": "List", "items": [SERVICE]}).services) == 1


def test_other_kinds_are_counted_and_left(tmp_path: Path) -> None:
    made = read(
        tmp_path, SERVICE, {"apiVersion": "v1", "kind": "Secret"}, {"apiVersion": "v1", "kind": "Secret", "x": []}
    )
    (warning,) = made.warnings
    assert "2 Secret" in warning


def test_a_pod_of_a_dump(tmp_path: Path) -> None:
    pod = {
        "kind": "Pod",
        "metadata": {"name": "web-1", "labels": {"app": "web"}, "deletionTimestamp": "2024-01-01T00:00:00Z"},
        "spec": {"nodeName": "n1", "containers": [{"ports": [{"containerPort": 8080, "name": "http"}]}, {}]},
        "status": {"phase": "Running", "podIP": "10.1.2.3", "conditions": [{"type": "Ready", "status": "False"}]},
    }
    (made,) = read(tmp_path, pod).pods
    assert (made.ip, made.node, made.ready, made.terminating) == ("10.1.2.3", "n1", False, True)
    assert made.container_ports == (("http", 8080, "TCP"),)


def test_a_pod_of_a_manifest_is_going_to_run(tmp_path: Path) -> None:
    (made,) = read(tmp_path, {"kind": "Pod", "metadata": {"generateName": "job-"}, "spec": {}}).pods
    assert (made.name, made.phase, made.ready, made.ip) == ("job", "Running", True, "")


@pytest.mark.parametrize(
    ("kind", "spec", "replicas"),
    [
        ("Deployment", {}, 1),
        ("StatefulSet", {"replicas": 3}, 3),
        ("DaemonSet", {"replicas": 3}, None),
        ("ReplicaSet", {"replicas": 0}, 0),
        ("ReplicationController", {}, 1),
        ("Job", {"parallelism": 4}, 4),
    ],
)
def test_replicas_of_workloads(tmp_path: Path, kind: str, spec: dict[str, object], replicas: int | None) -> None:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"ports": [{"containerPort": 1}]}]}}
    (made,) = read(
        tmp_path, {"kind": kind, "metadata": {"name": "web"}, "spec": {**spec, "template": template}}
    ).workloads
    assert (made.replicas, made.pod_labels) == (replicas, (("app", "web"),))


def test_a_replica_set_of_a_deployment_is_not_a_second_workload(tmp_path: Path) -> None:
    owners = [{"kind": "Deployment", "name": "web", "controller": True}]
    deployment = {"kind": "Deployment", "metadata": {"name": "web"}}
    owned = {"kind": "ReplicaSet", "metadata": {"name": "web-1", "ownerReferences": owners}}
    assert [made.name for made in read(tmp_path, owned, deployment).workloads] == ["web"]
    (tmp_path / "1.json").unlink()
    assert [made.name for made in read(tmp_path, owned).workloads] == ["web-1"]


def test_conditions_that_are_not_given(tmp_path: Path) -> None:
    made = read(
        tmp_path,
        {
            "kind": "EndpointSlice",
            "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv4",
            "ports": [{"port": 80, "name": ""}],
            "endpoints": [
                {"addresses": ["10.1.0.1"], "conditions": {}, "targetRef": {"kind": "Pod", "name": "web-1"}},
                {"addresses": ["10.1.0.2"], "conditions": {"ready": None, "terminating": None}, "zone": "a"},
                {"addresses": ["10.1.0.3"], "conditions": {"ready": False, "serving": True, "terminating": True}},
            ],
        },
    )
    first, second, third = made.slices[0].endpoints
    assert (first.ready, first.serving, first.terminating, first.pod) == (True, True, False, "default/web-1")
    assert (second.ready, second.zone, second.pod) == (True, "a", "")
    assert (third.ready, third.serving, third.terminating) == (False, True, True)


def test_old_endpoints_count_where_there_are_no_slices(tmp_path: Path) -> None:
    subsets = [{"addresses": [{"ip": "10.1.0.1"}], "notReadyAddresses": [{"ip": "10.1.0.2"}], "ports": [{"port": 80}]}]
    old = {"kind": "Endpoints", "metadata": {"name": "web"}, "subsets": subsets}
    made = read(tmp_path, old)
    assert [(at.ip, at.ready) for at in made.slices[0].endpoints] == [("10.1.0.1", True), ("10.1.0.2", False)]
    labels = {"kubernetes.io/service-name": "web"}
    new = {"kind": "EndpointSlice", "metadata": {"name": "web-x", "labels": labels}, "addressType": "IPv4"}
    assert [at.name for at in read(tmp_path, old, new).slices] == ["web-x"]
    assert isinstance(made.slices[0], EndpointSlice)


def test_endpoints_of_a_service_without_a_selector_are_mirrored(tmp_path: Path) -> None:
    """A thousand of a subset's addresses, the ready ones first, by family; or none, where they ask for that."""
    many = [{"ip": f"10.1.{i // 250}.{i % 250}"} for i in range(1002)]
    one = {"addresses": [*many[3:], {"ip": "fd00::7"}], "notReadyAddresses": many[:3], "ports": [{"port": 80}]}
    two = {"addresses": many[3:5], "ports": [{"port": 81}]}
    own = {"kind": "Endpoints", "metadata": {"name": "web"}, "subsets": [one, two]}
    spec: dict[str, Any] = {"ports": [{"port": 80}]}
    free = {"kind": "Service", "metadata": {"name": "web"}, "spec": spec}
    made = read(tmp_path, free, own)
    found = [(at.address_type, at.ports[0][1], len(at.endpoints)) for at in made.slices]
    assert found == [("IPv4", 80, 999), ("IPv6", 80, 1), ("IPv4", 81, 2)]
    assert all(endpoint.ready for at in made.slices for endpoint in at.endpoints)
    assert any("3 of 1,003 addresses of its Endpoints are not mirrored" in said for said in made.warnings)
    label = {"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}}
    for metadata in (label, {"annotations": {"control-plane.alpha.kubernetes.io/leader": "{}"}}):
        spared: dict[str, Any] = own | {"metadata": {"name": "web"} | metadata}
        made = read(tmp_path, free, spared)
        assert not made.slices
        assert any("ask not to be mirrored" in said for said in made.warnings)
        selecting = {**free, "spec": {**spec, "selector": {"a": "b"}}}
        assert len(read(tmp_path, selecting, spared).slices) == 2  # the Endpoints controller's, which say so themselves


def test_a_node_has_its_zone_and_whole_cores(tmp_path: Path) -> None:
    labels = {"topology.kubernetes.io/zone": "a"}
    made = read(
        tmp_path,
        {"kind": "Node", "metadata": {"name": "n", "labels": labels}, "status": {"capacity": {"cpu": "7910m"}}},
        {"kind": "Node", "metadata": {"name": "m"}, "status": {"capacity": {"cpu": 8}}},
    )
    assert [(node.name, node.zone, node.cores) for node in made.nodes] == [("n", "a", 7), ("m", "", 8)]


def test_dual_stack_takes_the_address_that_is_modelled(tmp_path: Path) -> None:
    both = {"clusterIP": "fd00::1", "clusterIPs": ["fd00::1", "10.96.0.7"], "ipFamilyPolicy": "PreferDualStack"}
    spec = {**both, "ports": [{"port": 80}]}
    assert read(tmp_path, {**SERVICE, "spec": spec}).services[0].cluster_ip == "10.96.0.7"


def test_load_balancer_addresses(tmp_path: Path) -> None:
    ingress = [{"ip": "1.2.3.4"}, {"ip": "1.2.3.5", "ipMode": "Proxy"}, {"hostname": "x"}]
    made = read(tmp_path, {**SERVICE, "status": {"loadBalancer": {"ingress": ingress}}})
    assert made.services[0].load_balancer_ips == ("1.2.3.4",)


def test_kube_proxys_configuration_and_its_config_map(tmp_path: Path) -> None:
    text = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: ipvs\n"
    assert dict(read(tmp_path, text, suffix="yaml").proxy_configuration)["mode"] == "ipvs"
    wrapped = {
        "kind": "ConfigMap",
        "metadata": {"name": "kube-proxy"},
        "data": {"config.conf": text, "kubeconfig.conf": ""},
    }
    (tmp_path / "0.yaml").unlink()
    assert dict(read(tmp_path, wrapped).proxy_configuration)["mode"] == "ipvs"


def test_problems_of_several_files_in_one_pass(tmp_path: Path) -> None:
    text = refused(tmp_path, {**SERVICE, "spec": {}}, {**SERVICE, "metadata": {"name": 5}}, "{")
    assert "0.json:1:" in text
    assert "spec.ports: Required value" in text
    assert "metadata.name: must be text, not the number 5" in text
    assert "2.json:1:2: the JSON ends too early" in text


def test_each_value_of_a_wrong_shape_is_named_by_its_place(tmp_path: Path) -> None:
    text = refused(
        tmp_path, "kind: Service\nmetadata: [1]\nspec:\n  ports: 80\n  selector: {a: 1}\n  type: 3\n", suffix="yaml"
    )
    for expected in (
        "2:11: metadata: must be a mapping",
        "4:10: spec.ports: must be a list, not the number 80",
        "5:17: spec.selector.a: must be text, not the number 1",
        "6:9: spec.type: must be text",
    ):
        assert expected in text


def test_places_that_cannot_be_read(tmp_path: Path) -> None:
    assert "is an empty directory" in refused(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    assert "holds no *.yaml, *.yml or *.json file" in refused(tmp_path)
    (tmp_path / "dump.json").write_text(json.dumps(SERVICE))
    with pytest.raises(InputError, match=r"no such file or directory\n    did you mean .*dump\.json\?"):
        read_objects([tmp_path / "dumb.json"])


def test_a_service_of_knative_is_another_kind(tmp_path: Path) -> None:
    assert not read(tmp_path, {**SERVICE, "apiVersion": "serving.knative.dev/v1"}).services
