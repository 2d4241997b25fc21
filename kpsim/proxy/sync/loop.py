"""One mode's sync loops are driven, in either engine, by their pace, prices, draws and faults."""

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
    """A sync cleans up UDP flows whose endpoint is gone; TCP and SCTP notice by themselves.

    From 1.32 on it reads the node's whole conntrack table, once, if any UDP endpoint changed; before, it ran
    ``conntrack -D`` once for each of them.  Source: pkg/proxy/conntrack/cleanup.go.
    """

    entries: int  # in the node's table
    version: Version

    def counts(self, udp_changes: int | I64) -> tuple[int | I64, int | I64]:
        """Return (entries read, processes run) for so many usable endpoints of UDP Services that came or went."""
        if self.version >= RECONCILED_SINCE:
            return (udp_changes > 0) * self.entries, 0 * udp_changes
        return 0 * udp_changes, udp_changes


@dataclass(frozen=True, slots=True)
class SyncLoop:
    """One mode's sync loops; ``large_above`` endpoints make a large cluster.

    >>> import kpsim
    >>> from kpsim.simulation import build_cluster, prepare
    >>> from kpsim.simulation.wiring import mode_of, sync_loop
    >>> scenario = kpsim.read("scenarios/hello.yaml")
    >>> mode, costs = mode_of(scenario, "iptables")
    >>> pacing = Pacing.of(mode.runner((1, 34)), (1, 34))
    >>> loop = sync_loop(prepare(scenario, build_cluster(scenario)[0], 0), mode, costs, pacing, family=4)
    >>> state = RunnerState.at_start(loop.draws.phase, pacing)
    >>> counts = SyncCounts(10, 50, 10, 200, changed_services=1, changed_own=20, endpoint_changes=1, cleanup=0)
    >>> start, nodes = np.array([0, 0]), np.array([0, 1])  # a full sync on node 0, a partial one on node 1
    >>> end_ns, failed = loop.end(state, start, counts, np.array([True, False]), number=0, node=nodes)
    >>> end_ns[0] > end_ns[1] > 0, failed
    (np.True_, array([False, False]))
    """

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
        """Return (end [ns], failed) of sync ``number`` of each node, (lanes,) each; it takes a nanosecond at least."""
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
