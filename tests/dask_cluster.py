"""A real Dask scheduler and two workers on this machine, for as long as a block lasts."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

START_S = 120.0  # however busy the machine


@dataclass(slots=True)
class DaskCluster:
    """A scheduler's address, and its workers' processes."""

    folder: Path
    address: str = ""
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def file(self) -> Path:
        """Return the file in which the scheduler says its address."""
        return self.folder / "scheduler.json"

    def started(self, kind: str, *more: str) -> subprocess.Popen[bytes]:
        """Start a scheduler or a worker."""
        where = ("--scheduler-file", str(self.file), "--no-dashboard", "--interface", "lo")
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *where, *more]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def work(self) -> None:
        """Start one more worker."""
        plain = ("--nthreads", "1", "--no-nanny", "--local-directory", str(self.folder))
        self.workers.append(self.started("worker", *plain))

    def wait(self, workers: int) -> None:
        """Return once so many workers are there."""
        from distributed import Client

        until = time.monotonic() + START_S
        while not self.file.exists() and time.monotonic() < until:
            time.sleep(0.1)
        self.address = str(json.loads(self.file.read_text(encoding="utf-8"))["address"])
        with Client(self.address, timeout=60, set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=START_S)


@contextmanager
def two_workers(folder: Path) -> Iterator[DaskCluster]:
    """Give a cluster of two workers; all its processes end with the block."""
    cluster = DaskCluster(folder)
    scheduler = cluster.started("scheduler", "--port", "0")
    try:
        cluster.work()
        cluster.work()
        cluster.wait(2)
        yield cluster
    finally:
        for process in (scheduler, *cluster.workers):
            process.kill()
            process.wait()
