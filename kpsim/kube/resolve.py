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

TERMINAL_PHASES = ("Succeeded", "Failed")
NAMES_SHOWN = 3
IPV6_RANGE = ipaddress.IPv6Network("fd00:10:96::/112")  # nobody routes it; IPv6 addresses are names, not modelled

ContainerPorts = tuple[tuple[str, int, str], ...]


def resolve(
    objects: KubeObjects,
    service_cluster_ip_range: str,
    node_port_range: tuple[int, int],
    nodes: int,
    *,
    dual_stack: bool = False,
) -> tuple[tuple[ResolvedService, ...], tuple[str, ...]]:
    """Every Service with its ClusterIP, NodePorts and endpoints, in file order, and what is worth a warning.

    Parameters
    ----------
    objects
        what was read, valid.
    service_cluster_ip_range, node_port_range
        where addresses come from; those that Services ask for are taken first.
    nodes
        how many Pods a DaemonSet has.
    dual_stack
        whether the cluster has both IP families, so that a Service that prefers both gets them.

    Raises
    ------
    InputError
        if a range is too small for the Services.
    """
    both = dual_stack or any(len(service.ip_families) > 1 and service.cluster_ip for service in objects.services)
    cluster = ("IPv4", "IPv6") if both else ("IPv4",)
    written = [_with_families(service, cluster) for service in objects.services]
    services = _allocate(written, service_cluster_ip_range, node_port_range)
    finder = _Finder(objects, nodes)
    resolved = tuple(finder.resolve(service) for service in services)
    return resolved, tuple(finder.warnings())


def node_zones(objects: KubeObjects) -> dict[str, str]:
    """The zone of each node, as its object says; without one, as the endpoints on it do."""
    endpoints = {
        endpoint.node: endpoint.zone
        for made in objects.slices
        for endpoint in made.endpoints
        if endpoint.node and endpoint.zone
    }
    return endpoints | {node.name: node.zone for node in objects.nodes if node.zone}


def _with_families(service: Service, cluster: tuple[str, ...]) -> Service:
    families = families_of(service, cluster)
    return service if families == service.ip_families else replace(service, ip_families=families)


def _allocate(services: Sequence[Service], cidr: str, node_port_range: tuple[int, int]) -> list[Service]:
    """The Services with the addresses they asked for, and free ones where they asked for none."""
    ips, ports = ClusterIPAllocator(cidr), NodePortAllocator(*node_port_range)
    only_v6 = iter(range(1, 1 << 16))
    wanting_ip = [
        service
        for service in services
        if needs_cluster_ip(service) and not service.cluster_ip and "IPv4" in service.ip_families
    ]
    for service in services:
        if service.proxied and service.cluster_ip and ":" not in service.cluster_ip:
            ips.reserve(service.cluster_ip)
        for port in service.ports:
            if port.node_port:
                ports.reserve(port.node_port)
        if service.health_check_node_port:
            ports.reserve(service.health_check_node_port)
    found = iter(ips.allocate_many(len(wanting_ip)).tolist())
    given = []
    for service in services:
        if needs_cluster_ip(service) and not service.cluster_ip:
            v4 = "IPv4" in service.ip_families
            ip = ipaddress.IPv4Address(next(found)) if v4 else IPV6_RANGE[next(only_v6)]
            service = replace(service, cluster_ip=str(ip))  # noqa: PLW2901
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

    def __init__(self, objects: KubeObjects, nodes: int) -> None:
        self._objects = objects
        self._nodes = nodes
        self._zones = node_zones(objects)
        self._slices: dict[tuple[str, str], list[EndpointSlice]] = defaultdict(list)
        for each in objects.slices:
            self._slices[each.namespace, each.service].append(each)
        self._pods, self._workloads = _ByLabel(), _ByLabel()
        for index, pod in enumerate(objects.pods):
            self._pods.add(index, pod.namespace, pod.labels)
        for index, made in enumerate(objects.workloads):
            self._workloads.add(index, made.namespace, made.pod_labels)
        self._kinds: dict[tuple[str, str], int] = defaultdict(int)
        for made in objects.workloads:
            self._kinds[made.namespace, made.name] += 1
        self._matched_nothing: list[str] = []
        self._not_selecting: list[str] = []
        self._unnamed: list[str] = []
        self._unhinted: dict[str, list[str]] = defaultdict(list)

    def resolve(self, service: Service) -> ResolvedService:
        """One Service with its endpoints and the numbers of its target ports."""
        if service.type == "ExternalName":
            return ResolvedService(service)
        name = f"{service.namespace}/{service.name}"
        slices = self._slices.get((service.namespace, service.name), [])
        if slices:
            return self._from_slices(service, slices)
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
        endpoints, why_not = hinted(service, endpoints, self._objects.nodes)
        if why_not and endpoints:
            self._unhinted[why_not].append(name)
        return ResolvedService(service, endpoints, targets)

    def _from_slices(self, service: Service, slices: list[EndpointSlice]) -> ResolvedService:
        kinds = {each.address_type for each in slices}
        modelled = [each for each in slices if each.address_type == "IPv4"] if "IPv4" in kinds else slices
        endpoints = {endpoint.ip: endpoint for each in modelled for endpoint in each.endpoints}
        numbers = {port[0]: port[1] for each in modelled for port in each.ports}
        targets = tuple(
            numbers.get(port.name) or (port.target_port if isinstance(port.target_port, int) else 0)
            for port in service.ports
        )
        return ResolvedService(service, tuple(endpoints.values()), targets)

    def _from_pods(self, service: Service) -> tuple[tuple[Endpoint, ...], list[ContainerPorts]]:
        matching = [self._objects.pods[i] for i in self._pods.matching(service.namespace, service.selector)]
        alive = [pod for pod in matching if pod.phase not in TERMINAL_PHASES]
        placed = [pod for pod in alive if pod.ip or pod.phase == "Running"]
        endpoints = tuple(_endpoint(pod, service, self._zones.get(pod.node, "")) for pod in placed)
        return endpoints, [pod.container_ports for pod in matching]

    def _from_workloads(self, service: Service) -> tuple[tuple[Endpoint, ...], list[ContainerPorts]]:
        indices = self._workloads.matching(service.namespace, service.selector)
        matching = [self._objects.workloads[i] for i in indices]
        endpoints = tuple(
            Endpoint(ip="", pod=name, hostname=_hostname(made, name, service))
            for made in matching
            for name in self._pod_names(made)
        )
        return endpoints, [made.container_ports for made in matching]

    def _pod_names(self, made: Workload) -> Iterable[str]:
        """Names for Pods that do not exist yet, the same whichever Service asks."""
        alone = self._kinds[made.namespace, made.name] == 1
        stem = f"{made.namespace}/{made.name}" + ("" if alone else f"-{made.kind.lower()}")
        replicas = self._nodes if made.replicas is None else made.replicas
        return (f"{stem}-{i}" for i in range(replicas))

    def warnings(self) -> Iterable[str]:
        """What a user would want to know: Services whose connections are refused."""
        refused = "connections to it are refused"
        if self._matched_nothing:
            yield _about(self._matched_nothing, "the selector matches no Pod or workload that was read", refused)
        if self._not_selecting:
            yield _about(self._not_selecting, "no selector, and no EndpointSlice that was read", refused)
        if self._unnamed:
            what = "a named target port that no container of its Pods has"
            yield _about(self._unnamed, what, "that port has no endpoints")
        for why_not, names in self._unhinted.items():
            yield _about(names, f"topology hints: {why_not}", "kube-proxy uses endpoints anywhere")


def _hostname(made: Workload, pod: str, service: Service) -> str:
    """What DNS calls a Pod below the Service that its StatefulSet names: its own name."""
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


def _target(port: ServicePort, containers: Sequence[ContainerPorts]) -> int:
    """The number a service port's target resolves to; 0 if no container names it."""
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
