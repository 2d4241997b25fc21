"""Windows nodes choose the endpoints that take a service port's traffic here.

Windows' kube-proxy does not ask pkg/proxy/topology.go as the others do.  It has no topology hints, and looks at
terminating endpoints only for Services with a load-balancer address: then, if all that are not merely unready
terminate (under externalTrafficPolicy: Local, all of this node), those that still serve are taken; and if none serves
at all (on this node), everybody is, for the ClusterIP alone.  So with that policy and an address, a node without
endpoints of its own sends ClusterIP traffic to unready Pods too.
Source: pkg/proxy/winkernel/proxier.go (isAllEndpointsTerminating, isAllEndpointsNonServing, syncProxyRules), 1.31 on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kpsim.proxy.node import EndpointInfo, NodeConfig, PortInfo, PortState, categorize


@dataclass(frozen=True, slots=True)
class Backends:
    """Endpoints of a service port that its load balancers may have behind them."""

    everybody: tuple[EndpointInfo, ...]
    local: tuple[EndpointInfo, ...]  # on this node
    available: bool = True  # else only the ClusterIP gets a load balancer

    def inside(self, info: PortInfo) -> tuple[EndpointInfo, ...]:
        """Return the endpoints behind the ClusterIP."""
        return self.local if info.internal_local else self.everybody

    def outside(self, info: PortInfo) -> tuple[EndpointInfo, ...]:
        """Return the endpoints behind the NodePort, external and load-balancer addresses."""
        if not self.available:
            return ()
        return self.local if info.external_policy_local else self.everybody


Choice = Callable[[PortState, NodeConfig], Backends]


def as_winkernel(state: PortState, _: NodeConfig) -> Backends:
    """Return the backends that Windows' kube-proxy chooses among the endpoints."""
    info = state.info
    looked_at = [e for e in state.endpoints if e.local or not info.external_policy_local]
    asks = bool(info.load_balancer_vips)
    terminating = asks and all(e.terminating for e in looked_at if e.ready or e.terminating)
    nobody_serves = asks and not any(e.serving for e in looked_at)
    only_local = info.internal_local and info.external_policy_local
    everybody = tuple(
        e
        for e in state.endpoints
        if (e.local or not only_local) and (nobody_serves or (e.serving and (e.ready or terminating)))
    )
    local = tuple(e for e in everybody if e.local)
    return Backends(everybody, local, available=not terminating and not nobody_serves)


def as_counted(state: PortState, config: NodeConfig) -> Backends:
    """Return the backends of the closed forms: those of all other modes, because the control plane keeps no others."""
    chosen = categorize(state.info, state.endpoints, config)
    return Backends(chosen.cluster if state.info.uses_cluster else chosen.local, chosen.local)
