"""Many Services of every kind for one node, and what becomes of them in two changes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from kpsim.proxy.node import EndpointInfo, NodeConfig, PortInfo, PortState

__all__ = ["CONFIG", "Step", "crowd", "steps"]

CONFIG = NodeConfig(name="node", node_ips=("192.0.2.1",), service_cidrs=("10.96.0.0/12",))
ENDPOINTS = 4
LATER_S = 100.0  # more than a syncPeriod
CLUSTER_IPS, PODS, EXTERNAL_IPS, VIPS = (
    int(IPv4Address(first)) for first in ("10.96.0.0", "10.128.0.0", "198.18.0.0", "198.19.0.0")
)


@dataclass(frozen=True)
class Step:
    """The Services after a change, who changed, and when."""

    states: tuple[PortState, ...]
    changed: tuple[str, ...]
    now_s: float


def crowd(services: int) -> tuple[PortState, ...]:
    """``services`` Services: eight kinds in turn, of which ClusterIP with four endpoints is the first."""
    return tuple(_service(i) for i in range(services))


def _service(i: int) -> PortState:
    info = PortInfo(f"ns{i % 7}", f"svc{i}", "p80", "TCP", _at(CLUSTER_IPS, i + 10), 80)
    node_port, local = 20_000 + i, i % 16 < 8  # half of those with a choice have endpoints on this node
    kinds = (
        info,
        replace(info, protocol="UDP", port=53, port_name="dns"),
        replace(info, affinity_s=10_800) if i % 32 == 2 else info,  # each is several tables of the kernel's
        replace(info, type="NodePort", node_port=node_port),
        replace(info, type="NodePort", node_port=node_port, external_policy_local=True, internal_local=i % 32 == 4),
        replace(
            info,
            type="LoadBalancer",
            node_port=node_port,
            load_balancer_vips=(_at(VIPS, i),),
            source_ranges=("203.0.113.0/24", "192.0.2.0/28"),
            external_policy_local=not local,
            health_check_node_port=node_port + 20_000,
        ),
        replace(info, external_ips=(_at(EXTERNAL_IPS, i),), protocol="SCTP"),
        replace(info, type="NodePort", node_port=node_port),
    )
    endpoints = () if i % 8 == 7 else _endpoints(i, local)
    return PortState(kinds[i % 8], endpoints, i, i)


def _endpoints(i: int, local: bool) -> tuple[EndpointInfo, ...]:
    made = [EndpointInfo(_at(PODS, i * ENDPOINTS + k + 10), 8080, local=local and k < 2) for k in range(ENDPOINTS)]
    return tuple(sorted(made, key=lambda e: e.address))


def _at(first: int, i: int) -> str:
    return str(IPv4Address(first + i))


def steps(states: tuple[PortState, ...]) -> list[Step]:
    """Everything; one endpoint of the first Service is another; a syncPeriod later the last one with any is gone."""
    first, *rest = states
    gone = next(state.info for state in reversed(states) if state.endpoints)
    another = EndpointInfo("10.191.255.9", 8080)
    moved = replace(first, endpoints=tuple(sorted((*first.endpoints[1:], another), key=lambda e: e.address)))
    return [
        Step(states, (), 0.0),
        Step((moved, *rest), (first.info.service,), 1.0),
        Step(tuple(s for s in (moved, *rest) if s.info != gone), (gone.service,), LATER_S),
    ]
