"""The types of the fields the API server decodes, and what it refuses as a whole before it looks at any meaning.

A field it does not know is refused too: ``kubectl`` asks for that (``fieldValidation=Strict``).  ``null`` is the same
as leaving a field out.  Parts that Service networking does not look at may hold anything.

Source: staging/src/k8s.io/api/core/v1/types.go and api/discovery/v1/types.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeGuard

from kpsim.documents import Key
from kpsim.kube.fields import Fault

BAD_REQUEST = "BadRequest"


@dataclass(frozen=True, slots=True)
class Of:
    """A list (``[]``) or a mapping (``{}``) of values of one shape."""

    kind: str
    shape: Shape


Shape = str | Of | Mapping[str, "Shape"]

TEXT, INT32, INT64, TRUTH, NUMBER_OR_TEXT, ANYTHING = "text", "int32", "int64", "truth", "number or text", "anything"
_BITS = {INT32: 31, INT64: 63}
_NOTHING: Mapping[str, object] = {TEXT: "", INT32: 0, INT64: 0, TRUTH: False, NUMBER_OR_TEXT: 0}

_METADATA: Mapping[str, Shape] = {
    **dict.fromkeys(("name", "generateName", "namespace", "selfLink", "uid", "resourceVersion"), TEXT),
    **dict.fromkeys(("creationTimestamp", "deletionTimestamp"), TEXT),
    **dict.fromkeys(("generation", "deletionGracePeriodSeconds"), INT64),
    **dict.fromkeys(("labels", "annotations"), Of("{}", TEXT)),
    "finalizers": Of("[]", TEXT),
    "ownerReferences": ANYTHING,
    "managedFields": ANYTHING,
}
_OBJECT: Mapping[str, Shape] = {"apiVersion": TEXT, "kind": TEXT, "metadata": _METADATA}
_SERVICE_PORT: Mapping[str, Shape] = {
    **dict.fromkeys(("name", "protocol", "appProtocol"), TEXT),
    **dict.fromkeys(("port", "nodePort"), INT32),
    "targetPort": NUMBER_OR_TEXT,
}
_SERVICE_SPEC: Mapping[str, Shape] = {
    **dict.fromkeys(
        (
            "type", "clusterIP", "sessionAffinity", "loadBalancerIP", "externalName", "externalTrafficPolicy",
            "internalTrafficPolicy", "ipFamilyPolicy", "loadBalancerClass", "trafficDistribution",
        ),
        TEXT,
    ),
    **dict.fromkeys(("clusterIPs", "externalIPs", "loadBalancerSourceRanges", "ipFamilies"), Of("[]", TEXT)),
    **dict.fromkeys(("publishNotReadyAddresses", "allocateLoadBalancerNodePorts"), TRUTH),
    "ports": Of("[]", _SERVICE_PORT),
    "selector": Of("{}", TEXT),
    "healthCheckNodePort": INT32,
    "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": INT32}},
}  # fmt: skip
_INGRESS: Mapping[str, Shape] = {**dict.fromkeys(("ip", "hostname", "ipMode"), TEXT), "ports": ANYTHING}
_SERVICE: Mapping[str, Shape] = {
    **_OBJECT,
    "spec": _SERVICE_SPEC,
    "status": {"loadBalancer": {"ingress": Of("[]", _INGRESS)}, "conditions": ANYTHING},
}
_NAMED: Shape = Of("[]", {"name": TEXT})
ENDPOINT: Mapping[str, Shape] = {
    "addresses": Of("[]", TEXT),
    "conditions": dict.fromkeys(("ready", "serving", "terminating"), TRUTH),
    **dict.fromkeys(("hostname", "nodeName", "zone"), TEXT),
    "targetRef": dict.fromkeys(
        ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"), TEXT
    ),
    "deprecatedTopology": Of("{}", TEXT),
    "hints": {"forZones": _NAMED, "forNodes": _NAMED},
}
_SLICE: Mapping[str, Shape] = {
    **_OBJECT,
    "addressType": TEXT,
    "endpoints": Of("[]", ENDPOINT),
    "ports": Of("[]", {**dict.fromkeys(("name", "protocol", "appProtocol"), TEXT), "port": INT32}),
}
_NODE: Mapping[str, Shape] = {
    **_OBJECT,
    "spec": {
        **dict.fromkeys(("podCIDR", "providerID", "externalID"), TEXT),
        "podCIDRs": Of("[]", TEXT),
        "unschedulable": TRUTH,
        "taints": Of("[]", dict.fromkeys(("key", "value", "effect", "timeAdded"), TEXT)),
        "configSource": ANYTHING,
    },
    "status": ANYTHING,
}
SHAPES: Mapping[str, Mapping[str, Shape]] = {"Service": _SERVICE, "EndpointSlice": _SLICE, "Node": _NODE}


def fits(value: object, kind: str) -> bool:
    """Return True if an object of a kind has only known fields, of the right types and not ``null``: nearly all do."""
    return _looks(kind)(value)


def endpoint_fits(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Return True if an endpoint of a slice has only known fields, of the right types and not ``null``."""
    return _ENDPOINT_LOOKS(value)


Look = Callable[[object], bool]


@cache
def _looks(kind: str) -> Look:
    return _look(SHAPES[kind])


def _look(shape: Shape) -> Look:
    """Return a shape as a function that tells whether a value fits: a dump asks it of each of a million values."""
    if isinstance(shape, str):
        return _LOOKS.get(shape) or (lambda value: value is not None and _is(value, shape))
    if isinstance(shape, Of):
        return _texts_look(shape.kind) if shape.shape == TEXT else _list_look(_look(shape.shape))
    types = {name: _TYPES[inner] for name, inner in shape.items() if isinstance(inner, str) and inner in _TYPES}
    others: dict[str, Look] = {name: _look(inner) for name, inner in shape.items() if name not in types}

    def fits_mapping(value: object) -> bool:
        if type(value) is not dict:
            return False
        for name, item in value.items():
            if types.get(name) is type(item):
                continue
            look = others.get(name)
            if look is None or not look(item):
                return False
        return True

    return fits_mapping


def _list_look(look: Look) -> Look:  # every mapping of values of one shape is of texts
    return lambda value: type(value) is list and all(map(look, value))


def _texts_look(kind: str) -> Look:
    if kind == "[]":
        return lambda value: type(value) is list and _TEXTS.issuperset(map(type, value))
    return lambda value: type(value) is dict and _TEXTS.issuperset(map(type, value.values()))


_TEXTS = {str}
_TYPES: Mapping[str, type] = {TEXT: str, TRUTH: bool}
_LOOKS: Mapping[str, Look] = {
    TEXT: lambda value: type(value) is str,
    TRUTH: lambda value: type(value) is bool,
    INT32: lambda value: type(value) is int and -(1 << 31) <= value < 1 << 31,
    NUMBER_OR_TEXT: lambda value: type(value) is str or (type(value) is int and -(1 << 31) <= value < 1 << 31),
    ANYTHING: lambda value: value is not None,
}
_ENDPOINT_LOOKS = _look(ENDPOINT)


def faults_of_shape(value: object, kind: str) -> Iterator[Fault]:
    """Yield everything of an object of a kind that has the wrong type, and every field the server does not know."""
    if not fits(value, kind):
        yield from _faults(value, SHAPES[kind], ())


def _faults(value: object, shape: Shape, key: Key) -> Iterator[Fault]:
    if value is None or shape == ANYTHING:
        return
    if isinstance(shape, str):
        if not _is(value, shape):
            yield Fault(key, f"must be {shape}", kind=BAD_REQUEST)
    elif isinstance(shape, Of) and shape.kind == "[]":
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield from _faults(item, shape.shape, (*key, index))
        else:
            yield Fault(key, "must be a list", kind=BAD_REQUEST)
    elif not isinstance(value, dict):
        yield Fault(key, "must be a mapping", kind=BAD_REQUEST)
    else:
        for name, item in value.items():
            wanted = shape.shape if isinstance(shape, Of) else shape.get(name)
            if wanted is None:
                yield Fault((*key, str(name)), f'unknown field "{name}"', on_key=True, kind=BAD_REQUEST)
            else:
                yield from _faults(item, wanted, (*key, str(name)))


def well_shaped(value: object, shape: Shape) -> Any:
    """Return a copy without what the server does not know, ``null`` and what is of the wrong type.

    Items keep their place: ``null`` among them is the empty text, or an object with nothing in it.
    """
    if shape == ANYTHING:
        return value
    if isinstance(shape, str):
        return value if _is(value, shape) else _NOTHING[shape]
    if isinstance(shape, Of) and shape.kind == "[]":
        return [well_shaped(item, shape.shape) for item in value] if isinstance(value, list) else []
    made = {}
    for name, item in value.items() if isinstance(value, dict) else ():
        wanted = shape.shape if isinstance(shape, Of) else shape.get(name)
        if isinstance(shape, Of) and item is None:
            made[name] = well_shaped(None, shape.shape)
        elif wanted is not None and item is not None and (not isinstance(wanted, str) or _is(item, wanted)):
            made[name] = well_shaped(item, wanted)
    return made


def _is(value: object, shape: str) -> bool:
    if shape == ANYTHING:
        return True
    if shape == TRUTH:
        return isinstance(value, bool)
    number = isinstance(value, int) and not isinstance(value, bool)
    if shape == TEXT:
        return isinstance(value, str)
    fits = number and -(1 << _BITS.get(shape, 31)) <= int(str(value)) < 1 << _BITS.get(shape, 31)
    return fits or (shape == NUMBER_OR_TEXT and isinstance(value, str))
