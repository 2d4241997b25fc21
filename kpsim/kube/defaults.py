"""The API server fills in these values when a Service leaves a field out.

Most defaults are the defaults of the dataclasses in :mod:`kpsim.kube.objects`; here are those that depend on other
fields.  Source: pkg/apis/core/v1/defaults.go, SetDefaults_Service.
"""

from __future__ import annotations

from dataclasses import replace

from kpsim.kube.objects import Service, ServicePort

CLIENT_IP_TIMEOUT_S = 10800
NODE_PORT_TYPES = ("NodePort", "LoadBalancer")
INGRESS_CLASS = "kubernetes.io/ingress.class"  # the annotation that ingressClassName took the place of
SERVICE_PROXY_NAME = "service.kubernetes.io/service-proxy-name"
TOPOLOGY_MODE = "service.kubernetes.io/topology-mode"
TOPOLOGY_HINTS = "service.kubernetes.io/topology-aware-hints"  # what it was called before 1.27
ZONE = "topology.kubernetes.io/zone"
CONTROL_PLANE = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
SOURCE_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"  # before there was a field


def with_defaults(service: Service) -> Service:
    """``service`` with a target port for every port: the same number, where none was given."""
    ports = tuple(_port(port) for port in service.ports)
    return service if ports == service.ports else replace(service, ports=ports)


def needs_cluster_ip(service: Service) -> bool:
    """Return True if the API server gives the Service a virtual IP: neither headless nor ExternalName."""
    return service.proxied


def needs_node_ports(service: Service) -> bool:
    """Return True if each port gets a NodePort: type NodePort, or LoadBalancer unless it was told not to."""
    if service.type == "LoadBalancer":
        return service.allocate_load_balancer_node_ports
    return service.type == "NodePort"


def needs_health_check_port(service: Service) -> bool:
    """Return True if it gets one more port of the NodePort range, at which its load balancer asks each node."""
    return service.type == "LoadBalancer" and service.external_traffic_policy == "Local"


def node_ports_wanted(service: Service) -> int:
    """Return the count of NodePorts it takes: service ports that differ in protocol only share one."""
    if service.type not in NODE_PORT_TYPES:
        return 0
    requested = {port.node_port for port in service.ports if port.node_port}
    numbers = {port.port for port in service.ports} if needs_node_ports(service) else set()
    found = numbers - {port.port for port in service.ports if port.node_port}
    return len(requested) + len(found) + needs_health_check_port(service)


def families_of(service: Service, cluster: tuple[str, ...]) -> tuple[str, ...]:
    """Return the IP families a Service has in a cluster that has ``cluster``, the default one first.

    SingleStack unless it says otherwise; headless without a selector, both whatever the cluster has, because its
    endpoints may come from anywhere.  Source: pkg/registry/core/service/storage/alloc.go (initIPFamilyFields).
    """
    both = service.ip_family_policy in ("PreferDualStack", "RequireDualStack")
    if service.type == "ExternalName" or len(service.ip_families) > 1:
        return service.ip_families
    if service.headless and not service.selector:
        both = service.ip_family_policy != "SingleStack"
        cluster = ("IPv4", "IPv6")
    missing = (family for family in cluster if family not in service.ip_families)
    return (*service.ip_families, *(missing if both else ()))


def _port(port: ServicePort) -> ServicePort:
    return port if port.target_port not in (0, "") else replace(port, target_port=port.port)
