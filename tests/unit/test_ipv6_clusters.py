"""A cluster without IPv4 is read, checked, explained and simulated as one without IPv6 is."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from kpsim.cli import _kpsim
from kpsim.cluster.addresses import OTHERS, Addresses
from kpsim.dumps.evidence.settings import clear_of
from kpsim.errors import InputError
from kpsim.explain.packet import NodeRules, explain_packet
from kpsim.explain.service import explain_service
from kpsim.scenario.imported import scenario_document
from kpsim.scenario.kinds import identify
from kpsim.scenario.model import Scenario
from kpsim.scenario.reader import read
from kpsim.simulation import build_cluster, prepare, run_mode

SVC, SEP = "KUBE-SVC-CCCCCCCCCCCCCCCC", "KUBE-SEP-AAAAAAAAAAAAAAAA"
SAVED = f"""*nat
:PREROUTING ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
:{SVC} - [0:0]
:{SEP} - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A KUBE-SERVICES -d fd11:96::b/128 -p tcp -m comment --comment "den/owl:web cluster IP" -m tcp --dport 80 -j {SVC}
-A {SVC} ! -s fd11:244::/48 -d fd11:96::b/128 -p tcp -m tcp --dport 80 -j KUBE-MARK-MASQ
-A {SVC} -m comment --comment "den/owl:web -> [fd11:244::7]:81" -j {SEP}
-A {SEP} -p tcp -m comment --comment "den/owl:web" -m tcp -j DNAT --to-destination [fd11:244::7]:81
COMMIT
"""
LISTED = """table ip6 kube-proxy {
  map service-ips {
    type ipv6_addr . inet_proto . inet_service : verdict
    elements = { fd11:96::b . tcp . 80 : goto service-AAAAAAAA-den/owl/tcp/web }
  }
  chain services {
    ip6 daddr . meta l4proto . th dport vmap @service-ips
  }
  chain nat-prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    jump services
  }
  chain service-AAAAAAAA-den/owl/tcp/web {
    numgen random mod 1 vmap { 0 : goto endpoint-CCCCCCCC-den/owl/tcp/web__fd11.244..7/81 }
  }
  chain endpoint-CCCCCCCC-den/owl/tcp/web__fd11.244..7/81 {
    meta l4proto tcp dnat to [fd11:244::7]:81
  }
}
"""
MANIFEST = """
kind: Service
metadata: {name: owl, namespace: den}
spec:
  clusterIP: fd00:10:96::20
  ipFamilies: [IPv6]
  selector: {app: owl}
  type: NodePort
  ports: [{port: 80, targetPort: 8080, nodePort: 30080}]
---
kind: Deployment
metadata: {name: owl, namespace: den}
spec:
  replicas: 3
  selector: {matchLabels: {app: owl}}
  template: {metadata: {labels: {app: owl}}}
"""
DUAL = """
kind: Service
metadata: {name: NAME, namespace: den}
spec:
  clusterIP: FIRST
  clusterIPs: [FIRST, SECOND]
  ipFamilies: FAMILIES
  ipFamilyPolicy: RequireDualStack
  ports: [{port: 80}]
---
"""


def scenario_of(folder: Path, text: str) -> Scenario:
    (folder / "read.yaml").write_text(text)
    return read(identify([folder / "read.yaml"]))


def rules_of(scenario: Scenario) -> str:
    return "\n".join(NodeRules.of(scenario, "").text())


def in_scenario(cluster: str, services: str = "[{name: owl, count: 3, endpoints: 2, type: NodePort}]") -> str:
    head = "apiVersion: kpsim/v1alpha1\nkind: Scenario\nmetadata: {name: six}\n"
    return f"{head}spec:\n  cluster: {cluster}\n  services: {services}\n"


@pytest.mark.parametrize("text", [SAVED, LISTED])
def test_rules_of_ipv6_alone_are_of_an_ipv6_cluster(tmp_path: Path, text: str) -> None:
    scenario = scenario_of(tmp_path, text)
    assert scenario.cluster.ip_families == ("IPv6",)
    assert [(s.cluster_ip, s.ip_families) for s in scenario.objects.services] == [("fd11:96::b", ("IPv6",))]
    assert scenario.cluster.pod_cidr == ("fd11:244::/48" if text == SAVED else "fd11:244::/56")
    assert "[fd11:244::7]:81" in rules_of(scenario)
    story = explain_packet(scenario, "pod", "den/owl:80", "tcp", "")
    assert story.verdict.startswith("sent to [fd11:244::7]:81")
    outside = explain_packet(scenario, "outside", "[fd11:96::b]:80", "tcp", "")
    assert "[fd11:244::7]:81, masqueraded" in outside.verdict
    assert not any("not modelled" in warning for warning in story.warnings)


def test_what_is_imported_reads_back_the_same(tmp_path: Path) -> None:
    scenario = scenario_of(tmp_path, SAVED)
    again = scenario_of(tmp_path, scenario_document(identify([tmp_path / "read.yaml"])))
    assert again.cluster == scenario.cluster
    assert rules_of(again) == rules_of(scenario)


def test_a_manifest_of_ipv6_makes_the_cluster(tmp_path: Path) -> None:
    scenario = scenario_of(tmp_path, MANIFEST)
    told = explain_service(scenario, "den/owl")
    assert told.ports[0].headline == "port [fd00:10:96::20]:80/TCP"
    assert any("[fd00:10:244::1]:8080" in fact for fact in told.ports[0].facts)
    assert any(fact.startswith("from outside to [2001:db8:77::") for fact in told.ports[0].facts)


@pytest.mark.parametrize("mode", ["iptables", "ipvs", "nftables"])
@pytest.mark.parametrize("text", [SAVED, MANIFEST])
def test_engines_are_equal_for_objects_that_were_read(tmp_path: Path, text: str, mode: str) -> None:
    scenario = scenario_of(tmp_path, text)
    run = replace(scenario.run, duration_s=3.0, warmup_s=0.0)
    churn = replace(scenario.churn, pod_replacements_per_s=1.0)
    scenario = replace(
        scenario, modes=(mode,), kube_proxy=replace(scenario.kube_proxy, mode=mode), run=run, churn=churn
    )
    cluster, _ = build_cluster(scenario)
    replication = prepare(scenario, cluster, 0)
    batch, reference = (run_mode(replication, mode, engine) for engine in ("batch", "reference"))
    assert len(batch.sent.rows)
    assert batch.sent.rows == reference.sent.rows
    for one, other in zip(batch.proxiers, reference.proxiers, strict=True):
        assert all(
            np.array_equal(getattr(one.syncs, name), getattr(other.syncs, name))
            for name in one.syncs.__dataclass_fields__
        )


def test_groups_grow_in_ranges_of_ipv6(tmp_path: Path) -> None:
    cluster = "{ipFamilies: [IPv6], serviceClusterIPRange: 'fd22::/112', podCIDR: 'fd33::/64'}"
    text = rules_of(scenario_of(tmp_path, in_scenario(cluster)))
    assert "-d fd22::102/128" in text
    assert "--to-destination [fd33::6]:80" in text


@pytest.mark.parametrize(
    ("cluster", "said"),
    [
        ("{serviceClusterIPRange: 'fd22::/112'}", "is a range of IPv6, and the cluster's first IP family is IPv4"),
        ("{ipFamilies: [IPv6], podCIDR: 10.128.0.0/10}", "range of IPv4, and the cluster's first IP family is IPv6"),
        ("{ipFamilies: [IPv6], podCIDR: 'fd33::1/64'}", "did you mean fd33::/64"),
        ("{ipFamilies: [IPv6], serviceClusterIPRange: 'fd22::/127'}", "serviceClusterIPRange: fd00:10::/125"),
    ],
)  # fmt: skip
def test_ranges_are_of_the_first_family(tmp_path: Path, cluster: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        scenario_of(tmp_path, in_scenario(cluster))
    assert said in str(caught.value)


def test_in_a_dual_stack_cluster_the_first_address_of_a_service_counts(tmp_path: Path) -> None:
    four, six = "10.96.0.20", "fd00:10:96::20"
    first = DUAL.replace("NAME", "six").replace("FIRST", six).replace("SECOND", four)
    second = DUAL.replace("NAME", "four").replace("FIRST", "10.96.0.30").replace("SECOND", "fd00:10:96::30")
    text = first.replace("FAMILIES", "[IPv6, IPv4]") + second.replace("FAMILIES", "[IPv4, IPv6]")
    scenario = scenario_of(tmp_path, text)
    assert scenario.cluster.dual_stack
    for to, found in (("den/six", f"[{six}]:80"), ("den/four", "10.96.0.30:80"), (f"[{six}]:80", f"[{six}]:80")):
        story = explain_packet(scenario, "pod", to, "tcp", "")
        assert f"-> {found} on" in story.headline
        assert story.verdict.startswith("refused")


def test_rules_of_a_dual_stack_cluster_say_that_there_are_others(tmp_path: Path) -> None:
    (tmp_path / "dual.yaml").write_text(in_scenario("{ipFamilies: [IPv4, IPv6]}"))
    told = CliRunner().invoke(_kpsim, ["rules", str(tmp_path / "dual.yaml")])
    assert told.exit_code == 0
    assert "--family IPv6 writes those of IPv6" in told.stderr
    assert (
        "--family" not in CliRunner().invoke(_kpsim, ["rules", str(tmp_path / "dual.yaml"), "--family", "IPv6"]).stderr
    )


def test_metrics_are_of_the_family_there_is(tmp_path: Path) -> None:
    (tmp_path / "six.yaml").write_text(in_scenario("{ipFamilies: [IPv6]}"))
    told = CliRunner().invoke(_kpsim, ["metrics", str(tmp_path / "six.yaml"), "--set", "run.duration=30s"])
    name = r'rules_iptables_total\{ip_family="IPv(\d)",table="nat"\} (\d+)'
    rules = {family: int(count) for family, count in re.findall(name, told.stdout)}
    assert rules["6"] > 20 > rules["4"] > 0  # the idle proxier is that of IPv4


def test_numbers_stand_for_addresses() -> None:
    book = Addresses("IPv6", "fd22::/112", "fd33::/64")
    read = ["fd22::7", "fd33::1:7", "2001:db8::9", "fd33::8000:0:0:1"]
    numbers = [book.number(ip) for ip in read]
    assert [book.text(number) for number in numbers] == read
    assert len(set(numbers)) == len(read)
    assert max(numbers) < 1 << 32
    assert book.text(OTHERS + 3) == "fd33::8000:0:0:3"  # a Pod that comes after all that were read
    assert Addresses().text(Addresses().number("10.1.2.3")) == "10.1.2.3"


def test_a_range_of_pods_is_cleared_of_services() -> None:
    assert clear_of("fd00::/32", "fd00:0:8000::/108") == "fd00::/33"
    assert not clear_of("fd00::/108", "fd00::/64")
