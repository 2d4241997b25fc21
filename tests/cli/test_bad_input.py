"""Wrong input: each with its own message and exit code, without a traceback, and nothing half-written left behind."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from tests.cli.shell import SMALL, Answer, Shell

SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {{name: {0}}}\nspec: {{selector: {{app: web}}, {1}}}\n"


def service(name: str, spec: str) -> str:
    return SERVICE.format(name, spec)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "bad.yaml: is empty"),
        ("a: [1, 2\nb: }{", "bad.yaml:2:2: is not YAML"),
        ("just words", "is neither a scenario nor Kubernetes objects"),
        (SMALL.replace("cluster:", "clutser:"), "did you mean cluster?"),
        (SMALL.replace("nodes: 2", "nodes: two"), "'two' is not a number"),
        (SMALL.replace("  run:", "  kubeProxy: {mode: iptabels}\n  run:"), "did you mean iptables?"),
        (SMALL.replace("count: 2", "count: -2"), "count: must not be negative, but is -2"),
        (SMALL.replace("duration: 5s", "duration: 5"), "the duration 5 has no unit\n"),
        (SMALL.replace("cores: 2", "cores: 2, serviceClusterIPRange: 10.96.0.0/31"), "is too small"),
        (service("a", "ports: []"), "spec.ports: Required value"),
        (service("a", "clusterIP: 192.168.1.1, ports: [{port: 80}]") + "---\n"
         + service("b", "clusterIP: 10.96.1.1, ports: [{port: 80}]"), "is not in the valid range"),
        ("---\n".join(service(n, "type: NodePort, ports: [{port: 80, nodePort: 30080}]") for n in "ab"),
         "provided port is already allocated"),
    ],
    ids=["empty", "not-yaml", "words", "unknown-key", "no-number", "misspelt-mode", "negative",
         "no-unit", "small-range", "no-ports", "outside-range", "same-node-port"],
)  # fmt: skip
@pytest.mark.parametrize("command", ["run", "check"])
def test_a_wrong_file_is_refused_with_what_is_wrong(kpsim: Shell, command: str, text: str, says: str) -> None:
    answer = kpsim(command, kpsim.write("bad.yaml", text))
    assert answer.code == 3
    assert says in answer.err
    assert answer.out == ""
    assert kpsim.left() == ["bad.yaml"]


@pytest.mark.parametrize(
    "command",
    [["run"], ["check"], ["compare"], ["import"], ["sweep"], ["sweep", "--set", "services.web.count=1,2"],
     ["explain", "service", "web-0", "-f"]],
    ids=lambda command: command[0],
)  # fmt: skip
def test_every_command_says_which_file_is_missing_and_which_was_meant(kpsim: Shell, command: list[str]) -> None:
    kpsim.small()
    answer = kpsim(*command, "smal.yaml")
    assert answer.code == 3
    assert answer.err.startswith("smal.yaml: there is no such file or directory\n    did you mean small.yaml?")
    assert kpsim.left() == ["small.yaml"]


def test_an_empty_directory_says_how_to_fill_it(kpsim: Shell) -> None:
    (kpsim.here / "dump").mkdir()
    answer = kpsim("run", "dump")
    assert answer.code == 3
    assert "dump: is an empty directory\n    fill it: kubectl get" in answer.err


def test_all_that_is_wrong_is_said_at_once(kpsim: Shell) -> None:
    text = SMALL.replace("count: 2", "count: -2").replace("duration: 5s", "duration: 5").replace("cluster:", "clutser:")
    answer = kpsim("run", kpsim.write("bad.yaml", text))
    assert [line.split(":")[1] for line in answer.err.splitlines() if line.startswith("bad.yaml:")] == ["5", "7", "9"]


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--set", "run.duration"], 2, "'run.duration' is not KEY=VALUE"),
        (["--set", "run.durtion=5s"], 3, "did you mean duration?"),
        (["--set", "services.wbe.count=5"], 3, "did you mean web?"),
        (["--set", "run.duration=5"], 3, "write 5s"),
        (["--seed", "-1"], 2, "--seed"),
        (["--replications", "0"], 2, "--replications"),
        (["--engine", "fast"], 2, "--engine"),
        (["--jobs", "0"], 2, "--jobs"),
        (["-o", "xml"], 2, "--output"),
        (["--max-memory", "lots"], 3, "write e.g. 4G"),
        (["--max-memory", "-4G"], 3, "must be more than 0"),
        (["--max-memory", "1M"], 4, "of memory; the limit is 1 MB"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_option_is_refused_by_name(kpsim: Shell, options: list[str], code: int, says: str) -> None:
    answer = kpsim("run", kpsim.small(), *options)
    assert answer.code == code
    assert says in answer.err
    assert kpsim.left() == ["small.yaml"]


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_million_million_services_are_refused_at_once(kpsim: Shell, command: str) -> None:
    began = time.monotonic()
    answer = kpsim(command, kpsim.small("count: 2", "count: 1000000000000"))
    assert answer.code == 4
    assert "this run would take about " in answer.err
    assert re.search(r"[TP]B of memory; the limit is ", answer.err)
    assert time.monotonic() - began < 5
    assert kpsim.left() == ["small.yaml"]


def test_a_selector_that_matches_nothing_is_a_warning_and_its_connections_are_refused(kpsim: Shell) -> None:
    pod = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: one, labels: {app: web}}\nspec: {containers: [{name: c}]}\n"
    lost = service("lost", "ports: [{port: 80}]").replace("web", "nobody")
    file = kpsim.write("objects.yaml", lost + "---\n" + service("web", "ports: [{port: 80}]") + pod)
    answer = run_briefly(kpsim, file)
    assert answer.code == 0
    assert answer.err.count("warning: Service default/lost: the selector matches no Pod") == 1
    for mode in answer.json["modes"].values():
        assert mode["counts"]["refused"]["value"] > 0
        assert mode["counts"]["delivered"]["value"] > 0


def test_a_cluster_without_a_single_pod_refuses_everything(kpsim: Shell) -> None:
    answer = run_briefly(kpsim, kpsim.write("objects.yaml", service("lost", "ports: [{port: 80}]")))
    assert answer.code == 0
    for mode in answer.json["modes"].values():
        assert mode["counts"]["refused"]["value"] == mode["counts"]["connections"]["value"] > 0


def run_briefly(kpsim: Shell, file: str) -> Answer:
    briefly = ("--set", "run.duration=12s", "--set", "run.packets=2k", "--replications", "1", "--jobs", "1")
    return kpsim("run", file, *briefly, "-o", "json")


def files_and_strangers(here: Path) -> None:
    (here / "file").write_text("a")
    (here / "strangers").mkdir()
    (here / "strangers/manifest.json").write_text('{"name": "someone else\'s"}')


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("file", "file: is a file"),
        ("strangers", "strangers: is there already and holds no results of kpsim"),
        (".", ".: is the directory you are in"),
        ("file/below", "file/below: cannot be written: Not a directory; name another place with --out"),
    ],
)
@pytest.mark.parametrize(
    "command", [["run"], ["compare"], ["sweep", "--set", "services.web.count=1,2"]], ids=lambda command: command[0]
)
def test_a_place_that_cannot_be_had_is_said_before_anything_is_run(
    kpsim: Shell, monkeypatch: pytest.MonkeyPatch, command: list[str], place: str, says: str
) -> None:
    monkeypatch.setattr("kpsim.experiment.replications.replicate", lambda *_: pytest.fail("it was run"))
    kpsim.small()
    files_and_strangers(kpsim.here)
    before = kpsim.left()
    answer = kpsim(*command, "small.yaml", "--jobs", "1", "--out", place)
    assert answer.code == 3
    assert says in answer.err
    assert kpsim.left() == before


def test_where_results_cannot_be_made_another_place_is_asked_for(kpsim: Shell) -> None:
    kpsim.write("results", "a file in the way")
    answer = kpsim("run", kpsim.small(), "--jobs", "1")
    assert answer.code == 3
    assert "cannot be written: Not a directory; name another place with --out" in answer.err


def test_a_full_disk_is_no_bug_and_leaves_nothing(kpsim: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kpsim.report.directory.write_report", full)
    answer = kpsim("run", kpsim.small(), "--jobs", "1", "--out", "deep/er/out")
    assert answer.code == 3
    assert "deep/er/out: cannot be written: No space left on device" in answer.err
    assert kpsim.left() == ["small.yaml"]


def test_the_results_of_a_run_are_no_input_but_lead_to_one(kpsim: Shell) -> None:
    kpsim("run", kpsim.small(), "--jobs", "1", "--out", "out")
    answer = kpsim("run", "out")
    assert answer.code == 3
    assert "to run it again: kpsim run out/scenario.resolved.yaml" in answer.err


def test_an_option_that_people_try_is_answered_with_what_sets_it(capsys: pytest.CaptureFixture[str]) -> None:
    from kpsim.cli import _answered

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["kpsim", "run", "hello", "--profile", "x"])
        assert _answered() == 2
    assert "No such option '--profile'. Write --set profile.name=NAME" in capsys.readouterr().err
