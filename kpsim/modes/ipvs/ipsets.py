"""The ipsets, 17 since 1.26, let a constant number of iptables rules speak of any number of Services.

Names, types and the form of an entry from pkg/proxy/ipvs/ipset.go and pkg/proxy/ipvs/ipset/ipset.go.  Every sync makes
sure that all of them exist, filled or not.  A hash holds :data:`MAX_ELEMENTS` entries and the kernel refuses the next;
that is not modelled, and neither is a hash's refusal of a network of length 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kpsim.proxy.node import PortInfo, PortState
from kpsim.units import Version

MAX_ELEMENTS = 65_536
LONGEST_NAME = 31
VIRTUAL_ADDRESSES = "KUBE-IPVS-IPS"
VIRTUAL_ADDRESSES_SINCE: Version = (1, 26)

ADDRESS, SOCKET, SOCKET_ADDRESS, SOCKET_NET, PORT = (
    "hash:ip", "hash:ip,port", "hash:ip,port,ip", "hash:ip,port,net", "bitmap:port",
)  # fmt: skip
OF_ENDPOINTS_AND_NODES = (  # what entries of a Service depend on beside its columns
    "KUBE-LOOP-BACK", "KUBE-LOAD-BALANCER-SOURCE-IP", "KUBE-HEALTH-CHECK-NODE-PORT",
)  # fmt: skip
LOCAL = "with externalTrafficPolicy=local"


@dataclass(frozen=True, slots=True)
class SetKind:
    """One ipset: its name for IPv4, its type, and the comment of the rules that ask it."""

    name: str
    type: str
    comment: str


SETS = {
    kind.name: kind
    for kind in (
        SetKind("KUBE-LOOP-BACK", SOCKET_ADDRESS,
                "Kubernetes endpoints dst ip:port, source ip for solving hairpin purpose"),
        SetKind("KUBE-CLUSTER-IP", SOCKET, "Kubernetes service cluster ip + port for masquerade purpose"),
        SetKind("KUBE-EXTERNAL-IP", SOCKET, "Kubernetes service external ip + port for masquerade and filter purpose"),
        SetKind("KUBE-EXTERNAL-IP-LOCAL", SOCKET, f"Kubernetes service external ip + port {LOCAL}"),
        SetKind("KUBE-LOAD-BALANCER", SOCKET, "Kubernetes service lb portal"),
        SetKind("KUBE-LOAD-BALANCER-FW", SOCKET,
                "Kubernetes service load balancer ip + port for load balancer with sourceRange"),
        SetKind("KUBE-LOAD-BALANCER-LOCAL", SOCKET, f"Kubernetes service load balancer ip + port {LOCAL}"),
        SetKind("KUBE-LOAD-BALANCER-SOURCE-IP", SOCKET_ADDRESS,
                "Kubernetes service load balancer ip + port + source IP for packet filter purpose"),
        SetKind("KUBE-LOAD-BALANCER-SOURCE-CIDR", SOCKET_NET,
                "Kubernetes service load balancer ip + port + source cidr for packet filter purpose"),
        SetKind("KUBE-NODE-PORT-TCP", PORT, "Kubernetes nodeport TCP port for masquerade purpose"),
        SetKind("KUBE-NODE-PORT-LOCAL-TCP", PORT, f"Kubernetes nodeport TCP port {LOCAL}"),
        SetKind("KUBE-NODE-PORT-UDP", PORT, "Kubernetes nodeport UDP port for masquerade purpose"),
        SetKind("KUBE-NODE-PORT-LOCAL-UDP", PORT, f"Kubernetes nodeport UDP port {LOCAL}"),
        SetKind("KUBE-NODE-PORT-SCTP-HASH", SOCKET,
                "Kubernetes nodeport SCTP port for masquerade purpose with type 'hash ip:port'"),
        SetKind("KUBE-NODE-PORT-LOCAL-SCTP-HASH", SOCKET,
                f"Kubernetes nodeport SCTP port {LOCAL} with type 'hash ip:port'"),
        SetKind("KUBE-HEALTH-CHECK-NODE-PORT", PORT, "Kubernetes health check node port"),
        SetKind(VIRTUAL_ADDRESSES, ADDRESS, "Virtual addresses on this node"),
    )
}  # fmt: skip


def sets_of(version: Version) -> dict[str, SetKind]:
    """Return the sets that a ``version`` makes sure of, by name."""
    return {n: kind for n, kind in SETS.items() if n != VIRTUAL_ADDRESSES or version >= VIRTUAL_ADDRESSES_SINCE}


def kernel_name(name: str, family: str) -> str:
    """Return a set's name in the kernel: IPv6 has sets of its own, whose longer names are cut where ipset's end."""
    return name if family == "IPv4" else name.replace("KUBE-", "KUBE-6-", 1)[:LONGEST_NAME]


def socket_entry(ip: str, protocol: str, port: int, *more: str) -> str:
    """``10.0.0.1,tcp:80``, and what comes behind it in sets of three parts."""
    return ",".join((ip, f"{protocol.lower()}:{port}", *more))


def entries_of(state: PortState, node_addresses: tuple[str, ...], allowed: bool) -> Iterator[tuple[str, str]]:
    """Yield (set, entry) for each entry that one service port puts into the sets; KUBE-IPVS-IPS is the node's.

    ``allowed`` says whether the source ranges let the node itself in.
    """
    info = state.info
    for endpoint in state.endpoints:
        if endpoint.local:
            yield "KUBE-LOOP-BACK", socket_entry(endpoint.ip, info.protocol, endpoint.port, endpoint.ip)
    yield "KUBE-CLUSTER-IP", socket_entry(info.cluster_ip, info.protocol, info.port)
    for ip in info.external_ips:
        name = "KUBE-EXTERNAL-IP-LOCAL" if info.external_local else "KUBE-EXTERNAL-IP"
        yield name, socket_entry(ip, info.protocol, info.port)
    for ip in info.load_balancer_vips:
        yield from _load_balancer(info, ip, allowed)
    if info.node_port and not node_addresses:
        return  # with nowhere to put the NodePort, the port's health check is forgotten too
    yield from _node_port(info, node_addresses)
    if info.type == "LoadBalancer" and info.external_local and info.health_check_node_port:
        yield "KUBE-HEALTH-CHECK-NODE-PORT", str(info.health_check_node_port)


def _load_balancer(info: PortInfo, ip: str, allowed: bool) -> Iterator[tuple[str, str]]:
    entry = socket_entry(ip, info.protocol, info.port)
    yield "KUBE-LOAD-BALANCER", entry
    if info.external_local:
        yield "KUBE-LOAD-BALANCER-LOCAL", entry
    if info.source_ranges:
        yield "KUBE-LOAD-BALANCER-FW", entry
        for cidr in info.source_ranges:
            yield "KUBE-LOAD-BALANCER-SOURCE-CIDR", socket_entry(ip, info.protocol, info.port, cidr)
        if allowed:  # a node that calls a load balancer comes from its very address
            yield "KUBE-LOAD-BALANCER-SOURCE-IP", socket_entry(ip, info.protocol, info.port, ip)


def _node_port(info: PortInfo, node_addresses: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield a bit for TCP and UDP; for SCTP, which the bitmap cannot tell apart, an entry an address."""
    if not info.node_port:
        return
    sctp = info.protocol == "SCTP"
    for kind in ("", "LOCAL-") if info.external_local else ("",):
        name = f"KUBE-NODE-PORT-{kind}{info.protocol}" + ("-HASH" if sctp else "")
        if sctp:
            yield from ((name, socket_entry(ip, info.protocol, info.node_port)) for ip in node_addresses)
        else:
            yield name, str(info.node_port)
