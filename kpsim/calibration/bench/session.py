"""A plan is carried out in a process of its own, and its rows come back; or it is said why that cannot be here."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kpsim.calibration.bench.plan import Plan
from kpsim.errors import GuardError

PATIENCE = 1.25  # times what a plan is to take, after which its process is ended
WORKER = ("-P", "-m", "kpsim.calibration.bench.worker")


@dataclass(slots=True)
class Measured:
    """Rows that came back, with everything missing and why, and the kernel modules that were loaded meanwhile."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    missing: list[tuple[str, str]] = field(default_factory=list)
    modules: list[str] = field(default_factory=list)


def refusal() -> str:
    """Return why nothing can be measured here; "" if something can."""
    if sys.platform != "linux":
        return f"it needs Linux, and this is {sys.platform}"
    if os.geteuid():
        return "it needs root, to make network namespaces of its own: sudo kpsim calibrate bench"
    if not shutil.which("ip"):
        return "it needs ip, of the package iproute2"
    return ""


def measure(plan: Plan, says: Callable[[str], None]) -> Measured:
    """Carry out a plan and return what was measured; ``says`` hears of its progress.

    Raises
    ------
    GuardError
        where the kernel allows no namespaces, or takes the rules of no mode.
    """
    why = refusal()
    if why:
        raise GuardError(f"kpsim calibrate bench cannot measure here: {why}")
    before, found, ended = _modules(), Measured(), ""
    command = [sys.executable, *WORKER, str(os.getpid())]
    worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)  # noqa: S603 - ourselves
    assert worker.stdin is not None
    assert worker.stdout is not None
    limit = threading.Timer(plan.whole_s * PATIENCE, worker.kill)
    limit.start()
    try:
        with worker.stdin as sink:
            sink.write(plan.to_bytes())
        for line in worker.stdout:
            said = json.loads(line)
            if "row" in said:
                found.rows.append(said["row"])
            elif "missing" in said:
                found.missing += [] if (miss := (said["missing"], said["why"])) in found.missing else [miss]
            elif "refused" in said:
                ended = said["refused"]
            else:
                says(said["says"])
        worker.wait()
    except BrokenPipeError:
        ended = "its process ended before it began"
    finally:
        limit.cancel()
        worker.kill()
        worker.wait()
        worker.stdout.close()
    if not found.rows:
        reasons = [ended] if ended else [f"{mode}: {reason}" for mode, reason in found.missing]
        raise GuardError("kpsim calibrate bench cannot measure here: " + ("; ".join(reasons) or "it took too long"))
    if ended or worker.returncode:
        late = worker.returncode == -signal.SIGKILL
        found.missing.append(("what was to come then", ended or ("it took too long" if late else "its process ended")))
    found.modules = sorted(_modules() - before)
    return found


def _modules() -> set[str]:
    """Return the kernel modules that are loaded; none where the kernel has none."""
    try:
        return {line.split()[0] for line in Path("/proc/modules").read_text(encoding="ascii").splitlines()}
    except OSError:
        return set()
