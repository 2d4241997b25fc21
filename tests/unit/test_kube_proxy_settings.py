"""A KubeProxyConfiguration's settings: as they are read and written back, and as a node's rules show them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kpsim.explain.packet import NodeRules
from kpsim.modes.iptables.program import program as iptables_program
from kpsim.modes.nftables.program import program as nftables_program
from kpsim.proxy.node import EndpointInfo, NodeConfig, PortInfo, PortState
from kpsim.proxy.params import IpvsSettings, Masquerade, NodeSettings
from kpsim.proxy.rules import FILTER, Packet
from kpsim.scenario.model import Scenario
from kpsim.scenario.reader import read
from kpsim.scenario.resolved import to_document, write_resolved

EVERYTHING: dict[str, Any] = {
    "clusterCIDR": "10.244.0.0/16,fd00::/48",
    "detectLocalMode": "BridgeInterface",
    "detectLocal": {"bridgeInterface": "cni0", "interfaceNamePrefix": "veth"},
    "nodePortAddresses": ["192.168.0.0/16", "2001:db8::/64"],
    "iptables": {"masqueradeAll": True, "masqueradeBit": 3, "localhostNodePorts": False},
    "nftables": {"masqueradeBit": 0},
    "ipvs": {
        "scheduler": "mh", "strictARP": True, "tcpTimeout": "15m", "tcpFinTimeout": "2m", "udpTimeout": "90s",
        "excludeCIDRs": ["10.9.0.0/16"],
    },
    "conntrack": {"maxPerCore": 0, "min": 5, "tcpBeLiberal": True},
}  # fmt: skip
GROUP = {"name": "web", "count": 1, "endpoints": 2, "type": "NodePort"}


def scenario(tmp_path: Path, config: object = None, **spec: object) -> Scenario:
    wanted: dict[str, object] = {"services": [GROUP], **spec}
    if config is not None:
        wanted["kubeProxy"] = config
    document = {"apiVersion": "kpsim/v1alpha1", "kind": "Scenario", "spec": wanted}
    path = tmp_path / "it.yaml"
    path.write_text(json.dumps(document), encoding="utf-8")
    return read(path)


def node(tmp_path: Path, config: object = None, mode: str = "iptables") -> NodeRules:
    made = scenario(tmp_path, config)
    return NodeRules.of(replace(made, kube_proxy=made.kube_proxy.for_mode(mode)), "node-0")


def text(tmp_path: Path, config: object = None, mode: str = "iptables") -> list[str]:
    return list(node(tmp_path, config, mode).text())


def test_everything_is_read(tmp_path: Path) -> None:
    params = scenario(tmp_path, EVERYTHING).kube_proxy
    assert params.settings == NodeSettings(
        masquerade=(Masquerade("iptables", all=True, bit=3), Masquerade("nftables", bit=0)),
        localhost_node_ports=False,
        node_port_addresses=("192.168.0.0/16", "2001:db8::/64"),
        cluster_cidr="10.244.0.0/16,fd00::/48",
        detect_local_mode="BridgeInterface",
        bridge_interface="cni0",
        interface_name_prefix="veth",
        conntrack_tcp_be_liberal=True,
        ipvs=IpvsSettings(True, 900.0, 120.0, 90.0, ("10.9.0.0/16",)),
    )
    assert (params.ipvs_scheduler, params.conntrack_max_per_core, params.conntrack_min) == ("mh", 0, 5)


@pytest.mark.parametrize("config", [None, {}, {"clusterCIDR": ""}, {"ipvs": {"masqueradeAll": True}}, EVERYTHING])
def test_what_is_written_back_reads_the_same_and_says_everything(tmp_path: Path, config: object) -> None:
    made = scenario(tmp_path, config)
    again = tmp_path / "again.yaml"
    again.write_text(write_resolved(made), encoding="utf-8")
    assert read(again).kube_proxy == made.kube_proxy
    assert read(again).warnings == made.warnings
    written = to_document(made)["spec"]["kubeProxy"]
    assert written.keys() >= EVERYTHING.keys() - {"clusterCIDR"}
    for section in ("iptables", "ipvs", "conntrack"):
        assert written[section].keys() >= EVERYTHING[section].keys()


def test_defaults_are_kubernetes_s(tmp_path: Path) -> None:
    config = node(tmp_path).config
    assert config == NodeConfig(
        name="node-0", node_ips=("172.16.0.1",), conntrack_max=131072, pod_cidr="10.128.0.0/10",
        service_cidrs=("10.96.0.0/12",),
    )  # fmt: skip
    assert config.detector
    assert config.detector.source() == "10.128.0.0/10"


def test_each_mode_has_its_own_mark_and_ipvs_has_that_of_iptables(tmp_path: Path) -> None:
    for mode, mark in (("iptables", "0x8"), ("ipvs", "0x8"), ("nftables", "0x1")):
        lines = text(tmp_path, EVERYTHING, mode)
        assert any(line.endswith((f"--or-mark {mark}", f"mark set mark or {mark}")) for line in lines), mode
        assert not any("0x4000" in line for line in lines), mode
        assert node(tmp_path, EVERYTHING, mode).config.masquerade_all == (mode != "nftables")


DETECTORS = [
    ({}, "! -s 10.128.0.0/10", "ip saddr != 10.128.0.0/10"),
    ({"detectLocalMode": "NodeCIDR"}, "! -s 10.128.0.0/10", "ip saddr != 10.128.0.0/10"),
    ({"clusterCIDR": "fd00::/48, 10.244.0.0/16"}, "! -s 10.244.0.0/16", "ip saddr != 10.244.0.0/16"),
    ({"detectLocalMode": "BridgeInterface", "detectLocal": {"bridgeInterface": "cni0"}},
     "! -i cni0", "iifname != cni0"),
    ({"detectLocalMode": "InterfaceNamePrefix", "detectLocal": {"interfaceNamePrefix": "cali"}},
     "! -i cali+", "iifname != cali*"),
]  # fmt: skip


@pytest.mark.parametrize(("config", "iptables", "nftables"), DETECTORS)
def test_strangers_are_told_by_the_detector(
    tmp_path: Path, config: dict[str, Any], iptables: str, nftables: str
) -> None:
    for mode, wanted in (("iptables", iptables), ("ipvs", iptables), ("nftables", nftables)):
        marking = [at for at in text(tmp_path, config, mode) if "MARK-MASQ" in at or "mark-for" in at]
        assert sum(f" {wanted} " in at for at in marking) == 1, mode


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
@pytest.mark.parametrize("config", [{"clusterCIDR": ""}, {"clusterCIDR": "fd00::/48"}])
def test_an_empty_cluster_cidr_leaves_no_detector(tmp_path: Path, mode: str, config: object) -> None:
    with_one, without = text(tmp_path, mode=mode), text(tmp_path, config, mode)
    assert len(with_one) == len(without) + 1
    assert node(tmp_path, config, mode).config.detector is None


@pytest.mark.parametrize("mode", ["iptables", "ipvs", "nftables"])
@pytest.mark.parametrize(("config", "_iptables", "_nftables"), DETECTORS)
def test_a_pod_is_not_masqueraded_and_a_stranger_is(
    tmp_path: Path, mode: str, config: object, _iptables: str, _nftables: str
) -> None:
    found = node(tmp_path, config, mode)
    info = found.states[0].info
    pod = "10.244.0.77" if found.config.pod_cidr == "10.244.0.0/16" else "10.130.0.77"
    for source, masqueraded in ((pod, False), ("203.0.113.9", True)):
        trace = found.programmed.trace(Packet(source, info.cluster_ip, info.port))
        assert (trace.verdict, trace.masqueraded) == ("DNAT", masqueraded)


def doors(tmp_path: Path, addresses: list[str]) -> Iterator[tuple[str, str]]:
    """Where NodePorts are listened for, by mode."""
    config = {"nodePortAddresses": addresses}
    for line in text(tmp_path, config):
        if line.endswith("-j KUBE-NODEPORTS"):
            yield "iptables", line.removeprefix("-A KUBE-SERVICES ").split(" -m comment")[0]
    for line in text(tmp_path, config, "nftables"):
        if "vmap @service-nodeports" in line:
            yield "nftables", line.split("services ")[1].split(" meta")[0]
        if line.startswith("add element ip kube-proxy nodeport-ips"):
            yield "nftables", line.removeprefix("add element ip kube-proxy nodeport-ips ")
    for line in text(tmp_path, config, "ipvs"):
        if line.startswith("-A -t") and ":30" in line:
            yield "ipvs", line.split()[2]


EVERYWHERE = {
    ("iptables", ""),
    ("nftables", "fib daddr type local ip daddr != 127.0.0.0/8"),
    ("ipvs", "172.16.0.1:30086"),
}
PRIMARY = {
    ("iptables", "-d 172.16.0.1/32"),
    ("nftables", "ip daddr @nodeport-ips"),
    ("nftables", "{ 172.16.0.1 }"),
    ("ipvs", "172.16.0.1:30086"),
}


@pytest.mark.parametrize(
    ("addresses", "wanted"),
    [
        ([], {at for at in EVERYWHERE if at[0] != "nftables"} | {at for at in PRIMARY if at[0] == "nftables"}),
        (["primary"], PRIMARY),
        (["172.16.0.0/30"], PRIMARY),
        (["::/0", "0.0.0.0/0"], EVERYWHERE),
        (["fd00::/8"], EVERYWHERE),
        (["172.16.0.1/32", "127.0.0.0/8"], PRIMARY | {("iptables", "-d 127.0.0.1/32")}),
    ],
)
def test_node_ports_answer_where_they_are_told_to(
    tmp_path: Path, addresses: list[str], wanted: set[tuple[str, str]]
) -> None:
    found = {(mode, "" if what.startswith("-m") else what) for mode, what in doors(tmp_path, addresses)}
    assert found == wanted


@pytest.mark.parametrize(
    ("config", "blocked"),
    [({}, 1), ({"iptables": {"localhostNodePorts": False}}, 0), ({"nodePortAddresses": ["172.16.0.0/12"]}, 0),
     ({"nodePortAddresses": ["127.0.0.0/8"]}, 1)],
)  # fmt: skip
def test_localhost_is_kept_from_strangers_where_node_ports_answer_there(
    tmp_path: Path, config: object, blocked: int
) -> None:
    rules = node(tmp_path, config).programmed.rules.chains
    assert len(rules.get("KUBE-FIREWALL" + FILTER, ())) == blocked
    assert sum("nfacct" in rule.counts for rule in rules["KUBE-NODEPORTS"]) == blocked


def test_invalid_packets_pass_where_conntrack_is_liberal(tmp_path: Path) -> None:
    for liberal in (True, False):
        lines = text(tmp_path, {"conntrack": {"tcpBeLiberal": liberal}})
        assert any("--ctstate INVALID" in line for line in lines) != liberal


def test_ipvs_sets_the_kernel_up_as_it_is_told(tmp_path: Path) -> None:
    plain, all_set = text(tmp_path, mode="ipvs"), text(tmp_path, EVERYTHING, "ipvs")
    assert "sysctl -w net.netfilter.nf_conntrack_max=131072" in plain
    for line in (
        "sysctl -w net.ipv4.conf.all.arp_ignore=1",
        "sysctl -w net.ipv4.conf.all.arp_announce=2",
        "sysctl -w net.netfilter.nf_conntrack_tcp_be_liberal=1",
        "ipvsadm --set 900 120 90",
        "# virtual servers in 10.9.0.0/16 are not kube-proxy's; it leaves them alone",
    ):
        assert line in all_set
        assert line not in plain
    assert not any("nf_conntrack_max" in line for line in all_set), "maxPerCore 0 leaves the kernel's own"
    assert any(line.endswith(" -s mh -b mh-port") for line in all_set)


def test_a_detector_of_interfaces_guards_the_short_cut_of_pods() -> None:
    info = PortInfo("ns", "s", "", "TCP", "10.96.0.9", 80, node_port=30000, external_policy_local=True)
    states = [PortState(info, (EndpointInfo("10.0.0.1", 80),))]
    config = NodeConfig(pod_cidr="10.0.0.0/8", pod_interface="veth+")
    by_iptables = [r.render(name) for name, rules in iptables_program(states, config).chains.items() for r in rules]
    by_nft = [rule.text() for rules in nftables_program(states, config).chains.values() for rule in rules]
    assert sum(" -i veth+ " in line and "pod traffic" in line for line in by_iptables) == 1
    assert sum(line.startswith("iifname veth* goto service-") for line in by_nft) == 1
    assert not any("10.0.0.0/8" in line for line in (*by_iptables, *by_nft))
