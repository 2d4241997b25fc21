"""The time and memory of kpsim's own runs are measured, and ``kpsim/profiles/kpsim-costs.yaml`` is fitted to them.

Each scenario is run in a process of its own, its processor time and its peak of resident memory are read there, and
costs that are not negative are fitted to all of them by least relative squares.  ``make costs`` writes the file.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from kpsim.profiles.running import costs_file
from kpsim.scenario.model import Scenario
from kpsim.scenario.reader import read
from kpsim.simulation import choose_engine
from kpsim.simulation.amounts import amounts
from tests.benchmarks.envelopes import LARGE, MANY_NODES, MINUTE

ROOT = Path(__file__).parents[2]
WITHIN = 1.5
ONE = """
import resource, sys
from kpsim.experiment.replications import run_scenario
from kpsim.scenario.reader import read
scenario = read(sys.argv[1], [tuple(pair.split("=", 1)) for pair in sys.argv[2:]])
run_scenario(scenario, most_bytes=1e15, most_s=1e15)
used = resource.getrusage(resource.RUSAGE_SELF)
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]
print(used.ru_utime + used.ru_stime, int(peak) * 1024)
"""
# What one of each takes at least, by the types of its columns and as measured alone: no fit goes below.
LEAST_S: dict[str, float] = {
    "workers": 2e-5,
    "faults": 5e-8,
    "fault_rows": 2e-5,
    "requests": 3e-7,
    "lookups": 5e-7,
    "connections": 1e-7,
    "changes": 1e-5,
    "services": 2e-6,
    "service_ports": 2e-7,
    "endpoints": 2e-7,
    "dns_cores": 1e-8,
    "ingress_workers": 1e-7,
    "nodes": 5e-6,
    "kept_packets": 1e-9,
    "packets": 2e-8,
    "node_syncs": 2e-7,
    "syncs": 1e-4,
    "processed_packets": 1e-5,
    "processed_syncs": 1e-5,
    "processed_deliveries": 1e-6,
    "deliveries": 2e-6,
    "node_deliveries": 2e-9,
    "listed_endpoints": 1e-8,
    "sampled_nodes": 5e-5,
}
LEAST_BYTES: dict[str, float] = {
    "workers": 2000,
    "faults": 48,
    "requests": 100,
    "lookups": 80,
    "connections": 56,
    "changes": 100,
    "services": 100,
    "service_ports": 30,
    "endpoints": 20,
    "dns_cores": 8,
    "ingress_workers": 100,
    "nodes": 100,
    "packets": 100,
    "kept_packets": 4,
    "node_syncs": 4,
    "processed_packets": 50,
    "processed_syncs": 100,
    "observations": 3000,
    "deliveries": 50,
    "listed_endpoints": 12,
}
HEAD = """\
# What kpsim's own runs take, of one core and of memory: the guard estimates a run by it before it starts.
# `make costs` measures runs and writes this file; the names are those of kpsim/simulation/amounts.py.
apiVersion: kpsim/v1alpha1
kind: Defaults
name: kpsim-costs
about: Processor time and memory of kpsim itself, by what a run counts.
sources:
  benchmarks: tests/benchmarks/run_costs.py, costs fitted to runs of a process each
families:
"""
# each makes one thing large, so that what it takes can be told from the rest
PROBES: tuple[tuple[str, ...], ...] = (
    ("hello.yaml", "run.replications=1"),
    ("hello.yaml", "run.engine=reference", "run.packets=100k", "traffic.connectionsPerSecondPerNode=500"),
    ("hello.yaml", "run.engine=reference", "cluster.nodes=60", "traffic.connectionsPerSecondPerNode=0.1"),
    ("hello.yaml", "run.engine=batch", "run.replications=200"),
    ("hello.yaml", "run.engine=batch", "cluster.nodes=3000", "traffic.connectionsPerSecondPerNode=0.1"),
    ("iptables-cliff.yaml", "services.svc.count=100000", "run.replications=1"),
    ("iptables-cliff.yaml", "services.svc.endpoints=30000", "run.replications=1"),
    ("iptables-cliff.yaml", "services.svc.ports=30000", "run.replications=1"),
    ("iptables-cliff.yaml", "changes.churn.podReplacementsPerSecond=40", "run.duration=2000s"),
    ("iptables-cliff.yaml", "run.duration=3000s"),
    ("iptables-cliff.yaml", "run.packets=5M", "traffic.connectionsPerSecondPerNode=5000"),
    ("huge-service.yaml", "run.packets=10M", "run.replications=2"),
    ("10k-services.yaml", *MINUTE, *MANY_NODES),
    ("10k-services.yaml", *MINUTE, *LARGE, "cluster.nodes=5000", "run.packets=10M"),
    ("dns-ndots.yaml", "run.replications=1"),
    ("ingress-rollout.yaml", "ingress.requestsPerSecond=4000", "run.replications=2"),
)


def measured(case: tuple[str, ...]) -> tuple[float, float]:
    """Processor time [s] and peak of memory [bytes] of one run in a process of its own."""
    command = [sys.executable, "-c", ONE, str(ROOT / "scenarios" / case[0]), *case[1:]]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    seconds, peak = done.stdout.split()
    return float(seconds), float(peak)


def table(scenario: Scenario) -> dict[str, tuple[float, float]]:
    """The scenario's amounts, and one start."""
    found = amounts(scenario, choose_engine(scenario)[0])
    return {"start": (1.0, 1.0)} | {name: (each.total, each.at_once) for name, each in found.items()}


def fitted(names: list[str], counts: np.ndarray, seen: np.ndarray, least: dict[str, float]) -> np.ndarray:
    """Costs that are not below ``least`` and explain ``seen`` by ``counts`` with the least relative squares."""
    floor = np.array([least.get(name, 0.0) for name in names])
    scale = np.maximum((counts / seen[:, None]).max(axis=0), 1e-300)  # so that all columns weigh alike
    above, _ = nnls(counts / seen[:, None] / scale, np.maximum(1 - counts @ floor / seen, 0.0), maxiter=10_000)
    return np.asarray(floor + above / scale)


def written(names: list[str], seconds: np.ndarray, sizes: np.ndarray) -> str:
    """The costs as the file has them; the interval is the factor that the guard's estimates hold within."""
    lines = []
    for family, unit, factor, costs in (("time", "us", 1e6, seconds), ("memory", "B", 1.0, sizes)):
        lines.append(f"  {family}:")
        for name, cost in zip(names, costs.tolist(), strict=True):
            if cost:
                triple = ", ".join(f"{factor * cost * way:.3g}" for way in (1, 1 / WITHIN, WITHIN))
                lines.append(f"    {name}: {{unit: {unit}, both: [{triple}], source: benchmarks}}")
    return HEAD + "\n".join(lines) + "\n"


def main() -> None:
    """Measure, or read what was measured before from the file that is given, and write the costs."""
    kept = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    seen = json.loads(kept.read_text(encoding="utf-8")) if kept and kept.exists() else {}
    shipped = [(path.name,) for path in sorted((ROOT / "scenarios").glob("*.yaml"))]
    for case in (*PROBES, *shipped):
        name = " ".join(case)
        if name not in seen:
            seen[name] = measured(case)
            print(f"{name}: {seen[name][0]:.1f} s, {seen[name][1] / 1e6:,.0f} MB", flush=True)
            if kept:
                kept.write_text(json.dumps(seen, indent=1), encoding="utf-8")
    tables = []
    for name in seen:
        file, *sets = name.split(" ")
        pairs = [(key, value) for key, _, value in (each.partition("=") for each in sets)]
        tables.append(table(read(ROOT / "scenarios" / file, pairs)))
    names = sorted({name for each in tables for name in each} | set(LEAST_S) | set(LEAST_BYTES))
    counts = np.array([[each.get(name, (0.0, 0.0)) for name in names] for each in tables])  # (runs, names, 2)
    observed = np.array(list(seen.values()))
    costs = [fitted(names, counts[:, :, i], observed[:, i], least) for i, least in enumerate((LEAST_S, LEAST_BYTES))]
    for name, row, (seconds, peak) in zip(seen, counts, observed, strict=True):
        print(
            f"{name}: {row[:, 0] @ costs[0] / seconds:.2f} of the time, {row[:, 1] @ costs[1] / peak:.2f} of the memory"
        )
    costs_file().write_text(written(names, *costs), encoding="utf-8")


if __name__ == "__main__":
    main()
