"""kube-proxy's own expectations of its IPVS mode, as data; then the ways of packets, and what syncs change.

No kernel needs IPVS here: the text for ``ipvsadm`` is held against a grammar of its own.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpsim.cluster.columns import ServiceColumns
from kpsim.modes.ipvs.ipsets import SETS, kernel_name
from kpsim.modes.ipvs.mode import Ipvs
from kpsim.modes.ipvs.program import IpvsRules, node_port_addresses, program
from kpsim.modes.ipvs.text import address_lines, ipset_lines, iptables_lines, ipvsadm_lines, script_lines
from kpsim.modes.ipvs.tracer import IpvsTrace, trace
from kpsim.proxy.counts import EndpointCounts
from kpsim.proxy.node import EndpointInfo, NodeConfig, PortInfo, PortState, port_states
from kpsim.proxy.params import ProxyParams
from kpsim.proxy.rules import FILTER, Packet, PortKey
from tests.models.ipvs_sync import Kernel, expire, sync
from tests.oracle.inputs import Case, cases, config_of, objects_of

CASES = list(cases("ipvs"))
EVERY = [pytest.param(case, id=case["name"]) for case in CASES]


def config_for(case: Case) -> NodeConfig:
    """A case of IPVS names all addresses of its node, because each is one for NodePorts."""
    return replace(config_of(case), local_ips=tuple((case.get("config") or {}).get("nodeLocalIPs", ())))


def rules_of(case: Case) -> IpvsRules:
    config = config_for(case)
    return program(port_states(objects_of(case["input"]), config), config)


# ── What kube-proxy's tests say ──────────────────────────────────────────────────────────────────────────────────────


def check_virtual_servers(rules: IpvsRules, wanted: list[dict[str, Any]]) -> None:
    found = {key: sorted(s.address for s in service.real_servers) for key, service in rules.services.items()}
    assert found == {(w["vip"], w["protocol"], w["port"]): sorted(w["real_servers"]) for w in wanted}
    assert {server.weight for service in rules.services.values() for server in service.real_servers} <= {1}


def check_ipsets(rules: IpvsRules, wanted: dict[str, int]) -> None:
    assert {name: len(rules.sets[name]) for name in wanted} == wanted


def check_ipset_entries(rules: IpvsRules, wanted: dict[str, list[Any]]) -> None:
    assert {name: rules.sets[name] for name in wanted} == {name: set(map(str, all_)) for name, all_ in wanted.items()}


def check_tables(rules: IpvsRules, wanted: dict[str, dict[str, int]]) -> None:
    for table, chains in wanted.items():
        suffix = FILTER if table == "filter" else ""
        assert {name: len(rules.chains[name + suffix]) for name in chains} == chains


def check_persistence(rules: IpvsRules, wanted: int) -> None:
    assert {service.persistence_s for service in rules.services.values()} == {wanted}


def check_weight(rules: IpvsRules, wanted: int) -> None:
    """Whatever an earlier process left at weight 0 gets its weight back in the first sync, and not in a later one."""
    rules = rules if any(s.real_servers for s in rules.services.values()) else program([port()], NODE)
    _, full = sync(Kernel(), rules)
    left = {
        key: replace(service, real_servers=tuple(replace(at, weight=0) for at in service.real_servers))
        for key, service in full.services.items()
    }
    for first, weight in ((True, wanted), (False, 0)):
        _, after = sync(replace(full, services=left), rules, first=first)
        assert {at.weight for service in after.services.values() for at in service.real_servers} == {weight}


def check_flows(rules: IpvsRules, wanted: list[dict[str, Any]]) -> None:
    for flow in wanted:
        found = trace(rules, Packet(flow["src"], flow["dst"], flow["dport"], flow["protocol"]))
        assert found.verdict == {"dnat": "DNAT"}.get(flow["result"], flow["result"]), (flow["case"], found)
        assert sorted(found.endpoints) == sorted(flow.get("endpoints", [])), (flow["case"], found)
        assert found.masqueraded == flow.get("masquerade", False), (flow["case"], found)


CHECKS: dict[str, Callable[[IpvsRules, Any], None]] = {
    "virtual_servers": check_virtual_servers,
    "ipsets": check_ipsets,
    "ipset_entries": check_ipset_entries,
    "tables": check_tables,
    "virtual_server_persistence_timeout": check_persistence,
    "weight_after_first_sync": check_weight,
    "flows": check_flows,
}


@pytest.mark.parametrize("case", EVERY)
def test_a_node_has_what_kube_proxy_expects(case: Case) -> None:
    rules = rules_of(case)
    for key, wanted in case["expected"].items():
        CHECKS[key](rules, wanted)


@pytest.mark.parametrize("case", EVERY)
def test_rules_stay_within_their_constant_numbers(case: Case) -> None:
    """Seventeen sets, eleven chains, nat between 7 and 24 rules; filter grows with barred load balancers alone."""
    rules = rules_of(case)
    assert len(rules.sets) == 17
    assert len(rules.chains) == 11
    assert 7 <= rules.count("nat") <= 24
    assert 10 <= rules.count("filter") - len(rules.chains["KUBE-IPVS-OUT-FILTER" + FILTER]) <= 13


# ── The text the tools take ──────────────────────────────────────────────────────────────────────────────────────────

OCTETS = r"(?:\d{1,3}\.){3}\d{1,3}"
SOCKET = rf"(?:{OCTETS}|\[[0-9a-f:.]+\]):\d{{1,5}}"
AT = rf"(?P<at>(?:-t|-u|--sctp-service) {SOCKET})"
SCHEDULERS = "rr|wrr|lc|wlc|lblc|lblcr|dh|sh|mh|sed|nq|fo|ovf"
FLAGS = "(?:sh|mh)-(?:port|fallback)"
SERVICE_LINE = re.compile(rf"-A {AT} -s (?:{SCHEDULERS})(?: -p [1-9]\d*)?(?: -b {FLAGS})?")
SERVER_LINE = re.compile(rf"-a {AT} -r (?P<to>{SOCKET}) -m -w \d+")


def ipvsadm_faults(lines: list[str]) -> list[str]:
    """Lines ``ipvsadm -R`` would refuse: not of its form, a service or server twice, a server without its service."""
    services: set[str] = set()
    servers: set[tuple[str, str]] = set()
    faults = []
    for line in lines:
        if made := SERVICE_LINE.fullmatch(line):
            faults += [line] if made["at"] in services else []
            services.add(made["at"])
        elif put := SERVER_LINE.fullmatch(line):
            faults += [line] if put["at"] not in services or (put["at"], put["to"]) in servers else []
            servers.add((put["at"], put["to"]))
        else:
            faults.append(line)
    return faults


def test_the_grammar_of_ipvsadm_refuses_what_ipvsadm_does() -> None:
    service, server = "-A -t 10.0.0.1:80 -s rr", "-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 1"
    assert not ipvsadm_faults([service, server])
    for wrong in ([server], [service, service], [service, server, server], ["-A -t 10.0.0.1 -s rr"],
                  ["-A -t 10.0.0.1:80 -s random"], ["-A -t fd00::1:80 -s rr"], [service + " -p 0"]):  # fmt: skip
        assert ipvsadm_faults(wrong)


FORMS = {
    "hash:ip": "{ip}",
    "hash:ip,port": "{ip},{l4}",
    "hash:ip,port,ip": "{ip},{l4},{ip}",
    "hash:ip,port,net": r"{ip},{l4},{ip}/\d+",
    "bitmap:port": r"\d+",
}


def check_text(rules: IpvsRules) -> None:
    lines = list(ipvsadm_lines(rules))
    assert not ipvsadm_faults(lines)
    servers = sum(len(service.real_servers) for service in rules.services.values())
    assert Counter(line[:2] for line in lines) == Counter({"-A": len(rules.services), "-a": servers})
    created = {}
    for line in ipset_lines(rules):
        verb, name, what = line.split(maxsplit=2)
        assert len(name) <= 31
        if verb == "create":
            created[name] = what.split()[0]
            continue
        form = FORMS[created[name]].format(ip=r"[0-9a-f.:]+", l4=r"(?:tcp|udp|sctp):\d+")
        assert re.fullmatch(form, what), line
    assert len(created) == len(SETS)
    declared: set[str] = set()
    for line in iptables_lines(rules, jumps=True):
        word = line.split()[0]
        if word.startswith("*"):
            declared = {"ACCEPT", "DROP", "REJECT", "RETURN", "MARK", "MASQUERADE"}
        elif word.startswith(":"):
            declared.add(word[1:])
        elif word in ("-A", "-I"):
            assert line.split()[1] in declared or word == "-I"
            assert re.search(r" -j (\S+)", line)[1] in declared  # type: ignore[index]  # every rule has a target
            assert all(name in created for name in re.findall(r"--match-set (\S+)", line))
        else:
            assert line == "COMMIT"
    assert all(ipaddress.ip_interface(line.split()[2]) for line in address_lines(rules) if line.startswith("addr"))
    script = list(script_lines(rules))
    assert sum(line.endswith("<<'END'") for line in script) == script.count("END") == 4


@pytest.mark.parametrize("case", EVERY)
def test_the_tools_take_the_text(case: Case) -> None:
    check_text(rules_of(case))


# ── Packets ──────────────────────────────────────────────────────────────────────────────────────────────────────────

NODE = NodeConfig("test-node", node_ips=("192.168.0.2", "192.168.1.2"), pod_cidr="10.0.0.0/8")
TCP, UDP = PortKey("172.30.0.41", "TCP", 80), PortKey("172.30.0.41", "UDP", 80)
POD, OUTSIDE, HOST = "10.5.0.9", "203.0.113.2", "192.168.0.2"
MINE, THEIRS = EndpointInfo("10.180.0.1", 80, local=True), EndpointInfo("10.180.1.1", 80)


def port(*endpoints: EndpointInfo, **changed: Any) -> PortState:
    """One service port at 172.30.0.41:80 with a local and a remote endpoint, unless given others."""
    info = PortInfo("ns1", "svc1", "p80", changed.pop("protocol", "TCP"), "172.30.0.41", 80, **changed)
    return PortState(info, endpoints or (MINE, THEIRS), 0)


def meets(state: PortState, source: str, to: str, number: int = 80, config: NodeConfig = NODE) -> IpvsTrace:
    found = trace(program([state], config), Packet(source, to, number, state.info.protocol))
    assert found.evaluated >= len(found.met)
    return found


BOTH = ("10.180.0.1:80", "10.180.1.1:80")
DOOR = {"type": "NodePort", "node_port": 3001}
LOCAL_DOOR = {**DOOR, "external_policy_local": True}
FRONT = {"type": "LoadBalancer", "load_balancer_vips": ("1.2.3.4",)}
LOCAL_FRONT = {**FRONT, "external_policy_local": True, "health_check_node_port": 30000}
GUARDED = {**FRONT, "source_ranges": ("203.0.113.0/25",)}
OPEN_TO_NODE = {**FRONT, "source_ranges": ("203.0.113.0/25", "192.168.0.0/24")}

WAYS = [
    ("a Pod to a ClusterIP", {}, (POD, "172.30.0.41", 80), "DNAT", BOTH, False),
    ("outside to a ClusterIP", {}, (OUTSIDE, "172.30.0.41", 80), "DNAT", BOTH, True),
    ("the node to a ClusterIP", {}, ("172.30.0.41", "172.30.0.41", 80), "DNAT", BOTH, True),
    ("a wrong port of a ClusterIP", {}, (POD, "172.30.0.41", 81), "REJECT", (), False),
    ("the node, a wrong port", {}, (HOST, "172.30.0.41", 22), "REJECT", (), False),
    ("another address", {}, (POD, "10.9.9.9", 80), "none", (), False),
    ("the node's own port", {}, (OUTSIDE, HOST, 22), "none", (), False),
    ("outside to a NodePort", DOOR, (OUTSIDE, HOST, 3001), "DNAT", BOTH, True),
    ("a NodePort's other address", DOOR, (OUTSIDE, "192.168.1.2", 3001), "DNAT", BOTH, True),
    ("a NodePort at the ClusterIP", DOOR, (OUTSIDE, "172.30.0.41", 3001), "REJECT", (), True),
    ("a Local NodePort", LOCAL_DOOR, (OUTSIDE, HOST, 3001), "DNAT", BOTH[:1], False),
    ("an SCTP NodePort", {**DOOR, "protocol": "SCTP"}, (OUTSIDE, HOST, 3001), "DNAT", BOTH, True),
    ("a Local SCTP NodePort", {**LOCAL_DOOR, "protocol": "SCTP"}, (OUTSIDE, HOST, 3001), "DNAT", BOTH[:1], False),
    ("an external IP", {"external_ips": ("5.6.7.8",)}, (OUTSIDE, "5.6.7.8", 80), "DNAT", BOTH, True),
    ("a load balancer", FRONT, (OUTSIDE, "1.2.3.4", 80), "DNAT", BOTH, True),
    ("a Local load balancer", LOCAL_FRONT, (OUTSIDE, "1.2.3.4", 80), "DNAT", BOTH[:1], False),
    ("a health check", LOCAL_FRONT, (OUTSIDE, HOST, 30000), "ACCEPT", (), False),
    ("within the source ranges", GUARDED, (OUTSIDE, "1.2.3.4", 80), "DNAT", BOTH, True),
    ("out of the source ranges", GUARDED, ("203.0.113.200", "1.2.3.4", 80), "DROP", (), False),
    ("a barred node", GUARDED, ("1.2.3.4", "1.2.3.4", 80), "DROP", (), False),
    ("a node let in", OPEN_TO_NODE, ("1.2.3.4", "1.2.3.4", 80), "DNAT", BOTH, True),
    ("a Local ClusterIP", {"internal_local": True}, (POD, "172.30.0.41", 80), "DNAT", BOTH[:1], False),
]


@pytest.mark.parametrize(("what", "changed", "packet", "verdict", "endpoints", "masqueraded"), WAYS,
                         ids=[way[0].replace(" ", "-") for way in WAYS])  # fmt: skip
def test_a_packet_ends_where_it_should(
    what: str, changed: dict[str, Any], packet: tuple[str, str, int], verdict: str, endpoints: tuple[str, ...],
    masqueraded: bool,
) -> None:  # fmt: skip
    found = meets(port(**changed), *packet)
    assert (found.verdict, found.endpoints) == (verdict, endpoints)
    assert verdict != "DNAT" or found.masqueraded == masqueraded
    check_text(program([port(**changed)], NODE))


def test_nobody_is_refused_by_ipvs_itself() -> None:
    gone = EndpointInfo("10.180.0.1", 80, ready=False, serving=False)
    found = meets(port(gone), POD, "172.30.0.41")
    assert found.verdict == "REJECT"
    assert found.service is not None
    assert not any("REJECT" in line for line in found.met)


def test_an_empty_local_list_gives_way_to_the_cluster_list() -> None:
    assert meets(port(THEIRS, **LOCAL_FRONT), OUTSIDE, "1.2.3.4").endpoints == ("10.180.1.1:80",)
    assert meets(port(THEIRS, **DOOR, internal_local=True), POD, "172.30.0.41").endpoints == ("10.180.1.1:80",)
    nobody = meets(port(THEIRS, internal_local=True), POD, "172.30.0.41")  # nothing from outside: no Cluster list
    assert (nobody.verdict, nobody.endpoints) == ("REJECT", ())


def test_a_pod_that_reaches_itself_is_masqueraded_and_no_other() -> None:
    found = meets(port(), MINE.ip, "172.30.0.41")
    assert found.endpoints == BOTH
    assert found.masqueraded_to == BOTH[:1]
    assert meets(port(), THEIRS.ip, "172.30.0.41").masqueraded_to == ()  # only what is local is in the set


@pytest.mark.parametrize(
    ("config", "from_pod", "from_outside", "from_itself"),
    [
        (NODE, False, True, True),
        (replace(NODE, masquerade_all=True), True, True, True),
        (replace(NODE, pod_cidr=None), False, False, True),
    ],
)
def test_masquerading_follows_the_detector(
    config: NodeConfig, from_pod: bool, from_outside: bool, from_itself: bool
) -> None:
    wanted = {POD: from_pod, OUTSIDE: from_outside, "172.30.0.41": from_itself}
    assert {source: meets(port(), source, "172.30.0.41", config=config).masqueraded for source in wanted} == wanted


def test_sets_and_rules_are_met_in_the_order_of_the_hooks() -> None:
    found = meets(port(**DOOR), OUTSIDE, HOST, 3001)
    chains = list(dict.fromkeys(line.split()[1] for line in found.met if line.startswith("-A KUBE-")))
    assert any(line.startswith("-A -t") for line in found.met), "the virtual server stands among what it met"
    assert chains == ["KUBE-SERVICES", "KUBE-NODE-PORT", "KUBE-MARK-MASQ", "KUBE-POSTROUTING"]
    assert found.ipsets[:2] == ("KUBE-CLUSTER-IP", "KUBE-NODE-PORT-TCP")
    assert found.ipsets[-1] == "KUBE-LOOP-BACK"
    refused = meets(port(), POD, "172.30.0.41", 81)
    assert refused.ipsets[-1] == "KUBE-IPVS-IPS"
    assert "-m conntrack --ctstate NEW" in refused.met[-1]


@pytest.mark.parametrize(
    ("changed", "services", "balancers"),
    [
        ({}, 4, 1),
        ({"external_ips": ("5.6.7.8",)}, 4 + 3, 1),
        ({"external_ips": ("5.6.7.8",), "external_policy_local": True}, 4 + 2, 1),
        (FRONT, 4 + 2, 1),
        (LOCAL_FRONT, 4 + 2, 2),
    ],
)
def test_sets_that_hold_something_have_their_rules(changed: dict[str, Any], services: int, balancers: int) -> None:
    chains = program([port(**changed)], NODE).chains
    assert (len(chains["KUBE-SERVICES"]), len(chains["KUBE-LOAD-BALANCER"])) == (services, balancers)


def test_a_draining_real_server_takes_no_new_connection() -> None:
    rules = program([port()], NODE)
    first, *others = rules.services[TCP].real_servers
    draining = replace(rules.services[TCP], real_servers=(replace(first, weight=0), *others))
    found = trace(replace(rules, services={TCP: draining}), Packet(POD, "172.30.0.41", 80))
    assert found.endpoints == BOTH[1:]


def test_a_new_service_adds_no_rule() -> None:
    """All kinds at once: nine rules in KUBE-SERVICES for the first of each and for a hundred more."""
    kinds: list[dict[str, Any]] = [DOOR, FRONT, {"external_ips": ("5.6.7.8",)}]
    few: list[PortState] = []
    many: list[PortState] = []
    for i in range(100):
        for j, kind in enumerate(kinds):
            state = port(**{**kind, "node_port": 3000 + 3 * i + j if "node_port" in kind else 0})
            many.append(replace(state, info=replace(state.info, cluster_ip=f"172.31.{i}.{j}")))
        few = few or many[:]
    small, large = program(few, NODE), program(many, NODE)
    assert len(small.chains["KUBE-SERVICES"]) == 9
    assert {name: len(rules) for name, rules in small.chains.items()} == {n: len(r) for n, r in large.chains.items()}
    assert large.dispatch == 100 * (1 + 2 + 2 + 2)  # each at its ClusterIP, and there at two nodes or one address more


# ── Addresses, families, schedulers ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("addresses", "wanted"),
    [
        (None, ("192.168.0.2", "192.168.1.2", "192.168.99.11")),
        (("primary",), ("192.168.0.2",)),
        (("192.168.1.0/24",), ("192.168.1.2",)),
        (("0.0.0.0/0",), ("192.168.0.2", "192.168.1.2", "192.168.99.11")),
        (("198.51.100.0/24",), ()),
    ],
)
def test_a_node_port_is_at_every_address_chosen_for_it(
    addresses: tuple[str, ...] | None, wanted: tuple[str, ...]
) -> None:
    config = replace(NODE, local_ips=("127.0.0.1", "192.168.99.11", "2001:db8::1"), node_port_addresses=addresses)
    rules = program([port(**DOOR)], config)
    assert node_port_addresses(config) == wanted
    assert tuple(ip for ip, _, number in rules.services if number == 3001) == wanted
    assert len(rules.sets["KUBE-NODE-PORT-TCP"]) == (1 if wanted else 0)


def test_addresses_of_the_node_are_not_bound_again() -> None:
    state = port(external_ips=("192.168.1.2", "5.6.7.8"), **FRONT)
    assert program([state], NODE).bound == ("172.30.0.41", "5.6.7.8", "1.2.3.4")


def test_ipv6_has_sets_of_its_own() -> None:
    config = NodeConfig("test-node", ip_family="IPv6", node_ips=("2001:db8::1", "fe80::1"), pod_cidr="fd00::/16")
    info = PortInfo("ns1", "svc1", "", "TCP", "fd10::41", 80, node_port=3001, affinity_s=60)
    rules = program([PortState(info, (EndpointInfo("fd00::7", 8080, local=True),))], config)
    check_text(rules)
    assert "-A -t [2001:db8::1]:3001 -s rr -p 60" in list(ipvsadm_lines(rules))
    assert "add KUBE-6-LOOP-BACK fd00::7,tcp:8080,fd00::7" in list(ipset_lines(rules))
    assert trace(rules, Packet("fd00::9", "fd10::41", 80)).endpoints == ("[fd00::7]:8080",)
    assert len({kernel_name(name, "IPv6") for name in SETS}) == len(SETS)


@pytest.mark.parametrize("scheduler", SCHEDULERS.split("|"))
def test_every_scheduler_is_written_out(scheduler: str) -> None:
    rules = program([port()], replace(NODE, ipvs_scheduler=scheduler))
    check_text(rules)
    assert (" -b mh-port" in next(ipvsadm_lines(rules))) == (scheduler == "mh")


def test_source_hashing_deals_buckets_out_evenly_and_keeps_to_them() -> None:
    mode = Ipvs(ProxyParams(mode="ipvs", ipvs_scheduler="sh"))
    clients = np.arange(0x0A000000, 0x0A000000 + 65_536)
    three = np.full(len(clients), 3)
    chosen = mode.select(clients, np.zeros_like(clients), three)
    assert (chosen == mode.select(clients, np.arange(len(clients)), three)).all()  # the turn means nothing
    shares = np.bincount(chosen, minlength=3) / len(clients)
    assert abs(shares - np.array([86, 85, 85]) / 256).max() < 1e-3  # 256 buckets among three
    turns = Ipvs(ProxyParams(mode="ipvs")).select(clients, np.arange(len(clients)), three)
    assert turns[:4].tolist() == [0, 1, 2, 0]


NONE, ONE = np.zeros(3, np.int64), np.ones(3, np.int64)
COLUMNS = ServiceColumns(
    proxied=ONE > 0, headless=NONE > 0, ports=ONE, external_ips=np.array([0, 0, 1]),
    load_balancer_ips=np.array([0, 1, 0]), source_ranges=NONE, node_ports=np.array([1, 1, 0]), affinity=NONE > 0,
    cluster_ip=np.arange(3, dtype=np.uint32), internal_local=NONE > 0, external_local=NONE > 0, udp=NONE > 0,
    dual_stack=NONE > 0, continued=NONE > 0,
)  # fmt: skip


def test_the_closed_form_counts_every_address_of_a_node() -> None:
    """With the node's configuration in hand, counts and rules agree beyond one address."""
    config = replace(NODE, local_ips=("192.168.99.11",))
    params = ProxyParams(mode="ipvs")
    every = [port(**DOOR), port(**FRONT, node_port=3002), port(external_ips=("5.6.7.8",))]
    rules = [Ipvs(params).program([state], config).rules for state in every]
    counts = Ipvs(params, node=config).rule_counts(COLUMNS, EndpointCounts.elsewhere(np.full(3, 2)))
    assert counts.dispatch.tolist() == [at.dispatch for at in rules] == [1 + 3, 2 + 3, 2]
    assert counts.own.tolist() == [at.own[0] for at in rules]
    alone = Ipvs(params).rule_counts(COLUMNS, EndpointCounts.elsewhere(np.full(3, 2)))
    assert alone.dispatch.tolist() == [1 + 1, 2 + 1, 2]  # a node of one address


# ── Syncs ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def weights(kernel: Kernel) -> dict[str, int]:
    return {at.address: at.weight for service in kernel.services.values() for at in service.real_servers}


def test_a_removed_real_server_stays_until_its_connections_have_ended() -> None:
    _, kernel = sync(Kernel(), program([port()], NODE))
    busy = {(TCP, BOTH[0]): 2}
    changes, kernel = sync(kernel, program([port(THEIRS)], NODE), busy)
    assert changes.servers_drained == ((TCP, BOTH[0]),)
    assert not changes.servers_deleted
    assert weights(kernel) == {BOTH[0]: 0, BOTH[1]: 1}
    again, kernel = sync(kernel, program([port(THEIRS)], NODE), busy)
    assert not again
    assert expire(kernel, busy) == ((), kernel)
    gone, kernel = expire(kernel)
    assert gone == ((TCP, BOTH[0]),)
    assert weights(kernel) == {BOTH[1]: 1}
    assert not kernel.waiting


def test_an_idle_one_and_any_of_udp_go_at_once() -> None:
    for protocol, key, connections in (("TCP", TCP, 0), ("UDP", UDP, 5)):
        _, kernel = sync(Kernel(), program([port(protocol=protocol)], NODE))
        changes, kernel = sync(kernel, program([port(THEIRS, protocol=protocol)], NODE), {(key, BOTH[0]): connections})
        assert changes.servers_deleted == ((key, BOTH[0]),)
        assert weights(kernel) == {BOTH[1]: 1}
        assert not kernel.waiting


def test_one_that_comes_back_is_deleted_and_added() -> None:
    both, one = program([port()], NODE), program([port(THEIRS)], NODE)
    _, kernel = sync(Kernel(), both)
    _, kernel = sync(kernel, one, {(TCP, BOTH[0]): 1})
    changes, kernel = sync(kernel, both, {(TCP, BOTH[0]): 1})
    assert changes.servers_deleted == changes.servers_added == ((TCP, BOTH[0]),)
    assert changes.netlink_calls == 2
    assert weights(kernel) == {BOTH[0]: 1, BOTH[1]: 1}
    assert not kernel.waiting


def test_a_deleted_virtual_server_takes_what_waits_with_it() -> None:
    _, kernel = sync(Kernel(), program([port()], NODE))
    _, kernel = sync(kernel, program([port(THEIRS)], NODE), {(TCP, BOTH[0]): 1})
    changes, kernel = sync(kernel, program([], NODE), {(TCP, BOTH[0]): 1})
    assert changes.services_deleted == (TCP,)
    assert changes.addresses_unbound == ("172.30.0.41",)
    assert changes.entries_removed == (
        ("KUBE-CLUSTER-IP", "172.30.0.41,tcp:80"),
        ("KUBE-IPVS-IPS", "172.30.0.41"),
    )
    assert not kernel.waiting
    assert not kernel.services


def test_settings_are_updated_in_place() -> None:
    _, kernel = sync(Kernel(), program([port()], NODE))
    changes, kernel = sync(kernel, program([port(affinity_s=60)], NODE))
    assert changes.services_updated == (TCP,)
    assert changes.netlink_calls == 1
    assert kernel.services[TCP].persistence_s == 60


ports = st.lists(
    st.builds(
        lambda i, ends, kind, protocol: PortState(
            PortInfo("ns", f"s{i}", "", protocol, f"172.30.1.{i}", 80, **kind),
            tuple(EndpointInfo(f"10.1.0.{e}", 80, local=e % 2 == 0) for e in sorted(ends)),
            i,
        ),
        st.integers(0, 4),
        st.sets(st.integers(0, 3)),
        st.sampled_from([{}, DOOR, FRONT, LOCAL_FRONT, GUARDED, {"affinity_s": 9}]),
        st.sampled_from(["TCP", "UDP", "SCTP"]),
    ),
    max_size=5,
    unique_by=lambda state: state.row,
).map(lambda states: [replace(s, info=_apart(s.info, s.row)) for s in states])


def _apart(info: PortInfo, row: int) -> PortInfo:
    vips = tuple(f"1.2.3.{row}" for _ in info.load_balancer_vips)
    return replace(info, load_balancer_vips=vips, node_port=info.node_port + row if info.node_port else 0)


@given(history=st.lists(st.tuples(ports, st.sets(st.integers(0, 40))), min_size=1, max_size=6))
def test_whatever_came_before_a_sync_brings_what_is_wanted(
    history: list[tuple[list[PortState], set[int]]],
) -> None:
    """What is wanted is there with its weight, all else waits at weight 0, and a second sync does nothing."""
    kernel = Kernel()
    for states, busy in history:
        wanted = program(states, NODE)
        places = [(key, at.address) for key, service in kernel.services.items() for at in service.real_servers]
        connections = {place: 1 for i, place in enumerate(places) if i in busy}
        before = kernel
        changes, kernel = sync(before, wanted, connections)
        assert kernel.services.keys() == wanted.services.keys()
        assert kernel.sets == wanted.sets
        assert set(kernel.bound) == set(wanted.bound)
        for key, service in wanted.services.items():
            there = {at.address: at.weight for at in kernel.services[key].real_servers}
            asked = {at.address: 1 for at in service.real_servers}
            waiting = {address: 0 for k, address in kernel.waiting if k == key}
            assert there == asked | waiting
            assert not asked.keys() & waiting.keys()
        entries = Counter((name, entry) for name, all_ in before.sets.items() for entry in all_)
        entries.update(changes.entries_added)
        entries.subtract(changes.entries_removed)
        assert +entries == Counter((name, entry) for name, all_ in kernel.sets.items() for entry in all_)
        assert not sync(kernel, wanted, connections)[0]
        check_text(wanted)
    _, empty = expire(kernel)
    assert not empty.waiting
    assert empty.services == {k: replace(s, real_servers=empty.services[k].real_servers)
                              for k, s in wanted.services.items()}  # fmt: skip
    assert all(weight == 1 for weight in weights(empty).values())
