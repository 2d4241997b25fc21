"""Topology hints: which zone or node each endpoint should be used from, as the EndpointSlice controller decides.

``trafficDistribution`` hints every ready endpoint to where it stands.  The annotation ``topology-mode: Auto`` shares
the ready endpoints out in proportion to the zones' CPUs and moves as few as it must; it gives up where a zone could not
get five sixths of its share, because endpoints there would be overloaded by more than a fifth.  Hints are computed from
nothing, as for a Service that is new: the controller keeps old ones while they are good enough, which is left out.
Where two zones are equally short, the controller takes either; here the first by name.

Source: staging/src/k8s.io/endpointslice/topologycache (topologycache.go, utils.go) and trafficdist/trafficdist.go.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from kpsim.kube.objects import Endpoint, Node, Service
from kpsim.units import Version

MODE_SINCE: Version = (1, 27)  # the annotation topology-mode; before, topology-aware-hints
DISTRIBUTION_SINCE: Version = (1, 31)  # the gate ServiceTrafficDistribution is off before
SAME_SINCE: Version = (1, 34)  # PreferSameZone and PreferSameNode: PreferSameTrafficDistribution is off before

AUTOMATIC = ("Auto", "auto")
SAME_ZONE = ("PreferClose", "PreferSameZone")
SAME_NODE = "PreferSameNode"
OVERLOAD = 0.2  # overloadThreshold in topologycache.go: a structure fact, not a cost

Endpoints = tuple[Endpoint, ...]


def heeded(service: Service, version: Version) -> Service:
    """Return the Service without wishes about topology that a ``version`` does not know or has switched off."""
    if version < MODE_SINCE and service.topology_mode and not service.topology_by_old_name:
        service = replace(service, topology_mode="")
    wish = service.traffic_distribution
    if wish and version < (DISTRIBUTION_SINCE if wish == "PreferClose" else SAME_SINCE):
        service = replace(service, traffic_distribution="")
    return service


def hinted(
    service: Service, endpoints: Sequence[Endpoint], nodes: Sequence[Node], version: Version = SAME_SINCE
) -> tuple[Endpoints, str]:
    """The endpoints with the hints the controller would write, and why there are none although they were asked for.

    Parameters
    ----------
    endpoints
        of the Service, with the zone and node each is on; hints they have already are replaced.
    nodes
        of the cluster, whose CPUs decide the zones' shares under ``topology-mode: Auto``.
    version
        of Kubernetes, which may not know the wish.
    """
    asked, service = service, heeded(service, version)
    bare = tuple(
        replace(endpoint, zone_hints=(), node_hints=()) if endpoint.zone_hints or endpoint.node_hints else endpoint
        for endpoint in endpoints
    )
    if service.topology_mode in AUTOMATIC:
        return _balanced(bare, zone_shares(nodes))
    if asked != service and not service.topology_mode:
        return bare, "Kubernetes {}.{} does not know this wish, or has it switched off".format(*version)
    wanted = service.traffic_distribution
    if wanted in SAME_ZONE or wanted == SAME_NODE:
        return tuple(_own_place(endpoint, node_too=wanted == SAME_NODE) for endpoint in bare), _placeless(bare, wanted)
    return bare, ""


def _own_place(at: Endpoint, *, node_too: bool) -> Endpoint:
    if not at.ready:
        return at
    zones, nodes = (at.zone,) if at.zone else (), (at.node,) if node_too and at.node else ()
    return replace(at, zone_hints=zones, node_hints=nodes)


def _placeless(endpoints: Endpoints, wanted: str) -> str:
    """kube-proxy heeds hints only where every ready endpoint has one."""
    ready = [endpoint for endpoint in endpoints if endpoint.ready]
    lacking = sum(not (endpoint.node if wanted == SAME_NODE else endpoint.zone) for endpoint in ready)
    what = "node" if wanted == SAME_NODE else "zone"
    return f"{lacking} of {len(ready)} ready endpoints are in no {what} that is known" if lacking else ""


def zone_shares(nodes: Sequence[Node]) -> Mapping[str, float]:
    """Return the share of each zone in the cluster's allocatable CPUs; none where hints cannot be computed from them.

    Control-plane nodes and nodes that are not ready do not count; one without a zone or CPUs spoils it for all.
    """
    counted = [node for node in nodes if node.ready and not node.control_plane]
    cpus: Counter[str] = Counter()
    for node in counted:
        cpus[node.zone] += node.cpu_milli
    if len(cpus) < 2 or any(not node.zone or not node.cpu_milli for node in counted):
        return {}
    total = cpus.total()
    return {zone: cpus[zone] / total for zone in sorted(cpus)}


def _balanced(endpoints: Endpoints, shares: Mapping[str, float]) -> tuple[Endpoints, str]:
    """Hints in proportion to ``shares``; Kubernetes' reason where it gives up."""
    ready = [i for i, endpoint in enumerate(endpoints) if endpoint.ready]
    n = len(ready)
    if not shares:
        return endpoints, "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes"
    if len(shares) > n:
        return endpoints, f"Insufficient number of endpoints ({n} endpoints, {len(shares)} zones)"
    least = {zone: math.ceil(share * n * (1 / (1 + OVERLOAD))) for zone, share in shares.items()}
    if sum(least.values()) > n:
        what = "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold"
        return endpoints, f"{what} ({n} endpoints, {len(shares)} zones)"
    if not all(endpoints[i].zone for i in ready):
        return endpoints, "One or more endpoints do not have a zone specified"
    desired = {zone: max(share * n, least[zone]) for zone, share in shares.items()}
    to = {i: endpoints[i].zone for i in ready}
    giving, receiving = _moves(desired, Counter(to.values()))
    for i in ready:
        zone = to[i]
        if giving[zone] and receiving:
            to[i] = next(iter(sorted(receiving)))
            giving[zone] -= 1
            receiving -= Counter([to[i]])
    return tuple(
        replace(endpoint, zone_hints=(to[i],)) if i in to else endpoint for i, endpoint in enumerate(endpoints)
    ), ""


def _moves(desired: Mapping[str, float], have: Mapping[str, int]) -> tuple[Counter[str], Counter[str]]:
    """Return the counts of endpoints by zone that (give, get) them: the largest difference first.

    A move needs half an endpoint too many on one side, half too few on the other, and a whole one on either.
    """
    surplus = {zone: have.get(zone, 0) - wanted for zone, wanted in desired.items()}
    giving: Counter[str] = Counter()
    receiving: Counter[str] = Counter()
    while True:
        giver, taker = max(surplus, key=lambda zone: surplus[zone]), min(surplus, key=lambda zone: surplus[zone])
        too_many, too_few = surplus[giver], -surplus[taker]
        if min(too_many, too_few) < 0.5 or max(too_many, too_few) < 1:
            return giving, receiving
        giving[giver] += 1
        receiving[taker] += 1
        surplus[giver] -= 1
        surplus[taker] += 1
