"""What the API server fills in when a Service leaves a field out.

Most defaults are the defaults of the dataclasses in :mod:`kpsim.kube.objects`; here are those that depend on other
fields.  Source: pkg/apis/core/v1/defaults.go, SetDefaults_Service.
"""

from __future__ import annotations

from dataclasses import replace

from kpsim.kube.objects import Service, ServicePort

__all__ = ["CLIENT_IP_TIMEOUT_S", "NODE_PORT_TYPES", "needs_cluster_ip", "needs_node_ports", "with_defaults"]

CLIENT_IP_TIMEOUT_S = 10800
NODE_PORT_TYPES = ("NodePort", "LoadBalancer")


def with_defaults(service: Service) -> Service:
    """``service`` with a target port for every port: the same number, where none was given."""
    ports = tuple(_port(port) for port in service.ports)
    return service if ports == service.ports else replace(service, ports=ports)


def needs_cluster_ip(service: Service) -> bool:
    """Whether the API server gives the Service a virtual IP: neither headless nor ExternalName."""
    return service.proxied


def needs_node_ports(service: Service) -> bool:
    """Whether each port gets a NodePort: type NodePort, or LoadBalancer unless it was told not to."""
    if service.type == "LoadBalancer":
        return service.allocate_load_balancer_node_ports
    return service.type == "NodePort"


def _port(port: ServicePort) -> ServicePort:
    return port if port.target_port not in (0, "") else replace(port, target_port=port.port)
