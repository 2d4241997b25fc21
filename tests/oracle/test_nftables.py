"""kube-proxy's own expectations of its nftables mode, as data: chains, elements, packet verdicts, what syncs send."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest

from kpsim.modes.nftables.program import program
from kpsim.modes.nftables.rules import NftRules, chain_base
from kpsim.modes.nftables.text import load_lines
from kpsim.modes.nftables.tracer import trace
from kpsim.proxy.node import EndpointInfo, NodeConfig, PortInfo, port_states
from kpsim.proxy.rules import Packet
from tests.models.nftables_writer import LINGER_S, TableWriter
from tests.oracle.inputs import Case, cases, config_of, objects_of
from tests.oracle.steps import Cast

CASES = list(cases("nftables"))
Expected = dict[str, Any]


def with_key(*keys: str) -> list[Any]:
    return [pytest.param(c, id=c["name"]) for c in CASES if set(keys) & (set(c.get("expected") or {}) | set(c))]


def rules_of(content: Expected, config: NodeConfig) -> NftRules:
    return program(port_states(objects_of(content), config), config)


def check_flows(rules: NftRules, config: NodeConfig, flows: list[Expected]) -> None:
    for flow in flows:
        found = trace(rules, config, Packet(flow["src"], flow["dst"], flow["dport"], flow["protocol"]))
        assert found.verdict == {"dnat": "DNAT"}.get(flow["result"], flow["result"]), (flow["case"], found)
        assert sorted(found.endpoints) == sorted(flow.get("endpoints", [])), (flow["case"], found)
        assert found.masqueraded == flow.get("masquerade", False), (flow["case"], found)


@pytest.mark.parametrize("case", with_key("flows"))
def test_packets_end_where_kube_proxy_says(case: Case) -> None:
    config = config_of(case)
    rules = rules_of(case["input"], config)
    check_flows(rules, config, case["expected"]["flows"])
    check_flows(rules, config, (case.get("derived_not_in_test") or {}).get("flows", []))
    if after := case["expected"].get("after_slice_delete"):
        check_flows(rules_of({**case["input"], "endpointSlices": []}, config), config, after["flows"])


def label(chain: str) -> str:
    """``service-HASH-ns/name/tcp/port`` as the cases write it: ``service ns/name:port``, then an endpoint's address."""
    found = re.fullmatch(r"([a-z]+)-[A-Z2-7]{8}-([^/]+/[^/]+)/[a-z]+/([^/]*?)(?:__(.+)/(\d+))?", chain)
    if not found:
        return chain
    kind, service, port, ip, number = found.groups()
    return f"{kind} {service}" + (f":{port}" if port else "") + (f" {ip}:{number}" if ip else "")


@pytest.mark.parametrize("case", with_key("tables", "elements", "affinity_sets", "totals"))
def test_the_table_holds_what_kube_proxy_puts_there(case: Case) -> None:
    rules = rules_of(case["input"], config_of(case))
    elements = {name: len(found) for name, found in rules.elements.items()}
    found = {
        "tables": {"kube-proxy": {label(name): len(chain) for name, chain in rules.chains.items()}},
        "elements": elements,
        "affinity_sets": len(rules.affinity),
        "totals": {
            "chains": len(rules.chains),
            "rules": sum(map(len, rules.chains.values())),
            "elements": sum(elements.values()),
        },
    }
    wanted = {key: value for key, value in case["expected"].items() if key != "flows"}
    assert {key: found[key] for key in wanted} == wanted


@pytest.mark.parametrize("case", with_key("hash8", "endpoint_hash8"))
def test_chains_are_called_what_kube_proxy_calls_them(case: Case) -> None:
    expected = case["expected"]
    for name, hash8 in expected.get("hash8", {}).items():
        namespace, service, protocol, port = name.split("/")
        assert chain_base(PortInfo(namespace, service, port, protocol, "", 0)) == f"{hash8}-{name}"
    for words, hash8 in expected.get("endpoint_hash8", {}).items():
        ip, number, namespace, service, port = re.split(r":| of |/| ", words)
        info = PortInfo(namespace, service, port, "TCP", "", 0)
        assert chain_base(info, EndpointInfo(ip, int(number))).startswith(f"{hash8}-{namespace}/{service}/tcp/{port}__")


def pattern(form: str) -> str:
    """A name's form, ``<alternatives>`` and ``[what may be missing]``, as a regular expression."""
    text = re.sub(r"\[(.+?)\]", r"(?:\1)?", form).replace("<hash8>", "[A-Z2-7]{8}").replace("__ip/port", r"__[^/]+/\d+")
    return re.sub(r"<(\w+)>", r"[^/]*?", re.sub(r"<(\w+(?:\|\w+)+)>", r"(?:\1)", text))


@pytest.mark.parametrize("case", with_key("form"))
def test_names_have_the_form_kube_proxy_gives_them(case: Case) -> None:
    form = pattern(case["expected"]["form"])
    seen = Counter[str]()
    for other in (c for c in CASES if "services" in c.get("input", {})):
        rules = rules_of(other["input"], config_of(other))
        for name in rules.owner:
            assert re.fullmatch(form, name), name
            seen[name.partition("-")[0]] += 1
    assert set(seen) == {"service", "local", "external", "firewall", "endpoint", "affinity"}


# ── Syncs ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def enter(cast: Cast, clause: str) -> None:
    """Who is there, in a summary's words: each Service named has one endpoint unless it says otherwise."""
    for gains, name, words in re.findall(r"(an endpoint to )?(svc\d+)( \([^)]*\)| with.*? endpoints?)?", clause):
        if gains:
            cast.act(f"{name} gains an endpoint")
            continue
        count = re.search(r"\d+", words)
        cast.act(f"add {name} without endpoints" if "without" in words else f"add {name}")
        for _ in range(int(count[0]) - 1 if count else 0):
            cast.act(f"{name} gains an endpoint")


def put_on_stage(cast: Cast, summary: str, words: str) -> None:
    """The clause of a summary in which ``words`` stand."""
    enter(cast, next(clause for clause in summary.split(";") if re.search(words, clause)))


@pytest.mark.parametrize("case", with_key("steps"))
def test_each_sync_sends_what_kube_proxy_sends(case: Case) -> None:
    cast, writer = Cast(), TableWriter(config_of(case))
    put_on_stage(cast, case["input"]["summary"], "starts with|already")
    writer.sync(cast.states(), (), 0.0)
    for number, step in enumerate(case["steps"], start=1):
        changed = cast.act(step["do"])
        report = writer.sync(cast.states(), changed, 2 * LINGER_S * number)
        found = {"nft_operations": len(report.operations), "stale_chains_left": len(writer.lingering)}
        wanted = {key: value for key, value in step.items() if key != "do"}
        assert {key: found[key] for key in wanted} == wanted, step["do"]
        assert not report.full


@pytest.mark.parametrize("case", with_key("operations_beyond_base_setup"))
def test_a_start_keeps_what_the_kernel_has(case: Case) -> None:
    config, cast = config_of(case), Cast()
    setup = len(TableWriter(config).sync([], (), 0.0).operations)
    put_on_stage(cast, case["input"]["summary"], "kernel already holds")
    kernel = program(cast.states(), config)
    put_on_stage(cast, case["input"]["summary"], "wanted")
    report = TableWriter(config, kernel).sync(cast.states(), (), 0.0)
    assert len(report.operations) - setup == case["expected"]["operations_beyond_base_setup"]


def test_no_case_is_left_out() -> None:
    """Every expectation is taken by a test, so that a new kind is noticed."""
    taken = {"flows", "after_slice_delete", "tables", "elements", "affinity_sets", "totals", "hash8", "endpoint_hash8",
             "form", "operations_beyond_base_setup"}  # fmt: skip
    for case in CASES:
        assert set(case.get("expected") or {}) <= taken, case["name"]
        assert "steps" in case or case["expected"], case["name"]
        assert set(case.get("derived_not_in_test") or {}) <= {"flows"}, case["name"]


# ── What follows from the rules ──────────────────────────────────────────────────────────────────────────────────────

HOME = NodeConfig(name="test-node", node_ips=("192.168.0.2",), pod_cidr="10.0.0.0/8", service_cidrs=("172.30.0.0/16",))


def test_the_base_is_that_of_kubernetes_1_34() -> None:
    rules = program([], HOME)
    assert len(rules.chains) == 16
    assert sum(map(len, rules.chains.values())) == 23


@pytest.mark.parametrize("services", [1, 40])
def test_a_first_packet_meets_fifteen_rules_however_many_services_there_are(services: int) -> None:
    cast = Cast()
    for k in range(1, services + 1):
        cast.act(f"add svc{k}")
        cast.act(f"svc{k} gains an endpoint")
    rules = program(cast.states(), HOME)
    for draw in (0, 2**32 - 1):
        assert trace(rules, HOME, Packet("10.9.9.9", "172.30.0.41", 80), draw=draw).evaluated == 15
        assert trace(rules, HOME, Packet("203.0.113.9", "172.30.0.41", 80), draw=draw).evaluated == 18
    assert trace(rules, HOME, Packet("10.9.9.9", "10.0.0.1", 80), known=True).evaluated == 3


def test_a_table_loads_as_it_was_programmed() -> None:
    """Every rule and element stands in the text once, and nothing is named before it is declared."""
    cast = Cast()
    enter(cast, "svc1 (2 endpoints), svc2 without endpoints, svc3")
    rules = program(cast.states(), HOME)
    lines = list(load_lines(rules))
    declared = set()
    for line in lines:
        declared |= set(re.findall(r"^add (?:chain|set|map) ip kube-proxy (\S+)", line))
        said = re.sub(r'comment "[^"]*"', "", line)
        assert set(re.findall(r"(?:goto|jump|@) ?(\S+)", said)) <= declared, line
    counts = Counter(line.split()[1] for line in lines if line.startswith("add "))
    assert counts["rule"] == sum(map(len, rules.chains.values()))
    assert counts["element"] == sum(map(len, rules.elements.values()))


def test_a_failed_sync_changes_nothing_and_the_next_is_full() -> None:
    cast, writer = Cast(), TableWriter(HOME)
    cast.act("add svc1")
    writer.sync(cast.states(), (), 0.0)
    before = writer.kernel
    changed = cast.act("add svc2")
    assert not writer.sync(cast.states(), changed, 2.0, fails=True).full
    assert writer.kernel is before
    assert writer.sync(cast.states(), (), 32.0).full
    assert writer.kernel.chains.keys() > before.chains.keys()
