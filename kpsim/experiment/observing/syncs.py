"""Syncs of all nodes are counted by duration, and the CPU time of kube-proxies by cause."""

from __future__ import annotations

import numpy as np

from kpsim.experiment.observing.observations import Observations
from kpsim.measure.stretches import Batches
from kpsim.simulation import ModeRun, Replication, cpu_costs_of

DECODED, ACCOUNTED = "change_decoded", "sync_accounted"  # CPU beside syncs: of a delivery, of a sync that ran
SYNCS_AT_ONCE = 50_000


def observe_syncs(seen: Observations, replication: Replication, run: ModeRun, measured: Batches) -> None:
    """Syncs of all nodes, and of both proxiers where there are two."""
    syncs, cpu_ns = (dict.fromkeys(("", "_full", "_partial"), 0) for _ in range(2))
    for table in (proxier.syncs for proxier in run.proxiers):
        rows = max(SYNCS_AT_ONCE // max(table.start.shape[1], 1), 1)
        for first in range(0, len(table.start), rows):
            some = slice(first, first + rows)
            start, full = table.start[some], table.full[some]
            chosen = table.ran[some] & (start >= measured.from_ns)
            duration = table.end[some] - start
            for kind, which in (("", chosen), ("_full", chosen & full), ("_partial", chosen & ~full)):
                seen.count(f"sync_duration{kind}", measured.split(duration[which], start[which]))
                syncs[kind] += int(which.sum())
                cpu_ns[kind] += int(table.cpu[some][which].sum())
            seen.counts.syncs_failed += int((chosen & table.failed[some]).sum())
    seconds = run.proxiers[0].syncs.start.shape[1] * (measured.until_ns - measured.from_ns) / 1e9
    seen.counts.syncs = syncs[""]
    seen.rates["syncs_per_node_per_s"] = syncs[""] / seconds if seconds else 0.0
    seen.rates["full_syncs_per_node_per_s"] = syncs["_full"] / seconds if seconds else 0.0
    spent_s = {kind: float(cpu_ns[f"_{kind}"]) / 1e9 for kind in ("full", "partial")}
    spent_s["beside"] = _beside_s(replication, run, measured, syncs[""])
    for kind, s in (("", sum(spent_s.values())), *((f"_{kind}", s) for kind, s in spent_s.items())):
        seen.rates[f"cpu_proxy{kind}_cores"] = s / seconds if seconds else 0.0
    timeline = run.proxiers[0].timeline
    changed = timeline.own[-timeline.rows :] if timeline.rows else timeline.own
    seen.sync_changed = float(changed.mean()) if len(changed) else 0.0


def _beside_s(replication: Replication, run: ModeRun, measured: Batches, syncs: int) -> float:
    """Return the CPU time of kube-proxies beside their syncs themselves, as far as the profile knows it [s]."""
    costs, every = cpu_costs_of(replication.scenario, run.mode), np.arange(replication.cluster.nodes)
    if costs is None:
        return 0.0
    before, after = (
        sum(int(p.arrivals.count(np.full(len(every), at_ns), every, inclusive=False).sum()) for p in run.proxiers)
        for at_ns in (measured.from_ns, measured.until_ns)
    )
    work = {DECODED: after - before, ACCOUNTED: syncs}
    return float(costs.seconds({name: count for name, count in work.items() if name in costs.coefficients}))
