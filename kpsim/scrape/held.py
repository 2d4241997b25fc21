"""What one node's kube-proxy held after some deliveries: service ports, and the exact rules made of them.

Rules are made and written out anew for the one sync that is asked about, so these numbers are exact, at the price of
making all rules of a node.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np

from kpsim.proxy.node import NodeConfig, PortState, categorize
from kpsim.proxy.rules import NodeView
from kpsim.proxy.states import node_config, sliced_states
from kpsim.proxy.sync.timeline import leaving_at_start, usable_at_start
from kpsim.scrape.proxier import Proxier


def _config(proxier: Proxier) -> NodeConfig:
    """The settings of kube-proxy on the node."""
    scenario, cluster = proxier.replication.scenario, proxier.cluster
    name, version = cluster.node_name(proxier.node), scenario.kubernetes_version
    config = node_config(cluster, name, scenario.cluster.pod_cidr, scenario.kube_proxy, version)
    return replace(config, ip_family=f"IPv{proxier.family}")


def _ports(proxier: Proxier, prefix: int) -> Sequence[PortState]:
    """Service ports as the proxier knows them after ``prefix`` deliveries."""
    cluster, pod_ip = proxier.cluster, proxier.replication.changes.pod_ip
    offset, pods = usable_at_start(cluster)
    known = np.flatnonzero((np.arange(len(offset) - 1) < cluster.initial) & cluster.services.proxied).tolist()
    usable: dict[int, Sequence[int]] = {s: pods[offset[s] : offset[s + 1]].tolist() for s in known}
    leaving = leaving_at_start(cluster)
    for delivery in proxier.run.log.rows[:prefix]:
        usable[delivery.service], leaving[delivery.service] = delivery.usable, delivery.leaving
    here = cluster.homes(len(pod_ip)) == proxier.node
    view = NodeView(cluster, usable, proxier.replication.order, pod_ip, leaving=leaving, here=here)
    return tuple(_exact(proxier, view, {row.service for row in proxier.run.log.rows[:prefix]}))


def _exact(proxier: Proxier, view: NodeView, touched: Collection[int]) -> Iterator[PortState]:
    """Service ports, with what EndpointSlices that were read say of each where nothing has changed since."""
    cluster, config = proxier.cluster, _config(proxier)
    read: dict[int, PortState] = {}
    for s in range(cluster.initial) if cluster.slices and proxier.family == 4 else ():
        slices = cluster.slices.get(cluster.names[s], ())
        if slices and s not in touched:
            read |= {state.port: state for state in sliced_states(cluster, s, slices, config)}
    yield from (read.get(state.port, state) for state in view.port_states())


def rules_by_table(proxier: Proxier, prefix: int, changed: frozenset[str] | None = None) -> dict[str, int]:
    """Rules of each netfilter table that a sync after ``prefix`` deliveries writes.

    All of them, or if it is a partial sync what it writes after ``changed`` Services ("namespace/name") have.
    """
    counts: dict[str, int] = {}
    table = ""
    rules = proxier.mode.exact(_ports(proxier, prefix), _config(proxier))
    for line in proxier.mode.text(rules, changed):
        if line.startswith("*"):
            table = line[1:]
            counts[table] = 0
        elif line.startswith("-A "):
            counts[table] += 1
    return counts


def without_local(proxier: Proxier, prefix: int) -> dict[str, int]:
    """Service ports with endpoints somewhere but none on this node, by the traffic policy that asks for some.

    Source: pkg/proxy/iptables/proxier.go (serviceNoLocalEndpointsTotalInternal and …External).
    """
    counts = {"external": 0, "internal": 0}
    services = proxier.cluster.services
    if not (services.internal_local | services.external_local).any():
        return counts
    config = _config(proxier)
    for port in _ports(proxier, prefix):
        info = port.info
        chosen = categorize(info, port.endpoints, config)
        if info.uses_local and chosen.has_endpoints and not chosen.local:
            counts["internal"] += info.internal_local
            counts["external"] += info.external_local
    return counts
