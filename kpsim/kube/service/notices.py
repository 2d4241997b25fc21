"""Warnings about fields of a valid Service that have no effect, or soon will have none.

Source: pkg/api/service/warnings.go (GetWarningsForService); pkg/apis/core/v1/defaults.go for what is dropped;
staging/src/k8s.io/endpointslice/reconciler.go for which of two wishes about topology wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kpsim.kube.defaults import TOPOLOGY_HINTS, TOPOLOGY_MODE
from kpsim.kube.fields import Fault, Fields
from kpsim.kube.objects import Service
from kpsim.kube.server.addresses import ip_warnings, range_warnings
from kpsim.kube.service.hints import AUTOMATIC

SETTLED = ("Auto", "auto", "Disabled", "disabled")


def service_notices(service: Service, written: Fields, of_shape: Iterable[Fault]) -> Iterator[Fault]:
    """Yield a notice for each field of a valid Service that has no effect; ``of_shape`` are faults of its shape."""
    spec = Fields(written.part("spec").raw, ("spec",), [])
    yield from _ignored_by_type(service, spec)
    yield from _ignored_settings(service, spec)
    yield from _topology(service, written)
    for fault in of_shape:
        if fault.on_key:
            yield Fault(fault.key, "is no field that this version of Kubernetes knows", on_key=True)
    if not service.load_balancer_proxy_ips:
        return
    for ingress in Fields(written.raw, (), []).part("status").part("loadBalancer").parts("ingress"):
        if ingress.text("ip") and ingress.text("ipMode") == "Proxy":
            yield Fault((*ingress.key, "ipMode"), "kube-proxy leaves an address with ipMode Proxy to the load balancer")


def _ignored_by_type(service: Service, spec: Fields) -> Iterator[Fault]:
    if service.headless:
        for name in ("loadBalancerIP", "externalIPs"):
            if spec.raw.get(name):
                yield Fault(("spec", name), "is ignored for headless services")
        if service.session_affinity != "None":
            yield Fault(("spec", "sessionAffinity"), "is ignored for headless services")
    if service.type == "ExternalName":
        ignored = ("externalIPs", "selector", "internalTrafficPolicy", "trafficDistribution")
        for name in ignored:
            if spec.raw.get(name):
                yield Fault(("spec", name), 'is ignored when spec.type is "ExternalName"')
        for index, port in enumerate(service.ports):
            if port.node_port:
                yield Fault(("spec", "ports", index, "nodePort"), 'is ignored when spec.type is "ExternalName"')
    elif service.external_name:
        yield Fault(("spec", "externalName"), 'is ignored when spec.type is not "ExternalName"')


def _ignored_settings(service: Service, spec: Fields) -> Iterator[Fault]:
    if spec.text("loadBalancerIP") and not service.headless:
        what = "is deprecated since 1.24: it is a wish that clouds may ignore, and kube-proxy does"
        yield Fault(("spec", "loadBalancerIP"), what)
    if "sessionAffinityConfig" in spec and service.session_affinity == "None":
        yield Fault(("spec", "sessionAffinityConfig"), "is dropped: sessionAffinity is None")
    if service.traffic_distribution and service.internal_traffic_policy == "Local":
        what = "does nothing to internal traffic, which internalTrafficPolicy: Local keeps on its node"
        yield Fault(("spec", "trafficDistribution"), what)


def _topology(service: Service, written: Fields) -> Iterator[Fault]:
    annotations = Fields(written.part("metadata").raw, ("metadata",), []).part("annotations")
    if TOPOLOGY_HINTS in annotations:
        what = f"is deprecated, please use {TOPOLOGY_MODE} instead"
        yield Fault(("metadata", "annotations", TOPOLOGY_HINTS), what)
    mode = service.topology_mode
    if mode in AUTOMATIC and service.traffic_distribution:
        what = f"is ignored: the annotation {TOPOLOGY_MODE} is {mode}"
        yield Fault(("spec", "trafficDistribution"), what)
    elif mode and mode not in SETTLED:
        name = TOPOLOGY_MODE if TOPOLOGY_MODE in annotations else TOPOLOGY_HINTS
        yield Fault(("metadata", "annotations", name), f"{mode[:40]!r} is ignored: Kubernetes knows Auto and Disabled")


def service_warnings(made: Mapping[str, Any]) -> Iterator[str]:
    """Yield a 1.36 API server's warnings about a Service it took, in its own words, whatever version it emulates."""
    annotations, spec = made["metadata"].get("annotations") or {}, made["spec"]
    headless = spec["type"] == "ClusterIP" and spec.get("clusterIP") == "None"
    if TOPOLOGY_HINTS in annotations:
        yield f"annotation {TOPOLOGY_HINTS} is deprecated, please use {TOPOLOGY_MODE} instead"
    if headless:
        settings = {name: spec.get(name) for name in ("loadBalancerIP", "externalIPs")}
        settings["SessionAffinity"] = spec["sessionAffinity"] != "None"
        for name in (name for name, there in settings.items() if there):
            yield f"spec.{name} is ignored for headless services"
    yield from _written_oddly(spec)
    if spec.get("externalIPs") and spec["type"] == "ExternalName":
        yield 'spec.externalIPs is ignored when spec.type is "ExternalName"'
    elif spec.get("externalIPs") and not headless:
        yield "spec.externalIPs is deprecated and may no longer be implemented in some clusters"
    if spec.get("externalName") and spec["type"] != "ExternalName":
        yield 'spec.externalName is ignored when spec.type is not "ExternalName"'
    if spec.get("trafficDistribution") == "PreferClose":
        yield 'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"'


def _written_oddly(spec: Mapping[str, Any]) -> Iterator[str]:
    """Addresses and ranges that would be better written otherwise."""
    ips = [(f"spec.externalIPs[{index}]", ip) for index, ip in enumerate(spec.get("externalIPs") or ())]
    if spec["type"] != "ExternalName":
        ips += [(f"spec.clusterIPs[{index}]", ip) for index, ip in enumerate(spec.get("clusterIPs") or ())]
    for path, ip in (*ips, ("spec.loadBalancerIP", spec.get("loadBalancerIP") or "")):
        yield from ip_warnings(ip, path)
    for index, text in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        yield from range_warnings(text, f"spec.loadBalancerSourceRanges[{index}]")
