"""A cluster's use of Kubernetes' limits, hard and soft, is computed here without simulating anything.

A hard limit refuses or drops what is beyond it; a soft one is what Kubernetes is tested at.  Limits of rates say what
can be done without end: beyond, changes of one Service are taken together and wait for their turn.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kpsim.cluster.columns import Cluster
from kpsim.controlplane.api.seats import PriorityLevel, writes_per_s
from kpsim.controlplane.api.sizes import ObjectSizes
from kpsim.controlplane.params import ControllerSettings
from kpsim.dns.capacity import autoscaled_replicas, memory_bytes, saturation_per_s
from kpsim.dns.lookups import offered_per_s
from kpsim.experiment.answers.census import Census, take_census
from kpsim.experiment.answers.memory import MB, how_known, memory_of
from kpsim.kube.allocator import ClusterIPAllocator, NodePortAllocator
from kpsim.profiles.defaults import Defaults, load_defaults
from kpsim.proxy.sync.timeline import start_counts
from kpsim.scenario.model import Scenario
from kpsim.simulation import mode_of

WRITES_A_REPLACEMENT = 4  # terminating, gone, there, ready: each a write unless taken together
BAND = "addresses at the beginning of the range, meant to be chosen by hand; given out last (KEP-3070)"


@dataclass(frozen=True, slots=True)
class Limit:
    """A hard or soft limit, the used part of it, and its source."""

    name: str
    kind: Literal["hard", "soft"]
    used: float
    limit: float
    unit: str
    source: str

    @property
    def share(self) -> float:
        """Used over limit; above 1 the limit is broken."""
        return self.used / self.limit if self.limit else float("inf")


@dataclass(frozen=True, slots=True)
class _Table:
    """Every row of limits is made from these: scenario, cluster, census, defaults."""

    scenario: Scenario
    cluster: Cluster
    census: Census
    defaults: Defaults

    def from_profile(self, name: str, kind: str, key: str, used: float, unit: str) -> Limit:
        """Return a limit whose value and source are data, under ``limits.<key>`` unless the key has a dot."""
        coefficient = self.defaults.coefficients[key if "." in key else f"limits.{key}"]
        source = self.defaults.text.sources[coefficient.source]
        return Limit(name, "hard" if kind == "hard" else "soft", used, coefficient.value, unit, source)

    def source(self, key: str) -> str:
        return self.defaults.text.sources[self.defaults.coefficients[key].source]


def limits_of(scenario: Scenario, cluster: Cluster) -> tuple[Limit, ...]:
    """Return every limit with its use, in order of the share used."""
    table = _Table(scenario, cluster, take_census(scenario, cluster), load_defaults())
    rows: list[Iterable[Limit]] = [
        _ranges(table), _thresholds(table), _objects(table), _of_nodes(table), _rates(table), _of_modes(table),
        _of_dns(table),
        _of_ingress(table),
    ]  # fmt: skip
    return tuple(sorted((row for part in rows for row in part), key=lambda limit: (-limit.share, limit.name)))


def _ranges(table: _Table) -> Iterator[Limit]:
    """Address and port ranges, and the bands at their beginnings."""
    params, census = table.scenario.cluster, table.census
    first, last = params.service_node_port_range
    ips, ports = ClusterIPAllocator(params.addresses.service_numbers()), NodePortAllocator(first, last)
    given = f"spec.cluster.serviceClusterIPRange {params.service_cluster_ip_range}"
    yield Limit("ClusterIPs", "hard", len(census.cluster_ips), ips.usable, "addresses", given)
    given = f"--service-node-port-range {first}-{last}"
    yield Limit("NodePorts", "hard", census.node_ports, ports.usable, "ports", given)
    if ips.static_band_size:
        used = ips.in_static_band(census.cluster_ips)
        yield Limit("ClusterIPs of the static band", "soft", used, ips.static_band_size, "addresses", BAND)


def _thresholds(table: _Table) -> Iterator[Limit]:
    """Yield the scale within which Kubernetes promises its service levels."""
    cluster, census, churn = table.cluster, table.census, table.scenario.churn
    rows = [
        ("nodes", "nodes", cluster.nodes, "nodes"),
        ("namespaces", "namespaces", len(census.services_in), "namespaces"),
        ("Services", "services", cluster.service_count, "Services"),
        ("Services in a namespace", "services_per_namespace", max(census.services_in.values(), default=0), "Services"),
        ("endpoints of a Service", "endpoints_per_service", int(census.endpoints.max(initial=0)), "endpoints"),
        ("Pods behind Services", "pods", cluster.pods, "Pods"),
        ("Pod churn", "churn", 2 * churn.pod_replacements_per_s, "Pods a second"),
    ]
    for name, key, used, unit in rows:
        yield table.from_profile(name, "soft", key, used, unit)
    deployments = Counter(made.namespace for made in table.scenario.objects.workloads if made.kind == "Deployment")
    if deployments:
        used = max(deployments.values())
        yield table.from_profile("Deployments in a namespace", "soft", "deployments_per_namespace", used, "Deployments")


def _objects(table: _Table) -> Iterator[Limit]:
    """Yield limits on the number and the size of objects."""
    census, params = table.census, table.scenario
    sizes = ObjectSizes.of(params.api_server.object_sizes, table.defaults)
    most = int(census.endpoints.max(initial=0))
    each = controller_settings(params).endpoints_per_slice
    yield table.from_profile("EndpointSlices", "soft", "objects_per_type", census.slices(each), "objects")
    total = census.slices(each) * sizes.slice_bytes + census.memberships * sizes.endpoint_bytes
    yield table.from_profile("bytes of all EndpointSlices", "soft", "bytes_per_type", total, "bytes")
    largest = sizes.endpoint_slice(min(most, each))
    yield table.from_profile("largest EndpointSlice", "hard", "object_bytes", largest, "bytes")
    if params.controller_manager.endpoints_controller:
        limit = table.from_profile(
            "addresses in an Endpoints object", "hard", "endpoints_controller.most_addresses", most, "addresses"
        )
        yield limit
        object_bytes = sizes.endpoints_object(min(most, int(limit.limit)))
        yield table.from_profile("largest Endpoints object", "hard", "object_bytes", object_bytes, "bytes")
    variables = census.environment_bytes  # soft: enableServiceLinks: false does without them
    yield table.from_profile("Service variables of a container", "soft", "exec_bytes", variables, "bytes")


def _of_nodes(table: _Table) -> Iterator[Limit]:
    """Yield limits that each node has of its own: Pods, tracked connections, ports to masquerade with."""
    cluster, scenario, defaults = table.cluster, table.scenario, table.defaults
    traffic, proxy = scenario.traffic, scenario.kube_proxy
    per_core = round(defaults.value("limits.pods_per_core") * cluster.cores)
    most = min(round(defaults.value("limits.pods_per_node")), per_core)
    yield Limit("Pods behind Services on a node", "soft", table.census.pods_on_a_node, most, "Pods",
                table.source("limits.pods_per_node"))  # fmt: skip
    entries = table.census.proxied * traffic.conntrack_entries(defaults.value("limits.conntrack_time_wait"))
    conntrack = max(proxy.conntrack_max_per_core * cluster.cores, proxy.conntrack_min)
    yield Limit("conntrack entries of a node", "hard", round(entries), conntrack, "entries",
                "KubeProxyConfiguration conntrack.maxPerCore and min; entries live for the connection and TIME_WAIT",
                )  # fmt: skip
    entry = defaults.coefficients["limits.conntrack_entry"]
    yield _memory(table, "memory of conntrack entries", entries * entry.value, how_known([(entry, entries)]))
    modes = [name for name in _modes(scenario) if proxy.settings.masquerade_of(name).all]
    if modes:
        life_s = traffic.life_s + defaults.value("limits.snat_time_wait")
        used = table.census.proxied * traffic.connections_per_s_per_node * table.census.busiest_share
        yield Limit("masqueraded to one endpoint", "hard", used,
                    defaults.value("limits.local_ports") / life_s, "a second a node",
                    table.source("limits.local_ports"))  # fmt: skip


def _rates(table: _Table) -> Iterator[Limit]:
    """Yield EndpointSlice writes that churn asks for, against the limits of their writers and their readers."""
    scenario, census = table.scenario, table.census
    churn = scenario.churn
    of_a_pod = census.memberships / max(table.cluster.pods, 1)
    used = WRITES_A_REPLACEMENT * churn.pod_replacements_per_s * of_a_pod + churn.services_created_per_s
    settings = controller_settings(scenario)
    yield Limit("EndpointSlice writes, by client", "hard", used, settings.qps, "writes a second",
                f"kube-controller-manager --kube-api-qps; {table.source('controller_manager.kube_api_qps')}",
                )  # fmt: skip
    if scenario.api_server.priority_and_fairness:
        most = seat_limited_writes_per_s(scenario)
        level = PriorityLevel.of(scenario.api_server, load_defaults())
        source = f"{level.seats} seats, {level.least_seats} to {level.most_seats} by what other levels lend"
        source = f"{source}; {table.source('priority_and_fairness.all_shares')}"
        yield Limit("EndpointSlice writes, by seats", "soft", used, most, "writes a second", source)


def controller_settings(scenario: Scenario) -> ControllerSettings:
    """kube-controller-manager's flags as they hold in the scenario."""
    return ControllerSettings.of(scenario.controller_manager, load_defaults())


def seat_limited_writes_per_s(scenario: Scenario) -> float:
    """EndpointSlice writes a second that the API servers' seats allow, every node watching one of them."""
    defaults, api = load_defaults(), scenario.api_server
    watchers = math.ceil(scenario.cluster.nodes / api.replicas)
    each = writes_per_s(PriorityLevel.of(api, defaults), watchers, defaults.value("api_server.write"))
    return each * api.replicas


def _modes(scenario: Scenario) -> tuple[str, ...]:
    return tuple(dict.fromkeys((scenario.kube_proxy.mode, *scenario.modes)))


def _of_modes(table: _Table) -> Iterator[Limit]:
    """Yield limits that a node can run into under each mode; open connections follow from Little's law."""
    scenario, cluster = table.scenario, table.cluster
    open_connections = table.census.proxied * scenario.traffic.conntrack_entries(0.0)
    for name in _modes(scenario):
        mode, _ = mode_of(scenario, name)
        counts = start_counts(cluster, mode)
        ports = cluster.services.ports * cluster.services.proxied * (np.arange(len(counts.own)) < cluster.initial)
        endpoints = float((np.diff(cluster.endpoint_offset) * ports).sum())
        for resource in mode.resources():
            used = (
                resource.per_connection * open_connections
                + resource.per_service_port * float(ports.sum())
                + resource.per_endpoint * endpoints
                + resource.per_dispatch * float(counts.dispatch.sum())
                + resource.per_own * float(counts.own.sum())
            )
            yield table.from_profile(f"{name}: {resource.name}", "hard", resource.limit, round(used), resource.unit)
        for what, used_bytes, known in memory_of(scenario, cluster, name):
            yield _memory(table, f"{name}: {what}", used_bytes, known)


def _memory(table: _Table, name: str, used_bytes: float, known: str) -> Limit:
    """Return memory of a node against all that it is taken to have; the source says how well the use is ``known``."""
    most = table.defaults.value("limits.memory_per_core") * table.cluster.cores
    source = f"{known}; of a node: {table.source('limits.memory_per_core')}"
    return Limit(name, "soft", round(used_bytes / MB), round(most / MB), "MB", source)


def _of_dns(table: _Table) -> Iterator[Limit]:
    """Yield CoreDNS' limits where clients use names: queries against its cores, bytes against its memory limit."""
    params, cluster, traffic = table.scenario.dns, table.cluster, table.scenario.traffic
    ports = int(cluster.services.ports[: cluster.initial][cluster.services.proxied[: cluster.initial]].sum())
    if params.clients_use_names and ports:
        weight = np.arange(1, ports + 1, dtype=np.float64) ** -traffic.zipf
        share = weight / weight.sum()
        asked = offered_per_s(params, cluster.nodes, traffic.connections_per_s_per_node, share)
        replicas = params.replicas or autoscaled_replicas(cluster.nodes, cluster.nodes * cluster.cores)
        most = saturation_per_s(replicas * params.cores_per_replica).value
        yield Limit("DNS queries", "hard", asked, most, "queries a second", table.source("dns.query"))
        held = round(memory_bytes(cluster.pods, cluster.initial).value)
        yield table.from_profile("CoreDNS' memory", "hard", "dns.memory_limit", held, "bytes")


def _of_ingress(table: _Table) -> Iterator[Limit]:
    """Yield what the Ingress controller's cores can serve, where there is one."""
    params = table.scenario.ingress
    if params is not None:
        most = params.replicas * params.cores / load_defaults().value("ingress.request")
        source = table.source("ingress.request")
        yield Limit("Ingress requests", "hard", params.requests_per_s, most, "requests a second", source)
