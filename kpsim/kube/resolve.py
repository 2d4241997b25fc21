"""A Service after the API server and the EndpointSlice controller had their turn: addresses given, endpoints found.

Endpoints come from the best witness there is: the Service's own EndpointSlices; else the Pods its selector matches;
else the replicas of the workloads whose Pods it would match, which the cluster room places later.  A Pod that several
Services select carries the same name in each, so that it is one Pod.  Endpoints made of Pods get the topology hints
that the controller would write; those of slices keep what was written.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

from kpsim.kube.allocator import ClusterIPAllocator, NodePortAllocator
from kpsim.kube.defaults import families_of, needs_cluster_ip, needs_health_check_port, needs_node_ports
from kpsim.kube.objects import (
    Endpoint,
    EndpointSlice,
    KubeObjects,
    Labels,
    Pod,
    ResolvedService,
    Service,
    ServicePort,
    Workload,
)
from kpsim.kube.service.hints import hinted
from kpsim.units import Version

TERMINAL_PHASES = ("Succeeded", "Failed")
NAMES_SHOWN = 3
# What controllers label Pods with.  Source: pkg/controller/statefulset, pkg/controller/job.
POD_NAME, POD_INDEX = "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"
COMPLETION_INDEX = "batch.kubernetes.io/job-completion-index"
OF_ONE_POD = (POD_NAME, POD_INDEX, COMPLETION_INDEX)
JOB_NAMES = ("job-name", "batch.kubernetes.io/job-name")
LATEST = (1, 34)
LAST_ADDRESS_WINS_SINCE = (1, 36)  # an address in two slices; before, the first seen.  Source: endpointslicecache.go
IPV6_RANGE = ipaddress.IPv6Network("fd00:10:96::/112")  # nobody routes it; IPv6 addresses are names, not modelled

ContainerPorts = tuple[tuple[str, int, str], ...]


def resolve(
    objects: KubeObjects,
    service_cluster_ip_range: str,
    node_port_range: tuple[int, int],
    nodes: int,
    *,
    families: tuple[str, ...] = ("IPv4",),
    version: Version = LATEST,
) -> tuple[tuple[ResolvedService, ...], tuple[str, ...]]:
    """Return (Services with their ClusterIPs, NodePorts and endpoints, in file order; warnings).

    Parameters
    ----------
    objects
        what was read, valid.
    service_cluster_ip_range, node_port_range
        where addresses come from; those that Services ask for are taken first.
    nodes
        how many Pods a DaemonSet has.
    families
        those of the cluster: a Service that prefers both gets them if there are both.
    version
        of kube-proxy, which decides what an address in two slices counts for.

    Raises
    ------
    InputError
        if a range is too small for the Services.
    """
    both = any(len(service.ip_families) > 1 and service.cluster_ip for service in objects.services)
    cluster = ("IPv4", "IPv6") if both else families
    written = [_with_families(service, cluster) for service in objects.services]
    services = _allocate(written, service_cluster_ip_range, node_port_range)
    finder = _Finder(objects, nodes, version)
    resolved = tuple(finder.resolve(service) for service in services)
    return resolved, tuple(finder.warnings())


def node_zones(objects: KubeObjects) -> dict[str, str]:
    """Return the zone of each node, as its object says; without one, as the endpoints on it do."""
    endpoints = {
        endpoint.node: endpoint.zone
        for made in objects.slices
        for endpoint in made.endpoints
        if endpoint.node and endpoint.zone
    }
    return endpoints | {node.name: node.zone for node in objects.nodes if node.zone}


def _with_families(service: Service, cluster: tuple[str, ...]) -> Service:
    if cluster == ("IPv6",) and service.ip_families == ("IPv4",) and service.type != "ExternalName":
        service = replace(service, ip_families=cluster)  # IPv4 is only what none was read as
    families = families_of(service, cluster)
    return service if families == service.ip_families else replace(service, ip_families=families)


def _allocate(services: Sequence[Service], cidr: str, node_port_range: tuple[int, int]) -> list[Service]:
    """Return the Services with the addresses they asked for, and free ones where they asked for none."""
    ips, ports = ClusterIPAllocator(cidr), NodePortAllocator(*node_port_range)
    mine = "IPv6" if ":" in cidr else "IPv4"
    others = iter(range(1, 1 << 16))
    wanting_ip = [
        service
        for service in services
        if needs_cluster_ip(service) and not service.cluster_ip and mine in service.ip_families
    ]
    for service in services:
        if service.proxied and service.cluster_ip and (":" in service.cluster_ip) == (":" in cidr):
            ips.reserve(service.cluster_ip)
        for port in service.ports:
            if port.node_port:
                ports.reserve(port.node_port)
        if service.health_check_node_port:
            ports.reserve(service.health_check_node_port)
    found = iter(ips.allocate_all(len(wanting_ip)))
    given = []
    for service in services:
        if needs_cluster_ip(service) and not service.cluster_ip:
            ip = next(found) if mine in service.ip_families else str(IPV6_RANGE[next(others)])
            service = replace(service, cluster_ip=ip)  # noqa: PLW2901
        if needs_node_ports(service) and any(not port.node_port for port in service.ports):
            service = replace(service, ports=_with_node_ports(service.ports, ports))  # noqa: PLW2901
        if needs_health_check_port(service) and not service.health_check_node_port:
            service = replace(service, health_check_node_port=ports.allocate())  # noqa: PLW2901
        given.append(service)
    return given


def _with_node_ports(ports: Sequence[ServicePort], free: NodePortAllocator) -> tuple[ServicePort, ...]:
    """Service ports of one number that differ in protocol share a NodePort."""
    numbers = {port.port: port.node_port for port in reversed(ports) if port.node_port}
    given = []
    for port in ports:
        number = port.node_port or numbers.get(port.port) or free.allocate()
        numbers.setdefault(port.port, number)
        given.append(replace(port, node_port=number))
    return tuple(given)


@dataclass(slots=True)
class _ByLabel:
    """Things with labels, looked up by namespace and selector without scanning all of them."""

    having: dict[tuple[str, str, str], list[int]] = field(default_factory=lambda: defaultdict(list))

    def add(self, index: int, namespace: str, labels: Labels) -> None:
        for key, value in labels:
            self.having[namespace, key, value].append(index)

    def matching(self, namespace: str, selector: Labels) -> list[int]:
        """Indices of what carries every label of the selector, in file order; an empty selector matches nothing."""
        lists = sorted((self.having.get((namespace, key, value), []) for key, value in selector), key=len)
        if not lists:
            return []
        rest = [set(other) for other in lists[1:]]
        return [index for index in lists[0] if all(index in other for other in rest)]


class _Finder:
    """Finds the endpoints of Services among slices, Pods and workloads."""

    def __init__(self, objects: KubeObjects, nodes: int, version: Version) -> None:
        self._objects = objects
        self._version, self._last_wins = version, version >= LAST_ADDRESS_WINS_SINCE
        self._nodes = nodes
        self._zones = node_zones(objects)
        self._slices: dict[tuple[str, str], list[EndpointSlice]] = defaultdict(list)
        for each in objects.slices:
            if each.address_type != "FQDN":  # kube-proxy knows addresses only
                self._slices[each.namespace, each.service].append(each)
        self._pods, self._workloads = _ByLabel(), _ByLabel()
        for index, pod in enumerate(objects.pods):
            self._pods.add(index, pod.namespace, pod.labels)
        for index, made in enumerate(objects.workloads):
            given = [(label, made.name) for label in JOB_NAMES if made.kind == "Job"]
            self._workloads.add(index, made.namespace, (*made.pod_labels, *given, ("", "")))
        self._kinds: dict[tuple[str, str], int] = defaultdict(int)
        for made in objects.workloads:
            self._kinds[made.namespace, made.name] += 1
        self._ready = sorted(node.name for node in objects.nodes if node.ready and not node.control_plane)
        replicas = [0 if made.replicas is None else made.replicas for made in objects.workloads]  # or each node has one
        self._dealt = {
            (made.kind, made.namespace, made.name): first
            for made, first in zip(objects.workloads, accumulate(replicas, initial=0), strict=False)
        }
        self._matched_nothing: list[str] = []
        self._not_selecting: list[str] = []
        self._unnamed: list[str] = []
        self._unlike: list[str] = []  # Services with an address that is in two states
        self._unmatched: list[str] = []
        self._named = {(at.namespace, at.service) for at in objects.slices if at.address_type == "FQDN"}
        self._unhinted: dict[str, list[str]] = defaultdict(list)

    def resolve(self, service: Service) -> ResolvedService:
        """Return one Service with its endpoints and the numbers of its target ports."""
        if service.type == "ExternalName":
            return ResolvedService(service)
        name = f"{service.namespace}/{service.name}"
        slices = self._slices.get((service.namespace, service.name), [])
        if slices:
            return self._from_slices(service, slices)
        if (service.namespace, service.name) in self._named:
            return ResolvedService(service, target_ports=(0,) * len(service.ports))
        endpoints, containers = self._from_pods(service)
        if not endpoints and not containers:
            endpoints, containers = self._from_workloads(service)
        if not endpoints and service.selector:
            self._matched_nothing.append(name)
        elif not endpoints:
            self._not_selecting.append(name)
        targets = tuple(_target(port, containers) for port in service.ports)
        if endpoints and not all(targets):
            self._unnamed.append(name)
        endpoints, why_not = hinted(service, endpoints, self._objects.nodes, self._version)
        if why_not and endpoints:
            self._unhinted[why_not].append(name)
        return ResolvedService(service, endpoints, targets)

    def _from_slices(self, service: Service, slices: list[EndpointSlice]) -> ResolvedService:
        kind = "IPv4" if "IPv4" in service.ip_families else "IPv6"
        modelled = [each for each in slices if each.address_type == kind] or slices
        endpoints: dict[str, Endpoint] = {}
        unlike = False
        for endpoint in (endpoint for each in modelled for endpoint in each.endpoints):
            first = endpoints.setdefault(endpoint.ip, endpoint)
            if self._last_wins and not endpoint.terminating:
                endpoints[endpoint.ip] = endpoint
                unlike = unlike or (not first.terminating and _states(first) != _states(endpoint))
            else:
                unlike = unlike or (not self._last_wins and _states(first) != _states(endpoint))
        if unlike:
            self._unlike.append(f"{service.namespace}/{service.name}")
        row = {ip: index for index, ip in enumerate(endpoints)}
        targets, of_ports = [], []
        for port in service.ports:
            having = [(each, number) for each in modelled if (number := _number(each, port))]
            targets.append(having[0][1] if having else 0)
            of_ports.append(tuple(sorted({row[endpoint.ip] for each, _ in having for endpoint in each.endpoints})))
        if endpoints and not all(of_ports):
            self._unmatched.append(f"{service.namespace}/{service.name}")
        alike = all(len(mine) == len(row) for mine in of_ports)
        return ResolvedService(service, tuple(endpoints.values()), tuple(targets), () if alike else tuple(of_ports))

    def _from_pods(self, service: Service) -> tuple[tuple[Endpoint, ...], list[ContainerPorts]]:
        matching = [self._objects.pods[i] for i in self._pods.matching(service.namespace, service.selector)]
        alive = [pod for pod in matching if pod.phase not in TERMINAL_PHASES]
        placed = [pod for pod in alive if pod.ip or pod.phase == "Running"]
        endpoints = tuple(_endpoint(pod, service, self._zones.get(pod.node, "")) for pod in placed)
        return endpoints, [pod.container_ports for pod in matching]

    def _from_workloads(self, service: Service) -> tuple[tuple[Endpoint, ...], list[ContainerPorts]]:
        of_all = tuple(label for label in service.selector if label[0] not in OF_ONE_POD)
        of_one = {label for label in service.selector if label[0] in OF_ONE_POD}
        indices = self._workloads.matching(service.namespace, of_all or (("", ""),)) if service.selector else ()
        matching = [self._objects.workloads[i] for i in indices]
        endpoints = tuple(
            Endpoint(
                ip="", node=node, zone=self._zones.get(node, ""), pod=name, hostname=_hostname(made, name, service)
            )
            for made in matching
            for ordinal, (name, node) in enumerate(self._pods_of(made), made.first_ordinal)
            if of_one <= _of_one_pod(made, ordinal)
        )
        return endpoints, [made.container_ports for made in matching]

    def _pods_of(self, made: Workload) -> Iterable[tuple[str, str]]:
        """Yield (name, node) of Pods that do not exist yet, the same whichever Service asks.

        They are dealt in turn to the Nodes that were read and take them, all workloads' one after another; "" without.
        """
        alone = self._kinds[made.namespace, made.name] == 1
        stem = f"{made.namespace}/{made.name}" + ("" if alone else f"-{made.kind.lower()}")
        replicas = self._nodes if made.replicas is None else made.replicas
        first, nodes = self._dealt[made.kind, made.namespace, made.name], self._ready or [""]
        for i in range(replicas):
            yield f"{stem}-{made.first_ordinal + i}", nodes[(first + i) % len(nodes)]

    def warnings(self) -> Iterable[str]:
        """Return warnings for the user: Services whose connections are refused, hints that are not followed."""
        refused = "connections to it are refused"
        if self._matched_nothing:
            yield _about(self._matched_nothing, "the selector matches no Pod or workload that was read", refused)
        if self._not_selecting:
            yield _about(self._not_selecting, "no selector, and no EndpointSlice that was read", refused)
        if self._unmatched:
            what = "a port whose name and protocol none of its EndpointSlices has"
            yield _about(self._unmatched, what, "that port has no endpoints")
        if self._unnamed:
            what = "a named target port that no container of its Pods has"
            yield _about(self._unnamed, what, "that port has no endpoints")
        if self._unlike:
            what = "an address is in two EndpointSlices, in different states"
            yield _about(self._unlike, what, "kube-proxy takes one of them at random, where here the order decides")
        for why_not, names in self._unhinted.items():
            yield _about(names, f"topology hints: {why_not}", "kube-proxy uses endpoints anywhere")


def _states(endpoint: Endpoint) -> tuple[bool, bool, bool]:
    return endpoint.ready, endpoint.serving, endpoint.terminating


def _of_one_pod(made: Workload, ordinal: int) -> set[tuple[str, str]]:
    """Return the labels that a controller gives one Pod of a workload, and no other."""
    if made.kind == "StatefulSet":
        return {(POD_NAME, f"{made.name}-{ordinal}"), (POD_INDEX, str(ordinal))}
    return {(COMPLETION_INDEX, str(ordinal))} if made.indexed else set()


def _hostname(made: Workload, pod: str, service: Service) -> str:
    """Return a Pod's name in DNS below the Service that its StatefulSet names: its own name, or "" elsewhere."""
    return pod.rpartition("/")[2] if made.kind == "StatefulSet" and made.service_name == service.name else ""


def _endpoint(pod: Pod, service: Service, zone: str) -> Endpoint:
    """The endpoint the EndpointSlice controller makes of a Pod.  Source: staging/src/k8s.io/endpointslice/utils.go."""
    serving = pod.ready
    return Endpoint(
        ip=pod.ip,
        ready=service.publish_not_ready_addresses or (serving and not pod.terminating),
        serving=serving,
        terminating=pod.terminating,
        node=pod.node,
        zone=zone,
        pod=f"{pod.namespace}/{pod.name}",
        hostname=pod.hostname if pod.subdomain == service.name else "",
    )


def _number(at: EndpointSlice, port: ServicePort) -> int:
    """Return the number a slice has for a service port, by its name and protocol; 0 if it has none."""
    return next((number for name, number, spoken in at.ports if (name, spoken) == (port.name, port.protocol)), 0)


def _target(port: ServicePort, containers: Sequence[ContainerPorts]) -> int:
    """Return the number a service port's target resolves to; 0 if no container names it."""
    if isinstance(port.target_port, int):
        return port.target_port
    named: Mapping[tuple[str, str], int] = {
        (name, protocol): number for ports in reversed(containers) for name, number, protocol in ports
    }
    return named.get((port.target_port, port.protocol), 0)


def _about(names: Sequence[str], what: str, consequence: str) -> str:
    if len(names) == 1:
        return f"Service {names[0]}: {what}; {consequence}"
    shown = ", ".join(names[:NAMES_SHOWN]) + (", …" if len(names) > NAMES_SHOWN else "")
    return f"{len(names):,} Services ({shown}): {what}; {consequence.replace(' to it', ' to them')}"
