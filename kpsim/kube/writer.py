"""Typed objects are written back as Kubernetes objects, the inverse of reading them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from kpsim.kube.defaults import (
    CLIENT_IP_TIMEOUT_S,
    CONTROL_PLANE,
    SERVICE_PROXY_NAME,
    TOPOLOGY_HINTS,
    TOPOLOGY_MODE,
    ZONE,
)
from kpsim.kube.objects import (
    Endpoint,
    EndpointSlice,
    Ingress,
    IngressBackend,
    IngressPath,
    KubeObjects,
    Node,
    Pod,
    Service,
    Workload,
)

Document = dict[str, object]

_API = {"ReplicationController": "v1", "Job": "batch/v1"}


def documents_of(objects: KubeObjects) -> Iterator[Document]:
    """Yield every object as a mapping in Kubernetes' own words, in the order it was read."""
    yield from map(_service, objects.services)
    yield from map(_workload, objects.workloads)
    yield from map(_pod, objects.pods)
    yield from map(_slice, objects.slices)
    yield from map(_node, objects.nodes)
    yield from map(_ingress, objects.ingresses)


def _object(api: str, kind: str, namespace: str, name: str, **parts: object) -> Document:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **_given(**parts)}


def _given(**fields: object) -> Document:
    """Only the fields that say something."""
    return {name: value for name, value in fields.items() if value not in (None, "", 0, [], {}, ())}


def _service(service: Service) -> Document:
    timeout = service.session_affinity_timeout_s
    affinity = {"clientIP": {"timeoutSeconds": timeout}} if timeout != CLIENT_IP_TIMEOUT_S else None
    ports = [
        _given(name=p.name, port=p.port, protocol=p.protocol, targetPort=p.target_port, nodePort=p.node_port)
        for p in service.ports
    ]
    spec = _given(
        type=service.type,
        clusterIP=service.cluster_ip,
        clusterIPs=[service.cluster_ip, service.cluster_ip6] if service.cluster_ip6 else None,
        ports=ports,
        selector=dict(service.selector),
        externalIPs=list(service.external_ips),
        externalName=service.external_name,
        loadBalancerSourceRanges=list(service.load_balancer_source_ranges),
        sessionAffinity=_unless(service.session_affinity, "None"),
        sessionAffinityConfig=affinity,
        internalTrafficPolicy=_unless(service.internal_traffic_policy, "Cluster"),
        externalTrafficPolicy=_unless(service.external_traffic_policy, "Cluster"),
        ipFamilies=list(service.ip_families) if service.ip_families != ("IPv4",) else None,
        ipFamilyPolicy=service.ip_family_policy,
        trafficDistribution=service.traffic_distribution,
        publishNotReadyAddresses=service.publish_not_ready_addresses or None,
        healthCheckNodePort=service.health_check_node_port,
    )
    if not service.allocate_load_balancer_node_ports:
        spec["allocateLoadBalancerNodePorts"] = False
    ingress = [{"ip": ip} for ip in service.load_balancer_ips]
    ingress += [{"ip": ip, "ipMode": "Proxy"} for ip in service.load_balancer_proxy_ips]
    status = {"loadBalancer": {"ingress": ingress}} if ingress else None
    made = _object("v1", "Service", service.namespace, service.name, spec=spec, status=status)
    if service.topology_mode:
        name = TOPOLOGY_HINTS if service.topology_by_old_name else TOPOLOGY_MODE
        made["metadata"] = {**_metadata(made), "annotations": {name: service.topology_mode}}
    if service.proxy_name:
        made["metadata"] = {**_metadata(made), "labels": {SERVICE_PROXY_NAME: service.proxy_name}}
    return made


def _metadata(made: Document) -> Document:
    metadata = made["metadata"]
    assert isinstance(metadata, dict)
    return metadata


def _unless(value: str, default: str) -> str:
    return "" if value == default else value


def _containers(ports: Sequence[tuple[str, int, str]]) -> list[Document]:
    if not ports:
        return []
    return [{"ports": [_given(name=name, containerPort=number, protocol=kind) for name, number, kind in ports]}]


def _workload(made: Workload) -> Document:
    spec = _given(
        template=_given(
            metadata=_given(labels=dict(made.pod_labels)), spec=_given(containers=_containers(made.container_ports))
        )
    )
    if made.service_name:
        spec["serviceName"] = made.service_name
    if made.first_ordinal:
        spec["ordinals"] = {"start": made.first_ordinal}
    if made.indexed:
        spec["completionMode"] = "Indexed"
    if made.replicas is not None:
        spec["parallelism" if made.kind == "Job" else "replicas"] = made.replicas
    return _object(_API.get(made.kind, "apps/v1"), made.kind, made.namespace, made.name, spec=spec)


def _pod(pod: Pod) -> Document:
    made = _object("v1", "Pod", pod.namespace, pod.name)
    metadata: Document = {"name": pod.name, "namespace": pod.namespace, **_given(labels=dict(pod.labels))}
    if pod.terminating:
        metadata["deletionTimestamp"] = "1970-01-01T00:00:00Z"
    conditions = [{"type": "Ready", "status": str(pod.ready)}]
    return {
        **made,
        "metadata": metadata,
        "spec": _given(
            nodeName=pod.node,
            hostNetwork=pod.host_network or None,
            hostname=pod.hostname,
            subdomain=pod.subdomain,
            containers=_containers(pod.container_ports),
        ),
        "status": _given(phase=pod.phase, podIP=pod.ip, conditions=conditions),
    }


def _slice(made: EndpointSlice) -> Document:
    written = _object("discovery.k8s.io/v1", "EndpointSlice", made.namespace, made.name)
    metadata: Document = {"name": made.name, "namespace": made.namespace}
    if made.service:
        metadata["labels"] = {"kubernetes.io/service-name": made.service}
    ports = [_given(name=name, port=number, protocol=kind) for name, number, kind in made.ports]
    endpoints = [_endpoint(endpoint) for endpoint in made.endpoints]
    return {**written, "metadata": metadata, "addressType": made.address_type, "ports": ports, "endpoints": endpoints}


def _endpoint(at: Endpoint) -> Document:
    namespace, _, name = at.pod.partition("/")
    return _given(
        addresses=[at.ip],
        conditions={"ready": at.ready, "serving": at.serving, "terminating": at.terminating},
        nodeName=at.node,
        zone=at.zone,
        hostname=at.hostname,
        targetRef={"kind": "Pod", "namespace": namespace, "name": name} if name else None,
    )


def _node(node: Node) -> Document:
    made = _object("v1", "Node", "", node.name)
    roles = {CONTROL_PLANE[0]: ""} if node.control_plane else {}
    labels = _given(labels={**({ZONE: node.zone} if node.zone else {}), **roles})
    status = _given(
        capacity={"cpu": str(node.cores)} if node.cores else None,
        allocatable={"cpu": f"{node.cpu_milli}m"} if node.cpu_milli != 1000 * node.cores else None,
        conditions=None if node.ready else [{"type": "Ready", "status": "False"}],
        addresses=[{"type": "InternalIP", "address": ip} for ip in node.addresses],
        nodeInfo=_given(kubeletVersion=node.version or None, kernelVersion=node.kernel or None) or None,
    )
    spec = _given(podCIDRs=list(node.pod_cidrs))
    return {**made, "metadata": {"name": node.name, **labels}, **_given(spec=spec, status=status)}


def _ingress(made: Ingress) -> Document:
    rules: list[Document] = [
        {**_given(host=host), "http": {"paths": [_path(at) for at in paths]}}
        for host, paths in groupby(made.paths, lambda at: at.host)
    ]
    if not rules and made.default is None:
        rules = [{}]  # a host without paths, of which nothing is kept
    spec = _given(
        ingressClassName=made.class_name,
        defaultBackend=None if made.default is None else _backend(made.default),
        rules=rules,
    )
    return _object("networking.k8s.io/v1", "Ingress", made.namespace, made.name, spec=spec)


def _path(at: IngressPath) -> Document:
    return {"path": at.path, "pathType": at.path_type, "backend": _backend(at.backend)}


def _backend(made: IngressBackend) -> Document:
    if not made.service:
        return {"resource": {"kind": "Unknown", "name": "unknown"}}
    return {"service": {"name": made.service, "port": _given(name=made.port_name, number=made.port)}}
