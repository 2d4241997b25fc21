"""One mode's sync loops are driven, in either engine, by their pace, prices, draws and faults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from kpsim.profiles.costs import Costs
from kpsim.proxy.contract import Mode, SyncCounts, SyncKind, Work
from kpsim.proxy.sync import Nodes
from kpsim.proxy.sync.draws import SyncDraws
from kpsim.proxy.sync.faults import Faults
from kpsim.proxy.sync.pacing import Pacing, RunnerState
from kpsim.proxy.work import cpu_work, kinds
from kpsim.units import I64, Bools, Version

RECONCILED_SINCE = (1, 32)


UNDER_LOCK = (  # work of iptables' processes; that of iptables-save needs no lock
    "sync_restore", "rule_present", "dispatch_rule_written", "own_rule_written", "rule_rewritten",
    "rule_rewritten_squared", "rule_loaded", "rule_loaded_squared", "iptables_run", "rule_read_back",
)  # fmt: skip
AFTER_RULES = ("conntrack_listed", "conntrack_run")  # work that comes when the rules are in force
NO_LOCK = np.zeros(1, np.int64)


class Takes(NamedTuple):
    """Durations of syncs [ns], (lanes,) each: in all, under the xtables lock, after their rules are in force; CPU."""

    whole: I64
    locked: I64
    after: I64
    cpu: I64  # of kube-proxy and its processes, system calls too


class Ended(NamedTuple):
    """Ends of syncs, (lanes,) each: when rules are in force and all is done [ns], failures, when the lock is free."""

    switch: I64
    end: I64
    failed: Bools
    free_at: I64


@dataclass(frozen=True, slots=True)
class ConntrackCleanup:
    """A sync cleans up UDP flows whose endpoint is gone; TCP and SCTP notice by themselves.

    From 1.32 on it reads the node's whole conntrack table, once, if a slice of any UDP Service was written, whatever
    for; before, it ran ``conntrack -D`` for each endpoint that is gone.  Source: pkg/proxy/conntrack/cleanup.go,
    pkg/proxy/endpointschangetracker.go (ConntrackCleanupRequired).
    """

    entries: int  # in the node's table
    version: Version

    @property
    def reconciles(self) -> bool:
        """Return True if the whole table is read."""
        return self.version >= RECONCILED_SINCE


@dataclass(frozen=True, slots=True)
class SyncLoop:
    """One mode's sync loops; ``large_above`` endpoints make a large cluster.

    >>> import kpsim
    >>> from kpsim.simulation import build_cluster, mode_of, prepare
    >>> from kpsim.simulation.wiring import sync_loop
    >>> scenario = kpsim.load("scenarios/hello.yaml").model
    >>> mode, costs = mode_of(scenario, "iptables")
    >>> pacing = Pacing.of(mode.runner((1, 34)), (1, 34))
    >>> loop = sync_loop(prepare(scenario, build_cluster(scenario)[0], 0), mode, costs, pacing, family=4)
    >>> state = RunnerState.at_start(loop.draws.phase, pacing)
    >>> counts = SyncCounts(10, 50, 10, 200, changed_services=1, changed_own=20, endpoint_changes=1, cleanup=0)
    >>> start, nodes = np.array([0, 0]), np.array([0, 1])  # a full sync on node 0, a partial one on node 1
    >>> takes = loop.takes(counts, np.array([True, False]), 0, nodes)
    >>> ended = loop.end(state, start, takes, 0, nodes)
    >>> ended.end[0] > ended.end[1] > 0, ended.failed
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
    cpu_costs: Costs | None = None  # where the profile has CPU apart from wall time

    def takes(self, counts: SyncCounts, full: Bools, number: int | I64, node: Nodes) -> Takes:
        """Return how long sync ``number`` of each node takes with nothing in its way, (lanes,) each."""
        parts = [np.zeros(len(full), np.int64) for _ in range(4)]
        for kind, chosen in kinds(counts, full):
            work = self.mode.sync_work(kind, counts)
            locked = {name: work[name] for name in UNDER_LOCK if name in work}
            after = {name: work[name] for name in AFTER_RULES if name in work}
            spent = [self.costs.ns(some) for some in (work, locked, after)]
            spent.append(self._cpu_ns(kind, counts, work, spent[0]))
            alike = chosen.all()
            parts = spent if alike else [np.where(chosen, some, part) for some, part in zip(spent, parts, strict=True)]
        factor = self.costs.factor("sync", self.draws.factor(number, node))
        whole, locked_ns, after_ns, cpu_ns = ((part * factor) >> 10 for part in parts)
        whole = np.maximum(whole, 1)
        return Takes(whole, locked_ns, np.minimum(after_ns, whole - 1), cpu_ns)

    def _cpu_ns(self, kind: SyncKind, counts: SyncCounts, work: Work, wall_ns: I64) -> I64:
        """Return the CPU time of a sync [ns] that does ``work``; its wall time where nothing is known of it."""
        return wall_ns if self.cpu_costs is None else self.cpu_costs.ns(cpu_work(self.mode, kind, counts, work))

    def asks_lock(self, start: I64, takes: Takes) -> I64:
        """Return when each sync asks for the xtables lock [ns]: for all that it does under it, at the end."""
        return np.asarray(start + np.maximum(takes.whole - takes.after - takes.locked, 1))

    def end(
        self, state: RunnerState, start: I64, takes: Takes, number: int | I64, node: Nodes, free_at: I64 = NO_LOCK
    ) -> Ended:
        """Return how sync ``number`` of each node ends; the other family's proxier has the lock until ``free_at``."""
        asks, wait_ns = self.asks_lock(start, takes), self.faults.lock_wait_ns
        wait = np.maximum(free_at - asks, 0)
        given_up = wait > wait_ns
        end = np.where(given_up, asks + wait_ns, start + takes.whole + wait)
        switch = np.where(given_up, end, end - takes.after)
        failed = given_up
        if self.faults.params.any:  # nothing is drawn where nothing can go wrong
            fate, lock = self.draws.fate(number, node), self.draws.lock(number, node)
            switch, end, lost = self.faults.finish(state, start, switch, end, node, fate, lock)
            failed = failed | lost
        return Ended(switch, end, failed, np.where(given_up, free_at, switch))
