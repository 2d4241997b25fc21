"""Faults of each node are drawn before any engine starts, and read by both.

A failed sync leaves the old rules in force and the changes it had taken up without a latency sample; the next one is
full and comes after syncPeriod at the latest.  A restart ends the sync under way; the new process lists everything,
and its first sync is full.  Where somebody flushes the tables, kube-proxy's canary chains are gone, which its monitor
notices at its next look.  Another process may hold the xtables lock: a sync waits, up to the five seconds it asked
iptables to wait, and else fails.  Sources: pkg/proxy/iptables/proxier.go (syncProxyRules), pkg/util/iptables (Monitor).
Left out: that packets find no rules between a flush and the sync that mends it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kpsim.cluster.changes import NEVER
from kpsim.controlplane.api.joins import Join
from kpsim.profiles.defaults import Defaults
from kpsim.proxy.params import FaultParams
from kpsim.proxy.sync import Nodes
from kpsim.proxy.sync.pacing import Pacing, RunnerState
from kpsim.rng import stream
from kpsim.units import I64, U32, Bools, to_ns

HOUR_S = 3600.0
DRAWS = 1 << 32  # a 32-bit draw is below share * DRAWS with probability share


@dataclass(frozen=True, slots=True)
class Faults:
    """Restarts (r, nodes) and noticed flushes (f, nodes) by node in order [ns], NEVER at the end."""

    params: FaultParams
    restarts: I64  # or, first, the start of a node that joins
    begins: I64  # the first sync of each of these processes
    notices: I64
    lock_wait_ns: int  # how long iptables waits for the lock before it gives up
    locks: bool  # this mode takes the xtables lock
    joins: Sequence[Join] = ()

    @staticmethod
    def draw(
        params: FaultParams,
        pacing: Pacing,
        defaults: Defaults,
        key: tuple[int, int],
        nodes: int,
        horizon_ns: int,
        joins: Sequence[Join] = (),
    ) -> Faults:
        """Poisson times for restarts and flushes; a process that is starting is not restarted again."""
        seed, replication = key
        down_ns = to_ns(defaults.value("kube_proxy.start_up"))
        rng = stream(seed, "kube-proxy-restarts", replication)
        restarts = _times(params.restarts_per_hour, nodes, horizon_ns, rng)
        for i in range(1, len(restarts)):
            restarts[i] = np.maximum(restarts[i], restarts[i - 1] + 2 * down_ns)
        rng = stream(seed, "rule-flushes", replication)
        flushes = _times(params.flushes_per_hour if pacing.canary_ns else 0.0, nodes, horizon_ns, rng)
        period = max(pacing.canary_ns, 1)
        phase = rng.integers(0, period, nodes)
        notices = (flushes - phase) // period * period + period + phase
        return Faults(
            params,
            *_with_joins(np.minimum(restarts, NEVER), down_ns, joins),
            np.where(flushes < NEVER, notices, NEVER),
            to_ns(defaults.value("kube_proxy.xtables_wait")),
            pacing.locks,
            joins,
        )

    @property
    def nothing(self) -> bool:
        """Return True if no process ever starts and no table is flushed while the run lasts."""
        return not self.params.any and not self.joins

    def joining(self) -> Nodes:
        """Return the nodes that join, (j,)."""
        return np.array([join.node for join in self.joins], np.int64)

    def flush_noticed(self, state: RunnerState, node: Nodes) -> I64:
        """Return the time at which the next flush is noticed on each node [ns]."""
        return np.asarray(self.notices[state.notices_seen, node])

    def restart(self, state: RunnerState, node: Nodes) -> I64:
        """Return the next restart of kube-proxy on each node [ns]."""
        return np.asarray(self.restarts[state.restarts_seen, node])

    def begin(self, state: RunnerState, start: I64, node: Nodes) -> tuple[I64, Bools]:
        """Return (start [ns], full) of the next sync, after a restart before it; a flush or a restart makes it full."""
        if self.nothing:
            return start, np.zeros(len(start), np.bool_)
        restart = self.restart(state, node)
        again = restart <= start
        start = np.where(again, self.begins[state.restarts_seen, node], start)
        return start, again | (self.flush_noticed(state, node) <= start)

    def finish(
        self, state: RunnerState, start: I64, switch: I64, end: I64, node: Nodes, fate: U32, lock: U32
    ) -> tuple[I64, I64, Bools]:
        """Return (switch [ns], end [ns], failed) of a sync that would have its rules in force at ``switch``.

        ``fate`` and ``lock`` are 32-bit draws.  A restart in the clean-up after the rules fails nothing.
        """
        failed = fate < self.params.failed_syncs * DRAWS
        if self.locks and self.params.lock_held:
            held = lock < self.params.lock_held * DRAWS
            left = lock / (self.params.lock_held * DRAWS) * to_ns(self.params.lock_hold_s)  # uniform while held
            wait = np.where(held, np.rint(left), 0.0).astype(np.int64)
            given_up = wait > self.lock_wait_ns
            switch = np.where(given_up, start + self.lock_wait_ns, switch + wait)
            end = np.where(given_up, start + self.lock_wait_ns, end + wait)
            failed = failed | given_up
        following = state.restarts_seen + (self.restart(state, node) <= start)
        restart = self.restarts[following, node]
        return np.minimum(switch, restart), np.minimum(end, restart), failed | (restart < switch)

    def ran(self, state: RunnerState, ran: Bools, start: I64, node: Nodes) -> None:
        """Note what lies before the syncs that started."""
        if self.nothing:
            return
        restart = self.restart(state, node)
        again = ran & (restart <= start)
        state.process_since = np.where(again, restart, state.process_since)
        state.restarts_seen = state.restarts_seen + again
        while (seen := ran & (self.flush_noticed(state, node) <= start)).any():
            state.notices_seen = state.notices_seen + seen


def _with_joins(restarts: I64, down_ns: int, joins: Sequence[Join]) -> tuple[I64, I64]:
    """Return the starts of processes and their first syncs [ns], (r, nodes) each: a join comes before any restart."""
    begins = np.minimum(restarts + down_ns, NEVER)
    if not joins:
        return restarts, begins
    never = np.full((1, restarts.shape[1]), NEVER)
    restarts, begins = np.concatenate([restarts, never]), np.concatenate([begins, never])
    for join in joins:
        kept = np.flatnonzero(restarts[:-1, join.node] > join.begins_ns)
        for table, first_ns in ((restarts, join.at_ns), (begins, join.begins_ns)):
            column = [first_ns, *table[kept, join.node].tolist()]
            table[:, join.node] = [*column, *[NEVER] * (len(table) - len(column))]
    return restarts, begins


def _times(per_hour: float, nodes: int, horizon_ns: int, rng: np.random.Generator) -> I64:
    """Poisson times on each node within the horizon, (most + 1, nodes), NEVER behind the last."""
    counts = rng.poisson(per_hour / HOUR_S * horizon_ns / 1e9, nodes)
    times = np.full((int(counts.max(initial=0)) + 1, nodes), NEVER)
    for n in np.flatnonzero(counts).tolist():
        times[: counts[n], n] = np.sort(rng.integers(0, horizon_ns, counts[n]))
    return times
