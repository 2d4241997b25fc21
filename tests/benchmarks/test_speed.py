"""How fast, how large: ratios within one run, and counts so that the work timed cannot shrink.

`make bench` prints the figures.  Seconds are shown and never asserted, because machines are shared; what is asserted is
that the batch engine is a hundred times the reference engine on the same packets, and that time grows no faster than
the work.  Whole commands are in ``test_envelopes``.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from kpsim.cluster.changes import NEVER
from kpsim.datapath.batch import serve_packets
from kpsim.scenario.model import Scenario
from kpsim.scenario.reader import read
from kpsim.simulation import build_cluster, prepare, run_mode
from tests.in_force import rules_of

ROOT = Path(__file__).parents[2]
KPSIM = [sys.executable, "-m", "kpsim.cli"]
pytestmark = pytest.mark.benchmark


def clock(what: str, action, times: int = 3) -> float:  # type: ignore[no-untyped-def]  # any callable
    best = min(_timed(action) for _ in range(times))
    print(f"{what}: {best:.3f} s")
    return best


def _timed(action) -> float:  # type: ignore[no-untyped-def]  # any callable
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def small(packets_per_s: float, nodes: int = 4) -> Scenario:
    return read(
        ROOT / "scenarios" / "hello.yaml",
        [("cluster.nodes", str(nodes)), ("run.duration", "20s"), ("run.warmup", "2s"), ("run.packets", "100M"),
         ("traffic.connectionsPerSecondPerNode", str(packets_per_s / 4 / nodes)), ("run.replications", "1")],
    )  # fmt: skip


def test_batch_engine_is_a_hundred_times_the_reference_engine() -> None:
    """The same packets through both engines: draws are made before either, and not timed."""
    scenario = small(1500)
    cluster, _ = build_cluster(scenario)
    first = prepare(scenario, cluster, 0)
    found = run_mode(first, "iptables", "batch")
    packets = found.outcomes.arrival_ns.size
    rules = rules_of(first, found)
    gone = first.changes.pod_gone_ns

    reference_s = clock(
        f"reference engine, {packets:,} packets",
        lambda: run_mode(prepare(scenario, cluster, 0), "iptables", "reference"),
        1,
    )
    batch_s = clock(
        "batch engine, packets only", lambda: serve_packets(rules, first.connections, first.windows, gone), 5
    )
    whole_s = clock(
        "batch engine, control plane and syncs too",
        lambda: run_mode(prepare(scenario, cluster, 0), "iptables", "batch"),
    )
    print(f"batch engine: {packets / batch_s / 1e6:.1f} M packets/s, {reference_s / batch_s:,.0f} times the reference "
          f"engine; {reference_s / whole_s:,.0f} times with everything else")  # fmt: skip
    assert packets > 25_000
    assert reference_s / batch_s > 100


def test_packets_scale_with_their_number() -> None:
    """Ten times the packets take about ten times as long, and many lanes are fast."""
    rates = {}
    for packets_per_s in (10_000, 100_000):
        scenario = small(packets_per_s, nodes=32)
        cluster, _ = build_cluster(scenario)
        replication = prepare(scenario, cluster, 0)
        found = run_mode(replication, "iptables", "batch")
        rules = rules_of(replication, found)
        gone = replication.changes.pod_gone_ns
        n = replication.connections.cost_draw.size
        blocks = list(replication.connections.blocks(250_000))
        seconds = clock(
            f"{n:,} packets",
            lambda: [serve_packets(rules, b, replication.windows, gone) for b in blocks],  # noqa: B023 - called at once
        )
        rates[n] = n / seconds
        print(f"  {rates[n] / 1e6:.1f} M packets/s")
    few, many = rates.values()
    assert list(rates)[1] > 1_500_000
    assert many > few / 2


def test_sync_lanes() -> None:
    """A thousand nodes at ten thousand Services: node-syncs a second."""
    scenario = read(ROOT / "scenarios" / "10k-services.yaml", [("run.duration", "2m"), ("run.packets", "100k")])
    cluster, _ = build_cluster(scenario)
    replication = prepare(scenario, cluster, 0)
    control_s = clock(
        "control plane, 2 min of 10k-services, with everything", lambda: run_mode(replication, "ipvs", "batch"), 1
    )
    found = run_mode(replication, "ipvs", "batch")
    syncs = int((found.proxiers[0].syncs.start < NEVER).sum())
    seconds = clock(f"{syncs:,} node-syncs", lambda: run_mode(replication, "ipvs", "batch"))
    print(
        f"  {syncs / seconds / 1e6:.2f} M node-syncs/s with everything else; control plane {control_s - seconds:.2f} s"
    )
    assert syncs > 100_000
    assert np.all(np.diff(found.proxiers[0].syncs.absorbed, axis=0) >= 0)


def test_quick_commands() -> None:
    """What must feel instant."""
    for arguments, target in ((["--help"], 0.15), (["check", str(ROOT / "scenarios" / "10k-services.yaml")], 1.0)):
        command = [*KPSIM, *arguments]
        seconds = clock(
            f"kpsim {arguments[0]} (target {target} s)",
            partial(subprocess.run, command, capture_output=True, check=True),
        )
        bare = clock("  python alone", lambda: subprocess.run([sys.executable, "-c", ""], check=True))
        print(f"  {seconds / bare:.1f} times starting Python")
    print(f"peak memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB")
