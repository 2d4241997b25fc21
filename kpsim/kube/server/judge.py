"""One object before an API server: created or changed, refused or taken.

    >>> from kpsim.kube.server import ApiServer
    >>> from kpsim.kube.server.judge import judge
    >>> api = ApiServer("10.96.0.0/20", (30000, 32767), version=(1, 36))
    >>> made = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": [{"port": 0}]}}
    >>> [(cause.field, cause.kind) for cause in judge(made, api).causes]
    [('spec.ports[0].port', 'FieldValueInvalid'), ('spec.ports[0].targetPort', 'FieldValueInvalid')]

An address or a port that the server would choose is an example: it chooses at random.  Warnings are those of 1.36,
which gives them at every version it emulates.

Source: staging/src/k8s.io/apiserver/pkg/registry/generic/registry/store.go (what comes before what); the rest in the
modules beside.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kpsim.errors import InputError
from kpsim.kube.fields import Fault
from kpsim.kube.server import families
from kpsim.kube.server.allocation import (
    ApiServer,
    Pools,
    Refused,
    allocate_changed,
    allocate_new,
    as_read,
    drop_unused,
    keep_allocated,
    settle_ips,
)
from kpsim.kube.server.others import (
    fill_in_node,
    fill_in_slice,
    node_faults,
    node_warnings,
    slice_faults,
    slice_warnings,
)
from kpsim.kube.server.service import change_faults, fill_in, service_faults, strict_addresses
from kpsim.kube.server.shapes import BAD_REQUEST, SHAPES, faults_of_shape, well_shaped
from kpsim.kube.service.notices import service_warnings

Object = dict[str, Any]

VERSIONS = {"Service": "v1", "Node": "v1", "EndpointSlice": "discovery.k8s.io/v1"}
STATUS = {"": 201, "Invalid": 422, "NotFound": 404, BAD_REQUEST: 400, "AlreadyExists": 409, "InternalError": 500}
OWN_SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "kubernetes", "namespace": "default"}}


@dataclass(frozen=True, slots=True)
class Answer:
    """The server answers yes with ``made``, the object with its defaults, and ``warnings``, or no with ``causes``.

    ``reason`` is "" for yes; ``Invalid`` comes with causes; anything else is about the request as a whole.
    """

    reason: str = ""
    causes: tuple[Fault, ...] = ()
    message: str = ""
    warnings: tuple[str, ...] = ()
    made: Mapping[str, Any] = field(default_factory=dict)

    @property
    def accepted(self) -> bool:
        """Return True if the object was taken."""
        return not self.reason

    @property
    def status(self) -> int:
        """Return the HTTP status."""
        return STATUS[self.reason]


def judge(
    document: Mapping[str, Any],
    api: ApiServer,
    existing: Iterable[Mapping[str, Any]] = (),
    update_from: Mapping[str, Any] | None = None,
    namespaces: Collection[str] | None = None,
) -> Answer:
    """Return the API server's answer to an object.

    Parameters
    ----------
    document
        the object as ``kubectl`` would send it.
    api
        the server's flags and version.
    existing
        objects posted before; those that are refused are not there.
    update_from
        what the object was before, itself posted as it stands here; ``None`` for a creation.
    namespaces
        the namespaces there are; ``None`` for all.

    Raises
    ------
    InputError
        if it is of a kind that is not judged.
    """
    server = Server(api, namespaces)
    for made in existing:
        server.create(made)
    if update_from is None:
        return server.create(document)
    first = server.create(update_from)
    return server.update(document) if first.accepted else first


class Server:
    """An API server with what was posted to it."""

    def __init__(self, api: ApiServer, namespaces: Collection[str] | None = None) -> None:
        self.api = api
        self.namespaces = namespaces
        self.pools = Pools(api.ranges, api.node_port_range)
        self.objects: dict[tuple[str, str, str], Object] = {}
        first = self.pools.ips[self.pools.families[0]].first_address
        self.create({**OWN_SERVICE, "spec": {"clusterIP": first, "ports": [{"port": 443}]}})

    def create(self, document: Mapping[str, Any]) -> Answer:
        """Return the answer to a new object."""
        refused, made = self._decoded(document)
        if refused is not None:
            return refused
        before = copy.deepcopy(self.pools)
        try:
            if made["kind"] == "Service":
                made.pop("status", None)
                self._allocate(made["spec"], None)
            self._refuse_if(self._faults(made, None))
            self._refuse_another(made)
        except Refused as no:
            self.pools = before
            return Answer(no.reason, no.faults, no.message)
        return self._taken(made, update=False)

    def update(self, document: Mapping[str, Any]) -> Answer:
        """Return the answer to a change of an object that is there; of one that is not, to its creation."""
        refused, made = self._decoded(document)
        if refused is not None:
            return refused
        old = self.objects.get(self._key(made))
        if old is None:
            return self.create(document)
        before = copy.deepcopy(self.pools)
        try:
            if made["kind"] == "Service":
                keep_allocated(made["spec"], old["spec"])
                self._allocate(made["spec"], old["spec"])
                drop_unused(made["spec"], old["spec"])
            self._refuse_if(self._faults(made, old))
        except Refused as no:
            self.pools = before
            return Answer(no.reason, no.faults, no.message)
        return self._taken(made, update=True)

    def _decoded(self, document: Mapping[str, Any]) -> tuple[Answer | None, Object]:
        kind = str(document.get("kind"))
        if kind not in SHAPES:
            raise InputError(f"kpsim judges Services, EndpointSlices and Nodes, not {kind}")
        if document.get("apiVersion") != VERSIONS[kind]:
            what = f"the server could not find the requested resource: {document.get('apiVersion')} {kind}"
            return Answer("NotFound", message=what), {}
        faults = tuple(faults_of_shape(document, kind))
        if faults:
            return Answer(BAD_REQUEST, faults, faults[0].what), {}
        made: Object = well_shaped(document, SHAPES[kind])
        metadata = made["metadata"] = made.get("metadata") or {}
        if kind != "Node":
            metadata["namespace"] = metadata.get("namespace") or "default"
            if self.namespaces is not None and metadata["namespace"] not in self.namespaces:
                return Answer("NotFound", message=f'namespaces "{metadata["namespace"]}" not found'), {}
        if kind != "EndpointSlice":
            made["spec"] = made.get("spec") or {}
        {"Service": fill_in, "EndpointSlice": fill_in_slice, "Node": fill_in_node}[kind](made)
        return None, made

    def _allocate(self, spec: Object, old: Object | None) -> None:
        settle_ips(spec, old)
        strict = strict_addresses(self.api.version)
        self._refuse_if(families.fill_in_families(spec, old, self.pools.families, strict=strict))
        if old is None:
            allocate_new(spec, self.pools)
        else:
            allocate_changed(spec, old, self.pools)

    def _faults(self, made: Object, old: Object | None) -> list[Fault]:
        if made["kind"] == "EndpointSlice":
            return list(slice_faults(made, self.api.version, old))
        if made["kind"] == "Node":
            return list(node_faults(made, self.api.version, old))
        changed: list[Fault] = []
        if old is not None:
            changed += families.change_faults(made["spec"], old["spec"])
            changed += change_faults(made["spec"], old["spec"])
        return [*changed, *service_faults(made, self.api.version, old)]

    @staticmethod
    def _refuse_if(faults: list[Fault]) -> None:
        if faults:
            raise Refused(faults)

    def _refuse_another(self, made: Object) -> None:
        if self._key(made) in self.objects:
            raise Refused(reason="AlreadyExists", message=f'"{made["metadata"].get("name")}" already exists')

    @staticmethod
    def _key(made: Object) -> tuple[str, str, str]:
        metadata = made["metadata"]
        return made["kind"], metadata.get("namespace") or "", metadata.get("name") or ""

    def _taken(self, made: Object, *, update: bool) -> Answer:
        if made["kind"] == "Service":
            warnings = tuple(service_warnings(made))
            as_read(made["spec"])
        elif made["kind"] == "Node":
            warnings = tuple(node_warnings(made))
        else:
            warnings = tuple(slice_warnings(made, update=update))
        self.objects[self._key(made)] = made
        return Answer(warnings=warnings, made=copy.deepcopy(made))
