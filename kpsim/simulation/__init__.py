"""One run: the hall where the rooms meet.

A replication draws its changes and its connections once; the control plane runs once and every mode is shown the same
deliveries.  Per mode, either engine answers the same question: when did each node sync, and what did each packet meet.
Both give a :class:`ModeRun`, and on the same scenario the same one.
"""

from __future__ import annotations

from kpsim.proxy.sync.pacing import Pacing
from kpsim.simulation.batch import run_batch, run_control_plane
from kpsim.simulation.draws import Replication, Sent, prepare
from kpsim.simulation.reference import run_reference
from kpsim.simulation.wiring import ModeRun, ProxierRun, build_cluster, cpu_costs_of, mode_of, profile_of

__all__ = [
    "ModeRun",
    "ProxierRun",
    "Replication",
    "Sent",
    "build_cluster",
    "cpu_costs_of",
    "mode_of",
    "prepare",
    "profile_of",
    "run_control_plane",
    "run_mode",
]


def run_mode(replication: Replication, name: str, engine: str) -> ModeRun:
    """Return one mode of one replication, by the "reference" or the "batch" engine."""
    mode, costs = mode_of(replication.scenario, name)
    version = replication.scenario.kubernetes_version
    pacing = Pacing.of(mode.runner(version), version)
    engine_run = run_reference if engine == "reference" else run_batch
    return engine_run(replication, mode, costs, pacing)
