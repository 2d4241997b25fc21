"""Kubernetes' own objects, as far as Service networking looks at them, with defaults filled in.

Frozen values, one class a kind.  Fields keep Kubernetes' meaning and, in snake case, its names.  Nothing here knows
how an object is read, allocated or laid out.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from kpsim.errors import Place

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of a Service; ``node_port`` 0 means none (yet)."""

    port: int
    name: str = ""
    protocol: str = "TCP"
    target_port: int | str = 0
    node_port: int = 0


@dataclass(frozen=True, slots=True)
class Service:
    """``v1.Service``.  ``cluster_ip`` is "" until allocated and "None" for a headless Service."""

    namespace: str
    name: str
    type: str = "ClusterIP"
    cluster_ip: str = ""
    ports: tuple[ServicePort, ...] = ()
    selector: Labels = ()
    external_ips: tuple[str, ...] = ()
    external_name: str = ""
    load_balancer_ips: tuple[str, ...] = ()
    load_balancer_proxy_ips: tuple[str, ...] = ()  # those with ipMode Proxy, which kube-proxy leaves alone since 1.30
    load_balancer_source_ranges: tuple[str, ...] = ()
    session_affinity: str = "None"
    session_affinity_timeout_s: int = 10800
    internal_traffic_policy: str = "Cluster"
    external_traffic_policy: str = "Cluster"
    allocate_load_balancer_node_ports: bool = True
    publish_not_ready_addresses: bool = False
    health_check_node_port: int = 0
    ip_families: tuple[str, ...] = ("IPv4",)
    cluster_ip6: str = ""  # the IPv6 one of a dual-stack pair
    proxy_name: str = ""  # label service.kubernetes.io/service-proxy-name: whoever that is serves it, not kube-proxy
    ip_family_policy: str = ""
    traffic_distribution: str = ""
    topology_mode: str = ""  # the annotation service.kubernetes.io/topology-mode, or the one below
    topology_by_old_name: bool = False  # service.kubernetes.io/topology-aware-hints, which goes before the other
    place: Place = field(default=Place(), compare=False)

    @property
    def headless(self) -> bool:
        """Return True if the Service has no virtual IP by request."""
        return self.cluster_ip == "None"

    @property
    def proxied(self) -> bool:
        """Return True if it has a virtual IP for a proxy to serve: neither headless nor ExternalName."""
        return self.type != "ExternalName" and not self.headless

    @property
    def watched(self) -> bool:
        """Return True if kube-proxies watch it: it has a virtual IP, and no label leaves it to another proxy."""
        return self.proxied and not self.proxy_name


@dataclass(frozen=True, slots=True)
class Pod:
    """``v1.Pod``: what selectors, endpoints and churn look at."""

    namespace: str
    name: str
    labels: Labels = ()
    ip: str = ""
    node: str = ""
    phase: str = "Running"
    ready: bool = True
    terminating: bool = False
    host_network: bool = False
    container_ports: tuple[tuple[str, int, str], ...] = ()  # (name, number, protocol)
    hostname: str = ""
    subdomain: str = ""


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment, StatefulSet, DaemonSet, …: ``replicas`` Pods with ``pod_labels`` (``None``: one a node).

    A StatefulSet's Pods are called after it in DNS by the Service ``service_name``.
    """

    kind: str
    namespace: str
    name: str
    replicas: int | None
    pod_labels: Labels = ()
    container_ports: tuple[tuple[str, int, str], ...] = ()
    service_name: str = ""
    first_ordinal: int = 0  # of a StatefulSet's Pods: spec.ordinals.start
    indexed: bool = False  # a Job whose Pods have completion indices


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint of a slice.  ``pod`` names its Pod ("ns/name"), "" when unknown; ``ip`` is "" until placed.

    ``hostname`` is what DNS calls it below its Service, "" where nobody gave it one.
    """

    ip: str
    ready: bool = True
    serving: bool = True
    terminating: bool = False
    node: str = ""
    zone: str = ""
    pod: str = ""
    zone_hints: tuple[str, ...] = ()
    node_hints: tuple[str, ...] = ()
    hostname: str = ""


@dataclass(frozen=True, slots=True)
class EndpointSlice:
    """``discovery.k8s.io/v1.EndpointSlice`` (or one subset of an old ``Endpoints``)."""

    namespace: str
    name: str
    service: str
    address_type: str = "IPv4"
    ports: tuple[tuple[str, int, str], ...] = ()  # (name, number, protocol)
    endpoints: tuple[Endpoint, ...] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """``v1.Node``."""

    name: str
    zone: str = ""
    cores: int = 0
    cpu_milli: int = 0  # allocatable, in thousandths of a core; 0: not known
    ready: bool = True
    control_plane: bool = False
    addresses: tuple[str, ...] = ()  # internal ones; external ones where there is none
    pod_cidrs: tuple[str, ...] = ()  # of its own Pods
    version: str = ""  # its kubelet's
    kernel: str = ""  # e.g. "6.8.0-51-generic"


@dataclass(frozen=True, slots=True)
class IngressBackend:
    """An Ingress sends to this port of a Service, by number, or by name where the number is 0.

    ``service`` is "" where a resource of another kind stands instead.
    """

    service: str
    port: int = 0
    port_name: str = ""


@dataclass(frozen=True, slots=True)
class IngressPath:
    """One path of one rule; ``host`` "" is any, and a first label ``*`` stands for any one label."""

    backend: IngressBackend
    path: str = "/"
    path_type: str = "Prefix"  # Exact, Prefix or ImplementationSpecific
    host: str = ""


@dataclass(frozen=True, slots=True)
class Ingress:
    """``networking.k8s.io/v1.Ingress``: the paths of all its rules, in order; without a class, ``class_name`` is ""."""

    namespace: str
    name: str
    paths: tuple[IngressPath, ...] = ()
    default: IngressBackend | None = None
    class_name: str = ""


@dataclass(frozen=True, slots=True)
class KubeObjects:
    """Everything read from manifests and dumps, in file order, with warnings."""

    services: tuple[Service, ...] = ()
    pods: tuple[Pod, ...] = ()
    workloads: tuple[Workload, ...] = ()
    slices: tuple[EndpointSlice, ...] = ()
    nodes: tuple[Node, ...] = ()
    proxy_configuration: tuple[
        tuple[str, object], ...
    ] = ()  # a KubeProxyConfiguration document's items, if one was found
    warnings: tuple[str, ...] = ()
    ingresses: tuple[Ingress, ...] = ()

    def __bool__(self) -> bool:
        found = self.services or self.pods or self.workloads or self.slices or self.nodes or self.ingresses
        return bool(found)


@dataclass(frozen=True, slots=True)
class ResolvedService:
    """A Service after the API server and the EndpointSlice controller had their turn.

    ``service`` has its ClusterIP and NodePorts; ``endpoints`` is what its selector (or its own slices) gives, and
    ``target_ports`` the number each service port resolves to (0 where no Pod names it).  Where its slices do not all
    have all of its ports, ``of_ports`` has for each port the indices of its endpoints; else it is empty.
    """

    service: Service
    endpoints: tuple[Endpoint, ...] = ()
    target_ports: tuple[int, ...] = ()
    of_ports: tuple[tuple[int, ...], ...] = ()
