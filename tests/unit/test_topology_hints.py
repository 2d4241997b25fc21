"""Topology hints that the EndpointSlice controller would write, and where they lead a packet."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpsim.kube.objects import Endpoint, KubeObjects, Node, Service, ServicePort, Workload
from kpsim.kube.resolve import resolve
from kpsim.kube.service.hints import hinted, zone_shares
from kpsim.proxy.node import categorize
from kpsim.proxy.states import exact_states, node_config
from kpsim.scenario.reader import read
from kpsim.simulation import build_cluster
from kpsim.units import Version

AUTO = Service("default", "web", topology_mode="Auto")


def endpoints(**zones: int) -> list[Endpoint]:
    return [Endpoint(f"10.0.0.{i}", zone=zone, node=f"{zone}-{i}") for zone, n in zones.items() for i in range(n)]


def nodes(**cores: int) -> list[Node]:
    return [Node(f"{zone}-1", zone, n, 1000 * n) for zone, n in cores.items()]


def hints_of(found: tuple[Endpoint, ...]) -> Counter[tuple[str, str]]:
    """How many endpoints of each zone are hinted to each."""
    return Counter((at.zone, *at.zone_hints) for at in found)  # type: ignore[misc]  # one hint each


@pytest.mark.parametrize("wanted", ["PreferClose", "PreferSameZone"])
def test_each_ready_endpoint_is_for_its_own_zone(wanted: str) -> None:
    service = Service("default", "web", traffic_distribution=wanted)
    found, why_not = hinted(service, [*endpoints(a=1, b=1), Endpoint("10.0.1.1", ready=False, zone="a")], ())
    assert [at.zone_hints for at in found] == [("a",), ("b",), ()]
    assert not any(at.node_hints for at in found)
    assert not why_not


def test_the_same_node_and_else_the_same_zone() -> None:
    service = Service("default", "web", traffic_distribution="PreferSameNode")
    found, _ = hinted(service, endpoints(a=1, b=1), ())
    assert [(at.node_hints, at.zone_hints) for at in found] == [(("a-0",), ("a",)), (("b-0",), ("b",))]


def test_endpoints_without_a_place_are_said() -> None:
    service = Service("default", "web", traffic_distribution="PreferSameZone")
    found, why_not = hinted(service, [*endpoints(a=1), Endpoint("10.0.1.1")], ())
    assert found[1].zone_hints == ()
    assert why_not == "1 of 2 ready endpoints are in no zone that is known"


def test_nothing_asked_for_changes_nothing() -> None:
    bare = tuple(endpoints(a=2))
    assert hinted(Service("default", "web"), bare, nodes(a=1, b=1)) == (bare, "")


def test_the_annotation_wins_over_the_field() -> None:
    service = replace(AUTO, traffic_distribution="PreferSameZone")
    found, why_not = hinted(service, endpoints(a=1), nodes(a=4, b=4))
    assert why_not.startswith("Insufficient number of endpoints (1 endpoints, 2 zones)")
    assert found[0].zone_hints == ()


def test_balanced_zones_keep_their_own() -> None:
    found, why_not = hinted(AUTO, endpoints(a=3, b=3), nodes(a=4, b=4))
    assert not why_not
    assert hints_of(found) == {("a", "a"): 3, ("b", "b"): 3}


def test_a_zone_with_too_many_gives_to_one_with_too_few() -> None:
    found, _ = hinted(AUTO, endpoints(a=8, b=2), nodes(a=4, b=4))
    assert hints_of(found) == {("a", "a"): 5, ("a", "b"): 3, ("b", "b"): 2}


def test_zones_get_in_proportion_to_their_cpus() -> None:
    found, _ = hinted(AUTO, endpoints(a=6, b=6), nodes(a=3, b=9))
    assert hints_of(found) == {("a", "a"): 3, ("a", "b"): 3, ("b", "b"): 6}


@pytest.mark.parametrize(
    ("there", "have", "why"),
    [
        (endpoints(a=2, b=2), nodes(a=4), "Insufficient Node information"),
        (endpoints(a=2, b=2), [*nodes(a=4, b=4), Node("x", "", 4, 4000)], "Insufficient Node information"),
        (endpoints(a=2, b=2), [*nodes(a=4, b=4), Node("x", "a")], "Insufficient Node information"),
        (endpoints(a=1, b=1), nodes(a=4, b=4, c=4), "Insufficient number of endpoints (2 endpoints, 3 zones)"),
        (endpoints(a=2, b=1), nodes(a=4, b=4), "Unable to allocate minimum required endpoints"),
        ([*endpoints(a=3, b=2), Endpoint("10.0.1.1")], nodes(a=4, b=4), "One or more endpoints do not have a zone"),
    ],
)
def test_when_the_controller_gives_up(there: list[Endpoint], have: list[Node], why: str) -> None:
    found, why_not = hinted(AUTO, there, have)
    assert why_not.startswith(why)
    assert not any(at.zone_hints for at in found)


def test_nodes_that_do_not_count() -> None:
    idle = [Node("c", "c", 64, 64000, control_plane=True), Node("d", "d", 64, 64000, ready=False)]
    assert zone_shares([*nodes(a=1, b=3), *idle]) == {"a": 0.25, "b": 0.75}


@given(
    there=st.lists(st.integers(0, 30), min_size=2, max_size=4),
    cores=st.lists(st.integers(1, 64), min_size=4, max_size=4),
)
def test_endpoints_move_towards_each_zones_share_and_no_further(there: list[int], cores: list[int]) -> None:
    zones = "abcd"[: len(there)]
    ends = endpoints(**dict(zip(zones, there, strict=True)))
    machines = nodes(**dict(zip(zones, cores, strict=False)))
    found, why_not = hinted(AUTO, ends, machines)
    if why_not:
        assert found == tuple(ends)
        return
    now = Counter(at.zone_hints[0] for at in found)
    assert now.total() == len(ends)
    for zone, share in zone_shares(machines).items():
        before = sum(at.zone == zone for at in ends)
        wanted = max(share * len(ends), math.ceil(share * len(ends) / 1.2))
        assert now[zone] <= before or now[zone] <= wanted + 0.5
        assert now[zone] >= before or now[zone] >= wanted - 0.5


POD = """- {apiVersion: v1, kind: Pod, metadata: {name: web-%(i)d, labels: {app: web}},
   spec: {nodeName: %(node)s},
   status: {phase: Running, podIP: 10.1.0.%(i)d, conditions: [{type: Ready, status: "True"}]}}
"""
NODE = """- {apiVersion: v1, kind: Node, metadata: {name: %(node)s, labels: {topology.kubernetes.io/zone: %(zone)s}},
   status: {capacity: {cpu: "4"}}}
"""


def dump(service: str) -> str:
    places = [("n-0", "a"), ("n-1", "a"), ("n-2", "b"), ("n-3", "b")]
    parts = [NODE % {"node": node, "zone": zone} for node, zone in places]
    parts += [POD % {"i": i, "node": places[i][0]} for i in range(4)]
    return "apiVersion: v1\nkind: List\nitems:\n" + service + "".join(parts)


@pytest.mark.parametrize(
    ("metadata", "field", "reached"),
    [
        ("", "", {0, 1, 2, 3}),
        ("", "trafficDistribution: PreferSameZone, ", {0, 1}),
        ("", "trafficDistribution: PreferSameNode, ", {0}),
        (", annotations: {service.kubernetes.io/topology-mode: Auto}", "", {0, 1}),
    ],
)
def test_a_dump_without_slices_leads_to_near_endpoints(
    tmp_path: Path, metadata: str, field: str, reached: set[int]
) -> None:
    path = tmp_path / "dump.yaml"
    service = (
        f"- {{apiVersion: v1, kind: Service, metadata: {{name: web{metadata}}}, "
        f"spec: {{{field}selector: {{app: web}}, ports: [{{port: 80}}]}}}}\n"
    )
    path.write_text(dump(service), encoding="utf-8")
    scenario = read(path)
    cluster, _ = build_cluster(scenario)
    config = node_config(cluster, "n-0", scenario.cluster.pod_cidr)
    assert config.zone == "a"
    (state,) = exact_states(cluster, config)
    chosen = categorize(state.info, state.endpoints, config).cluster
    assert {int(at.ip.rpartition(".")[2]) for at in chosen} == reached


def test_pods_of_workloads_are_dealt_to_nodes_and_have_hints_by_their_zones() -> None:
    machines = (Node("a-1", "a"), Node("b-1", "b"), Node("c-0", "c", control_plane=True), Node("d-1", "d", ready=False))
    app = (("app", "web"),)
    objects = KubeObjects(
        services=(
            Service(
                "default",
                "web",
                selector=app,
                ports=(ServicePort(80, target_port=80),),
                traffic_distribution="PreferClose",
            ),
        ),
        workloads=(
            Workload("Deployment", "default", "other", 1, (("app", "other"),)),
            Workload("StatefulSet", "default", "web", 3, app),
        ),
        nodes=machines,
    )
    (resolved,), warnings = resolve(objects, "10.96.0.0/16", (30000, 32767), 4)
    assert [(at.pod, at.node, at.zone_hints) for at in resolved.endpoints] == [
        ("default/web-0", "b-1", ("b",)),  # the first is the other workload's
        ("default/web-1", "a-1", ("a",)),
        ("default/web-2", "b-1", ("b",)),
    ]
    assert not warnings
    (bare,), _ = resolve(replace(objects, nodes=()), "10.96.0.0/16", (30000, 32767), 4)
    assert [at.node for at in bare.endpoints] == ["", "", ""]


@pytest.mark.parametrize(
    ("version", "wish", "followed"),
    [
        ((1, 30), "PreferClose", False),
        ((1, 31), "PreferClose", True),
        ((1, 33), "PreferSameZone", False),
        ((1, 34), "PreferSameZone", True),
        ((1, 33), "PreferSameNode", False),
        ((1, 34), "PreferSameNode", True),
    ],
)
def test_a_wish_is_followed_by_the_releases_whose_gate_is_on(version: Version, wish: str, followed: bool) -> None:
    service = Service("default", "web", traffic_distribution=wish)
    found, why_not = hinted(service, endpoints(a=1, b=1), (), version)
    assert [bool(endpoint.zone_hints) for endpoint in found] == [followed] * 2
    assert ("does not know this wish" in why_not) is not followed
