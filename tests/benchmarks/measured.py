"""What a benchmark measures: CPU seconds, the memory of all processes together, and what this machine can do at best.

A child's greatest resident size starts at its parent's, so memory is the proportional set size of the process tree.
"""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from kpsim.queues import lindley

SET_CHILD_SUBREAPER = 36  # of prctl


def cpu_s(action: Callable[[], object], times: int = 3) -> float:
    """Return the least CPU time of a few calls [s]: other users of the machine only ever add to it."""
    best = float("inf")
    for _ in range(times):
        began = time.process_time()
        action()
        best = min(best, time.process_time() - began)
    return best


class PeakMemory:
    """The most memory a process and its children held together [bytes], sampled from /proc."""

    def __init__(self) -> None:
        self.most = 0.0

    def watch(self, pid: int) -> None:
        threading.Thread(target=self._watch, args=(pid,), daemon=True).start()

    def _watch(self, pid: int) -> None:
        while Path(f"/proc/{pid}").exists():
            self.most = max(self.most, sum(map(_pss, _family(pid))))
            time.sleep(0.05)


def run(command: Sequence[str], folder: Path) -> tuple[int, str, float]:
    """Return (exit code, what a command printed, the most memory of all its processes [bytes])."""
    peak = PeakMemory()
    _adopt()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder)
    peak.watch(process.pid)
    out, _ = process.communicate()
    with suppress(ChildProcessError):
        while True:
            os.wait()  # whatever it left behind, so that its time is counted
    return process.returncode, out, peak.most


def family_cpu_s() -> float:
    """Return the CPU time of all processes that :func:`run` has started, and of theirs [s]."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _adopt() -> None:
    """Become the parent of processes whose own is gone, as of the one that workers are forked from."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _family(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += [int(child) for child in task.read_text().split()]
            except OSError:
                continue
    return found


def _pss(pid: int) -> float:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return float(line.split()[1]) * 1024
    except (OSError, IndexError):
        pass
    return 0.0


class Limits:
    """The least CPU time of an elementary step here and now [s]; what is measured is compared with sums of them."""

    def __init__(self, n: int = 100_000) -> None:
        rng = np.random.default_rng(1)
        place, table = rng.integers(0, 10_000, n), rng.integers(0, 10_000, 10_000)
        runs = np.sort(rng.integers(0, 10**12, (10, n // 10)), axis=1).ravel()
        rising, cost, asked = np.sort(runs), rng.integers(0, 900, n), rng.integers(0, 10**12, n)
        known = np.sort(rng.integers(0, 10**12, 20_000))
        steps: dict[str, Callable[[], object]] = {
            "gather_and_add": lambda: table[place] + place,
            "lindley": lambda: lindley(rising, cost),
            "random": lambda: rng.integers(0, 1 << 32, n, dtype=np.uint32),
            "merge": lambda: np.argsort(runs, kind="stable"),
            "search": lambda: np.searchsorted(known, asked),
        }
        self.each_s = {name: cpu_s(step, 15) / n for name, step in steps.items()}

    def of(self, **steps: float) -> float:
        """Return the time of so many of each step [s]."""
        return sum(self.each_s[name] * count for name, count in steps.items())

    def told(self) -> str:
        """Return the steps and their times as a line."""
        return ", ".join(f"{name} {each * 1e9:.1f} ns" for name, each in self.each_s.items())
