"""``import --anonymise``: another dump of the same shape, with none of its words."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kpsim.scenario.starts.addresses import Addresses
from tests.cli.shell import SERVICES, Shell
from tests.unit.test_dumps_import import FILTER, NAT

SECRETS = """\
---
apiVersion: v1
kind: Node
metadata: {name: frankfurt-rack7, labels: {topology.kubernetes.io/zone: eu-acme-1a}}
spec: {podCIDR: 10.77.3.0/24}
status: {addresses: [{type: InternalIP, address: 192.168.44.17}], nodeInfo: {kubeletVersion: v1.34.1}}
---
apiVersion: v1
kind: Service
metadata: {name: ledger, namespace: payments}
spec:
  clusterIP: 10.96.12.34
  selector: {acme.example/team: bank, statefulset.kubernetes.io/pod-name: ledger-1}
  ports: [{name: swift-in, port: 8443, targetPort: swift-port}]
---
apiVersion: v1
kind: Service
metadata: {name: mainframe, namespace: payments}
spec: {type: ExternalName, externalName: zos.acme.example}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: ledger, namespace: payments}
spec:
  replicas: 3
  serviceName: ledger
  selector: {matchLabels: {acme.example/team: bank}}
  template:
    metadata: {labels: {acme.example/team: bank}}
    spec: {containers: [{name: server, ports: [{name: swift-port, containerPort: 9443}]}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: gateway, namespace: payments}
spec:
  ingressClassName: acmeclass
  rules:
    - host: ledger.acme.example
      http:
        paths:
          - {path: /booking/today, pathType: Prefix, backend: {service: {name: ledger, port: {name: swift-in}}}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-x7k2p, namespace: default, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080, protocol: TCP}]
endpoints:
  - {addresses: [10.77.3.9], nodeName: frankfurt-rack7, zone: eu-acme-1a, targetRef: {kind: Pod, name: web-pod-one}}
  - {addresses: [10.77.3.100], nodeName: frankfurt-rack7, zone: eu-acme-1a, targetRef: {kind: Pod, name: web-pod-two}}
"""
WORDS = (
    *("frankfurt", "rack7", "acme", "payments", "ledger", "bank", "swift", "mainframe", "zos", "gateway", "booking"),
    *("today", "x7k2p", "pod-one", "team", "192.168.44", "10.77.3", "203.0.113.7", "198.51.100.0", "nobody", "front"),
    *("door", "dump.yaml"),
)
SHORT = ("--set", "run.duration=12s", "--set", "run.warmup=2s", "--set", "run.packets=5k", "--replications", "1")


@pytest.fixture
def dump(kpsim: Shell) -> str:
    return kpsim.write("dump.yaml", SERVICES + SECRETS)


def test_no_word_and_no_address_of_the_dump_is_left(kpsim: Shell, dump: str) -> None:
    plain = kpsim("import", dump).out
    answer = kpsim("import", dump, "--anonymise")
    assert answer.code == 0
    for word in WORDS:
        assert word in plain, "else it is no test"
        assert word not in answer.out, word
    kept = yaml.safe_load(answer.out)
    assert kept["metadata"] == {"name": "anonymous-cluster", "description": ""}
    assert kpsim("import", dump, "--anonymise").out == answer.out, "the same dump gives the same bytes"


def results(kpsim: Shell, file: str) -> list[Any]:
    """What check and run say of a file, without what names things."""
    found = [
        kpsim("check", file, "-o", "json").json,
        kpsim("run", file, *SHORT, "--jobs", "1", "-q", "--out", "out", "-o", "json").json,
    ]
    for document in found:
        for key in ("scenario", "warnings", "provenance"):
            document.pop(key, None)
        for limit in document["limits"]:
            limit["source"] = re.sub(r"[0-9.]+/[0-9]+", "RANGE", limit["source"])
    return found


@pytest.mark.parametrize("text", [SERVICES + SECRETS, NAT + FILTER], ids=["objects", "rules"])
def test_check_and_run_answer_the_same(kpsim: Shell, text: str) -> None:
    given = kpsim.write("given.txt" if text.startswith("*") else "given.yaml", text)
    kpsim("import", given, "--out", "plain.yaml")
    kpsim("import", given, "--anonymise", "--out", "other.yaml")
    for plain, other in zip(results(kpsim, "plain.yaml"), results(kpsim, "other.yaml"), strict=True):
        assert plain == other


def test_what_selects_and_is_called_after_something_still_does(kpsim: Shell, dump: str) -> None:
    objects = yaml.safe_load(kpsim("import", dump, "--anonymise").out)["spec"]["objects"]
    stateful = next(each for each in objects if each["kind"] == "StatefulSet")
    service = next(each for each in objects if each["spec"].get("clusterIP", "").startswith("10.96."))
    backend = next(each for each in objects if each["kind"] == "Ingress")["spec"]["rules"][0]["http"]["paths"][0]
    name = service["metadata"]["name"]
    assert name == stateful["metadata"]["name"] == stateful["spec"]["serviceName"]
    assert service["spec"]["selector"]["statefulset.kubernetes.io/pod-name"] == f"{name}-1"
    assert backend["backend"]["service"] == {"name": name, "port": {"name": service["spec"]["ports"][0]["name"]}}
    template = stateful["spec"]["template"]
    assert template["metadata"]["labels"].items() <= service["spec"]["selector"].items()
    assert service["spec"]["ports"][0]["targetPort"] == template["spec"]["containers"][0]["ports"][0]["name"]


def test_a_scenario_is_not_anonymised(kpsim: Shell) -> None:
    answer = kpsim("import", kpsim.small(), "--anonymise")
    assert answer.code == 3
    assert "is a scenario, and only what a cluster gave is anonymised" in answer.err


OCTET = st.integers(0, 255)
IP = st.tuples(st.sampled_from([10, 52, 172, 192]), OCTET, st.integers(0, 3), OCTET).map(
    lambda o: ".".join(map(str, o))
)
CIDR = st.tuples(IP, st.integers(8, 32)).map(
    lambda pair: str(ipaddress.ip_network("/".join(map(str, pair)), strict=False))
)


@given(st.lists(IP, min_size=1, max_size=40, unique=True), st.lists(CIDR, max_size=5), st.integers(0, 9))
def test_addresses_stay_apart_in_their_ranges_and_in_order(ips: list[str], ranges: list[str], seed: int) -> None:
    addresses = Addresses(np.random.default_rng(seed))
    for text in (*ips, *ranges):
        addresses.see(text)
    new = {ip: addresses.of(ip) for ip in ips}
    assert len(set(new.values())) == len(ips)
    assert sorted(ips) == sorted(ips, key=new.__getitem__), "as text, which is how kube-proxy sorts endpoints"
    for cidr in ranges:
        moved = ipaddress.ip_network(addresses.of(cidr))
        for ip in ips:
            was = ipaddress.ip_address(ip) in ipaddress.ip_network(cidr)
            assert was == (ipaddress.ip_address(new[ip]) in moved)
    for cidr in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"):
        private = ipaddress.ip_network(cidr)
        for ip, other in new.items():
            assert (ipaddress.ip_address(ip) in private) == (ipaddress.ip_address(other) in private)


def test_ipv6_addresses_stay_in_their_ranges() -> None:
    addresses = Addresses(np.random.default_rng(1))
    texts = ["fd12:3456:789a::/48", "fd12:3456:789a::17", "2a01:4f8::1", "::1", "fe80::2"]
    for text in texts:
        addresses.see(text)
    cidr, ip, public, loopback, local = map(addresses.of, texts)
    assert ipaddress.ip_address(ip) in ipaddress.ip_network(cidr)
    assert (loopback, local) == ("::1", "fe80::2")
    assert ip != texts[1]
    assert public != texts[2]
