"""The census counts everything in a cluster that some limit counts, at time zero."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from kpsim.cluster.columns import Cluster
from kpsim.kube.defaults import needs_health_check_port
from kpsim.kube.service.environment import KUBERNETES, environment_bytes
from kpsim.rng import stream
from kpsim.scenario.model import Scenario
from kpsim.traffic.connections import Popularity
from kpsim.units import I64


@dataclass(frozen=True, slots=True)
class Census:
    """Counts at time zero; arrays are by Service, (n,)."""

    cluster_ips: I64  # numbers, those there are
    allocations: int  # ClusterIPs of both families
    node_ports: int  # health check ports too
    load_balancers: int
    services_in: Mapping[str, int]  # namespaces
    endpoints: I64
    families: I64  # EndpointSlice sets: one an IP family
    proxied: bool  # whether kube-proxy has anything to do
    pods_on_a_node: int  # of the fullest
    environment_bytes: int  # of a container in the fullest namespace
    busiest_share: float  # of a node's connections that goes to the busiest endpoint

    def slices(self, most: int) -> int:
        """EndpointSlices of at most ``most`` endpoints; a Service without any has an empty one."""
        return int((np.maximum(-(-self.endpoints // most), 1) * self.families).sum())

    @property
    def memberships(self) -> int:
        """Return the endpoints of all Services and IP families: a Pod behind two Services counts twice."""
        return int((self.endpoints * self.families).sum())


def take_census(scenario: Scenario, cluster: Cluster) -> Census:
    """Count a scenario's cluster."""
    first = slice(0, cluster.initial)
    services = cluster.services
    ips = services.cluster_ip[first].astype(np.int64)
    checked = sum(needs_health_check_port(service) for service in cluster.read.values())
    checked += sum(
        group.count
        for group in scenario.groups
        if group.type == "LoadBalancer" and group.external_traffic_policy == "Local"
    )
    balanced = sum(service.type == "LoadBalancer" for service in cluster.read.values())
    balanced += sum(group.count for group in scenario.groups if group.type == "LoadBalancer")
    pods = np.bincount(cluster.homes(cluster.pods), minlength=1) if cluster.pods else np.zeros(1, np.int64)
    return Census(
        cluster_ips=ips[ips > 0],
        allocations=int((services.proxied * (1 + services.dual_stack))[first].sum()),
        node_ports=int(services.node_ports[first].sum()) + checked,
        load_balancers=balanced,
        services_in=_services_in(scenario),
        endpoints=np.diff(cluster.endpoint_offset)[first],
        families=1 + services.dual_stack[first].astype(np.int64),
        proxied=bool(services.proxied[first].any()),
        pods_on_a_node=int(pods.max()),
        environment_bytes=_environment(cluster),
        busiest_share=_busiest_share(scenario, cluster),
    )


def _services_in(scenario: Scenario) -> Mapping[str, int]:
    count: Counter[str] = Counter(s.namespace for s in scenario.objects.services)
    for group in scenario.groups:
        count[group.namespace] += group.count
    return count


def _busiest_share(scenario: Scenario, cluster: Cluster) -> float:
    """Of connections, what the endpoint gets that gets most; all endpoints of a Service get the same."""
    weights = Popularity.zipf(cluster, scenario.traffic.zipf, stream(scenario.run.seed, "popularity"))
    endpoints = np.diff(cluster.endpoint_offset)[cluster.port_service[weights.ports]]
    each = np.diff(weights.share, prepend=0.0) / np.maximum(endpoints, 1)
    return float(each.max(initial=0.0))


def _environment(cluster: Cluster) -> int:
    """Return the bytes that Services add to a container's environment, in the namespace where that is most."""
    found: Counter[str] = Counter()
    runs = pairwise([*cluster.names.starts, len(cluster.services.ports)])
    proxied, offset, number, ips_of = (
        column.tolist()  # a number of numpy's at a time is slow
        for column in (cluster.services.proxied, cluster.port_offset, cluster.port_number, cluster.services.cluster_ip)
    )
    for (start, end), prefix, numbered in zip(runs, cluster.names.prefixes, cluster.names.numbered, strict=True):
        if start >= cluster.initial or not proxied[start]:  # the Services of a run are alike
            continue
        namespace, _, name = prefix.partition("/")
        ports = range(offset[start], offset[start + 1])
        named = tuple((cluster.port_name[q], number[q], cluster.port_protocol[q]) for q in ports)
        if not numbered:
            letters = len(cluster.addresses.text(ips_of[start]))
            found[namespace] += environment_bytes(len(name), letters, named)
            continue
        rows = np.arange(start, min(end, cluster.initial))
        ips = _dotted_letters(cluster.services.cluster_ip[rows].astype(np.int64))
        names = len(name) + 1 + _digits(rows - start)
        found[namespace] += int(environment_bytes(names, ips, named).sum())
    name, ip, its_ports = KUBERNETES
    return environment_bytes(len(name), len(ip), its_ports) + max(found.values(), default=0)


def _digits(numbers: I64) -> I64:
    return np.searchsorted(10 ** np.arange(1, 19), numbers, side="right") + 1


def _dotted_letters(ips: I64) -> I64:
    """Return the number of letters in each address as people write it."""
    octets = [ips >> shift & 255 for shift in (24, 16, 8, 0)]
    return sum((_digits(octet) for octet in octets), np.full(len(ips), 3))
