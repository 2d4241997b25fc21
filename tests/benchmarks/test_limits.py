"""How near the engine comes to what the machine can do: rates against limits taken in the same run, and slopes.

A rate that falls by a third fails, whatever the machine; counts are asserted, so that the work timed cannot shrink.
"""

from __future__ import annotations

import math
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kpsim.experiment.guard import memory_bytes
from kpsim.experiment.observing.observations import Observations
from kpsim.experiment.observing.observe import observe
from kpsim.scenario.model import Scenario
from kpsim.scenario.reader import read
from kpsim.simulation import ModeRun, Replication, build_cluster, prepare, run_mode
from tests.benchmarks.measured import Limits, cpu_s, run

ROOT = Path(__file__).parents[2]
FLAGSHIP = ROOT / "scenarios" / "10k-services.yaml"
pytestmark = pytest.mark.benchmark

# How many times as long as its limit each takes, on the machine of DESIGN's table, and half as much again.
PACKET_LIMITS = {"random": 1.3, "merge": 1, "lindley": 1, "gather_and_add": 6, "search": 0.3}
PACKET_RATIO = 1.5 * 1.9
SYNC_LIMITS = {"search": 2, "gather_and_add": 25}
SYNC_RATIO = 1.5 * 3.2


def large(nodes: int, *, scale: int = 1, packets: str = "100k", churn: str = "10") -> Scenario:
    """Return a minute of the flagship's Services on so many nodes, one replication under iptables."""
    settings = {"cluster.nodes": str(nodes), "cluster.podCIDR": "10.128.0.0/9", "run.duration": "60s",
                "run.warmup": "10s", "run.replications": "1", "run.packets": packets, "run.engine": "batch",
                "changes.churn.podReplacementsPerSecond": churn}  # fmt: skip
    base = read(FLAGSHIP, list(settings.items()))
    groups = tuple(replace(group, count=scale * group.count) for group in base.groups)
    return replace(base, groups=groups, modes=("iptables", "ipvs"))


def controlled(scenario: Scenario) -> Replication:
    """Return a replication whose control plane has run, which is timed elsewhere."""
    replication = prepare(scenario, build_cluster(scenario)[0], 0)
    run_mode(replication, "iptables", "batch")
    return replication


def observed(replication: Replication, mode: str) -> tuple[ModeRun, Observations]:
    found = run_mode(replication, mode, "batch")
    return found, observe(replication, found, 20)


def test_packets_against_their_limits() -> None:
    """Drawn, queued and tallied, a packet costs a few times its random numbers, its place in the line and its wait."""
    replication = controlled(large(1_000, packets="3M"))
    found, seen = observed(replication, "iptables")
    first = next(found.pieces())
    one = replace(found, pieces=lambda: iter([first]))  # everything else that is observed, and a first piece
    packets = seen.counts.packets_simulated - first[1].arrival_ns.size
    took_s = cpu_s(lambda: observe(replication, found, 20)) - cpu_s(lambda: observe(replication, one, 20))
    limits = Limits()
    ratio = took_s / packets / limits.of(**PACKET_LIMITS)
    print(limits.told())
    print(
        f"{packets:,} packets drawn, served and tallied: {packets / took_s / 1e6:.1f} M/s, {ratio:.2f} times the limit"
    )
    assert packets > 2_000_000
    assert ratio < PACKET_RATIO


@pytest.mark.parametrize("mode", ["iptables", "ipvs"])
def test_node_syncs_against_their_limits(mode: str) -> None:
    """A sync of a node costs a few binary searches and array operations."""
    replication = controlled(large(5_000, packets="10k", churn="25"))
    found = run_mode(replication, mode, "batch")
    syncs = int(found.proxiers[0].syncs.ran.sum())
    limits = Limits()
    each_s = cpu_s(lambda: run_mode(replication, mode, "batch")) / syncs
    ratio = each_s / limits.of(**SYNC_LIMITS)
    print(limits.told())
    print(f"{syncs:,} node-syncs of {mode}: {1e-6 / each_s:.2f} M/s, {ratio:.2f} times the limit")
    assert syncs > 50_000
    assert ratio < SYNC_RATIO


def test_time_grows_as_nodes_do() -> None:
    """From a thousand to a hundred thousand nodes, syncs and latencies of a minute take no more than as many times."""
    took, done = [], []
    for nodes in (1_000, 100_000):
        replication = controlled(large(nodes, packets="10k"))
        found, seen = observed(replication, "iptables")
        done.append(int(found.proxiers[0].syncs.ran.sum()) + sum(t.n for t in seen.tallies["network_programming_true"]))
        took.append(cpu_s(lambda: observed(replication, "iptables"), 2))  # noqa: B023 - called at once
        print(f"{nodes:,} nodes: {took[-1]:.2f} s, {done[-1]:,} node-syncs and latencies")
    assert done[0] > 500_000
    assert done[1] > 1_500_000
    assert math.log(took[1] / took[0]) / math.log(100) < 1.1


def test_memory_does_not_grow_with_packets(tmp_path: Path) -> None:
    """A million packets and a hundred million: the same memory, of all processes together."""
    script = (
        "import sys\n"
        "from kpsim.experiment.replications import run_scenario\n"
        "from kpsim.scenario.reader import read\n"
        "found = run_scenario(read(sys.argv[1], [tuple(a.split('=', 1)) for a in sys.argv[2:]]))\n"
        "print('packets', next(iter(found.modes.values())).counts['packets_simulated'].value)\n"
    )
    peak, packets = [], []
    for budget in ("1M", "100M"):
        sets = ["run.duration=120s", "run.warmup=20s", "run.replications=1", "compare.modes=[iptables]",
                f"run.packets={budget}"]  # fmt: skip
        code, out, most = run([sys.executable, "-c", script, str(FLAGSHIP), *sets], tmp_path)
        assert code == 0, out
        told = re.search(r"packets (\d+)", out)
        assert told, out
        packets.append(int(told[1]))
        expected = memory_bytes(read(FLAGSHIP, [(key, value) for key, value in (s.split("=", 1) for s in sets)]))
        assert 1 / 1.5 < expected / most < 1.5, f"{expected / 1e6:.0f} MB were expected, and {most / 1e6:.0f} taken"
        peak.append(most)
        print(f"{packets[-1]:,} packets: {most / 1e6:.0f} MB")
    assert packets[0] < 2e6
    assert packets[1] > 90e6
    assert peak[1] < peak[0] + 50e6
