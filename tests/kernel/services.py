"""The Services of the town: one of each kind whose packets end differently."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

from kpsim.proxy.node import EndpointInfo, NodeConfig, PortInfo, PortState
from tests.kernel.town import NODE, OUTSIDE, PODS, SECOND, TARGET_PORT

__all__ = ["ABSENT", "CONFIG", "EVERY_KIND", "SERVICES", "STATES", "destinations", "unrefused", "without"]

CONFIG = NodeConfig(
    name="node", node_ips=(NODE,), local_ips=(SECOND,), pod_cidr="10.128.0.0/10", service_cidrs=("10.96.0.0/16",)
)
ENDPOINTS = tuple(EndpointInfo(ip, TARGET_PORT, local=i < 2) for i, ip in enumerate(PODS[1:]))
FIRST, SECOND_LOCAL, ELSEWHERE = ENDPOINTS
EXTERNAL = "203.0.113."  # where external and load-balancer addresses begin
ABSENT = "10.96.0.250"  # no Service has it, and one could


def _service(number: int, name: str) -> PortInfo:
    return PortInfo("town", name, "http", "TCP", f"10.96.0.{number}", 80)


def _open(number: int, name: str) -> PortInfo:
    """Open to the world in every way there is."""
    return replace(
        _service(number, name),
        type="LoadBalancer",
        node_port=30_000 + number,
        external_ips=(f"{EXTERNAL}{number}",),
        load_balancer_vips=(f"{EXTERNAL}{100 + number}",),
    )


STATES = (
    PortState(_open(10, "web"), ENDPOINTS, 0, 0),
    PortState(replace(_open(11, "sticky"), affinity_s=10_800), ENDPOINTS, 1, 1),
    PortState(replace(_open(12, "here"), external_policy_local=True), ENDPOINTS, 2, 2),
    PortState(replace(_open(13, "away"), external_policy_local=True), (ELSEWHERE,), 3, 3),
    PortState(_open(14, "nobody"), (), 4, 4),
    PortState(replace(_open(15, "fenced"), source_ranges=(f"{OUTSIDE}/32",)), ENDPOINTS, 5, 5),
    PortState(_service(16, "self"), (FIRST,), 6, 6),
    PortState(replace(_service(17, "inside"), internal_local=True), ENDPOINTS, 7, 7),
    PortState(replace(_service(18, "estranged"), internal_local=True), (ELSEWHERE,), 8, 8),
    PortState(replace(_open(19, "keyed"), source_ranges=(f"{NODE}/32",)), (FIRST, ELSEWHERE), 9, 9),
)
SERVICES = {state.info.name: state.info for state in STATES}


def without(endpoint: str) -> tuple[PortState, ...]:
    """The same Services after one endpoint has gone."""
    return tuple(replace(s, endpoints=tuple(e for e in s.endpoints if e.ip != endpoint)) for s in STATES)


def _leaving(endpoint: EndpointInfo) -> EndpointInfo:
    return replace(endpoint, ready=False, terminating=True)


POPULATIONS: tuple[tuple[EndpointInfo, ...], ...] = (
    (),
    (FIRST,),
    (ELSEWHERE,),
    (FIRST, ELSEWHERE),
    (_leaving(FIRST), ELSEWHERE),
    (_leaving(FIRST), _leaving(ELSEWHERE)),
)


def _every_kind() -> tuple[PortState, ...]:
    """Both policies, with and without source ranges, and endpoints here, elsewhere, leaving and nowhere."""
    found = []
    for i, (endpoints, external_local, internal_local, ranges) in enumerate(
        product(POPULATIONS, (False, True), (False, True), ((), (f"{OUTSIDE}/32",)))
    ):
        info = replace(
            _open(20 + i, f"kind-{i}"),
            external_policy_local=external_local,
            internal_local=internal_local,
            source_ranges=ranges,
        )
        found.append(PortState(info, endpoints, i, i))
    return tuple(found)


EVERY_KIND = _every_kind()


def destinations(states: Sequence[PortState]) -> list[tuple[str, int]]:
    """Every address and port of some Services, a port that the first does not have, and an address that none has."""
    found = [(ABSENT, 80), (states[0].info.cluster_ip, 81)]
    for info in (state.info for state in states):
        found += [(ip, info.port) for ip in (info.cluster_ip, *info.external_ips, *info.load_balancer_vips)]
        found += [(ip, info.node_port) for ip in (NODE, SECOND) if info.node_port]
    return found


def unrefused(states: Sequence[PortState]) -> list[tuple[str, int]]:
    """Outer addresses of Services without endpoints, at which iptables refuses all but what the node itself sends."""
    infos = [state.info for state in states if not state.endpoints]
    return [(ip, info.port) for info in infos for ip in (*info.external_ips, *info.load_balancer_vips)]
