"""The numbers that kube-proxy's metrics are made of, by the names the catalogue calls them.

Each is a list of readings: one without labels of its own, or one for each table or traffic policy.  An empty list means
that the process has not set it.  Structure from pkg/proxy/iptables/proxier.go (syncProxyRules) and
pkg/proxy/endpointschangetracker.go; changes of a batch whose sync failed leave no sample.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from kpsim.cluster.changes import NEVER
from kpsim.controlplane.params import ControllerManagerParams
from kpsim.profiles.defaults import load_defaults
from kpsim.scrape.held import rules_by_table, without_local
from kpsim.scrape.proxier import Proxier
from kpsim.units import I64


@dataclass(frozen=True, slots=True)
class Reading:
    """A number, or for histograms everything that was observed [ns]."""

    value: float = 0.0
    labels: Mapping[str, str] = field(default_factory=dict)
    observed_ns: I64 = field(default_factory=lambda: np.zeros(0, np.int64))


Readings = Sequence[Reading]


def _observed(values_ns: I64) -> Readings:
    return [Reading(observed_ns=values_ns)] if len(values_ns) else []


def _counted(count: int) -> Readings:
    """Return a counter: there from the first thing it counts."""
    return [Reading(count)] if count else []


def _moment(time_ns: int | None) -> Readings:
    return [] if time_ns is None else [Reading(time_ns / 1e9)]


def _programming(proxier: Proxier) -> Readings:
    """One sample for each changed slice with a trigger time, when the sync that took it up has succeeded."""
    run = proxier.run
    if not (proxier.mode.reports_programming and len(proxier.ended)):
        return []
    trigger_ns = run.log.column("trigger_ns")
    reported_ns = run.in_force.reported_ns(proxier.node, trigger_ns)
    trigger_ns = trigger_ns[: len(reported_ns)]
    mine = np.arange(len(reported_ns)) >= proxier.absorbed_before(int(proxier.started[0]))
    mine &= (trigger_ns >= 0) & (reported_ns < NEVER) & (reported_ns <= proxier.at_ns)
    return _observed((reported_ns - trigger_ns)[mine])


def _after(first_ns: int | None, others_ns: I64) -> Readings:
    """Return all observations, the first sync of a process that was started right before the run before them."""
    first = [] if first_ns is None else [first_ns]
    return _observed(np.concatenate([np.array(first, np.int64), others_ns]))


def _changes(proxier: Proxier, *, creates: bool) -> int:
    """Changes of Services (``creates``) or of their slices seen since the process began, with what was listed first."""
    listed_ns = proxier.listed_ns
    if listed_ns is None:
        return 0
    proxier = replace(proxier, run=proxier.of.proxiers[0]) if creates else proxier  # Services go to every family
    created = proxier.run.log.column("creates") > 0
    before, now = proxier.arrived(listed_ns), proxier.arrived(proxier.at_ns)
    counted = int((created[before:now] == creates).sum())
    return counted + _listed(proxier, before, creates=creates)


def _listed(proxier: Proxier, prefix: int, *, creates: bool) -> int:
    """Services, or slices as full as they can be, that a process which starts after ``prefix`` deliveries lists."""
    cluster = proxier.cluster
    rows = proxier.run.log.rows[:prefix]
    gone = {row.service for row in rows if row.gone}
    if creates:
        first = cluster.services.continued[: cluster.initial] == 0  # a Service may have several rows
        foreign = sum(bool(service.proxy_name) for s, service in cluster.read.items() if first[s])
        watched = int((~cluster.services.headless[: cluster.initial] & first).sum()) - foreign
        new = {row.service for row in rows if row.service >= cluster.initial}
        return watched + len(new) - len(gone)
    known = np.flatnonzero(cluster.services.proxied[: cluster.initial])
    slices = proxier.replication.scenario.objects.slices
    read = Counter(f"{s.namespace}/{s.service}" for s in slices if s.address_type == proxier.ip_family)
    if slices:  # they are all that there are of Services that were read
        kept = {f"{service.namespace}/{service.name}" for service in cluster.read.values() if service.watched}
        known = known[[s not in cluster.read for s in known.tolist()]]
        rows = [row for row in rows if row.service not in cluster.read]
    most = _most_endpoints(proxier.replication.scenario.controller_manager)
    held = dict(zip(known.tolist(), np.diff(cluster.endpoint_offset)[known].tolist(), strict=True))
    held |= {row.service: row.endpoints for row in rows if not row.creates}
    listed: int = sum(max(1, -(-endpoints // most)) for service, endpoints in held.items() if service not in gone)
    return listed + (sum(read[name] for name in kept) if slices else 0)


def _most_endpoints(params: ControllerManagerParams) -> int:
    given = params.max_endpoints_per_slice
    return int(load_defaults().value("endpointslice.max_endpoints_per_slice") if given is None else given)


def _pending(proxier: Proxier, *, creates: bool) -> Readings:
    """Changes that have arrived since the last sync started."""
    if proxier.listed_ns is None:
        return [Reading(0.0)]
    taken = int(proxier.run.syncs.absorbed[proxier.started[-1], proxier.node]) if len(proxier.started) else 0
    created = proxier.run.log.column("creates") > 0
    return [Reading(float((created[taken : proxier.arrived(proxier.at_ns)] == creates).sum()))]


def _by_table(counts: Mapping[str, int]) -> Readings:
    return [Reading(count, {"table": table}) for table, count in sorted(counts.items())]


def _owned(proxier: Proxier) -> Readings:
    """Return the rules by table as the last sync wanted them, whether or not it got them."""
    prefix = proxier.prefix(successful=False)
    return [] if prefix is None else _by_table(rules_by_table(proxier, prefix))


def _written(proxier: Proxier) -> Readings:
    """Return the rules by table that the last sync wrote; the first one, right before the run, wrote all."""
    if not len(proxier.ended):
        return [] if proxier.restarted else _owned(proxier)
    sync = int(proxier.ended[-1])
    before, after = proxier.absorbed_before(sync), int(proxier.run.syncs.absorbed[sync, proxier.node])
    if proxier.full[-1]:
        return _by_table(rules_by_table(proxier, after))
    names = proxier.cluster.names
    changed = frozenset(names[row.service] for row in proxier.run.log.rows[before:after])
    return _by_table(rules_by_table(proxier, after, changed))


def _no_local(proxier: Proxier) -> Readings:
    prefix = proxier.prefix(successful=True)
    counts = {} if prefix is None else without_local(proxier, prefix)
    return [Reading(count, {"traffic_policy": policy}) for policy, count in counts.items()]


QUANTITIES: Mapping[str, Callable[[Proxier], Readings]] = {
    "syncs": lambda p: _after(p.first_ns, p.durations_ns),
    "full_syncs": lambda p: _after(p.first_ns, p.durations_ns[p.full]),
    "reconciliations": lambda p: _after(p.first_reconciliation_ns, p.reconciliations_ns),
    "reconciled_entries": lambda p: [Reading()] if p.first_reconciliation_ns or len(p.reconciliations_ns) else [],
    "partial_syncs": lambda p: _observed(p.durations_ns[~p.full]),
    "programming": _programming,
    "last_success": lambda p: _moment(p.last_success_ns),
    "last_request": lambda p: _moment(p.last_request_ns),
    "endpoint_changes": lambda p: _counted(_changes(p, creates=False)),
    "endpoint_changes_pending": lambda p: _pending(p, creates=False),
    "service_changes": lambda p: _counted(_changes(p, creates=True)),
    "service_changes_pending": lambda p: _pending(p, creates=True),
    "rules_owned": _owned,
    "rules_written": _written,
    "failures": lambda p: _counted(int(p.failed.sum())),
    "partial_failures": lambda p: _counted(int((p.failed & ~p.full).sum())),
    "no_local_endpoints": _no_local,
}
