"""Which chains and rules there are in which Kubernetes, and that packets fare alike in all of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kpsim.modes.iptables.program import program
from kpsim.modes.iptables.text import jump_lines, restore_lines
from kpsim.modes.iptables.tracer import trace
from kpsim.modes.nftables import program as nftables
from kpsim.modes.nftables.tracer import trace as nft_trace
from kpsim.proxy.node import EndpointInfo, NodeConfig, PortInfo, PortState
from kpsim.proxy.rules import FILTER, Packet, RuleSet

CONFIG = NodeConfig(name="node", node_ips=("192.0.2.1",), pod_cidr="10.128.0.0/10")
HERE, THERE = EndpointInfo("10.128.0.1", 8080, local=True), EndpointInfo("10.128.0.2", 8080)
POD, NODE, OUTSIDE, ALLOWED = "10.128.0.77", "192.0.2.1", "203.0.113.9", "198.51.100.7"
VERSIONS = [(1, 22), (1, 23), (1, 24), (1, 25), (1, 26), (1, 27), (1, 30), (1, 31), (1, 32), (1, 33), (1, 34)]


def port(number: int, name: str, **more: object) -> PortInfo:
    info = PortInfo("ns", name, "p", "TCP", f"10.96.0.{number}", 80)
    return replace(info, **more)  # type: ignore[arg-type]  # fields of PortInfo by name


def open_to_all(number: int, name: str, **more: object) -> PortInfo:
    return port(
        number, name, type="LoadBalancer", node_port=30000 + number, external_ips=(f"192.0.2.{100 + number}",),
        load_balancer_vips=(f"203.0.113.{100 + number}",), **more,
    )  # fmt: skip


STATES = (
    PortState(port(1, "inside"), (HERE, THERE), 0),
    PortState(open_to_all(2, "open"), (HERE, THERE), 1),
    PortState(open_to_all(3, "local", external_policy_local=True, health_check_node_port=31000), (HERE, THERE), 2),
    PortState(open_to_all(4, "away", external_policy_local=True), (THERE,), 3),
    PortState(open_to_all(5, "fenced", source_ranges=("198.51.100.0/24",)), (HERE, THERE), 4),
    PortState(open_to_all(6, "nobody"), (), 5),
    PortState(port(7, "estranged", internal_local=True), (THERE,), 6),
    PortState(port(8, "near", internal_local=True, affinity_s=60), (HERE, THERE), 7),
)


def rules(version: tuple[int, int]) -> RuleSet:
    return program(STATES, replace(CONFIG, kubernetes_version=version))


@pytest.mark.parametrize("version", VERSIONS)
def test_which_chains_there_are(version: tuple[int, int]) -> None:
    found = rules(version)
    kinds = {name.split("-")[1] for name in found.owner}
    assert kinds == ({"SVC", "SVL", "SEP", "EXT", "FW"} if version >= (1, 24) else {"SVC", "SEP", "XLB", "FW"})
    constant = found.chains.keys() - found.owner.keys()
    assert ("KUBE-MARK-DROP" in constant) == (version < (1, 25))
    assert ("KUBE-PROXY-FIREWALL" + FILTER in constant) == (version >= (1, 25))
    firewall = found.chains.get("KUBE-FIREWALL" + FILTER, ())
    assert [("0x8000" in rule.match) for rule in firewall] == (
        [True, False] if version < (1, 25) else [False] if version >= (1, 27) else []
    )
    fences = [of for name, of in found.chains.items() if name.startswith("KUBE-FW-")]
    assert [of[-1].target for of in fences if any(rule.source for rule in of)] == (
        ["KUBE-MARK-DROP"] if version < (1, 25) else [""] if version >= (1, 27) else [fences[0][-1].target]
    )
    assert len(fences) == (1 if version >= (1, 24) else 4), "before, every load balancer with endpoints had one"
    assert any(rule.counts for rule in found.chains["KUBE-NODEPORTS"]) == (version >= (1, 31))
    dropped = [r for name, of in found.chains.items() if "SERVICES (" in name for r in of if r.target == "DROP"]
    assert bool(dropped) == (version >= (1, 25))


@pytest.mark.parametrize("version", VERSIONS)
def test_the_text_declares_whatever_it_leads_to(version: tuple[int, int]) -> None:
    found = rules(version)
    table, declared = "", {"filter": set[str](), "nat": set[str]()}
    lines = list(restore_lines(found))
    for line in lines:
        table = line[1:] if line.startswith("*") else table
        if line.startswith(":"):
            declared[table].add(line.split()[0][1:])
    for line in (*lines, *jump_lines(found)):
        table = line[1:] if line.startswith("*") else table
        if line.startswith("-A") and " -j KUBE-" in line:
            assert line.split(" -j ")[1] in declared[table], line


def packets() -> list[Packet]:
    targets = [(state.info.cluster_ip, 80) for state in STATES]
    for info in (state.info for state in STATES if state.info.node_port):
        targets += [(ip, 80) for ip in (*info.external_ips, *info.load_balancer_vips)]
        targets += [(NODE, info.node_port)]
    return [Packet(source, ip, number) for ip, number in targets for source in (POD, NODE, OUTSIDE, ALLOWED)]


def fates(version: tuple[int, int]) -> dict[Packet, tuple[str, tuple[str, ...], bool]]:
    config = replace(CONFIG, kubernetes_version=version)
    found = program(STATES, config)
    traces = {packet: trace(found, config, packet) for packet in packets()}
    return {packet: (at.verdict, at.endpoints, at.masqueraded) for packet, at in traces.items()}


@pytest.mark.parametrize("version", [version for version in VERSIONS if version >= (1, 24)])
def test_since_1_24_packets_fare_as_they_do_today(version: tuple[int, int]) -> None:
    assert fates(version) == fates((1, 34))


def test_before_1_24_packets_fare_differently_only_where_it_is_said() -> None:
    """A Pod's way out to an external IP was not masqueraded, and a stray internal policy refused."""
    old, new = fates((1, 23)), fates((1, 34))
    other = {packet for packet in new if old[packet] != new[packet]}
    external = {state.info.external_ips[0] for state in STATES if state.info.external_ips}
    for packet in other - {Packet(source, "10.96.0.7", 80) for source in (POD, NODE, OUTSIDE, ALLOWED)}:
        assert packet.source == POD
        assert packet.destination in external
        assert old[packet] == (*new[packet][:2], False)
        assert new[packet][2]
    assert {old[Packet(POD, "10.96.0.7", 80)][0], new[Packet(POD, "10.96.0.7", 80)][0]} == {"REJECT", "DROP"}
    assert other, "the comparison sees a difference"


def test_a_marked_packet_is_dropped_and_says_where() -> None:
    config = replace(CONFIG, kubernetes_version=(1, 24))
    found = trace(program(STATES, config), config, Packet(OUTSIDE, "203.0.113.105", 80))
    assert found.verdict == "DROP"
    assert found.met[-1].startswith("-A KUBE-MARK-DROP ")


def test_nftables_filters_stood_before_the_translation_up_to_1_32() -> None:
    old = nftables.program(STATES, replace(CONFIG, kubernetes_version=(1, 32)))
    new = nftables.program(STATES, CONFIG)
    assert {name: at.priority for name, at in old.layout.hooks.items() if at.type == "filter"} == {
        "filter-prerouting": -110,
        "filter-input": -110,
        "filter-forward": -110,
        "filter-output": -110,
        "filter-output-post-dnat": -90,
    }
    assert {at.priority for name, at in new.layout.hooks.items() if name == "filter-forward"} == {0}
    plain = new.chains.keys() - new.layout.hooks.keys()
    assert plain == old.chains.keys() - old.layout.hooks.keys()
    assert sum(map(len, old.chains.values())) == sum(map(len, new.chains.values()))
    away = next(state.info for state in STATES if state.info.name == "away")
    for packet in packets():
        before, after = (nft_trace(table, CONFIG, packet) for table in (old, new))
        if packet.source == NODE and packet.destination in (*away.external_ips, *away.load_balancer_vips):
            assert (before.verdict, after.verdict) == ("DROP", "DNAT"), "the short cut of a node comes too late"
        else:
            assert (before.verdict, before.endpoints, before.masqueraded) == (
                after.verdict, after.endpoints, after.masqueraded,
            ), packet  # fmt: skip
