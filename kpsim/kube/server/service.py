"""The API server refuses some Services by these rules, those of addresses and families aside.

A Service is looked at as the server holds it: plain data, its defaults filled in.  Old values of an update stay
valid where the server leaves them alone.

Source: pkg/apis/core/v1/defaults.go (SetDefaults_Service); pkg/apis/core/validation/validation.go (validateService,
ValidateServiceUpdate, ValidateLoadBalancerStatus); pkg/features/kube_features.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kpsim.documents import Key
from kpsim.kube.defaults import CLIENT_IP_TIMEOUT_S, NODE_PORT_TYPES, SOURCE_RANGES, TOPOLOGY_HINTS, TOPOLOGY_MODE
from kpsim.kube.fields import Fault
from kpsim.kube.server.addresses import address_of, ip_faults, range_faults, special_faults
from kpsim.kube.server.families import family_faults, is_headless
from kpsim.kube.server.names import (
    label_reasons,
    labels_faults,
    metadata_faults,
    old_label_reasons,
    port_name_reasons,
    qualified_reasons,
    subdomain_reasons,
)
from kpsim.kube.server.refusals import (
    IN_RANGE,
    LAST_PORT,
    choice_faults,
    duplicate,
    forbidden,
    invalid,
    invalid_for_each,
    required,
)
from kpsim.units import Version

Spec = dict[str, Any]

TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
PROTOCOLS = ("SCTP", "TCP", "UDP")
POLICIES = ("Cluster", "Local")
DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")
LONGEST_AFFINITY_S = 86400
ONLY_BALANCED = "may only be used when `type` is 'LoadBalancer'"


def relaxed_names(version: Version) -> bool:
    """Return True if a Service's name may start with a digit (gate RelaxedServiceNameValidation, on from 1.36)."""
    return version >= (1, 36)


def strict_addresses(version: Version) -> bool:
    """Return True if new addresses and ranges are checked strictly (gate StrictIPCIDRValidation, on from 1.36)."""
    return version >= (1, 36)


def externally_accessible(spec: Mapping[str, Any]) -> bool:
    """Return True if traffic from outside the cluster may reach the Service."""
    kind = spec.get("type")
    return kind in NODE_PORT_TYPES or (kind == "ClusterIP" and bool(spec.get("externalIPs")))


def needs_health_check(spec: Mapping[str, Any]) -> bool:
    """Return True if a load balancer asks each node of the Service for its endpoints."""
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def fill_in(made: dict[str, Any]) -> None:
    """Fill in what the Service leaves out and does not depend on the cluster."""
    spec: Spec = made["spec"]
    spec["sessionAffinity"] = spec.get("sessionAffinity") or "None"
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        client = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
        if client.get("timeoutSeconds") is None:
            spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": CLIENT_IP_TIMEOUT_S}}
    spec["type"] = spec.get("type") or "ClusterIP"
    for port in spec.get("ports") or ():
        port["protocol"] = port.get("protocol") or "TCP"
        port["port"] = port.get("port") or 0
        port["targetPort"] = port.get("targetPort") or port["port"]
    if externally_accessible(spec) and not spec.get("externalTrafficPolicy"):
        spec["externalTrafficPolicy"] = "Cluster"
    if spec.get("internalTrafficPolicy") is None and spec["type"] in TYPES and spec["type"] != "ExternalName":
        spec["internalTrafficPolicy"] = "Cluster"
    if spec["type"] == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is None:
        spec["allocateLoadBalancerNodePorts"] = True


def name_faults(made: Mapping[str, Any], version: Version) -> Iterator[Fault]:
    """Yield the faults of a Service's name, labels and selector."""
    reasons = label_reasons if relaxed_names(version) else old_label_reasons
    yield from metadata_faults(made["metadata"], reasons)
    yield from labels_faults(made["spec"].get("selector") or {}, ("spec", "selector"))


def service_faults(made: Mapping[str, Any], version: Version, old: Mapping[str, Any] | None = None) -> Iterator[Fault]:
    """Everything wrong with a Service; ``old`` is what an update found."""
    metadata, spec = made["metadata"], made["spec"]
    before: Mapping[str, Any] = old["spec"] if old else {}
    strict = strict_addresses(version)
    reasons = label_reasons if relaxed_names(version) else old_label_reasons
    yield from metadata_faults(metadata, reasons, update=old is not None)
    annotations = metadata.get("annotations") or {}
    yield from _topology(annotations)
    yield from _by_type(spec)
    for index, port in enumerate(spec.get("ports") or ()):
        yield from _port(port, spec["ports"], index)
    yield from labels_faults(spec.get("selector") or {}, ("spec", "selector"))
    yield from _affinity(spec)
    yield from family_faults(spec, before, strict=strict)
    for index, ip in enumerate(spec.get("externalIPs") or ()):
        key = ("spec", "externalIPs", index)
        found = list(ip_faults(ip, key, strict=strict, old=before.get("externalIPs") or ()))
        yield from found or special_faults(ip, key)
    yield from choice_faults(spec["type"], TYPES, ("spec", "type"))
    yield from _pairs(spec)
    yield from _source_ranges(spec, annotations, old, strict)
    yield from _load_balancer(spec)
    yield from _traffic(spec)
    distribution = spec.get("trafficDistribution")
    if distribution is not None and version >= (1, 31):
        known = DISTRIBUTIONS if version >= (1, 34) else DISTRIBUTIONS[:1]
        yield from choice_faults(distribution, known, ("spec", "trafficDistribution"))
    protocols = [port["protocol"] for port in spec.get("ports") or ()]
    if spec["type"] == "LoadBalancer" and len(set(protocols)) > 1 and version < (1, 24):
        why = "may not contain a mix of protocols when 'type' is 'LoadBalancer'"
        yield invalid(("spec", "ports"), protocols, why, "Kubernetes 1.24 and later take it")


def _topology(annotations: Mapping[str, str]) -> Iterator[Fault]:
    mode = annotations.get(TOPOLOGY_MODE)
    if mode is not None and annotations.get(TOPOLOGY_HINTS, mode) != mode:
        why = f"must match annotations[{TOPOLOGY_HINTS}] when both are specified"
        yield invalid(("metadata", "annotations", TOPOLOGY_MODE), mode, why)


def _by_type(spec: Spec) -> Iterator[Fault]:
    kind = spec["type"]
    if not spec.get("ports") and not is_headless(spec) and kind != "ExternalName":
        yield required(("spec", "ports"), mend="give the Service at least one port: ports: [{port: 80}]")
    if kind in NODE_PORT_TYPES and is_headless(spec):
        yield invalid(("spec", "clusterIPs", 0), "None", f"may not be set to 'None' for {kind} services")
    if kind == "ExternalName":
        for name in ("clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if spec.get(name) or (name == "ipFamilyPolicy" and name in spec):
                yield forbidden(("spec", name), "may not be set for ExternalName services")
        host, key = (spec.get("externalName") or "").removesuffix("."), ("spec", "externalName")
        if host:
            yield from invalid_for_each(key, host, subdomain_reasons(host))
        else:
            yield required(key, mend="name the host: externalName: db.example.com")


def _port(port: Spec, ports: Sequence[Spec], index: int) -> Iterator[Fault]:
    key: Key = ("spec", "ports", index)
    name = port.get("name") or ""
    if name:
        yield from invalid_for_each((*key, "name"), name, label_reasons(name))
        if name in [other.get("name") for other in ports[:index]]:
            yield duplicate((*key, "name"), name)
    elif len(ports) > 1:
        yield required((*key, "name"), mend="with more than one port, each needs a name")
    if not 1 <= port["port"] <= LAST_PORT:
        mend = "" if port["port"] else "give the port clients connect to"
        yield invalid((*key, "port"), port["port"], IN_RANGE, mend)
    yield from choice_faults(port["protocol"], PROTOCOLS, (*key, "protocol"))
    target = port["targetPort"]
    if isinstance(target, str):
        mend = "leave out the quotes" if target.isdecimal() else ""
        yield from invalid_for_each((*key, "targetPort"), target, port_name_reasons(target), mend)
    elif not 1 <= target <= LAST_PORT:
        yield invalid((*key, "targetPort"), target, IN_RANGE)
    if port.get("appProtocol") is not None:
        yield from invalid_for_each((*key, "appProtocol"), port["appProtocol"], qualified_reasons(port["appProtocol"]))


def _pairs(spec: Spec) -> Iterator[Fault]:
    """Yield a fault for each NodePort of a ClusterIP, and each NodePort or port that an earlier one has already."""
    seen: set[object] = set()
    ports = list(enumerate(spec.get("ports") or ()))
    for index, port in ports:
        if port.get("nodePort") and spec["type"] == "ClusterIP":
            mend = "make it type: NodePort, or leave nodePort out"
            yield forbidden(("spec", "ports", index, "nodePort"), "may not be used when `type` is 'ClusterIP'", mend)
    for index, port in ports:
        pair = "node", port["protocol"], port.get("nodePort")
        if port.get("nodePort") and pair in seen:
            yield duplicate(("spec", "ports", index, "nodePort"), port["nodePort"])
        seen.add(pair)
    for index, port in ports:
        number = port["protocol"], port["port"]
        if number in seen:
            yield duplicate(("spec", "ports", index), f"{port['port']}/{port['protocol']}")
        seen.add(number)


def _affinity(spec: Spec) -> Iterator[Fault]:
    yield from choice_faults(spec["sessionAffinity"], ("ClientIP", "None"), ("spec", "sessionAffinity"))
    if spec["sessionAffinity"] == "ClientIP":
        timeout = spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"]
        if not 0 < timeout <= LONGEST_AFFINITY_S:
            key = ("spec", "sessionAffinityConfig", "clientIP", "timeoutSeconds")
            yield invalid(key, timeout, f"must be greater than 0 and less than {LONGEST_AFFINITY_S}")


def _source_ranges(
    spec: Spec, annotations: Mapping[str, str], old: Mapping[str, Any] | None, strict: bool
) -> Iterator[Fault]:
    """Ranges of the field, without them those of the old annotation; the server spells the field with a capital."""
    ranges: Sequence[str] = spec.get("loadBalancerSourceRanges") or ()
    said = annotations.get(SOURCE_RANGES)
    key: Key = ("spec", "loadBalancerSourceRanges") if ranges else ("metadata", "annotations", SOURCE_RANGES)
    path = "spec.LoadBalancerSourceRanges"
    if (ranges or said is not None) and spec["type"] != "LoadBalancer":
        yield forbidden(key, ONLY_BALANCED, "make it type: LoadBalancer, or leave it out", path if ranges else "")
    if ranges:
        known = [text.strip() for text in (old["spec"] if old else {}).get("loadBalancerSourceRanges") or ()]
        for index, text in enumerate(ranges):
            at = f"{path}[{index}]"
            yield from range_faults(text.strip(), (*key, index), strict=strict, old=known, path=at)
    elif said and said.strip() and (old is None or (old["metadata"].get("annotations") or {}).get(key[-1]) != said):
        for text in said.split(","):
            yield from range_faults(text.strip(), key, strict=strict)


def _load_balancer(spec: Spec) -> Iterator[Fault]:
    """Fields that only load balancers have."""
    mend = "make it type: LoadBalancer, or leave it out"
    for name in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
        if spec.get(name) is not None and spec["type"] != "LoadBalancer":
            yield forbidden(("spec", name), ONLY_BALANCED, mend)
    yield from _class(spec)


def _class(spec: Spec) -> Iterator[Fault]:
    wanted = spec.get("loadBalancerClass")
    if wanted is not None and spec["type"] == "LoadBalancer":
        yield from invalid_for_each(("spec", "loadBalancerClass"), wanted, qualified_reasons(wanted))


def _traffic(spec: Spec) -> Iterator[Fault]:
    """Traffic policies, and the port at which load balancers ask whether a node has anybody."""
    key, policy = ("spec", "externalTrafficPolicy"), spec.get("externalTrafficPolicy") or ""
    if externally_accessible(spec):
        yield from choice_faults(policy, POLICIES, key)
    elif policy:
        yield invalid(key, policy, "may only be set for externally-accessible services")
    number, key = spec.get("healthCheckNodePort") or 0, ("spec", "healthCheckNodePort")
    if number and not needs_health_check(spec):
        why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        yield invalid(key, number, why)
    elif number and not 1 <= number <= LAST_PORT:
        yield invalid(key, number, IN_RANGE)
    if spec.get("internalTrafficPolicy") is not None:
        yield from choice_faults(spec["internalTrafficPolicy"], POLICIES, ("spec", "internalTrafficPolicy"))


def change_faults(spec: Spec, old: Spec) -> Iterator[Fault]:
    """Yield the faults of an update's changes to load balancers."""
    key = ("spec", "loadBalancerClass")
    if old["type"] == spec["type"] == "LoadBalancer" and old.get(key[1]) != spec.get(key[1]):
        yield invalid(key, spec.get(key[1]), "may not change once set")
    yield from _load_balancer_class_again(spec)
    number = "healthCheckNodePort"
    if needs_health_check(old) and needs_health_check(spec) and (old.get(number) or 0) != (spec.get(number) or 0):
        yield forbidden(("spec", number), "field is immutable")


def _load_balancer_class_again(spec: Spec) -> Iterator[Fault]:
    """The server looks at a class twice in an update, and says so twice."""
    if spec.get("loadBalancerClass") is not None and spec["type"] != "LoadBalancer":
        yield forbidden(("spec", "loadBalancerClass"), ONLY_BALANCED)
    yield from _class(spec)


def ingress_faults(made: Mapping[str, Any], *, strict: bool) -> Iterator[Fault]:
    """Yield the faults of a Service's load balancer status, which no cloud controller could have written."""
    status = made.get("status") or {}
    for index, at in enumerate((status.get("loadBalancer") or {}).get("ingress") or ()):
        key: Key = ("status", "loadBalancer", "ingress", index)
        ip, mode, host = at.get("ip") or "", at.get("ipMode"), at.get("hostname") or ""
        if ip:
            yield from ip_faults(ip, (*key, "ip"), strict=strict)
        if mode is not None and not ip:
            yield forbidden((*key, "ipMode"), "may not be specified when `ip` is not set")
        elif mode is not None:
            yield from choice_faults(mode, ("Proxy", "VIP"), (*key, "ipMode"))
        if host:
            yield from invalid_for_each((*key, "hostname"), host, subdomain_reasons(host))
            if address_of(host) is not None:
                yield invalid((*key, "hostname"), host, "must be a DNS name, not an IP address")
