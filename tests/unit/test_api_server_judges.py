"""The API server's verdict on small objects, case by case; ``judged.yaml`` holds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from kpsim.errors import InputError
from kpsim.kube.server import ApiServer
from kpsim.kube.server.judge import VERSIONS, judge

CASES = yaml.safe_load((Path(__file__).parent / "judged.yaml").read_text(encoding="utf-8"))
SERVERS = {"v4": "10.96.0.0/20", "dual": "10.96.0.0/20, fd00:10:96::/112", "tiny": "10.97.0.0/29"}


def posted(case: dict[str, Any], content: dict[str, Any], name: str = "") -> dict[str, Any]:
    """An object of the case's kind."""
    kind = case.get("kind", "Service")
    metadata = {"name": name or case.get("name", "web"), "labels": case.get("labels")}
    if kind != "Node":
        metadata["namespace"] = case.get("namespace", "default")
    made = {"apiVersion": case.get("apiVersion", VERSIONS[kind]), "kind": kind, "metadata": metadata}
    if kind == "EndpointSlice":
        return made | content
    ports = {} if kind == "Node" or content.get("type") == "ExternalName" else {"ports": [{"port": 80}]}
    return made | {"spec": ports | content}


@pytest.mark.parametrize(
    "case", CASES, ids=lambda case: f"{case.get('was', '')}{case['object']} {case['says'] or 'ok'}"[:90]
)
def test_what_the_server_says(case: dict[str, Any]) -> None:
    beside = [posted({}, made.get("spec", {}), f"other-{i}") for i, made in enumerate(case.get("beside", ()))]
    was = posted(case, case["was"]) if "was" in case else None
    for version in case.get("in", ("1.34", "1.36")):
        major, minor = map(int, version.split("."))
        ports = (30000, 30001) if case.get("server") == "tiny" else (30000, 32767)
        api = ApiServer(SERVERS[case.get("server", "v4")], ports, version=(major, minor))
        answer = judge(posted(case, case["object"]), api, beside, was, ("default",))
        causes = [f"{cause.field} {cause.kind}" for cause in answer.causes]
        if answer.reason in ("", "Invalid"):
            wanted = [cause for cause in case["says"].split("; ") if cause] * case.get("times", 1)
            assert sorted(causes) == sorted(wanted), [cause.what for cause in answer.causes]
        else:
            assert answer.reason == case["says"]
        assert len(answer.warnings) == len(case.get("warns", ()))
        assert all(said.startswith(begin) for said, begin in zip(answer.warnings, case.get("warns", ()), strict=True))
        for name, value in case.get("gets", {}).items():
            assert (answer.made["spec"].get(name) or None) == value


def test_another_of_the_same_name_is_there_already() -> None:
    api = ApiServer("10.96.0.0/20", (30000, 32767))
    made = posted({}, {})
    assert (judge(made, api, [made]).status, judge(made, api).status) == (409, 201)


def test_other_kinds_are_not_judged() -> None:
    with pytest.raises(InputError, match="judges Services, EndpointSlices and Nodes, not Pod"):
        judge({"apiVersion": "v1", "kind": "Pod"}, ApiServer("10.96.0.0/20", (30000, 32767)))
