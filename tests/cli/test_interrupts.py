"""Signals at any moment: one Ctrl-C leaves a whole run or nothing, and no process outlives the one that started it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.shell import SMALL
from tests.cli.test_process import LONG, start

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
WAIT_S = 90.0  # seconds on a quiet machine


def until(true: Callable[[], object], what: str) -> None:
    end = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def whole_or_nothing(here: Path, given: list[str]) -> None:
    left = sorted(path.name for path in here.iterdir())
    if "out" in left:
        assert json.loads((here / "out/manifest.json").read_text(encoding="utf-8"))["complete"] in (True, False)
        assert (here / "out/summary.json").exists()
        left.remove("out")
    assert left == given


@pytest.mark.parametrize("after_s", [0.15, 0.4, 0.8, 1.6])
def test_an_early_ctrl_c_has_no_traceback(tmp_path: Path, after_s: float) -> None:
    (tmp_path / "long.yaml").write_text(LONG, encoding="utf-8")
    # from the moment that kpsim itself is there; before, it is Python that is starting
    code = "import sys, kpsim.cli; print('here', flush=True); sys.argv = ['kpsim', *sys.argv[1:]]; kpsim.cli.main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "run", "long.yaml", "--jobs", "1", "--out", "out"],
        cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    time.sleep(after_s)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "interrupted" in err
    whole_or_nothing(tmp_path, ["long.yaml"])


def descendants(pid: int) -> list[int]:
    """Workers, and the process that they are forked from."""
    try:
        own = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    except OSError:  # it is over
        return []
    return [*own, *(each for child in own for each in descendants(child))]


def stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return []


def busy_s(pid: int) -> float:
    return sum(map(int, stat(pid)[11:13])) / os.sysconf("SC_CLK_TCK")


def lives(pid: int) -> bool:
    return bool(found := stat(pid)) and found[0] != "Z"


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="no /proc to see processes in")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_workers_end_with_the_process_that_started_them(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "long.yaml").write_text(LONG, encoding="utf-8")
    process = start("run", "long.yaml", "--jobs", "2", "-q", "--out", "out", here=tmp_path)
    until(lambda: len([child for child in descendants(process.pid) if busy_s(child) > 0.5]) >= 2, "two workers")
    started = descendants(process.pid)
    process.send_signal(number)
    process.communicate(timeout=WAIT_S)
    assert process.returncode == (-9 if number == signal.SIGKILL else 128 + number)
    until(lambda: not any(map(lives, started)), "the workers' end")
    if number != signal.SIGKILL:
        assert sorted(path.name for path in tmp_path.iterdir()) == ["long.yaml"]


def test_what_a_killed_run_left_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL, encoding="utf-8")
    (tmp_path / ".out.partial/figures").mkdir(parents=True)
    (tmp_path / ".out.partial/figures/old.svg").write_text("old")
    process = start("run", "small.yaml", "--jobs", "1", "-q", "--out", "out", here=tmp_path)
    _, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, err
    assert not (tmp_path / "out/figures/old.svg").exists()
    whole_or_nothing(tmp_path, ["small.yaml"])


def test_two_runs_into_one_directory_do_not_mix(tmp_path: Path) -> None:
    (tmp_path / "long.yaml").write_text(LONG, encoding="utf-8")
    first = start("run", "long.yaml", "--jobs", "1", "-q", "--out", "out", here=tmp_path)
    until((tmp_path / ".out.partial").exists, "the first run's directory")
    second = start("run", "long.yaml", "--jobs", "1", "-q", "--out", "out", here=tmp_path)
    _, err = second.communicate(timeout=WAIT_S)
    assert second.returncode == 3
    assert err == "--out out: another run is at work there; wait for it, or name another place\n"
    assert (tmp_path / ".out.partial").exists()
    assert first.poll() is None
    os.kill(first.pid, signal.SIGINT)
    _, err = first.communicate(timeout=WAIT_S)
    assert first.returncode == 130, err
    whole_or_nothing(tmp_path, ["long.yaml"])


def test_ctrl_c_while_the_report_is_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL, encoding="utf-8")
    process = start("run", "small.yaml", "--jobs", "1", "-q", "--out", "out", here=tmp_path)
    staging = tmp_path / ".out.partial"
    until(lambda: (staging.exists() and any(staging.iterdir())) or (tmp_path / "out").exists(), "a first file")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=WAIT_S)
    assert "Traceback" not in err
    assert process.returncode == 130 or (tmp_path / "out").exists(), err
    whole_or_nothing(tmp_path, ["small.yaml"])


def test_memory_that_is_not_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL, encoding="utf-8")
    limited = "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (3 << 28, 3 << 28)); "
    code = limited + "from kpsim.cli import main; sys.argv = ['kpsim', *sys.argv[1:]]; main()"
    more = ("--set", "services.web.count=1000000", "--set", "cluster.podCIDR=10.128.0.0/9")
    done = subprocess.run(
        [sys.executable, "-c", code, "check", "small.yaml", *more],
        cwd=tmp_path, capture_output=True, text=True, timeout=WAIT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 4, done.stderr
    assert "of memory; the limit is 644 MB" in done.stderr
