"""One IP family's proxier in the kube-proxy process of one node and moment: the syncs and deliveries it has counted.

Counters are the process's own: what ran before it was started is not in them.  A process that has been there since
before the run counts from the run's beginning.  Where kube-proxy is being started, the new process has counted nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kpsim.cluster.addresses import other_family
from kpsim.cluster.changes import NEVER
from kpsim.cluster.columns import Cluster
from kpsim.profiles.defaults import load_defaults
from kpsim.proxy.contract import Mode, Moved, SyncCounts, SyncKind
from kpsim.proxy.sync.faults import Faults
from kpsim.proxy.sync.loop import RECONCILED_SINCE
from kpsim.proxy.sync.pacing import Pacing, RunnerState
from kpsim.proxy.sync.timeline import start_counts
from kpsim.simulation import ModeRun, ProxierRun, Replication
from kpsim.units import I64, Bools


@dataclass(frozen=True)
class Proxier:
    """The proxier of ``family`` (4 or 6) on ``node`` at ``at_ns``; syncs are rows of the run's trace."""

    replication: Replication
    of: ModeRun
    run: ProxierRun
    family: int
    node: int
    at_ns: int

    @property
    def mode(self) -> Mode:
        """Return the mode it runs in."""
        return self.of.mode

    @property
    def cluster(self) -> Cluster:
        """Return the cluster as this family sees it."""
        cluster = self.replication.cluster
        return cluster if self.family == 4 else cluster.second_family()

    @property
    def ip_family(self) -> str:
        """Return its family in words: engines call the cluster's first one 4, whichever that is."""
        first = self.replication.cluster.addresses.family
        return first if self.family == 4 else other_family(first)

    @cached_property
    def _pacing(self) -> Pacing:
        version = self.replication.scenario.kubernetes_version
        return Pacing.of(self.mode.runner(version), version)

    @cached_property
    def since_ns(self) -> int:
        """Return the start of the process [ns]; -NEVER if it was before the run."""
        scenario, nodes = self.replication.scenario, self.replication.cluster.nodes
        key, horizon = (scenario.run.seed, self.replication.number), self.replication.horizon_ns
        joins = self.replication.joins
        faults = Faults.draw(scenario.faults, self._pacing, load_defaults(), key, nodes, horizon, joins)
        restarts = faults.restarts[:, self.node]
        return int(restarts[restarts <= self.at_ns].max(initial=-NEVER))

    @property
    def restarted(self) -> bool:
        """Return True if the process was started during the run."""
        return self.since_ns > -NEVER

    @cached_property
    def started(self) -> I64:
        """Return the process's syncs that have started, (k,)."""
        trace = self.run.syncs
        mine = trace.ran[:, self.node] & (trace.process_since[:, self.node] == self.since_ns)
        return np.flatnonzero(mine & (trace.start[:, self.node] <= self.at_ns))

    @cached_property
    def ended(self) -> I64:
        """Return the process's syncs that have ended, (k,)."""
        return np.asarray(self.started[self.run.syncs.end[self.started, self.node] <= self.at_ns])

    @property
    def failed(self) -> Bools:
        """Return one bool a sync of ``ended``: True if it failed."""
        return np.asarray(self.run.syncs.failed[self.ended, self.node])

    @property
    def full(self) -> Bools:
        """Return one bool a sync of ``ended``: True if it was full."""
        return np.asarray(self.run.syncs.full[self.ended, self.node])

    @property
    def durations_ns(self) -> I64:
        """Return the duration of each sync of ``ended`` [ns]."""
        return np.asarray(self.run.syncs.end[self.ended, self.node] - self.run.syncs.start[self.ended, self.node])

    @cached_property
    def first_ns(self) -> int | None:
        """Return how long the first sync took of a process that was started right before the run, else ``None``."""
        if self.restarted:
            return None
        start, timeline, node = start_counts(self.cluster, self.mode), self.run.timeline, np.array([self.node])
        none = np.array([0])
        own, dispatch = int(timeline.own_at(none, node)[0]), int(timeline.dispatch_at(none, node)[0])
        moved = Moved()
        if start.held is not None:
            servers, entries, addresses = (int(column.sum()) for column in start.held)
            moved = Moved(servers, entries, addresses, own, addresses_held=addresses)
        ports, endpoints = int(timeline.ports_total[0]), int(timeline.endpoints_total[0])
        counts = SyncCounts(ports, endpoints, dispatch, own, ports, own, endpoints, 1, dispatch, moved=moved)
        work = self.mode.sync_work(SyncKind.RESTART, counts)
        return int(self.of.costs.ns(work)) + (self.first_reconciliation_ns or 0)

    @cached_property
    def first_reconciliation_ns(self) -> int | None:
        """Return how long that sync read conntrack's table, or deleted from it; ``None`` without a UDP port."""
        services = self.cluster.services
        udp = (services.udp & services.proxied)[: self.cluster.initial].any()
        if self.restarted or not udp or "conntrack_listed" not in self.of.costs.coefficients:
            return None
        traffic = self.replication.scenario.traffic
        if self.replication.scenario.kubernetes_version < RECONCILED_SINCE:
            runs = int(self.run.timeline.conntrack_at_first(np.array([0]))[0])
            return int(self.of.costs.ns({"conntrack_run": runs}))
        entries = traffic.conntrack_entries(load_defaults().value("limits.conntrack_time_wait"))
        return int(self.of.costs.ns({"conntrack_listed": round(entries)}))

    @property
    def reconciliations_ns(self) -> I64:
        """Return how long each of ``ended`` that did not fail took for what follows its rules."""
        syncs, good = self.run.syncs, self.ended[~self.failed]
        took = syncs.end[good, self.node] - syncs.switch[good, self.node]
        return np.asarray(took[took > 0])

    @property
    def last_end_ns(self) -> int:
        """Return the end of the last sync of ``ended`` [ns]; -NEVER without one."""
        return int(self.run.syncs.end[self.ended[-1], self.node]) if len(self.ended) else -NEVER

    @property
    def last_success_ns(self) -> int | None:
        """Return the end of the last sync that did not fail [ns]; before the run for a process idling since."""
        good = self.ended[~self.failed]
        if len(good):
            return int(self.run.syncs.switch[good[-1], self.node])
        return None if self.restarted else self._idle_since_ns

    @property
    def _idle_since_ns(self) -> int:
        """Return the end of the last sync before the run [ns]."""
        phase = self.replication.draws[self.family].phase
        return int(RunnerState.at_start(phase, self._pacing).last_end[self.node])

    def prefix(self, *, successful: bool) -> int | None:
        """Return the number of deliveries that the last (successful) sync knew; ``None`` without such a sync."""
        syncs = self.ended[~self.failed] if successful else self.ended
        if len(syncs):
            return int(self.run.syncs.absorbed[syncs[-1], self.node])
        return None if self.restarted else 0

    def absorbed_before(self, sync: int) -> int:
        """Return the number of deliveries known when the sync before ``sync`` started."""
        return int(self.run.syncs.absorbed[sync - 1, self.node]) if sync else 0

    @property
    def listed_ns(self) -> int | None:
        """Return the time by which everything had been listed [ns]: the first sync, or -1; ``None``: not yet."""
        if not self.restarted:
            return -1
        return int(self.run.syncs.start[self.started[0], self.node]) if len(self.started) else None

    def arrived(self, until_ns: int) -> int:
        """Return the number of deliveries that had arrived by ``until_ns``."""
        return int(self.run.arrivals.count(np.array([until_ns]), np.array([self.node]), inclusive=True)[0])

    @property
    def last_request_ns(self) -> int | None:
        """Return the last request for a sync [ns], with the last delivery; those listed at the start ask for none."""
        listed_ns, count = self.listed_ns, self.arrived(self.at_ns)
        if listed_ns is not None and count > self.arrived(listed_ns):
            return int(self.run.arrivals.at(np.array([count - 1]), np.array([self.node]))[0])
        return None if self.restarted else self._idle_since_ns
