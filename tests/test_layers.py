"""Imports run one way: the contracts in pyproject.toml hold, and would notice if they did not."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINT = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True, no_logo=True))"


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "160"}
    command = [sys.executable, "-c", LINT]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_contracts_hold() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A house with the same contracts and every room empty."""
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    rooms = re.findall(r"\w+", " ".join(contracts[0]["layers"]))
    modes = [f"modes/{name}" for name in ("iptables", "ipvs")]
    for room in ["", *rooms, *modes]:
        (tmp_path / "kpsim" / room).mkdir(parents=True, exist_ok=True)
        (tmp_path / "kpsim" / room / "__init__.py").touch()
    return tmp_path


def test_an_empty_house_keeps_the_contracts(toy: Path) -> None:
    done = lint(toy)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("cluster", "import kpsim.datapath"),  # upwards
        ("traffic", "import kpsim.controlplane"),  # sideways
        ("errors", "from kpsim.units import x"),
        ("modes/ipvs", "import kpsim.modes.iptables"),
        ("modes/ipvs", "import kpsim.explain"),
        ("proxy", "import kpsim.modes.ipvs"),
        ("dumps", "import kpsim.scenario"),
        ("kube", "import simpy"),
        ("proxy", "import pandas"),
        ("experiment", "import matplotlib.pyplot"),
        ("report", "import click"),
        ("report", "from rich.table import Table"),
        ("cluster", "import pydantic"),
        ("attic", ""),  # a room nobody gave a place
    ],
)
def test_a_breach_is_noticed(toy: Path, room: str, line: str) -> None:
    (toy / "kpsim" / room).mkdir(exist_ok=True)
    (toy / "kpsim" / room / "__init__.py").write_text(line + "\n")
    done = lint(toy)
    assert done.returncode == 1, done.stdout + done.stderr


def modes() -> dict[str, list[Path]]:
    """The source files of each registered mode, from the targets in the registry."""
    registry = (ROOT / "kpsim/proxy/registry.py").read_text()
    found = {}
    for name in re.findall(r'"kpsim\.modes\.(\w+)[\w.]*:\w+"', registry):
        folder = ROOT / "kpsim/modes" / name
        found[name] = sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
    return found


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return names


def test_every_registered_mode_knows_no_other_mode_no_clock_and_no_generator() -> None:
    assert {"iptables", "ipvs"} <= modes().keys()
    for mode, paths in modes().items():
        strangers = [f"kpsim.modes.{other}" for other in modes() if other != mode]
        strangers += ["kpsim.clock", "kpsim.rng", "random", "numpy.random", "simpy", "time"]
        for path in paths:
            for name in imported(path):
                assert not any(name == s or name.startswith(f"{s}.") for s in strangers), f"{path}: {name}"
