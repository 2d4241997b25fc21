"""What the API server would refuse about Services, in its own words.

:func:`service_faults` looks at one Service, :func:`allocation_faults` at all of them together with the ranges their
ClusterIPs and NodePorts come from.  Keys of faults are relative to the Service; whoever read it knows the place.

Source: pkg/apis/core/validation/validation.go (ValidateService) and pkg/registry/core/service/storage/alloc.go.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Iterator, Sequence

from kpsim.kube.allocator import ClusterIPAllocator
from kpsim.kube.defaults import NODE_PORT_TYPES
from kpsim.kube.fields import Fault
from kpsim.kube.objects import Service, ServicePort

__all__ = ["allocation_faults", "service_faults"]

TYPES = ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")
PROTOCOLS = ("SCTP", "TCP", "UDP")
AFFINITIES = ("ClientIP", "None")
POLICIES = ("Cluster", "Local")
LONGEST_AFFINITY_S = 86400
LAST_PORT = 65535

_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_PORT_NAME = re.compile(r"(?=.{1,15}$)(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*")
_HOST = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


def service_faults(service: Service) -> Iterator[Fault]:
    """Everything wrong with one Service by itself."""
    yield from _names(service)
    yield from _choice(service.type, TYPES, ("spec", "type"))
    yield from _choice(service.session_affinity, AFFINITIES, ("spec", "sessionAffinity"))
    yield from _choice(service.internal_traffic_policy, POLICIES, ("spec", "internalTrafficPolicy"))
    yield from _choice(service.external_traffic_policy, POLICIES, ("spec", "externalTrafficPolicy"))
    yield from _addresses(service)
    yield from _by_type(service)
    if not service.ports and service.type != "ExternalName" and not service.headless:
        yield Fault(("spec", "ports"), "Required value", "give the Service at least one port: ports: [{port: 80}]")
    seen: dict[object, int] = {}
    for index, port in enumerate(service.ports):
        yield from _port(service, port, index)
        yield from _again(port, index, seen, several=len(service.ports) > 1)


def _names(service: Service) -> Iterator[Fault]:
    if service.name and not _NAME.fullmatch(service.name):
        what = f"Invalid value: {_shown(service.name)}: must be a DNS-1035 label"
        mend = "lower-case letters, digits and '-', starting with a letter, at most 63 characters"
        yield Fault(("metadata", "name"), what, mend)
    if not _NAMESPACE.fullmatch(service.namespace):
        what = f"Invalid value: {_shown(service.namespace)}: must be a DNS-1123 label"
        yield Fault(("metadata", "namespace"), what, "lower-case letters, digits and '-', at most 63 characters")


def _choice(value: str, allowed: Sequence[str], key: tuple[str, ...]) -> Iterator[Fault]:
    if value not in allowed:
        near = difflib.get_close_matches(value.lower(), [word.lower() for word in allowed], 1)
        right = next((word for word in allowed if near and word.lower() == near[0]), "")
        supported = ", ".join(f'"{word}"' for word in allowed)
        yield Fault(key, f"Unsupported value: {_shown(value)}: supported values: {supported}", _mean(right))


def _addresses(service: Service) -> Iterator[Fault]:
    if service.cluster_ip not in ("", "None") and not _is_ip(service.cluster_ip):
        yield _not_ip(("spec", "clusterIP"), service.cluster_ip, "or None for a headless Service")
    for index, ip in enumerate(service.external_ips):
        if not _is_ip(ip):
            yield _not_ip(("spec", "externalIPs", index), ip)
    for index, cidr in enumerate(service.load_balancer_source_ranges):
        if not _is_range(cidr.strip()):
            key = ("spec", "loadBalancerSourceRanges", index)
            yield Fault(key, f"Invalid value: {_shown(cidr)}: must be a valid CIDR value (e.g. 10.9.8.0/24)")


def _by_type(service: Service) -> Iterator[Fault]:
    """Fields that do not go with the Service's type."""
    if service.type == "ExternalName":
        if not service.external_name:
            yield Fault(("spec", "externalName"), "Required value", "name the host: externalName: db.example.com")
        elif not _HOST.fullmatch(service.external_name.lower().rstrip(".")):
            what = f"Invalid value: {_shown(service.external_name)}: must be a host name"
            yield Fault(("spec", "externalName"), what)
        if service.cluster_ip:
            yield Fault(("spec", "clusterIP"), "Forbidden: may not be set for an ExternalName Service")
    if service.headless and service.type in NODE_PORT_TYPES:
        what = f"Invalid value: \"None\": may not be set to 'None' for {service.type} services"
        yield Fault(("spec", "clusterIP"), what)
    external = service.type in NODE_PORT_TYPES or service.external_ips
    if service.external_traffic_policy == "Local" and not external:
        what = 'Invalid value: "Local": may only be set for externally-accessible services'
        yield Fault(("spec", "externalTrafficPolicy"), what)
    timeout = service.session_affinity_timeout_s
    if service.session_affinity == "ClientIP" and not 0 < timeout <= LONGEST_AFFINITY_S:
        key = ("spec", "sessionAffinityConfig", "clientIP", "timeoutSeconds")
        yield Fault(key, f"Invalid value: {timeout}: must be greater than 0 and less than {LONGEST_AFFINITY_S}")
    local = service.type == "LoadBalancer" and service.external_traffic_policy == "Local"
    if service.health_check_node_port and not local:
        what = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        yield Fault(("spec", "healthCheckNodePort"), f"Invalid value: {service.health_check_node_port}: {what}")


def _port(service: Service, port: ServicePort, index: int) -> Iterator[Fault]:
    """Everything wrong with one port by itself."""
    key = ("spec", "ports", index)
    if not 1 <= port.port <= LAST_PORT:
        what = f"Invalid value: {port.port}: must be between 1 and 65535, inclusive"
        if not port.port:
            yield Fault((*key, "port"), "Required value", "give the port clients connect to")
        else:
            yield Fault((*key, "port"), what)
    target = port.target_port
    if isinstance(target, int) and not 0 <= target <= LAST_PORT and target != port.port:
        yield Fault((*key, "targetPort"), f"Invalid value: {target}: must be between 1 and 65535, inclusive")
    if isinstance(target, str) and not _PORT_NAME.fullmatch(target):
        yield Fault((*key, "targetPort"), f"Invalid value: {_shown(target)}: must be a port number or a port name")
    if port.name and not _NAMESPACE.fullmatch(port.name):
        yield Fault((*key, "name"), f"Invalid value: {_shown(port.name)}: must be a DNS-1123 label")
    if port.node_port and service.type in ("ClusterIP", "ExternalName"):
        what = f"Forbidden: may not be used when `type` is '{service.type}'"
        yield Fault((*key, "nodePort"), what, "make it type: NodePort, or leave nodePort out")
    yield from _choice(port.protocol, PROTOCOLS, (*key, "protocol"))  # type: ignore[arg-type]


def _again(port: ServicePort, index: int, seen: dict[object, int], *, several: bool) -> Iterator[Fault]:
    """What a port has in common with an earlier one of the same Service, and may not."""
    key = ("spec", "ports", index)
    if several and not port.name:
        yield Fault((*key, "name"), "Required value", "with more than one port, each needs a name")
    if port.name and seen.setdefault(("name", port.name), index) != index:
        yield Fault((*key, "name"), f'Duplicate value: "{port.name}"')
    if seen.setdefault((port.protocol, port.port), index) != index:
        yield Fault((*key, "port"), f"Duplicate value: {port.port}/{port.protocol}")
    if port.node_port and seen.setdefault(("node", port.protocol, port.node_port), index) != index:
        yield Fault((*key, "nodePort"), f"Duplicate value: {port.node_port}")


def allocation_faults(
    services: Sequence[Service], service_cluster_ip_range: str, node_port_range: tuple[int, int]
) -> Iterator[tuple[int, Fault]]:
    """What Services ask for that their ranges cannot give, or another has: (index of the Service, fault)."""
    ips = ClusterIPAllocator(service_cluster_ip_range)
    by_name: dict[tuple[str, str], int] = {}
    by_ip: dict[str, int] = {}
    by_node_port: dict[int, int] = {}
    for index, service in enumerate(services):
        identity = (service.namespace, service.name)
        if service.name and by_name.setdefault(identity, index) != index:
            what = f'services "{service.name}" already exists in namespace {service.namespace}'
            yield index, Fault(("metadata", "name"), what, _other(services[by_name[identity]]))
        if service.proxied and _is_ipv4(service.cluster_ip):
            yield from _cluster_ip(services, index, ips, by_ip)
        if service.type in NODE_PORT_TYPES:
            yield from _node_ports(services, index, node_port_range, by_node_port)


def _cluster_ip(
    services: Sequence[Service], index: int, ips: ClusterIPAllocator, by_ip: dict[str, int]
) -> Iterator[tuple[int, Fault]]:
    ip = services[index].cluster_ip
    key = ("spec", "clusterIP")
    if not ips.holds(ip):
        what = f'Invalid value: "{ip}": the provided IP is not in the valid range. The range of valid IPs is {ips.cidr}'
        yield index, Fault(key, what, "leave clusterIP out, or set cluster.serviceClusterIPRange to the cluster's")
    elif by_ip.setdefault(ip, index) != index:
        other = _other(services[by_ip[ip]])
        yield index, Fault(key, f'Invalid value: "{ip}": provided IP is already allocated', other)


def _node_ports(
    services: Sequence[Service], index: int, node_port_range: tuple[int, int], taken: dict[int, int]
) -> Iterator[tuple[int, Fault]]:
    first, last = node_port_range
    for at, port in enumerate(services[index].ports):
        key = ("spec", "ports", at, "nodePort")
        if not port.node_port:
            continue
        if not first <= port.node_port <= last:
            what = "provided port is not in the valid range. The range of valid ports is"
            yield index, Fault(key, f"Invalid value: {port.node_port}: {what} {first}-{last}")
        elif taken.setdefault(port.node_port, index) != index:
            other = _other(services[taken[port.node_port]])
            yield index, Fault(key, f"Invalid value: {port.node_port}: provided port is already allocated", other)


def _other(service: Service) -> str:
    where = f" ({service.place})" if str(service.place) else ""
    return f"the other one is Service {service.namespace}/{service.name}{where}"


def _mean(right: str) -> str:
    return f"did you mean {right}?" if right else ""


def _shown(text: str) -> str:
    return '"' + (text if len(text) <= 60 else text[:57] + "...") + '"'


def _not_ip(key: tuple[str | int, ...], ip: str, more: str = "") -> Fault:
    return Fault(key, f"Invalid value: {_shown(ip)}: must be a valid IP address, (e.g. 10.9.8.7)", more)


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_ipv4(text: str) -> bool:
    return ":" not in text and _is_ip(text)


def _is_range(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True
