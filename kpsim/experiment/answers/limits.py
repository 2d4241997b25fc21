"""How far a cluster is from Kubernetes' limits, hard and soft, without simulating anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from kpsim.cluster.columns import Cluster
from kpsim.experiment.result import Limit
from kpsim.kube.allocator import ClusterIPAllocator
from kpsim.profiles.defaults import load_defaults
from kpsim.proxy.sync.timeline import start_counts
from kpsim.scenario.model import Scenario
from kpsim.simulation import mode_of

__all__ = ["limits_of"]


def limits_of(scenario: Scenario, cluster: Cluster) -> tuple[Limit, ...]:
    """Every limit with its use, in order of the share used."""
    defaults = load_defaults()
    services = cluster.services
    first, last = scenario.cluster.service_node_port_range
    proxied = bool(services.proxied[: cluster.initial].any())
    traffic = scenario.traffic
    entries = proxied * traffic.conntrack_entries(defaults.value("limits.conntrack_time_wait"))
    proxy = scenario.kube_proxy
    table = max(proxy.conntrack_max_per_core * cluster.cores, proxy.conntrack_min)
    namespaces = Counter(_namespaces(scenario))
    endpoints = np.diff(cluster.endpoint_offset)

    def soft(name: str, key: str, used: float, unit: str) -> Limit:
        coefficient = defaults.coefficients[f"limits.{key}"]
        return Limit(name, "soft", used, coefficient.value, unit, defaults.text.sources[coefficient.source])

    found = [
        Limit(
            "ClusterIPs", "hard", int((services.cluster_ip > 0).sum()),
            ClusterIPAllocator(scenario.cluster.service_cluster_ip_range).usable, "addresses",
            f"spec.cluster.serviceClusterIPRange {scenario.cluster.service_cluster_ip_range}",
        ),
        Limit("NodePorts", "hard", int(services.node_ports.sum()), last - first + 1, "ports",
              f"--service-node-port-range {first}-{last}"),
        Limit("conntrack entries a node", "hard", round(entries), table, "entries",
              "KubeProxyConfiguration conntrack.maxPerCore and min; entries live for the connection and TIME_WAIT"),
        soft("nodes", "nodes", cluster.nodes, "nodes"),
        soft("Services", "services", cluster.initial, "Services"),
        soft("Services in a namespace", "services_per_namespace", max(namespaces.values(), default=0), "Services"),
        soft("endpoints of a Service", "endpoints_per_service", int(endpoints.max(initial=0)), "endpoints"),
        soft("Pods behind Services", "pods", cluster.pods, "Pods"),
        soft("Pod churn", "churn", 2 * scenario.churn.pod_replacements_per_s, "creations and deletions a second"),
    ]  # fmt: skip
    found += _of_modes(scenario, cluster, proxied * traffic.conntrack_entries(0.0))
    return tuple(sorted(found, key=lambda limit: (-limit.share, limit.name)))


def _of_modes(scenario: Scenario, cluster: Cluster, open_connections: float) -> Iterator[Limit]:
    """What a node can run out of under each mode; ``open_connections`` by Little's law."""
    defaults = load_defaults()
    for name in dict.fromkeys((scenario.kube_proxy.mode, *scenario.modes)):
        mode, _ = mode_of(scenario, name)
        counts = start_counts(cluster, mode)
        ports = cluster.services.ports * cluster.services.proxied * (np.arange(len(counts.own)) < cluster.initial)
        endpoints = float((np.diff(cluster.endpoint_offset) * ports).sum())
        for resource in mode.resources():
            coefficient = defaults.coefficients[resource.limit]
            used = (
                resource.per_connection * open_connections
                + resource.per_service_port * float(ports.sum())
                + resource.per_endpoint * endpoints
                + resource.per_dispatch * float(counts.dispatch.sum())
                + resource.per_own * float(counts.own.sum())
            )
            source = defaults.text.sources[coefficient.source]
            yield Limit(f"{name}: {resource.name}", "hard", round(used), coefficient.value, resource.unit, source)


def _namespaces(scenario: Scenario) -> dict[str, int]:
    count: Counter[str] = Counter(s.namespace for s in scenario.objects.services)
    for group in scenario.groups:
        count[group.namespace] += group.count
    return dict(count)
