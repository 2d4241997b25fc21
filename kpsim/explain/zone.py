"""The names a scenario's cluster has: Services that were read, and those of groups, looked up when asked for."""

from __future__ import annotations

from dataclasses import dataclass

from kpsim.cluster.columns import Cluster, PodState
from kpsim.dns.names import Zone
from kpsim.kube.objects import Endpoint, ResolvedService, Service, ServicePort
from kpsim.kube.resolve import resolve
from kpsim.scenario.model import Scenario
from kpsim.simulation import build_cluster

ALWAYS = ("default", "kube-node-lease", "kube-public", "kube-system")  # namespaces every cluster has
NAMES_LOOKED_AT = 20_000


@dataclass(frozen=True, slots=True)
class Known:
    """The zone, the namespace that is asked from, and the cluster behind both."""

    zone: Zone
    namespace: str
    cluster: Cluster

    def services(self) -> list[str]:
        """Return the names of the first Services, "namespace/name"."""
        return [self.cluster.names[row] for row in range(min(self.cluster.initial, NAMES_LOOKED_AT))]


def known_names(scenario: Scenario, namespace: str) -> Known:
    """Return the names of the scenario's cluster, as a Pod in ``namespace`` can ask for them."""
    cluster, _ = build_cluster(scenario)
    params, objects = scenario.cluster, scenario.objects
    ranges = (params.service_cluster_ip_range, params.service_node_port_range)
    read = resolve(objects, *ranges, params.nodes, families=params.ip_families)[0]
    real = Zone.of(read)
    named = [*(s.namespace for s in objects.services), *(p.namespace for p in objects.pods)]
    named += [*(w.namespace for w in objects.workloads), *(g.namespace for g in scenario.groups)]
    spaces = {*ALWAYS, namespace, *named}
    types = {f"{g.namespace}/{g.name}": g.type for g in scenario.groups}

    def find(space: str, name: str) -> ResolvedService | None:
        found = real.find(space, name)
        row = None if found else cluster.names.index(f"{space}/{name}")
        if row is None or row >= cluster.initial:
            return found
        return _grown(cluster, row, types.get(f"{space}/{name.rpartition('-')[0]}", "ClusterIP"))

    def owner(ip: str) -> tuple[str, str, Endpoint | None] | None:
        return real.owner(ip) or _owner(cluster, ip)

    return Known(Zone(find, spaces.__contains__, owner), namespace, cluster)


def _grown(cluster: Cluster, row: int, kind: str) -> ResolvedService:
    """Return a Service of a group as the object it would be."""
    namespace, _, name = cluster.names[row].partition("/")
    services = cluster.services
    ports = tuple(
        ServicePort(int(cluster.port_number[q]), cluster.port_name[q], cluster.port_protocol[q])
        for q in range(int(cluster.port_offset[row]), int(cluster.port_offset[row + 1]))
    )
    ip = "None" if services.headless[row] else cluster.addresses.text(int(services.cluster_ip[row]))
    families = ("IPv4", "IPv6") if services.dual_stack[row] else (cluster.addresses.family,)
    service = Service(namespace, name, kind, ip, ports, ip_families=families, external_name="elsewhere.example")
    endpoints = tuple(
        Endpoint(cluster.addresses.text(int(cluster.pod_ip[pod])), ready=bool(cluster.pod_state[pod] & PodState.READY))
        for pod in cluster.endpoints(row).tolist()
    )
    return ResolvedService(service, endpoints, tuple(port.port for port in ports))


def _owner(cluster: Cluster, ip: str) -> tuple[str, str, Endpoint | None] | None:
    """Return (namespace, name, None) of the Service of a group that has this ClusterIP; None without one."""
    for row in range(cluster.initial):
        if cluster.services.proxied[row] and cluster.addresses.text(int(cluster.services.cluster_ip[row])) == ip:
            namespace, _, name = cluster.names[row].partition("/")
            return namespace, name, None
    return None
