"""The size of a run in counts of what takes time and memory, from the scenario alone: nothing is laid out or drawn.

They are expected values, and what cannot be known without a simulation is what there can be at most.  What one of each
takes is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kpsim.cluster.changes import NEVER
from kpsim.cluster.params import EndpointCount
from kpsim.dns.capacity import autoscaled_replicas, saturation_per_s
from kpsim.dns.lookups import HOPELESS, OTHERS, PAIR
from kpsim.history.events import Event
from kpsim.ingress.params import ControllerTimings, IngressParams
from kpsim.kube.objects import KubeObjects
from kpsim.profiles.defaults import load_defaults
from kpsim.scenario.model import Scenario
from kpsim.simulation.setting import KEPT_PACKETS, PACKETS_AT_ONCE, mode_of
from kpsim.traffic.connections import extent

ROWS_OF_A_POD = 7  # of the history, where a Pod is replaced: the old one, the new one, and what their kubelets post
WRITES_OF_A_POD = 4  # of EndpointSlices, at most
SHORTEST_SYNC_S = 0.25  # beside minSyncPeriod: a sync that is never idle takes at least about this
IDLE_S = 30.0  # until the next sync, where nothing asks for one and the mode has no period of its own
HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Amount:
    """A count in all replications and modes together, and the most of it that one process holds at once."""

    total: float
    at_once: float


@dataclass(frozen=True, slots=True)
class _Cluster:
    """The cluster, and the changes of one replication."""

    services: float
    ports: float
    endpoints: float
    nodes: float
    changes: float
    writes: float  # to every kube-proxy
    listed: float  # endpoints of the Services written, all together

    @staticmethod
    def of(scenario: Scenario) -> _Cluster:
        groups, objects, churn, run = scenario.groups, scenario.objects, scenario.churn, scenario.run
        created = churn.services_created_per_s * run.duration_s
        pods = float(len(objects.pods) + sum(len(s.endpoints) for s in objects.slices)) + _made(objects, scenario)
        endpoints = sum(float(g.count) * _mean(g.endpoints) for g in groups) + pods
        services = float(sum(g.count for g in groups)) + len(objects.services) + created
        ports = sum(float(g.count) * g.ports for g in groups) + sum(len(s.ports) for s in objects.services) + created
        replaced = churn.pod_replacements_per_s * run.duration_s
        touched = sum(_touched(event, scenario, endpoints) for event in scenario.events)
        qps = scenario.controller_manager.qps or load_defaults().value("controller_manager.kube_api_qps")
        burst = scenario.controller_manager.burst or load_defaults().value("controller_manager.kube_api_burst")
        writes = min(WRITES_OF_A_POD * (replaced + touched), qps * run.duration_s + burst) + 2 * created
        changes = ROWS_OF_A_POD * (replaced + touched) + created
        alike = sum(float(g.count) * _mean(g.endpoints) ** 2 for g in groups) + _square(objects, scenario)
        listed = writes * alike / endpoints if endpoints else 0.0  # a Pod that changes is one of many, most likely
        return _Cluster(services, ports, endpoints, float(scenario.cluster.nodes), changes, writes, listed)


def amounts(scenario: Scenario, engine: str) -> dict[str, Amount]:
    """Return what the run of ``scenario`` by ``engine`` ("reference" or "batch") takes, by name.

    >>> amounts(Scenario("small"), "batch")["nodes"]
    Amount(total=15.0, at_once=3.0)
    """
    runs, modes, cluster = float(scenario.run.replications), float(len(scenario.modes)), _Cluster.of(scenario)
    found = {
        "services": Amount(cluster.services, cluster.services),
        "service_ports": Amount(cluster.ports, cluster.ports),
        "endpoints": Amount(cluster.endpoints, cluster.endpoints),
        "nodes": Amount(runs * cluster.nodes, cluster.nodes),
        "changes": Amount(runs * cluster.changes, cluster.changes),
        "observations": Amount(runs * modes, runs * modes),
        "workers": Amount(runs, float(scenario.controller_manager.concurrent_service_endpoint_syncs or 0)),
    }
    for name, total, at_once in (*_of_syncs(scenario, cluster, engine), *_of_traffic(scenario, cluster, engine)):
        found[name] = Amount(runs * total, at_once)
    return found


def longest_axis(scenario: Scenario) -> float:
    """Return how much of the longest axis of time a node's queues fill, one after another, as a share."""
    seen = extent(scenario.traffic, 1, scenario.run.duration_s, scenario.run.warmup_s, scenario.run.packets)
    return 4e9 * scenario.run.duration_s * seen.windows * scenario.cluster.cores / NEVER


def _mean(endpoints: EndpointCount) -> float:
    if endpoints.distribution == "uniform":
        return (endpoints.min + (endpoints.max or endpoints.min)) / 2
    return min(max(endpoints.mean, endpoints.min), float("inf") if endpoints.max is None else endpoints.max)


def _made(objects: KubeObjects, scenario: Scenario) -> float:
    """Return the Pods that the read workloads ask for."""
    return sum(float(scenario.cluster.nodes if w.replicas is None else w.replicas) for w in objects.workloads)


def _square(objects: KubeObjects, scenario: Scenario) -> float:
    """Return the squares of the numbers of Pods behind what was read, all together."""
    sizes = [float(scenario.cluster.nodes if w.replicas is None else w.replicas) for w in objects.workloads]
    slices = [float(len(each.endpoints)) for each in objects.slices]
    return sum(size**2 for size in (*sizes, *slices)) + len(objects.pods)


def _touched(event: Event, scenario: Scenario, endpoints: float) -> float:
    """Return the Pods that an event replaces, makes or stops, at most."""
    if event.service_named():
        groups = [_mean(g.endpoints) for g in scenario.groups]
        return max(*groups, _made(scenario.objects, scenario), 1.0) + getattr(event, "replicas", 0)
    if hasattr(event, "zone"):
        return endpoints / min(scenario.cluster.zones, scenario.cluster.nodes)
    return endpoints * min(getattr(event, "count", 0) / scenario.cluster.nodes, 1.0)


def _of_syncs(scenario: Scenario, cluster: _Cluster, engine: str) -> Iterator[tuple[str, float, float]]:
    """Yield the work of kube-proxies and of the watch: of all modes in a replication, and of one alone."""
    duration_s, faults = scenario.run.duration_s, scenario.faults
    again = (faults.restarts_per_hour + faults.flushes_per_hour) * duration_s / HOUR_S
    families = len(scenario.cluster.ip_families)
    rows = []
    for name in scenario.modes:
        runner = mode_of(scenario, name)[0].runner(scenario.kubernetes_version)
        idle = duration_s / max(min(runner.idle_s, runner.full_s or runner.idle_s) or IDLE_S, SHORTEST_SYNC_S)
        rows.append(families * min(duration_s / max(runner.min_sync_s, SHORTEST_SYNC_S), cluster.writes + idle + again))
    modes = len(rows)
    deliveries = families * cluster.writes
    yield "faults", modes * again * cluster.nodes, again * cluster.nodes
    yield "fault_rows", modes * again, again
    yield "deliveries", modes * deliveries, deliveries
    yield "listed_endpoints", modes * families * cluster.listed, families * cluster.listed
    yield "node_deliveries", modes * deliveries * cluster.nodes, 0.0
    if engine == "reference":
        yield "processed_deliveries", modes * deliveries * cluster.nodes, cluster.nodes
        yield "processed_syncs", sum(rows) * cluster.nodes, max(rows) * cluster.nodes
    else:
        yield "syncs", sum(rows), max(rows)
        yield "node_syncs", sum(rows) * cluster.nodes, max(rows) * cluster.nodes


def _of_traffic(scenario: Scenario, cluster: _Cluster, engine: str) -> Iterator[tuple[str, float, float]]:
    """Yield connections, packets, lookups and requests: of all modes in a replication, and of one alone."""
    run, traffic, modes = scenario.run, scenario.traffic, len(scenario.modes)
    seen = extent(traffic, scenario.cluster.nodes, run.duration_s, run.warmup_s, run.packets // run.replications)
    connections = seen.connections(traffic.connections_per_s_per_node) if cluster.ports else 0.0
    packets = connections * traffic.packets_per_connection
    kept = engine == "reference" or scenario.dns.clients_use_names or packets <= KEPT_PACKETS
    served = min(packets, PACKETS_AT_ONCE + packets / seen.nodes)  # whole nodes at a time
    yield "connections", (1 if kept else modes) * connections, connections if kept else 0.0
    yield "kept_packets", packets if kept else 0.0, packets if kept else 0.0
    yield "sampled_nodes", modes * float(seen.nodes), float(seen.nodes)
    if engine == "reference":
        yield "processed_packets", modes * packets, packets
    else:
        yield "packets", modes * packets, served
    if scenario.dns.clients_use_names:
        yield from _of_names(scenario, connections, seen.nodes, seen.windows * (seen.length_s + seen.lead_s))
    if scenario.ingress is not None:
        yield from _of_requests(scenario.ingress, run.duration_s, modes)


def _of_names(
    scenario: Scenario, connections: float, nodes_seen: int, seen_s: float
) -> Iterator[tuple[str, float, float]]:
    dns, nodes, rate = scenario.dns, scenario.cluster.nodes, scenario.traffic.connections_per_s_per_node
    tries = len(dns.tries())
    replicas = dns.replicas or autoscaled_replicas(nodes, nodes * scenario.cluster.cores)
    capacity_per_s = HOPELESS * saturation_per_s(dns.cores_per_replica * replicas).value  # more is refused
    asked_per_s = min(PAIR * tries * rate * nodes + dns.other_queries_per_s, capacity_per_s)
    own_per_s = PAIR * tries * rate * nodes_seen
    simulated = min(max(OTHERS * replicas * own_per_s / max(asked_per_s, 1.0), 1.0), replicas)
    beside = simulated * asked_per_s / replicas * seen_s / PAIR
    lookups = (1 if tries == 1 else 2) * (connections * tries + beside)
    yield "lookups", lookups, lookups
    cores = simulated * dns.cores_per_replica
    yield "dns_cores", cores, cores


def _of_requests(ingress: IngressParams, duration_s: float, modes: int) -> Iterator[tuple[str, float, float]]:
    requests = ingress.requests_per_s * duration_s * ControllerTimings.of(ingress).tries
    yield "requests", modes * requests, requests
    workers = float(ingress.replicas) * ingress.cores
    yield "ingress_workers", modes * workers, workers
