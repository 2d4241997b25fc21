"""The cluster's columns as kube-proxy's service ports: addresses as they were read, or made up for grown Services.

Addresses of grown Services that no allocator gives out come from ranges that nobody routes (RFC 6598, RFC 5737), so
that every rule can be printed and loaded.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kpsim.cluster.addresses import dotted
from kpsim.cluster.columns import Cluster, Hints, PodState
from kpsim.kube.objects import EndpointSlice
from kpsim.proxy.node import (
    EndpointInfo,
    NodeConfig,
    PortInfo,
    PortState,
    counted_node,
    endpoints_of,
    ip_port,
    port_infos,
    some_pod,
)
from kpsim.proxy.params import LATEST, PRIMARY, NodeSettings, ProxyParams
from kpsim.proxy.rules import Packet
from kpsim.units import I64, U32, Bools, Version

SHARED_RANGE = int(ipaddress.IPv4Address("100.64.0.0"))  # 16 addresses a Service
NODE_RANGE = int(ipaddress.IPv4Address("172.16.0.0"))
CLIENTS = int(ipaddress.IPv4Address("203.0.113.0"))
MADE_UP = ipaddress.IPv6Address("2001:db8:77::")  # the same addresses in IPv6 (RFC 3849)
LOOPBACK = ipaddress.IPv4Network("127.0.0.0/8")
PARAMS = ProxyParams()
NO_HINTS: Hints = ((), ())
AFFINITY_S = 10800  # Kubernetes' default timeout, for Services that were not read from an object


def made_up(number: int, family: str) -> str:
    """Return an address of a range that nobody routes, by its number as an IPv4 address."""
    return dotted(number) if family == "IPv4" else str(MADE_UP + number)


def port_info(cluster: Cluster, q: int) -> PortInfo:
    """Service port ``q``, with its addresses and policies."""
    s = int(cluster.port_service[q])
    namespace, _, name = cluster.names[s].partition("/")
    services, book = cluster.services, cluster.addresses
    read = cluster.read.get(s)
    if read is not None:
        infos = port_infos(replace(read, cluster_ip=book.text(int(services.cluster_ip[s]))), book.family)
        return next(info for i, info in enumerate(infos) if i == q - int(cluster.port_offset[s]))
    counts = [int(c[s]) for c in (services.external_ips, services.load_balancer_ips, services.source_ranges)]
    length = 28 if book.family == "IPv4" else 124
    mine = SHARED_RANGE + 16 * s
    return PortInfo(
        namespace=namespace,
        name=name,
        port_name=cluster.port_name[q],
        protocol=cluster.port_protocol[q],
        cluster_ip=book.text(int(services.cluster_ip[s])),
        port=int(cluster.port_number[q]),
        type="LoadBalancer" if counts[1] else "ClusterIP",
        node_port=int(cluster.port_node_port[q]),
        external_ips=tuple(made_up(mine + i, book.family) for i in range(counts[0])),
        load_balancer_vips=tuple(made_up(mine + 8 + i, book.family) for i in range(counts[1])),
        source_ranges=tuple(f"{made_up(CLIENTS + 16 * i, book.family)}/{length}" for i in range(counts[2])),
        affinity_s=AFFINITY_S if services.affinity[s] else 0,
        internal_local=bool(services.internal_local[s]),
        external_policy_local=bool(services.external_local[s]),
    )


def _ipv4(addresses: Sequence[str]) -> tuple[str, ...]:
    return tuple(a for a in addresses if ":" not in a)


def exact_states(cluster: Cluster, config: NodeConfig) -> Iterator[PortState]:
    """Yield every service port at time zero as kube-proxy on a node sees it, with policies and what is local.

    Pods that were read stand on the node their object names; grown ones are dealt to all nodes in turn.  EndpointSlices
    that were read are obeyed port by port.
    """
    homes, hints, node = cluster.homes(cluster.pods), cluster.hints, config.name
    for s in range(cluster.initial):
        if not cluster.services.proxied[s]:
            continue
        if slices := cluster.slices.get(cluster.names[s], ()):
            yield from _sliced(cluster, s, slices, config)
            continue
        pods = [(int(p), int(cluster.pod_state[p])) for p in cluster.endpoints(s)]
        for q in range(int(cluster.port_offset[s]), int(cluster.port_offset[s + 1])):
            endpoints = tuple(
                EndpointInfo(
                    ip=cluster.addresses.text(int(cluster.pod_ip[p])),
                    port=int(cluster.port_target[q]),
                    ready=bool(bits & PodState.READY),
                    serving=bool(bits & PodState.SERVING),
                    terminating=bool(bits & PodState.TERMINATING),
                    local=cluster.node_name(int(homes[p])) == node,
                    zone_hints=hints.get((s, p), NO_HINTS)[0],
                    node_hints=hints.get((s, p), NO_HINTS)[1],
                    pod=p,
                )
                for p, bits in pods
            )
            yield PortState(port_info(cluster, q), endpoints, s, q)


def _sliced(cluster: Cluster, s: int, slices: Sequence[EndpointSlice], config: NodeConfig) -> Iterator[PortState]:
    """Yield the service ports of one Service whose EndpointSlices were read."""
    rows = {cluster.addresses.text(int(cluster.pod_ip[p])): int(p) for p in cluster.endpoints(s)}
    for q in range(int(cluster.port_offset[s]), int(cluster.port_offset[s + 1])):
        info = port_info(cluster, q)
        endpoints = (replace(e, pod=rows.get(e.ip, -1)) for e in endpoints_of(slices, info, config))
        yield PortState(info, tuple(endpoints), s, q)


@dataclass(frozen=True, slots=True)
class NodeView:
    """kube-proxy on one node holds this view of the cluster when a sync starts."""

    cluster: Cluster
    usable: Mapping[int, Sequence[int]]  # Service -> Pods that can serve it; Services it does not know are absent
    order: I64  # service ports in the order in which they are visited
    pod_ip: U32  # of every Pod of the run
    config: NodeConfig = field(default_factory=counted_node)  # engines count as for IPv4, whichever family it is [A20]
    leaving: Mapping[int, Sequence[int]] = field(default_factory=dict)  # Pods that a Local policy may fall back to
    here: Bools | None = None  # which Pods of the run are on this node; ``None``: none of them

    def port_states(self) -> Iterator[PortState]:
        """Known service ports with the endpoints that may serve them, in visiting order."""
        for q in self.known_ports():
            s, target = int(self.cluster.port_service[q]), int(self.cluster.port_target[q])
            endpoints = tuple(
                EndpointInfo(
                    ip=self.cluster.addresses.text(int(self.pod_ip[p])),
                    port=target,
                    ready=ready,
                    terminating=not ready,
                    local=self.here is not None and bool(self.here[p]),
                    pod=p,
                )
                for pods, ready in ((self.usable[s], True), (self.leaving.get(s, ()), False))
                for p in pods
            )
            yield PortState(port_info(self.cluster, q), endpoints, s, q)

    def known_ports(self) -> list[int]:
        """Service ports kube-proxy programs, in visiting order."""
        services = self.cluster.port_service
        proxied = self.cluster.services.proxied
        return [int(q) for q in self.order if int(services[q]) in self.usable and proxied[services[q]]]

    def packet(self, port: int) -> Packet:
        """Return a Pod's first packet to the ClusterIP of a service port."""
        cluster = self.cluster
        return Packet(
            some_pod(self.config.pod_cidr),
            cluster.addresses.text(int(cluster.services.cluster_ip[cluster.port_service[port]])),
            int(cluster.port_number[port]),
            cluster.port_protocol[port],
        )

    def address(self, port: int, pod: int) -> str:
        """Return ``ip:port`` of an endpoint of a service port."""
        return ip_port(self.cluster.addresses.text(int(self.pod_ip[pod])), int(self.cluster.port_target[port]))


def node_config(
    cluster: Cluster,
    node: str,
    pod_cidr: str,
    params: ProxyParams = PARAMS,
    version: Version = LATEST,
    family: str = "",
) -> NodeConfig:
    """Return the settings of kube-proxy on ``node`` for one IP ``family``, the cluster's first if "".

    Where no Node object tells its address it is made up, by number: in 172.16.0.0/12, or in the first range that
    ``nodePortAddresses`` names, which is one of the node's network.
    ``pod_cidr``, the range of the cluster's Pods, is what tells Pods where the configuration leaves ``clusterCIDR``
    out (written and empty, it means that nothing does), and under NodeCIDR, because Pods here have addresses of one
    range for all nodes.
    """
    settings = params.settings
    book = cluster.addresses
    family = family or book.family
    tail = node.rpartition("-")[2]
    number = cluster.node_names.index(node) if node in cluster.node_names else int(tail) if tail.isdigit() else 0
    cidr, interface = _local_pods(settings, pod_cidr, family)
    masquerade = settings.masquerade_of(params.mode)
    told = tuple(ip for ip in cluster.node_addresses.get(node, ()) if (":" in ip) == (family == "IPv6"))
    return NodeConfig(
        name=node,
        zone=cluster.node_zone.get(node, ""),
        ip_family=family,
        node_ips=told or ((_address(number, settings.node_port_addresses, family),) if family == book.family else ()),
        pod_cidr=cidr,
        pod_interface=interface,
        kubernetes_version=version,
        service_cidrs=(book.service_range,) if family == book.family and book.service_range else (),
        masquerade_all=masquerade.all,
        masquerade_bit=masquerade.bit,
        localhost_node_ports=settings.localhost_node_ports and _reaches_loopback(settings.node_port_addresses),
        node_port_addresses=settings.node_port_addresses or None,
        conntrack_tcp_be_liberal=settings.conntrack_tcp_be_liberal,
        ipvs_scheduler=params.ipvs_scheduler,
        ipvs=settings.ipvs,
        conntrack_max=_conntrack_max(params, cluster.cores),
    )


def _address(number: int, ranges: Sequence[str], family: str) -> str:
    """Return a node's address: in the first of ``ranges`` that says anything about it."""
    for network in _networks(ranges) if family == "IPv4" else ():
        if network.prefixlen and not network.overlaps(LOOPBACK):
            return str(network[(1 + number) % network.num_addresses])
    return made_up(NODE_RANGE + 1 + number, family)


def _networks(ranges: Sequence[str]) -> list[ipaddress.IPv4Network]:
    """Return the ranges of IPv4 addresses in a list of ``nodePortAddresses``."""
    return [ipaddress.IPv4Network(cidr, strict=False) for cidr in _ipv4(ranges) if cidr != PRIMARY]


def _local_pods(settings: NodeSettings, pod_cidr: str, family: str) -> tuple[str | None, str]:
    """Return (range, interface) that tell this node's Pods; the interface is "" where addresses decide."""
    if family == "IPv6":
        written = [cidr.strip() for cidr in (settings.cluster_cidr or "").split(",")]
        v6 = next((cidr for cidr in written if ":" in cidr), None)
        if settings.detect_local_mode == "ClusterCIDR":
            return v6 or (pod_cidr if ":" in pod_cidr and settings.cluster_cidr is None else None), ""
        pod_cidr = v6 or (pod_cidr if ":" in pod_cidr else "fd00::/8")
    if settings.detect_local_mode == "BridgeInterface":
        return pod_cidr, settings.bridge_interface
    if settings.detect_local_mode == "InterfaceNamePrefix":
        return pod_cidr, f"{settings.interface_name_prefix}+"
    if settings.detect_local_mode == "ClusterCIDR" and settings.cluster_cidr is not None:
        mine = _ipv4([cidr.strip() for cidr in settings.cluster_cidr.split(",")])
        return next((cidr for cidr in mine if cidr), None), ""
    return pod_cidr, ""


def _reaches_loopback(ranges: Sequence[str]) -> bool:
    """Return True if nodePortAddresses let NodePorts answer on localhost.  Source: NewProxier of iptables."""
    return not _ipv4(ranges) or any(LOOPBACK.overlaps(network) for network in _networks(ranges))


def _conntrack_max(params: ProxyParams, cores: int) -> int:
    """Return the connections that kube-proxy lets the kernel track.  Source: cmd/kube-proxy/app/server_linux.go."""
    per_core = params.conntrack_max_per_core
    return max(per_core * cores, params.conntrack_min) if per_core else 0
