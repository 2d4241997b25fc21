"""Objects that were posted to a real API server, and what it answered; the file is named by ``KPSIM_SERVICE_API``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from kpsim.kube.server import ApiServer
from kpsim.kube.server.judge import Answer, judge

NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
DEFAULTED = (
    "type", "clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "ports", "sessionAffinity",
    "sessionAffinityConfig", "internalTrafficPolicy", "externalTrafficPolicy", "allocateLoadBalancerNodePorts",
    "healthCheckNodePort", "externalName", "trafficDistribution", "loadBalancerSourceRanges",
    "publishNotReadyAddresses",
)  # fmt: skip


def disagreements(case: Mapping[str, Any], servers: Mapping[str, Any]) -> Iterator[str]:
    """Every way in which an answer is not the real one."""
    flags = servers[case["server"]]
    first, last = flags["serviceNodePortRange"].split("-")
    for version, real in case["answers"].items():
        major, minor = version.split(".")
        ranges = flags["serviceClusterIPRange"]
        api = ApiServer(ranges, (int(first), int(last)), version=(int(major), int(minor)))
        mine = judge(case["object"], api, case.get("setup", ()), case.get("update_from"), NAMESPACES)
        for what in differences(mine, real, case["object"]):
            yield f"{case['id']} {version} {case['group']}, {case['title']}: {what}"


def differences(mine: Answer, real: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[str]:
    if mine.accepted != real["accepted"]:
        yield f"accepted {mine.accepted}: {[(cause.field, cause.what) for cause in mine.causes]} {mine.message}"
    elif not mine.accepted:
        if mine.status != real["status"]:
            yield f"status {mine.status}, not {real['status']}"
        causes = sorted((cause["field"], cause["kind"]) for cause in real.get("causes", ()) if cause["kind"])
        said = sorted((cause.field, cause.kind) for cause in mine.causes if mine.reason == "Invalid")
        if said != causes:
            yield f"causes {said}, not {causes}"
        if real.get("kind", mine.reason) != mine.reason:
            yield f"refused as {mine.reason}, not {real['kind']}"
    else:
        begun = [begin.replace('\\"', '"').rstrip("\\") for begin in real.get("warned_about", ())]
        if real["warnings"] != len(mine.warnings):
            yield f"{len(mine.warnings)} warnings, not {real['warnings']}: {mine.warnings}"
        for begin in begun:
            if not any(said.startswith(begin) for said in mine.warnings):
                yield f"no warning begins with {begin!r}: {mine.warnings}"
        if "defaults" in real and given["kind"] == "Service":
            made = {name: mine.made["spec"].get(name) for name in DEFAULTED}
            wanted = {name: real["defaults"].get(name) for name in DEFAULTED}
            hide(made, given)
            hide(wanted, given)
            for name in DEFAULTED:
                if (made[name] or None) != (wanted[name] or None) and made[name] != wanted[name]:
                    yield f"{name} {made[name]}, not {wanted[name]}"


def hide(spec: dict[str, Any], given: Mapping[str, Any]) -> None:
    """What the server chooses, as its kind only."""
    asked = given.get("spec") or {}
    wanted = {asked.get("clusterIP"), *(asked.get("clusterIPs") or ())}

    def chosen(ip: str) -> str:
        return ip if ip in wanted or ip == "None" else "v6" if ":" in ip else "v4"

    spec["clusterIP"] = chosen(spec["clusterIP"] or "None") if spec["clusterIP"] else None
    spec["clusterIPs"] = [chosen(ip) for ip in spec["clusterIPs"] or ()]
    numbers = {port.get("nodePort") for port in asked.get("ports") or ()}
    spec["ports"] = [
        {k: (v if k != "nodePort" or v in numbers else "some") for k, v in port.items() if v not in (None, "", 0)}
        for port in spec["ports"] or ()
    ]
    if spec["healthCheckNodePort"] and spec["healthCheckNodePort"] != asked.get("healthCheckNodePort"):
        spec["healthCheckNodePort"] = "some"


def test_the_server_says_what_the_real_one_said() -> None:
    where = os.environ.get("KPSIM_SERVICE_API")
    if not where:
        pytest.skip("KPSIM_SERVICE_API names no file of objects posted to a real API server")
    corpus = json.loads(Path(where).read_text(encoding="utf-8"))
    found = [what for case in corpus["cases"] for what in disagreements(case, corpus["servers"])]
    print(*found, sep="\n")
    assert not found, f"{len(found)} disagreements in {len(corpus['cases'])} cases"
