"""A sweep killed at random moments resumes to the same table, byte for byte: ``python -m tests.soak.kills``.

Twenty kills here; the tests make two.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

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
STARTED_S = 1.0  # before it, there is hardly anything to kill
LAST_KILL_S = 12.0  # however slow the machine, some points are done between two kills


def killed(folder: Path, kills: int, number: int, points: int = 12) -> tuple[bytes, bytes, int]:
    """Return the table of a sweep that was killed so often, that of one that was not, and how many points were kept."""
    rng = random.Random(number)  # noqa: S311 - moments, no secrets
    for name in ("killed", "whole"):
        (folder / name).mkdir()
        text = SWEEP.replace("POINTS", ",".join(str(2 + n) for n in range(points)))
        (folder / name / "s.yaml").write_text(text, encoding="utf-8")
    for _ in range(kills):
        process = _started(folder / "killed")
        wait_s = rng.uniform(STARTED_S, LAST_KILL_S)
        try:
            process.wait(wait_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
    kept = len(list((folder / "killed/results/sweeps/points").glob("*.json")))
    for name in ("killed", "whole"):
        process = _started(folder / name)
        if process.wait() != 0:
            raise AssertionError(f"{name}: exit code {process.returncode}")
    return (folder / "killed/out/sweep.csv").read_bytes(), (folder / "whole/out/sweep.csv").read_bytes(), kept


def _started(here: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "kpsim.cli", "run", "s.yaml", "-q", "--jobs", "2", "--out", "out"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"}
    return subprocess.Popen(command, cwd=here, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main() -> int:
    """Return 1 if the tables differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        after, whole, kept = killed(Path(folder), given.kills, given.seed, points=60)
    print(
        f"{given.kills} kills (--seed {given.seed}), {kept} points kept: {'same' if after == whole else 'OTHER'} table"
    )
    return 0 if after == whole else 1


if __name__ == "__main__":
    sys.exit(main())
