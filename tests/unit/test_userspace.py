"""The userspace mode: portals rule by rule, the ways of packets, the commands of a sync, what it costs and needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from kpsim.cluster.columns import ServiceColumns
from kpsim.modes.userspace.mode import ProgrammedUserspace, Userspace
from kpsim.modes.userspace.program import JUMPS, UserspaceRules
from kpsim.profiles.costs import load_profile
from kpsim.profiles.defaults import load_defaults
from kpsim.proxy.contract import PacketState, Steps, SyncCounts, SyncKind
from kpsim.proxy.counts import EndpointCounts
from kpsim.proxy.node import EndpointInfo, NodeConfig, PortInfo, PortState, port_states
from kpsim.proxy.params import ModePeriods, ProxyParams
from kpsim.proxy.rules import FILTER, Packet, Trace
from kpsim.scenario.reader import read

NODE, POD, OUTSIDE = "172.16.0.1", "10.244.0.9", "203.0.113.77"
CONFIG = NodeConfig(name="node-0", node_ips=(NODE,), pod_cidr="10.244.0.0/16")
MODE = Userspace(ProxyParams(mode="userspace"))
WEB = PortInfo("default", "web", "http", "TCP", "10.96.0.10", 80)
HERE = EndpointInfo("10.244.0.2", 8080, local=True)
THERE = EndpointInfo("10.244.1.2", 8080)
LEAVING = EndpointInfo("10.244.0.3", 8080, ready=False, terminating=True, local=True)


def info(**changes: Any) -> PortInfo:
    return replace(WEB, **changes)


def rules_of(*states: tuple[PortInfo, tuple[EndpointInfo, ...]]) -> UserspaceRules:
    return MODE.program((PortState(one, endpoints) for one, endpoints in states), CONFIG).rules


def saved(rules: UserspaceRules) -> dict[str, list[str]]:
    """Chains as iptables-save prints them, without the comment and those that are empty."""
    return {
        name: [replace(rule, comment="").render("X")[5:] for rule in chain]
        for name, chain in rules.chains.items()
        if chain
    }


def follow(rules: UserspaceRules, source: str, destination: str, port: int, protocol: str = "TCP") -> Trace:
    return ProgrammedUserspace(rules, MODE).trace(Packet(source, destination, port, protocol))


# ── Rules ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_cluster_ip_is_redirected_for_containers_and_translated_for_the_node() -> None:
    assert saved(rules_of((WEB, (THERE,)))) == {
        "KUBE-PORTALS-CONTAINER": ["-d 10.96.0.10/32 -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 32768"],
        "KUBE-PORTALS-HOST": [
            "-d 10.96.0.10/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.16.0.1:32768"
        ],
    }  # fmt: skip


def test_a_node_port_has_two_rules_in_nat_and_one_in_filter() -> None:
    found = saved(rules_of((info(type="NodePort", node_port=30080), (THERE,))))
    assert found["KUBE-NODEPORT-CONTAINER"] == ["-p tcp -m tcp --dport 30080 -j REDIRECT --to-ports 32768"]
    assert found["KUBE-NODEPORT-HOST"] == [
        "-p tcp -m tcp --dport 30080 -j DNAT --to-destination 172.16.0.1:32768"
    ]  # fmt: skip
    # The filter sees the packet with the port it was redirected to.
    assert found["KUBE-NODEPORT-NON-LOCAL" + FILTER] == ["-p tcp -m tcp --dport 32768 -m state --state NEW -j ACCEPT"]


def test_an_external_address_has_three_rules_and_one_of_a_load_balancer_two() -> None:
    found = saved(rules_of((info(external_ips=("192.0.2.7",)), ())))
    there, port = "-d 192.0.2.7/32 -p tcp", "-m tcp --dport 80"
    assert found["KUBE-PORTALS-CONTAINER"][1:] == [
        f"{there} {port} -m physdev ! --physdev-is-in -j REDIRECT --to-ports 32768",
        f"{there} -m addrtype --dst-type LOCAL {port} -j REDIRECT --to-ports 32768",
    ]
    assert found["KUBE-PORTALS-HOST"][1:] == [
        f"{there} -m addrtype --dst-type LOCAL {port} -j DNAT --to-destination 172.16.0.1:32768"
    ]
    balanced = saved(rules_of((info(type="LoadBalancer", load_balancer_vips=("203.0.113.7",)), ())))
    assert [len(chain) for chain in balanced.values()] == [2, 2]
    assert "-d 203.0.113.7/32 -p tcp -m tcp --dport 80 -j REDIRECT" in balanced["KUBE-PORTALS-CONTAINER"][1]


@pytest.mark.parametrize(
    "changes",
    [
        {"source_ranges": ("198.51.100.0/24",)},
        {"affinity_s": 60},
        {"internal_local": True},
        {"external_policy_local": True, "health_check_node_port": 30999},
    ],
)
@pytest.mark.parametrize("endpoints", [(), (HERE, THERE), (THERE,), (LEAVING,)])
def test_neither_policies_nor_endpoints_make_a_rule(
    changes: dict[str, Any], endpoints: tuple[EndpointInfo, ...]
) -> None:
    plain = info(type="LoadBalancer", load_balancer_vips=("203.0.113.7",), node_port=30080)
    assert saved(rules_of((replace(plain, **changes), endpoints))) == saved(rules_of((plain, (THERE,))))


def test_every_service_port_has_a_socket_of_its_own_and_addresses_share_it() -> None:
    other = info(name="api", cluster_ip="10.96.0.11", node_port=30081, external_ips=("192.0.2.7",))
    rules = rules_of((WEB, (THERE,)), (other, (HERE,)))
    assert [listener.port for listener in rules.listeners.values()] == [32768, 32769]
    led = Counter(rules.listener(rule).info.name for name, rule in rules.ensured if not name.endswith(FILTER))
    assert led == {"web": 2, "api": 2 + 3 + 2}


def test_sctp_headless_and_external_name_have_nothing(tmp_path: Any) -> None:
    path = tmp_path / "objects.yaml"
    path.write_text(
        "apiVersion: kpsim/v1alpha1\nkind: Scenario\nspec:\n  services:\n"
        "  - {kind: Service, apiVersion: v1, metadata: {name: bare}, spec: {clusterIP: None, ports: [{port: 80}]}}\n"
        "  - {kind: Service, apiVersion: v1, metadata: {name: far}, spec: {type: ExternalName, externalName: a.b}}\n"
        "  - {kind: Service, apiVersion: v1, metadata: {name: tel}, spec: {clusterIP: 10.96.0.9,"
        " ports: [{name: a, port: 80, protocol: SCTP}, {name: b, port: 81}]}}\n"
    )
    objects = read(path).objects
    rules = MODE.program(port_states(objects, CONFIG), CONFIG).rules
    assert [(listener.info.name, listener.info.port) for listener in rules.listeners.values()] == [("tel", 81)]
    assert rules.present == 2


# ── Packets ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("source", [POD, OUTSIDE, NODE])
def test_the_endpoint_sees_the_node_whoever_calls(source: str) -> None:
    found = follow(rules_of((WEB, (HERE, THERE))), source, "10.96.0.10", 80)
    assert (found.verdict, found.endpoints) == ("DNAT", ("10.244.0.2:8080", "10.244.1.2:8080"))
    assert found.masqueraded
    assert ("KUBE-PORTALS-HOST" in found.met[0]) == (source == NODE)


@pytest.mark.parametrize(("source", "chain"), [(OUTSIDE, "CONTAINER"), (POD, "CONTAINER"), (NODE, "HOST")])
def test_a_node_port_answers_on_the_nodes_addresses_only(source: str, chain: str) -> None:
    rules = rules_of((info(type="NodePort", node_port=30080), (THERE,)))
    found = follow(rules, source, NODE, 30080)
    assert found.verdict == "DNAT"
    assert [line.split()[1] for line in found.met[:2]] == [f"KUBE-NODEPORT-{chain}", "KUBE-NODEPORT-NON-LOCAL"]
    assert follow(rules, source, "198.51.100.9", 30080).verdict == "none"
    assert follow(rules, source, NODE, 30080, "UDP").verdict == "none"


def test_portals_come_before_node_ports() -> None:
    """An address that is the node's own and a Service's, at the number of another's NodePort."""
    mine = info(name="a", cluster_ip="10.96.0.11", port=30080, external_ips=(NODE,))
    rules = rules_of((info(type="NodePort", node_port=30080), (THERE,)), (mine, (HERE,)))
    assert follow(rules, OUTSIDE, NODE, 30080).endpoints == ("10.244.0.2:8080",)


def test_an_external_address_is_for_the_node_only_where_it_is_its_own() -> None:
    rules = rules_of((info(external_ips=("192.0.2.7", NODE)), (THERE,)))
    assert follow(rules, OUTSIDE, "192.0.2.7", 80).verdict == "DNAT"
    assert follow(rules, NODE, "192.0.2.7", 80).verdict == "none"
    assert follow(rules, NODE, NODE, 80).verdict == "DNAT"


@pytest.mark.parametrize("policy", ["internal_local", "external_policy_local"])
def test_policies_are_ignored(policy: str) -> None:
    rules = rules_of((info(type="NodePort", node_port=30080, **{policy: True}), (HERE, THERE)))
    for destination, port in (("10.96.0.10", 80), (NODE, 30080)):
        assert len(follow(rules, POD, destination, port).endpoints) == 2


def test_source_ranges_are_ignored() -> None:
    rules = rules_of((info(load_balancer_vips=("203.0.113.7",), source_ranges=("198.51.100.0/24",)), (THERE,)))
    assert follow(rules, OUTSIDE, "203.0.113.7", 80).verdict == "DNAT"


def test_without_a_ready_endpoint_the_connection_is_accepted_and_closed() -> None:
    for endpoints in ((), (LEAVING,)):  # those that terminate are in no Endpoints object
        found = follow(rules_of((WEB, endpoints)), POD, "10.96.0.10", 80)
        assert (found.verdict, found.endpoints) == ("CLOSED", ())
        assert found.met[-1].endswith("there is nobody to dial, so it closes what it accepts")
    asked = info(protocol="UDP", port=53)
    assert "throws away what it reads" in follow(rules_of((asked, ())), POD, "10.96.0.10", 53, "UDP").met[-1]


# ── Commands ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_sync_is_one_command_after_the_other() -> None:
    lines = list(ProgrammedUserspace(rules_of((WEB, (THERE,))), MODE).text())
    tool = "iptables -w 5 -W 100000"
    assert lines[0] == f"{tool} -N KUBE-PORTALS-CONTAINER -t nat"
    jump = (
        "PREROUTING -t nat -m comment --comment 'handle ClusterIPs; NOTE: this must be before the NodePort rules' "
        "-j KUBE-PORTALS-CONTAINER"
    )
    assert lines[1] == f"{tool} -C {jump} || {tool} -I {jump}"
    assert f"{tool} -N KUBE-NODEPORT-NON-LOCAL -t filter" in lines
    rule = (
        "KUBE-PORTALS-CONTAINER -t nat -m comment --comment default/web:http -p tcp -m tcp --dport 80 "
        "-d 10.96.0.10/32 -j REDIRECT --to-ports 32768"
    )
    assert lines[10] == f"{tool} -C {rule} || {tool} -A {rule}"
    assert len(lines) == 2 * len(JUMPS) + 2


def test_node_port_jumps_are_last_and_for_local_addresses() -> None:
    lines = [line for line in ProgrammedUserspace(rules_of(), MODE).text() if "-j KUBE-NODEPORT-HOST" in line]
    assert len(lines) == 1
    assert "-C OUTPUT -t nat -m addrtype --dst-type LOCAL -m comment" in lines[0]
    assert "-A OUTPUT" in lines[0]


def test_services_that_changed_are_made_sure_of_twice_and_all_others_once() -> None:
    rules = rules_of((WEB, (THERE,)), (info(name="api", cluster_ip="10.96.0.11"), ()))
    text = [line.split() for line in ProgrammedUserspace(rules, MODE).text(["default/api"]) if "-m tcp" in line]
    lines = Counter(words[words.index("--comment") + 1] for words in text)
    assert lines == {"default/web:http": 2, "default/api:http": 4}


def test_the_listing_shows_one_service_and_its_socket() -> None:
    rules = rules_of((WEB, (HERE, THERE)), (info(name="api", cluster_ip="10.96.0.11", node_port=30080), ()))
    assert len(list(ProgrammedUserspace(rules, MODE).listing("default/web"))) == 2 + 1 + 2
    lines = list(ProgrammedUserspace(rules, MODE).listing("default/api"))
    assert lines[4] == "*filter"
    assert lines[-1].startswith("kube-proxy listens on 32769/tcp for default/api:http; there is nobody")
    assert not any("default/web" in line for line in lines)


# ── Counts ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def columns(**changes: Any) -> ServiceColumns:
    zero: Any = np.zeros(2, np.int64)
    made = ServiceColumns(**dict.fromkeys(ServiceColumns.__dataclass_fields__, zero))
    made = replace(made, proxied=np.ones(2, np.bool_), ports=np.ones(2, np.int64))
    return replace(made, **{name: np.array(values) for name, values in changes.items()})


@pytest.mark.parametrize(
    ("changes", "dispatch", "own"),
    [
        ({}, [1, 1], [1, 1]),
        ({"ports": [3, 1]}, [3, 1], [3, 1]),
        ({"ports": [3, 1], "node_ports": [3, 0]}, [3, 1], [12, 1]),
        ({"external_ips": [1, 0], "load_balancer_ips": [0, 2]}, [3, 3], [2, 3]),
        ({"proxied": [False, True]}, [0, 1], [0, 1]),
        ({"internal_local": [True, True], "source_ranges": [2, 2], "affinity": [True, True]}, [1, 1], [1, 1]),
    ],
)
def test_rules_are_counted_by_addresses(changes: dict[str, Any], dispatch: list[int], own: list[int]) -> None:
    counts = MODE.rule_counts(columns(**changes), EndpointCounts.elsewhere(np.array([0, 7])))
    assert (counts.dispatch.tolist(), counts.own.tolist()) == (dispatch, own)


def work(dispatch: int, own: int) -> dict[str, int]:
    counts = SyncCounts(dispatch, 0, dispatch, own, 0, 0, 0, 0)
    assert MODE.sync_work(SyncKind.FULL, counts) == MODE.sync_work(SyncKind.PARTIAL, counts)
    return {name: int(count) for name, count in MODE.sync_work(SyncKind.FULL, counts).items()}


def test_a_sync_is_a_process_a_rule_and_each_reads_its_table() -> None:
    """One Service with a NodePort: six rules, five of them in nat."""
    assert work(0, 0) == {"process_run": 10, "rule_read_back": 0}
    assert work(1, 1) == {"process_run": 12, "rule_read_back": (8 + 2) * 2}
    assert work(1, 4) == {"process_run": 15, "rule_read_back": (8 + 4) * 4 + (2 + 1) * 1}


def test_the_processes_of_a_sync_are_the_commands_that_check() -> None:
    door = info(type="NodePort", node_port=30080)
    rules = rules_of((WEB, ()), (replace(door, name="door", cluster_ip="10.96.0.12"), (THERE,)))
    lines = list(ProgrammedUserspace(rules, MODE).text([]))
    assert work(rules.dispatch, sum(rules.own.values()))["process_run"] == len(lines)


def test_syncs_of_a_thousand_services_take_longer_than_their_period() -> None:
    costs = load_profile("measured-linux-6.18").costs("userspace", "typical", 1.0)
    counts = SyncCounts(1000, 0, 1000, 1000, 0, 0, 0, 0)
    assert 10 < float(costs.seconds(MODE.sync_work(SyncKind.FULL, counts))) < 30
    more = SyncCounts(2000, 0, 2000, 2000, 0, 0, 0, 0)
    assert float(costs.seconds(MODE.sync_work(SyncKind.FULL, more))) > 30


def test_a_refused_packet_finds_its_portal_and_pays_less() -> None:
    costs = load_profile("measured-linux-6.18").costs("userspace", "typical", 1.0)
    once = {
        state: sum(float(costs.seconds(s.work)) for s in MODE.stages(state) if s.steps is Steps.ONCE)
        for state in PacketState
    }
    assert once[PacketState.LATER] < once[PacketState.REFUSED] < once[PacketState.FIRST]
    assert [s.steps for s in MODE.stages(PacketState.REFUSED)] == [Steps.ONCE, Steps.DISPATCH]


def test_round_robin_is_the_turn() -> None:
    turns = np.arange(5)
    assert MODE.select(turns * 0, turns, turns * 0 + 3).tolist() == [0, 1, 2, 0, 1]


def test_two_descriptors_a_connection_end_at_sixty_four_thousand() -> None:
    descriptors, ports = MODE.resources()
    defaults = load_defaults()
    assert (descriptors.per_connection, descriptors.per_service_port) == (2, 1)
    assert defaults.value(descriptors.limit) / descriptors.per_connection == 32_000
    assert (ports.per_connection, defaults.value(ports.limit)) == (0, 28_232)


@pytest.mark.parametrize(
    ("params", "version", "minimum", "idle"),
    [
        (ProxyParams("userspace"), (1, 25), 1.0, 30.0),
        (ProxyParams("userspace"), (1, 19), 0.0, 30.0),
        (ProxyParams("userspace", periods=(ModePeriods("iptables", 5.0, 60.0),)), (1, 25), 5.0, 60.0),
        (ProxyParams("userspace", periods=(ModePeriods("ipvs", 5.0, 60.0),)), (1, 25), 1.0, 30.0),
        (ProxyParams("userspace", 2.0, 10.0), (1, 25), 2.0, 10.0),
    ],
)
def test_its_periods_are_those_of_iptables(
    params: ProxyParams, version: tuple[int, int], minimum: float, idle: float
) -> None:
    runner = Userspace(params).runner(version)
    assert (runner.min_sync_s, runner.idle_s, runner.full_s, runner.at_once) == (minimum, idle, None, True)


def test_numbers_of_ports_come_back_but_sockets_stay_apart() -> None:
    """A real node runs out of ports; whoever simulates more still finds each Service's own endpoints."""
    many: Iterable[PortState] = (
        PortState(
            info(name=f"s{i}", cluster_ip=f"10.{97 + i}.0.1"), (EndpointInfo(f"10.1.0.{i}", 80),), port=28_232 * i
        )
        for i in range(3)
    )
    rules = MODE.program(many, CONFIG).rules
    assert {listener.port for listener in rules.listeners.values()} == {32768}
    assert [follow(rules, POD, f"10.{97 + i}.0.1", 80).endpoints for i in range(3)] == [
        (f"10.1.0.{i}:80",) for i in range(3)
    ]
