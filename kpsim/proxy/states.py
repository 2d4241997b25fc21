"""The cluster's columns as kube-proxy's service ports: addresses as they were read, or made up for grown Services.

Addresses of grown Services that no allocator gives out come from ranges that nobody routes (RFC 6598, RFC 5737), so
that every rule can be printed and loaded.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence

from kpsim.cluster.columns import Cluster, PodState, dotted
from kpsim.proxy.node import EndpointInfo, NodeConfig, PortInfo, PortState

__all__ = ["exact_states", "node_config", "port_info"]

SHARED_RANGE = int(ipaddress.IPv4Address("100.64.0.0"))  # 16 addresses a Service
NODE_RANGE = int(ipaddress.IPv4Address("172.16.0.0"))
AFFINITY_S = 10800  # Kubernetes' default timeout, for Services that were not read from an object


def port_info(cluster: Cluster, q: int, *, policies: bool) -> PortInfo:
    """Service port ``q``; without ``policies`` every endpoint serves every node [A13]."""
    s = int(cluster.port_service[q])
    namespace, _, name = cluster.names[s].partition("/")
    services = cluster.services
    read = cluster.read.get(s)
    counts = [int(c[s]) for c in (services.external_ips, services.load_balancer_ips, services.source_ranges)]
    mine = SHARED_RANGE + 16 * s
    return PortInfo(
        namespace=namespace,
        name=name,
        port_name=cluster.port_name[q],
        protocol=cluster.port_protocol[q],
        cluster_ip=dotted(int(services.cluster_ip[s])),
        port=int(cluster.port_number[q]),
        type=read.type if read else "LoadBalancer" if counts[1] else "ClusterIP",
        node_port=int(cluster.port_node_port[q]),
        external_ips=_ipv4(read.external_ips) if read else tuple(dotted(mine + i) for i in range(counts[0])),
        load_balancer_vips=_ipv4(read.load_balancer_ips) if read else tuple(
            dotted(mine + 8 + i) for i in range(counts[1])
        ),
        source_ranges=_ipv4(read.load_balancer_source_ranges) if read else tuple(
            f"203.0.113.{16 * i}/28" for i in range(counts[2])
        ),
        affinity_s=(read.session_affinity_timeout_s if read else AFFINITY_S) if services.affinity[s] else 0,
        internal_local=policies and read is not None and read.internal_traffic_policy == "Local",
        external_policy_local=policies and read is not None and read.external_traffic_policy == "Local",
        health_check_node_port=read.health_check_node_port if policies and read else 0,
    )  # fmt: skip


def _ipv4(addresses: Sequence[str]) -> tuple[str, ...]:
    return tuple(a for a in addresses if ":" not in a)


def exact_states(cluster: Cluster, node: str, services: Sequence[int] | None = None) -> Iterator[PortState]:
    """Every service port at time zero as kube-proxy on ``node`` sees it, with policies and what is local.

    Pods that were read stand on the node their object names; grown ones are dealt to ``node-0``, ``node-1``, … in turn.
    """
    for s in range(cluster.initial) if services is None else services:
        if not cluster.services.proxied[s]:
            continue
        pods = [(int(p), int(cluster.pod_state[p])) for p in cluster.endpoints(s)]
        for q in range(int(cluster.port_offset[s]), int(cluster.port_offset[s + 1])):
            endpoints = tuple(
                EndpointInfo(
                    ip=dotted(int(cluster.pod_ip[p])),
                    port=int(cluster.port_target[q]),
                    ready=bool(bits & PodState.READY),
                    serving=bool(bits & PodState.SERVING),
                    terminating=bool(bits & PodState.TERMINATING),
                    local=cluster.pod_node.get(p, f"node-{p % cluster.nodes}") == node,
                    pod=p,
                )
                for p, bits in pods
            )
            yield PortState(port_info(cluster, q, policies=True), endpoints, s, q)


def node_config(cluster: Cluster, node: str, pod_cidr: str, *, masquerade_all: bool = False) -> NodeConfig:
    """The settings of kube-proxy on ``node``; its address is made up (172.16.0.0/12, by number)."""
    tail = node.rpartition("-")[2]
    number = int(tail) if tail.isdigit() else sorted({*cluster.pod_node.values(), node}).index(node)
    address = dotted(NODE_RANGE + 1 + number)
    return NodeConfig(name=node, node_ips=(address,), pod_cidr=pod_cidr, masquerade_all=masquerade_all)
