"""A sweep killed at random moments resumes to the same table, byte for byte: ``python -m tests.soak.kills``.

Twenty kills here, and as many with two Dask workers, of which every other kill takes one along; the tests make two.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.dask_cluster import DaskCluster, two_workers

ROOT = Path(__file__).parents[2]
SWEEP = """\
apiVersion: kpsim/v1alpha1
kind: Sweep
metadata: {name: killed}
spec:
  cluster: {nodes: 2, cores: 2}
  services: [{name: web, count: 2, endpoints: 2}]
  compare: {modes: [iptables, nftables]}
  traffic: {connectionsPerSecondPerNode: 20, packetsPerConnection: 2}
  changes: {churn: {podReplacementsPerSecond: 1}}
  run: {duration: 60s, warmup: 5s, seed: 3, replications: 2, engine: batch, packets: 20k}
sweep:
  services.web.count: POINTS
"""
STARTED_S = 60.0  # a point must be done by then, however slow the machine; before it, there is nothing to keep
LAST_KILL_S = 3.0  # after that point


def killed(
    folder: Path, kills: int, number: int, points: int = 12, cluster: DaskCluster | None = None
) -> tuple[bytes, bytes, int]:
    """Return the table of a sweep that was killed so often, that of one that was not, and how many points were kept.

    With a ``cluster`` its workers do what is killed, and with every other kill one of them is killed too.
    """
    rng = random.Random(number)  # noqa: S311 - moments, no secrets
    for name in ("killed", "whole"):
        (folder / name).mkdir()
        text = SWEEP.replace("POINTS", ",".join(str(2 + n) for n in range(points)))
        (folder / name / "s.yaml").write_text(text, encoding="utf-8")
    where = ("--scheduler", cluster.address) if cluster else ()
    for kill in range(kills):
        before, process = _kept(folder), _started(folder / "killed", *where)
        until = time.monotonic() + STARTED_S
        while _kept(folder) == before and process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        try:
            process.wait(rng.uniform(0.0, LAST_KILL_S))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        if cluster and kill % 2:
            cluster.workers.pop(0).kill()
            cluster.work()
            cluster.wait(2)
    kept = _kept(folder)
    for name in ("killed", "whole"):
        process = _started(folder / name, *(where if name == "killed" else ()))
        if process.wait() != 0:
            raise AssertionError(f"{name}: exit code {process.returncode}")
    return (folder / "killed/out/sweep.csv").read_bytes(), (folder / "whole/out/sweep.csv").read_bytes(), kept


def _kept(folder: Path) -> int:
    return len(list((folder / "killed/results/sweeps/points").glob("*.json")))


def _started(here: Path, *where: str) -> subprocess.Popen[bytes]:
    hands = where or ("--jobs", "2")
    command = [sys.executable, "-m", "kpsim.cli", "run", "s.yaml", "-q", *hands, "--out", "out"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"}
    return subprocess.Popen(command, cwd=here, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main() -> int:
    """Return 1 if the tables differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    differ = int(_said("local processes", given.kills, given.seed))
    if importlib.util.find_spec("distributed"):
        with tempfile.TemporaryDirectory() as folder, two_workers(Path(folder)) as cluster:
            differ += _said("two Dask workers", given.kills, given.seed, cluster)
    else:
        print("Dask is not installed: pip install 'kpsim[distributed]'")
    return 1 if differ else 0


def _said(where: str, kills: int, number: int, cluster: DaskCluster | None = None) -> bool:
    """Kill a sweep, say what became of its table, and return True if it is another one."""
    with tempfile.TemporaryDirectory() as folder:
        after, whole, kept = killed(Path(folder), kills, number, 60, cluster)
    same = "same" if after == whole else "OTHER"
    print(f"{where}: {kills} kills (--seed {number}), {kept} points kept: {same} table", flush=True)
    return after != whole


if __name__ == "__main__":
    sys.exit(main())
