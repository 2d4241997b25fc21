"""Each event of a scenario is measured by its traffic: the error window, and Pods that ended before the rules knew.

A packet is an error of an event if it went to a Pod whose process the event had ended or stopped.  A Pod is *withdrawn*
on a node when rules without it come into force there; how long that takes from its deletion, or from its Ready
condition turning false, is the propagation.  Where processes outlive it, as with a long enough preStop hook, no new
connection can meet a Pod that is gone.  Packets may be a sample; propagation is that of all nodes but lost ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from kpsim.cluster.changes import NEVER, Changes
from kpsim.cluster.columns import Cluster
from kpsim.controlplane.api.joins import Join
from kpsim.controlplane.deliveries import DeliveryLog
from kpsim.datapath.outcomes import Outcomes
from kpsim.experiment.result import EventCourse, EventOutcome
from kpsim.history.traces import EventTrace
from kpsim.measure.intervals import estimate
from kpsim.proxy.sync.inforce import Told
from kpsim.simulation import ModeRun
from kpsim.units import I64, Bools, to_ns

AT_ONCE = 100_000  # times in force of deliveries on nodes, looked at together


@dataclass(slots=True)
class EventSeen:
    """One event in one replication under one mode."""

    trace: EventTrace
    connections: int = 0
    packets: int = 0
    first_ns: int = NEVER
    last_ns: int = -NEVER
    propagation_ns: int = -1  # the longest; -1 if no Pod was withdrawn
    exposed_ns: int = 0  # the longest that rules in force led to a Pod that was gone
    pending: int = 0  # Pods still in the rules of a node when the run was over
    unusable: Mapping[str, int] = field(default_factory=dict)  # of the node that was without rules for longest [ns]

    def add(self, outcomes: Outcomes, stale: Bools) -> None:
        """Count those of the ``stale`` packets (c, k) that are errors of this event."""
        outages = self.trace.outages
        chosen = np.isin(outcomes.pod, outages.of)
        if not len(outages) or not chosen.any():
            return
        start = outcomes.start_ns[chosen]
        mine = stale[chosen] & outages.cover(outcomes.pod[chosen][:, None], start)
        if mine.any():
            self.connections += int(mine[:, 0].sum())
            self.packets += int(mine.sum())
            self.first_ns = min(self.first_ns, int(start[mine].min()))
            self.last_ns = max(self.last_ns, int(start[mine].max()))


def measure_joins(seen: Sequence[EventSeen], joins: Sequence[Join], run: ModeRun) -> None:
    """Record in ``seen`` how long the slowest node that joined had no rules, by what it waited for."""
    for each in seen:
        mine = [j for j in joins if each.trace.event.joins and j.at_ns == to_ns(each.trace.event.at_s)]
        for join in mine:
            usable_ns = max(int(proxier.in_force.usable_ns[join.node]) for proxier in run.proxiers)
            times = [join.at_ns, join.listed_ns, join.begins_ns, usable_ns]
            ends = np.minimum(times, run.proxiers[0].in_force.horizon_ns)
            parts = dict(zip(("lists", "start-up", "sync"), np.diff(ends).tolist(), strict=True))
            if sum(parts.values()) > sum(each.unusable.values()):
                each.unusable = parts


def measure_propagation(seen: Sequence[EventSeen], cluster: Cluster, changes: Changes, run: ModeRun) -> None:
    """Record in ``seen`` the longest time until every node's rules left out each Pod that an event took away."""
    _measure_writes(seen, changes, run)
    wanted = {pod for each in seen for pod in each.trace.removed_pod.tolist()}
    if not wanted:
        return
    left = _withdrawals(wanted, cluster, changes, run.proxiers[0].log)
    rows = np.array(sorted({row for found in left.values() for row, _ in found}), np.int64)
    slowest = _slowest(rows, changes, run)
    for each in seen:
        down = dict(zip(each.trace.outages.of.tolist(), each.trace.outages.from_ns.tolist(), strict=True))
        until = dict(zip(each.trace.outages.of.tolist(), each.trace.outages.until_ns.tolist(), strict=True))
        for pod, removed_ns in zip(each.trace.removed_pod.tolist(), each.trace.removed_ns.tolist(), strict=True):
            row = next((row for row, sent_ns in left.get(pod, []) if sent_ns > removed_ns), None)
            if row is None:
                continue  # it never was in a rule, or nobody was told before the run was over
            at_ns = int(slowest[np.searchsorted(rows, row)])
            if at_ns >= run.proxiers[0].in_force.horizon_ns:
                each.pending += 1
                at_ns = run.proxiers[0].in_force.horizon_ns
            each.propagation_ns = max(each.propagation_ns, at_ns - removed_ns)
            if pod in down:
                each.exposed_ns = max(each.exposed_ns, min(at_ns, until[pod]) - down[pod])


def _measure_writes(seen: Sequence[EventSeen], changes: Changes, run: ModeRun) -> None:
    """Record the longest time until every node's rules knew of each write to a Service object."""
    log, horizon_ns = run.proxiers[0].log, run.proxiers[0].in_force.horizon_ns
    created = [log.row(number) for number in np.flatnonzero(log.column("creates")).tolist()]
    for each in seen:
        at_ns = to_ns(each.trace.event.at_s)
        mine = [] if each.trace.event.of_pods else [row.index for row in created if at_ns in row.effects_ns]
        if mine:
            slowest_ns = int(_slowest(np.array(mine), changes, run).max())
            each.propagation_ns = min(slowest_ns, horizon_ns) - at_ns


def _withdrawals(
    wanted: set[int], cluster: Cluster, changes: Changes, log: DeliveryLog
) -> dict[int, list[tuple[int, int]]]:
    """For each Pod, the deliveries that took it from the usable endpoints of a Service: number, and when sent."""
    of_slot = np.isin(cluster.endpoint_pod, changes.pod_slot[np.array(sorted(wanted))])
    owner = np.repeat(np.arange(len(cluster.services.ports)), np.diff(cluster.endpoint_offset))
    mine = np.isin(log.column("service"), owner[of_slot])
    before: dict[int, set[int]] = {}
    found: dict[int, list[tuple[int, int]]] = {}
    for number in np.flatnonzero(mine).tolist():
        row = log.row(number)
        usable = set(row.usable)
        if row.service not in before:  # a Service that is created later has never led to anybody
            held = cluster.endpoints(row.service).tolist() if row.service < cluster.initial else []
            before[row.service] = set(held)
        for pod in before[row.service] - usable & wanted:
            found.setdefault(pod, []).append((number, row.sent_ns))
        before[row.service] = usable
    return found


def _slowest(rows: I64, changes: Changes, run: ModeRun) -> I64:
    """Return the time [ns] at which each delivery was in force on the last node (lost ones aside), or NEVER."""
    latest, in_force = np.full(len(rows), -NEVER), run.proxiers[0].in_force
    told = Told.of(rows, len(run.proxiers[0].log.rows))
    nodes = np.setdiff1d(np.arange(run.proxiers[0].syncs.start.shape[1]), changes.lost.of)
    at_once = max(AT_ONCE // max(len(rows), 1), 1)
    for first in range(0, len(nodes), at_once):
        times, _ = in_force.true_times(nodes[first : first + at_once], told)
        latest = np.maximum(latest, times.max(axis=0))
    return latest


def outcome_of(seen: Sequence[EventSeen], *, sampled: bool) -> EventOutcome:
    """Return one event over all replications; its course is that of the first."""
    trace = seen[0].trace
    at_ns = to_ns(trace.event.at_s)
    hit = [each for each in seen if each.packets]
    worst = max((each.unusable for each in seen), key=lambda parts: sum(parts.values()))
    took = [each.propagation_ns / 1e9 for each in seen if each.propagation_ns >= 0]
    return EventOutcome(
        event=trace.event.described(),
        at_s=trace.event.at_s,
        replications=len(seen),
        with_errors=len(hit),
        connections=estimate([each.connections for each in seen], least=0.0),
        packets=estimate([each.packets for each in seen], least=0.0),
        sampled=sampled,
        first_s=min(each.first_ns - at_ns for each in hit) / 1e9 if hit else None,
        last_s=max(each.last_ns - at_ns for each in hit) / 1e9 if hit else None,
        window_s=estimate([(each.last_ns - each.first_ns) / 1e9 if each.packets else 0.0 for each in seen], least=0.0),
        propagation_s=max(took) if took else None,
        exposed_s=max(each.exposed_ns for each in seen) / 1e9,
        pending=max(each.pending for each in seen),
        course=_course(seen[0]),
        unusable_s=sum(worst.values()) / 1e9 if worst else None,
        unusable_for=max(worst, key=worst.__getitem__) if worst else "",
    )


def _course(seen: EventSeen) -> EventCourse:
    course = seen.trace.course
    return EventCourse(
        time_s=course.time_ns / 1e9,
        old_ready=course.old_ready,
        new_ready=course.new_ready,
        starting=course.starting,
        terminating=course.terminating,
        errors_s=(seen.first_ns / 1e9, seen.last_ns / 1e9) if seen.packets else None,
    )
