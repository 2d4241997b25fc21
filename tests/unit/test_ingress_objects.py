"""Ingress objects are read with their faults, and written back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kpsim.errors import InputError
from kpsim.kube.objects import IngressBackend, IngressPath, KubeObjects
from kpsim.kube.writer import documents_of
from tests.objects import read_objects

BACKEND = {"service": {"name": "web", "port": {"number": 80}}}


def written(spec: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    names = {"name": "shop", **metadata}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": names, "spec": spec}


def rule(path: dict[str, Any], host: str = "x.io") -> dict[str, Any]:
    return {"rules": [{"host": host, "http": {"paths": [{"pathType": "Prefix", "backend": BACKEND, **path}]}}]}


def read(tmp_path: Path, *objects: dict[str, Any]) -> KubeObjects:
    for index, each in enumerate(objects):
        (tmp_path / f"{index}.json").write_text(json.dumps(each), encoding="utf-8")
    return read_objects([tmp_path])


SPEC = {
    "ingressClassName": "nginx",
    "defaultBackend": {"service": {"name": "other", "port": {"name": "http"}}},
    "rules": [
        {"host": "*.x.io", "http": {"paths": [{"path": "/a", "pathType": "Exact", "backend": BACKEND}]}},
        {"http": {"paths": [{"pathType": "ImplementationSpecific", "backend": BACKEND}]}},
        {"host": "*.x.io", "http": {"paths": [{"path": "/b", "pathType": "Prefix", "backend": BACKEND}]}},
    ],
}


def test_every_part_is_read_and_written_back(tmp_path: Path) -> None:
    found = read(tmp_path, written(SPEC, namespace="ns"))
    (made,) = found.ingresses
    web = IngressBackend("web", 80)
    assert (made.namespace, made.name, made.class_name) == ("ns", "shop", "nginx")
    assert made.default == IngressBackend("other", 0, "http")
    assert made.paths == (
        IngressPath(web, "/a", "Exact", "*.x.io"),
        IngressPath(web, "/", "ImplementationSpecific", ""),
        IngressPath(web, "/b", "Prefix", "*.x.io"),
    )
    assert not found.warnings
    again = tmp_path / "again"
    again.mkdir()
    assert read(again, *documents_of(found)).ingresses == found.ingresses


def test_the_old_annotation_gives_the_class(tmp_path: Path) -> None:
    old = written({"defaultBackend": BACKEND}, annotations={"kubernetes.io/ingress.class": "haproxy"})
    assert read(tmp_path, old).ingresses[0].class_name == "haproxy"


def test_a_resource_is_no_service(tmp_path: Path) -> None:
    found = read(tmp_path, written({"defaultBackend": {"resource": {"kind": "Bucket", "name": "b"}}}))
    assert found.ingresses[0].default == IngressBackend("")


def test_ingresses_of_old_versions_are_no_longer_looked_at(tmp_path: Path) -> None:
    found = read(tmp_path, {**written({"backend": {}}), "apiVersion": "extensions/v1beta1"})
    assert not found.ingresses
    assert "1 Ingress" in found.warnings[0]


@pytest.mark.parametrize(
    ("spec", "field", "says"),
    [
        ({}, "spec", "either `defaultBackend` or `rules` must be specified"),
        (rule({"path": "a"}), "spec.rules[0].http.paths[0].path", "must be an absolute path"),
        (rule({"path": "/a//b"}), "spec.rules[0].http.paths[0].path", 'must not contain "//"'),
        (rule({"path": "/a/.."}), "spec.rules[0].http.paths[0].path", 'must not contain "/.."'),
        (rule({"pathType": None}), "spec.rules[0].http.paths[0].pathType", "pathType must be specified"),
        (rule({"pathType": "Prefx"}), "spec.rules[0].http.paths[0].pathType", "Unsupported value"),
        (rule({"path": "/"}, host="10.0.0.1"), "spec.rules[0].host", "must be a DNS name, not an IP address"),
        (rule({"path": "/"}, host="a_b.io"), "spec.rules[0].host", "lowercase RFC 1123 subdomain"),
        (rule({"backend": None, "path": "/"}), "paths[0].backend", "resource or service backend is required"),
        (
            rule({"backend": {"service": {"name": "web"}}, "path": "/"}),
            "backend.service",
            "port name or number is required",
        ),
        (
            rule({"backend": {"service": {"name": "web", "port": {"number": 80, "name": "x"}}}, "path": "/"}),
            "backend.service",
            "cannot set both port name & port number",
        ),
        (
            rule({"backend": {"service": {"name": "web", "port": {"number": 70000}}}, "path": "/"}),
            "port.number",
            "must be between 1 and 65535",
        ),
        ({"rules": [{"http": {"paths": []}}]}, "spec.rules[0].http.paths", "Required value"),
    ],
)
def test_faults_are_the_api_servers(tmp_path: Path, spec: dict[str, Any], field: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, written(spec))
    (problem,) = caught.value.problems
    assert field in problem.path
    assert says in problem.what
