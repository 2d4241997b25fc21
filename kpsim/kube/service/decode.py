"""One written Service to one typed Service; shapes are checked, meaning is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kpsim.errors import Place
from kpsim.kube.decode import identity
from kpsim.kube.defaults import (
    CLIENT_IP_TIMEOUT_S,
    SERVICE_PROXY_NAME,
    SOURCE_RANGES,
    TOPOLOGY_HINTS,
    TOPOLOGY_MODE,
    with_defaults,
)
from kpsim.kube.fields import Fields, FittingFields
from kpsim.kube.objects import Service, ServicePort


def service_of(fields: Fields, place: Place, *, fits: bool = False) -> Service:
    """Return a ``v1.Service`` with its defaults; ``fits`` says that each of its fields has its type."""
    namespace, name = identity(fields)
    fields = FittingFields(fields.raw) if fits else fields
    metadata, spec = fields.part("metadata"), fields.part("spec")
    annotations, labels = dict(metadata.labels("annotations")), dict(metadata.labels("labels"))
    affinity = spec.part("sessionAffinityConfig").part("clientIP")
    ingress = tuple(fields.part("status").part("loadBalancer").parts("ingress"))
    first, ips = spec.text("clusterIP"), spec.texts("clusterIPs")
    cluster_ip, cluster_ip6 = _cluster_ips(first, ips)
    return with_defaults(
        Service(
            namespace=namespace,
            name=name,
            type=spec.text("type", "ClusterIP"),
            cluster_ip=cluster_ip,
            ports=tuple(_service_port(port) for port in spec.parts("ports")),
            selector=spec.labels("selector"),
            external_ips=spec.texts("externalIPs"),
            external_name=spec.text("externalName"),
            load_balancer_ips=tuple(
                entry.text("ip") for entry in ingress if entry.text("ip") and entry.text("ipMode", "VIP") == "VIP"
            ),
            load_balancer_proxy_ips=tuple(
                at.text("ip") for at in ingress if at.text("ipMode") == "Proxy" and at.text("ip")
            ),
            load_balancer_source_ranges=_source_ranges(spec.texts("loadBalancerSourceRanges"), annotations),
            session_affinity=spec.text("sessionAffinity", "None"),
            session_affinity_timeout_s=affinity.number("timeoutSeconds", CLIENT_IP_TIMEOUT_S),
            internal_traffic_policy=spec.text("internalTrafficPolicy", "Cluster"),
            external_traffic_policy=spec.text("externalTrafficPolicy", "Cluster"),
            allocate_load_balancer_node_ports=spec.truth("allocateLoadBalancerNodePorts", True),
            publish_not_ready_addresses=spec.truth("publishNotReadyAddresses", False),
            health_check_node_port=spec.number("healthCheckNodePort"),
            ip_families=_ip_families(spec.texts("ipFamilies"), ips or (first,)),
            ip_family_policy=spec.text("ipFamilyPolicy"),
            cluster_ip6=cluster_ip6,
            proxy_name=labels.get(SERVICE_PROXY_NAME, ""),
            traffic_distribution=spec.text("trafficDistribution"),
            topology_mode=annotations.get(TOPOLOGY_HINTS, annotations.get(TOPOLOGY_MODE, "")),
            topology_by_old_name=TOPOLOGY_HINTS in annotations,
            place=place,
        )
    )


def _source_ranges(written: Sequence[str], annotations: Mapping[str, str]) -> tuple[str, ...]:
    """Return the ranges that may use the load balancer: the field's, or without a field the old annotation's."""
    ranges = written or annotations.get(SOURCE_RANGES, "").split(",")
    return tuple(cidr.strip() for cidr in ranges if cidr.strip())


def _cluster_ips(first: str, several: tuple[str, ...]) -> tuple[str, str]:
    """Return (the virtual IP as written, the IPv6 one beside it or ""); of a pair IPv4's is the one modelled."""
    if first == "None" or "None" in several:
        one = "None"
    else:
        one = next((ip for ip in (first, *several) if ip and ":" not in ip), first)
    return one, "" if ":" in one else next((ip for ip in several if ":" in ip), "")


def _ip_families(written: tuple[str, ...], addresses: tuple[str, ...]) -> tuple[str, ...]:
    """Return the families the API server gave it; where it has not yet, those of its addresses."""
    found = ("IPv6" if ":" in ip else "IPv4" for ip in addresses if ip not in ("", "None"))
    return tuple(dict.fromkeys(written or found)) or ("IPv4",)


def _service_port(port: Fields) -> ServicePort:
    target = port.raw.get("targetPort")
    if target is None or isinstance(target, bool) or not isinstance(target, int | str):
        target = port.number("targetPort")
    return ServicePort(
        port=port.number("port"),
        name=port.text("name"),
        protocol=port.text("protocol", "TCP"),
        target_port=target,
        node_port=port.number("nodePort"),
    )
