"""What the API server would refuse about Services together, and in this cluster: ranges, families, versions.

:func:`allocation_faults` looks at all of them with the ranges their ClusterIPs and NodePorts come from.  What is wrong
with one by itself is asked in :mod:`kpsim.kube.service.checks`.

Source: pkg/registry/core/service/storage/alloc.go; pkg/features/kube_features.go (PreferSameTrafficDistribution: beta
in 1.34; ServiceTrafficDistribution: beta in 1.31; MixedProtocolLBService: beta in 1.24).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from kpsim.documents import Key
from kpsim.kube.allocator import ClusterIPAllocator
from kpsim.kube.defaults import NODE_PORT_TYPES, needs_health_check_port
from kpsim.kube.fields import Fault
from kpsim.kube.objects import Service
from kpsim.kube.service.hints import SAME_NODE, SAME_ZONE
from kpsim.kube.service.wording import choice_faults, invalid, is_ip, is_v6
from kpsim.units import Version

DISTRIBUTIONS = (*SAME_ZONE, SAME_NODE)
BOTH_FAMILIES = "write ipFamilies: [IPv4, IPv6] below cluster"


@dataclass(frozen=True, slots=True)
class ApiServer:
    """What of an API server's flags and version decides about Services."""

    service_cluster_ip_range: str
    node_port_range: tuple[int, int]
    ip_families: tuple[str, ...] = ("IPv4",)
    version: Version = (1, 34)


@dataclass(slots=True)
class _Taken:
    """Who has what already: indices of Services by name, address and port."""

    names: dict[tuple[str, str], int] = field(default_factory=dict)
    ips: dict[str, int] = field(default_factory=dict)
    node_ports: dict[int, int] = field(default_factory=dict)


def allocation_faults(services: Sequence[Service], api: ApiServer) -> Iterator[tuple[int, Fault]]:
    """What Services ask for that this API server cannot give, or another has: (index of the Service, fault)."""
    ips = ClusterIPAllocator(api.service_cluster_ip_range)
    taken = _Taken()
    seen = {"IPv6" if is_v6(service.cluster_ip) else "IPv4" for service in services if is_ip(service.cluster_ip)}
    both = any(len(service.ip_families) > 1 and is_ip(service.cluster_ip) for service in services)
    families = ("IPv4", "IPv6") if both else tuple(dict.fromkeys((*api.ip_families, *sorted(seen))))
    for index, service in enumerate(services):
        identity = (service.namespace, service.name)
        if service.name and taken.names.setdefault(identity, index) != index:
            what = f'services "{service.name}" already exists in namespace {service.namespace}'
            yield index, Fault(("metadata", "name"), what, _other(services[taken.names[identity]]))
        if service.proxied and is_ip(service.cluster_ip) and not is_v6(service.cluster_ip):
            yield from ((index, fault) for fault in _cluster_ip(services, index, ips, taken.ips))
        if service.type in NODE_PORT_TYPES:
            yield from ((index, fault) for fault in _node_ports(services, index, api.node_port_range, taken))
        yield from ((index, fault) for fault in (*_families(service, families), *_by_version(service, api.version)))


def _cluster_ip(
    services: Sequence[Service], index: int, ips: ClusterIPAllocator, by_ip: dict[str, int]
) -> Iterator[Fault]:
    ip = services[index].cluster_ip
    key = ("spec", "clusterIP")
    if not ips.holds(ip):
        why = f"the provided IP is not in the valid range. The range of valid IPs is {ips.cidr}"
        mend = "leave clusterIP out, or set cluster.serviceClusterIPRange to the cluster's"
        yield invalid(key, ip, why, mend)
    elif by_ip.setdefault(ip, index) != index:
        yield invalid(key, ip, "provided IP is already allocated", _other(services[by_ip[ip]]))


def _node_ports(
    services: Sequence[Service], index: int, node_port_range: tuple[int, int], taken: _Taken
) -> Iterator[Fault]:
    first, last = node_port_range
    service = services[index]
    asked: list[tuple[Key, int]] = [
        (("spec", "ports", at, "nodePort"), port.node_port) for at, port in enumerate(service.ports)
    ]
    if needs_health_check_port(service):
        asked.append((("spec", "healthCheckNodePort"), service.health_check_node_port))
    mine: set[int] = set()
    for key, number in asked:
        health = key[-1] == "healthCheckNodePort"
        said = f"failed to allocate requested HealthCheck NodePort {number}: " if health else ""
        if not number:
            continue
        if not first <= number <= last:
            why = f"provided port is not in the valid range. The range of valid ports is {first}-{last}"
            yield invalid(key, number, said + why)
        elif taken.node_ports.setdefault(number, index) != index:
            other = _other(services[taken.node_ports[number]])
            yield invalid(key, number, f"{said}provided port is already allocated", other)
        elif health and number in mine:
            yield invalid(key, number, f"{said}provided port is already allocated", "a port of the Service has it")
        mine.add(number)


def _families(service: Service, cluster: Sequence[str]) -> Iterator[Fault]:
    """Families that this cluster does not have; a headless Service without a selector may name any."""
    if service.type == "ExternalName" or (service.headless and not service.selector):
        return
    if service.ip_family_policy == "RequireDualStack" and len(cluster) < 2:
        why = "this cluster is not configured for dual-stack services"
        yield invalid(("spec", "ipFamilyPolicy"), service.ip_family_policy, why, BOTH_FAMILIES)
        return
    for index, family in enumerate(service.ip_families):
        if family in ("IPv4", "IPv6") and family not in cluster:
            yield invalid(("spec", "ipFamilies", index), family, "not configured on this cluster", BOTH_FAMILIES)


def _by_version(service: Service, version: Version) -> Iterator[Fault]:
    """Values that this version does not know yet."""
    if service.traffic_distribution and version >= (1, 31):
        known = DISTRIBUTIONS if version >= (1, 34) else DISTRIBUTIONS[:1]
        yield from choice_faults(service.traffic_distribution, known, ("spec", "trafficDistribution"))
    protocols = [port.protocol for port in service.ports]
    if service.type == "LoadBalancer" and len(set(protocols)) > 1 and version < (1, 24):
        why = "may not contain a mix of protocols when 'type' is 'LoadBalancer'"
        yield invalid(("spec", "ports"), protocols, why, "Kubernetes 1.24 and later take it")


def _other(service: Service) -> str:
    where = f" ({service.place})" if str(service.place) else ""
    return f"the other one is Service {service.namespace}/{service.name}{where}"
