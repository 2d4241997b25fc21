"""``kpsim`` as a process of its own: how soon it answers, pipes that close, and a real Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.shell import SMALL

COMMAND = (sys.executable, "-m", "kpsim.cli")
LONG = SMALL.replace("duration: 5s", "duration: 10h").replace("packets: 2k", "packets: 2M")
MODULES_OF_A_LOOK = 190  # each takes its time, of which classes with fields take half
HEAVY = {"numpy", "pandas", "matplotlib", "pydantic", "yaml", "simpy", "rich", "jinja2"}


def start(*args: str, here: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen(
        [*COMMAND, *args], cwd=here, env=environment, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def imported(*args: str) -> set[str]:
    """The modules that a command has imported when it is done."""
    code = (
        f"import sys; sys.argv = {['kpsim', *args]}; from kpsim.cli import main\ntry: main()\nexcept SystemExit: pass\n"
    )
    code += "print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.splitlines()[-1].split())


def test_help_imports_nothing_heavy() -> None:
    assert not HEAVY & imported("--help")


@pytest.mark.parametrize(
    "command", [("check", "hello.yaml"), ("explain", "service", "web-0", "-f", "hello.yaml")], ids=lambda c: c[0]
)
def test_a_look_imports_what_it_needs(command: tuple[str, ...]) -> None:
    scenarios = Path(__file__).parents[2] / "scenarios"
    found = imported(*(str(scenarios / word) if word.endswith(".yaml") else word for word in command))
    engines = {f"kpsim.simulation.{name}" for name in ("batch", "reference", "wiring")}
    others = {"multiprocessing", "concurrent.futures", "scipy", "kpsim.dumps.detection", "kpsim.kube.server.judge"}
    assert not (HEAVY - {"numpy", "yaml"} | engines | others) & found
    assert sum(name.startswith("kpsim.") for name in found) <= MODULES_OF_A_LOOK


def test_a_run_from_the_prompt(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL, encoding="utf-8")
    process = start("run", "small.yaml", "--jobs", "2", "-o", "json", here=tmp_path)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert json.loads(out)["scenario"] == "small"
    assert err.startswith("  report: results/runs/small-")


def test_a_reader_that_goes_away_is_no_bug(tmp_path: Path) -> None:
    process = start("schema", here=tmp_path)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert process.stderr.read() == ""
    process.stderr.close()


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
def test_ctrl_c_ends_a_run_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    (tmp_path / "long.yaml").write_text(LONG, encoding="utf-8")
    process = start("run", "long.yaml", "--jobs", "1", "--out", "out", here=tmp_path)
    until = time.monotonic() + 60
    while not (tmp_path / ".out.partial").exists() and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "interrupted" in err
    left = sorted(path.name for path in tmp_path.iterdir())
    if "out" in left:  # a replication was whole already
        assert json.loads((tmp_path / "out/manifest.json").read_text())["complete"] is False
    else:
        assert left == ["long.yaml"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
def test_ctrl_c_ends_a_sweep_and_the_processes_it_started(tmp_path: Path) -> None:
    (tmp_path / "long.yaml").write_text(LONG, encoding="utf-8")
    process = start(
        "sweep", "long.yaml", "--set", "services.web.count=1,2", "--jobs", "2", "--out", "out", here=tmp_path
    )
    until = time.monotonic() + 60
    while not (tmp_path / ".out.partial").exists() and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(1.5)
    began = time.monotonic()
    os.kill(process.pid, signal.SIGINT)  # not to its workers: they must be ended
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert time.monotonic() - began < 10
    assert "Traceback" not in err
    assert "interrupted: 0 of 2 points were done" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["long.yaml"]
