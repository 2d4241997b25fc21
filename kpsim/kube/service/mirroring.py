"""Endpoints that a person or an operator wrote for a Service without a selector become EndpointSlices.

Of the subsets with the same ports a thousand addresses are mirrored, the ready ones first, IPv4 and IPv6 in slices of
their own; Endpoints with the label ``skip-mirror`` or a leader's election are left alone.  Those of a Service with a
selector are the Endpoints controller's, and only a witness of what its slices hold.  Left out: that the controller
joins the ports of an address that several subsets have, which leads to the same rules.
Source: pkg/controller/endpointslicemirroring (reconciler.go, endpointslicemirroring_controller.go).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from kpsim.kube.fields import Fields
from kpsim.kube.objects import Endpoint, EndpointSlice, Service

MOST_OF_A_SUBSET = 1000  # --mirroring-max-endpoints-per-subset
SKIP_MIRROR = "endpointslice.kubernetes.io/skip-mirror"
LEADER = "control-plane.alpha.kubernetes.io/leader"

Named = tuple[str, str]


def spared(endpoints: Fields) -> bool:
    """Return True if a ``v1.Endpoints`` asks not to be mirrored."""
    metadata = endpoints.part("metadata")
    return dict(metadata.labels("labels")).get(SKIP_MIRROR) == "true" or LEADER in dict(metadata.labels("annotations"))


def mirrored(
    subsets: Iterable[EndpointSlice], services: Iterable[Service], left_alone: Collection[Named]
) -> tuple[list[EndpointSlice], list[str]]:
    """Return (the slices that the subsets of Endpoints become, warnings); ``left_alone`` asked for that."""
    free = {(service.namespace, service.name) for service in services if not service.selector}
    kept, of_free, warnings = list[EndpointSlice](), dict[tuple[str, str, object], EndpointSlice](), list[str]()
    for subset in subsets:
        name = subset.namespace, subset.service
        key = (*name, subset.ports)
        if name not in free:
            kept.append(subset)
        elif name in left_alone:
            said = "its Endpoints ask not to be mirrored, so kube-proxy does not know them"
            warnings.append(f"Service {'/'.join(name)}: {said}")
        elif key in of_free:
            of_free[key] = replace(of_free[key], endpoints=(*of_free[key].endpoints, *subset.endpoints))
        else:
            of_free[key] = subset
    for subset in of_free.values():
        among = sorted(dict.fromkeys(subset.endpoints), key=lambda endpoint: (not endpoint.ready, endpoint.ip))
        if len(among) > MOST_OF_A_SUBSET:
            left = f"{len(among) - MOST_OF_A_SUBSET:,} of {len(among):,} addresses of its Endpoints are not mirrored"
            warnings.append(f"Service {subset.namespace}/{subset.service}: {left}: a subset gives {MOST_OF_A_SUBSET:,}")
        kept += _by_family(subset, among[:MOST_OF_A_SUBSET])
    return kept, list(dict.fromkeys(warnings))


def _by_family(subset: EndpointSlice, endpoints: Iterable[Endpoint]) -> Iterator[EndpointSlice]:
    of: dict[str, list[Endpoint]] = {}
    for endpoint in endpoints:
        of.setdefault("IPv6" if ":" in endpoint.ip else "IPv4", []).append(endpoint)
    for family, mine in of.items():
        yield replace(subset, address_type=family, endpoints=tuple(mine))
