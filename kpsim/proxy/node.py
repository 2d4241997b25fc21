"""One node as kube-proxy sees it: its own settings, and every service port with its endpoints.

These are kube-proxy's own notions (ServicePort, Endpoint) rather than the API's objects: one entry a service port and
IP family, endpoints merged from all slices, sorted as strings, one of each address.  Structure from
pkg/proxy/serviceport.go, pkg/proxy/endpointslicecache.go and pkg/proxy/topology.go.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from kpsim.kube.objects import EndpointSlice, KubeObjects, Service
from kpsim.kube.resolve import LAST_ADDRESS_WINS_SINCE
from kpsim.proxy.byversion import (
    NODE_ADDRESS_SINCE,
    NODE_HINTS_SINCE,
    TERMINATING_SERVE_SINCE,
    as_programmed,
    wants_hints,
)
from kpsim.proxy.params import LATEST, PRIMARY, IpvsSettings
from kpsim.units import Version

ANY_PODS = "10.0.0.0/8"  # where nothing says what Pods are
COUNTED_SINCE: Version = (1, 26)  # layouts before are not counted in closed form: the engines take them for this one's


@dataclass(frozen=True, slots=True)
class LocalDetector:
    """kube-proxy tells this node's Pods from all others by their addresses, or by the interface of their packets.

    ``interface`` is a bridge, or the beginning of names with a ``+`` behind; ``cidr`` are then the addresses that are
    taken to come in there, for those who follow a packet without interfaces.  Source: pkg/proxy/util/localdetector.go.
    """

    cidr: str
    interface: str = ""

    def source(self, *, others: bool = False) -> str:
        """Return the source address that a rule for Pods of this node, or for all ``others``, asks for."""
        return f"!{self.cidr}" if others else self.cidr

    def arrival(self, *, others: bool = False) -> str:
        """Return the interface that such a rule asks for; "" where addresses decide."""
        return f"!{self.interface}" if others and self.interface else self.interface


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """A node's addresses and the settings of its kube-proxy that rules depend on.

    ``node_port_addresses``: ``None`` is the mode's own default, "primary" the node's first address, else CIDRs.
    ``pod_cidr`` is what the local-traffic detector matches; ``None`` means there is no detector.  Where it looks at
    interfaces, ``pod_interface`` says at which.  The flags take away from what ``kubernetes_version`` has.
    """

    name: str = "node"
    zone: str = ""
    ip_family: str = "IPv4"
    node_ips: tuple[str, ...] = ("192.0.2.1",)  # the first is the primary one
    local_ips: tuple[str, ...] = ()  # further addresses that are LOCAL, loopback apart
    pod_cidr: str | None = "10.128.0.0/10"
    pod_interface: str = ""
    kubernetes_version: Version = LATEST
    service_cidrs: tuple[str, ...] = ()
    masquerade_all: bool = False
    masquerade_bit: int = 14
    localhost_node_ports: bool = True
    node_port_addresses: tuple[str, ...] | None = None
    nfacct: bool = True  # the kernel has the counter of localhost NodePorts, which 1.31 and later use
    conntrack_tcp_be_liberal: bool = False
    firewall_chain: bool = True  # kube-proxy writes KUBE-FIREWALL (1.27 and later)
    node_through_firewall: bool = True  # a node inside a Service's source ranges has a way through its KUBE-FW
    as_counted: bool = False  # endpoints and protocols as closed forms count them, where a kube-proxy differs
    ipvs_scheduler: str = "rr"
    ipvs: IpvsSettings = IpvsSettings()
    conntrack_max: int = 0  # connections the kernel is told to track; 0 leaves what it has
    large_cluster_endpoints: int = 1000

    @property
    def mark(self) -> str:
        """Return the masquerade mark as iptables and nft print it."""
        return f"{1 << self.masquerade_bit:#x}"

    @property
    def detector(self) -> LocalDetector | None:
        """Return the local-traffic detector, if there is one."""
        return LocalDetector(self.pod_cidr, self.pod_interface) if self.pod_cidr else None

    def node_port_ranges(self, default: str | None = None) -> tuple[str, ...] | None:
        """Return the addresses at which NodePorts answer, in this IP family: ranges, or "primary"; ``None``: all.

        ``default`` is the mode's own.  A list without a range of this family does not restrict it.
        Source: pkg/proxy/util/nodeport_addresses.go.
        """
        wanted = self.node_port_addresses or ((default,) if default else ())
        if PRIMARY in wanted:
            return (PRIMARY,)
        mine = tuple(cidr for cidr in wanted if _family(cidr) == self.ip_family)
        return None if not mine or any(cidr.endswith("/0") for cidr in mine) else mine

    @property
    def asked_address(self) -> tuple[str, ...]:
        """Return the address that source ranges are compared with: the node's first one; up to 1.27 bindAddress."""
        if self.kubernetes_version < NODE_ADDRESS_SINCE:
            return ("::" if self.ip_family == "IPv6" else "0.0.0.0",)  # noqa: S104  # compared, not bound
        return self.node_ips[:1]

    def is_local(self, ip: str) -> bool:
        """Return True if ``ip`` is one of the node's own addresses, loopback included."""
        return ipaddress.ip_address(ip).is_loopback or ip in self.node_ips or ip in self.local_ips


def counted_node(version: Version = LATEST) -> NodeConfig:
    """Return the node of which closed forms count rules: no node in particular, with neither address nor ranges."""
    return NodeConfig(node_through_firewall=False, as_counted=True, kubernetes_version=max(version, COUNTED_SINCE))


@lru_cache(maxsize=4096)
def network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Return the range that ``text`` says, as ``10.0.0.0/8`` or as one address."""
    return ipaddress.ip_network(text.strip(), strict=False)


def in_ranges(ip: str, ranges: Iterable[str]) -> bool:
    """Return whether one of ``ranges`` holds ``ip``; a range of the other family holds none.

    >>> in_ranges("10.1.2.3", ["fd00::/8", "10.0.0.0/8"])
    True
    """
    address = ipaddress.ip_address(ip)
    return any(address in network(cidr) for cidr in ranges)


@lru_cache(maxsize=65536)
def canonical(text: str) -> str:
    """Return an address, or a range without its host's bits, as Go prints it.

    >>> canonical("2001:DB8::0001"), canonical(" 10.1.2.3/24 "), canonical("010.0.0.1")
    ('2001:db8::1', '10.1.2.0/24', '10.0.0.1')
    """
    text = text.strip()
    if ":" not in text and text.replace(".", "").isdecimal():
        return ".".join(str(int(part)) for part in text.split("."))  # old servers take leading zeros
    try:
        return str(network(text)) if "/" in text else str(ipaddress.ip_address(text))
    except ValueError:  # it is known by count only
        return text


def some_pod(cidr: str | None) -> str:
    """Return an address in the range of Pods, near its end, where no real Pod is likely to be."""
    return str(network(cidr or ANY_PODS)[-2])


def ip_port(ip: str, port: int) -> str:
    """Return ``ip:port``, IPv6 in brackets."""
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


@dataclass(frozen=True, slots=True)
class EndpointInfo:
    """One endpoint of a service port, as kube-proxy holds it."""

    ip: str
    port: int
    ready: bool = True
    serving: bool = True
    terminating: bool = False
    local: bool = False  # on this node
    zone_hints: tuple[str, ...] = ()
    node_hints: tuple[str, ...] = ()
    pod: int = -1  # row of the cluster's columns, where it has one

    @property
    def address(self) -> str:
        """Return ``ip:port``, IPv6 in brackets."""
        return ip_port(self.ip, self.port)


@dataclass(frozen=True, slots=True)
class PortInfo:
    """One service port in one IP family."""

    namespace: str
    name: str
    port_name: str
    protocol: str  # TCP, UDP or SCTP
    cluster_ip: str
    port: int
    type: str = "ClusterIP"
    node_port: int = 0
    external_ips: tuple[str, ...] = ()
    load_balancer_vips: tuple[str, ...] = ()
    source_ranges: tuple[str, ...] = ()
    affinity_s: int = 0  # 0: none
    internal_local: bool = False  # internalTrafficPolicy: Local
    external_policy_local: bool = False  # externalTrafficPolicy: Local, as set
    health_check_node_port: int = 0
    hints_annotation: str = ""

    @property
    def service(self) -> str:
        """Return ``namespace/name``."""
        return f"{self.namespace}/{self.name}"

    @property
    def label(self) -> str:
        """Return ``namespace/name:port``, as kube-proxy prints it and hashes it."""
        return f"{self.service}:{self.port_name}" if self.port_name else self.service

    @property
    def externally_accessible(self) -> bool:
        """Return True if any address but the ClusterIP leads to it."""
        return bool(self.node_port or self.external_ips or self.load_balancer_vips)

    @property
    def external_local(self) -> bool:
        """externalTrafficPolicy: Local, where there is external traffic at all."""
        return self.external_policy_local and self.externally_accessible

    @property
    def uses_cluster(self) -> bool:
        """Return True if some traffic may go to every endpoint."""
        return not self.internal_local or self.externally_accessible

    @property
    def uses_local(self) -> bool:
        """Return True if some traffic may only go to this node's endpoints."""
        return self.internal_local or self.external_local


@dataclass(frozen=True, slots=True)
class PortState:
    """A service port and its endpoints, sorted; ``row`` and ``port`` are its rows in the columns (-1: none)."""

    info: PortInfo
    endpoints: tuple[EndpointInfo, ...] = ()
    row: int = -1
    port: int = -1


@dataclass(frozen=True, slots=True)
class Categories:
    """A Service's endpoints by the traffic that they take on this node."""

    cluster: tuple[EndpointInfo, ...]
    local: tuple[EndpointInfo, ...]
    used: tuple[EndpointInfo, ...] = field(default=())  # all that any rule leads to, sorted
    has_endpoints: bool = False  # somebody somewhere can serve

    def has_internal(self, info: PortInfo) -> bool:
        """Return True if internal traffic finds an endpoint."""
        return self.has_endpoints and not (info.internal_local and not self.local)

    def has_external(self, info: PortInfo) -> bool:
        """Return True if external traffic finds an endpoint."""
        return self.has_endpoints and not (info.external_local and not self.local)


def categorize(info: PortInfo, endpoints: Sequence[EndpointInfo], config: NodeConfig) -> Categories:
    """Choose endpoints by readiness, topology hints and traffic policies.

    Ready endpoints, filtered by hints, make the Cluster list; if there is none, those serving while they terminate.
    The Local list is the same for this node's endpoints, without hints.  Source: pkg/proxy/topology.go.
    """
    ready = [e for e in endpoints if e.ready]
    serve = config.kubernetes_version >= TERMINATING_SERVE_SINCE
    fallback = [e for e in endpoints if serve and e.serving and e.terminating]
    cluster: list[EndpointInfo] = []
    if info.uses_cluster:
        hinted = wants_hints(info.hints_annotation, config.kubernetes_version)
        wanted = _topology_filter(ready if hinted else [], config)
        cluster = [e for e in ready if wanted(e)] or fallback
    local: list[EndpointInfo] = []
    if info.uses_local:
        local = [e for e in ready if e.local] or [e for e in fallback if e.local]
    anybody = bool(cluster) if info.uses_cluster else bool(ready or fallback)
    chosen = {id(e) for e in cluster} | {id(e) for e in local}
    used = tuple(e for e in endpoints if id(e) in chosen)
    return Categories(tuple(cluster), tuple(local), used, anybody or bool(local))


def _topology_filter(ready: Sequence[EndpointInfo], config: NodeConfig) -> Callable[[EndpointInfo], bool]:
    """Return a filter for the ready endpoints that topology hints leave on this node: same node, same zone, or all."""
    by_node = bool(ready) and config.kubernetes_version >= NODE_HINTS_SINCE and all(e.node_hints for e in ready)
    if by_node and any(config.name in e.node_hints for e in ready):
        return lambda e: config.name in e.node_hints
    if ready and config.zone and all(e.zone_hints for e in ready) and any(config.zone in e.zone_hints for e in ready):
        return lambda e: config.zone in e.zone_hints
    return lambda _: True


def port_states(objects: KubeObjects, config: NodeConfig) -> tuple[PortState, ...]:
    """Return the service ports that kube-proxy on this node makes of the objects, in the order of the Services.

    Services that kube-proxy does not watch and those of another IP family are left out.
    """
    slices: dict[tuple[str, str], list[EndpointSlice]] = {}
    for piece in objects.slices:
        slices.setdefault((piece.namespace, piece.service), []).append(piece)
    return tuple(
        PortState(info, endpoints_of(slices.get((service.namespace, service.name), ()), info, config))
        for service in objects.services
        if service.watched and _cluster_ip(service, config.ip_family)
        for info in port_infos(as_programmed(service, config.kubernetes_version), config.ip_family)
    )


def _family(ip: str) -> str:
    return "IPv6" if ":" in ip else "IPv4"


def _cluster_ip(service: Service, family: str) -> str:
    """Return the ClusterIP of one IP family, "" where there is none."""
    return next((ip for ip in (service.cluster_ip, service.cluster_ip6) if ip and _family(ip) == family), "")


def port_infos(service: Service, family: str) -> Iterator[PortInfo]:
    """Yield the ports of a Service that has a ClusterIP of one IP ``family``."""

    def mine(addresses: Sequence[str]) -> tuple[str, ...]:
        return tuple(canonical(a) for a in addresses if _family(a) == family)

    for port in service.ports:
        yield PortInfo(
            namespace=service.namespace,
            name=service.name,
            port_name=port.name,
            protocol=port.protocol,
            cluster_ip=canonical(_cluster_ip(service, family)),
            port=port.port,
            type=service.type,
            node_port=port.node_port,
            external_ips=mine(service.external_ips),
            load_balancer_vips=mine(service.load_balancer_ips),
            source_ranges=mine(service.load_balancer_source_ranges),
            affinity_s=service.session_affinity_timeout_s if service.session_affinity == "ClientIP" else 0,
            internal_local=service.internal_traffic_policy == "Local",
            external_policy_local=service.external_traffic_policy == "Local",
            health_check_node_port=service.health_check_node_port,
            hints_annotation=service.topology_mode,
        )


def endpoints_of(slices: Sequence[EndpointSlice], info: PortInfo, config: NodeConfig) -> tuple[EndpointInfo, ...]:
    """Return the endpoints of one service port, merged from a Service's slices, sorted by their strings.

    Only the first address of an endpoint counts, and only slices that have a port of this name and protocol.  The same
    address in two slices counts once: the one on this node wins, since 1.36 the last that does not terminate.
    """
    found: dict[str, EndpointInfo] = {}
    last_wins = config.kubernetes_version >= LAST_ADDRESS_WINS_SINCE
    for piece in slices:
        if piece.address_type != config.ip_family:
            continue
        number = next((n for name, n, p in piece.ports if (name, p) == (info.port_name, info.protocol) and n), 0)
        for endpoint in piece.endpoints if number else ():
            made = EndpointInfo(
                ip=endpoint.ip,
                port=number,
                ready=endpoint.ready,
                serving=endpoint.serving,
                terminating=endpoint.terminating,
                local=bool(endpoint.node) and endpoint.node == config.name,
                zone_hints=endpoint.zone_hints,
                node_hints=endpoint.node_hints,
            )
            if made.address not in found or (not made.terminating if last_wins else made.local):
                found[made.address] = made
    return tuple(sorted(found.values(), key=lambda e: e.address))
