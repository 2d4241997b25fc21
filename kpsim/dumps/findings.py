"""Rules show Services' ports, addresses and endpoints, gathered rule by rule and dump by dump.

The same Service may be met in several tables, IP families, nodes and formats; everything known about a service port
comes together here and leaves as Kubernetes objects.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from kpsim.kube.defaults import CLIENT_IP_TIMEOUT_S
from kpsim.kube.objects import Endpoint, EndpointSlice, KubeObjects, Pod, Service, ServicePort

MOST_PORT = 65_535
ENDPOINTS_PER_SLICE = 100  # the EndpointSlice controller's default
NAMELESS = "unnamed"  # the namespace of Services that rules show the addresses of, and not the name

ServicePortName = tuple[str, str, str, str]  # namespace, name, port name, protocol
Address = tuple[str, int, str]  # ClusterIP, port, protocol


@dataclass(slots=True)
class PortFindings:
    """One service port, as far as rules show it; dictionaries keep the order in which things were met."""

    port: int = 0
    node_port: int = 0
    health_check_node_port: int = 0
    affinity_s: int = 0
    internal_local: bool = False
    external_local: bool = False
    cluster_ips: dict[str, None] = field(default_factory=dict)
    external_ips: dict[str, None] = field(default_factory=dict)
    load_balancer_ips: dict[str, None] = field(default_factory=dict)
    source_ranges: dict[str, None] = field(default_factory=dict)
    endpoints: dict[tuple[str, int], str] = field(default_factory=dict)  # (ip, port) -> its node, "" for unknown

    def add_endpoint(self, ip: str, port: int, node: str = "") -> None:
        """An endpoint that a rule leads to, and where it runs if the rule says so."""
        self.endpoints[canonical(ip), port] = node or self.endpoints.get((canonical(ip), port), "")

    def take(self, other: PortFindings) -> None:
        """Add another dump's findings on the same service port."""
        self.port = self.port or other.port
        self.node_port = self.node_port or other.node_port
        self.health_check_node_port = self.health_check_node_port or other.health_check_node_port
        self.affinity_s = self.affinity_s or other.affinity_s
        self.internal_local |= other.internal_local
        self.external_local |= other.external_local
        for name in ("cluster_ips", "external_ips", "load_balancer_ips", "source_ranges"):
            getattr(self, name).update(getattr(other, name))
        for (ip, port), node in other.endpoints.items():
            self.add_endpoint(ip, port, node)


@dataclass(slots=True)
class Findings:
    """All service ports that one or several dumps show."""

    ports: dict[ServicePortName, PortFindings] = field(default_factory=dict)

    def at(self, namespace: str, name: str, port_name: str, protocol: str) -> PortFindings:
        """Return the findings on a service port, to be added to."""
        return self.ports.setdefault((namespace, name, port_name, protocol.upper()), PortFindings())

    def without_impossible(self) -> list[str]:
        """Leave out every address that is none, endpoints' with them; return them as they were written."""
        left_out: dict[str, None] = {}
        for found in self.ports.values():
            for listed in (found.cluster_ips, found.external_ips, found.load_balancer_ips):
                for ip in [ip for ip in listed if ip and not is_ip(ip)]:
                    del listed[ip]
                    left_out[ip] = None
            for ip, port in [pair for pair in found.endpoints if not is_ip(pair[0]) or pair[1] > MOST_PORT]:
                del found.endpoints[ip, port]
                left_out[ip if not is_ip(ip) else f"{ip}:{port}"] = None
        return list(left_out)

    def take(self, other: Findings, names: Mapping[Address, ServicePortName] | None = None) -> None:
        """Everything another dump shows; ``names`` are those of service ports that it only has addresses of."""
        for key, found in other.ports.items():
            known: ServicePortName | None = None
            if names and self.nameless(key):
                known = next((names[at] for ip in found.cluster_ips if (at := (ip, found.port, key[3])) in names), None)
            self.at(*(known or key)).take(found)

    def names(self) -> dict[Address, ServicePortName]:
        """Return the name of each service port by ClusterIP, port and protocol."""
        return {(ip, found.port, key[3]): key for key, found in self.ports.items() for ip in found.cluster_ips}

    @staticmethod
    def nameless(key: ServicePortName) -> bool:
        """Return True if only addresses are known of a service port."""
        return key[0] == NAMELESS

    @property
    def unnumbered(self) -> int:
        """Service ports of which no rule shows the number; they are in no object."""
        return sum(not found.port for found in self.ports.values())

    def objects(self, pods: Iterable[Pod] = ()) -> KubeObjects:
        """Services in order of their names, with EndpointSlices; endpoints that are one of ``pods`` get its name."""
        by_ip = {canonical(pod.ip): pod for pod in pods if pod.ip and not pod.host_network}
        services: dict[tuple[str, str], list[tuple[ServicePortName, PortFindings]]] = {}
        for key, found in sorted(self.ports.items(), key=lambda item: (item[0][:2], item[1].port, item[0])):
            if found.port:
                services.setdefault(key[:2], []).append((key, found))
        return KubeObjects(
            services=tuple(_service(*name, ports) for name, ports in services.items()),
            slices=tuple(made for name, ports in services.items() for made in _slices(*name, ports, by_ip)),
        )


def canonical(ip: str) -> str:
    """Return an address as Kubernetes writes it; any other text stays as it is."""
    try:
        return str(ipaddress.ip_address(ip.strip("[]")))
    except ValueError:
        return ip


def is_ip(text: str) -> bool:
    """Return True if it is an address of either family."""
    try:
        return bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def _service(namespace: str, name: str, ports: list[tuple[ServicePortName, PortFindings]]) -> Service:
    found = [port for _, port in ports]

    def every(name: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(value for port in found for value in getattr(port, name)))

    cluster_ips, balancers, outside = every("cluster_ips"), every("load_balancer_ips"), every("external_ips")
    families = tuple(
        dict.fromkeys("IPv6" if ":" in ip else "IPv4" for ip in sorted(cluster_ips, key=lambda ip: ":" in ip))
    )
    node_ports = [port.node_port for port in found]
    health = max(port.health_check_node_port for port in found)
    kind = "LoadBalancer" if balancers or health else "NodePort" if any(node_ports) else "ClusterIP"
    affinity_s = max(port.affinity_s for port in found)
    reachable = kind != "ClusterIP" or bool(outside)
    local = reachable and any(port.external_local for port in found)
    return Service(
        namespace=namespace,
        name=name,
        type=kind,
        cluster_ip=next((ip for ip in cluster_ips if ":" not in ip), cluster_ips[0] if cluster_ips else ""),
        ports=tuple(
            ServicePort(port.port, key[2], key[3], _target(port), port.node_port) for key, port in ports
        ),
        external_ips=tuple(ip for ip in outside if ip not in balancers),
        load_balancer_ips=balancers,
        load_balancer_source_ranges=every("source_ranges") if balancers else (),
        session_affinity="ClientIP" if affinity_s else "None",
        session_affinity_timeout_s=affinity_s or CLIENT_IP_TIMEOUT_S,
        internal_traffic_policy="Local" if any(port.internal_local for port in found) else "Cluster",
        external_traffic_policy="Local" if local else "Cluster",
        allocate_load_balancer_node_ports=kind != "LoadBalancer" or all(node_ports),
        health_check_node_port=health if local else 0,
        ip_families=families or ("IPv4",),
        ip_family_policy="PreferDualStack" if len(families) > 1 else "",
    )  # fmt: skip


def _target(found: PortFindings) -> int:
    return next((port for _, port in found.endpoints), found.port)


def _slices(
    namespace: str, name: str, ports: list[tuple[ServicePortName, PortFindings]], pods: Mapping[str, Pod]
) -> Iterator[EndpointSlice]:
    """Yield one set of slices for each address family and each set of target ports, as the controller makes them."""
    targets: dict[tuple[str, int], list[tuple[str, int, str]]] = {}  # (ip, how many-th target of its port) -> ports
    nodes: dict[str, str] = {}
    for key, found in ports:
        met: dict[str, int] = {}
        for (ip, number), node in sorted(found.endpoints.items()):
            targets.setdefault((ip, met.get(ip, 0)), []).append((key[2], number, key[3]))
            met[ip] = met.get(ip, 0) + 1
            nodes[ip] = node or nodes.get(ip, "")
    alike: dict[tuple[str, tuple[tuple[str, int, str], ...]], list[str]] = {}
    for (ip, _), listed in sorted(targets.items()):
        alike.setdefault(("IPv6" if ":" in ip else "IPv4", tuple(listed)), []).append(ip)
    made = 0
    for (family, numbers), ips in sorted(alike.items()):
        for start in range(0, len(ips), ENDPOINTS_PER_SLICE):
            made += 1
            part = ips[start : start + ENDPOINTS_PER_SLICE]
            endpoints = tuple(_endpoint(ip, nodes[ip], pods.get(ip)) for ip in part)
            yield EndpointSlice(namespace, f"{name}-{made}", name, family, numbers, endpoints)


def _endpoint(ip: str, node: str, pod: Pod | None) -> Endpoint:
    if pod is None:
        return Endpoint(ip, node=node)
    return Endpoint(ip, node=pod.node or node, pod=f"{pod.namespace}/{pod.name}")
