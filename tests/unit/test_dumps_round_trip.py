"""What kpsim writes for a node, read back as a stranger's dump: the same Services, endpoints and verdicts."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpsim.dumps.detection import merged, read_dump
from kpsim.dumps.listing import read_listing
from kpsim.dumps.saved import as_rule_set, read_saved, rule_set
from kpsim.kube.objects import Endpoint, EndpointSlice, KubeObjects, Service, ServicePort
from kpsim.modes.iptables.program import program
from kpsim.modes.iptables.text import restore_lines
from kpsim.modes.iptables.tracer import trace
from kpsim.proxy.node import NodeConfig, PortState, port_states
from kpsim.proxy.rules import FILTER, Packet, Rule, RuleSet

CONFIG = NodeConfig(name="node", node_ips=("192.0.2.1",), pod_cidr="10.0.0.0/8")
SOURCES = ("10.0.0.77", "203.0.113.9", "192.0.2.1", "10.0.1.1")
RANGES = ("203.0.113.0/28", "10.9.0.0/16")


@st.composite
def clusters(draw: st.DrawFn) -> KubeObjects:
    """A few Services as kube-proxy may meet them; with a Local policy every endpoint is this node's."""
    services, slices = [], []
    for number in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer"]))
        local = draw(st.booleans()) and kind != "ClusterIP"
        balancers = (f"198.51.100.{number + 1}",) if kind == "LoadBalancer" else ()
        names = draw(st.sampled_from([("",), ("http",), ("http", "dns-tcp")]))
        service = Service(
            namespace=f"ns{number % 2}",
            name=f"svc{number}",
            type=kind,
            cluster_ip=f"172.30.0.{number + 10}",
            ports=tuple(
                ServicePort(80 + at, name, draw(st.sampled_from(["TCP", "UDP"])), 8080 + at,
                            30000 + 10 * number + at if kind != "ClusterIP" else 0)
                for at, name in enumerate(names)
            ),
            external_ips=draw(st.sampled_from([(), (f"203.0.113.{number + 50}",)])),
            load_balancer_ips=balancers,
            load_balancer_source_ranges=draw(st.sampled_from([(), RANGES])) if balancers else (),
            session_affinity=draw(st.sampled_from(["None", "ClientIP"])),
            session_affinity_timeout_s=600,
            external_traffic_policy="Local" if local else "Cluster",
        )  # fmt: skip
        if service.session_affinity == "None":
            service = replace(service, session_affinity_timeout_s=10800)
        services.append(service)
        for at, port in enumerate(service.ports):
            count = draw(st.integers(0, 3))
            endpoints = tuple(Endpoint(f"10.0.{number}.{e + 1}", node="node" if local else "") for e in range(count))
            numbers = ((port.name, 8080 + at, port.protocol),)
            slices += [EndpointSlice(service.namespace, f"s{number}-{at}", service.name, "IPv4", numbers, endpoints)]
    return KubeObjects(services=tuple(services), slices=tuple(slices))


def written(objects: KubeObjects) -> tuple[RuleSet, str]:
    rules = program(port_states(objects, CONFIG), CONFIG)
    return rules, "\n".join(restore_lines(rules)) + "\n"


def essence(states: tuple[PortState, ...]) -> dict[str, object]:
    """What rules show of service ports.  Without an endpoint nothing shows policies, affinity or source ranges."""
    found: dict[str, object] = {}
    for state in states:
        info = state.info
        if not state.endpoints:
            outside = (*info.external_ips, *info.load_balancer_vips)
            found[f"{info.label} {info.protocol}"] = (info.cluster_ip, info.port, info.node_port, set(outside), [])
            continue
        found[f"{info.label} {info.protocol}"] = (
            info.cluster_ip, info.port, info.node_port, info.external_ips, info.load_balancer_vips,
            set(info.source_ranges), info.affinity_s, info.external_local, [e.address for e in state.endpoints],
        )  # fmt: skip
    return found


def packets(objects: KubeObjects) -> list[Packet]:
    found = []
    for service in objects.services:
        for port in service.ports:
            for ip in (service.cluster_ip, *service.external_ips, *service.load_balancer_ips):
                found += [Packet(source, ip, port.port, port.protocol) for source in SOURCES]
            found += [Packet(source, "192.0.2.1", port.node_port or 22, port.protocol) for source in SOURCES]
    return found


def texts(rules: RuleSet) -> dict[str, list[str]]:
    """Chains as text, without what iptables does not keep."""
    return {
        name: [re.sub(r"\s+", " ", rule.render("X")) for rule in chain]
        for name, chain in rules.chains.items()
    }  # fmt: skip


@given(clusters())
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_back(objects: KubeObjects) -> None:
    rules, text = written(objects)
    back = rule_set(text)
    assert texts(back) == texts(rules)
    assert back.dispatch == rules.dispatch
    assert {name: at for name, at in rules.owner.items() if name.split("-")[1] != "SEP"}.items() <= back.owner.items()
    for packet in packets(objects):
        assert trace(back, CONFIG, packet) == trace(rules, CONFIG, packet), packet
    for torn in (" ".join(text.splitlines()), text.replace("\n", "\\n"), text.replace("\n", "\r\n")):
        assert texts(rule_set(torn)) == texts(rules)


@given(clusters())
@settings(max_examples=60, deadline=None)
def test_services_and_endpoints_come_back(objects: KubeObjects) -> None:
    dump = read_dump(written(objects)[1], "dump.txt", "node")
    found = port_states(dump.findings.objects(), CONFIG)
    assert essence(found) == essence(port_states(objects, CONFIG))
    assert dump.mode == "iptables"
    assert not dump.warnings


@given(clusters())
@settings(max_examples=40, deadline=None)
def test_rules_made_from_what_came_back_do_the_same(objects: KubeObjects) -> None:
    """Where every Service has endpoints, programming what was read gives the same verdicts."""
    served = {(at.namespace, at.service, at.ports) for at in objects.slices if at.endpoints}
    whole = all(
        any((s.namespace, s.name) == at[:2] and at[2][0][0] == port.name for at in served)
        for s in objects.services
        for port in s.ports
    )
    if not whole:
        return
    rules, text = written(objects)
    again = program(port_states(read_dump(text, "d", "node").findings.objects(), CONFIG), CONFIG)
    for packet in packets(objects):
        before, after = trace(rules, CONFIG, packet), trace(again, CONFIG, packet)
        assert (before.verdict, before.endpoints, before.masqueraded) == (
            after.verdict, after.endpoints, after.masqueraded
        ), packet  # fmt: skip


@given(clusters())
@settings(max_examples=40, deadline=None)
def test_two_tables_in_two_files_are_one_node(objects: KubeObjects) -> None:
    text = written(objects)[1]
    filtered, nat = text.split("*nat\n")
    parts = [read_dump(filtered, "filter.txt"), read_dump("*nat\n" + nat, "nat.txt")]
    whole = read_dump(text, "all.txt")
    both = merged([part.findings for part in parts]).objects()
    assert essence(port_states(both, CONFIG)) == essence(port_states(whole.findings.objects(), CONFIG))


def listed(rule: Rule) -> str:
    """A rule as ``iptables -nvL`` lists it."""
    words = [f"/* {rule.comment} */"] if rule.comment else []
    words += [f"{rule.protocol} dpt:{rule.port}"] if rule.port else []
    for side, kind in (("src", rule.source_type), ("dst", rule.destination_type)):
        words += [f"ADDRTYPE match {side}-type {kind}"] if kind else []
    if found := re.fullmatch(r"-m recent --name (\S+) --rcheck --seconds (\d+) --reap", rule.match):
        words.append(f"recent: CHECK seconds: {found[2]} reap name: {found[1]} side: source mask: 255.255.255.255")
    elif found := re.fullmatch(r"-m mark (! )?--mark (\S+)", rule.match):
        words.append(f"mark match {found[1] or ''}{found[2]}")
    elif found := re.fullmatch(r"-m conntrack (! )?--ctstate (\S+)", rule.match):
        words.append(f"{found[1] or ''}ctstate {found[2]}")
    words += [f"statistic mode random probability {rule.probability:.11f}"] if rule.probability else []
    if found := re.search(r"recent --name (\S+) --set", rule.counts):
        words.append(f"recent: SET name: {found[1]} side: source mask: 255.255.255.255")
    elif "nfacct" in rule.counts:
        words.append("nfacct-name  localhost_nps_accepted_pkts")
    words += [rule.options.replace("--or-mark", "MARK or").replace("--xor-mark", "MARK xor").lstrip("-")]
    words += [f"{rule.protocol} to:{rule.to}"] if rule.to else []
    columns = (rule.target, rule.protocol or "all", "--", "*", "*", rule.source or "0.0.0.0/0")
    target, protocol, opt, inside, outside, source = columns
    bare = re.sub(r"/32$", "", source)
    destination = rule.destination or "0.0.0.0/0"
    return (
        f"    0     0 {target:<10} {protocol:<4} {opt}  {inside:<6} {outside:<6}  {bare:<20} {destination:<20} "
        + " ".join(words)
    )


@pytest.mark.parametrize("line_numbers", [False, True])
@given(objects=clusters())
@settings(max_examples=40, deadline=None)
def test_a_listing_shows_the_same_node(line_numbers: bool, objects: KubeObjects) -> None:
    rules, text = written(objects)
    for table, built_in in (("nat", ["PREROUTING", "POSTROUTING"]), ("filter", ["INPUT", "FORWARD"])):
        mine = {n.removesuffix(FILTER): r for n, r in rules.chains.items() if n.endswith(FILTER) == (table == "filter")}
        number = "num   " if line_numbers else ""
        head = f"{number}pkts bytes target     prot opt in     out     source               destination"
        lines = [line for name in built_in for line in (f"Chain {name} (policy ACCEPT 2 packets, 1K bytes)", head, "")]
        for name, chain in mine.items():
            lines += [f"Chain {name} (1 references)", head]
            lines += [(f"{at:<4}" if line_numbers else "") + listed(rule) for at, rule in enumerate(chain, 1)]
            lines.append("")
        back = read_listing("\n".join(lines))
        assert set(back.chains) == {table}
        assert not back.warnings
        assert {n: len(r) for n, r in back.chains[table].items() if n not in built_in} == {
            n: len(r) for n, r in mine.items()
        }
        rules = RuleSet({**rules.chains, **{k: v for k, v in as_rule_set(back).chains.items() if k not in built_in}})
    for packet in packets(objects):
        found, wanted = trace(rules, CONFIG, packet), trace(rule_set(text), CONFIG, packet)
        assert (found.verdict, found.endpoints, found.masqueraded) == (
            wanted.verdict,
            wanted.endpoints,
            wanted.masqueraded,
        )


def test_large_clusters_leave_comments_out_and_are_read_all_the_same() -> None:
    ports = (ServicePort(80, "http", "TCP", 8080),)
    service = Service("ns", "svc", cluster_ip="172.30.0.9", ports=ports)
    piece = EndpointSlice(
        "ns", "svc-a", "svc", "IPv4", (("http", 8080, "TCP"),), tuple(Endpoint(f"10.0.0.{i}") for i in range(9))
    )
    objects = KubeObjects(services=(service,), slices=(piece,))
    rules = program(port_states(objects, CONFIG), replace(CONFIG, large_cluster_endpoints=8))
    text = "\n".join(restore_lines(rules))
    assert "->" not in text
    found = read_dump(text, "d").findings.objects()
    assert essence(port_states(found, CONFIG)) == essence(port_states(objects, CONFIG))


def test_a_dump_that_is_cut_off_is_read_as_far_as_it_goes() -> None:
    ports = (ServicePort(80, "http", "TCP", 8080),)
    service = Service("ns", "svc", cluster_ip="172.30.0.9", ports=ports)
    piece = EndpointSlice(
        "ns", "svc-a", "svc", "IPv4", (("http", 8080, "TCP"),), (Endpoint("10.0.0.1"), Endpoint("10.0.0.2"))
    )
    text = written(KubeObjects(services=(service,), slices=(piece,)))[1]
    whole = read_saved(text)
    for end in range(len("*filter\n"), len(text) - len("COMMIT\n"), 7):
        dump = read_dump(text[:end], "d")
        for table, chains in read_saved(text[:end]).chains.items():
            for name, rules in chains.items():
                assert list(rules) == list(whole.chains[table][name][: len(rules)])
        if "COMMIT" not in text[:end][-40:]:
            assert any("cut off" in warning for warning in dump.warnings), text[:end][-60:]
