"""The control plane's work over time and the stages of a change, up to rules in force, are measured here."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from kpsim.cluster.changes import NEVER
from kpsim.controlplane.api.seats import PriorityLevel, writes_per_s
from kpsim.controlplane.deliveries import STAGES, DeliveryLog
from kpsim.experiment.observing.observations import Observations
from kpsim.experiment.result import ChangeStage, ControlLoad
from kpsim.measure.stretches import Batches
from kpsim.measure.tally import Tally
from kpsim.profiles.defaults import load_defaults
from kpsim.scenario.model import Scenario
from kpsim.simulation import ModeRun, Replication
from kpsim.units import F64, I64

NODE_STAGES = ("watch", "wait for a sync", "sync")
BINS = 120  # stretches of time in a run
NODES = 8  # looked at for stages


def observe_control_plane(seen: Observations, replication: Replication, run: ModeRun, measured: Batches) -> None:
    """Record writes, bytes and deliveries of the whole run, the stages of its changes, and the rules it began with."""
    log, nodes, seconds = run.sent, replication.cluster.nodes, replication.scenario.run.duration_s
    seen.rates |= {
        "api_writes_per_s": (log.writes + len(log.endpoints_ns)) / seconds,
        "api_bytes_per_s": int(log.column("size").sum()) * nodes / seconds,
        "deliveries_per_node_per_s": len(log.rows) / seconds,
    }
    seen.counts.deliveries, seen.counts.stale_retries = len(log.rows), run.stale_retries
    seen.control = writes_over_time(log, nodes, replication.horizon_ns)
    seen.stages = stage_ends(run, measured.from_ns)
    timeline = run.proxiers[0].timeline
    seen.rules = int(run.mode.rules_present(int(timeline.dispatch_total[0]), int(timeline.own_total[0])))


def writes_over_time(log: DeliveryLog, nodes: int, horizon_ns: int) -> F64:
    """Writes of slices and Services, writes of Endpoints, and bytes to all kube-proxies, by stretch of time, (3, b)."""
    edges = np.linspace(0, horizon_ns, BINS + 1)
    counts = [np.histogram(times, edges)[0] for times in (log.written_ns, log.endpoints_ns)]
    if not log.rows:
        return np.array([*counts, np.zeros(BINS)], np.float64)
    sent, spread, size = (log.column(name) for name in ("sent_ns", "spread_ns", "size"))
    gone = np.concatenate([[0], np.cumsum(size * nodes)])  # bytes; one object leaves after the other, each evenly
    at = np.column_stack([sent, sent + spread]).ravel()
    left = np.column_stack([gone[:-1], gone[1:]]).ravel()
    return np.array([*counts, np.diff(np.interp(edges, at, left))], np.float64)


def control_load(scenario: Scenario, seen: Sequence[F64]) -> ControlLoad:
    """Return the mean of all replications, with the limits that hold for it."""
    defaults, params = load_defaults(), scenario.api_server
    watchers = -(-scenario.cluster.nodes // params.replicas)
    level = PriorityLevel.of(params, defaults)
    qps = scenario.controller_manager.qps
    mean = np.mean(seen, axis=0) * BINS / scenario.run.duration_s
    return ControlLoad(
        time_s=(np.arange(BINS) + 0.5) * scenario.run.duration_s / BINS,
        writes_per_s=mean[0],
        endpoints_writes_per_s=mean[1],
        bytes_per_s=mean[2],
        seats_writes_per_s=(
            writes_per_s(level, watchers, defaults.value("api_server.write")) if params.priority_and_fairness else None
        ),
        client_writes_per_s=defaults.value("controller_manager.kube_api_qps") if qps is None else qps,
        egress_bytes_per_s=params.replicas * (params.egress_bytes_per_s or defaults.value("api_server.egress")),
    )


def stage_ends(run: ModeRun, from_ns: int) -> dict[str, Tally]:
    """Return by stage the times from a change to its end, on a few nodes: from the kubelet to rules in force."""
    proxier = run.proxiers[0]
    log, nodes = proxier.log, proxier.syncs.start.shape[1]
    offset, effect_ns = log.ragged("effects_ns")
    row = np.repeat(np.arange(len(log.rows)), np.diff(offset))
    row, effect_ns = row[effect_ns >= from_ns], effect_ns[effect_ns >= from_ns]
    ends = log.ragged("stages")[1].reshape(-1, len(STAGES))
    tallies = {name: Tally() for name in (*STAGES, *NODE_STAGES)}
    for node in np.unique(np.linspace(0, nodes - 1, NODES).astype(np.int64)).tolist():
        true_ns = proxier.in_force.true_ns(node)
        inside = row < len(true_ns)
        inside[inside] = true_ns[row[inside]] < NEVER
        rows = row[inside]
        arrived = proxier.arrivals.at(rows, np.full(len(rows), node))
        times = [*ends[rows].T, arrived, _sync_starts(run, node, rows, arrived), true_ns[rows]]
        times = list(accumulate(times, np.maximum))  # a change may join a write that is on its way
        for tally, ended in zip(tallies.values(), times, strict=True):
            tally.add(np.maximum(ended - effect_ns[inside], 0))
    return tallies


def _sync_starts(run: ModeRun, node: int, rows: I64, arrived: I64) -> I64:
    """Return the start of the first sync that took each row up [ns]; in modes without syncs, the row's arrival."""
    trace = run.proxiers[0].syncs
    if run.proxiers[0].in_force.at_once:
        return arrived
    ran = trace.ran[:, node]
    first = np.searchsorted(trace.absorbed[ran, node], rows, side="right")
    return np.asarray(trace.start[ran, node][first])


def stages_of(seen: Sequence[dict[str, Tally]]) -> tuple[ChangeStage, ...]:
    """Return each stage with the median and p99 time of changes to its end, in all replications together."""
    found = []
    for name in seen[0]:
        pooled = Tally.pooled([tallies[name] for tallies in seen if tallies])
        if pooled.n:
            found.append(ChangeStage(name, pooled.quantile(0.5), pooled.quantile(0.99)))
    return tuple(found)
