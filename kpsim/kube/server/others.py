"""The API server refuses some EndpointSlices and Nodes, and addresses of Endpoints and Pods, by these rules.

Source: pkg/apis/discovery/validation/validation.go; pkg/registry/discovery/endpointslice/strategy.go;
pkg/apis/core/validation/validation.go (ValidateNode, ValidateEndpointIP); pkg/apis/core/v1/conversion.go (podCIDRs).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from kpsim.documents import Key, dotted
from kpsim.kube.fields import Fault
from kpsim.kube.server.addresses import (
    PLAIN,
    canonical_faults,
    family_of,
    ip_faults,
    ip_warnings,
    network_of,
    range_faults,
    range_warnings,
    special_faults,
)
from kpsim.kube.server.names import (
    Reasons,
    domain_reasons,
    label_reasons,
    label_value_reasons,
    metadata_faults,
    qualified_reasons,
    subdomain_reasons,
)
from kpsim.kube.server.refusals import (
    choice_faults,
    duplicate,
    forbidden,
    invalid,
    invalid_for_each,
    required,
    too_many,
)
from kpsim.kube.server.service import PROTOCOLS, strict_addresses
from kpsim.kube.server.shapes import ENDPOINT, SHAPES, fits, well_shaped
from kpsim.units import Version

ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
MOST_ENDPOINTS, MOST_PORTS, MOST_ADDRESSES, MOST_HINTS = 1000, 20_000, 100, 8
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
CONTROLLERS = ("endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io")
POD_RANGES: Key = ("spec", "podCIDRs")
TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")

STRICT: Version = (1, 36)
LOOSE: Version = (1, 35)

_NAMES_OF_ENDPOINTS: tuple[tuple[str, Reasons], ...] = (("nodeName", subdomain_reasons), ("hostname", label_reasons))

Object = Mapping[str, Any]


def fill_in_slice(made: dict[str, Any]) -> None:
    """Fill in what an EndpointSlice leaves out."""
    for port in made.get("ports") or ():
        port["name"] = port.get("name") or ""
        port["protocol"] = "TCP" if port.get("protocol") is None else port["protocol"]


def slice_faults(made: Object, version: Version, old: Object | None = None) -> Iterator[Fault]:
    """Yield everything that is wrong with an EndpointSlice; ``old`` is what an update found."""
    yield from metadata_faults(made["metadata"], subdomain_reasons, update=old is not None)
    kind = made.get("addressType") or ""
    if kind:
        yield from choice_faults(kind, ADDRESS_TYPES, ("addressType",))
    else:
        yield required(("addressType",))
    yield from _slice_ports(made.get("ports") or ())
    if old is None or (old.get("endpoints") or []) != (made.get("endpoints") or []):
        yield from endpoint_faults(made, strict=strict_addresses(version))
    if old is not None and (old.get("addressType") or "") != kind:
        yield invalid(("addressType",), kind, "field is immutable")


def slice_faults_as_read(written: Object) -> list[Fault]:
    """Return the faults of a slice of a manifest or dump, whose types are right; addresses are read strictly.

    An address that only some versions take is refused at any: what it stands for depends on who reads it.
    """
    head: dict[str, Any] = {**written, "endpoints": []}
    if fits(head, "EndpointSlice"):
        made = {**head, "ports": [dict(port) for port in head.get("ports") or ()]}
    else:
        made = well_shaped(head, SHAPES["EndpointSlice"])
    made["metadata"] = made.get("metadata") or {}
    # there may be many, and those with an address have been read
    made["endpoints"] = [at if at and at.get("addresses") else well_shaped(at, ENDPOINT)
                         for at in written.get("endpoints") or ()]  # fmt: skip
    fill_in_slice(made)
    return list(slice_faults(made, STRICT))


def old_endpoint_faults(written: Object) -> list[Fault]:
    """Return the faults of the addresses of an old Endpoints object."""
    faults: list[Fault] = []
    for index, subset in enumerate(written.get("subsets") or ()):
        for name in ("addresses", "notReadyAddresses"):
            for number, at in enumerate((subset or {}).get(name) or ()):
                text, key = (at or {}).get("ip") or "", ("subsets", index, name, number, "ip")
                if not PLAIN.fullmatch(text):
                    found = list(ip_faults(text, key, strict=True))
                    faults += found or special_faults(text, key)
    return faults


def pod_address_faults(written: Object) -> list[Fault]:
    """Return the faults of the addresses in a Pod's status."""
    status = written.get("status") or {}
    named: list[tuple[Key, object]] = [(("status", name), status.get(name)) for name in ("podIP", "hostIP")]
    for name in ("podIPs", "hostIPs"):
        named += [(("status", name, i, "ip"), at.get("ip")) for i, at in enumerate(_mappings(status.get(name)))]
    return [fault for key, text in named if isinstance(text, str) and text for fault in _odd(text, key)]


def _mappings(found: object) -> list[Object]:
    return [at if isinstance(at, dict) else {} for at in found] if isinstance(found, list) else []


def _odd(text: str, key: Key) -> Iterator[Fault]:
    return iter(()) if PLAIN.fullmatch(text) else ip_faults(text, key, strict=True)


def _slice_ports(ports: Sequence[Object]) -> Iterator[Fault]:
    if len(ports) > MOST_PORTS:
        yield too_many(("ports",), len(ports), MOST_PORTS)
        return
    seen: set[str] = set()
    for index, port in enumerate(ports):
        key: Key = ("ports", index)
        name = port["name"]
        if name:
            yield from invalid_for_each((*key, "name"), name, label_reasons(name))
        if name in seen:
            yield duplicate((*key, "name"), name)
        seen.add(name)
        yield from choice_faults(port["protocol"], PROTOCOLS, (*key, "protocol"))
        if port.get("appProtocol") is not None:
            spoken = port["appProtocol"]
            yield from invalid_for_each((*key, "appProtocol"), spoken, qualified_reasons(spoken))


def endpoint_faults(made: Object, *, strict: bool) -> Iterator[Fault]:
    """Yield everything that is wrong with the endpoints of an EndpointSlice."""
    endpoints, kind = made.get("endpoints") or (), made.get("addressType") or ""
    if len(endpoints) > MOST_ENDPOINTS:
        yield too_many(("endpoints",), len(endpoints), MOST_ENDPOINTS)
        return
    for index, endpoint in enumerate(endpoints):
        at: Object = endpoint or {}
        key: Key = ("endpoints", index)
        addresses = at.get("addresses") or ()
        if not addresses:
            yield required((*key, "addresses"), "must contain at least 1 address")
        elif len(addresses) > MOST_ADDRESSES:
            yield too_many((*key, "addresses"), len(addresses), MOST_ADDRESSES)
        for number, text in enumerate(addresses):
            if kind == "IPv4" and PLAIN.fullmatch(text):
                continue
            yield from address_faults(text, kind, (*key, "addresses"), number, strict=strict)
        for name, reasons in _NAMES_OF_ENDPOINTS:
            text = at.get(name)
            if text is not None and (found := reasons(text)):
                yield from invalid_for_each((*key, name), text, found)
        if hints := at.get("hints"):
            yield from _hints(hints, (*key, "hints"))


def address_faults(text: str, kind: str, key: Key, index: int, *, strict: bool) -> Iterator[Fault]:
    """Yield the faults of one address of an endpoint, in a slice of this address type."""
    at = (*key, index)
    if kind == "FQDN":
        if text:
            yield from invalid_for_each(at, text, domain_reasons(text))
        else:
            yield required(at)
    elif kind in ("IPv4", "IPv6"):
        found = list(ip_faults(text, at, strict=strict) if kind == "IPv4" else canonical_faults(text, at))
        yield from found
        if not found:
            if family_of(text) != kind:
                yield invalid(at, text, f"must be an {kind} address", path=dotted(key))
            yield from special_faults(text, at)


def _hints(hints: Object, key: Key) -> Iterator[Fault]:
    for name, reasons in (("forZones", label_value_reasons), ("forNodes", subdomain_reasons)):
        named = hints.get(name) or ()
        if len(named) > MOST_HINTS:
            yield too_many((*key, name), len(named), MOST_HINTS)
            return
        seen: set[str] = set()
        for index, hint in enumerate(named):
            at, text = (*key, name, index, "name"), (hint or {}).get("name") or ""
            if text in seen:
                yield duplicate(at, text)
            seen.add(text)
            yield from invalid_for_each(at, text, reasons(text))


def slice_warnings(made: Object, *, update: bool) -> Iterator[str]:
    """Yield the server's warnings about an EndpointSlice that it took."""
    if made.get("addressType") == "FQDN" and not update:
        yield "spec.addressType: FQDN endpoints are deprecated"
    if (made["metadata"].get("labels") or {}).get(MANAGED_BY) in CONTROLLERS:
        return
    for index, endpoint in enumerate(made.get("endpoints") or ()):
        for number, text in enumerate(endpoint.get("addresses") or ()):
            yield from ip_warnings(text, f"endpoints[{index}].addresses[{number}]")


def fill_in_node(made: dict[str, Any]) -> None:
    """Make ``podCIDRs`` agree with ``podCIDR``, which wins where they differ."""
    spec = made["spec"]
    first, several = spec.get("podCIDR") or "", spec.get("podCIDRs") or []
    if first and several[:1] != [first]:
        spec["podCIDRs"] = [first]


def node_faults_as_read(written: Object) -> list[Fault]:
    """Return the faults of a Node of a manifest or dump, whose types are right; ranges are read loosely."""
    made: dict[str, Any] = dict(written) if fits(written, "Node") else well_shaped(written, SHAPES["Node"])
    made["metadata"], made["spec"] = made.get("metadata") or {}, dict(made.get("spec") or {})
    alone = "podCIDRs" not in made["spec"]
    fill_in_node(made)
    faults = [
        replace(fault, key=("spec", "podCIDR"), path=fault.field) if fault.key[:2] == POD_RANGES and alone else fault
        for fault in node_faults(made, LOOSE)
    ]
    status = written.get("status")
    for index, at in enumerate(_mappings(status.get("addresses") if isinstance(status, dict) else ())):
        text = at.get("address")
        if at.get("type") in ("InternalIP", "ExternalIP") and isinstance(text, str):
            faults += _odd(text, ("status", "addresses", index, "address"))
    return faults


def node_faults(made: Object, version: Version, old: Object | None = None) -> Iterator[Fault]:
    """Everything wrong with a Node, as far as its names, ranges and taints go; ``old`` is what an update found."""
    yield from metadata_faults(made["metadata"], subdomain_reasons, namespaced=False)
    spec = made["spec"]
    yield from _taints(spec.get("taints") or ())
    ranges = spec.get("podCIDRs") or ()
    for index, text in enumerate(ranges):
        yield from range_faults(text, (*POD_RANGES, index), strict=strict_addresses(version))
    families = {found[0].version for text in ranges if (found := network_of(text))}
    if len(ranges) > 1 and (len(families) < 2 or len(ranges) > 2):
        yield invalid(POD_RANGES, ranges, "may specify no more than one CIDR for each IP family")
    if old is not None:
        yield from metadata_faults(made["metadata"], subdomain_reasons, namespaced=False, update=True)
        yield from _changed_node(spec, old["spec"])


def _changed_node(spec: Object, old: Object) -> Iterator[Fault]:
    """Yield a fault for each fixed field that an update changes; the server looks at taints twice."""
    why = 'node updates may not change {} except from "" to valid'
    before, now = list(old.get("podCIDRs") or ()), list(spec.get("podCIDRs") or ())
    if before and len(before) != len(now):
        yield forbidden(POD_RANGES, why.format("podCIDR"))
    else:
        for _ in (one for one, other in zip(before, now, strict=False) if one != other):
            yield forbidden(POD_RANGES, why.format("podCIDR"))
    if old.get("providerID") and old["providerID"] != spec.get("providerID"):
        yield forbidden(("spec", "providerID"), why.format("providerID"))
    yield from _taints(spec.get("taints") or ())
    if (old.get("externalID") or "") != (spec.get("externalID") or ""):
        yield forbidden(("spec", "externalID"), "may not be updated")


def _taints(taints: Sequence[Object]) -> Iterator[Fault]:
    for fault in _taint_by_taint(taints):  # the server looks for them in the metadata
        yield replace(fault, path=dotted(("metadata", *fault.key[1:])))


def _taint_by_taint(taints: Sequence[Object]) -> Iterator[Fault]:
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(taints):
        key: Key = ("spec", "taints", index)
        name, value, effect = (taint.get(at) or "" for at in ("key", "value", "effect"))
        yield from invalid_for_each((*key, "key"), name, qualified_reasons(name))
        if reasons := label_value_reasons(value):
            yield invalid((*key, "value"), value, ";".join(reasons))
        if effect:
            yield from choice_faults(effect, TAINT_EFFECTS, (*key, "effect"))
        else:
            yield required((*key, "effect"))
        if (name, effect) in seen:
            yield duplicate(key, f"{name}:{effect}")
        seen.add((name, effect))


def node_warnings(made: Object) -> Iterator[str]:
    """Yield the server's warnings about a Node that it took."""
    for index, text in enumerate(made["spec"].get("podCIDRs") or ()):
        yield from range_warnings(text, f"spec.podCIDRs[{index}]")
    if made["spec"].get("externalID"):
        yield "spec.externalID: this field is deprecated, and is unused by Kubernetes"
