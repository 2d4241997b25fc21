"""The bounded-frequency runner decides when a sync may start, before and after Kubernetes 1.34.

Up to 1.33 (pkg/util/async/bounded_frequency_runner.go): a token bucket of two, refilled one a minSyncPeriod; without a
token a run waits until minSyncPeriod after the last one *ended*.  From 1.34 (pkg/proxy/runner): no burst, always
minSyncPeriod after the last run ended.  Requests meanwhile are kept as one.  After a failed sync the next one is full
and comes after syncPeriod at the latest.  The formulas are written once, for arrays of nodes, and used by both engines.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kpsim.cluster.changes import NEVER
from kpsim.proxy.contract import NEVER_FULL_S, RunnerSettings
from kpsim.proxy.sync import Nodes
from kpsim.units import I64, Bools, Version, to_ns

BURST = 2  # capacity of the old runner's bucket
NEW_RUNNER_SINCE = (1, 34)


@dataclass(slots=True)
class RunnerState:
    """Each node's runner stands here, (nodes,) each [ns]."""

    last_end: I64
    last_full: I64
    last_cleanup: I64
    credit: I64  # old runner: tokens times minSyncPeriod
    credit_at: I64
    need_full: Bools  # the last sync failed
    large: Bools  # it found a large cluster
    process_since: I64  # when this kube-proxy started; -NEVER: before the run
    restarts_seen: I64  # how many restarts, and noticed flushes, lie behind
    notices_seen: I64

    @staticmethod
    def at_start(phase: np.ndarray, pacing: Pacing, absent: Nodes | None = None, *, large: bool = False) -> RunnerState:
        """Return runners that have been idling for a while: timers at random ``phase``, full buckets.

        Nodes that are ``absent`` do nothing before they start.
        """
        full_ns = (pacing.full_ns or 0) % to_ns(NEVER_FULL_S)
        idle, full, cleanup = (
            -np.rint(row * period).astype(np.int64)
            for row, period in zip(phase, (pacing.idle_ns, full_ns, pacing.cleanup_ns), strict=True)
        )
        nodes = phase.shape[1]
        last_end = np.minimum(idle, -pacing.min_ns)
        if absent is not None:
            last_end[absent] = NEVER
        return RunnerState(
            last_end=last_end,
            last_full=full,
            last_cleanup=cleanup,
            credit=np.full(nodes, BURST * pacing.min_ns),
            credit_at=np.zeros(nodes, np.int64),
            need_full=np.zeros(nodes, np.bool_),
            large=np.full(nodes, large),
            process_since=np.full(nodes, -NEVER),
            restarts_seen=np.zeros(nodes, np.int64),
            notices_seen=np.zeros(nodes, np.int64),
        )


@dataclass(frozen=True, slots=True)
class Pacing:
    """A runner's periods [ns]; ``full_ns`` ``None`` makes every sync a full one."""

    min_ns: int
    idle_ns: int
    full_ns: int | None
    cleanup_ns: int
    bursts: bool
    retry_ns: int = NEVER
    canary_ns: int = 0
    locks: bool = False
    at_once: bool = False
    spares_large: bool = False

    @staticmethod
    def of(settings: RunnerSettings, version: Version) -> Pacing:
        """Return the runner that a Kubernetes ``version`` has."""
        return Pacing(
            min_ns=to_ns(settings.min_sync_s),
            idle_ns=to_ns(settings.idle_s),
            full_ns=None if settings.full_s is None else to_ns(settings.full_s),
            cleanup_ns=to_ns(settings.cleanup_s),
            bursts=version < NEW_RUNNER_SINCE,
            retry_ns=NEVER if settings.retry_s is None else to_ns(settings.retry_s),
            canary_ns=to_ns(settings.canary_s),
            locks=settings.locks,
            at_once=settings.at_once,
            spares_large=settings.spares_large,
        )

    def token_at(self, state: RunnerState) -> I64:
        """Return the time at which the old runner's bucket next holds a token [ns]."""
        return state.credit_at + np.maximum(self.min_ns - state.credit, 0)

    def start(self, state: RunnerState, request: I64, next_request: I64) -> I64:
        """Return the start of the next sync [ns].

        ``request`` is when the first unabsorbed delivery asks for it (NEVER for none), not before the last end;
        ``next_request`` is the first delivery at or after :meth:`token_at`, which the old runner would let through.
        """
        spaced = state.last_end + self.min_ns
        if self.bursts:
            token = self.token_at(state)
            start = np.where(request >= token, request, np.minimum(np.maximum(spaced, request), next_request))
        else:
            start = np.maximum(request, spaced)
        latest = state.last_end + np.where(state.need_full, min(self.retry_ns, self.idle_ns), self.idle_ns)
        return np.minimum(np.where(request >= NEVER, NEVER, start), latest)

    def is_full(self, state: RunnerState, start: I64) -> Bools:
        """Return one bool a node: the sync at ``start`` is full by period, failure or mode; faults add theirs."""
        if self.full_ns is None:
            return np.ones(len(start), np.bool_)
        due = start - state.last_full >= self.full_ns
        return (due & ~(state.large & self.spares_large)) | state.need_full

    def cleans(self, state: RunnerState, start: I64, large: Bools) -> Bools:
        """Return True if a sync looks for stale chains: always in a small cluster, once a period in a large one."""
        return ~large | (start - state.last_cleanup > self.cleanup_ns)

    def ran(
        self,
        state: RunnerState,
        ran: Bools,
        start: I64,
        end: I64,
        full: Bools,
        cleaned: Bools,
        failed: Bools,
        large: Bools | bool = False,
    ) -> None:
        """Take note of syncs on the nodes where ``ran``."""
        state.large = np.where(ran, large, state.large)
        state.last_end = np.where(ran, end, state.last_end)
        state.need_full = np.where(ran, failed, state.need_full)
        state.last_full = np.where(ran & full, start, state.last_full)
        state.last_cleanup = np.where(ran & cleaned, start, state.last_cleanup)
        if not self.bursts:
            return
        filled = np.minimum(BURST * self.min_ns, state.credit + start - state.credit_at)
        state.credit = np.where(ran, np.maximum(filled - self.min_ns, 0), state.credit)
        state.credit_at = np.where(ran, start, state.credit_at)
