"""Good input of an odd form says the same as in its usual one; what would be lost without a word is refused or said."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kpsim
from kpsim.cli import main
from kpsim.errors import InputError
from kpsim.scenario.kinds import identify
from kpsim.scenario.model import Scenario
from kpsim.scenario.reader import read

RULES = """*filter
:KUBE-SERVICES - [0:0]
-A KUBE-SERVICES -d 10.96.0.9/32 -p tcp -m comment --comment "shop/none has no endpoints" -m tcp --dport 80 -j REJECT
COMMIT
*nat
:KUBE-SERVICES - [0:0]
:KUBE-SVC-AAAAAAAAAAAAAAAA - [0:0]
:KUBE-SEP-BBBBBBBBBBBBBBBB - [0:0]
-A KUBE-SERVICES -d 10.96.0.8/32 -p tcp -m comment --comment "shop/web cluster IP" -m tcp --dport 80 -j KUBE-SVC-AAAAAAAAAAAAAAAA
-A KUBE-SVC-AAAAAAAAAAAAAAAA -m comment --comment "shop/web -> 10.244.0.5:8080" -j KUBE-SEP-BBBBBBBBBBBBBBBB
-A KUBE-SEP-BBBBBBBBBBBBBBBB -p tcp -m comment --comment "shop/web" -m tcp -j DNAT --to-destination 10.244.0.5:8080
COMMIT
"""  # noqa: E501  # lines as the tool prints them
LINES = RULES.splitlines()


def service(name: str = "web", **spec: object) -> dict[str, Any]:
    spec = {"clusterIP": "10.96.0.8", "ports": [{"port": 80}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "shop"}, "spec": spec}


def endpoint_slice(*addresses: str, port: int = 8080) -> dict[str, Any]:
    labels = {"kubernetes.io/service-name": "web"}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "web-1", "namespace": "shop", "labels": labels},
        "addressType": "IPv4",
        "ports": [{"name": "", "port": port, "protocol": "TCP"}],
        "endpoints": [{"addresses": [ip]} for ip in addresses],
    }


def shown(folder: Path, text: str, name: str = "dump.txt") -> Scenario:
    (folder / name).write_text(text, encoding="utf-8")
    return read(identify([folder / name]))


def found(scenario: Scenario) -> list[tuple[str, str, list[str]]]:
    """Every Service with its address, and those of its endpoints."""
    behind: dict[tuple[str, str], list[str]] = {}
    for made in scenario.objects.slices:
        behind.setdefault((made.namespace, made.service), []).extend(endpoint.ip for endpoint in made.endpoints)
    return sorted(
        (f"{each.namespace}/{each.name}", each.cluster_ip, behind.get((each.namespace, each.name), []))
        for each in scenario.objects.services
    )


@pytest.mark.parametrize(
    "printed",
    [
        lambda line, _: line.replace(" ", "  "),
        lambda line, _: line.replace(" ", "\t"),
        lambda line, _: f"node-1: {line}",
        lambda line, _: f"rules/node-1.txt:{line}",
        lambda line, number: f"2026-01-01T00:00:{number:02d}.{number}00Z {line}",
        lambda line, number: f"{number:6d}  {line}",
        lambda line, _: f"kube-proxy-x7k2 kube-proxy {line}",
        lambda line, _: f"> {line}",
    ],
)
def test_rules_with_something_before_each_line_say_the_same(tmp_path: Path, printed: Callable[[str, int], str]) -> None:
    text = "".join(printed(line, number) + "\n" for number, line in enumerate(LINES, 7))
    usual = found(shown(tmp_path, RULES))
    assert [name for name, _, _ in usual] == ["shop/none", "shop/web"]
    assert found(shown(tmp_path, text)) == usual


OBJECTS = [service(), endpoint_slice("10.244.0.5", "10.244.0.6")]
LISTED = json.dumps({"apiVersion": "v1", "kind": "List", "items": OBJECTS}, indent=1)
LOGS = "==== START logs for container c of pod a/b ====\nI0101 00:00:00.000001 1 a.go:1] {\n==== END logs for container c of pod a/b ====\n"  # noqa: E501


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(OBJECTS),
        json.dumps([json.loads(LISTED)]),
        "".join(f"- {json.dumps(each)}\n" for each in OBJECTS),
        f"Warning: v1 Endpoints is deprecated in v1.33+\n{LISTED}",
        f"me@host:~$ kubectl get svc,endpointslices -A -o json\n{LISTED}",
        f"E0101 00:00:00.000001 1 memcache.go:265] couldn't get a list\n{LISTED}",
        f"{json.dumps(OBJECTS[0])}\n{LOGS}{json.dumps(OBJECTS[1])}\n{LOGS}",
    ],
)
def test_objects_with_something_around_them_are_read(tmp_path: Path, text: str) -> None:
    assert found(shown(tmp_path, text)) == [("shop/web", "10.96.0.8", ["10.244.0.5", "10.244.0.6"])]


def test_places_keep_their_lines_where_something_stands_before(tmp_path: Path) -> None:
    wrong = "\n".join(json.dumps(each) for each in [*OBJECTS, service("Big")])
    with pytest.raises(InputError, match=r"dump\.txt:7:"):
        shown(tmp_path, f"Warning: this is old\n{LOGS}{wrong}")
    with pytest.raises(InputError, match=r"dump\.json:1:\d+: \[2\]\.metadata\.name"):
        shown(tmp_path, json.dumps([*OBJECTS, service("Big")]), "dump.json")


def test_json_that_was_cut_off_says_so(tmp_path: Path) -> None:
    for end in (len(LISTED) - 9, LISTED.index("10.244") + 3):
        with pytest.raises(InputError, match=r"(?s)the JSON ends too early.*cut off"):
            shown(tmp_path, LISTED[:end], "dump.json")


def test_an_object_read_in_two_states_is_said_and_counts_once(tmp_path: Path) -> None:
    later = [endpoint_slice("10.244.0.7", port=9090), endpoint_slice("10.244.0.7", port=9090)]
    scenario = shown(tmp_path, json.dumps([*OBJECTS, *later]))
    assert found(scenario) == [("shop/web", "10.96.0.8", ["10.244.0.7"])]
    said = "EndpointSlice shop/web-1 was read twice, and not the same: the later counts"
    assert sum(said in warning for warning in scenario.warnings) == 1
    assert not any("twice" in warning for warning in shown(tmp_path, json.dumps(OBJECTS * 2)).warnings)


def test_a_node_port_outside_the_usual_range_is_said(tmp_path: Path) -> None:
    scenario = shown(tmp_path, json.dumps(service(type="NodePort", ports=[{"port": 80, "nodePort": 8080}])))
    assert scenario.cluster.service_node_port_range == (8080, 32767)
    assert any("serviceNodePortRange taken as 8080-32767" in warning for warning in scenario.warnings)


SCENARIO = """apiVersion: kpsim/v1alpha1
kind: Scenario
metadata: {name: odd}
spec:
  cluster: {nodes: 3}
  services: [{name: web, count: 4, endpoints: 3}]
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("nodes: 3", "nodes: 1,000", r"odd.yaml:5:22: spec.cluster.000: unknown key.*a comma ends a value"),
        ("count: 4", "count: 4, cuont: ~", r"spec.services\[0\].cuont: unknown key.*did you mean count"),
        ("nodes: 3", "nodes: 3, podCIDR: 10.244.0.0", r"podCIDR: '10.244.0.0' is one address.*10.128.0.0/10"),
        ("nodes: 3", "nodes: 3, podCIDR: 10.244.0.0/255.255.0.0", r"a mask for a length.*did you mean 10.244.0.0/16"),
        ("nodes: 3}", "nodes: 3}\n  kubeProxy: {iptables: {minSyncPeriod: 40s}}", r"40s is longer than the syncPeriod"),
        ("nodes: 3}", "nodes: 3}\n  kubeProxy: {minSyncPeriod: 4s}", r"minSyncPeriod belongs under spec.kubeProxy.ipt"),
    ],
)  # fmt: skip
def test_what_would_be_lost_without_a_word_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(InputError, match=f"(?s){said}"):
        shown(tmp_path, SCENARIO.replace(old, new), "odd.yaml")


def test_an_option_takes_a_place_as_messages_say_it_and_no_empty_value(tmp_path: Path) -> None:
    (tmp_path / "odd.yaml").write_text(SCENARIO.replace("nodes: 3", "nodes: 5"), encoding="utf-8")
    look = identify([tmp_path / "odd.yaml"])
    assert read(look, overrides=[("spec.services[0].count", "7")]).groups[0].count == 7
    assert read(look, overrides=[("cluster.nodes", "null")]).cluster.nodes == 3
    with pytest.raises(InputError, match=r"--set cluster.nodes=: there is no value"):
        read(look, overrides=[("cluster.nodes", "")])


CILIUM = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cilium-config", "namespace": "kube-system"}}
KIND = {"apiVersion": "kind.x-k8s.io/v1alpha4", "kind": "Cluster"}
JSON_LOG = """{"ts":1732870000123.4,"caller":"server_linux.go:100","msg":"Using ipvs Proxier","v":0}
{"ts":1732870000124.4,"caller":"proxier.go:100","msg":"Syncing ipvs rules","v":2}
"""


@pytest.mark.parametrize(
    ("name", "text", "mode", "said"),
    [
        ("cm.json", json.dumps({**CILIUM, "data": {"kube-proxy-replacement": "true"}}), "ebpf", "cilium-config"),
        (
            "cm.json",
            json.dumps({**CILIUM, "data": {"kube-proxy-replacement": "false"}}),
            "iptables",
            "ignored 1 object ",
        ),
        ("kind.json", json.dumps({**KIND, "networking": {"kubeProxyMode": "nftables"}}), "nftables", "Cluster of "),
        ("kube-proxy.log", JSON_LOG, "ipvs", "Using ipvs"),
    ],
)
def test_whoever_says_the_mode_is_heard(tmp_path: Path, name: str, text: str, mode: str, said: str) -> None:
    (tmp_path / "services.json").write_text(LISTED, encoding="utf-8")
    (tmp_path / name).write_text(text, encoding="utf-8")
    scenario = read(identify([tmp_path / "services.json", tmp_path / name]))
    assert scenario.kube_proxy.mode == mode
    assert any(said in warning for warning in scenario.warnings)


def test_an_ipv4_address_that_ipv6_carries_is_ipv4s(tmp_path: Path) -> None:
    carried = service(clusterIP="::ffff:10.96.0.8", clusterIPs=["::ffff:10.96.0.8"], externalIPs=["::ffff:192.0.2.1"])
    scenario = shown(tmp_path, json.dumps([carried, OBJECTS[1]]))
    assert found(scenario) == [("shop/web", "10.96.0.8", ["10.244.0.5", "10.244.0.6"])]
    assert scenario.cluster.ip_families == ("IPv4",)
    assert scenario.objects.services[0].external_ips == ("192.0.2.1",)


def test_a_run_of_a_file_whose_name_is_no_text_can_be_replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path(os.fsdecode(b"\xff\xfe.yaml"))
    try:
        path.write_text(
            SCENARIO + "  run: {duration: 2s, warmup: 1s, replications: 1, packets: 1k}\n", encoding="utf-8"
        )
    except OSError:
        pytest.skip("this file system takes text for names only")
    for command in (["run", str(path), "--out", "out", "--quiet"], ["replay", "out"], ["import", str(path)]):
        monkeypatch.setattr(sys, "argv", ["kpsim", *command])
        with pytest.raises(SystemExit) as done:
            main()
        assert (command[0], done.value.code) == (command[0], 0)


SERVERS = """IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  10.96.0.8:80 rr
  -> 10.244.0.5:8080              Masq    1      3          0
  -> 10.244.0.6:8080              Masq    1      0          0
UDP  10.96.0.7:53 rr persistent 10800
  -> 10.244.0.7:53                Masq    1      0          0
"""


@pytest.mark.parametrize(
    "printed",
    [
        lambda line: line.replace("  ", "\t"),
        lambda line: "\t".join(line.split()),
        lambda line: f"node-1: {line}",
    ],
)
def test_virtual_servers_with_other_blanks_or_something_before_are_the_same(
    tmp_path: Path, printed: Callable[[str], str]
) -> None:
    usual = found(shown(tmp_path, SERVERS))
    assert {ip: ips for _, ip, ips in usual} == {
        "10.96.0.8": ["10.244.0.5", "10.244.0.6"],
        "10.96.0.7": ["10.244.0.7"],
    }
    assert found(shown(tmp_path, "".join(printed(line) + "\n" for line in SERVERS.splitlines()))) == usual


def test_rules_of_two_modes_in_one_text_are_said(tmp_path: Path) -> None:
    scenario = shown(tmp_path, RULES + SERVERS)
    said = "Services stand in rules of iptables and ipvs, and a kube-proxy writes one of them: iptables is taken"
    assert any(said in warning for warning in scenario.warnings)


def test_a_value_of_none_takes_the_default_from_python() -> None:
    hello = kpsim.load("hello")
    assert hello.with_(cluster__nodes=None).model.cluster.nodes == kpsim.load({"services": []}).model.cluster.nodes
    assert hello.with_(metadata__description=None, kubernetes__version=None).model.description == ""


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("Services", r"or Node, but 1 Services\n +did you mean Service\?"),
        ("endpointslice", r"but 1 endpointslice\n +did you mean EndpointSlice\?"),
        ("Secret", r"but 1 Secret\n +kubectl get svc"),
        ("Status", r"but 1 Status\n +kubectl get svc"),
    ],
)
def test_objects_of_no_use_are_named(tmp_path: Path, kind: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        shown(tmp_path, json.dumps({**service(), "kind": kind}))


def test_a_folder_with_a_scenario_says_to_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "odd.yaml").write_text(SCENARIO, encoding="utf-8")
    with pytest.raises(
        InputError, match=r"but 1 Scenario\n +in a folder, a scenario is not run: give its file by name"
    ):
        read(tmp_path)
