"""``kpsim explain packet`` on rule dumps: their own rules, in the words and the JSON that a scenario's have."""

from __future__ import annotations

import pytest

from tests.cli.shell import SERVICES, Answer, Shell
from tests.unit.test_dumps_import import FILTER, IPVS, NAT
from tests.unit.test_dumps_iptables import BEFORE_1_23
from tests.unit.test_dumps_others import NFT

THIRD_PARTY = NAT.replace(
    "-A PREROUTING -j KUBE-SERVICES\n",
    ":cali-PREROUTING - [0:0]\n-A PREROUTING -j cali-PREROUTING\n-A PREROUTING -j KUBE-SERVICES\n"
    "-A cali-PREROUTING -m set --match-set cali40pools src -j RETURN\n",
)


def explain(kpsim: Shell, text: str, *options: str) -> Answer:
    return kpsim("explain", "packet", "-f", kpsim.write("dump.txt", text), *options)


def test_the_rules_are_the_dumps_own_and_said_to_be(kpsim: Shell) -> None:
    answer = explain(kpsim, THIRD_PARTY, "--to", "prod/web")
    assert answer.code == 0
    head, *lines = answer.out.splitlines()
    assert head == ("TCP 10.1.0.254 -> 10.152.183.7:80, the rules of dump.txt as they stand, kube-proxy mode iptables")
    assert lines[0] == "    1. nat: -A PREROUTING -j cali-PREROUTING"
    assert "  sent to 10.1.0.5:8080, the endpoint sees the client" in lines
    assert "1 rule could not be judged and was passed over: 1 by -m set (nat: -A cali-PREROUTING" in answer.out
    assert "The range of Pods is not in the dump: 10.1.0.254 stands for a Pod" in answer.out
    assert "The filter table is not in the dump" in answer.out
    assert answer.err == "", "what kpsim would simulate instead is not this command's business"


def test_json_has_the_shape_that_a_scenarios_packet_has(kpsim: Shell) -> None:
    told = explain(kpsim, NAT, "--to", "10.152.183.7:80", "-o", "json").json
    modelled = explain(kpsim, NAT, "--to", "10.152.183.7:80", "--mode", "nftables", "-o", "json").json
    assert list(told) == list(modelled) == ["headline", "met", "verdict", "notes", "warnings"]
    assert "as they stand" in told["headline"]
    assert modelled["headline"].endswith("on node-0, kube-proxy mode nftables")


def test_another_mode_or_a_setting_asks_for_kpsims_rules(kpsim: Shell) -> None:
    assert "as they stand" in explain(kpsim, NAT, "--to", "prod/web:http", "--mode", "iptables").out
    assert "mode ipvs" in explain(kpsim, NAT, "--to", "prod/web:http", "--mode", "ipvs").out
    assert "as they stand" not in explain(kpsim, NAT, "--to", "prod/web:80", "--set", "cluster.nodes=2").out


@pytest.mark.parametrize(
    ("text", "options", "says"),
    [
        (BEFORE_1_23, ("--to", "192.0.2.1:30080", "--from", "outside"),
         "192.0.2.1 was not taken for an address of the node itself; if it is one, say --node-ip 192.0.2.1."),
        (BEFORE_1_23, ("--to", "192.0.2.1:30080", "--from", "outside", "--node-ip", "192.0.2.1"), "  rejected: the"),
        (BEFORE_1_23, ("--to", "prod/web"), "  dropped: the client waits"),
        (BEFORE_1_23, ("--to", "prod/edge:443", "--node", "worker-1"), "10.96.0.8:443 on worker-1, the rules of"),
        (NAT, ("--to", "prod/web", "--from", "node"),
         "The node's own address is not in the dump: 192.0.2.1 stands for it (--node-ip)."),
        (NAT, ("--to", "prod/web", "--from", "node", "--node-ip", "10.9.9.9"), "TCP 10.9.9.9 -> 10.152.183.7:80"),
        (NAT + FILTER, ("--to", "prod/dark"), "the jumps that kube-proxy puts there are taken as being there"),
        (NAT + FILTER, ("--to", "prod/dark"), "  rejected: the client is told at once"),
        (NAT, ("--to", "10.1.0.5:8080"), "untouched: no rule here sends it elsewhere or stops it"),
        (NFT, ("--to", "ns1/svc2"), "sent to 10.180.0.3:5353 or 10.180.0.4:5353, the endpoint sees the client"),
        (NFT, ("--to", "ns1/svc1", "--from", "172.30.9.9"), "chain that is not in the dump"),
        (IPVS, ("--to", "10.152.183.7:80"), "sent to 10.1.0.5:8080; whether it is masqueraded cannot be told"),
        (IPVS, ("--to", "unnamed/ip-10-152-183-7"), "ipvs: TCP  10.152.183.7:80 wlc"),
    ],
)  # fmt: skip
def test_what_is_told(kpsim: Shell, text: str, options: tuple[str, ...], says: str) -> None:
    answer = explain(kpsim, text, *options)
    assert answer.code == 0
    assert says in answer.out


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--to", "prod/webb"), "--to: no rule in the dump names a Service prod/webb\n    did you mean prod/web?"),
        (("--to", "prod/web:90"), "--to: prod/web has no port 90\n    it has 80 (http)"),
        (("--to", "web"), "--to: no rule in the dump names a Service default/web\n    give its ip:port"),
        (("--to", "10.1.0.5"), "--to: '10.1.0.5' is neither ip:port nor namespace/name"),
        (("--to", "10.1.0.5:80801"), "--to: '10.1.0.5:80801' is neither ip:port nor namespace/name"),
        (("--to", "1.2.3:80"), "--to: '1.2.3' is no address"),
        (("--to", "prod/web", "--from", "here"), "write an address, pod, node or outside"),
        (("--to", "prod/web", "--node-ip", "here"), "--node-ip: 'here' is no address"),
        (("--to", "prod/web", "--mode", "ipvs", "--node-ip", "1.2.3.4"), "--node-ip: is for a rule dump's own rules"),
        (("--to", "prod/web", "-f", "twin.txt"), "dump.txt and twin.txt: two of these files show the nat table"),
    ],
)
def test_what_cannot_be_is_refused(kpsim: Shell, options: tuple[str, ...], says: str) -> None:
    kpsim.write("twin.txt", NAT)
    answer = explain(kpsim, NAT, *options)
    assert answer.code == 3
    assert says in answer.err


def test_an_empty_dump_says_what_to_give(kpsim: Shell) -> None:
    answer = explain(kpsim, "*nat\nCOMMIT\n", "--to", "prod/web")
    assert answer.code == 3
    assert answer.err.startswith("dump.txt: holds no rule that a packet could meet\n    dump.txt: no rule of a Service")


def test_several_files_are_one_node(kpsim: Shell) -> None:
    refused = FILTER.replace("-A KUBE", ":FORWARD ACCEPT [0:0]\n-A FORWARD -j KUBE-SERVICES\n-A KUBE", 1)
    kpsim.write("filter.txt", refused)
    answer = explain(kpsim, NAT, "-f", "filter.txt", "--to", "prod/dark")
    assert "the rules of dump.txt and filter.txt as they stand" in answer.out
    assert "  rejected: the client is told at once" in answer.out
    assert "table is not in the dump" not in answer.out


def test_what_was_not_understood_is_a_warning(kpsim: Shell) -> None:
    answer = explain(kpsim, NAT.replace("COMMIT\n", ""), "--to", "prod/web")
    assert "warning: dump.txt: the nat table has no end: the text is cut off" in answer.err


def test_a_folder_with_rules_and_objects_is_walked(kpsim: Shell) -> None:
    (kpsim.here / "dump").mkdir()
    kpsim.write("dump/nat.txt", NAT)
    kpsim.write("dump/objects.yaml", SERVICES)
    kpsim.write("dump/README", "not a document")
    answer = kpsim("explain", "packet", "-f", "dump", "--to", "prod/web")
    assert "the rules of nat.txt as they stand" in answer.out
    assert "as they stand" not in kpsim("explain", "packet", "-f", "dump", "--to", "prod/web", "--mode", "ipvs").out
    broken = kpsim("explain", "packet", "-f", "dump", "-f", kpsim.write("broken.yaml", "a: ["), "--to", "prod/web")
    assert broken.code == 3
    assert "broken.yaml:2:1: is not YAML" in broken.err


def test_one_node_of_several_is_named(kpsim: Shell) -> None:
    for node in ("node-a", "node-b"):
        (kpsim.here / "two" / node).mkdir(parents=True)
        kpsim.write(f"two/{node}/nat.txt", NAT if node == "node-a" else NAT.replace("10.1.0.5", "10.1.0.9"))
    both = kpsim("explain", "packet", "-f", "two", "--to", "prod/web")
    assert both.code == 3
    assert "or name it with --node" in both.err
    one = kpsim("explain", "packet", "-f", "two", "--to", "prod/web", "--node", "node-b")
    assert "sent to 10.1.0.9:8080" in one.out


def test_from_outside_a_service_is_reached_at_its_load_balancer_else_its_node_port(kpsim: Shell) -> None:
    outside = ("--from", "outside", "--to", "prod/edge")
    balanced = explain(kpsim, BEFORE_1_23, *outside)
    assert balanced.out.startswith("TCP 203.0.113.77 -> 198.51.100.9:443, the rules of")
    bare = "\n".join(line for line in BEFORE_1_23.splitlines() if "198.51.100.9" not in line) + "\n"
    by_port = explain(kpsim, bare, *outside)
    assert by_port.out.startswith("TCP 203.0.113.77 -> 192.0.2.1:31443, the rules of")
    assert "-A KUBE-NODEPORTS -p tcp" in by_port.out
    assert "192.0.2.1 stands for it (--node-ip)" in by_port.out
    told = explain(kpsim, bare, *outside, "--node-ip", "192.168.0.4")
    assert told.out.startswith("TCP 203.0.113.77 -> 192.168.0.4:31443")
    assert "stands for it" not in told.out
    inside = explain(kpsim, BEFORE_1_23, "--to", "prod/edge")
    assert " -> 10.96.0.8:443" in inside.out


def test_from_outside_a_manifests_service_is_reached_alike(kpsim: Shell) -> None:
    services = kpsim.write("services.yaml", SERVICES)
    for name, place in (("front", "203.0.113.7:443"), ("door", "172.16.0.1:30080")):
        answer = kpsim("explain", "packet", "-f", services, "--from", "outside", "--to", name)
        assert answer.out.startswith(f"TCP 203.0.113.77 -> {place} on node-0")
