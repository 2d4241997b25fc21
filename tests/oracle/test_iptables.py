"""kube-proxy's own expectations of its iptables mode, as data: rules by chain, packet verdicts, what syncs write."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest

from kpsim.modes.iptables.program import program
from kpsim.modes.iptables.tracer import trace
from kpsim.proxy.node import EndpointInfo, NodeConfig, PortInfo, PortState, categorize, port_states
from kpsim.proxy.rules import FILTER, Packet, RuleSet, chain_name
from tests.models.iptables_writer import RuleWriter, SyncReport
from tests.oracle.inputs import Case, cases, config_of, objects_of
from tests.oracle.steps import Cast

CASES = list(cases("iptables"))
Flows = list[dict[str, Any]]


def with_key(*keys: str) -> list[Any]:
    return [pytest.param(c, id=c["name"]) for c in CASES if any(k in (c.get("expected") or {}) for k in keys)]


def states_of(content: dict[str, Any], config: NodeConfig) -> tuple[PortState, ...]:
    return port_states(objects_of(content), config)


def rules_of(case: Case) -> RuleSet:
    config = config_of(case)
    return program(states_of(case["input"], config), config)


def check_flows(rules: RuleSet, config: NodeConfig, flows: Flows) -> None:
    for flow in flows:
        packet = Packet(flow["src"], flow["dst"], flow["dport"], flow["protocol"])
        found = trace(rules, config, packet)
        wanted = {"dnat": "DNAT"}.get(flow["result"], flow["result"])
        assert found.verdict == wanted, (flow["case"], found)
        assert sorted(found.endpoints) == sorted(flow.get("endpoints", [])), (flow["case"], found)
        assert found.masqueraded == flow.get("masquerade", False), (flow["case"], found)


@pytest.mark.parametrize("case", with_key("flows"))
def test_packets_end_where_kube_proxy_says(case: Case) -> None:
    config = config_of(case)
    check_flows(rules_of(case), config, case["expected"]["flows"])
    after = case["expected"].get("after_slice_delete")
    if after:
        bare = {**case["input"], "endpointSlices": []}
        check_flows(program(states_of(bare, config), config), config, after["flows"])
    if "kube_firewall_rule_present" in case["expected"]:
        there = bool(rules_of(case).chains.get("KUBE-FIREWALL" + FILTER))
        assert there == case["expected"]["kube_firewall_rule_present"]


def full_name(key: str, rules: RuleSet, states: tuple[PortState, ...]) -> str:
    """``SVC ns/name:port`` and its kin as chain names."""
    kind, _, rest = key.partition(" ")
    if not rest:
        return key
    label, _, endpoint = rest.partition(" ")
    info = next(s.info for s in states if s.info.label == label)
    return chain_name(kind, label, info.protocol, endpoint)


@pytest.mark.parametrize("case", with_key("tables", "totals"))
def test_chains_have_the_rules_kube_proxy_gives_them(case: Case) -> None:
    rules = rules_of(case)
    states = states_of(case["input"], config_of(case))
    for table, chains in (case["expected"].get("tables") or {}).items():
        for key, count in chains.items():
            name = full_name(key, rules, states) + (FILTER if table == "filter" else "")
            assert len(rules.chains.get(name, ())) == count, (table, key)
    totals = case["expected"].get("totals") or {}
    found = {
        "nat_rules": rules.count("nat"),
        "filter_rules": rules.count("filter"),
        "nat_chains": sum(not name.endswith(FILTER) for name in rules.chains),
        "filter_chains": sum(name.endswith(FILTER) for name in rules.chains),
    }
    assert {key: found[key] for key in totals} == totals


@pytest.mark.parametrize("case", [pytest.param(c, id=c["name"]) for c in CASES if re.search("hash names", str(c))])
def test_chains_are_called_what_kube_proxy_calls_them(case: Case) -> None:
    text = " ".join(case["notes"])
    states = states_of(case["input"], config_of(case))
    known = {s.info.name: (chain_name("SVC", s.info.label, s.info.protocol), s.info, s.endpoints) for s in states}
    exact = re.findall(r"(KUBE-SVC-\w{16})=ns\d+/(svc\d+)", text)
    suffixes = re.findall(r"(svc\d+) (?:SVC suffix )?([A-Z2-7]{16})", text)
    assert exact or suffixes
    for name, service in exact:
        assert known[service][0] == name
    for service, suffix in suffixes:
        assert known[service][0].endswith(suffix)
    for name in re.findall(r"KUBE-SEP-\w{16}", text):
        _, info, endpoints = known[exact[0][1]]
        assert name in {chain_name("SEP", info.label, info.protocol, e.address) for e in endpoints}


@pytest.mark.parametrize("case", with_key("rule_for_lb_ip"))
def test_a_load_balancer_address_in_proxy_mode_gets_no_rule(case: Case) -> None:
    for mode, wanted in case["expected"]["rule_for_lb_ip"].items():
        content = copy.deepcopy(case["input"])
        for service in content["services"]:
            for ingress in service["status"]["loadBalancer"]["ingress"]:
                ingress.pop("ipMode", None)
                if (value := mode.removeprefix("ipMode ")) != "unset":
                    ingress["ipMode"] = value
        config = config_of(case)
        rules = program(states_of(content, config), config)
        ips = [i["ip"] for s in content["services"] for i in s["status"]["loadBalancer"]["ingress"]]
        assert any(r.destination in ips for r in rules.chains["KUBE-SERVICES"]) == wanted, mode


@pytest.mark.parametrize("case", with_key("probability"))
def test_probabilities_are_printed_with_ten_digits(case: Case) -> None:
    for left, text in case["expected"]["probability"].items():
        assert f"{1 / int(left):.10f}" == text
    info = PortInfo("ns", "s", "p", "TCP", "172.30.0.1", 80)
    endpoints = tuple(EndpointInfo(f"10.0.0.{i}", 80) for i in range(10))
    rules = program([PortState(info, endpoints)], NodeConfig())
    first = rules.chains[chain_name("SVC", info.label, "TCP")][1]
    assert f"--probability {case['expected']['probability'][10]}" in first.render("KUBE-SVC")


def table_cases(*columns: str) -> list[Any]:
    return [
        pytest.param(c, id=c["name"])
        for c in CASES
        if set(columns) <= set(((c.get("expected") or {}).get("table") or [{}])[0])
    ]


@pytest.mark.parametrize("case", table_cases("services", "endpoints_per_service"))
def test_rules_by_number_of_services(case: Case) -> None:
    config = config_of(case)
    for row in case["expected"]["table"]:
        states = [
            PortState(
                PortInfo("ns", f"svc{s}", "p80", "TCP", f"172.30.{s >> 8}.{s & 255}", 80),
                tuple(EndpointInfo(f"10.{s}.0.{e}", 80) for e in range(row["endpoints_per_service"])),
            )
            for s in range(row["services"])
        ]
        rules = program(states, config)
        assert (rules.count("nat"), rules.count("filter")) == (row["nat"], row["filter"]), row


@pytest.mark.parametrize("case", table_cases("no_local_endpoints_internal"))
def test_policies_without_a_local_endpoint_are_counted(case: Case) -> None:
    config = config_of(case)
    kinds = {"none local": (False,), "at least one local": (True, False), "no endpoints": ()}
    for row in case["expected"]["table"]:
        local = next(flags for words, flags in kinds.items() if words in row["endpoints"])
        info = PortInfo(
            "ns1", "svc1", "p80", "TCP", "172.30.1.1", 80, type="NodePort", node_port=123,
            internal_local=row["internalTrafficPolicy"] == "Local",
            external_policy_local=row["externalTrafficPolicy"] == "Local",
        )  # fmt: skip
        endpoints = [EndpointInfo(f"10.0.1.{i}", 80, local=flag) for i, flag in enumerate(local)]
        chosen = categorize(info, endpoints, config)
        unserved = chosen.has_endpoints and not chosen.local
        assert int(unserved and info.internal_local) == row["no_local_endpoints_internal"], row
        assert int(unserved and info.external_local) == row["no_local_endpoints_external"], row


@pytest.mark.parametrize("case", with_key("services_with_local_ready_endpoints"))
def test_only_ready_local_endpoints_keep_a_health_check_green(case: Case) -> None:
    states = states_of(case["input"], config_of(case))
    ready = [sum(e.local and e.ready for e in state.endpoints) for state in states]
    assert sum(map(bool, ready)) == case["expected"]["services_with_local_ready_endpoints"]
    if derived := (case.get("derived_not_in_test") or {}).get("local_ready_endpoints_of_svc1"):
        assert ready == [derived]
    content = copy.deepcopy(case["input"])
    for piece in content["endpointSlices"]:
        for endpoint in piece["endpoints"]:
            endpoint["conditions"] = {"ready": False, "serving": True}
    after = states_of(content, config_of(case))
    found = sum(any(e.local and e.ready for e in state.endpoints) for state in after)
    assert found == case["expected"]["after_update_to_not_ready"]


@pytest.mark.parametrize(
    "case", [pytest.param(c, id=c["name"]) for c in CASES if "metric" in c["name"] and "rule" in c["expected"]]
)
def test_the_metric_is_the_number_of_rules_written(case: Case) -> None:
    config = config_of(case)
    bare = {**case["input"], "endpointSlices": []}
    for key, wanted in case["derived_not_in_test"].items():
        content = bare if key.startswith("without") else case["input"]
        states = states_of(content, config)
        report = RuleWriter(config, 30.0).sync(states, (), 0.0)
        lines = {"filter": 0, "nat": 0}
        table = ""
        for line in report.lines:
            table = line[1:] if line.startswith("*") else table
            lines[table] += line.startswith("-A ")
        assert lines == {"filter": report.filter_rules, "nat": report.nat_written} == wanted, key


def found_in(report: SyncReport, writer: RuleWriter) -> dict[str, Any]:
    kinds: dict[str, int] = {}
    for name, count in report.written_by_chain.items():
        prefix = re.match(r"KUBE-(SVC|SEP|EXT|SVL|FW)-", name)
        kinds[prefix[1] if prefix else name] = kinds.get(prefix[1] if prefix else name, 0) + count
    comments = any(re.search(r'--comment "[^"]* -> ', line) for line in report.lines)
    return {
        "nat_rules_written": report.nat_written,
        "nat_rules_total": report.nat_total,
        "filter_rules": report.filter_rules,
        "chain_deletes": report.chains_deleted,
        "stale_chain_deletes_written": report.chains_deleted,
        "endpoints_written": report.endpoints_written,
        "comment_on_endpoint_rules": comments,
        "large_cluster_mode": report.large,
        "needFullSync_after": writer.need_full,
        "written_per_chain_kind": {kind: count for kind, count in kinds.items() if count},
    }


@pytest.mark.parametrize("case", [pytest.param(c, id=c["name"]) for c in CASES if "steps" in c])
def test_each_sync_writes_what_kube_proxy_writes(case: Case) -> None:
    writer, cast = RuleWriter(config_of(case), 30.0), Cast()
    for step in case["steps"]:
        words = step["do"]
        failures = writer.partial_restore_failures
        changed = cast.act(words)
        if "forced full" in words:
            writer.need_full = True
        report = writer.sync(cast.states(), changed, cast.now_s, fails="made to fail" in words)
        found = found_in(report, writer) | {
            "partial_restore_failures_delta": writer.partial_restore_failures - failures
        }
        wanted = {key: value for key, value in step.items() if key != "do"}
        assert {key: found[key] for key in wanted} == wanted, words


def test_no_case_is_left_out() -> None:
    """Every case is taken by a test, so that a new kind of expectation is noticed."""
    taken = {"flows", "tables", "totals", "rule_for_lb_ip", "probability", "table", "rule",
             "services_with_local_ready_endpoints"}  # fmt: skip
    for case in CASES:
        assert "steps" in case or taken & set(case["expected"]), case["name"]
