"""The agent fills one node's maps: frontends with their backends, numbered in the order they are met.

A service port has a frontend at its ClusterIP, external and load-balancer addresses, and two for its NodePort: at the
node's own address and at the wildcard, which sockets of this node are answered by at any other address of the node.
Where externalTrafficPolicy and internalTrafficPolicy differ, NodePorts and load balancers are there twice, with the
backends of either policy; external addresses only have the external one.  A frontend without backends stays, empty.
Topology hints are not looked at, as is Cilium's default.  Left out: nodes with several devices (a NodePort would have
a frontend for each), host ports, local redirects.
Source: pkg/loadbalancer/reflectors/conversions.go (convertService, convertEndpoints), writer (selection of backends),
reconciler/bpf_reconciler.go (updateFrontend).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from kpsim.modes.ebpf.rules import ANY, Backend, EbpfRules, Frontend, FrontendKey
from kpsim.proxy.node import EndpointInfo, NodeConfig, PortInfo, PortState

NODE_PORT_FRONTENDS = 2  # the wildcard, and the address of the node's one device


def program(states: Iterable[PortState], config: NodeConfig) -> EbpfRules:
    """Return the maps for ``states``."""
    numbers: dict[tuple[str, int, str], Backend] = {}
    frontends: list[Frontend] = []
    own: dict[int, int] = {}
    for state in states:
        for kind, key, endpoints in _wanted(state, config):
            backends = tuple(_backend(numbers, endpoint, key.protocol) for endpoint in endpoints)
            made = _frontend(state, kind, key, 1 + len(frontends), backends)
            frontends.append(made)
            own[state.row] = own.get(state.row, 0) + made.entries
    found: dict[FrontendKey, Frontend] = {}
    for frontend in frontends:
        found.setdefault(frontend.key, frontend)
    return EbpfRules(
        dispatch=len(frontends),
        own=own,
        owner={str(key): frontend.service for key, frontend in found.items()},
        config=config,
        frontends=tuple(frontends),
        services=found,
    )


def _wanted(state: PortState, config: NodeConfig) -> Iterator[tuple[str, FrontendKey, Sequence[EndpointInfo]]]:
    """Yield every frontend of a service port: its kind, its key, and the endpoints that take its connections."""
    info = state.info
    everybody, mine = _able(state.endpoints), _able([e for e in state.endpoints if e.local])
    inside = mine if info.internal_local else everybody
    outside = mine if info.external_policy_local else everybody
    two_scopes = info.internal_local != info.external_policy_local
    yield "ClusterIP", FrontendKey(info.cluster_ip, info.port, info.protocol), inside
    for kind, ip, port in _entrances(info, config):
        yield kind, FrontendKey(ip, port, info.protocol), outside
        if two_scopes:
            yield kind, FrontendKey(ip, port, info.protocol, internal=True), inside
    for ip in info.external_ips:
        yield "ExternalIPs", FrontendKey(ip, info.port, info.protocol), outside


def _entrances(info: PortInfo, config: NodeConfig) -> Iterator[tuple[str, str, int]]:
    """NodePort and load-balancer addresses: those that may have two scopes."""
    if info.node_port:
        any_address = ANY[config.ip_family == "IPv6"]
        yield from (("NodePort", ip, info.node_port) for ip in (any_address, *config.node_ips[:1]))
    yield from (("LoadBalancer", ip, info.port) for ip in info.load_balancer_vips)


def _able(endpoints: Sequence[EndpointInfo]) -> list[EndpointInfo]:
    """Return the ready ones; if there is none, those that serve while they terminate."""
    return [e for e in endpoints if e.ready] or [e for e in endpoints if e.serving and e.terminating]


def _backend(numbers: dict[tuple[str, int, str], Backend], endpoint: EndpointInfo, protocol: str) -> Backend:
    key = endpoint.ip, endpoint.port, protocol
    if key not in numbers:
        numbers[key] = Backend(1 + len(numbers), *key, local=endpoint.local, pod=endpoint.pod)
    return numbers[key]


def _frontend(state: PortState, kind: str, key: FrontendKey, number: int, backends: tuple[Backend, ...]) -> Frontend:
    info = state.info
    return Frontend(
        key=key,
        kind=kind,
        number=number,
        backends=backends,
        service=info.service,
        row=state.row,
        affinity_s=info.affinity_s,
        source_ranges=info.source_ranges,
        external_local=info.external_policy_local,
        internal_local=info.internal_local,
    )
