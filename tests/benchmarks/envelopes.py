"""The envelopes of MEASURED.md, a row each: a command of a size that users ask for, its CPU seconds and its memory.

``python -m tests.benchmarks.envelopes`` (``make envelopes``) measures all and prints the table as MEASURED.md has it.
CPU seconds and memory are of all processes together; how much else the machine had to do stands beside them.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.benchmarks.dumps import write_dump
from tests.benchmarks.measured import cpu_s, family_cpu_s, run

ROOT = Path(__file__).parents[2]
FLAGSHIP, LOAD_TEST = (str(ROOT / "scenarios" / name) for name in ("10k-services.yaml", "cl2-load-5000.yaml"))
MINUTE = ("run.duration=60s", "run.warmup=10s", "run.replications=1", "compare.modes=[iptables]")
LARGE = (
    "services.small.count=91500",
    "services.medium.count=7400",
    "services.big.count=600",
    "services.headless.count=500",
)
MANY_NODES = ("cluster.nodes=100000", "cluster.podCIDR=10.128.0.0/9", "run.packets=100k")
NO_FIGURES = """
import sys
from kpsim.experiment.replications import run_scenario
from kpsim.scenario.reader import read
found = run_scenario(read(sys.argv[1], [tuple(each.split("=", 1)) for each in sys.argv[2:]]))
print(f"{found.services:,} Services, {found.nodes:,} nodes,",
      next(iter(found.modes.values())).counts["packets_simulated"].value, "packets")
"""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A row: what runs, its targets, and what it may take before ``make bench`` fails.

    ``most_units`` bounds its CPU time in units of :func:`unit_s`, ``most_bytes`` the memory of all its processes:
    what was measured for MEASURED.md, and half, or a seventh, as much again.
    """

    name: str
    sets: tuple[str, ...]
    target: str
    most_units: float
    most_bytes: float
    says: str  # what it prints tells that the work was done
    file: str = FLAGSHIP
    figures: bool = True
    jobs: int = 1

    def command(self, folder: Path) -> list[str]:
        """Return the command, whose files go to ``folder``."""
        if self.file.startswith("dump."):
            return [sys.executable, "-m", "kpsim.cli", "check", str(write_dump(folder / self.file))]
        if not self.figures:
            return [sys.executable, "-c", NO_FIGURES, self.file, *self.sets]
        sets = [part for each in self.sets for part in ("--set", each)]
        out = ["--jobs", str(self.jobs), "--quiet", "--out", str(folder / "run")]
        return [sys.executable, "-m", "kpsim.cli", "run", self.file, *sets, *out]


ENVELOPES = (
    Envelope("flagship, report included, one process", (), "8 CPU s, 300 MB", 150, 410e6, "10,000 Services"),
    Envelope("the same, two processes", (), "5 s, 8 CPU s, 300 MB", 162, 565e6, "10,000 Services", jobs=2),
    Envelope(
        "10,000 Services x 5,000 nodes, 10^7 packets, tables and figures",
        (*MINUTE, "cluster.nodes=5000", "run.packets=10M"), "3.5 s, 160 MB", 33, 172e6, "10,000 Services",
    ),
    Envelope(
        "100,000 Services x 5,000 nodes, the same",
        (*MINUTE, *LARGE, "cluster.nodes=5000", "run.packets=10M"), "4 s, 300 MB", 46, 310e6, "100,000 Services",
    ),
    Envelope(
        "100,000 Services x 100,000 nodes, no figures",
        (*MINUTE, *LARGE, *MANY_NODES), "3.5 s, 350 MB", 25, 310e6, "100,000 Services, 100,000 nodes", figures=False,
    ),
    Envelope(
        "10,000 Services x 100,000 nodes, no figures",
        (*MINUTE, *MANY_NODES), "3 s, 300 MB", 23, 290e6, "10,000 Services, 100,000 nodes", figures=False,
    ),
    Envelope(
        "10^8 packets, no figures",
        ("run.duration=120s", "run.warmup=20s", "run.replications=1", "compare.modes=[iptables]", "run.packets=100M"),
        "10 s, 200 MB", 96, 175e6, "10,000 Services, 1,000 nodes", figures=False,
    ),
    Envelope("cl2-load-5000, an hour, two modes", (), "8 CPU s, 300 MB", 103, 353e6, "8,200 Services", LOAD_TEST),
    Envelope("check of 10,000 Services dumped as JSON", (), "1.5 s, 200 MB", 29, 216e6, "10,000 Services", "dump.json"),
    Envelope("the same dumped as YAML", (), "4 s, 150 MB", 50, 185e6, "10,000 Services", "dump.yaml"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of an envelope; ``unit_s`` is what the machine took for the unit of work beside it."""

    wall_s: float
    cpu_s: float
    most_bytes: float
    unit_s: float
    load: float
    out: str
    code: int

    @property
    def units(self) -> float:
        """Return the CPU time in units of the machine's own."""
        return self.cpu_s / self.unit_s


def unit_s() -> float:
    """Return the CPU time of a fixed piece of work here and now [s]: half of it objects, half arrays.

    Other users of the machine slow it as they slow what is measured beside it.
    """
    rng = np.random.default_rng(1)
    place, table = rng.integers(0, 10_000, 100_000), rng.integers(0, 10_000, 10_000)

    def objects() -> int:
        held = {number: (number, str(number)) for number in range(100_000)}
        return sum(len(name) for number, name in held.values() if number % 3)

    def arrays() -> None:
        for _ in range(25):
            np.argsort(table[place] + place, kind="stable")

    return cpu_s(objects, 5) + cpu_s(arrays, 5)


def measure(envelope: Envelope, folder: Path) -> Measured:
    """Run it in processes of its own, between two goes at the unit of work."""
    command = envelope.command(folder)
    before, load = unit_s(), os.getloadavg()[0]
    began, spent_s = time.perf_counter(), family_cpu_s()
    code, out, most = run(command, folder)
    wall_s, spent_s = time.perf_counter() - began, family_cpu_s() - spent_s
    return Measured(wall_s, spent_s, most, (before + unit_s()) / 2, load, out, code)


def table(tell: Callable[[str], None]) -> None:
    """Measure every row and tell the table, as Markdown."""
    tell("| run | wall | CPU | memory of all processes | units | load before | target |")
    tell("|---|---|---|---|---|---|---|")
    for envelope in ENVELOPES:
        with tempfile.TemporaryDirectory() as folder:
            found = measure(envelope, Path(folder))
        failed = "" if found.code in (0, 99) and envelope.says in found.out else f" (exit {found.code})"
        tell(
            f"| {envelope.name}{failed} | {found.wall_s:.1f} s | {found.cpu_s:.1f} s | {found.most_bytes / 1e6:.0f} MB "
            f"| {found.units:.0f} | {found.load:.1f} | {envelope.target} |"
        )


if __name__ == "__main__":
    table(lambda line: print(line, flush=True))
