"""Growing a cluster: groups of alike Services and real objects become columns.

Objects come first, in file order, then groups, then the Services that churn will create.  Pods of a group get
consecutive addresses from the Pod range and are dealt to nodes in turn.  ClusterIPs and NodePorts come from
Kubernetes' own ranges by the allocators of :mod:`kpsim.kube`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count

import numpy as np

from kpsim.cluster.addresses import Addresses, dotted, other_family
from kpsim.cluster.columns import Cluster, Hints, Names, PodState, ServiceColumns, freeze, string_order
from kpsim.cluster.params import ClusterParams, EndpointCount, ServiceGroup
from kpsim.errors import InputError
from kpsim.kube.allocator import ClusterIPAllocator, NodePortAllocator
from kpsim.kube.objects import ResolvedService, Service
from kpsim.rng import stream
from kpsim.units import I64, U32

READY, SERVING, TERMINATING = map(int, (PodState.READY, PodState.SERVING, PodState.TERMINATING))
FIRST_PORT = 80  # service ports of grown Services are numbered from here: a name, not a measurement


@dataclass(slots=True)
class _Rows:
    """Columns in the making: chunks to be concatenated once."""

    names: list[tuple[int, str, bool]] = field(default_factory=list)
    chunks: dict[str, list[I64]] = field(default_factory=dict)
    protocols: list[str] = field(default_factory=list)
    port_names: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    services: int = 0
    pods: int = 0
    read: dict[int, Service] = field(default_factory=dict)
    pod_node: dict[int, str] = field(default_factory=dict)
    hints: dict[tuple[int, int], Hints] = field(default_factory=dict)

    def add(self, **columns: Sequence[int] | I64 | U32) -> None:
        for name, values in columns.items():
            self.chunks.setdefault(name, []).append(np.asarray(values, np.int64))

    def column(self, name: str) -> I64:
        chunks = self.chunks.get(name)
        return np.concatenate(chunks) if chunks else np.zeros(0, np.int64)


def endpoint_counts(group: ServiceGroup, seed: int) -> I64:
    """Return the number of endpoints of each Service of ``group``, (count,), from the group's own random stream."""
    wanted: EndpointCount = group.endpoints
    if group.type == "ExternalName":
        return np.zeros(group.count, np.int64)  # no selector, no endpoints
    if wanted.distribution == "constant":
        return np.full(group.count, round(wanted.mean), np.int64)
    rng = stream(seed, "endpoints", group.namespace, group.name)
    if wanted.distribution == "uniform":
        counts = rng.integers(wanted.min, (wanted.max or wanted.min) + 1, group.count).astype(np.int64)
    else:
        location = np.log(wanted.mean) - wanted.sigma**2 / 2  # so that ``mean`` is the mean, not the median
        counts = np.rint(rng.lognormal(location, wanted.sigma, group.count)).astype(np.int64)
    return np.clip(counts, wanted.min, wanted.max)


def grow(
    params: ClusterParams,
    groups: Sequence[ServiceGroup],
    resolved: Sequence[ResolvedService],
    created: int,
    seed: int,
) -> Cluster:
    """Lay out objects, groups and ``created`` Services to come as one :class:`Cluster`.

    Raises
    ------
    InputError
        if the service range, the NodePort range or the Pod range is too small.
    """
    _refuse_namesakes(groups, resolved)
    rows = _Rows()
    book = params.addresses
    ips = ClusterIPAllocator(book.service_numbers())
    node_ports = NodePortAllocator(*params.service_node_port_range)
    pod_range = book.pod_numbers()
    for item in resolved:
        if item.service.cluster_ip and not item.service.headless and book.mine(item.service.cluster_ip):
            ips.reserve(dotted(book.number(item.service.cluster_ip)))
        for port in item.service.ports:
            if port.node_port:
                node_ports.reserve(port.node_port)
    _add_objects(rows, resolved, book)
    for group in groups:
        _add_group(rows, group, endpoint_counts(group, seed), ips, node_ports, params)
    initial = rows.services
    if created:
        template = next((g for g in groups if not g.headless and g.type != "ExternalName"), ServiceGroup("created", 1))
        taken = {name for _, name, _ in rows.names}
        names = chain(["created"], (f"created-{i}" for i in count(2)))
        name = next(name for name in names if f"{template.namespace}/{name}" not in taken)
        policy = template.ip_family_policy
        newcomers = ServiceGroup(
            name, created, template.endpoints, namespace=template.namespace, ip_family_policy=policy
        )
        _add_group(rows, newcomers, endpoint_counts(newcomers, seed), ips, node_ports, params)
    if rows.pods >= pod_range.num_addresses:
        raise InputError(
            f"spec.cluster.podCIDR {params.pod_cidr} has {pod_range.num_addresses:,} addresses; "
            f"the scenario needs {rows.pods:,}"
        )
    return _assemble(params, rows, initial, book)


def _refuse_namesakes(groups: Sequence[ServiceGroup], resolved: Sequence[ResolvedService]) -> None:
    """Chains are named after Services, so a grown one must not have the name of another."""
    sizes: dict[str, int] = {}
    for group in groups:
        prefix = f"{group.namespace}/{group.name}"
        if prefix in sizes:
            raise InputError(f"spec.services: two groups are called {prefix}; give one another name or namespace")
        sizes[prefix] = group.count
    for item in resolved:
        name = f"{item.service.namespace}/{item.service.name}"
        prefix, _, number = name.rpartition("-")
        if number.isdigit() and int(number) < sizes.get(prefix, 0):
            raise InputError(f"spec.services: the Service {name} is also one of the group {prefix}; rename the group")


def _add_group(
    rows: _Rows,
    group: ServiceGroup,
    endpoints: I64,
    ips: ClusterIPAllocator,
    node_ports: NodePortAllocator,
    params: ClusterParams,
) -> None:
    n = group.count
    if not n:
        return
    has_ip = not group.headless and group.type != "ExternalName"
    has_node_port = has_ip and group.type in ("NodePort", "LoadBalancer")
    ports = 0 if group.type == "ExternalName" else group.ports
    none = np.zeros(n, np.int64)
    rows.names.append((rows.services, f"{group.namespace}/{group.name}", True))
    rows.add(
        proxied=np.full(n, has_ip),
        headless=np.full(n, group.headless),
        ports=np.full(n, ports),
        external_ips=none,
        load_balancer_ips=np.full(n, group.type == "LoadBalancer"),
        source_ranges=none,
        node_ports=np.full(n, ports if has_node_port else 0),
        affinity=np.full(n, group.session_affinity == "ClientIP"),
        internal_local=np.full(n, group.internal_traffic_policy == "Local"),
        external_local=np.full(n, group.external_traffic_policy == "Local"),
        udp=np.full(n, group.protocol == "UDP"),
        dual_stack=np.full(n, has_ip and params.dual_stack and group.ip_family_policy != "SingleStack"),
        continued=none,
        cluster_ip=ips.allocate_many(n) if has_ip else none,
        endpoints=endpoints,
        port_number=np.tile(FIRST_PORT + np.arange(ports), n),
        port_target=np.tile(FIRST_PORT + np.arange(ports), n),
        port_node_port=node_ports.allocate_many(n * ports) if has_node_port else np.zeros(n * ports, np.int64),
    )
    rows.protocols += [group.protocol] * (n * ports)
    rows.port_names += ([""] if ports == 1 else [f"p{k}" for k in range(ports)]) * n
    total = int(endpoints.sum())
    first = int(params.addresses.pod_numbers().network_address) + 1 + rows.pods
    rows.add(
        endpoint_pod=rows.pods + np.arange(total),
        pod_ip=first + np.arange(total),
        pod_state=np.full(total, PodState.READY | PodState.SERVING),
    )
    rows.services += n
    rows.pods += total


def _add_objects(rows: _Rows, resolved: Sequence[ResolvedService], book: Addresses) -> None:
    known: dict[str, int] = {}
    first_pod = int(book.pod_numbers().network_address)
    columns: defaultdict[str, list[int]] = defaultdict(list)  # one array a column, not one a Service
    pod_ip, pod_state = columns["pod_ip"], columns["pod_state"]
    for item, again in ((part, bool(k)) for one in resolved for k, part in enumerate(_by_endpoints(one))):
        service = item.service
        has_ip = service.proxied and book.mine(service.cluster_ip)
        if service.proxied and not has_ip:
            other = other_family(book.family)
            rows.warnings.append(f"{service.namespace}/{service.name}: {other} is not modelled; it gets no rules")
        ports = len(service.ports) if service.type != "ExternalName" else 0
        pods: dict[int, None] = {}  # ordered, without repeats: the same endpoint in two slices counts once
        for endpoint in item.endpoints:
            ip = endpoint.ip
            if ip and not book.mine(ip):
                continue
            key = endpoint.pod or f"ip {ip}"
            pod = known.get(key)
            if pod is None:
                pod = known[key] = rows.pods
                if endpoint.node:
                    rows.pod_node[pod] = endpoint.node
                rows.pods += 1
                state = READY * endpoint.ready | SERVING * endpoint.serving
                pod_ip.append(book.number(ip) if ip else first_pod + rows.pods)
                pod_state.append(state | TERMINATING * endpoint.terminating)
            pods[pod] = None
            if endpoint.zone_hints or endpoint.node_hints:
                rows.hints[rows.services, pod] = endpoint.zone_hints, endpoint.node_hints
        rows.names.append((rows.services, f"{service.namespace}/{service.name}", False))
        rows.read[rows.services] = service
        for name, value in _service_row(service, book, has_ip=has_ip, ports=ports).items():
            columns[name].append(value)
        columns["continued"].append(again)
        columns["endpoints"].append(len(pods))
        columns["endpoint_pod"] += pods
        columns["port_number"] += [p.port for p in service.ports][:ports]
        columns["port_node_port"] += [p.node_port for p in service.ports][:ports]
        # an unresolved named port keeps the Service's own number: what matters is that it differs by port
        targets = zip(item.target_ports, service.ports, strict=False)
        columns["port_target"] += [t or p.port for t, p in targets][:ports]
        rows.protocols += [p.protocol for p in service.ports][:ports]
        rows.port_names += [p.name for p in service.ports][:ports]
        rows.services += 1
    rows.add(**columns)


def _by_endpoints(item: ResolvedService) -> list[ResolvedService]:
    """A Service by its ports: those with the same endpoints together, which is one part unless its slices differ."""
    ports: dict[tuple[int, ...], list[int]] = {}
    for index, mine in enumerate(item.of_ports):
        ports.setdefault(mine, []).append(index)
    if not ports:
        return [item]
    service, targets = item.service, item.target_ports
    return [
        ResolvedService(
            replace(service, ports=tuple(service.ports[i] for i in indices)),
            tuple(item.endpoints[i] for i in mine),
            tuple(targets[i] for i in indices),
        )
        for mine, indices in ports.items()
    ]


def _service_row(service: Service, book: Addresses, *, has_ip: bool, ports: int) -> dict[str, int]:
    """Return one Service's values for all columns that have one value a Service."""
    return {
        "proxied": has_ip and service.watched,
        "headless": service.headless,
        "ports": ports,
        "external_ips": book.count(service.external_ips),
        "load_balancer_ips": book.count(service.load_balancer_ips),
        "source_ranges": book.count(service.load_balancer_source_ranges),
        "node_ports": sum(1 for p in service.ports if p.node_port),
        "affinity": service.session_affinity == "ClientIP",
        "internal_local": service.internal_traffic_policy == "Local",
        "external_local": service.external_traffic_policy == "Local",
        "udp": any(p.protocol == "UDP" for p in service.ports),
        "dual_stack": has_ip and service.watched and len(service.ip_families) > 1 and book.family == "IPv4",
        "cluster_ip": book.number(service.cluster_ip) if has_ip else 0,
    }


def _offsets(counts: I64) -> I64:
    return np.asarray(freeze(np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)))


def _assemble(params: ClusterParams, rows: _Rows, initial: int, book: Addresses) -> Cluster:
    def column(name: str) -> I64:
        return np.asarray(freeze(rows.column(name)))

    def flags(name: str) -> np.ndarray:
        return freeze(rows.column(name).astype(np.bool_))

    ports, endpoints = column("ports"), column("endpoints")
    pod_ip = rows.column("pod_ip").astype(np.uint32)
    endpoint_pod = rows.column("endpoint_pod")
    owner = np.repeat(np.arange(rows.services), endpoints)
    endpoint_pod = endpoint_pod[np.lexsort((endpoint_pod, string_order(pod_ip[endpoint_pod]), owner))]
    return Cluster(
        nodes=params.nodes,
        cores=params.cores,
        zones=params.zones,
        initial=initial,
        names=Names(*zip(*rows.names, strict=True)) if rows.names else Names((), (), ()),
        services=ServiceColumns(
            proxied=flags("proxied"),
            headless=flags("headless"),
            ports=ports,
            external_ips=column("external_ips"),
            load_balancer_ips=column("load_balancer_ips"),
            source_ranges=column("source_ranges"),
            node_ports=column("node_ports"),
            affinity=flags("affinity"),
            cluster_ip=freeze(rows.column("cluster_ip").astype(np.uint32)),
            internal_local=flags("internal_local"),
            external_local=flags("external_local"),
            udp=flags("udp"),
            dual_stack=flags("dual_stack"),
            continued=flags("continued"),
        ),
        port_offset=_offsets(ports),
        port_service=np.asarray(freeze(np.repeat(np.arange(rows.services), ports))),
        port_number=column("port_number"),
        port_node_port=column("port_node_port"),
        port_target=column("port_target"),
        port_protocol=rows.protocols,
        port_name=rows.port_names,
        endpoint_offset=_offsets(endpoints),
        endpoint_pod=np.asarray(freeze(endpoint_pod)),
        pod_ip=freeze(pod_ip),
        pod_state=column("pod_state"),
        warnings=tuple(rows.warnings),
        read=rows.read,
        pod_node=rows.pod_node,
        hints=rows.hints,
        addresses=book,
        node_names=sorted(set(rows.pod_node.values())),
        dual_stack=params.dual_stack or bool(rows.column("dual_stack").any()),
    )
