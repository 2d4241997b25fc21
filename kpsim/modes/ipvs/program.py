"""One node's IPVS state as kube-proxy makes it: virtual servers, sets, chains, and the addresses it takes.

A service port is a virtual server at each of its addresses, whether anybody serves it or not: the ClusterIP, external
and load-balancer addresses, and its NodePort at every address of the node.  All (since 1.28: but the node's own) are
bound to kube-ipvs0, so that the packet is taken for the node's and comes to IPVS.  A Local list that is empty gives way
to the Cluster list: nothing is dropped for want of a local endpoint, but a client outside, not masqueraded, is then
answered by a Pod it never called.  Two Services that claim one address and port overwrite each other; the last visited
stays.
Source: pkg/proxy/ipvs/proxier.go (syncProxyRules, syncEndpoint).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kpsim.modes.ipvs.chains import chains_for
from kpsim.modes.ipvs.ipsets import OF_ENDPOINTS_AND_NODES, VIRTUAL_ADDRESSES, entries_of, sets_of
from kpsim.proxy.node import EndpointInfo, NodeConfig, PortInfo, PortState, categorize, in_ranges, ip_port
from kpsim.proxy.params import PRIMARY
from kpsim.proxy.rules import Held, PortKey, RuleSet
from kpsim.units import Version

HASHES_PORTS_SINCE: Version = (1, 27)
OTHERS_SPARED_SINCE: Version = (1, 28)  # addresses that another interface has are not bound


@dataclass(frozen=True, slots=True)
class RealServer:
    """A virtual server sends connections here; weight 0 takes no new ones.  ``pod`` is its row, where it has one."""

    ip: str
    port: int
    weight: int = 1
    pod: int = -1

    @property
    def address(self) -> str:
        """Return ``ip:port``, IPv6 in brackets."""
        return ip_port(self.ip, self.port)


@dataclass(frozen=True, slots=True)
class VirtualService:
    """One virtual server; ``persistence_s`` above 0 keeps a client with its real server that long."""

    ip: str
    port: int
    protocol: str
    scheduler: str
    persistence_s: int = 0
    real_servers: tuple[RealServer, ...] = ()
    row: int = -1  # of its Service in the columns
    hashes_port: bool = True

    @property
    def key(self) -> PortKey:
        """Return the key that a packet is looked up by."""
        return PortKey(self.ip, self.protocol, self.port)

    @property
    def flags(self) -> str:
        """Scheduler flags as ipvsadm names them: Maglev hashing counts the port in since 1.27."""
        return "mh-port" if self.scheduler == "mh" and self.hashes_port else ""

    def render(self) -> list[str]:
        """As ``ipvsadm -Ln`` would print it and its real servers, all of weight 1."""
        head = f"{self.protocol.upper()}  {self.ip}:{self.port} {self.scheduler}"
        return [head, *(f"  -> {server.address:<28} Masq    1" for server in self.real_servers)]

    @property
    def settings(self) -> tuple[str, int, str]:
        """Return (scheduler, persistence [s], flags): an update of the virtual server itself can change these."""
        return self.scheduler, self.persistence_s, self.flags


@dataclass(frozen=True, slots=True)
class IpvsRules(RuleSet):
    """Everything one sync wants to be there: virtual servers, sets, chains; ``bound`` are kube-ipvs0's addresses."""

    config: NodeConfig = NodeConfig()
    services: Mapping[PortKey, VirtualService] = field(default_factory=dict)
    sets: Mapping[str, frozenset[str]] = field(default_factory=dict)
    bound: tuple[str, ...] = ()

    @property
    def present(self) -> int:
        """Virtual and real servers."""
        return sum(1 + len(service.real_servers) for service in self.services.values())


def node_addresses(config: NodeConfig) -> tuple[str, ...]:
    """Return the node's own addresses of one IP family, without loopback, link-local ones of IPv6, and kube-ipvs0's."""
    found = dict.fromkeys((*config.node_ips, *config.local_ips))
    return tuple(ip for ip in found if _usable(ipaddress.ip_address(ip), config.ip_family))


def _usable(ip: ipaddress.IPv4Address | ipaddress.IPv6Address, family: str) -> bool:
    return f"IPv{ip.version}" == family and not ip.is_loopback and not (ip.version == 6 and ip.is_link_local)


def node_port_addresses(config: NodeConfig) -> tuple[str, ...]:
    """Return the addresses with virtual servers for NodePorts: all, unless nodePortAddresses names some."""
    mine, ranges = node_addresses(config), config.node_port_ranges()
    if ranges is None:
        return mine
    if ranges == (PRIMARY,):
        return tuple(ip for ip in mine if ip in config.node_ips)[:1]
    return tuple(ip for ip in mine if in_ranges(ip, ranges))


def virtual_services(
    state: PortState, config: NodeConfig, addresses: Sequence[str] | None = None
) -> Iterator[VirtualService]:
    """Yield the virtual servers of one service port; ``addresses`` are its NodePort's, if known already."""
    info = state.info
    if addresses is None:
        addresses = node_port_addresses(config)
    chosen = categorize(info, state.endpoints, config)
    inside = _real_servers((info.internal_local and chosen.local) or chosen.cluster)
    outside = _real_servers((info.external_local and chosen.local) or chosen.cluster)
    yield _virtual_service(state, config, info.cluster_ip, info.port, inside)
    for ip in (*info.external_ips, *info.load_balancer_vips):
        yield _virtual_service(state, config, ip, info.port, outside)
    for ip in addresses if info.node_port else ():
        yield _virtual_service(state, config, ip, info.node_port, outside)


def _virtual_service(
    state: PortState, config: NodeConfig, ip: str, port: int, real_servers: tuple[RealServer, ...]
) -> VirtualService:
    scheduler = config.ipvs_scheduler or "rr"
    flags = config.kubernetes_version >= HASHES_PORTS_SINCE
    info = state.info
    return VirtualService(ip, port, info.protocol, scheduler, info.affinity_s, real_servers, state.row, flags)


def _real_servers(endpoints: Sequence[EndpointInfo]) -> tuple[RealServer, ...]:
    return tuple(RealServer(endpoint.ip, endpoint.port, pod=endpoint.pod) for endpoint in endpoints)


def program(states: Iterable[PortState], config: NodeConfig) -> IpvsRules:
    """Return all that kube-proxy wants on this node for ``states``."""
    addresses, own = node_port_addresses(config), frozenset(node_addresses(config))
    claims: list[VirtualService] = []
    sets: dict[str, set[str]] = {name: set() for name in sets_of(config.kubernetes_version)}
    spared = own if config.kubernetes_version >= OTHERS_SPARED_SINCE else ()
    bound: dict[str, None] = {}
    entries: dict[int, int] = {}
    addresses_of: dict[int, set[str]] = {}
    barred: list[PortKey] = []
    for state in states:
        info = state.info
        allowed = _node_allowed(info, config)
        claims += virtual_services(state, config, addresses)
        for name, entry in entries_of(state, addresses, allowed):
            sets[name].add(entry)
            entries[state.row] = entries.get(state.row, 0) + (name not in OF_ENDPOINTS_AND_NODES)
        doors = (info.cluster_ip, *info.external_ips, *info.load_balancer_vips)
        addresses_of.setdefault(state.row, set()).update(doors)  # counted even where one is the node's own
        bound |= {ip: None for ip in doors if ip == info.cluster_ip or ip not in spared}
        if info.source_ranges and not allowed:
            barred += [PortKey(ip, info.protocol, info.port) for ip in info.load_balancer_vips]
    if VIRTUAL_ADDRESSES in sets:
        sets[VIRTUAL_ADDRESSES] = set(bound)
    frozen = {name: frozenset(entries) for name, entries in sets.items()}
    served: dict[int, int] = {}
    servers: dict[int, int] = {}
    for service in claims:  # as a sync visits them: two may claim one place
        served[service.row] = served.get(service.row, 0) + len(service.real_servers)
        servers[service.row] = servers.get(service.row, 0) + 1
    held = {
        row: Held(count, entries[row] + len(addresses_of[row]), len(addresses_of[row]))
        for row, count in servers.items()
    }
    return IpvsRules(
        chains=chains_for(frozen, barred, config),
        dispatch=len(claims),
        own=served,
        config=config,
        services={service.key: service for service in claims},
        sets=frozen,
        bound=tuple(bound),
        held=held,
    )


def _node_allowed(info: PortInfo, config: NodeConfig) -> bool:
    """Return True if the source ranges of a load balancer hold the node's primary address, up to 1.27 bindAddress."""
    return any(in_ranges(ip, info.source_ranges) for ip in config.asked_address)
