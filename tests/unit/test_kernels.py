"""A node's kernel beside the one that costs were measured on: said where they differ, with what is known of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kpsim.kube.objects import Node
from kpsim.profiles.costs import load_profile, profile_names
from kpsim.profiles.kernels import kernel_release, kernel_warning
from kpsim.scenario.reader import read
from kpsim.simulation import build_cluster

NODES = """\
apiVersion: v1
kind: List
items:
  - {apiVersion: v1, kind: Node, metadata: {name: a}, status: {nodeInfo: {kernelVersion: KERNEL}}}
  - {apiVersion: v1, kind: Node, metadata: {name: b}, status: {nodeInfo: {kernelVersion: 6.18.3}}}
"""
YAML = """\
apiVersion: kpsim/v1alpha1
kind: Scenario
metadata: {name: old}
spec:
  importFrom: [nodes.yaml]
  services: [{name: web, count: 2, endpoints: 1}]
  kubeProxy: {mode: nftables}
"""


@pytest.mark.parametrize(
    ("text", "release"),
    [("6.8.0-51-generic", (6, 8)), ("5.15.0-1052-gke", (5, 15)), ("6.1", (6, 1)), ("10.0.20348.2031", (10, 0)),
     ("", None), ("six", None)],
)  # fmt: skip
def test_releases_are_read(text: str, release: tuple[int, int] | None) -> None:
    assert kernel_release(text) == release


@pytest.mark.parametrize(("kernel", "says"), [("6.8.0-51-generic", "Linux 6.8"), ("5.15.0", "Linux 5.15")])
def test_a_cluster_on_another_kernel_is_told(kernel: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "nodes.yaml").write_text(NODES.replace("KERNEL", kernel), encoding="utf-8")
    (tmp_path / "old.yaml").write_text(YAML, encoding="utf-8")
    (said,) = (w for w in build_cluster(read(tmp_path / "old.yaml"))[1] if "nodes run" in w)
    assert says in said
    assert "costs are those of Linux 6.18.44 (profile linux-6.18-zen3)" in said
    assert ("3 to 7 times" in said) == kernel.startswith("6.8")


def test_the_measured_kernel_and_no_kernel_are_not_worth_a_word() -> None:
    machine = load_profile("linux-6.18-zen3").text.machine
    for node in (Node("a", kernel="6.18.44"), Node("b")):
        assert kernel_warning("p", machine, [node.kernel], ["iptables"]) == ""


def test_every_profile_says_its_machine() -> None:
    for name in profile_names():
        machine = load_profile(name).text.machine
        assert machine is not None
        assert kernel_release(machine.kernel) == kernel_release(machine.kernels[0])
