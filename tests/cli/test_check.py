"""``kpsim check`` as it reads: limits and waits in tables of a hundred columns, each with who says so."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.shell import Shell

ROOT = Path(__file__).parents[2]
DUMP = """\
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Service, metadata: {name: web}, spec: {trafficDistribution: PreferSameZone,
   selector: {app: web}, ports: [{port: 80}]}}
- {apiVersion: v1, kind: Node, metadata: {name: n-0, labels: {topology.kubernetes.io/zone: a}}}
- {apiVersion: v1, kind: Node, metadata: {name: n-1, labels: {topology.kubernetes.io/zone: b}}}
- {apiVersion: v1, kind: Pod, metadata: {name: p-0, labels: {app: web}}, spec: {nodeName: n-0},
   status: {phase: Running, podIP: 10.128.0.1, conditions: [{type: Ready, status: "True"}]}}
- {apiVersion: v1, kind: Pod, metadata: {name: p-1, labels: {app: web}}, spec: {nodeName: n-1},
   status: {phase: Running, podIP: 10.128.0.2, conditions: [{type: Ready, status: "True"}]}}
"""


@pytest.mark.parametrize("name", ["10k-services", "cl2-load-5000", "huge-service", "hello", "online-boutique"])
def test_the_tables_fit_a_hundred_columns_and_cite_every_row(kpsim: Shell, name: str) -> None:
    answer = kpsim("check", str(ROOT / "scenarios" / f"{name}.yaml"))
    assert answer.code == 0
    lines = answer.out.splitlines()
    rows = [line for line in lines if re.search(r"\[\d+\]$", line)]
    assert len(rows) >= 20
    assert max(map(len, rows)) <= 100
    cited = {int(number) for row in rows for number in re.findall(r"\[(\d+)\]$", row)}
    given = {int(found[1]) for line in lines if (found := re.match(r"\[(\d+)\] \S", line))}
    assert cited == given == set(range(1, len(given) + 1))


def test_what_creating_everything_takes_as_a_table_and_as_json(kpsim: Shell) -> None:
    sets = ("--set", "services.web.count=1000", "--set", "services.web.type=LoadBalancer")
    answer = kpsim("check", kpsim.small(), *sets)
    assert re.search(r"load balancers +16\.7 h +83\.3 min and 100 h +1,000 one after another, 60 s each", answer.out)
    assert re.search(r"first EndpointSlices +48 s +– +1,000 writes", answer.out)
    assert "iptables: large-cluster mode" in answer.out
    found = json.loads(kpsim("check", kpsim.small(), *sets, "-o", "json").out)
    (balancers,) = [wait for wait in found["waits"] if wait["name"] == "load balancers"]
    assert (balancers["seconds"], balancers["low_seconds"], balancers["high_seconds"]) == (60e3, 5e3, 360e3)
    assert all(wait["source"] and wait["why"] for wait in found["waits"])
    assert sum("large-cluster mode" in note for note in found["notes"]) == 1


def test_a_limit_of_many_small_things(kpsim: Shell) -> None:
    answer = kpsim("check", str(ROOT / "scenarios" / "10k-services.yaml"))
    assert "warning: Service variables of a container" in answer.err


def test_explain_says_what_becomes_of_a_wish_about_distance(kpsim: Shell) -> None:
    dump = kpsim.write("dump.yaml", DUMP)
    said = kpsim("explain", "service", "default/web", "-f", dump).out
    assert "trafficDistribution: PreferSameZone: nodes that an endpoint is meant for use only those" in said
    for node, ip in (("n-0", "10.128.0.1"), ("n-1", "10.128.0.2")):
        traced = kpsim("explain", "packet", "--to", "default/web", "--node", node, "-f", dump).out
        assert f"sent to {ip}:80," in traced


def test_problems_are_given_as_json_with_the_servers_words(kpsim: Shell) -> None:
    Path("web.yaml").write_text(
        "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n"
        "  clusterIP: here\n  loadBalancerSourceRanges: [10.0.0.0/8]\n  ports: [{port: 80}]\n",
        encoding="utf-8",
    )
    answer = kpsim("check", "web.yaml", "-o", "json")
    problems = json.loads(answer.out)["problems"]
    assert answer.code == 3
    assert [(at["line"], at["column"], at["key"], at["field"], at["kind"]) for at in problems] == [
        (5, 14, "spec.clusterIP", "spec.clusterIPs[0]", "FieldValueInvalid"),
        (6, 29, "spec.loadBalancerSourceRanges", "spec.LoadBalancerSourceRanges", "FieldValueForbidden"),
    ]
    assert {at["file"] for at in problems} == {"web.yaml"}
    assert "must be a valid IP address" in problems[0]["message"]
    Path("broken.yaml").write_text("kind: [", encoding="utf-8")
    broken = kpsim("check", "broken.yaml", "--output=json")
    assert (broken.code, json.loads(broken.out)["problems"][0]["file"]) == (3, "broken.yaml")


def test_an_update_is_judged_against_what_was(kpsim: Shell) -> None:
    text = (
        "apiVersion: v1\nkind: List\nitems:\n"
        "- {apiVersion: v1, kind: Service, metadata: {name: web}, spec: {clusterIP: %s, ports: [{port: 80}]}}\n"
        "- {apiVersion: v1, kind: Service, metadata: {name: api}, spec: {type: %s, ports: [{port: 80}]}}\n"
    )
    Path("old.yaml").write_text(text % ("10.96.7.7", "ClusterIP"), encoding="utf-8")
    Path("new.yaml").write_text(text % ("10.96.7.8", "NodePort"), encoding="utf-8")
    answer = kpsim("check", "new.yaml", "--was", "old.yaml")
    assert answer.code == 3
    assert "new.yaml:4:76: items[0].spec.clusterIP: Invalid value" in answer.err
    assert "may not change once set" in answer.err
    Path("new.yaml").write_text(text % ("10.96.7.7", "NodePort"), encoding="utf-8")
    taken = kpsim("check", "new.yaml", "--was", "old.yaml", "-o", "json", "--set", "kubernetes.version=1.36")
    assert (taken.code, json.loads(taken.out)) == (0, {"objects": 2, "problems": [], "warnings": []})
    assert kpsim("check", "new.yaml", "--was", "old.yaml", "--set", "run.duration=1s").code == 3
