"""``kpsim calibrate bench`` on this host: its profile holds for a larger size, and nothing of it is left behind."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kpsim.calibration.bench.session import measure
from kpsim.experiment.bench.profile import PACKETS, records_of
from kpsim.experiment.bench.rules import Sizes, plan
from kpsim.experiment.validation.verdicts import judged
from kpsim.profiles.costs import load_profile
from tests.kernel.needs import need

pytestmark = pytest.mark.kernel

BENCH = (sys.executable, "-m", "kpsim.cli", "calibrate", "bench")
FRESH = {  # larger than any that a bench measures
    "iptables-legacy": Sizes((8000,), ((2000, 2),)),
    "iptables-nft": Sizes((2500,), ((2500, 1),)),
    "nftables": Sizes((2000,), ((2500, 1),)),
}
FRESH_S, PACKETS_S = 45.0, 6.0
GONE_S, LONGEST_S = 10.0, 60.0
WITHIN = 0.15
STEADY = 0.1  # a host that changes its speed by more tells nothing of a profile
TEMPORARY = Path(tempfile.gettempdir())
HOST = (
    ("ip", "netns"),
    ("ip", "-o", "link"),
    ("iptables-legacy-save",),
    ("iptables-nft-save",),
    ("nft", "list", "ruleset"),
)


def needed() -> None:
    for mode in ("legacy", "nft", "nftables"):
        need(mode)


def host() -> dict[str, str]:
    """The host as it shows itself, without the packets that its rules have counted."""
    said = {
        " ".join(command): subprocess.run(command, capture_output=True, text=True, check=True).stdout
        for command in HOST
    }
    kept = {
        name: "\n".join(line for line in text.splitlines() if not line.startswith("#")) for name, text in said.items()
    }
    return {**kept, "mounts": Path("/proc/self/mounts").read_text(encoding="utf-8")}


def descendants(of: int) -> set[int]:
    """The processes that a process has started, and those that these have."""
    children: dict[int, set[int]] = defaultdict(set)
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            after = status.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        children[int(after[1])].add(int(status.parent.name))
    found, todo = set[int](), {of}
    while todo:
        todo = set().union(*(children[each] for each in todo))
        found |= todo
    return found


def alive(processes: set[int]) -> set[int]:
    return {each for each in processes if Path("/proc", str(each)).exists()}


@pytest.mark.parametrize("moment", ["Services for packets", "packets for", "commands for"])
def test_nothing_is_left_of_one_that_is_killed(moment: str, tmp_path: Path) -> None:
    needed()
    before, temporary = host(), set(TEMPORARY.iterdir())
    with subprocess.Popen((*BENCH, "--out", "it.yaml"), cwd=tmp_path, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if moment in line:
                break
        else:
            pytest.fail(f"it ended and never said {moment!r}")
        time.sleep(0.3)  # into the middle of it
        started = descendants(running.pid)
        assert len(alive(started)) >= 2, "the process that measures, and the one around it"
        running.send_signal(signal.SIGKILL)
    until_s = time.monotonic() + GONE_S
    while alive(started) and time.monotonic() < until_s:
        time.sleep(0.05)
    assert not alive(started)
    assert host() == before
    assert not list(tmp_path.iterdir())
    assert not [path for path in set(TEMPORARY.iterdir()) - temporary if "kpsim" in path.name or "bench" in path.name]


@pytest.mark.skipif("KPSIM_BENCH" not in os.environ, reason="times that quiet cores tell: make bench runs it")
def test_its_profile_holds_for_a_larger_size(tmp_path: Path) -> None:
    needed()
    before, began_s = host(), time.monotonic()
    command = (*BENCH, "--out", "it.yaml", "-o", "json")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began_s < LONGEST_S
    assert host() == before
    said = json.loads(done.stdout)
    assert {Path(name).suffix for name in said["files"]} == {".yaml", ".csv", ".svg"}
    assert {each["kind"] for each in said["against_base"]} == {"packets", "commands"}

    fresh = measure(plan(FRESH, FRESH_S, PACKETS_S), lambda _: None)
    packets = [row for row in fresh.rows if row["quantity"] in PACKETS]
    with (tmp_path / "it.csv").open(encoding="utf-8") as file:
        slower = established_ns(packets) / established_ns(list(csv.DictReader(file)))
    if abs(slower - 1) > STEADY:
        pytest.skip(f"this host takes {slower:.2f} times as long for the same packets as a minute before")
    assert max(errors(packets, tmp_path / "it.yaml").values()) < WITHIN
    flat = load_profile(str(tmp_path / "it.yaml")).text.document()
    flat["families"]["iptables-legacy"]["rule_passed"] |= {"typical": [0.0, 0.0, 0.0], "unit": "ns"}
    (tmp_path / "flat.yaml").write_text(json.dumps(flat), encoding="utf-8")
    last = [row for row in packets if row["position"] == "last" and row["quantity"] == "udp_first"]
    assert errors(last, tmp_path / "flat.yaml")["iptables-legacy"] > WITHIN, "a wrong model is found out"

    if os.getloadavg()[0] > (os.cpu_count() or 1):
        pytest.skip("others want these cores: how long a command takes by the wall says nothing now")
    commands = [row for row in fresh.rows if row["quantity"].endswith(".wall")]
    off = errors(commands, tmp_path / "it.yaml")
    assert max(off.values()) < 2 * WITHIN  # the same commands took 30 % longer, a minute later on this host
    if max(off.values()) >= WITHIN:
        missed = ", ".join(f"{mode} {share:.0%}" for mode, share in off.items())
        pytest.xfail(f"commands of a larger size are missed by more than {WITHIN:.0%} in the median: {missed}")


def established_ns(rows: list[dict[str, Any]]) -> float:
    """How long packets took that pass no rule of a Service, whatever the size: they tell how fast the host is now."""
    return float(np.median([float(row["p50"]) for row in rows if row["quantity"] == "udp_established"]))


def errors(rows: list[dict[str, Any]], profile: Path) -> dict[str, float]:
    """How far a profile is off each mode's rows, in the median."""
    off: dict[str, list[float]] = defaultdict(list)
    for each in judged(records_of(rows), {}, str(profile)).verdicts:
        off[each.record.mode].append(abs(each.ratio - 1))
    assert off.keys() == {row["mode"] for row in rows}
    return {mode: float(np.median(each)) for mode, each in off.items()}
