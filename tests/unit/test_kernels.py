"""A node's kernel beside the one that costs were measured on: said where they differ, with what is known of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kpsim.errors import InputError
from kpsim.kube.objects import Node
from kpsim.profiles.costs import load_profile, profile_names
from kpsim.profiles.format import TIMES
from kpsim.profiles.kernels import kernel_release, kernel_warning, nearest_profile
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
    assert ("4 to 9 times" in said) == kernel.startswith("6.8")
    assert said.endswith("--set profile.name=linux-6.8-studies")


def test_the_measured_kernel_and_no_kernel_are_not_worth_a_word() -> None:
    machine = load_profile("linux-6.18-zen3").text.machine
    for node in (Node("a", kernel="6.18.44"), Node("b")):
        assert kernel_warning("p", machine, [node.kernel], ["iptables"]) == ""


@pytest.mark.parametrize(
    ("kernel", "nearest"),
    [("3.10", "linux-4.x-studies"), ("4.15", "linux-4.x-studies"), ("5.4", "linux-4.x-studies"),
     ("5.15", "linux-6.8-studies"), ("6.8", "linux-6.8-studies"), ("6.17", "linux-6.18-zen3")],
)  # fmt: skip
def test_the_nearest_profile_of_a_kernel(kernel: str, nearest: str) -> None:
    release = kernel_release(kernel)
    assert release is not None
    assert nearest_profile([release], "linux-6.18-zen3") == nearest


def test_profiles_of_studies_say_what_they_move_and_what_is_assumed() -> None:
    base, old, loads = (load_profile(f"linux-{name}") for name in ("6.18-zen3", "4.x-studies", "6.8-studies"))
    for profile in (old, loads):
        assert [c.name for _, c in profile.coefficients()] == [c.name for _, c in base.coefficients()]
        assert all(c.source in profile.sources for _, c in profile.coefficients())
        times = {c.source for f, c in profile.coefficients() if c.unit in TIMES}
        assert all(each.startswith(("studies-", "assumed-")) for each in times)
        memory = dict(base.text.families["iptables-legacy/rss_kb"].items())
        assert profile.text.families["iptables-legacy/rss_kb"] == memory
        assert min(each["all"] for each in profile.text.scatter.values()) >= 0.9, "a study is no measurement of ours"
    passed = old.costs("iptables-legacy", "typical", 0.5).coefficients["rule_passed"]
    assert 50e-9 <= passed.value <= 140e-9
    load = {p.name: p.costs("nftables", "typical", 1.0).coefficients["object_rewritten"].value for p in (base, loads)}
    assert load["linux-6.8-studies"] == pytest.approx(4.1 * load["linux-6.18-zen3"], rel=1e-3)


def test_a_profile_is_based_on_one_that_ships(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    head = "apiVersion: kpsim/v1alpha1\nkind: CostProfile\nname: mine\nabout: mine\nsources: {s: mine}\nfamilies: {}\n"
    moved = "moved: [{families: ['*'], names: ['*'], times: [2, 1, 3], source: s}]\n"
    file.write_text(head + "base: uml-6.1\n" + moved, encoding="utf-8")
    assert {c.source for _, c in load_profile(str(file)).coefficients()} == {"s"}
    for wrong in ("base: mine.yaml\n" + moved, "base: uml-6.1\n" + moved.replace("[2, 1, 3]", "[2, 3, 1]")):
        other = tmp_path / f"{len(wrong)}.yaml"
        other.write_text(head + wrong, encoding="utf-8")
        with pytest.raises(InputError, match=r"base|interval"):
            load_profile(str(other))


def test_every_profile_says_its_machine() -> None:
    for name in profile_names():
        machine = load_profile(name).text.machine
        assert machine is not None
        assert kernel_release(machine.kernel) == kernel_release(machine.kernels[0])
