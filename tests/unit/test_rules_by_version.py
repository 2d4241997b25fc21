"""What kube-proxy of each version writes for the same few objects: one small table a difference.

The objects are made up; the expected rules are in kube-proxy's form, as its source has them at each version.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from kpsim.explain.packet import NodeRules
from kpsim.modes.nftables.rules import NftRules
from kpsim.proxy.rules import FILTER, Packet, Trace, chain_name
from kpsim.scenario.reader import read
from kpsim.scrape import scrape

NODES = [
    {
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": {"topology.kubernetes.io/zone": zone}},
        "status": {"addresses": [{"type": "InternalIP", "address": ip}]},
    }
    for name, zone, ip in (("one", "a", "192.0.2.1"), ("two", "b", "192.0.2.2"))
]  # fmt: skip
HERE, THERE = ("10.128.0.5", "one", "a"), ("10.128.1.5", "two", "b")


def service(name: str, ip: str, **spec: Any) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}]
    annotations, ingress = spec.pop("annotations", {}), spec.pop("ingress", [])
    return {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "s", "annotations": annotations},
        "spec": {"clusterIP": ip, "clusterIPs": [ip], "selector": {"app": name}, "ports": ports, **spec},
        "status": {"loadBalancer": {"ingress": ingress}},
    }  # fmt: skip


def piece(of: str, *endpoints: tuple[str, str, str], name: str = "", port: Any = 8080, **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": name or f"{of}-a", "namespace": "s", "labels": {"kubernetes.io/service-name": of}},
        "ports": [{"name": more.get("port_name", "http"), "port": port, "protocol": "TCP"}],
        "endpoints": [
            {"addresses": [ip], "nodeName": node, "zone": zone, "conditions": more.get("conditions", {"ready": True}),
             **({"hints": {"forZones": [{"name": zone}]}} if more.get("hinted") else {})}
            for ip, node, zone in endpoints
        ],
    }  # fmt: skip


PLAIN = (service("web", "10.96.0.10"), piece("web", HERE, THERE))


def rules(
    folder: Path, version: str, mode: str, *objects: dict[str, Any], config: dict[str, Any] | None = None
) -> NodeRules:
    proxy = {"mode": mode, "clusterCIDR": "10.128.0.0/9", **(config or {})}
    spec = {"kubernetes": {"version": version}, "objects": [*NODES, *objects], "kubeProxy": proxy}
    made = folder / "scenario.yaml"
    made.write_text(yaml.safe_dump({"apiVersion": "kpsim/v1alpha1", "kind": "Scenario", "spec": spec}))
    return NodeRules.of(read(made), "one")


def chain(found: NodeRules, name: str) -> list[str]:
    made = found.programmed.rules.chains[name]
    if isinstance(found.programmed.rules, NftRules):
        return [rule.text() for rule in found.programmed.rules.chains[name]]
    return [rule.render("X").removeprefix("-A X ") for rule in made]


SVC = chain_name("SVC", "s/web:http", "tcp")
WEB = "RAFDBBMX-s/web/tcp/http"


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1.28", "-m conntrack --ctstate INVALID -j DROP"),
        ("1.30", "-m conntrack --ctstate INVALID -j DROP"),
        ("1.31", "-m conntrack --ctstate INVALID -m nfacct --nfacct-name ct_state_invalid_dropped_pkts -j DROP"),
    ],
)
def test_invalid_packets_are_counted_since_1_31(version: str, expected: str, tmp_path: Path) -> None:
    assert chain(rules(tmp_path, version, "iptables", *PLAIN), "KUBE-FORWARD" + FILTER)[0] == expected


@pytest.mark.parametrize(("version", "expected"), [("1.28", True), ("1.29", False)])
def test_a_liberal_conntrack_spares_invalid_packets_since_1_29(version: str, expected: bool, tmp_path: Path) -> None:
    found = rules(tmp_path, version, "iptables", *PLAIN, config={"conntrack": {"tcpBeLiberal": True}})
    assert any("INVALID" in rule for rule in chain(found, "KUBE-FORWARD" + FILTER)) is expected


@pytest.mark.parametrize(("version", "declared", "spares"), [("1.25", 0, False), ("1.26", 0, True), ("1.27", 1, True)])
def test_an_empty_kube_firewall_stays_where_node_ports_are_off_localhost(
    version: str, declared: int, spares: bool, tmp_path: Path
) -> None:
    found = rules(tmp_path, version, "iptables", *PLAIN, config={"iptables": {"localhostNodePorts": False}})
    whole, partial = list(found.text()), list(found.text(frozenset()))
    assert whole.count(":KUBE-FIREWALL - [0:0]") == declared
    assert not any(line.startswith("-A KUBE-FIREWALL") for line in whole)
    assert ":KUBE-FIREWALL - [0:0]" not in partial, "it is made by a process, not by what is restored"
    assert chain(found, "KUBE-SERVICES")[-1].startswith("! -d 127.0.0.0/8") is spares


def test_the_parts_of_a_rule_stand_in_the_order_of_iptables_save(tmp_path: Path) -> None:
    found = rules(tmp_path, "1.34", "iptables", *PLAIN)
    where = '-d 10.96.0.10/32 -p tcp -m comment --comment "s/web:http cluster IP" -m tcp --dport 80'
    assert chain(found, "KUBE-SERVICES")[0] == f"{where} -j {SVC}"
    assert chain(found, SVC)[0] == f"! -s 10.128.0.0/9 {where} -j KUBE-MARK-MASQ"
    sep = chain_name("SEP", "s/web:http", "tcp", "10.128.0.5:8080")
    assert chain(found, sep) == [
        '-s 10.128.0.5/32 -m comment --comment "s/web:http" -j KUBE-MARK-MASQ',
        '-p tcp -m comment --comment "s/web:http" -m tcp -j DNAT --to-destination 10.128.0.5:8080',
    ]


@pytest.mark.parametrize(
    ("version", "written"),
    [
        (
            "1.30",
            {
                f"service-{WEB}": [
                    "ip daddr 10.96.0.10 tcp dport 80 ip saddr != 10.128.0.0/9 jump mark-for-masquerade",
                    ("numgen random mod 2 vmap { 0 : goto endpoint-RJVAJWLM-s/web/tcp/http__10.128.0.5/8080 , "
                    "1 : goto endpoint-5GUYYJFT-s/web/tcp/http__10.128.1.5/8080 }"),
                ],
                "masquerading": [
                    "mark and 0x4000 == 0 return", "mark set mark xor 0x4000", "masquerade fully-random",
                ],
                "cluster-ips-check": ["ip daddr @cluster-ips reject"],
            },
        ),
        (
            "1.34",
            {
                f"service-{WEB}": [
                    "ip daddr 10.96.0.10 ip saddr != 10.128.0.0/9 jump mark-for-masquerade",
                    ("numgen random mod 2 vmap { 0 : goto endpoint-RJVAJWLM-s/web/tcp/http__10.128.0.5/8080 , "
                    "1 : goto endpoint-5GUYYJFT-s/web/tcp/http__10.128.1.5/8080 }"),
                ],
                "cluster-ips-check": ["ip daddr @cluster-ips reject", "ip daddr { 10.96.0.0/12 } drop"],
            },
        ),
        (
            "1.36",
            {
                f"service-{WEB}": [
                    ("meta l4proto tcp dnat ip addr . port to numgen random mod 2 map "
                    "{ 0 : 10.128.0.5 . 8080 , 1 : 10.128.1.5 . 8080 }"),
                ],
                "services": [
                    "ip daddr @cluster-ips ip saddr != 10.128.0.0/9 mark set mark or 0x4000",
                    "ip daddr . meta l4proto . th dport vmap @service-ips",
                    "ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports",
                ],
                "masquerading": [
                    "mark and 0x4000 != 0 mark set mark xor 0x4000 masquerade fully-random",
                    ("ct status dnat ip saddr . ip daddr . meta l4proto . th dport @hairpin-connections "
                    "masquerade fully-random"),
                ],
            },
        ),
    ],
)  # fmt: skip
def test_nftables_of_each_layout(version: str, written: dict[str, list[str]], tmp_path: Path) -> None:
    found = rules(tmp_path, version, "nftables", *PLAIN)
    for name, expected in written.items():
        assert [rule.partition(" comment ")[0] for rule in chain(found, name)] == expected
    assert isinstance(found.programmed.rules, NftRules)
    assert list(found.programmed.rules.elements["nodeport-ips"]) == [("192.0.2.1",)]
    hairpin = found.programmed.rules.elements.get("hairpin-connections", {})
    assert list(hairpin) == ([("10.128.0.5", "10.128.0.5", "tcp", "8080")] if version == "1.36" else [])
    assert any(name.startswith("endpoint-") for name in found.programmed.rules.chains) is (version != "1.36")


def test_nftables_1_36_has_endpoint_chains_where_a_client_is_remembered(tmp_path: Path) -> None:
    sticky = (service("web", "10.96.0.10", sessionAffinity="ClientIP"), piece("web", HERE))
    found = rules(tmp_path, "1.36", "nftables", *sticky)
    base = "RJVAJWLM-s/web/tcp/http__10.128.0.5/8080"
    assert chain(found, f"endpoint-{base}") == [
        f"update @affinity-{base} {{ ip saddr }}", "meta l4proto tcp dnat to 10.128.0.5:8080",
    ]  # fmt: skip
    assert chain(found, f"service-{WEB}") == [
        f"ip saddr @affinity-{base} goto endpoint-{base}", f"numgen random mod 1 vmap {{ 0 : goto endpoint-{base} }}",
    ]  # fmt: skip


def trace(found: NodeRules, source: str, to: str, port: int = 80) -> Trace:
    return found.programmed.trace(Packet(source, to, port))


@pytest.mark.parametrize("version", ["1.34", "1.36"])
def test_a_pod_that_calls_itself_is_masqueraded_after_the_translation(version: str, tmp_path: Path) -> None:
    found = rules(tmp_path, version, "nftables", *PLAIN)
    assert trace(found, "10.128.0.5", "10.96.0.10").masqueraded, "it may be sent back to itself"
    assert not trace(found, "10.128.0.9", "10.96.0.10").masqueraded
    assert trace(found, "198.51.100.9", "10.96.0.10").masqueraded


@pytest.mark.parametrize(("version", "verdict"), [("1.32", "none"), ("1.33", "DROP"), ("1.36", "DROP")])
def test_an_address_that_no_service_has_is_dropped_since_1_33(version: str, verdict: str, tmp_path: Path) -> None:
    found = rules(tmp_path, version, "nftables", *PLAIN)
    assert trace(found, "10.128.0.9", "10.96.7.7").verdict == verdict
    assert trace(found, "10.128.0.9", "10.96.0.10", 81).verdict == "REJECT"


@pytest.mark.parametrize("version", ["1.29", "1.30"])
def test_nftables_with_a_prefix_of_interfaces_writes_nothing_up_to_1_30(version: str, tmp_path: Path) -> None:
    config = {"detectLocalMode": "InterfaceNamePrefix", "detectLocal": {"interfaceNamePrefix": "veth"}}
    found = rules(tmp_path, version, "nftables", *PLAIN, config=config)
    assert list(found.text()) == []
    assert any("fails in every sync" in warning for warning in found.warnings)
    assert list(rules(tmp_path, "1.31", "nftables", *PLAIN, config=config).text())


BALANCED = service("web", "10.96.0.10", type="LoadBalancer", ingress=[{"ip": "203.0.113.7", "ipMode": "Proxy"}])
RANGED = service("web", "10.96.0.10", type="LoadBalancer", ingress=[{"ip": "203.0.113.7"}],
                 loadBalancerSourceRanges=["192.0.2.0/24", "0.0.0.0/0"])  # fmt: skip
LOCAL = service("web", "10.96.0.10", externalIPs=["198.51.100.7"], externalTrafficPolicy="Local")
FW = chain_name("FW", "s/web:http", "tcp")


@pytest.mark.parametrize(
    ("made", "chain_or_ip", "there", "not_there"),
    [
        (BALANCED, "203.0.113.7", ["1.25", "1.29"], ["1.30", "1.36"]),
        (RANGED, FW, ["1.28", "1.33"], ["1.34", "1.36"]),
        (LOCAL, chain_name("SVL", "s/web:http", "tcp"), ["1.29", "1.34"], ["1.25", "1.28"]),
    ],
)
def test_a_service_is_taken_as_the_version_takes_it(
    made: dict[str, Any], chain_or_ip: str, there: list[str], not_there: list[str], tmp_path: Path
) -> None:
    for version in (*there, *not_there):
        text = "\n".join(rules(tmp_path, version, "iptables", made, piece("web", HERE, THERE)).text())
        assert (chain_or_ip in text) is (version in there), version


def test_the_node_has_a_way_through_source_ranges_since_1_28(tmp_path: Path) -> None:
    spec = {**RANGED["spec"], "loadBalancerSourceRanges": ["192.0.2.0/24"]}
    for version, way in (("1.27", False), ("1.28", True)):
        found = rules(tmp_path, version, "iptables", {**RANGED, "spec": spec}, piece("web", HERE))
        assert any("-s 203.0.113.7/32" in rule for rule in chain(found, FW)) is way
        text = list(rules(tmp_path, version, "ipvs", {**RANGED, "spec": spec}, piece("web", HERE)).text())
        assert ("add KUBE-LOAD-BALANCER-SOURCE-IP 203.0.113.7,tcp:80,203.0.113.7" in text) is way


def endpoints(found: NodeRules) -> list[str]:
    chains = found.programmed.rules.chains
    return sorted(chains[rule.target][-1].to for rule in chains.get(SVC, ()) if rule.target.startswith("KUBE-SEP"))


@pytest.mark.parametrize(
    ("version", "mode", "hints", "near"),
    [
        ("1.26", None, "Auto", True),
        ("1.26", "Auto", None, False),
        ("1.26", None, "any", False),
        ("1.27", "Auto", None, True),
        ("1.30", "any", None, True),
        ("1.30", "Disabled", None, False),
        ("1.31", None, None, True),
    ],
)
def test_hints_need_their_annotation_up_to_1_30(
    version: str, mode: str | None, hints: str | None, near: bool, tmp_path: Path
) -> None:
    """It is called topology-mode since 1.27."""
    named = {"service.kubernetes.io/topology-mode": mode, "service.kubernetes.io/topology-aware-hints": hints}
    told = {name: value for name, value in named.items() if value is not None}
    made = service("web", "10.96.0.10", annotations=told)
    found = rules(tmp_path, version, "iptables", made, piece("web", HERE, THERE, hinted=True))
    assert endpoints(found) == ["10.128.0.5:8080"] + ["10.128.1.5:8080"] * (not near)


OUTSIDE = service("web", "10.96.0.10", externalIPs=["198.51.100.7"], externalTrafficPolicy="Local", type="LoadBalancer",
                  ingress=[{"ip": "203.0.113.7"}], healthCheckNodePort=31000,
                  loadBalancerSourceRanges=["10.9.0.0/16"])  # fmt: skip


@pytest.mark.parametrize(
    ("version", "chains", "jumps", "sets", "lets_pass", "localhost"),
    [
        ("1.25", 9, 7, 16, 0, False),
        ("1.26", 10, 8, 17, 3, True),
        ("1.28", 10, 8, 17, 4, True),
        ("1.29", 11, 9, 17, 4, True),
        ("1.30", 11, 9, 17, 5, True),
        ("1.36", 11, 9, 17, 5, True),
    ],
)
def test_ipvs_has_the_chains_and_sets_of_its_release(
    version: str, chains: int, jumps: int, sets: int, lets_pass: int, localhost: bool, tmp_path: Path
) -> None:
    found = rules(tmp_path, version, "ipvs", OUTSIDE, piece("web", HERE))
    text = list(found.text())
    assert [sum(line.startswith(begin) for line in text) for begin in (":", "-I ", "create ")] == [chains, jumps, sets]
    refused = [line for line in text if line.startswith("-A KUBE-IPVS-FILTER")]
    assert len(refused) == lets_pass + bool(lets_pass)
    assert ("-A KUBE-SERVICES -s 127.0.0.0/8 -j RETURN" in text) is localhost
    barred = "-A KUBE-IPVS-OUT-FILTER -s 203.0.113.7/32 -m ipvs --vaddr 203.0.113.7 --vproto tcp --vport 80 -j DROP"
    assert any(line.startswith(barred[:60]) for line in text) is (version >= "1.29")


def test_ipvs_leaves_addresses_of_other_interfaces_alone_since_1_28_and_hashes_ports_since_1_27(tmp_path: Path) -> None:
    shared = service("web", "10.96.0.10", externalIPs=["192.0.2.1"])  # the node's own
    for version, bound, flag in (("1.26", True, False), ("1.27", True, True), ("1.28", False, True)):
        text = list(rules(tmp_path, version, "ipvs", shared, config={"ipvs": {"scheduler": "mh"}}).text())
        assert ("addr add 192.0.2.1/32 dev kube-ipvs0" in text) is bound
        assert ("-A -t 10.96.0.10:80 -s mh" + " -b mh-port" * flag) in text


@pytest.mark.parametrize(("version", "serves"), [("1.25", False), ("1.26", True)])
def test_who_leaves_may_still_serve_since_1_26(version: str, serves: bool, tmp_path: Path) -> None:
    leaving = {"ready": False, "serving": True, "terminating": True}
    found = rules(tmp_path, version, "iptables", PLAIN[0], piece("web", HERE, conditions=leaving))
    assert endpoints(found) == (["10.128.0.5:8080"] if serves else [])


def test_a_run_takes_pods_that_no_rule_leads_to(tmp_path: Path) -> None:
    """Up to 1.25 those that terminate beside none that is ready, the last Pods of the cluster."""
    leaving = {"ready": False, "serving": True, "terminating": True}
    objects = (*PLAIN, service("end", "10.96.0.11"), piece("end", HERE, ("10.128.0.6", "one", "a"), conditions=leaving))
    path = tmp_path / "scenario.yaml"
    rules(tmp_path, "1.25", "iptables", *objects)
    assert scrape(read(path), "one", 0.0).families


@pytest.mark.parametrize(("version", "said"), [("1.30", True), ("1.31", False)])
def test_primary_is_a_word_for_node_port_addresses_since_1_31(version: str, said: bool, tmp_path: Path) -> None:
    found = rules(tmp_path, version, "iptables", *PLAIN, config={"nodePortAddresses": ["primary"]})
    assert any("does not start" in warning for warning in found.warnings) is said


@pytest.mark.parametrize("mode", ["iptables", "nftables", "ipvs"])
def test_addresses_and_ranges_are_printed_as_go_prints_them(mode: str, tmp_path: Path) -> None:
    """Whatever the form in which old servers took them."""
    odd = service("web", "10.96.0.10", type="LoadBalancer", ingress=[{"ip": "203.0.113.7"}],
                  externalIPs=["198.051.100.007"],
                  loadBalancerSourceRanges=["10.1.2.3/24", " 10.9.0.0/16 "])  # fmt: skip
    text = "\n".join(rules(tmp_path, "1.34", mode, odd, piece("web", HERE)).text())
    assert all(part in text for part in ("198.51.100.7", "10.1.2.0/24", "10.9.0.0/16"))
    assert not any(part in text for part in ("198.051", "10.1.2.3"))


def test_slices_with_ports_of_their_own_are_obeyed(tmp_path: Path) -> None:
    both = (piece("web", HERE), piece("web", THERE, name="web-b", port=9090))
    assert endpoints(rules(tmp_path, "1.34", "iptables", PLAIN[0], *both)) == ["10.128.0.5:8080", "10.128.1.5:9090"]
    other = rules(tmp_path, "1.34", "iptables", PLAIN[0], piece("web", HERE, port_name="other"))
    assert chain(other, "KUBE-SERVICES" + FILTER) == [
        '-d 10.96.0.10/32 -p tcp -m comment --comment "s/web:http has no endpoints" -m tcp --dport 80 -j REJECT'
    ]


def test_of_an_address_in_two_slices_the_last_that_stays_wins_since_1_36(tmp_path: Path) -> None:
    gone, back = {"ready": False, "serving": False}, {"ready": True}
    both = (piece("web", THERE, conditions=gone), piece("web", THERE, name="web-b", conditions=back))
    for version, expected in (("1.35", []), ("1.36", ["10.128.1.5:8080"])):
        assert endpoints(rules(tmp_path, version, "iptables", PLAIN[0], *both)) == expected


def test_large_clusters_write_no_comment_for_an_endpoint(tmp_path: Path) -> None:
    many = [(f"10.129.{i // 200}.{i % 200 + 1}", "two", "b") for i in range(1001)]
    slices = piece("web", *many[:1000]), piece("web", *many[1000:], name="web-b")
    text = "\n".join(rules(tmp_path, "1.34", "iptables", PLAIN[0], slices[0]).text())
    assert text.count("->") == 1000
    text = "\n".join(rules(tmp_path, "1.34", "iptables", PLAIN[0], *slices).text())
    assert "->" not in text
    assert text.count("s/web:http cluster IP") == 2
