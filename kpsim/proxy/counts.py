"""Every mode's closed forms start from these arrays: endpoints that take each kind of a Service's traffic on a node.

The columns' counterpart of :func:`kpsim.proxy.node.categorize`.  All ports of a Service have the same endpoints, but a
traffic policy for traffic from outside only means something for ports that can be reached from there, so ports are of
two kinds.  Left out: topology hints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kpsim.cluster.columns import ServiceColumns
from kpsim.units import I64


@dataclass(frozen=True, slots=True)
class EndpointCounts:
    """Endpoints of each Service as one node sees them, (n,) each."""

    usable: I64  # the ready ones, or if there is none those that still serve while they terminate
    local: I64  # of those the ones on this node, or if there is none the terminating ones on this node that serve
    extra: I64  # those of ``local`` that are not among ``usable``

    @staticmethod
    def elsewhere(usable: I64) -> EndpointCounts:
        """Return the counts of a node that has none of the endpoints itself."""
        nothing = np.zeros_like(usable)
        return EndpointCounts(usable, nothing, nothing)


@dataclass(frozen=True, slots=True)
class PortKind:
    """Service ports that are alike, (n,) each: flags are 0 or 1, endpoints are those of one port."""

    ports: I64  # how many such ports each Service has
    cluster: I64  # endpoints that take traffic from anywhere (KUBE-SVC's)
    local: I64  # endpoints that take traffic under a Local policy (KUBE-SVL's)
    used: I64  # endpoints that any rule leads to
    served: I64  # somebody somewhere can serve
    inside: I64  # traffic to the ClusterIP finds somebody
    outside: I64  # traffic from outside finds somebody
    inside_local: I64  # internalTrafficPolicy: Local
    outside_local: I64  # externalTrafficPolicy: Local


def port_kinds(services: ServiceColumns, endpoints: EndpointCounts) -> Sequence[PortKind]:
    """Ports that can be reached from outside, and all others; Services that are not proxied have none of either."""
    addresses = services.external_ips + services.load_balancer_ips
    reachable = np.where(addresses > 0, services.ports, services.node_ports)
    proxied = services.proxied.astype(np.int64)
    inside_local = services.internal_local.astype(np.int64)
    outside_local = services.external_local.astype(np.int64)
    nothing = np.zeros_like(inside_local)
    open_ports = _kind(proxied * reachable, endpoints, inside_local, outside_local, 1)
    closed_ports = _kind(proxied * (services.ports - reachable), endpoints, inside_local, nothing, 0)
    return open_ports, closed_ports


def _kind(ports: I64, endpoints: EndpointCounts, inside_local: I64, outside_local: I64, reachable: int) -> PortKind:
    uses_cluster = np.maximum(1 - inside_local, reachable)
    uses_local = np.maximum(inside_local, outside_local)
    cluster, local = uses_cluster * endpoints.usable, uses_local * endpoints.local
    served = (endpoints.usable > 0) * (ports > 0)
    nobody_here = (local == 0).astype(np.int64)
    return PortKind(
        ports=ports,
        cluster=cluster,
        local=local,
        used=np.where(uses_cluster > 0, cluster + uses_local * endpoints.extra, local),
        served=served.astype(np.int64),
        inside=served * (1 - inside_local * nobody_here),
        outside=served * (1 - outside_local * nobody_here),
        inside_local=inside_local,
        outside_local=outside_local,
    )
