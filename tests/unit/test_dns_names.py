"""What each type of Service answers, record by record, and how large the answers are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kpsim.dns.names import SOME_IPV6, Answer, Kind, Record, Zone, asked_for
from kpsim.dns.wire import EDNS_BYTES, PLAIN_BYTES, answer_bytes, most_addresses, truncated
from kpsim.kube.objects import Endpoint, KubeObjects, Pod, ResolvedService, Service, ServicePort, Workload
from kpsim.kube.resolve import resolve
from kpsim.kube.writer import documents_of
from tests.objects import read_objects

HTTP = ServicePort(80, "http", target_port=8080)
WEB = Service(
    "shop", "web", cluster_ip="10.96.0.9", ports=(HTTP, ServicePort(90, "stats"), ServicePort(53, "x", "UDP"))
)
EACH = Service("shop", "each", cluster_ip="None", ports=(HTTP,))
READY = Endpoint("10.1.0.1", hostname="db-0", pod="shop/db-0")
PLAIN = Endpoint("10.1.0.2", pod="shop/db-1")
UNREADY = Endpoint("10.1.0.3", ready=False, hostname="db-2")
LEAVING = Endpoint("10.1.0.4", ready=False, serving=True, terminating=True, hostname="db-3")
ALL = (READY, PLAIN, UNREADY, LEAVING)


def ask(service: Service, name: str, kind: Kind = "A", endpoints: tuple[Endpoint, ...] = ALL) -> Answer:
    ports = tuple(p.target_port if isinstance(p.target_port, int) and p.target_port else p.port for p in service.ports)
    return Zone.of((ResolvedService(service, endpoints, ports),)).answer(name, kind)


def values(answer: Answer) -> list[str]:
    assert answer.outcome == ("found" if answer.records else answer.outcome)
    return [record.value for record in answer.records]


@pytest.mark.parametrize("endpoints", [ALL, (), (UNREADY,)])
def test_a_cluster_ip_is_answered_whether_or_not_anyone_is_ready(endpoints: tuple[Endpoint, ...]) -> None:
    assert values(ask(WEB, "web.shop.svc.cluster.local", "A", endpoints)) == ["10.96.0.9"]
    assert ask(WEB, "web.shop.svc.cluster.local", "AAAA", endpoints).outcome == "no data"


def test_names_are_told_apart_by_whatever_case() -> None:
    assert values(ask(WEB, "WEB.Shop.svc.Cluster.Local.")) == ["10.96.0.9"]


def test_a_headless_service_answers_with_ready_endpoints_only() -> None:
    name = "each.shop.svc.cluster.local"
    assert values(ask(EACH, name)) == ["10.1.0.1", "10.1.0.2"]
    assert ask(EACH, name, "A", (UNREADY, LEAVING)).outcome == "NXDOMAIN"
    assert ask(EACH, name, "AAAA").outcome == "no data"


def test_a_headless_service_without_ports_has_addresses_all_the_same() -> None:
    assert values(ask(replace(EACH, ports=()), "each.shop.svc.cluster.local")) == ["10.1.0.1", "10.1.0.2"]


def test_host_names_are_endpoints_own_or_made_of_their_address() -> None:
    assert values(ask(EACH, "db-0.each.shop.svc.cluster.local")) == ["10.1.0.1"]
    assert values(ask(EACH, "10-1-0-2.each.shop.svc.cluster.local")) == ["10.1.0.2"]
    for gone in ("db-2", "db-3", "10-1-0-1"):
        assert ask(EACH, f"{gone}.each.shop.svc.cluster.local").outcome == "NXDOMAIN"


def test_publish_not_ready_addresses_answers_with_all() -> None:
    pods = (
        Pod("shop", "db-0", (("app", "db"),), "10.1.0.1", ready=False, hostname="db-0", subdomain="early"),
        Pod("shop", "db-1", (("app", "db"),), "10.1.0.2", terminating=True, hostname="db-1", subdomain="other"),
    )
    early = replace(EACH, name="early", publish_not_ready_addresses=True, selector=(("app", "db"),))
    found = resolve(KubeObjects((early,), pods=pods), "10.96.0.0/12", (30000, 32767), nodes=1)[0]
    zone = Zone.of(found)
    assert values(zone.answer("early.shop.svc.cluster.local", "A")) == ["10.1.0.1", "10.1.0.2"]
    assert values(zone.answer("db-0.early.shop.svc.cluster.local", "A")) == ["10.1.0.1"]
    assert zone.answer("db-1.early.shop.svc.cluster.local", "A").outcome == "NXDOMAIN"  # its subdomain is another's
    patient = replace(early, publish_not_ready_addresses=False)
    found = resolve(KubeObjects((patient,), pods=pods), "10.96.0.0/12", (30000, 32767), nodes=1)[0]
    assert Zone.of(found).answer("early.shop.svc.cluster.local", "A").outcome == "NXDOMAIN"


def test_a_stateful_sets_pods_have_its_names_below_its_own_service() -> None:
    made = Workload("StatefulSet", "shop", "db", 2, (("app", "db"),), service_name="each")
    services = (replace(EACH, selector=(("app", "db"),)), replace(EACH, name="also", selector=(("app", "db"),)))
    zone = Zone.of(resolve(KubeObjects(services, workloads=(made,)), "10.96.0.0/12", (30000, 32767), nodes=1)[0])
    assert zone.answer("db-1.each.shop.svc.cluster.local", "A").outcome == "found"
    assert {r.value for r in zone.answer("each.shop.svc.cluster.local", "SRV").records} == {
        f"0 50 8080 db-{i}.each.shop.svc.cluster.local" for i in range(2)
    }


def test_an_external_name_is_a_cname_for_every_kind_and_has_nothing_below() -> None:
    far = Service("shop", "far", "ExternalName", external_name="DB.example.com.")
    for kind in ("A", "AAAA"):
        answer = ask(far, "far.shop.svc.cluster.local", kind, ())
        assert answer.records == (Record("far.shop.svc.cluster.local", "CNAME", "db.example.com"),)
    assert ask(far, "x.far.shop.svc.cluster.local", "A", ()).outcome == "NXDOMAIN"


def test_every_named_port_has_an_srv_record() -> None:
    assert values(ask(WEB, "_http._tcp.web.shop.svc.cluster.local", "SRV")) == ["0 100 80 web.shop.svc.cluster.local"]
    assert values(ask(WEB, "_x._udp.web.shop.svc.cluster.local", "SRV")) == ["0 100 53 web.shop.svc.cluster.local"]
    assert ask(WEB, "_x._tcp.web.shop.svc.cluster.local", "SRV").outcome == "NXDOMAIN"
    assert values(ask(EACH, "_http._tcp.each.shop.svc.cluster.local", "SRV")) == [
        "0 50 8080 db-0.each.shop.svc.cluster.local",
        "0 50 8080 10-1-0-2.each.shop.svc.cluster.local",
    ]
    unnamed = replace(WEB, ports=(ServicePort(80),))
    assert ask(unnamed, "web.shop.svc.cluster.local", "SRV").outcome == "no data"


def test_addresses_lead_back_to_names() -> None:
    assert values(ask(WEB, "9.0.96.10.in-addr.arpa", "PTR")) == ["web.shop.svc.cluster.local"]
    assert values(ask(EACH, "1.0.1.10.in-addr.arpa", "PTR")) == ["db-0.each.shop.svc.cluster.local"]
    for nobody in ("3.0.1.10.in-addr.arpa", "8.8.8.8.in-addr.arpa"):
        assert ask(EACH, nobody, "PTR").outcome == "forwarded"


def test_a_dual_stack_service_has_both() -> None:
    both = replace(WEB, ip_families=("IPv4", "IPv6"))
    assert values(ask(both, "web.shop.svc.cluster.local")) == ["10.96.0.9"]
    assert values(ask(both, "web.shop.svc.cluster.local", "AAAA")) == [SOME_IPV6]
    pods = replace(EACH, ip_families=("IPv4", "IPv6"))
    assert len(ask(pods, "each.shop.svc.cluster.local", "AAAA").records) == 2
    six = replace(WEB, cluster_ip="fd00::9", ip_families=("IPv6",))
    assert ask(six, "web.shop.svc.cluster.local", "A").outcome == "no data"
    assert values(ask(six, "web.shop.svc.cluster.local", "AAAA")) == ["fd00::9"]


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("cluster.local", "no data"),
        ("svc.cluster.local", "no data"),
        ("shop.svc.cluster.local", "no data"),
        ("nowhere.svc.cluster.local", "NXDOMAIN"),
        ("web.nowhere.svc.cluster.local", "NXDOMAIN"),
        ("wbe.shop.svc.cluster.local", "NXDOMAIN"),
        ("a.b.c.web.shop.svc.cluster.local", "NXDOMAIN"),
        ("www.example.com.cluster.local", "NXDOMAIN"),
        ("www.example.com", "forwarded"),
        ("notcluster.local", "forwarded"),
    ],
)
def test_names_that_are_no_services(name: str, outcome: str) -> None:
    assert ask(WEB, name).outcome == outcome


@pytest.mark.parametrize(
    ("text", "name", "kinds"),
    [
        ("web.shop", "web.shop", ("A", "AAAA")),
        ("_http._tcp.web", "_http._tcp.web", ("SRV",)),
        ("10.96.0.9", "9.0.96.10.in-addr.arpa.", ("PTR",)),
        ("9.0.96.10.in-addr.arpa", "9.0.96.10.in-addr.arpa.", ("PTR",)),
    ],
)
def test_what_a_text_asks_for(text: str, name: str, kinds: tuple[Kind, ...]) -> None:
    assert asked_for(text) == (name, kinds)


def many(n: int, name: str = "each.shop.svc.cluster.local") -> Answer:
    return Answer(name, "A", "found", tuple(Record(name, "A", f"10.1.{i >> 8}.{i & 255}") for i in range(n)))


def test_answer_sizes_byte_by_byte() -> None:
    # header 12, question 4 + 1 + 5 + 4 + 8 + 6 + 1 and 4, and 16 an address
    assert answer_bytes(many(1)) == 12 + 29 + 4 + 16
    assert answer_bytes(many(1), edns=True) == 12 + 29 + 4 + 16 + 11
    six = Answer("a.b", "AAAA", "found", (Record("a.b", "AAAA", "fd00::1"),))
    assert answer_bytes(six) == 12 + 5 + 4 + 28
    named = Answer("a.b", "SRV", "found", (Record("a.b", "SRV", "0 100 80 web.b"),))
    assert answer_bytes(named) == 12 + 5 + 4 + 18 + 7


@pytest.mark.parametrize(("edns", "limit", "about"), [(False, PLAIN_BYTES, 28), (True, EDNS_BYTES, 73)])
def test_so_many_addresses_fit_into_one_packet(edns: bool, limit: int, about: int) -> None:
    name = "a-service-of-usual-length.shop.svc.cluster.local"  # with header and question about 60 bytes
    most = most_addresses(name, edns=edns)
    assert abs(most - about) <= 1
    assert not truncated(many(most, name), edns=edns)
    assert truncated(many(most + 1, name), edns=edns)
    assert answer_bytes(many(most, name), edns=edns) <= limit


def test_host_names_survive_being_written_and_read(tmp_path: Path) -> None:
    pods = (Pod("shop", "db-0", hostname="db-0", subdomain="each"),)
    made = (Workload("StatefulSet", "shop", "db", 2, service_name="each"),)
    objects = KubeObjects(pods=pods, workloads=made)
    text = json.dumps({"kind": "List", "items": list(documents_of(objects))})
    (tmp_path / "all.json").write_text(text, encoding="utf-8")
    read = read_objects([tmp_path / "all.json"])
    assert (read.pods, read.workloads) == (pods, made)
