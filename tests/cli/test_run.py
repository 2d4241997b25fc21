"""``kpsim run``: verdict on stdout, a run directory, exit codes, and every option that changes the run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kpsim.cli import run
from kpsim.experiment import replications
from tests.cli.shell import SERVICES, Shell

FAILING = '  thresholds: {first_packet_latency: ["p50 < 1ns"]}\n'
# too few of them for a p99.9
UNDECIDED = '  thresholds: {sync_duration_full: ["p99.9 < 1s"]}\n'
MEETING = '  thresholds: {first_packet_latency: ["p50 < 1s"]}\n'


def manifest(place: Path) -> dict[str, object]:
    document: dict[str, object] = json.loads((place / "manifest.json").read_text(encoding="utf-8"))
    return document


def test_a_run_says_its_verdict_and_keeps_a_directory(kpsim: Shell) -> None:
    answer = kpsim("run", kpsim.small(), "--jobs", "1")
    assert answer.code == 0
    assert answer.out.startswith("small\n")
    (place,) = (kpsim.here / "results/runs").iterdir()
    assert f"report: results/runs/{place.name}/report.html" in answer.out
    kept = {path.name for path in place.iterdir()}
    assert {"report.html", "report.md", "summary.json", "manifest.json", "scenario.resolved.yaml"} <= kept
    assert manifest(place)["complete"] is True


def test_a_run_writes_its_pictures(kpsim: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    from kpsim.report.figures import pictures

    monkeypatch.setattr("kpsim.report.directory.pictures", pictures)
    assert kpsim("run", kpsim.small(), "--jobs", "1", "--out", "out").code == 0
    assert list((kpsim.here / "out/figures").glob("*.svg"))


def test_json_on_stdout_is_only_json_and_the_place_is_said_on_stderr(kpsim: Shell) -> None:
    answer = kpsim("run", kpsim.small(), "--jobs", "1", "-o", "json", "--out", "out")
    assert answer.json["kind"] == "Summary"
    assert answer.json == json.loads((kpsim.here / "out/summary.json").read_text(encoding="utf-8"))
    assert "report: out/report.html" in answer.err


def test_nothing_but_the_answer_is_on_stdout(kpsim: Shell) -> None:
    answer = kpsim("run", kpsim.write("objects.yaml", SERVICES), "--jobs", "1", "--set", "run.packets=1k", "-o", "json",
                   "--set", "run.duration=15s", "--replications", "1")  # fmt: skip
    assert answer.json["scenario"] == "objects"
    assert "warning: Service default/lost: the selector matches no Pod" in answer.err


def test_without_a_terminal_there_is_no_colour(kpsim: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in ("1", None):
        if setting is None:
            monkeypatch.delenv("NO_COLOR", raising=False)
        assert "\x1b" not in kpsim("run", kpsim.small(), "--jobs", "1", "--out", "out").out


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from kpsim.cli.options import styled

    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert styled("failed", "no") != "no"
    monkeypatch.setenv("NO_COLOR", "")
    assert styled("failed", "no") == "no"


@pytest.mark.parametrize(("objective", "code"), [(MEETING, 0), (FAILING, 99)])
def test_a_threshold_that_fails_is_the_exit_code(kpsim: Shell, objective: str, code: int) -> None:
    answer = kpsim("run", kpsim.small("  run:", objective + "  run:"), "--jobs", "1", "--out", "out")
    assert answer.code == code
    assert answer.out.splitlines()[3].startswith("✓" if code == 0 else "✗")
    assert manifest(kpsim.here / "out")["thresholds"][0]["passed"] is (code == 0)  # type: ignore[index]  # a list


@pytest.mark.parametrize(("strict", "code"), [((), 0), (("--strict",), 98)])
def test_what_is_undecided_is_never_green(kpsim: Shell, strict: tuple[str, ...], code: int) -> None:
    file = kpsim.small("  run:", UNDECIDED + "  run:")
    answer = kpsim("run", file, "--jobs", "1", "--out", "out", "-o", "json", *strict)
    assert answer.code == code
    document = json.loads(answer.out)
    (threshold,) = document["thresholds"]
    assert (document["passed"], threshold["passed"], threshold["standing"]) == (None, None, "undecided")
    assert document["answer"]["standing"] == "undecided"


def test_options_are_what_the_scenario_says_when_they_are_given(kpsim: Shell) -> None:
    answer = kpsim("run", kpsim.small(), "--jobs", "1", "--out", "out", "--seed", "7", "--replications", "1",
                   "--engine", "batch", "--set", "services.web.count=3", "-o", "json")  # fmt: skip
    assert answer.code == 0
    resolved = (kpsim.here / "out/scenario.resolved.yaml").read_text(encoding="utf-8")
    for line in ("seed: 7", "replications: 1", "engine: batch", "count: 3"):
        assert line in resolved
    assert manifest(kpsim.here / "out")["engine"] == "batch"


def test_a_run_can_be_run_again_from_what_it_left_and_gives_the_same_bytes(kpsim: Shell) -> None:
    kpsim("run", kpsim.small(), "--jobs", "1", "--out", "one")
    kpsim("run", "one/scenario.resolved.yaml", "--jobs", "1", "--out", "two")
    one, two = ((kpsim.here / name / "summary.json").read_bytes() for name in ("one", "two"))
    assert one == two


def test_results_do_not_depend_on_jobs(kpsim: Shell) -> None:
    for jobs in ("1", "2"):
        assert kpsim("run", kpsim.small(), "--jobs", jobs, "--out", f"out{jobs}").code == 0
    one, two = ((kpsim.here / name / "summary.json").read_bytes() for name in ("out1", "out2"))
    assert one == two


def test_quiet_says_nothing_on_stderr_and_progress_says_how_far_it_is(
    kpsim: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kpsim.cli.options.LINE_EVERY_S", 0.02)
    assert kpsim("run", kpsim.small(), "--jobs", "1", "--out", "out", "--quiet").err == ""
    spoken = kpsim("run", kpsim.small("duration: 5s", "duration: 30s"), "--jobs", "1", "--out", "out")
    assert "small: " in spoken.err
    assert "runs" in spoken.err
    assert "runs, " not in spoken.out


def test_results_of_an_older_run_are_replaced(kpsim: Shell) -> None:
    kpsim("run", kpsim.small(), "--jobs", "1", "--out", "out", "--seed", "1")
    (kpsim.here / "out/stale").touch()
    assert kpsim("run", kpsim.small(), "--jobs", "1", "--out", "out", "--seed", "2").code == 0
    assert "out/stale" not in kpsim.left()


def test_several_files_are_checked_first_and_then_run_one_by_one(kpsim: Shell) -> None:
    good, bad = kpsim.small(), kpsim.small("count: 2", "count: -2", "bad.yaml")
    refused = kpsim("run", good, bad, "missing.yaml", "--jobs", "1")
    assert refused.code == 3
    assert "bad.yaml:7:" in refused.err
    assert "missing.yaml: there is no such file" in refused.err
    assert kpsim.left() == [bad, good]
    both = kpsim("run", good, good, "--jobs", "1", "-o", "json")
    assert [document["scenario"] for document in both.json] == ["small", "small"]
    assert kpsim("run", good, good, "--out", "out").code == 2


def test_an_interrupted_run_keeps_what_was_whole_and_says_so(kpsim: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_before(1, monkeypatch)
    answer = kpsim("run", kpsim.small(), "--jobs", "1", "--out", "out")
    assert answer.code == 130
    assert manifest(kpsim.here / "out")["complete"] is False
    assert "marked incomplete" in answer.err
    assert "report: out/report.html" in answer.out


def test_a_run_interrupted_early_leaves_nothing(kpsim: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_before(0, monkeypatch)
    answer = kpsim("run", kpsim.small(), "--jobs", "1")
    assert answer.code == 130
    assert "nothing half-written is left" in answer.err
    assert kpsim.left() == ["small.yaml"]


def interrupt_before(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C as replication ``number`` begins."""
    whole = replications.replicate

    def replicate(*args: object, **kwargs: object) -> object:
        if args[1] == number:
            raise KeyboardInterrupt
        return whole(*args, **kwargs)  # type: ignore[arg-type]  # whatever it was given

    monkeypatch.setattr(replications, "replicate", replicate)


def test_what_draws_is_imported_while_the_last_runs_are_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    imported: list[str] = []
    seen: list[tuple[int, int]] = []
    monkeypatch.setattr(run, "import_module", imported.append)
    told = run._importing(2, lambda *counts: seen.append(counts))
    told(2, 6)
    assert not imported
    told(4, 6)
    told(6, 6)
    assert imported == ["kpsim.report.directory"]
    assert seen == [(2, 6), (4, 6), (6, 6)]
