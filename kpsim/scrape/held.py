"""One node's kube-proxy holds service ports after some deliveries, and the exact rules made of them.

Rules are made and written out anew for the one sync that is asked about, so these numbers are exact, at the price of
making all rules of a node.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kpsim.proxy.contract import stories
from kpsim.proxy.node import NodeConfig, PortState, categorize
from kpsim.proxy.states import NodeView, node_config
from kpsim.proxy.sync.timeline import leaving_at_start, usable_at_start
from kpsim.scrape.proxier import Proxier


def _config(proxier: Proxier) -> NodeConfig:
    """Return the settings of kube-proxy on the node."""
    scenario, cluster = proxier.replication.scenario, proxier.cluster
    name, version = cluster.node_name(proxier.node), scenario.kubernetes_version
    config = node_config(cluster, name, scenario.cluster.pod_cidr, scenario.kube_proxy, version)
    return replace(config, ip_family=proxier.ip_family)


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
    return tuple(view.port_states())


def rules_by_table(proxier: Proxier, prefix: int, changed: frozenset[str] | None = None) -> dict[str, int]:
    """Return the number of rules in each netfilter table that a sync after ``prefix`` deliveries writes.

    All of them, or if it is a partial sync what it writes after ``changed`` Services ("namespace/name") have.
    """
    counts: dict[str, int] = {}
    table = ""
    programmed = proxier.mode.program(_ports(proxier, prefix), _config(proxier))
    for line in stories(proxier.mode, programmed).text(changed):
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
