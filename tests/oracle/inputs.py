"""Oracle cases as kpsim's own values: Services and EndpointSlices, and the node that the cases take for granted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from kpsim.errors import Place
from kpsim.kube import decode
from kpsim.kube.defaults import with_defaults
from kpsim.kube.fields import Fields
from kpsim.kube.objects import KubeObjects
from kpsim.kube.service.decode import service_of
from kpsim.proxy.node import NodeConfig

Case = dict[str, Any]

FAMILIES = {"IPv4": ("192.168.0.2", "10.0.0.0/8"), "IPv6": ("2001:db8::1", None)}
LOCAL = ("192.168.0.2", "192.168.1.2", "192.168.99.11", "2001:db8::1", "2001:db8:1::2")


def cases(mode: str) -> Iterator[Case]:
    """The cases of a mode that ship with the project, and those in the folder that KPSIM_ORACLE_CASES names."""
    folders = [Path(__file__).parent / "cases"]
    if more := os.environ.get("KPSIM_ORACLE_CASES"):
        folders.append(Path(more))
    seen = set()
    for folder in folders:
        for path in sorted(folder.glob("*.yaml")):
            for case in yaml.safe_load(path.read_text(encoding="utf-8")).get("cases") or []:
                if case["mode"] == mode and case["name"] not in seen:
                    seen.add(case["name"])
                    yield case


def objects_of(content: dict[str, Any]) -> KubeObjects:
    """The input of a case: Kubernetes objects as they are written, with the API's defaults."""
    services = [service_of(Fields(raw, (), []), Place()) for raw in content.get("services") or []]
    slices = [decode.endpoint_slice(Fields(raw, (), [])) for raw in content.get("endpointSlices") or []]
    return KubeObjects(services=tuple(map(with_defaults, services)), slices=tuple(slices))


def config_of(case: Case) -> NodeConfig:
    """The node: what the cases take for granted, overridden by what the case says."""
    said = case.get("config") or {}
    family = said.get("ipFamily", "IPv4")
    primary, pod_cidr = FAMILIES[family]
    local = [ip for ip in said.get("nodeLocalIPs", LOCAL) if (":" in ip) == (family == "IPv6")]
    addresses = said.get("nodePortAddresses", "unset")
    era = str(said.get("version_era", ""))
    return NodeConfig(
        name="test-node",
        ip_family=family,
        node_ips=tuple(said.get("nodeIPs", [primary])),
        local_ips=tuple(local),
        pod_cidr=said.get("podCIDR", pod_cidr) if said.get("localDetector", True) else None,
        service_cidrs=tuple(said.get("serviceCIDRs", ())),
        masquerade_all=said.get("masqueradeAll", False),
        localhost_node_ports=said.get("localhostNodePorts", True),
        node_port_addresses=None if addresses == "unset" else tuple(addresses),
        conntrack_tcp_be_liberal=said.get("conntrackTCPBeLiberal", False),
        nfacct="no nfacct" not in era,
        firewall_chain="no KUBE-FIREWALL" not in era,
        large_cluster_endpoints=said.get("largeClusterEndpointsThreshold", 1000),
    )
