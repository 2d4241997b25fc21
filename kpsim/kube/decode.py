"""One written object to one typed object: Services, Pods, workloads, slices, Nodes.

Fields that Service networking does not look at are not looked at here either, so that a dump of any age or vendor
reads.  Shapes are checked (:mod:`kpsim.kube.fields`), meaning is not (:mod:`kpsim.kube.service`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from sys import intern
from typing import Any

from kpsim.kube.defaults import (
    CONTROL_PLANE,
    INGRESS_CLASS,
    ZONE,
)
from kpsim.kube.fields import Fault, Fields
from kpsim.kube.objects import (
    Endpoint,
    EndpointSlice,
    Ingress,
    IngressBackend,
    IngressPath,
    Node,
    Pod,
    Workload,
)
from kpsim.kube.server.shapes import endpoint_fits

WORKLOAD_KINDS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job")

ZONE_BEFORE_1_17 = "failure-domain.beta.kubernetes.io/zone"
SERVICE_NAME = "kubernetes.io/service-name"

_NOTHING: Mapping[str, Any] = {}

Ports = tuple[tuple[str, int, str], ...]


def identity(fields: Fields) -> tuple[str, str]:
    """Namespace and name; a name that is missing is a fault."""
    metadata = fields.part("metadata")
    name = metadata.text("name")
    if not name and "name" not in metadata:
        generated = metadata.text("generateName")
        if generated:
            name = generated.rstrip("-")
        else:
            what = "Required value: name or generateName is required"
            fields.faults.append(Fault((*metadata.key, "name"), what, kind="FieldValueRequired"))
    return metadata.text("namespace") or "default", name


def pod(fields: Fields) -> Pod:
    """Return a ``v1.Pod``; one without any status (a manifest) counts as running and ready."""
    namespace, name = identity(fields)
    metadata, spec, status = fields.part("metadata"), fields.part("spec"), fields.part("status")
    conditions = {condition.text("type"): condition.text("status") for condition in status.parts("conditions")}
    phase = status.text("phase", "Pending" if status.raw else "Running")
    return Pod(
        namespace=namespace,
        name=name,
        labels=metadata.labels("labels"),
        ip=status.text("podIP"),
        node=spec.text("nodeName"),
        phase=phase,
        ready=conditions.get("Ready", "True" if phase == "Running" else "False") == "True",
        terminating="deletionTimestamp" in metadata,
        host_network=spec.truth("hostNetwork", False),
        container_ports=_container_ports(spec),
        hostname=spec.text("hostname"),
        subdomain=spec.text("subdomain"),
    )


def _container_ports(spec: Fields) -> Ports:
    return tuple(
        (port.text("name"), port.number("containerPort"), port.text("protocol", "TCP"))
        for container in spec.parts("containers")
        for port in container.parts("ports")
    )


def workload(fields: Fields, kind: str) -> Workload:
    """Return a Deployment, StatefulSet, DaemonSet, …: its replicas and what its Pods look like."""
    namespace, name = identity(fields)
    spec = fields.part("spec")
    template = spec.part("template")
    wanted = "parallelism" if kind == "Job" else "replicas"
    replicas = None if kind == "DaemonSet" else spec.number(wanted, 1)
    if replicas is not None and replicas < 0:
        what = f"Invalid value: {replicas}: must be greater than or equal to 0"
        fields.faults.append(Fault((*spec.key, wanted), what, kind="FieldValueInvalid"))
    labels = template.part("metadata").labels("labels")
    ports = _container_ports(template.part("spec"))
    return Workload(
        kind,
        namespace,
        name,
        replicas,
        labels,
        ports,
        spec.text("serviceName"),
        spec.part("ordinals").number("start") if kind == "StatefulSet" else 0,
        kind == "Job" and spec.text("completionMode") == "Indexed",
    )


def owner(fields: Fields) -> tuple[str, str]:
    """Kind and name of the controller that owns an object; two empty texts if none does."""
    for reference in fields.part("metadata").parts("ownerReferences"):
        if reference.truth("controller", False):
            return reference.text("kind"), reference.text("name")
    return "", ""


def endpoint_slice(fields: Fields) -> EndpointSlice:
    """Return a ``discovery.k8s.io`` EndpointSlice (v1 or v1beta1); a condition that is not given counts as usual."""
    namespace, name = identity(fields)
    labels = dict(fields.part("metadata").labels("labels"))
    return EndpointSlice(
        namespace=namespace,
        name=name,
        service=labels.get(SERVICE_NAME, ""),
        address_type=fields.text("addressType", "IPv4"),
        ports=_slice_ports(fields),
        endpoints=_endpoints_of(fields, namespace),
    )


def _slice_ports(fields: Fields) -> Ports:
    return tuple(
        (port.text("name"), port.number("port"), port.text("protocol", "TCP")) for port in fields.parts("ports")
    )


def _endpoints_of(fields: Fields, namespace: str) -> tuple[Endpoint, ...]:
    """Return the endpoints of a slice; those of ordinary shape, which are many, without a look at each field."""
    made: list[Endpoint] = []
    for index, written in enumerate(fields.items("endpoints")):
        if endpoint_fits(written) and "addresses" in written:
            made += (_ordinary(written, ip, namespace) for ip in written["addresses"][:1])
        else:
            made += _endpoints(Fields(written, (*fields.key, "endpoints", index), fields.faults), namespace)
    return tuple(made)


def _ordinary(written: Mapping[str, Any], ip: str, namespace: str) -> Endpoint:
    """Return what :func:`_endpoints` does of an endpoint of which every field has its type."""
    conditions, target = written.get("conditions", _NOTHING), written.get("targetRef", _NOTHING)
    hints = written.get("hints")
    ready = conditions.get("ready", True)
    name = target.get("name") if target.get("kind") == "Pod" else ""
    return Endpoint(
        ip,
        ready,
        conditions.get("serving", ready),
        conditions.get("terminating", False),
        intern(written.get("nodeName") or ""),
        intern(written.get("zone") or ""),
        f"{target.get('namespace') or namespace}/{name}" if name else "",
        tuple([hint.get("name", "") for hint in hints.get("forZones", ())]) if hints else (),
        tuple([hint.get("name", "") for hint in hints.get("forNodes", ())]) if hints else (),
        written.get("hostname") or "",
    )


def _endpoints(at: Fields, namespace: str) -> list[Endpoint]:
    conditions = at.part("conditions")
    hints = at.part("hints")
    ready = conditions.truth("ready", True)
    node_name = at.text("nodeName") or at.part("topology").text("kubernetes.io/hostname")
    return [
        Endpoint(
            ip=address,
            ready=ready,
            serving=conditions.truth("serving", ready),
            terminating=conditions.truth("terminating", False),
            node=node_name,
            zone=at.text("zone") or at.part("topology").text(ZONE),
            pod=_target(at, namespace),
            zone_hints=tuple(hint.text("name") for hint in hints.parts("forZones")),
            node_hints=tuple(hint.text("name") for hint in hints.parts("forNodes")),
            hostname=at.text("hostname"),
        )
        for address in at.texts("addresses")[:1]  # consumers look at the first address only
    ]


def _target(at: Fields, namespace: str) -> str:
    target = at.part("targetRef")
    if target.text("kind") != "Pod" or not target.text("name"):
        return ""
    return f"{target.text('namespace') or namespace}/{target.text('name')}"


def endpoints_object(fields: Fields) -> list[EndpointSlice]:
    """Return an old ``v1.Endpoints`` as slices, one a subset."""
    namespace, name = identity(fields)
    slices = []
    for subset in fields.parts("subsets"):
        found = [
            Endpoint(
                address.text("ip"),
                ready,
                ready,
                False,
                address.text("nodeName"),
                "",
                _target(address, namespace),
                hostname=address.text("hostname"),
            )
            for key, ready in (("addresses", True), ("notReadyAddresses", False))
            for address in subset.parts(key)
        ]
        kind = "IPv6" if found and ":" in found[0].ip else "IPv4"
        slices.append(EndpointSlice(namespace, name, name, kind, _slice_ports(subset), tuple(found)))
    return slices


def ingress(fields: Fields) -> Ingress:
    """Return a ``networking.k8s.io/v1`` Ingress; a rule without paths sends its host nowhere."""
    namespace, name = identity(fields)
    spec = fields.part("spec")
    annotations = dict(fields.part("metadata").labels("annotations"))
    paths = (
        IngressPath(_backend(at.part("backend")), at.text("path") or "/", at.text("pathType"), rule.text("host"))
        for rule in spec.parts("rules")
        for at in rule.part("http").parts("paths")
    )
    return Ingress(
        namespace=namespace,
        name=name,
        paths=tuple(paths),
        default=_backend(spec.part("defaultBackend")) if "defaultBackend" in spec else None,
        class_name=spec.text("ingressClassName") or annotations.get(INGRESS_CLASS, ""),
    )


def _backend(at: Fields) -> IngressBackend:
    service = at.part("service")
    port = service.part("port")
    return IngressBackend(service.text("name"), port.number("number"), port.text("name"))


def node(fields: Fields) -> Node:
    """A ``v1.Node``: its name, zone, whole cores, and what topology hints look at; without conditions it is ready."""
    metadata, spec, status = fields.part("metadata"), fields.part("spec"), fields.part("status")
    labels = dict(metadata.labels("labels"))
    conditions = {condition.text("type"): condition.text("status") for condition in status.parts("conditions")}
    capacity = _milli(status.part("capacity").raw.get("cpu"))
    addresses = [(at.text("type"), at.text("address")) for at in status.parts("addresses")]
    mine = [[ip for kind, ip in addresses if kind == wanted and ip] for wanted in ("InternalIP", "ExternalIP")]
    return Node(
        name=metadata.text("name"),
        zone=labels.get(ZONE) or labels.get(ZONE_BEFORE_1_17, ""),
        cores=capacity // 1000,
        cpu_milli=_milli(status.part("allocatable").raw.get("cpu")) or capacity,
        ready=conditions.get("Ready", "True") == "True",
        control_plane=any(label in labels for label in CONTROL_PLANE),
        addresses=tuple(mine[0] or mine[1]),
        pod_cidrs=spec.texts("podCIDRs") or tuple(filter(None, [spec.text("podCIDR")])),
        version=status.part("nodeInfo").text("kubeletVersion"),
        kernel=status.part("nodeInfo").text("kernelVersion"),
    )


def _milli(quantity: object) -> int:
    """CPUs as Kubernetes writes them ("4", "3920m", 0.5) in thousandths; 0 for what is none."""
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,9})?)(m?)", str(quantity))
    return int(float(found[1]) * (1 if found[2] else 1000)) if found else 0
