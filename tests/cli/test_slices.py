"""EndpointSlices and addresses as people have them: what is skipped, what is refused and where, what is counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.shell import Shell

SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 10.96.0.40, selector: {app: web}, ports: [{name: http, port: 80}, {name: admin, port: 81}]}
"""
SLICE = """\
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-%s, labels: {kubernetes.io/service-name: web}}
addressType: %s
ports: %s
endpoints: [{addresses: ["%s"]}]
"""
BOTH = "[{name: http, port: 8080}, {name: admin, port: 8081}]"


def write(text: str, name: str = "web.yaml") -> str:
    Path(name).write_text(text, encoding="utf-8")
    return name


@pytest.mark.parametrize("address", ["fd00", "300.1.1.1", "10.1.1", " 10.0.0.1", "", "127.0.0.1", "010.0.0.1", "::1"])
def test_an_impossible_address_is_refused_by_place(kpsim: Shell, address: str) -> None:
    answer = kpsim("check", write(SERVICE + SLICE % ("a", "IPv4", BOTH, address)), "-o", "json")
    assert answer.code == 3
    problems = json.loads(answer.out)["problems"]
    assert {at["line"] for at in problems} == {11}
    assert problems[0]["key"] == "endpoints[0].addresses[0]"
    assert "Traceback" not in answer.err


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ("apiVersion: v1\nkind: Endpoints\nmetadata: {name: web}\nsubsets: [{addresses: [{ip: 10.1.1}]}]\n",
         4, "subsets[0].addresses[0].ip"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nstatus: {podIP: 10.1.1.999}\n", 4, "status.podIP"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nstatus: {podIPs: [{ip: here}]}\n", 4, "status.podIPs[0].ip"),
        ("apiVersion: v1\nkind: Node\nmetadata: {name: n}\nspec: {podCIDR: 10.0.0.0/33}\n", 4, "spec.podCIDR"),
        ("kind: Node\nmetadata: {name: n}\nstatus: {addresses: [{type: InternalIP, address: 10.0.0.256}]}\n", 3,
         "status.addresses[0].address"),
    ],
)  # fmt: skip
def test_so_it_is_in_other_objects(kpsim: Shell, text: str, line: int, key: str) -> None:
    answer = kpsim("check", write(f"{text}---\n{SERVICE}"), "-o", "json")
    assert [(at["line"], at["key"]) for at in json.loads(answer.out)["problems"]] == [(line, key)]


def test_slices_of_names_are_no_endpoints(kpsim: Shell) -> None:
    names = write(SERVICE + SLICE % ("a", "FQDN", BOTH, "db.example.com"))
    assert json.loads(kpsim("check", names, "-o", "json").out)["endpoints"] == 0
    assert "REJECT" in kpsim("explain", "service", "web", "-f", names).out
    assert kpsim("rules", names).code == 0


@pytest.mark.parametrize("mode", ["iptables", "nftables", "ipvs"])
def test_a_port_that_a_slice_has_not_has_no_endpoint_of_it(kpsim: Shell, mode: str) -> None:
    one = "[{name: http, port: 8080}, {name: admin}]"
    path = write(SERVICE + SLICE % ("a", "IPv4", BOTH, "10.1.0.1") + SLICE % ("b", "IPv4", one, "10.1.0.2"))
    assert json.loads(kpsim("check", path, "-o", "json").out)["endpoints"] == 2
    told = kpsim("explain", "service", "web", "-f", path, "--set", f"kubeProxy.mode={mode}").out
    http, _, admin = told.partition("port admin")
    assert "10.1.0.2:8080" in http
    assert "10.1.0.1:8081" in admin
    assert "10.1.0.2" not in admin


def test_a_port_of_no_slice_is_rejected(kpsim: Shell) -> None:
    path = write(SERVICE + SLICE % ("a", "IPv4", "[{name: http, port: 8080}, {name: adm, port: 8081}]", "10.1.0.1"))
    rules = kpsim("rules", path).out
    assert 'web:admin has no endpoints" -m tcp --dport 81 -j REJECT' in rules
    assert "10.1.0.1:8080" in rules
    assert "10.1.0.1:8081" not in rules


def test_a_stateful_pod_is_found_by_the_label_its_controller_gives(kpsim: Shell) -> None:
    label = "statefulset.kubernetes.io/pod-name"
    made = (
        "---\napiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: web}\n"
        "spec: {serviceName: web, replicas: 3, template: {metadata: {labels: {app: web}}}}\n"
    )
    answer = kpsim("check", write(SERVICE.replace("app: web}", f"app: web, {label}: web-1}}") + made), "-o", "json")
    document = json.loads(answer.out)
    assert (document["endpoints"], document["warnings"]) == (1, [])


def test_ipv6_endpoints_of_an_nftables_dump_keep_their_address(kpsim: Shell) -> None:
    dump = """table ip6 kube-proxy {
\tmap service-ips {
\t\ttype ipv6_addr . inet_proto . inet_service : verdict
\t\telements = { fd00:96::7 . tcp . 80 : goto service-AAAAAAAA-shop/web/tcp/http }
\t}
\tchain services {
\t\tip6 daddr . meta l4proto . th dport vmap @service-ips
\t}
\tchain nat-prerouting {
\t\ttype nat hook prerouting priority dstnat; policy accept;
\t\tjump services
\t}
\tchain service-AAAAAAAA-shop/web/tcp/http {
\t\tnumgen random mod 1 vmap { 0 : goto endpoint-CCCCCCCC-shop/web/tcp/http__fd00:244::9/8080 }
\t}
\tchain endpoint-CCCCCCCC-shop/web/tcp/http__fd00:244::9/8080 {
\t\tmeta l4proto tcp dnat to [fd00:244::9]:8080
\t}
}
"""
    made = kpsim("import", write(dump, "rules.txt")).out
    assert '"addressType": "IPv6"' in made
    assert '"addresses": ["fd00:244::9"]' in made
    assert '"port": 8080' in made
