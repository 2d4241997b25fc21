"""What drives the sync loops of one mode, in either engine: its pace, its prices, its draws and what goes wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kpsim.profiles.costs import Costs
from kpsim.proxy.contract import Mode, SyncCounts, SyncKind
from kpsim.proxy.sync import Nodes
from kpsim.proxy.sync.draws import SyncDraws
from kpsim.proxy.sync.faults import Faults
from kpsim.proxy.sync.pacing import Pacing, RunnerState
from kpsim.units import I64, Bools, Version

RECONCILED_SINCE = (1, 32)


@dataclass(frozen=True, slots=True)
class ConntrackCleanup:
    """What a sync does about UDP flows whose endpoint is gone; TCP and SCTP notice by themselves.

    From 1.32 on it reads the node's whole conntrack table, once, if any UDP endpoint changed; before, it ran
    ``conntrack -D`` once for each of them.  Source: pkg/proxy/conntrack/cleanup.go.
    """

    entries: int  # in the node's table
    version: Version

    def counts(self, udp_changes: int | I64) -> tuple[int | I64, int | I64]:
        """Entries read and processes run, where so many usable endpoints of UDP Services came or went."""
        if self.version >= RECONCILED_SINCE:
            return (udp_changes > 0) * self.entries, 0 * udp_changes
        return 0 * udp_changes, udp_changes


@dataclass(frozen=True, slots=True)
class SyncLoop:
    """One mode's sync loops; ``large_above`` endpoints make a large cluster."""

    mode: Mode
    costs: Costs
    pacing: Pacing
    draws: SyncDraws
    faults: Faults
    conntrack: ConntrackCleanup
    large_above: int
    horizon_ns: int

    def end(
        self, state: RunnerState, start: I64, counts: SyncCounts, full: Bools, number: int, node: Nodes
    ) -> tuple[I64, Bools]:
        """When sync ``number`` of each node ends, at least a nanosecond later, and whether it fails; (lanes,) each."""
        work_ns = np.zeros(len(full), np.int64)
        for kind in SyncKind:
            if (chosen := full == (kind == SyncKind.FULL)).any():
                work_ns = np.where(chosen, self.costs.ns(self.mode.sync_work(kind, counts)), work_ns)
        factor = self.costs.factor("sync", self.draws.factor(number)[node])
        takes = np.maximum((work_ns * factor) >> 10, 1)
        if not self.faults.params.any:  # nothing is drawn where nothing can go wrong
            return start + takes, np.zeros(len(start), np.bool_)
        fate, lock = self.draws.fate(number)[node], self.draws.lock(number)[node]
        return self.faults.finish(state, start, start + takes, node, fate, lock)
