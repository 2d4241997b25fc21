"""Rules that say the same in other words: other detectors, other ranges, other options of the tools, other wrapping."""

from __future__ import annotations

from pathlib import Path

import pytest

from kpsim.errors import InputError
from kpsim.explain.packet import explain_packet
from kpsim.scenario.kinds import identify
from kpsim.scenario.model import Scenario
from kpsim.scenario.reader import read

CHAINS = """*nat
:KUBE-SERVICES - [0:0]
:KUBE-SVC-CCCCCCCCCCCCCCCC - [0:0]
:KUBE-SEP-DDDDDDDDDDDDDDDD - [0:0]
-A KUBE-SERVICES -d 10.96.4.4/32 -p tcp -m comment --comment "till/pay cluster IP" -m tcp --dport 90 -j KUBE-SVC-CCCCCCCCCCCCCCCC
OTHERS-A KUBE-SVC-CCCCCCCCCCCCCCCC -m comment --comment "till/pay -> 10.30.2.5:9000" -j KUBE-SEP-DDDDDDDDDDDDDDDD
-A KUBE-SEP-DDDDDDDDDDDDDDDD -p tcp -m comment --comment "till/pay" -m tcp -j DNAT --to-destination 10.30.2.5:9000
COMMIT
"""  # noqa: E501  # lines as the tool prints them
MASKED = (
    "-A KUBE-SVC-CCCCCCCCCCCCCCCC {}-d 10.96.4.4/32 -p tcp -m comment --comment "
    '"till/pay cluster IP" -m tcp --dport 90 -j KUBE-MARK-MASQ\n'
)
LISTED = """Chain KUBE-SERVICES (2 references)
 pkts bytes target     prot opt in     out     source               destination
    0     0 KUBE-SVC-CCCCCCCCCCCCCCCC  tcp  --  *      *       0.0.0.0/0            10.96.4.4            /* till/pay cluster IP */ tcp dpt:90

Chain KUBE-SEP-DDDDDDDDDDDDDDDD (1 references)
 pkts bytes target     prot opt in     out     source               destination
    0     0 DNAT       tcp  --  *      *       0.0.0.0/0            0.0.0.0/0            /* till/pay */ tcp to:10.30.2.5:9000

Chain KUBE-SVC-CCCCCCCCCCCCCCCC (1 references)
 pkts bytes target     prot opt in     out     source               destination
    0     0 KUBE-MARK-MASQ  tcp  --  !veth+ *       0.0.0.0/0            10.96.4.4            /* till/pay cluster IP */ tcp dpt:90
    0     0 KUBE-SEP-DDDDDDDDDDDDDDDD  all  --  *      *       0.0.0.0/0            0.0.0.0/0            /* till/pay -> 10.30.2.5:9000 */
"""  # noqa: E501
TABLE = """table ip kube-proxy {
  map service-ips {
    type ipv4_addr . inet_proto . inet_service : verdict
    elements = { 10.96.4.4 . tcp . 90 : goto service-AAAAAAAA-till/pay/tcp/ }
  }
  chain services {
    ip daddr . meta l4proto . th dport vmap @service-ips
  }
  chain service-AAAAAAAA-till/pay/tcp/ {
    OTHERS
    numgen random mod 1 vmap { 0 : goto endpoint-BBBBBBBB-till/pay/tcp/__10.30.2.5/9000 }
  }
  chain endpoint-BBBBBBBB-till/pay/tcp/__10.30.2.5/9000 {
    meta l4proto tcp dnat to 10.30.2.5:9000
  }
}
"""
SAVED = "-A -t 10.96.4.4:90 -s rr\n-a -t 10.96.4.4:90 -r 10.30.2.5:9000 -m -w 1\n"
LONG = (
    "--add-service --tcp-service 10.96.4.4:90 --scheduler rr\n"
    "--add-server --tcp-service 10.96.4.4:90 --real-server 10.30.2.5:9000 --masquerading --weight 1\n"
)
NAMED = """IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  shop.example:https rr
  -> pod.example:9000             Masq    1      0          0
"""
COUNTED = """IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes
  -> RemoteAddress:Port
TCP  10.96.4.4:90                        3        9        9      400      400
  -> 10.30.2.5:9000                      3        9        9      400      400
"""
SEES, MASQUERADED = "the endpoint sees the client", "masqueraded"


def shown(folder: Path, text: str) -> Scenario:
    (folder / "dump.txt").write_text(text, encoding="utf-8")
    return read(identify([folder / "dump.txt"]))


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(InputError) as refused:
        shown(folder, text)
    return str(refused.value)


def sent(scenario: Scenario, source: str, to: str = "till/pay:90") -> str:
    return explain_packet(scenario, source, to, "TCP", "").verdict


@pytest.mark.parametrize(
    ("text", "mode", "name"),
    [
        (CHAINS.replace("OTHERS", MASKED.format("! -i br7 ")), "BridgeInterface", "br7"),
        (CHAINS.replace("OTHERS", MASKED.format("! -i veth+ ")), "InterfaceNamePrefix", "veth"),
        (LISTED, "InterfaceNamePrefix", "veth"),
        (TABLE.replace("OTHERS", 'ip daddr 10.96.4.4 iifname != "br7" jump mark-for-masquerade'),
         "BridgeInterface", "br7"),
        (TABLE.replace("OTHERS", 'ip daddr 10.96.4.4 tcp dport 90 iifname != "veth*" jump mark-for-masquerade'),
         "InterfaceNamePrefix", "veth"),
    ],
)  # fmt: skip
def test_rules_say_by_which_interface_pods_are_known(tmp_path: Path, text: str, mode: str, name: str) -> None:
    scenario = shown(tmp_path, text)
    settings = scenario.kube_proxy.settings
    assert settings.detect_local_mode == mode
    assert name in (settings.bridge_interface, settings.interface_name_prefix)
    assert any("detectLocal (rules of dump.txt)" in warning for warning in scenario.warnings)
    assert SEES in sent(scenario, "10.30.1.9")


@pytest.mark.parametrize(
    "text",
    [
        CHAINS.replace("OTHERS", MASKED.format("")),
        TABLE.replace("OTHERS", "ip daddr 10.96.4.4 tcp dport 90 jump mark-for-masquerade"),
        TABLE.replace("OTHERS", "ip daddr 10.96.4.4 jump mark-for-masquerade"),
    ],
)
def test_rules_say_that_everything_is_masqueraded(tmp_path: Path, text: str) -> None:
    assert MASQUERADED in sent(shown(tmp_path, text), "10.30.1.9")


@pytest.mark.parametrize("text", [CHAINS.replace("OTHERS", ""), TABLE.replace("OTHERS", "counter"), SAVED, LONG])
def test_pods_are_where_endpoints_are_if_nothing_else_says_it(tmp_path: Path, text: str) -> None:
    scenario = shown(tmp_path, text)
    assert scenario.cluster.pod_cidr == "10.30.0.0/16"
    assert any("podCIDR 10.30.0.0/16 (addresses of endpoints)" in warning for warning in scenario.warnings)
    assert SEES in sent(scenario, "10.30.1.9", "10.96.4.4:90")


def test_a_range_that_is_said_counts_more_than_addresses(tmp_path: Path) -> None:
    written = MASKED.format("! -s 10.30.0.0/18 ")
    assert shown(tmp_path, CHAINS.replace("OTHERS", written)).cluster.pod_cidr == "10.30.0.0/18"


def test_endpoints_in_the_usual_range_change_nothing(tmp_path: Path) -> None:
    scenario = shown(tmp_path, SAVED.replace("10.30.2.5", "10.129.2.5"))
    assert scenario.cluster.pod_cidr == "10.128.0.0/10"


def test_the_api_servers_address_is_no_pods(tmp_path: Path) -> None:
    text = CHAINS.replace("OTHERS", "").replace("till/pay", "default/kubernetes").replace("10.30.2.5", "198.51.100.4")
    assert shown(tmp_path, text).cluster.pod_cidr == "10.128.0.0/10"


@pytest.mark.parametrize("ip", ["127.9.9.9", "169.254.1.1"])
def test_addresses_that_no_pod_has_tell_no_range(tmp_path: Path, ip: str) -> None:
    said = refusal(tmp_path, CHAINS.replace("OTHERS", "").replace("10.30.2.5", ip))
    assert "podCIDR" not in said


def test_endpoints_of_two_networks_are_pods_where_most_are(tmp_path: Path) -> None:
    more = "".join(f"-a -t 10.96.4.4:90 -r {ip}:9000 -m -w 1\n" for ip in ("10.30.2.6", "192.168.7.7"))
    assert shown(tmp_path, SAVED + more).cluster.pod_cidr == "10.30.0.0/16"


def test_ipv6_endpoints_tell_the_range_too(tmp_path: Path) -> None:
    text = "-A -t [fd00:96::4]:90 -s rr\n-a -t [fd00:96::4]:90 -r [fd00:30::5]:9000 -m -w 1\n"
    assert shown(tmp_path, text).cluster.pod_cidr == "fd00:30::/56"


@pytest.mark.parametrize("text", [CHAINS.replace("OTHERS", ""), TABLE.replace("OTHERS", "counter"), SAVED])
def test_rules_that_were_copied_with_blanks_before_them_are_read(tmp_path: Path, text: str) -> None:
    indented = "".join(f"    {line}\n" for line in text.splitlines())
    assert shown(tmp_path, "\n" + indented).objects == shown(tmp_path, text).objects


def test_indented_manifests_stay_manifests(tmp_path: Path) -> None:
    inner = "".join(f"    {line}\n" for line in CHAINS.splitlines())
    text = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\ndata:\n  script: |\n{inner}"
    assert "holds no Service" in refusal(tmp_path, text)


def test_choice_and_translation_in_one_rule_are_1_36(tmp_path: Path) -> None:
    one = "meta l4proto tcp dnat ip to numgen random mod 2 map { 0 : 10.30.2.5 . 9000, 1 : 10.30.2.6 . 9000 }"
    head, _, rest = TABLE.replace("OTHERS", one).partition("    numgen")
    text = head + "  }\n}\n"
    assert rest
    assert shown(tmp_path, text).kubernetes_version == (1, 36)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("-A -t shop.example:http -s rr\n-a -t shop.example:http -r 10.30.2.5:9000 -m -w 1\n", "without -n"),
        ("-A -t 10.96.4.4:http -s rr\n-a -t 10.96.4.4:http -r 10.30.2.5:http-alt -m -w 1\n", "without -n"),
        (NAMED, "without -n"),
        (COUNTED, "without schedulers and weights"),
        ("No resources found in till namespace.\n", "the error that a tool printed"),
    ],
)  # fmt: skip
def test_what_a_tool_printed_otherwise_is_said_with_the_option_that_helps(tmp_path: Path, text: str, what: str) -> None:
    said = refusal(tmp_path, text)
    assert what in said
    assert "ipvsadm -Ln" in said


def test_servers_that_are_not_understood_are_counted(tmp_path: Path) -> None:
    scenario = shown(tmp_path, SAVED + "-a -t 10.96.4.4:90 --no-such-option 10.30.2.6:9000\n-A --no\n")
    assert any("not understood as IPVS servers, left out: 1" in warning for warning in scenario.warnings)


def test_standard_input_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="standard input is not read"):
        read(identify([Path("-")]))


@pytest.mark.parametrize("value", ["3", "word", "[1]", "[{nodes: 2}, 3]"])
def test_a_merge_key_takes_mappings_only(tmp_path: Path, value: str) -> None:
    text = f"apiVersion: kpsim/v1alpha1\nkind: Scenario\nspec:\n  cluster: {{<<: {value}}}\n"
    said = refusal(tmp_path, text)
    assert ":4:17: << takes in a mapping" in said
