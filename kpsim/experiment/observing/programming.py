"""Changes are counted by the time until rules know them on every node, or by their age where rules do not yet."""

from __future__ import annotations

import numpy as np

from kpsim.experiment.observing.folded import Folded
from kpsim.experiment.observing.observations import Observations
from kpsim.measure.stretches import Batches
from kpsim.simulation import ModeRun, Replication


def observe_programming(seen: Observations, _: Replication, run: ModeRun, measured: Batches) -> None:
    """Latency from a change to rules in force on every node, true and as the annotation has it; a sample a family.

    What is not in force when the run is over is counted with its age, wherever it waits.
    """
    names = ("network_programming_true", "network_programming_reported")
    for proxier in run.proxiers:
        offset, effect_ns = proxier.log.ragged("effects_ns")
        effect_row = np.repeat(np.arange(len(proxier.log.rows)), np.diff(offset))
        trigger_ns = proxier.log.column("trigger_ns")
        report_row = np.flatnonzero(trigger_ns >= measured.from_ns)
        warm = effect_ns >= measured.from_ns
        rows, in_force = len(proxier.log.rows), proxier.in_force
        true = Folded(measured, rows, effect_row[warm], effect_ns[warm])
        nodes = proxier.syncs.start.shape[1]
        true.observe(nodes, lambda some, told, _: in_force.true_times(some, told))  # noqa: B023 - called at once
        reported = Folded(measured, rows, report_row, trigger_ns[report_row])
        if run.mode.reports_programming:
            reported.observe(nodes, in_force.reported_times)
        seen.merge(names[0], true.finish(open_too=True))
        seen.merge(names[1], reported.finish())
        left = proxier.unwritten
        unwritten_ns = left.waiting_ns[left.waiting_ns >= measured.from_ns]
        for batch, since_ns in measured.split(unwritten_ns, unwritten_ns):
            seen.tallies[names[0]][batch].add_open(measured.until_ns - since_ns, nodes)
        every, horizon_ns = np.arange(nodes), np.full(nodes, measured.until_ns)
        arrived = proxier.arrivals.count(horizon_ns, every, inclusive=True)
        in_watch = int((int(warm.sum()) - np.searchsorted(effect_row[warm], arrived)).sum())
        seen.counts.changes += int(warm.sum()) + len(unwritten_ns)
        seen.counts.changes_overtaken += int((left.overtaken_ns >= measured.from_ns).sum())
        seen.counts.changes_in_control_plane += len(unwritten_ns)
        seen.counts.node_changes_pending += true.pending + nodes * len(unwritten_ns)
        seen.counts.node_changes_in_watch += in_watch
        seen.counts.node_changes_in_kube_proxy += true.pending - in_watch
