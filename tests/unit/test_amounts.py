"""What a run counts is estimated before it from the scenario alone: within a factor of one and a half.

The times that follow from the counts are measured in ``make bench``, not here: a busy machine would tell lies.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from kpsim.scenario.reader import read
from kpsim.simulation import build_cluster, choose_engine, prepare, run_mode
from kpsim.simulation.amounts import amounts

ROOT = Path(__file__).parents[2]
WITHIN = 1.5
SHORT = [("run.replications", "1"), ("run.duration", "60s"), ("run.warmup", "10s"), ("run.packets", "50k")]


@pytest.mark.parametrize(
    ("scenario", "sets"),
    [
        ("hello", []),
        ("rolling-update", [("run.replications", "1"), ("run.packets", "50k")]),
        ("iptables-cliff", SHORT),
        ("10k-services", [*SHORT, ("cluster.nodes", "100")]),
        ("huge-service", SHORT),
    ],
)
def test_counts_are_as_estimated(scenario: str, sets: list[tuple[str, str]]) -> None:
    found = read(ROOT / "scenarios" / f"{scenario}.yaml", sets)
    engine, _ = choose_engine(found)
    expected = amounts(found, engine)
    replication = prepare(found, build_cluster(found)[0], 0)
    run = run_mode(replication, found.modes[0], engine)
    runs = found.run.replications
    packets = expected["processed_packets" if engine == "reference" else "packets"].total / len(found.modes)
    counted = {
        "packets": (packets, run.outcomes.arrival_ns.size),
        "deliveries": (expected["deliveries"].total / len(found.modes), len(run.sent)),
        "changes": (expected["changes"].total, len(replication.changes)),
        "endpoints": (runs * expected["endpoints"].total, replication.cluster.endpoint_count),
    }
    print(counted)
    for name, (estimate, seen) in counted.items():
        assert 1 / WITHIN < estimate / runs / seen < WITHIN, name
