"""``explain field`` is the reference of a scenario's keys, and a shell completes names from it."""

from __future__ import annotations

import shutil
import subprocess
from importlib import import_module

import pytest

from kpsim.explain.field import explain_field, reference
from kpsim.proxy.registry import MODES
from tests.cli.shell import SMALL, Shell


def test_a_key_is_explained_with_values_default_and_where_it_goes(kpsim: Shell) -> None:
    said = kpsim("explain", "field", "spec.kubeProxy.mode").out
    assert said.splitlines()[0] == "spec.kubeProxy.mode"
    assert f"values  {', '.join(MODES)}" in said
    assert "--set kubeProxy.mode=iptables" in said
    assert "default  iptables" in said
    assert "kpsim.scenario.schema.KubeProxySection.mode" in said


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("services.count", "spec.services[].count"),
        ("spec.services[3].count", "spec.services[].count"),
        ("services.0.count", "spec.services[].count"),
        ("proxy.mode", "spec.kubeProxy.mode"),
        ("kubeproxy.nftables.minsyncperiod", "spec.kubeProxy.nftables.minSyncPeriod"),
        ("changes.events.rollout.preStop", "spec.changes.events[].rollout.preStop"),
        ("metadata.name", "metadata.name"),
        ("sweep", "sweep"),
    ],
)
def test_a_key_is_found_as_it_is_written(name: str, path: str) -> None:
    assert explain_field(name).key.path == path


def test_a_mapping_lists_its_keys_and_json_says_the_same(kpsim: Shell) -> None:
    found = kpsim("explain", "field", "kubeProxy.ipvs", "-o", "json").json
    least = next(row for row in found["below"] if row["path"].endswith("minSyncPeriod"))
    assert least["default"] == "kube-proxy's own (0s)", "kube-proxy's default, not only that there is one"
    assert found["option"] == ""
    top = kpsim("explain", "field").out
    assert top.index("apiVersion") < top.index("spec") < top.index("sweep")


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        ("cluster.nodez", "spec.cluster.nodes?"),
        ("minSyncPeriod", "spec.kubeProxy.iptables.minSyncPeriod or "),
        ("mod", "mode?"),
        ("zzz", "kpsim explain field lists the keys"),
    ],
)
def test_a_key_that_is_none_is_refused_with_the_nearest(kpsim: Shell, wrong: str, near: str) -> None:
    answer = kpsim("explain", "field", wrong)
    assert answer.code == 3
    assert near in answer.err


def test_every_key_says_what_it_means_and_becomes_a_field_that_is_there() -> None:
    texts = reference()
    assert len(texts) > 200
    for path, text in texts.items():
        assert text.text, path
        assert text.unit, path
        if text.becomes and "EventItem" not in text.becomes:
            owner, _, field = text.becomes.rpartition(".")
            module, _, name = owner.rpartition(".")
            assert field in getattr(import_module(module), name).__dataclass_fields__, path


def completed(kpsim: Shell, monkeypatch: pytest.MonkeyPatch, line: str) -> list[str]:
    """What bash is given for the last word of a line."""
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
    monkeypatch.setenv("_KPSIM_COMPLETE", "bash_complete")
    return kpsim().out.split()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("kpsim comp", ["plain,compare", "plain,completion"]),
        ("kpsim check hel", ["plain,hello", "file,hel"]),
        ("kpsim rules small.yaml --mode nf", ["plain,nftables"]),
        ("kpsim compare small.yaml --modes iptables,nf", ["plain,iptables,nftables"]),
        ("kpsim run small.yaml --set run.d", ["plain,run.duration"]),
        ("kpsim explain field spec.run.d", ["plain,spec.run.duration"]),
        ("kpsim explain service -f small.yaml web", ["plain,web-0", "plain,web-1"]),
        ("kpsim explain packet -f small.yaml --to default/web-1", ["plain,default/web-1"]),
        ("kpsim explain service -f nothing.yaml web", []),
        ("kpsim init cluster", ["plain,cluster-density"]),
    ],
)
def test_names_are_completed(kpsim: Shell, monkeypatch: pytest.MonkeyPatch, line: str, expected: list[str]) -> None:
    kpsim.write("small.yaml", SMALL)
    assert completed(kpsim, monkeypatch, line) == expected


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_takes_its_lines(kpsim: Shell, shell: str) -> None:
    said = kpsim("completion", shell)
    assert said.code == 0
    assert f"_KPSIM_COMPLETE={shell}_complete" in said.out
    if shutil.which(shell):
        checked = subprocess.run([shell, "-n"], input=said.out, capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr


def test_another_shell_is_refused(kpsim: Shell) -> None:
    assert kpsim("completion", "tcsh").code == 2
