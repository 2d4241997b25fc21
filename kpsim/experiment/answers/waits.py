"""A cluster of this size takes this long to come into being: things are made one after another or at a limited rate.

Closed forms from what is made and how fast it can be; nothing waits for anything else here, and nothing fails.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kpsim.cluster.columns import Cluster
from kpsim.experiment.answers.census import Census, take_census
from kpsim.experiment.answers.limits import controller_settings, limits_of, seat_limited_writes_per_s
from kpsim.kube.service.writes import allocators_of, provisioning_s, shared_writes
from kpsim.profiles.defaults import load_defaults
from kpsim.scenario.model import Scenario

WORTH_SAYING_S = 1.0
EVERYTHING = "kube-controller-manager --kube-api-qps and --kube-api-burst, its five workers, and the API server's seats"


@dataclass(frozen=True, slots=True)
class Wait:
    """Something that takes time because there is much of it: its expected duration, and between which it may be [s]."""

    name: str
    seconds: float
    low_s: float
    high_s: float
    why: str
    source: str


def waits_of(scenario: Scenario, cluster: Cluster) -> tuple[Wait, ...]:
    """Return the waits of a cluster when all its Services are created at once, the longest first."""
    census = take_census(scenario, cluster)
    found = (*_load_balancers(census), *_slices(scenario, census), *_allocations(scenario, census))
    return tuple(sorted((wait for wait in found if wait.high_s >= WORTH_SAYING_S), key=lambda wait: -wait.seconds))


def _load_balancers(census: Census) -> Iterator[Wait]:
    """The cloud's service controller has one worker, so K load balancers of T each take K x T."""
    count = census.load_balancers
    if count:
        defaults = load_defaults()
        each = defaults.coefficients["cloud.load_balancer"]
        value, low, high = (provisioning_s(count, value) for value in (each.value, each.low, each.high))
        why = f"{count:,} one after another, {each.value:,.0f} s each"
        yield Wait("load balancers", value, low, high, why, defaults.text.sources[each.source])


def _slices(scenario: Scenario, census: Census) -> Iterator[Wait]:
    """Yield the first EndpointSlices: the slowest of the client's bucket, the workers and the API server's seats."""
    defaults, settings = load_defaults(), controller_settings(scenario)
    writes = census.slices(settings.endpoints_per_slice)
    write = defaults.coefficients["api_server.write"]

    def drain(write_s: float) -> float:
        by_client = max(writes - settings.burst, 0) / settings.qps
        by_workers = writes * write_s / settings.workers
        seats = scenario.api_server.priority_and_fairness
        by_seats = writes / seat_limited_writes_per_s(scenario) if seats else 0.0
        return max(by_client, by_workers, by_seats)

    if writes:
        times = (drain(write.value), drain(write.low), drain(write.high))
        yield Wait("first EndpointSlices", *times, f"{writes:,} writes", EVERYTHING)


def _allocations(scenario: Scenario, census: Census) -> Iterator[Wait]:
    """Writes to objects that all allocations share, of which there is one at a time."""
    defaults = load_defaults()
    version = scenario.kubernetes_version
    writes = shared_writes(census.allocations, census.node_ports, version)
    if writes:
        write = defaults.coefficients["api_server.write"]
        what = "ClusterIPs and NodePorts" if "bitmap" in allocators_of(version) else "NodePorts"
        times = (writes * write.value, writes * write.low, writes * write.high)
        source = "kubernetes/kubernetes pkg/registry/core/service/allocator/storage/storage.go, one write at a time"
        yield Wait(f"{what} from their ranges", *times, f"{writes:,} writes to one object each range", source)


def notes_of(scenario: Scenario, cluster: Cluster) -> tuple[str, ...]:
    """Return a sentence for each behaviour that changes at this size without being a limit."""
    return tuple(note for note in (_conntrack(scenario, cluster), _large_cluster(scenario, cluster)) if note)


def _conntrack(scenario: Scenario, cluster: Cluster) -> str:
    """Return the time until a node's conntrack table is full, or that it does not fill; "" without connections.

    Entries live for a connection and TIME_WAIT, so a table begins to lose some once that has passed: it is full before,
    or never.
    """
    limit = next((row for row in limits_of(scenario, cluster) if row.name == "conntrack entries of a node"), None)
    if limit is None or not limit.used:
        return ""
    life_s = scenario.traffic.conntrack_entries(load_defaults().value("limits.conntrack_time_wait"))
    life_s /= scenario.traffic.connections_per_s_per_node
    per_s, most = limit.used / life_s, limit.limit / life_s
    said = f"{per_s:,.4g} connections a second, each an entry for {life_s:,.4g} s"
    if limit.share <= 1:
        return (
            f"conntrack of a node: does not fill; {said}, keep {limit.used:,.0f} of {limit.limit:,.0f} entries; "
            f"it would from {most:,.4g} a second on, after {life_s:,.4g} s"
        )
    return (
        f"conntrack of a node: full after {limit.limit / per_s:,.3g} s, and then drops new connections; {said}, want "
        f"{limit.used:,.0f} of {limit.limit:,.0f} entries; room for them: kubeProxy.conntrack.maxPerCore="
        f"{math.ceil(limit.used / cluster.cores)}"
    )


def _large_cluster(scenario: Scenario, cluster: Cluster) -> str:
    """Return what iptables does otherwise in a large cluster; "" in a small one, or where nothing takes that mode."""
    above = load_defaults().value("kube_proxy.large_cluster_endpoints")
    services = cluster.services
    ports = (services.ports * services.proxied)[: cluster.initial]
    endpoints = int((np.diff(cluster.endpoint_offset)[: cluster.initial] * ports).sum())
    if "iptables" not in (scenario.kube_proxy.mode, *scenario.modes) or endpoints <= above:
        return ""
    counted = f"{endpoints:,} endpoints of service ports are more than {above:,.0f}"
    what = "rules of endpoints lose their comments, stale chains are cleaned up less often"
    return f"iptables: large-cluster mode, because {counted}: {what}"
