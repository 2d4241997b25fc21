"""The API server would refuse some Services of manifests and dumps, each by itself or for what another has.

One problem does not hide another here: what the server finds at a later stage is told too, except about a field that
an earlier stage has refused.

Source: pkg/registry/core/service/storage/alloc.go; the stages are in :mod:`kpsim.kube.server`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kpsim.documents import Key
from kpsim.kube.allocator import ClusterIPAllocator
from kpsim.kube.defaults import NODE_PORT_TYPES, SOURCE_RANGES, TOPOLOGY_HINTS, TOPOLOGY_MODE, needs_health_check_port
from kpsim.kube.fields import Fault
from kpsim.kube.objects import Service
from kpsim.kube.server.addresses import PLAIN, address_of, family_of, is_v6
from kpsim.kube.server.allocation import ApiServer, settle_ips
from kpsim.kube.server.families import fill_in_families
from kpsim.kube.server.refusals import invalid
from kpsim.kube.server.service import fill_in, ingress_faults, name_faults, service_faults, strict_addresses
from kpsim.kube.server.shapes import SHAPES, well_shaped
from kpsim.units import Version

MEANT = (SOURCE_RANGES, TOPOLOGY_HINTS, TOPOLOGY_MODE)  # annotations that the server looks into


@dataclass(slots=True)
class _Taken:
    """Names, addresses and ports taken already, with the index of the Service that has them."""

    names: dict[tuple[str, str], int] = field(default_factory=dict)
    ips: dict[str, int] = field(default_factory=dict)
    node_ports: dict[int, int] = field(default_factory=dict)


def held(written: Mapping[str, Any], *, fits: bool) -> dict[str, Any]:
    """Return a Service as the server holds it before it allocates anything; what has the wrong type is left out.

    ``fits`` says that nothing has.
    """
    made: dict[str, Any] = _own(written) if fits else well_shaped(written, SHAPES["Service"])
    for part in ("metadata", "spec"):
        made.setdefault(part, {})
    fill_in(made)
    settle_ips(made["spec"], None)
    return made


def _own(written: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a Service as far as defaults are filled into it; the rest stays shared."""
    spec = dict(written.get("spec") or {})
    if "ports" in spec:
        spec["ports"] = [dict(port) for port in spec["ports"]]
    return {**written, "spec": spec}


def unknown_faults(written: Mapping[str, Any], of_shape: Iterable[Fault]) -> list[Fault]:
    """Return faults for a version, or fields, that the server does not know of a Service in a manifest.

    A server's own objects may come from a newer one, so nothing of them is refused for that.
    """
    metadata = written.get("metadata")
    if isinstance(metadata, dict) and any(name in metadata for name in ("uid", "resourceVersion", "creationTimestamp")):
        return []
    version = str(written.get("apiVersion") or "v1")
    if version != "v1" and "/" not in version:
        what = f'no matches for kind "Service" in version "{version}"'
        return [Fault(("apiVersion",), what, "write v1", kind="NotFound")]
    return [fault for fault in of_shape if fault.on_key]


def alone_faults(made: Mapping[str, Any], version: Version) -> Iterator[Fault]:
    """Yield everything that is wrong with one Service by itself, as this version has it."""
    yield from service_faults(made, version)
    yield from ingress_faults(made, strict=strict_addresses(version))


def all_faults(
    services: Sequence[Service], made: Sequence[Mapping[str, Any]], api: ApiServer
) -> Iterator[tuple[int, Fault]]:
    """Yield the faults of Services, alone or for what another has, with the index of the Service each."""
    ips = ClusterIPAllocator(api.service_cluster_ip_range)
    taken = _Taken()
    seen = {family_of(service.cluster_ip) for service in services if address_of(service.cluster_ip) is not None}
    both = any(len(service.ip_families) > 1 and service.proxied and service.cluster_ip for service in services)
    families = ("IPv4", "IPv6") if both else tuple(dict.fromkeys((*api.ip_families, *sorted(seen))))
    strict = strict_addresses(api.version)
    right: set[str] = set()  # Services without a fault, as their texts without names
    for index, service in enumerate(services):
        identity = (service.namespace, service.name)
        if service.name and taken.names.setdefault(identity, index) != index:
            what = f'services "{service.name}" already exists in namespace {service.namespace}'
            other = _other(services[taken.names[identity]])
            yield index, Fault(("metadata", "name"), what, other, kind="AlreadyExists")
        stages: list[Iterable[Fault]] = []
        known = (text := _all_but_names(made[index])) in right
        if not known:
            stages.append(fill_in_families(dict(made[index]["spec"]), None, families, strict=strict))
        if service.proxied and _in_family(service.cluster_ip, ips.cidr):
            stages.append(_cluster_ip(services, index, ips, taken.ips))
        if service.type in NODE_PORT_TYPES:
            stages.append(_node_ports(services, index, api.node_port_range, taken))
        stages.append((name_faults if known else alone_faults)(made[index], api.version))
        found = list(first_of_each(stages))
        if text and not found:
            right.add(text)
        yield from ((index, fault) for fault in found)


def _all_but_names(made: Mapping[str, Any]) -> str:
    """Return what rules look at in a Service, its names, labels and ClusterIP aside; "" where that is not all.

    Two Services of the same text have the same faults in it, which are looked for once.
    """
    spec, annotations = made["spec"], made["metadata"].get("annotations") or ()
    ip = spec.get("clusterIP")
    if not ip or spec.get("clusterIPs") != [ip] or not PLAIN.fullmatch(ip) or any(at in annotations for at in MEANT):
        return ""
    rest = [item for item in spec.items() if item[0] not in ("clusterIP", "clusterIPs", "selector")]
    return repr((rest, made.get("status")))


def _in_family(ip: str, cidr: str) -> bool:
    """Return True for an address of the family that a range has."""
    return address_of(ip) is not None and is_v6(ip) == (":" in cidr)


def first_of_each(stages: Iterable[Iterable[Fault]]) -> Iterator[Fault]:
    """Yield the faults of stages that follow each other, without those of fields that an earlier one refused."""
    refused: set[Key] = set()
    for stage in stages:
        found = [fault for fault in stage if fault.key not in refused]
        yield from found
        refused.update(fault.key for fault in found)
        refused.update(("spec", "clusterIPs", 0) for fault in found if fault.key[:2] == ("spec", "clusterIPs"))


def as_written(fault: Fault, written: Mapping[str, Any]) -> Fault:
    """Return a fault at the field that was written: ``clusterIP``, where ``clusterIPs`` follows from it."""
    spec = written.get("spec")
    if fault.key[:2] == ("spec", "clusterIPs") and isinstance(spec, dict) and "clusterIPs" not in spec:
        return replace(fault, key=("spec", "clusterIP"), path=fault.field)
    return fault


def _cluster_ip(
    services: Sequence[Service], index: int, ips: ClusterIPAllocator, by_ip: dict[str, int]
) -> Iterator[Fault]:
    ip = services[index].cluster_ip
    key, found = ("spec", "clusterIPs"), str(address_of(ip))
    if not ips.holds(found):
        why = f"failed to allocate IP {ip}: the provided IP ({found}) is not in the valid range. "
        mend = "leave clusterIP out, or set cluster.serviceClusterIPRange to the cluster's"
        yield invalid(key, ip, f"{why}The range of valid IPs is {ips.cidr}", mend)
    elif by_ip.setdefault(found, index) != index:
        why = f"failed to allocate IP {ip}: provided IP is already allocated"
        yield invalid(key, ip, why, _other(services[by_ip[found]]))


def _node_ports(
    services: Sequence[Service], index: int, node_port_range: tuple[int, int], taken: _Taken
) -> Iterator[Fault]:
    first, last = node_port_range
    service = services[index]
    asked: list[tuple[Key, int, int]] = [
        (("spec", "ports", index, "nodePort"), port.node_port, port.port) for index, port in enumerate(service.ports)
    ]
    if needs_health_check_port(service):
        asked.append((("spec", "healthCheckNodePort"), service.health_check_node_port, 0))
    mine: dict[int, int] = {}
    for key, number, port in asked:
        if not number:
            continue
        why, mend = "", ""
        if not first <= number <= last:
            why = f"provided port is not in the valid range. The range of valid ports is {first}-{last}"
        elif taken.node_ports.setdefault(number, index) != index:
            why, mend = "provided port is already allocated", _other(services[taken.node_ports[number]])
        elif mine.setdefault(number, port) != port:
            why, mend = "provided port is already allocated", "a port of the Service has it"
        if why and not port:
            why = f"failed to allocate requested HealthCheck NodePort {number}: {why}"
            yield replace(invalid(key, number, why, mend), kind="InternalError")
        elif why:
            yield invalid(key, number, why, mend)


def _other(service: Service) -> str:
    where = f" ({service.place})" if str(service.place) else ""
    return f"the other one is Service {service.namespace}/{service.name}{where}"
