"""A kept run goes on: in other formats, run again, and beside another one."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise
from pathlib import Path

import pytest

from kpsim.report.tables import TABLES
from tests.cli.shell import SERVICES, Shell

CHURN = ("--set", "changes.churn.podReplacementsPerSecond=1")
RUN = ("--jobs", "1", "-q")


@pytest.fixture
def kept(kpsim: Shell) -> Path:
    """A small run with changes, in the directory ``a``."""
    assert kpsim("run", kpsim.small(), *CHURN, *RUN, "--out", "a").code == 0
    return kpsim.here / "a"


def test_a_run_gives_the_same_bytes_again(kpsim: Shell, kept: Path) -> None:
    before = {path.name: path.read_bytes() for path in kept.iterdir() if path.is_file()}
    answer = kpsim("replay", "a", "-q")
    assert answer.code == 0
    assert answer.out.startswith("a: summary.json is the same, byte for byte (")
    assert before == {path.name: path.read_bytes() for path in kept.iterdir() if path.is_file()}
    assert kpsim("replay", "a", "-q", "-o", "json").json == {
        "run": "a", "same": True, "scenario_edited": False, "changes": [], "versions": [],
    }  # fmt: skip


def test_a_run_of_manifests_keeps_what_their_reading_warned_of(kpsim: Shell) -> None:
    manifests = kpsim.write("svc.yaml", SERVICES)
    ran = kpsim("run", manifests, "--set", "run.duration=12s", "--replications", "1", *RUN, "--out", "m", "-o", "json")
    assert ran.json["warnings"], "else this tests nothing"
    assert kpsim("replay", "m", "-q").code == 0


def test_a_replay_says_what_differs_and_which_versions(kpsim: Shell, kept: Path) -> None:
    manifest = json.loads((kept / "manifest.json").read_text(encoding="utf-8"))
    manifest["provenance"]["numpy"] = "1.0"
    (kept / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    summary = (kept / "summary.json").read_text(encoding="utf-8")
    (kept / "summary.json").write_text(summary.replace('"nodes": 2', '"nodes": 3'), encoding="utf-8")
    answer = kpsim("replay", "a", "-q")
    assert answer.code == 99
    assert "other versions: numpy" in answer.out
    assert answer.out.splitlines()[-1].split() == ["cluster.nodes", "3", "2"]


def test_a_replay_of_an_edited_scenario_says_so(kpsim: Shell, kept: Path) -> None:
    path = kept / "scenario.resolved.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("seed: 1", "seed: 2"), encoding="utf-8")
    found = kpsim("replay", "a", "-q", "-o", "json")
    assert found.code == 99
    assert found.json["scenario_edited"] is True
    assert {row["path"] for row in found.json["changes"]} >= {"provenance.seed", "provenance.scenario_sha256"}


@pytest.mark.parametrize(
    ("kind", "file"), [("markdown", "report.md"), ("json", "summary.json"), ("csv", "summaries.csv")]
)
def test_what_a_run_has_written_is_given_again(kpsim: Shell, kept: Path, kind: str, file: str) -> None:
    assert kpsim("report", "a", "--format", kind).out == (kept / file).read_text(encoding="utf-8")


def test_the_page_is_told_anew_and_tables_go_to_a_directory(kpsim: Shell, kept: Path) -> None:
    written = (kept / "report.html").read_text(encoding="utf-8")
    (kept / "report.html").write_text("an old form", encoding="utf-8")
    assert kpsim("report", "a").out == "a/report.html\n"
    anew = (kept / "report.html").read_text(encoding="utf-8")
    assert anew == written
    assert kpsim("report", "a", "--out", "page.html").code == 0
    assert (kpsim.here / "page.html").read_text(encoding="utf-8") == anew
    assert len(kpsim("report", "a", "--format", "csv", "--out", "t").out.splitlines()) == len(TABLES)
    assert all((kpsim.here / "t" / name).read_bytes() == (kept / name).read_bytes() for name in TABLES)
    refused = kpsim("report", "a", "--out", "no/such/page.html")
    assert refused.code == 3
    assert "cannot be written" in refused.err


def test_a_run_of_before_is_told_with_what_it_lacks(kpsim: Shell, kept: Path) -> None:
    summary = json.loads((kept / "summary.json").read_text(encoding="utf-8"))
    for found in summary["modes"].values():
        found.pop("swings")
        found["counts"] = {name: each["value"] for name, each in found["counts"].items()}  # sums, once
    (kept / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    (kept / "control.csv").unlink()
    answer = kpsim("report", "a", "--out", "page.html")
    assert answer.code == 0
    lacks = "lacks the control plane over time (control.csv), coefficients that move the answer"
    assert lacks in answer.err
    assert "kpsim run a/scenario.resolved.yaml" in answer.err
    assert "<h2>What if</h2>" in (kpsim.here / "page.html").read_text(encoding="utf-8")
    summary["modes"]["iptables"].pop("rules")
    (kept / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    assert "is not a summary that can be told anew" in kpsim("report", "a", "--out", "page.html").err


def test_the_command_that_repeats_a_run_has_its_overrides(kpsim: Shell, kept: Path) -> None:
    page = (kept / "report.html").read_text(encoding="utf-8")
    assert "--set changes.churn.podReplacementsPerSecond=1</code>" in page


def test_openmetrics_are_read_by_a_parser(kpsim: Shell, kept: Path) -> None:
    parser = pytest.importorskip("prometheus_client.openmetrics.parser")
    text = kpsim("report", "a", "--format", "openmetrics").out
    families = {family.name: family for family in parser.text_string_to_metric_families(text)}
    latency = families["kpsim_first_packet_latency_seconds"]
    summary = json.loads((kept / "summary.json").read_text(encoding="utf-8"))["modes"]["iptables"]["summaries"]
    median = next(s.value for s in latency.samples if s.labels.get("quantile") == "0.5")
    assert median == summary["first_packet_latency"]["quantiles"]["p50"]["value"]
    assert {sample.labels["limit"] for sample in families["kpsim_limit_used"].samples}


def test_parquet_has_the_tables_or_names_its_extra(kpsim: Shell, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kpsim.report.exports.parquet.find_spec", lambda _name: None)
    missing = kpsim("report", "a", "--format", "parquet")
    assert missing.code == 2
    assert missing.err == "writing Parquet needs pyarrow: pip install 'kpsim[parquet]'\n"
    monkeypatch.undo()
    pytest.importorskip("pyarrow")
    import pandas as pd

    monkeypatch.chdir(kpsim.here)
    assert kpsim("report", str(kept), "--format", "parquet", "--out", "t").code == 0
    assert list(pd.read_parquet(kpsim.here / "t/summaries.parquet")) == list(pd.read_csv(kept / "summaries.csv"))


def test_a_trace_has_every_sync_of_a_node_and_every_write(kpsim: Shell, kept: Path) -> None:
    trace = json.loads(kpsim("report", "a", "--format", "trace", "--nodes", "1").out)
    rows = trace["traceEvents"]
    names = {row["pid"]: row["args"]["name"] for row in rows if row["name"] == "process_name"}
    assert set(names.values()) == {"events of the scenario", "API server", "kube-proxy, iptables"}
    syncs = [row for row in rows if row["ph"] == "X" and names[row["pid"]].startswith("kube-proxy")]
    assert {row["tid"] for row in syncs} == {0}
    counted = json.loads((kept / "summary.json").read_text(encoding="utf-8"))["modes"]["iptables"]["summaries"]
    assert any(row["name"] == "partial sync" for row in syncs)
    assert counted["sync_duration"]["n"] >= len([row for row in syncs if row["ts"] >= 1e6]) > 0
    assert all(first["ts"] + first["dur"] <= second["ts"] for first, second in pairwise(syncs))
    other = json.loads(kpsim("report", "a", "--format", "trace", "--replication", "1").out)
    assert other["traceEvents"] != rows
    assert kpsim("report", "a", "--format", "trace", "--replication", "2").code == 3


@pytest.mark.parametrize("command", ["report", "replay"])
def test_what_is_no_run_is_refused_in_a_line(kpsim: Shell, command: str) -> None:
    sweep = kpsim.here / "s"
    sweep.mkdir()
    (sweep / "manifest.json").write_text('{"apiVersion": "kpsim/v1alpha1", "kind": "Sweep"}', encoding="utf-8")
    broken = kpsim.here / "b"
    broken.mkdir()
    (broken / "manifest.json").write_text("{", encoding="utf-8")
    said = {
        "none": "there is no such directory",
        kpsim.small(): "is not the directory of a run",
        ".": "is not the directory of a run",
        "s": "holds a Sweep, not one run",
        "b": "is not JSON",
    }
    for place, words in said.items():
        answer = kpsim(command, place)
        assert (answer.code, answer.out) == (3, "")
        assert words in answer.err


def test_a_run_that_was_interrupted_is_not_replayed(kpsim: Shell, kept: Path) -> None:
    manifest = (kept / "manifest.json").read_text(encoding="utf-8").replace('"complete": true', '"complete": false')
    (kept / "manifest.json").write_text(manifest, encoding="utf-8")
    assert "interrupted" in kpsim("replay", "a").err
    assert "interrupted" in kpsim("report", "a").err


def test_two_runs_are_compared_and_more_than_one_key_is_said(kpsim: Shell, kept: Path) -> None:
    faster = ("--set", "kubeProxy.iptables.minSyncPeriod=100ms")
    kpsim("run", "small.yaml", *CHURN, *RUN, *faster, "--out", "b")
    one = kpsim("compare", "a", "b")
    assert one.code == 0
    assert "The scenarios differ in one key: kubeProxy.iptables.minSyncPeriod" in one.out
    assert "same seed" in one.out
    kpsim("run", "small.yaml", *CHURN, *RUN, *faster, "--seed", "5", "--out", "b")
    two = kpsim("compare", "a", "b")
    assert "differ in 2 keys" in two.out
    assert "no difference below is the work of any one of them" in two.out
    found = kpsim("compare", "a", "b", "-o", "json").json
    assert {row["path"] for row in found["asked"]} == {"spec.kubeProxy.iptables.minSyncPeriod", "spec.run.seed"}
    for row in found["rows"]:
        low, high = row["difference"]["low"], row["difference"]["high"]
        assert row["difference"]["value"] == row["now"]["value"] - row["was"]["value"]
        if low is not None:
            assert low <= row["difference"]["value"] <= high
            assert row["told_apart"] == (not low <= 0 <= high)


def test_a_run_beside_itself_is_the_same(kpsim: Shell, kept: Path) -> None:
    said = kpsim("compare", "a", "a").out
    assert "Both runs are of the same scenario." in said
    assert "The results are the same in every number." in said
    assert " 0 of " in f" {said.partition('apart between the two.')[2].split()[0]} of "


def test_runs_of_one_mode_each_are_compared_and_their_syncs_cross_or_not(kpsim: Shell) -> None:
    for mode in ("iptables", "ipvs"):
        kpsim("run", kpsim.small(), *RUN, "--set", f"kubeProxy.mode={mode}", "--out", mode)
    said = kpsim("compare", "iptables", "ipvs").out
    assert "iptables → ipvs" in said
    assert "By the cost model, full syncs of iptables and ipvs" in said


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["a"], 2, "two runs are compared, not 1"),
        (["a", "a", "a"], 2, "two runs are compared, not 3"),
        (["a", "a", "--modes", "iptables,ipvs"], 2, "are compared as they are"),
        (["a", "small.yaml"], 3, "is not the directory of a run"),
    ],
)
def test_runs_that_cannot_be_compared_are_said(kpsim: Shell, kept: Path, args: list[str], code: int, says: str) -> None:
    answer = kpsim("compare", *args)
    assert answer.code == code
    assert says in answer.err


def test_an_upgrade_changes_modes_defaults_syncs_and_rules(kpsim: Shell) -> None:
    small = kpsim.small("replications: 2", "replications: 1")
    said = kpsim("compare", small, "--versions", "1.30,1.36", "--modes", "iptables,ipvs,userspace", *RUN)
    assert said.code == 0
    for words in (
        "userspace is left out: in 1.30 it is gone.",
        "ipvs: available in 1.30, deprecated in 1.36",
        "nodes.grace: 40s → 50s",
        "iptables: a full sync after: only after a start, a failure or flushed tables → 1h",
        "--ctstate INVALID -m nfacct",
    ):
        assert words in said.out
    found = kpsim("compare", small, "--versions", "1.36,1.30", "--modes", "iptables,ipvs", *RUN, "-o", "json").json
    assert found["versions"] == ["1.36", "1.30"]
    assert (
        "iptables: a full sync after: 1h → only after a start, a failure or flushed tables" in found["changed"]["syncs"]
    )
    assert kpsim.left() == ["small.yaml"], "nothing is kept"
    assert "did you mean ipvs?" in kpsim("compare", small, "--versions", "1.30,1.36", "--modes", "ivps").err


@pytest.mark.parametrize(
    ("versions", "code", "says"),
    [
        ("1.30", 2, "is not two releases"),
        ("1.30,1.30", 2, "is not two releases"),
        ("1.30,new", 2, "is not two releases"),
        ("1.36,1.50", 3, "not in both of 1.36 and 1.50"),
    ],
)
def test_releases_that_cannot_be_compared_are_said(kpsim: Shell, versions: str, code: int, says: str) -> None:
    answer = kpsim("compare", kpsim.small(), "--versions", versions, "--set", "kubeProxy.mode=ipvs", *RUN)
    assert answer.code == code
    assert says in answer.err


def test_a_kept_scenario_that_is_damaged_is_one_line(kpsim: Shell, kept: Path) -> None:
    shutil.copytree(kept, kpsim.here / "b")
    for text in ("a: b: c", "{", "&a [*a]", "[" * 9_000, "!!set {a}", "\x00"):
        (kept / "scenario.resolved.yaml").write_text(text)
        for command in (("compare", "a", "b"), ("replay", "a"), ("report", "a", "--format", "trace")):
            answer = kpsim(*command)
            assert answer.code == 3, (command, answer.err)
            assert "a/scenario.resolved.yaml" in answer.err


@pytest.mark.parametrize("text", ["a: b: c", "{", "[" * 9_000, "- {id: 1", "!!set {a}"])
def test_records_that_are_no_yaml_are_refused_by_place(kpsim: Shell, text: str) -> None:
    kpsim.write("mine.yaml", text)
    answer = kpsim("validate", "--records", "mine.yaml")
    assert answer.code == 3
    assert "mine.yaml" in answer.err
