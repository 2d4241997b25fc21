"""``kpsim explain dns``: a lookup told step by step, for dumps and scenarios, right names and wrong ones."""

from __future__ import annotations

import json

import pytest

from tests.cli.shell import SERVICES, Answer, Shell


def explain(kpsim: Shell, name: str, *args: str) -> Answer:
    return kpsim("explain", "dns", name, "-f", kpsim.write("objects.yaml", SERVICES), *args)


def test_a_short_name_is_found_at_the_first_try(kpsim: Shell) -> None:
    answer = explain(kpsim, "web")
    assert answer.code == 0
    assert answer.err == ""
    assert "search default.svc.cluster.local svc.cluster.local cluster.local\n" in answer.out
    assert "  1. web.default.svc.cluster.local\n       A: 10.96." in answer.out
    assert "TTL 30 s" in answer.out
    assert "2 queries in 1 try: 0.269 ms [0.166, 0.627] without load" in answer.out
    assert "  2. " not in answer.out


def test_a_qualified_name_walks_the_search_path_first(kpsim: Shell) -> None:
    said = explain(kpsim, "web.default.svc.cluster.local").out
    tried = [line.split(". ")[1] for line in said.splitlines() if line[2:3].isdigit() and line[3:5] == ". "]
    name = "web.default.svc.cluster.local"
    assert tried == [f"{name}.default.svc.cluster.local", f"{name}.svc.cluster.local", f"{name}.cluster.local", name]
    assert said.count("NXDOMAIN") == 6
    assert "8 queries in 4 tries" in said
    assert "6 queries fewer" in said
    assert "before 5.1 0.4 % of lookups [0, 4] wait 5 s more, because conntrack drops one of a pair [A31]" in said
    once = explain(kpsim, "web.default.svc.cluster.local.").out
    assert "2 queries in 1 try" in once
    assert "fewer" not in once
    assert "2 queries in 1 try" in explain(kpsim, name, "--ndots", "4").out


def test_the_namespace_asked_from_decides_what_a_short_name_means(kpsim: Shell) -> None:
    answer = explain(kpsim, "web", "--from-namespace", "other")
    assert answer.code == 0
    assert "1. web.other.svc.cluster.local\n       A: NXDOMAIN" in answer.out
    assert "=> NXDOMAIN: the lookup fails; did you mean web.default?" in answer.out


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("wbe", "did you mean web?"),
        ("far", "A: CNAME db.example.com"),
        ("each", "=> each.default.svc.cluster.local: 3 addresses"),
        ("lost", "Service default/lost has no ready endpoint; its name is answered all the same"),
        ("_http._tcp.web", "SRV: 0 100 80 web.default.svc.cluster.local"),
        ("_web._tcp.web", "=> no such record: Service default/web has no port of that name and protocol"),
        ("www.example.com", "with its last dot, it is the first name tried: 6 queries fewer"),
        ("www.example.com", "4. www.example.com\n       A: outside the cluster, so CoreDNS asks its upstream"),
        ("web.default.", "did you mean web.default.svc.cluster.local.?"),
    ],
)
def test_every_kind_of_name_is_explained(kpsim: Shell, name: str, says: str) -> None:
    answer = explain(kpsim, name)
    assert answer.code == 0
    assert says in answer.out


def test_an_address_is_asked_backwards(kpsim: Shell) -> None:
    ip = explain(kpsim, "door").out.split("A: ")[1].split(",")[0]
    assert "PTR: door.default.svc.cluster.local" in explain(kpsim, ip).out


def test_a_headless_service_with_nobody_ready_is_not_there(kpsim: Shell) -> None:
    text = SERVICES.replace(
        "selector: {app: web}, ports: [{port: 8080}]", "selector: {app: nobody}, ports: [{port: 1}]"
    )
    said = kpsim("explain", "dns", "each", "-f", kpsim.write("empty.yaml", text)).out
    assert "1. each.default.svc.cluster.local\n       A: NXDOMAIN" in said
    assert "Service default/each is headless, and while none of its endpoints is ready its name is not there." in said


def test_services_of_groups_have_names_too(kpsim: Shell) -> None:
    said = kpsim("explain", "dns", "web-1", "-f", kpsim.small()).out
    assert "=> web-1.default.svc.cluster.local: 1 address" in said
    ip = said.split("A: ")[1].split(",")[0]
    assert "PTR: web-1.default.svc.cluster.local" in kpsim("explain", "dns", ip, "-f", "small.yaml").out
    assert "did you mean web-1?" in kpsim("explain", "dns", "web-11", "-f", "small.yaml").out


def test_a_large_headless_answer_goes_over_tcp(kpsim: Shell) -> None:
    text = SERVICES.replace("replicas: 3", "replicas: 40")
    said = kpsim("explain", "dns", "each", "-f", kpsim.write("large.yaml", text)).out
    assert "and 36 more" in said
    assert "do not fit into 512: asked again over TCP" in said
    assert "3 queries in 1 try" in said


def test_the_scenario_says_which_library_and_cache(kpsim: Shell) -> None:
    said = explain(kpsim, "web", "--set", "dns.library=musl", "--set", "dns.nodeLocal=true", "--set", "dns.ndots=2").out
    assert "(musl, ndots:2)" in said
    assert "the node keeps it 30 s" in said
    assert "the node keeps that 5 s" in said
    assert "when the node's cache has every answer" in said
    assert "conntrack" not in said


def test_as_json(kpsim: Shell) -> None:
    found = explain(kpsim, "web.default", "-o", "json").json
    assert (found["outcome"], found["tries"], found["queries"]) == ("found", 2, 4)
    assert [step["found"] for step in found["steps"]] == [False, True]
    assert found["expected_s"]["low"] < found["expected_s"]["value"] < found["expected_s"]["high"]
    json.dumps(found)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("a..b",), "NAME: 'a..b' is no name that DNS could hold\n    letters, digits"),
        (("x" * 64,), "is no name that DNS could hold"),
        (("web", "--ndots", "16"), "--ndots: resolv.conf has no ndots:16\n    0 to 15"),
        (("web", "--ndots=-1"), "--ndots: resolv.conf has no ndots:-1"),
        (
            ("web", "--from-namespace", "No Such"),
            "--from-namespace: 'No Such' is not the name of a namespace\n    lower",
        ),
        (("web", "--set", "dns.names=long"), "names"),
    ],
)
def test_what_cannot_be_is_refused_with_a_mend(kpsim: Shell, args: tuple[str, ...], says: str) -> None:
    answer = explain(kpsim, *args)
    assert answer.code == 3
    assert says in answer.err
    assert answer.out == ""
