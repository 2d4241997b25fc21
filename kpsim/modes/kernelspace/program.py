"""One node's HNS load balancers and endpoints, as Windows' kube-proxy makes them.

A service port has one load balancer at each of its addresses behind which there is anybody: the ClusterIP, its
NodePort, external and load-balancer addresses.  Nothing stands for a port without endpoints.  Source ranges and
nodePortAddresses do not exist here; NodePorts answer at every address of the node.  All endpoints of a load balancer
get one target port, the first endpoint's.  externalTrafficPolicy: Local is direct server return to this node's Pods.
With forwardHealthCheckVip each load-balancer address also leads health checks to the node.
Left out: the annotations preserve-destination and winProxyOptimization.
Source: pkg/proxy/winkernel/proxier.go (syncProxyRules), pkg/proxy/winkernel/loadbalancer.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from kpsim.modes.kernelspace.backends import Backends, Choice
from kpsim.modes.kernelspace.policies import HnsEndpoint, Kind, LoadBalancer, WindowsRules
from kpsim.proxy.node import EndpointInfo, NodeConfig, PortState
from kpsim.proxy.params import WinkernelSettings
from kpsim.proxy.rules import PortKey

HEALTHZ_PORT = 10256  # kube-proxy's own, where a Service has no healthCheckNodePort


def program(
    states: Iterable[PortState], config: NodeConfig, settings: WinkernelSettings, choice: Choice
) -> WindowsRules:
    """Return all load balancers and endpoints for ``states``; ``choice`` chooses each port's endpoints."""
    policies: list[LoadBalancer] = []
    endpoints: dict[str, HnsEndpoint] = {}
    checks: set[PortKey] = set()
    unserved: dict[PortKey, str] = {}
    for state in states:
        info, backends = state.info, choice(state, config)
        if not backends.inside(info):
            unserved[PortKey(info.cluster_ip, info.protocol, info.port)] = info.label
        policies += _load_balancers(state, config, settings, backends)
        for check in _health_checks(state, config, settings, backends):
            policies += [check] if check.key not in checks else []  # all ports of a Service share it
            checks.add(check.key)
        if settings.overlay:
            endpoints.setdefault(info.cluster_ip, HnsEndpoint(info.cluster_ip, True, 1))
        for endpoint in backends.everybody:
            held = endpoints.setdefault(endpoint.ip, HnsEndpoint(endpoint.ip, not endpoint.local))
            endpoints[endpoint.ip] = replace(held, references=held.references + (not endpoint.local))
    granted: dict[PortKey, LoadBalancer] = {}
    own: dict[int, int] = {}
    for policy in policies:
        granted.setdefault(policy.key, policy)
        own[policy.row] = own.get(policy.row, 0) + len(policy.endpoints)
    return WindowsRules(
        dispatch=len(policies),
        own=own,
        config=config,
        policies=tuple(policies),
        granted=granted,
        endpoints=endpoints,
        unserved=unserved,
    )


def _load_balancers(
    state: PortState, config: NodeConfig, settings: WinkernelSettings, backends: Backends
) -> Iterator[LoadBalancer]:
    """Yield the load balancers of one service port."""
    info = state.info
    inside, outside = backends.inside(info), backends.outside(info)
    fronts = [(Kind.CLUSTER_IP, info.cluster_ip, info.port)] if inside else []
    if outside:
        fronts += [(Kind.NODE_PORT, "", info.node_port)] if info.node_port else []
        fronts += [(Kind.EXTERNAL_IP, ip, info.port) for ip in info.external_ips]
        fronts += [(Kind.INGRESS_IP, ip, info.port) for ip in info.load_balancer_vips]
    for kind, vip, port in fronts:
        yield LoadBalancer(
            kind=kind,
            service=info.service,
            label=info.label,
            vip=vip,
            protocol=info.protocol,
            external_port=port,
            internal_port=backends.everybody[0].port,
            endpoints=inside if kind == Kind.CLUSTER_IP else outside,
            source_vip=_source_vip(config, settings),
            dsr=settings.enable_dsr if kind == Kind.CLUSTER_IP else info.external_policy_local,
            affinity=info.affinity_s > 0,
            row=state.row,
        )


def _health_checks(
    state: PortState, config: NodeConfig, settings: WinkernelSettings, backends: Backends
) -> Iterator[LoadBalancer]:
    """Load balancers that lead a cloud's health checks to the node itself."""
    info = state.info
    if not settings.forward_health_check_vip or not backends.outside(info):
        return
    port = info.health_check_node_port or HEALTHZ_PORT
    node = EndpointInfo(config.node_ips[0], port, local=True)
    source = _source_vip(config, settings)
    for ip in info.load_balancer_vips:
        yield LoadBalancer(
            Kind.HEALTH_CHECK, info.service, info.service, ip, info.protocol, port, port, (node,), source, row=state.row
        )


def _source_vip(config: NodeConfig, settings: WinkernelSettings) -> str:
    """Return the sender that an endpoint sees without direct server return."""
    return settings.source_vip or config.node_ips[0]
