"""A large dump, as `kubectl get services,endpointslices,nodes -o json` (or yaml) prints it, made up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

SERVICES, NODES = 10_000, 1_000


def _meta(name: str, namespace: str, number: int, **labels: str) -> dict[str, Any]:
    return {
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
        "creationTimestamp": "2026-01-02T03:04:05Z",
        "labels": {"app": name, "app.kubernetes.io/managed-by": "Helm", **labels},
        "name": name,
        "namespace": namespace,
        "resourceVersion": str(100_000 + number),
        "uid": f"{number:08x}-0000-4000-8000-{number:012x}",
    }


def _items() -> Iterator[dict[str, Any]]:
    address = 0
    for i in range(SERVICES):
        name, namespace, ip = f"svc-{i}", f"ns-{i % 200}", f"10.96.{i // 250}.{i % 250 + 1}"
        yield {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": _meta(name, namespace, i),
            "spec": {
                "clusterIP": ip,
                "clusterIPs": [ip],
                "internalTrafficPolicy": "Cluster",
                "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack",
                "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}],
                "selector": {"app": name},
                "sessionAffinity": "None",
                "type": "ClusterIP",
            },
            "status": {"loadBalancer": {}},
        }
        endpoints = []
        for k in range(5 if i % 15 else 30):
            address += 1
            endpoints.append(
                {
                    "addresses": [f"10.{128 + address // 62_500}.{address // 250 % 250}.{address % 250 + 1}"],
                    "conditions": {"ready": True, "serving": True, "terminating": False},
                    "nodeName": f"node-{address % NODES}",
                    "targetRef": {
                        "kind": "Pod",
                        "name": f"{name}-7d9f-{k:05d}",
                        "namespace": namespace,
                        "uid": f"{address:08x}-0000-4000-8000-{address:012x}",
                    },
                    "zone": f"zone-{address % 3}",
                }
            )
        labels = {"kubernetes.io/service-name": name}
        yield {
            "addressType": "IPv4",
            "apiVersion": "discovery.k8s.io/v1",
            "endpoints": endpoints,
            "kind": "EndpointSlice",
            "metadata": _meta(f"{name}-x7k2p", namespace, SERVICES + i, **labels),
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        }
    for i in range(NODES):
        yield {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": f"node-{i}", "labels": {"topology.kubernetes.io/zone": f"zone-{i % 3}"}},
            "spec": {"podCIDR": f"10.{128 + i // 256}.{i % 256}.0/24"},
            "status": {"capacity": {"cpu": "16"}, "nodeInfo": {"kubeletVersion": "v1.34.1"}},
        }


def write_dump(path: Path) -> Path:
    """Write the dump as JSON or YAML, as the path's ending says, and return the path; some 70 and 32 MB."""
    document = {"apiVersion": "v1", "items": list(_items()), "kind": "List", "metadata": {"resourceVersion": ""}}
    with path.open("w", encoding="utf-8") as file:
        if path.suffix == ".json":
            json.dump(document, file, indent=4)
        else:
            dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
            yaml.dump(document, file, Dumper=dumper, default_flow_style=False)
    return path
