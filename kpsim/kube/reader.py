"""Kubernetes objects out of documents: manifests, and what ``kubectl get -o json|yaml`` prints.

Lists of any kind are opened (``List``, ``ServiceList``, ``items: null``), kinds that Service networking does not look
at are counted and left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from kpsim.documents import Document, Key, dotted
from kpsim.errors import InputError, Problem
from kpsim.kube import decode as decoding
from kpsim.kube.components.commands import Command, commands_in
from kpsim.kube.components.configurations import (
    CLUSTER_CONFIGURATION,
    KIND_API,
    KIND_CLUSTER,
    PROXY_CONFIGURATION,
    commands_of,
    documents_in,
    replaced,
)
from kpsim.kube.fields import Fault, Fields
from kpsim.kube.objects import EndpointSlice, Ingress, KubeObjects, Node, Pod, Service, Workload
from kpsim.kube.server import ApiServer
from kpsim.kube.server.ingress import ingress_faults_as_read
from kpsim.kube.server.others import node_faults_as_read, old_endpoint_faults, pod_address_faults, slice_faults_as_read
from kpsim.kube.server.shapes import faults_of_shape, fits
from kpsim.kube.service.decode import service_of
from kpsim.kube.service.mirroring import mirrored, spared
from kpsim.kube.service.notices import service_notices
from kpsim.kube.validation import all_faults, alone_faults, as_written, held, unknown_faults
from kpsim.units import Version

N = TypeVar("N", EndpointSlice, Pod, Node, Ingress)

INGRESS_API = "networking.k8s.io/v1"  # no server since 1.22 has another
LARGE_YAML = 5_000_000  # characters from which the slow reading of YAML is worth a word


@dataclass(frozen=True, slots=True)
class Origin:
    """An object comes from this part of this document."""

    document: Document
    key: Key = ()

    def problem(self, fault: Fault) -> Problem:
        """Return the fault of this object with its place."""
        found = self.document.problem((*self.key, *fault.key), fault.what, fault.mend, on_key=fault.on_key)
        return replace(found, path=fault.field, kind=fault.kind)


@dataclass(slots=True)
class Reading:
    """Objects in the making: those read so far, the places of Services, and all problems."""

    services: list[Service] = field(default_factory=list)
    origins: list[Origin] = field(default_factory=list)
    written: list[Fields] = field(default_factory=list)
    made: list[dict[str, Any]] = field(default_factory=list)
    odd: list[list[Fault]] = field(default_factory=list)  # what shapes of Services have wrong, nearly always nothing
    names: dict[tuple[str, str], Service] = field(default_factory=dict)
    pods: list[Pod] = field(default_factory=list)
    workloads: dict[tuple[str, str, str], Workload] = field(default_factory=dict)
    owners: dict[tuple[str, str, str], tuple[str, str]] = field(default_factory=dict)
    slices: list[EndpointSlice] = field(default_factory=list)
    endpoints: list[EndpointSlice] = field(default_factory=list)
    left_alone: set[tuple[str, str]] = field(default_factory=set)  # Endpoints that are not mirrored
    nodes: list[Node] = field(default_factory=list)
    ingresses: list[Ingress] = field(default_factory=list)
    proxy: dict[str, object] | None = None
    proxy_origin: Origin | None = None
    commands: list[Command] = field(default_factory=list)  # of Kubernetes' own components
    changed: list[str] = field(default_factory=list)  # workloads that were read in several states
    ignored: Counter[str] = field(default_factory=Counter)
    warnings: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def add(self, document: Document, key: Key, raw: object) -> None:
        """Take one object, or every object of a list."""
        fields = Fields(raw, (), [])
        kind = fields.text("kind")
        if kind.endswith("List") and ("items" in fields.raw or kind == "List"):
            for index, item in enumerate(_items(fields)):
                if isinstance(item, EndpointSlice | Pod | Node):
                    self._keep(item)
                else:
                    self.add(document, (*key, "items", index), _with_kind(item, kind.removesuffix("List")))
        else:
            self._take(Origin(document, key), fields, kind)
        self.problems += [Origin(document, key).problem(fault) for fault in fields.faults]

    def add_all(self, documents: Iterable[Document]) -> None:
        """Take every object of several documents; say so once a file where YAML is the slow way."""
        for document in documents:
            several = document.data if isinstance(document.data, list) else None  # as jq .items prints them
            for index, item in enumerate(several or ()):
                self.add(document, (index,), item)
            if several is None:
                self.add(document, (), document.data)
            text = document.source.text
            slow = f"{document.file} is large YAML: kubectl get -o json reads faster"
            if len(text) > LARGE_YAML and document.is_yaml and slow not in self.warnings:
                self.warnings.append(slow)

    def _take(self, origin: Origin, fields: Fields, kind: str) -> None:
        if kind == "Service" and not fields.text("apiVersion").startswith("serving."):
            self._take_service(origin, fields)
        elif kind in KEPT:
            self._keep(_judged(fields, kind))
            self.commands += commands_in(fields.raw)
        elif kind in decoding.WORKLOAD_KINDS:
            made = decoding.workload(fields, kind)
            key = kind, made.namespace, made.name
            if self.workloads.get(key, made) != made:
                self.changed.append(f"{kind} {made.namespace}/{made.name}")
            self.workloads[key] = made
            self.owners[key] = decoding.owner(fields)
            self.commands += commands_in(fields.raw)
        elif kind == "Endpoints":
            self.endpoints += decoding.endpoints_object(fields)
            if spared(fields):
                self.left_alone.add(decoding.identity(fields))
            fields.faults += () if fields.faults else old_endpoint_faults(fields.raw)
        elif kind == "Ingress" and fields.text("apiVersion") == INGRESS_API:
            self.ingresses.append(decoding.ingress(fields))
            fields.faults += () if fields.faults else ingress_faults_as_read(fields.raw)
        elif kind:
            if not self._take_configuration(origin, fields, kind):
                self.ignored[kind] += 1
        elif fields.raw:
            self.problems.append(origin.problem(Fault((), "is not a Kubernetes object: it has no kind")))

    def _keep(self, made: EndpointSlice | Pod | Node) -> None:
        if isinstance(made, EndpointSlice):
            self.slices.append(made)
        elif isinstance(made, Pod):
            self.pods.append(made)
        else:
            self.nodes.append(made)

    def _take_service(self, origin: Origin, fields: Fields) -> None:
        ordinary = fits(fields.raw, "Service")
        odd = [] if ordinary else list(faults_of_shape(fields.raw, "Service"))
        made = service_of(fields, origin.document.cheap_place(origin.key), fits=ordinary)
        fields.faults += unknown_faults(fields.raw, odd)
        identity = (made.namespace, made.name)
        if self.names.get(identity) == made:  # the same object in two files of a directory
            return
        self.names.setdefault(identity, made)
        self.services.append(made)
        self.origins.append(origin)
        self.written.append(fields)
        self.made.append(held(fields.raw, fits=ordinary))
        self.odd.append(odd)

    def _take_configuration(self, origin: Origin, fields: Fields, kind: str) -> bool:
        """Take what says how the cluster is set up, and return whether the object was of such a kind."""
        if kind == PROXY_CONFIGURATION:
            self.proxy, self.proxy_origin = dict(fields.raw), origin
        elif kind == CLUSTER_CONFIGURATION or (kind == KIND_CLUSTER and fields.text("apiVersion").startswith(KIND_API)):
            self.commands += commands_of(fields.raw, f"{kind} of {origin.document.file}")
        elif kind == "ServiceCIDR":
            cidrs = ",".join(fields.part("spec").texts("cidrs"))
            self.commands.append(Command(kind, (("service-cluster-ip-range", cidrs),), "", f"the {kind} objects"))
        else:
            return kind == "ConfigMap" and self._take_config_map(origin, fields)
        return True

    def _take_config_map(self, origin: Origin, fields: Fields) -> bool:
        """Take the configurations that a ConfigMap holds as text, and return whether it held any."""
        data, name = fields.raw.get("data"), fields.part("metadata").text("name")
        try:
            found = list(documents_in(data, origin.document.file)) if isinstance(data, dict) else []
        except InputError as error:
            self.problems += error.problems
            return True
        for document in found:
            made = document.data
            assert isinstance(made, dict)
            if made.get("kind") == PROXY_CONFIGURATION:
                self.proxy, self.proxy_origin = dict(made), Origin(document)
            else:
                self.commands += commands_of(made, f"ConfigMap {name}")
        instead = list(replaced(data, f"ConfigMap {name}")) if isinstance(data, dict) else []
        self.commands += instead
        return bool(found or instead)

    def check(self, api: ApiServer) -> list[Problem]:
        """Problems of all Services, each by itself and together, as this API server has them."""
        return list(self._problems(all_faults(self.services, self.made, api)))

    def check_alone(self, version: Version) -> list[Problem]:
        """Problems of each Service by itself: what can be told without knowing the cluster."""
        found = ((index, fault) for index, made in enumerate(self.made) for fault in alone_faults(made, version))
        return list(self._problems(found))

    def _problems(self, found: Iterable[tuple[int, Fault]]) -> Iterator[Problem]:
        shapeless = [{fault.key for fault in fields.faults} for fields in self.written]
        for index, fault in found:
            at = as_written(fault, self.written[index].raw)
            from_port = (*at.key[:-1], "port") if at.key[-1:] == ("targetPort",) else at.key
            if not any(at.key[: len(key)] == key or from_port == key for key in shapeless[index]):
                yield self.origins[index].problem(at)

    def __bool__(self) -> bool:
        """Return True if there is an object that Service networking looks at."""
        found = self.services or self.pods or self.slices or self.endpoints or self.nodes or self.ingresses
        return bool(found) or any(not self._owned(key) for key in self.workloads)

    def objects(self) -> KubeObjects:
        """Everything taken, frozen; slices win over the Endpoints of the same Service, owners over what they own."""
        changed = list(self.changed)
        slices = _latest("EndpointSlice", self.slices, changed)
        pods = _latest("Pod", self.pods, changed)
        nodes = _latest("Node", self.nodes, changed)
        ingresses = _latest("Ingress", self.ingresses, changed)
        sliced = {(each.namespace, each.service) for each in slices}
        old = [each for each in self.endpoints if (each.namespace, each.service) not in sliced]
        old, said = mirrored(old, self.services, self.left_alone)
        kept = [made for key, made in self.workloads.items() if not self._owned(key)]
        return KubeObjects(
            services=tuple(self.services),
            pods=pods,
            workloads=tuple(kept),
            slices=(
                *slices,
                *{(at.namespace, at.name, at.ports, at.service, at.address_type): at for at in old}.values(),
            ),
            nodes=nodes,
            proxy_configuration=tuple((self.proxy or {}).items()),
            warnings=(*self.warnings, *said, *_twice(changed), *self._noticed(), *self._ignored()),
            ingresses=ingresses,
        )

    def _owned(self, key: tuple[str, str, str]) -> bool:
        kind, name = self.owners[key]
        return (kind, key[1], name) in self.workloads

    def _noticed(self) -> Iterator[str]:
        """Yield a warning for each kind of field without effect, with the place of the first."""
        notices: dict[tuple[Key, str], list[tuple[Origin, Fault, Service]]] = {}
        for origin, service, fields, odd in zip(self.origins, self.services, self.written, self.odd, strict=True):
            for notice in service_notices(service, fields, odd):
                alike = tuple(part for part in notice.key if isinstance(part, str)), notice.what
                notices.setdefault(alike, []).append((origin, notice, service))
        for seen in notices.values():
            origin, notice, service = seen[0]
            others = f" (so has {len(seen) - 1:,} more)" if len(seen) > 1 else ""
            place = origin.document.place((*origin.key, *notice.key), on_key=True)
            name = f"Service {service.namespace}/{service.name}"
            yield f"{place}: {name}: {dotted(notice.key)} {notice.what}{others}"

    def _ignored(self) -> Iterator[str]:
        if self.ignored:
            kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.ignored.items()))
            total = sum(self.ignored.values())
            yield f"ignored {total:,} object{'s' * (total != 1)} that Service networking does not look at: {kinds}"


def _latest(kind: str, objects: Sequence[N], changed: list[str]) -> tuple[N, ...]:
    """Return each object once, as it was read last; those that were read in several states join ``changed``."""
    kept: dict[object, N] = {}
    for made in objects:
        namespace = getattr(made, "namespace", "")
        key = (namespace, made.name) if made.name else made
        if kept.setdefault(key, made) != made:
            changed.append(f"{kind} {namespace}/{made.name}" if namespace else f"{kind} {made.name}")
            kept[key] = made
    return tuple(kept.values())


def _twice(changed: Sequence[str]) -> Iterator[str]:
    """Yield a warning about objects that were read in several states, as from dumps of two moments or two clusters."""
    if changed:
        more = f" (so were {len(changed) - 1:,} more)" if len(changed) > 1 else ""
        yield f"{changed[0]} was read twice, and not the same{more}: the later counts; are these dumps of one cluster?"


def kept_of(item: object) -> object:
    """Return a slice, Pod or Node with which nothing is wrong as what is kept of it, anything else as it is.

    A dump has many of these, and what they were read as takes ten times the memory.
    """
    kind = item.get("kind") if isinstance(item, dict) else None
    if not isinstance(item, dict) or not isinstance(kind, str) or kind not in KEPT:
        return item
    fields = Fields(item, (), [])
    made = _judged(fields, kind)
    return item if fields.faults or any(commands_in(item)) else made


def _judged(fields: Fields, kind: str) -> EndpointSlice | Pod | Node:
    """Return one of the ``KEPT`` kinds, with its faults in ``fields``."""
    decode, judge = KEPT[kind]
    made = decode(fields)
    fields.faults += () if fields.faults else judge(fields.raw)
    return made


KEPT: Mapping[
    str, tuple[Callable[[Fields], EndpointSlice | Pod | Node], Callable[[Mapping[str, Any]], list[Fault]]]
] = {
    "EndpointSlice": (decoding.endpoint_slice, slice_faults_as_read),
    "Pod": (decoding.pod, pod_address_faults),
    "Node": (decoding.node, node_faults_as_read),
}


def _items(fields: Fields) -> list[object]:
    items = fields.raw.get("items")
    if isinstance(items, list):
        return items
    if items is not None:
        fields.faults.append(Fault(("items",), "must be a list"))
    return []


def _with_kind(item: object, kind: str) -> object:
    """Return an item of a ``ServiceList``: ``kubectl get --raw`` leaves out the kind of the items."""
    if kind and isinstance(item, dict) and "kind" not in item:
        return {**item, "kind": kind}
    return item
