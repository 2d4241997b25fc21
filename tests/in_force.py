"""The rules that packets meet in one run, for tests that ask them themselves."""

from __future__ import annotations

from kpsim.datapath.batch import RulesInForce
from kpsim.simulation import ModeRun, Replication


def rules_of(replication: Replication, run: ModeRun) -> RulesInForce:
    first = run.proxiers[0]
    return RulesInForce(replication.cluster, run.mode, first.timeline, first.in_force, replication.draws[4], run.prices)
