"""What the API server refuses about one Service, in its own words: names, type, and fields that do not go together.

Keys of faults are relative to the Service; whoever read it knows the place.  What is asked of all Services together
stands in :mod:`kpsim.kube.validation`; what is taken and ignored in :mod:`kpsim.kube.service.notices`.

Source: pkg/apis/core/validation/validation.go (ValidateService).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from kpsim.documents import Key
from kpsim.kube.defaults import NODE_PORT_TYPES, SOURCE_RANGES, TOPOLOGY_HINTS, TOPOLOGY_MODE, needs_health_check_port
from kpsim.kube.fields import Fault, Fields
from kpsim.kube.objects import Service
from kpsim.kube.service.families import family_faults
from kpsim.kube.service.ports import IN_RANGE, LAST_PORT, port_faults
from kpsim.kube.service.wording import (
    address_faults,
    choice_faults,
    forbidden,
    host_faults,
    invalid,
    is_range,
    qualified_name_faults,
)

TYPES = ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")
AFFINITIES = ("ClientIP", "None")
POLICIES = ("Cluster", "Local")
INGRESS_MODES = ("Proxy", "VIP")
LONGEST_AFFINITY_S = 86400
ONLY_BALANCED = "may only be used when `type` is 'LoadBalancer'"

_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")


def service_faults(service: Service, written: Fields) -> Iterator[Fault]:
    """Everything wrong with one Service by itself.

    Parameters
    ----------
    service
        as it was decoded, with its defaults.
    written
        as it was written: some fields may not be given at all, whatever their value.
    """
    spec = Fields(written.part("spec").raw, ("spec",), [])
    yield from _names(service)
    yield from choice_faults(service.type, TYPES, ("spec", "type"))
    yield from _topology_annotations(Fields(written.part("metadata").raw, ("metadata",), []))
    yield from family_faults(service, spec)
    yield from _by_type(service)
    yield from port_faults(service, spec)
    yield from _selector(service)
    yield from _affinity(service)
    for index, ip in enumerate(service.external_ips):
        yield from address_faults(ip, ("spec", "externalIPs", index), special=False)
    yield from _load_balancer(service, spec, Fields(written.part("metadata").raw, ("metadata",), []))
    yield from _ingress(Fields(written.raw, (), []))
    yield from _external_policy(service, spec)
    yield from choice_faults(service.internal_traffic_policy, POLICIES, ("spec", "internalTrafficPolicy"))


def _names(service: Service) -> Iterator[Fault]:
    if service.name and not _NAME.fullmatch(service.name):
        mend = "lower-case letters, digits and '-', starting with a letter, at most 63 characters"
        yield invalid(("metadata", "name"), service.name, "must be a DNS-1035 label", mend)
    if not _NAMESPACE.fullmatch(service.namespace):
        mend = "lower-case letters, digits and '-', at most 63 characters"
        yield invalid(("metadata", "namespace"), service.namespace, "must be a DNS-1123 label", mend)


def _topology_annotations(metadata: Fields) -> Iterator[Fault]:
    annotations = metadata.part("annotations")
    mode, hints = annotations.text(TOPOLOGY_MODE), annotations.text(TOPOLOGY_HINTS)
    if TOPOLOGY_MODE in annotations and TOPOLOGY_HINTS in annotations and mode != hints:
        why = f"must match annotations[{TOPOLOGY_HINTS}] when both are specified"
        yield invalid(("metadata", "annotations", TOPOLOGY_MODE), mode, why)


def _by_type(service: Service) -> Iterator[Fault]:
    if service.headless and service.type in NODE_PORT_TYPES:
        yield invalid(("spec", "clusterIP"), "None", f"may not be set to 'None' for {service.type} services")
    if service.type == "ExternalName":
        key: Key = ("spec", "externalName")
        if not service.external_name.removesuffix("."):
            yield Fault(key, "Required value", "name the host: externalName: db.example.com")
        else:
            yield from host_faults(service.external_name.removesuffix("."), key)


def _selector(service: Service) -> Iterator[Fault]:
    for name, value in service.selector:
        key: Key = ("spec", "selector", name)
        yield from qualified_name_faults(name, key)
        if len(value) > 63:
            yield invalid(key, value, "must be no more than 63 bytes")
        elif not _LABEL_VALUE.fullmatch(value):
            why = (
                "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
                "and must start and end with an alphanumeric character (e.g. 'MyValue', or 'my_value', or '12345')"
            )
            yield invalid(key, value, why)


def _affinity(service: Service) -> Iterator[Fault]:
    yield from choice_faults(service.session_affinity, AFFINITIES, ("spec", "sessionAffinity"))
    timeout = service.session_affinity_timeout_s
    if service.session_affinity == "ClientIP" and not 0 < timeout <= LONGEST_AFFINITY_S:
        key = ("spec", "sessionAffinityConfig", "clientIP", "timeoutSeconds")
        yield invalid(key, timeout, f"must be greater than 0 and less than {LONGEST_AFFINITY_S}")


def _load_balancer(service: Service, spec: Fields, metadata: Fields) -> Iterator[Fault]:
    """Fields that only load balancers have, and what is wrong with them."""
    annotated = not service.load_balancer_source_ranges or not spec.texts("loadBalancerSourceRanges")
    ranges: Key = ("metadata", "annotations", SOURCE_RANGES) if annotated else ("spec", "loadBalancerSourceRanges")
    given = {
        ranges: bool(spec.raw.get("loadBalancerSourceRanges")) or SOURCE_RANGES in metadata.part("annotations"),
        ("spec", "allocateLoadBalancerNodePorts"): "allocateLoadBalancerNodePorts" in spec,
        ("spec", "loadBalancerClass"): "loadBalancerClass" in spec,
    }
    for key, there in given.items():
        if there and service.type != "LoadBalancer":
            yield forbidden(key, ONLY_BALANCED, "make it type: LoadBalancer, or leave it out")
    for index, cidr in enumerate(service.load_balancer_source_ranges):
        if not is_range(cidr):
            why = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
            yield invalid(ranges if annotated else (*ranges, index), cidr, why)
    if "loadBalancerClass" in spec and service.type == "LoadBalancer":
        yield from qualified_name_faults(spec.text("loadBalancerClass"), ("spec", "loadBalancerClass"))


def _ingress(written: Fields) -> Iterator[Fault]:
    """What no cloud controller could have written into the status."""
    for ingress in written.part("status").part("loadBalancer").parts("ingress"):
        if ingress.text("ip"):
            yield from address_faults(ingress.text("ip"), (*ingress.key, "ip"))
        if "ipMode" in ingress:
            yield from choice_faults(ingress.text("ipMode"), INGRESS_MODES, (*ingress.key, "ipMode"))
            if not ingress.text("ip"):
                yield forbidden((*ingress.key, "ipMode"), "may not be specified when `ip` is not set")


def _external_policy(service: Service, spec: Fields) -> Iterator[Fault]:
    """``externalTrafficPolicy`` and the port at which load balancers ask whether a node has anybody."""
    key = ("spec", "externalTrafficPolicy")
    policy = service.external_traffic_policy
    if service.type not in NODE_PORT_TYPES and not (service.type == "ClusterIP" and service.external_ips):
        if "externalTrafficPolicy" in spec:
            yield invalid(key, policy, "may only be set for externally-accessible services")
    else:
        yield from choice_faults(policy, POLICIES, key)
    number, key = service.health_check_node_port, ("spec", "healthCheckNodePort")
    if number and not needs_health_check_port(service):
        why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        yield invalid(key, number, why)
    elif number and not 1 <= number <= LAST_PORT:
        yield invalid(key, number, IN_RANGE)
