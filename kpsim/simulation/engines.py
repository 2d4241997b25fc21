"""Either engine runs one mode of one replication."""

from __future__ import annotations

from kpsim.proxy.sync.pacing import Pacing
from kpsim.simulation.batch import run_batch
from kpsim.simulation.draws import Replication
from kpsim.simulation.reference import run_reference
from kpsim.simulation.setting import mode_of
from kpsim.simulation.wiring import ModeRun


def run_mode(replication: Replication, name: str, engine: str) -> ModeRun:
    """Return one mode of one replication, by the "reference" or the "batch" engine."""
    mode, costs = mode_of(replication.scenario, name)
    version = replication.scenario.kubernetes_version
    pacing = Pacing.of(mode.runner(version), version)
    engine_run = run_reference if engine == "reference" else run_batch
    return engine_run(replication, mode, costs, pacing)
