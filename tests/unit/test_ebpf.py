"""Cilium's maps by hand: what each kind of Service puts into them, where connections go, what a sync writes.

The expectations follow the map dumps in pkg/loadbalancer/tests/testdata of Cilium (loadbalancer, trafficpolicy,
source-ranges, external-ips), less the wildcard entries, which are not modelled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from kpsim.kube.objects import Endpoint, EndpointSlice, KubeObjects, Service, ServicePort
from kpsim.modes.ebpf.mode import Ebpf, ProgrammedEbpf
from kpsim.modes.ebpf.rules import SERVICES, EbpfRules, FrontendKey, map_name
from kpsim.modes.ebpf.tracer import EbpfTrace, trace
from kpsim.profiles.costs import load_profile
from kpsim.profiles.defaults import load_defaults
from kpsim.proxy.contract import PacketState, SyncCounts, SyncKind
from kpsim.proxy.node import NodeConfig, port_states
from kpsim.proxy.params import ProxyParams
from kpsim.proxy.rules import Packet

MODE = Ebpf(ProxyParams(mode="ebpf"))
CONFIG = NodeConfig(name="here", node_ips=("192.0.2.1",), local_ips=("192.0.2.2",), pod_cidr="10.244.0.0/16")
POD, NODE, OUTSIDE = "10.244.9.9", "192.0.2.1", "203.0.113.77"
BOTH = (Endpoint("10.244.1.1", node="here"), Endpoint("10.244.2.1", node="there"))
AWAY = (Endpoint("10.244.2.1", node="there"), Endpoint("10.244.2.2", node="there"))
PLAIN = Service("test", "echo", "ClusterIP", "10.96.0.1", (ServicePort(80),))
FRONT = replace(
    PLAIN, type="LoadBalancer", ports=(ServicePort(80, node_port=30781),), load_balancer_ips=("198.51.100.1",)
)


def rules_of(
    services: Sequence[Service], endpoints: Sequence[Endpoint] = BOTH, config: NodeConfig = CONFIG
) -> EbpfRules:
    slices = tuple(
        EndpointSlice(s.namespace, f"{s.name}-1", s.name, ports=((s.ports[0].name, 8080, s.ports[0].protocol),),
                      endpoints=tuple(endpoints))
        for s in services
    )  # fmt: skip
    return MODE.program(port_states(KubeObjects(services=tuple(services), slices=slices), config), config).rules


def slots(rules: EbpfRules) -> dict[str, list[str]]:
    """The Service map as {frontend: backends by slot}."""
    return {str(key): [b.ip for b in frontend.backends] for key, frontend in rules.services.items()}


def went(rules: EbpfRules, source: str, ip: str, port: int = 80) -> EbpfTrace:
    return trace(rules, Packet(source, ip, port))


HERE, THERE = "10.244.1.1", "10.244.2.1"


# ── What is in the maps ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_cluster_ip_is_a_master_and_a_slot_a_backend() -> None:
    rules = rules_of([PLAIN])
    assert slots(rules) == {"10.96.0.1:80/TCP": [HERE, THERE]}
    (frontend,) = rules.services.values()
    assert frontend.flags == ("ClusterIP", "non-routable")
    assert frontend.entries == 3
    assert [b.address for b in rules.backends.values()] == ["10.244.1.1:8080", "10.244.2.1:8080"]
    assert rules.dispatch == 1
    assert rules.present == 1 + 3


def test_a_load_balancer_has_four_frontends_that_share_their_backends() -> None:
    rules = rules_of([FRONT])
    assert {at: len(found) for at, found in slots(rules).items()} == {
        "10.96.0.1:80/TCP": 2, "0.0.0.0:30781/TCP": 2, "192.0.2.1:30781/TCP": 2, "198.51.100.1:80/TCP": 2,
    }  # fmt: skip
    flags = {str(key): frontend.flags for key, frontend in rules.services.items()}
    assert flags["0.0.0.0:30781/TCP"] == ("NodePort", "non-routable")
    assert flags["192.0.2.1:30781/TCP"] == ("NodePort",)
    assert flags["198.51.100.1:80/TCP"] == ("LoadBalancer",)
    assert len(rules.backends) == 2
    assert set(rules.references.values()) == {4}
    assert (rules.dispatch, sum(rules.own.values())) == (4, 12)


def test_services_that_share_pods_share_backend_entries() -> None:
    rules = rules_of([PLAIN, replace(PLAIN, name="other", cluster_ip="10.96.0.2")])
    assert len(rules.backends) == 2
    assert set(rules.references.values()) == {2}
    apart = rules_of(
        [PLAIN, replace(PLAIN, name="u", cluster_ip="10.96.0.2", ports=(ServicePort(80, protocol="UDP"),))]
    )
    assert len(apart.backends) == 4  # the protocol is a part of a backend


def test_equal_policies_have_one_scope_and_unequal_ones_two() -> None:
    local = rules_of([replace(FRONT, external_traffic_policy="Local", internal_traffic_policy="Local")])
    assert {tuple(found) for found in slots(local).values()} == {(HERE,)}
    assert len(local.backends) == 1
    mixed = rules_of([replace(FRONT, internal_traffic_policy="Local")])
    assert slots(mixed) == {
        "10.96.0.1:80/TCP": [HERE],
        "0.0.0.0:30781/TCP": [HERE, THERE], "0.0.0.0:30781/TCP/i": [HERE],
        "192.0.2.1:30781/TCP": [HERE, THERE], "192.0.2.1:30781/TCP/i": [HERE],
        "198.51.100.1:80/TCP": [HERE, THERE], "198.51.100.1:80/TCP/i": [HERE],
    }  # fmt: skip
    at = mixed.services[FrontendKey("198.51.100.1", 80, "TCP")]
    assert at.flags == ("LoadBalancer", "InternalLocal", "two-scopes")
    assert mixed.services[FrontendKey("10.96.0.1", 80, "TCP")].flags == ("ClusterIP", "InternalLocal", "non-routable")
    other_way = slots(rules_of([replace(FRONT, external_traffic_policy="Local")]))
    assert other_way["198.51.100.1:80/TCP"] == [HERE]
    assert other_way["198.51.100.1:80/TCP/i"] == other_way["10.96.0.1:80/TCP"] == [HERE, THERE]


def test_external_ips_have_the_external_scope_only() -> None:
    service = replace(PLAIN, external_ips=("198.51.100.9",), external_traffic_policy="Local")
    assert slots(rules_of([service])) == {"10.96.0.1:80/TCP": [HERE, THERE], "198.51.100.9:80/TCP": [HERE]}


def test_source_ranges_stand_beside_every_frontend_and_guard_two_kinds() -> None:
    service = replace(FRONT, external_ips=("198.51.100.9",), load_balancer_source_ranges=("203.0.113.0/24",))
    rules = rules_of([service])
    assert list(rules.source_ranges) == [(number, "203.0.113.0/24") for number in range(1, 6)]
    assert {at.kind for at in rules.services.values() if at.checks_source} == {"LoadBalancer", "ExternalIPs"}


def test_session_affinity_is_a_flag() -> None:
    rules = rules_of([replace(PLAIN, session_affinity="ClientIP", session_affinity_timeout_s=600)])
    (frontend,) = rules.services.values()
    assert frontend.flags == ("ClusterIP", "sessionAffinity", "non-routable")


def test_nobody_leaves_the_master_alone() -> None:
    rules = rules_of([PLAIN], ())
    assert slots(rules) == {"10.96.0.1:80/TCP": []}
    assert rules.present == 2


def test_headless_and_external_names_are_not_there() -> None:
    bare = replace(PLAIN, name="bare", cluster_ip="None")
    elsewhere = replace(PLAIN, name="else", type="ExternalName", cluster_ip="", external_name="example.org")
    assert not rules_of([bare, elsewhere]).services


def test_terminating_endpoints_serve_where_there_is_no_ready_one() -> None:
    leaving = Endpoint(HERE, node="here", ready=False, terminating=True)
    ready = Endpoint(THERE, node="there")
    service = replace(FRONT, external_traffic_policy="Local")
    found = slots(rules_of([service], (leaving, ready)))
    assert found["10.96.0.1:80/TCP"] == [THERE]
    assert found["198.51.100.1:80/TCP"] == [HERE]  # the only one of this node
    gone = replace(leaving, serving=False)
    assert slots(rules_of([service], (gone, ready)))["198.51.100.1:80/TCP"] == []
    assert slots(rules_of([PLAIN], (leaving,)))["10.96.0.1:80/TCP"] == [HERE]


def test_topology_hints_are_not_looked_at() -> None:
    hinted = (replace(BOTH[0], zone_hints=("a",)), replace(BOTH[1], zone_hints=("b",)))
    assert slots(rules_of([PLAIN], hinted, replace(CONFIG, zone="a")))["10.96.0.1:80/TCP"] == [HERE, THERE]


def test_who_claims_an_address_first_keeps_it() -> None:
    rules = rules_of([replace(PLAIN, name=n, cluster_ip=f"10.96.0.{i}", external_ips=("198.51.100.9",))
                      for i, n in enumerate(("a", "b"), 1)])  # fmt: skip
    assert rules.services[FrontendKey("198.51.100.9", 80, "TCP")].service == "test/a"
    assert rules.dispatch == 4  # both are asked for, as the closed forms count


def test_ipv6_has_maps_of_its_own() -> None:
    config = replace(CONFIG, ip_family="IPv6", node_ips=("2001:db8::1",), pod_cidr="fd00::/16")
    service = replace(FRONT, cluster_ip="fd96::1", load_balancer_ips=("2001:db8:1::1",))
    piece = EndpointSlice("test", "e", "echo", "IPv6", (("", 8080, "TCP"),), (Endpoint("fd00::1", node="here"),))
    rules = MODE.program(port_states(KubeObjects(services=(service,), slices=(piece,)), config), config).rules
    assert [str(key) for key in rules.services] == [
        "[fd96::1]:80/TCP", "[::]:30781/TCP", "[2001:db8::1]:30781/TCP", "[2001:db8:1::1]:80/TCP",
    ]  # fmt: skip
    assert map_name(SERVICES, "IPv6") == "cilium_lb6_services_v2"
    found = trace(rules, Packet("fd00::9", "fd96::1", 80))
    assert found.endpoints == ("[fd00::1]:8080",)
    assert all("4" not in line.partition(", [")[0].partition("cilium_")[2] for line in found.met)


# ── Where connections go ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("source", [POD, NODE])
def test_a_socket_is_translated_when_it_connects(source: str) -> None:
    found = went(rules_of([PLAIN]), source, "10.96.0.1")
    assert (found.verdict, found.masqueraded) == ("DNAT", False)
    assert found.endpoints == ("10.244.1.1:8080", "10.244.2.1:8080")
    assert found.lookups == 3  # master, slot, backend
    assert "cilium_lb4_services_v2, 10.96.0.1:80/TCP slot 0 → 2 backends, REVNAT_ID 1" in found.met[0]
    assert any("cilium_lb4_reverse_sk" in line for line in found.met)
    assert any("cilium_ct4_global" in line for line in found.met) == (source == POD)


def test_a_draw_chooses_one_backend() -> None:
    rules = rules_of([PLAIN])
    chosen = [trace(rules, Packet(POD, "10.96.0.1", 80), draw=draw).endpoints for draw in (0, (1 << 32) - 1)]
    assert chosen == [("10.244.1.1:8080",), ("10.244.2.1:8080",)]


def test_lookups_do_not_grow_with_services() -> None:
    many = [replace(PLAIN, name=f"s{i}", cluster_ip=f"10.96.{i // 250}.{i % 250 + 1}") for i in range(500)]
    assert went(rules_of(many), POD, "10.96.1.250").lookups == went(rules_of(many[:1]), POD, "10.96.0.1").lookups == 3


@pytest.mark.parametrize("source", [POD, NODE, OUTSIDE])
def test_nobody_means_a_refusal_at_once(source: str) -> None:
    assert went(rules_of([FRONT], ()), source, "198.51.100.1").verdict == "REJECT"
    only_away = rules_of([replace(FRONT, external_traffic_policy="Local", internal_traffic_policy="Local")], AWAY)
    assert went(only_away, source, "198.51.100.1").verdict == "REJECT"


def test_outside_a_cluster_ip_is_not_served() -> None:
    assert went(rules_of([PLAIN]), OUTSIDE, "10.96.0.1").verdict == "DROP"
    assert went(rules_of([PLAIN], ()), OUTSIDE, "10.96.0.1").verdict == "REJECT"  # an empty one is noticed before
    assert went(rules_of([PLAIN]), OUTSIDE, "10.96.0.1", 81).verdict == "none"


@pytest.mark.parametrize(("ip", "port"), [("198.51.100.1", 80), (NODE, 30781)])
def test_from_outside_only_what_goes_to_another_node_is_masqueraded(ip: str, port: int) -> None:
    found = went(rules_of([FRONT]), OUTSIDE, ip, port)
    assert (found.verdict, found.masqueraded, found.masqueraded_to) == ("DNAT", True, ("10.244.2.1:8080",))
    assert len(found.endpoints) == 2
    kept = went(rules_of([replace(FRONT, external_traffic_policy="Local")]), OUTSIDE, ip, port)
    assert (kept.endpoints, kept.masqueraded) == (("10.244.1.1:8080",), False)
    assert sum("cilium_snat_v4_external" in line for line in (*found.met, *kept.met)) == 1


def test_clients_inside_use_the_internal_scope() -> None:
    rules = rules_of([replace(FRONT, external_traffic_policy="Local")], AWAY)
    inside = went(rules, POD, "198.51.100.1")
    assert inside.endpoints == ("10.244.2.1:8080", "10.244.2.2:8080")
    assert inside.lookups == 4  # both scopes
    assert went(rules, OUTSIDE, "198.51.100.1").verdict == "REJECT"


def test_node_ports_answer_at_the_nodes_addresses() -> None:
    rules = rules_of([FRONT])
    assert went(rules, POD, NODE, 30781).verdict == "DNAT"
    wild = went(rules, POD, "192.0.2.2", 30781)  # another address of the node: by the wildcard
    assert wild.frontend is not None
    assert wild.frontend.key.ip == "0.0.0.0"  # noqa: S104 - a key, nothing is bound
    assert went(rules, OUTSIDE, "192.0.2.2", 30781).verdict == "none"
    assert went(rules, NODE, "127.0.0.1", 30781).verdict == "DNAT"
    assert went(rules, POD, "127.0.0.1", 30781).verdict == "none"
    assert went(rules, POD, NODE, 29_999).verdict == "none"


def test_source_ranges_hold_for_outside_and_not_for_sockets_here() -> None:
    rules = rules_of([replace(FRONT, load_balancer_source_ranges=("203.0.113.0/28", "198.18.0.0/15"))])
    assert went(rules, OUTSIDE, "198.51.100.1").verdict == "DROP"
    assert went(rules, "203.0.113.5", "198.51.100.1").verdict == "DNAT"
    assert went(rules, POD, "198.51.100.1").verdict == "DNAT"
    assert went(rules, OUTSIDE, NODE, 30781).verdict == "DNAT"  # a NodePort is not guarded


def test_external_ips_are_left_to_the_network_unless_they_are_the_nodes() -> None:
    rules = rules_of([replace(PLAIN, external_ips=("198.51.100.9", "192.0.2.2"))])
    assert went(rules, POD, "198.51.100.9").verdict == "none"
    assert went(rules, POD, "192.0.2.2").verdict == "DNAT"
    assert went(rules, OUTSIDE, "198.51.100.9").verdict == "DNAT"


def test_affinity_is_one_more_lookup() -> None:
    found = went(rules_of([replace(PLAIN, session_affinity="ClientIP")]), POD, "10.96.0.1")
    assert found.lookups == 4
    assert sum("cilium_lb4_affinity" in line for line in found.met) == 2  # looked up, then remembered


def test_a_backend_is_a_pod_whatever_the_ranges_say() -> None:
    rules = rules_of([PLAIN], config=replace(CONFIG, pod_cidr=None))
    assert went(rules, HERE, "10.96.0.1").verdict == "DNAT"
    assert went(rules, POD, "10.96.0.1").verdict == "DROP"


# ── What is written, listed and used up ──────────────────────────────────────────────────────────────────────────────


def test_the_listing_is_what_the_tool_shows() -> None:
    lines = [" ".join(line.split()) for line in ProgrammedEbpf(rules_of([PLAIN])).text()]
    assert lines == [
        "# cilium-dbg bpf lb list",
        "SERVICE ADDRESS BACKEND ADDRESS (REVNAT_ID) (SLOT)",
        "10.96.0.1:80/TCP (0) 0.0.0.0:0 (1) (0) [ClusterIP, non-routable]",
        "10.96.0.1:80/TCP (1) 10.244.1.1:8080/TCP (1) (1)",
        "10.96.0.1:80/TCP (2) 10.244.2.1:8080/TCP (1) (2)",
        "# cilium-dbg bpf lb list --backends",
        "ID BACKEND ADDRESS",
        "1 10.244.1.1:8080/TCP",
        "2 10.244.2.1:8080/TCP",
        "# cilium-dbg bpf lb list --revnat",
        "ID SERVICE ADDRESS",
        "1 10.96.0.1:80",
        "# cilium-dbg bpf lb list --source-ranges",
        "SOURCE RANGE (REVNAT_ID)",
    ]
    assert not [line for line in ProgrammedEbpf(rules_of([PLAIN])).text() if line != line.rstrip()]


def test_a_reader_is_shown_one_service_shortened() -> None:
    many = tuple(Endpoint(f"10.244.3.{i}") for i in range(50))
    lines = list(
        ProgrammedEbpf(rules_of([PLAIN, replace(PLAIN, name="x", cluster_ip="10.96.0.2")], many)).listing("test/x")
    )
    assert lines[0].startswith("SERVICE ADDRESS")
    assert lines[1].startswith("10.96.0.2:80/TCP (0) ")
    assert "46 more slots" in lines[-2]
    assert lines[-1].endswith("(2) (50)")
    assert not list(ProgrammedEbpf(rules_of([PLAIN])).listing("test/y"))


def test_a_change_writes_its_service_and_no_other_with_the_master_last() -> None:
    rules = rules_of([PLAIN, replace(FRONT, name="front", cluster_ip="10.96.0.2")])
    lines = list(ProgrammedEbpf(rules).text({"test/echo"}))
    assert [line.split()[1] for line in lines] == [
        "cilium_lb4_backends_v3", SERVICES, "cilium_lb4_backends_v3", SERVICES, "cilium_lb4_reverse_nat", SERVICES,
    ]  # fmt: skip
    assert "slot 0 → count 2" in lines[-1]
    assert not list(ProgrammedEbpf(rules).text(()))


def counts(**known: Any) -> SyncCounts:
    names = ("service_ports", "endpoints", "dispatch", "own", "changed_services", "changed_own", "endpoint_changes",
             "cleanup")  # fmt: skip
    return SyncCounts(**dict.fromkeys(names, 0) | known)


def test_a_partial_sync_is_flat_in_services() -> None:
    one = {"changed_services": 1, "changed_own": 4, "endpoint_changes": 1}
    small = MODE.sync_work(SyncKind.PARTIAL, counts(service_ports=10, endpoints=30, dispatch=10, own=40, **one))
    large = MODE.sync_work(
        SyncKind.PARTIAL, counts(service_ports=10**4, endpoints=10**5, dispatch=10**4, own=10**5, **one)
    )
    assert small == large
    assert small["bpf_map_call"] == 2 * 4 + 1
    assert small["service_reconciled"] == 1
    assert not small["map_entry_dumped"]


def test_calls_of_a_sync_are_the_entries_it_writes_and_the_affinity_matches_it_looks_after() -> None:
    """A slot is two calls, a master with its reverse NAT two; the backends of a new Service one each."""
    rules = rules_of([replace(FRONT, session_affinity="ClientIP")])
    written = list(ProgrammedEbpf(rules).text({"test/echo"}))
    work = MODE.sync_work(
        SyncKind.PARTIAL, counts(changed_services=1, changed_own=sum(rules.own.values()), endpoint_changes=2)
    )
    assert len(written) == work["bpf_map_call"]


def test_a_start_writes_everything_and_a_quiet_sync_only_reads() -> None:
    held = {"service_ports": 3, "endpoints": 6, "dispatch": 3, "own": 9}
    full = MODE.sync_work(SyncKind.FULL, counts(**held))
    assert (full["service_reconciled"], full["bpf_map_call"], full["map_entry_dumped"]) == (3, 24, 18)
    quiet = MODE.sync_work(SyncKind.PARTIAL, counts(**held))
    assert {name: count for name, count in quiet.items() if count} == {"map_entry_dumped": 18}


def test_the_runner_is_ciliums_and_not_kube_proxys() -> None:
    for version in ((1, 20), (1, 34)):
        settings = MODE.runner(version)
        assert (settings.min_sync_s, settings.idle_s, settings.retry_s) == (0.5, 1800.0, 1.0)
        assert settings.full_s is not None
        assert settings.full_s > 10**7
        assert not settings.locks
        assert not settings.canary_s
    configured = Ebpf(ProxyParams(mode="ebpf", min_sync_period_s=0.1, sync_period_s=7.0)).runner((1, 34))
    assert (configured.min_sync_s, configured.idle_s) == (0.1, 1800.0)


def test_packets_pay_alike_whatever_services_there_are() -> None:
    costs = load_profile("measured-linux-6.18").costs("ebpf", "typical", 1.0)
    price = {state: sum(float(costs.seconds(s.work)) for s in MODE.stages(state)) for state in PacketState}
    assert price[PacketState.REFUSED] < price[PacketState.LATER] < price[PacketState.FIRST]
    assert not MODE.endpoint_steps(np.arange(5), np.full(5, 9)).any()
    drawn = np.array([0, 1 << 31, (1 << 32) - 1])
    assert MODE.select(drawn, drawn, np.full(3, 3)).tolist() == [0, 1, 2]


def test_the_service_map_is_full_before_any_other() -> None:
    """A ClusterIP of four endpoints takes five of its entries: 13,107 such Services fit, and the next does not."""
    per = {resource.name: resource for resource in MODE.resources()}
    defaults = load_defaults()
    assert defaults.value(per["Service map"].limit) // 5 == 13_107
    four = tuple(Endpoint(f"10.244.3.{i}") for i in range(4))
    rules = rules_of([PLAIN], four)
    assert per["Service map"].per_own * sum(rules.own.values()) == 5
    assert per["reverse-NAT map"].per_dispatch * rules.dispatch == 1
    assert per["backend map"].per_endpoint * 4 == len(rules.backends)
    assert per["connection-tracking map"].per_connection == 2
    assert defaults.value(per["connection-tracking map"].limit) == 524_288
