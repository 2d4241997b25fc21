"""Kubernetes objects out of documents: manifests, and what ``kubectl get -o json|yaml`` prints.

Lists of any kind are opened (``List``, ``ServiceList``, ``items: null``), kinds that Service networking does not look
at are counted and left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from kpsim.documents import Document, Key, dotted, load
from kpsim.errors import Problem
from kpsim.kube import decode as decoding
from kpsim.kube.fields import Fault, Fields
from kpsim.kube.objects import EndpointSlice, KubeObjects, Node, Pod, Service, Workload
from kpsim.kube.service.checks import service_faults
from kpsim.kube.service.notices import service_notices
from kpsim.kube.validation import ApiServer, allocation_faults

PROXY_CONFIGURATION = "KubeProxyConfiguration"
LARGE_YAML = 5_000_000  # characters from which the slow reading of YAML is worth a word


@dataclass(frozen=True, slots=True)
class Origin:
    """Which part of which document an object came from."""

    document: Document
    key: Key = ()

    def problem(self, fault: Fault) -> Problem:
        """The fault of this object with its place."""
        return self.document.problem((*self.key, *fault.key), fault.what, fault.mend, on_key=fault.on_key)


@dataclass(slots=True)
class Reading:
    """Objects in the making: what was read so far, where each Service came from, what was wrong."""

    services: list[Service] = field(default_factory=list)
    origins: list[Origin] = field(default_factory=list)
    names: dict[tuple[str, str], Service] = field(default_factory=dict)
    notices: dict[tuple[Key, str], list[tuple[Origin, Fault, Service]]] = field(default_factory=dict)
    pods: list[Pod] = field(default_factory=list)
    workloads: dict[tuple[str, str, str], Workload] = field(default_factory=dict)
    owners: dict[tuple[str, str, str], tuple[str, str]] = field(default_factory=dict)
    slices: list[EndpointSlice] = field(default_factory=list)
    endpoints: list[EndpointSlice] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    proxy: dict[str, object] | None = None
    proxy_origin: Origin | None = None
    ignored: Counter[str] = field(default_factory=Counter)
    warnings: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def add(self, document: Document, key: Key, raw: object) -> None:
        """Take one object, or every object of a list."""
        fields = Fields(raw, (), [])
        kind = fields.text("kind")
        if kind.endswith("List") and ("items" in fields.raw or kind == "List"):
            for index, item in enumerate(_items(fields)):
                self.add(document, (*key, "items", index), _with_kind(item, kind.removesuffix("List")))
        else:
            self._take(Origin(document, key), fields, kind)
        self.problems += [Origin(document, key).problem(fault) for fault in fields.faults]

    def add_all(self, documents: Iterable[Document]) -> None:
        """Take every object of several documents; say so once a file where YAML is the slow way."""
        for document in documents:
            self.add(document, (), document.data)
            text = document.source.text
            slow = f"{document.file} is large YAML: kubectl get -o json reads about forty times faster"
            if len(text) > LARGE_YAML and document.is_yaml and slow not in self.warnings:
                self.warnings.append(slow)

    def _take(self, origin: Origin, fields: Fields, kind: str) -> None:
        if kind == "Service" and not fields.text("apiVersion").startswith("serving."):
            self._take_service(origin, fields)
        elif kind == "Pod":
            self.pods.append(decoding.pod(fields))
        elif kind in decoding.WORKLOAD_KINDS:
            made = decoding.workload(fields, kind)
            self.workloads[kind, made.namespace, made.name] = made
            self.owners[kind, made.namespace, made.name] = decoding.owner(fields)
        elif kind == "EndpointSlice":
            self.slices.append(decoding.endpoint_slice(fields))
        elif kind == "Endpoints":
            self.endpoints += decoding.endpoints_object(fields)
        elif kind == "Node":
            self.nodes.append(decoding.node(fields))
        elif kind == PROXY_CONFIGURATION:
            self.proxy, self.proxy_origin = dict(fields.raw), origin
        elif kind == "ConfigMap" and PROXY_CONFIGURATION in str(fields.part("data").raw.get("config.conf")):
            self._take_config_map(origin, fields.part("data").text("config.conf"))
        elif kind:
            self.ignored[kind] += 1
        elif fields.raw:
            self.problems.append(origin.problem(Fault((), "is not a Kubernetes object: it has no kind")))

    def _take_service(self, origin: Origin, fields: Fields) -> None:
        made = decoding.service(fields, origin.document.cheap_place(origin.key))
        faulty = {fault.key for fault in fields.faults}
        faults = [fault for fault in service_faults(made, fields) if fault.key not in faulty]
        fields.faults += faults
        identity = (made.namespace, made.name)
        if self.names.get(identity) == made:  # the same object in two files of a directory
            return
        self.names.setdefault(identity, made)
        for notice in () if faulty or faults else service_notices(made, fields):
            alike = tuple(part for part in notice.key if isinstance(part, str)), notice.what
            self.notices.setdefault(alike, []).append((origin, notice, made))
        self.services.append(made)
        self.origins.append(origin)

    def _take_config_map(self, origin: Origin, text: str) -> None:
        """kube-proxy's ConfigMap holds its configuration as text in a text."""
        document = load(text, f"{origin.document.file} (config.conf)")[0]
        if isinstance(document.data, dict) and document.data.get("kind") == PROXY_CONFIGURATION:
            self.proxy, self.proxy_origin = dict(document.data), Origin(document)

    def check(self, api: ApiServer) -> list[Problem]:
        """Problems of all Services together: names, ClusterIPs and NodePorts asked for twice or out of range."""
        return [self.origins[index].problem(fault) for index, fault in allocation_faults(self.services, api)]

    def objects(self) -> KubeObjects:
        """Everything taken, frozen; slices win over the Endpoints of the same Service, owners over what they own."""
        sliced = {(at.namespace, at.service) for at in self.slices}
        old = [at for at in self.endpoints if (at.namespace, at.service) not in sliced]
        kept = [made for key, made in self.workloads.items() if not self._owned(key)]
        return KubeObjects(
            services=tuple(self.services),
            pods=tuple({(pod.namespace, pod.name): pod for pod in self.pods}.values()),
            workloads=tuple(kept),
            slices=tuple({(at.namespace, at.name, at.ports, at.service): at for at in [*self.slices, *old]}.values()),
            nodes=tuple({node.name: node for node in self.nodes}.values()),
            proxy_configuration=tuple((self.proxy or {}).items()),
            warnings=(*self.warnings, *self._noticed(), *self._ignored()),
        )

    def _owned(self, key: tuple[str, str, str]) -> bool:
        kind, name = self.owners[key]
        return (kind, key[1], name) in self.workloads

    def _noticed(self) -> Iterator[str]:
        """What has no effect, once a kind, with the place of the first."""
        for seen in self.notices.values():
            origin, notice, service = seen[0]
            others = f" (so has {len(seen) - 1:,} more)" if len(seen) > 1 else ""
            place = origin.document.place((*origin.key, *notice.key), on_key=True)
            name = f"Service {service.namespace}/{service.name}"
            yield f"{place}: {name}: {dotted(notice.key)} {notice.what}{others}"

    def _ignored(self) -> Iterator[str]:
        if self.ignored:
            kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.ignored.items()))
            yield f"ignored {sum(self.ignored.values())} objects that Service networking does not look at: {kinds}"


def _items(fields: Fields) -> list[object]:
    items = fields.raw.get("items")
    if isinstance(items, list):
        return items
    if items is not None:
        fields.faults.append(Fault(("items",), "must be a list"))
    return []


def _with_kind(item: object, kind: str) -> object:
    """An item of a ``ServiceList``: ``kubectl get --raw`` leaves out the kind of the items."""
    if kind and isinstance(item, dict) and "kind" not in item:
        return {**item, "kind": kind}
    return item
