"""Requests through an Ingress controller are counted by their end, and how far its lists lag behind."""

from __future__ import annotations

import numpy as np

from kpsim.experiment.observing.folded import Folded
from kpsim.experiment.observing.observations import Observations
from kpsim.ingress.outcomes import Status
from kpsim.measure.stretches import Batches
from kpsim.simulation import ModeRun, Replication


def observe_ingress(seen: Observations, replication: Replication, run: ModeRun, measured: Batches) -> None:
    """Requests through the Ingress controller by their end, and how long its lists lag behind."""
    if run.ingress is None or replication.ingress is None:
        return
    outcomes, traffic = run.ingress.outcomes, replication.ingress
    recorded = outcomes.arrival_ns >= measured.from_ns
    answered = recorded & (outcomes.status == Status.ANSWERED)
    latency = outcomes.finish_ns - outcomes.arrival_ns
    seen.count("ingress_latency", measured.split(latency[answered], outcomes.arrival_ns[answered]))
    seen.others |= {
        "ingress_requests": int(recorded.sum()),
        "ingress_answered": int(answered.sum()),
        "ingress_retried": int((recorded & (outcomes.tries > 1)).sum()),
        **{
            f"ingress_{int(status)}": int((recorded & (outcomes.status == status)).sum())
            for status in Status
            if status != Status.ANSWERED
        },
    }
    seconds = (measured.until_ns - measured.from_ns) / 1e9
    work_s = int(recorded.sum()) * traffic.controller.timings.request_ns / 1e9
    seen.rates["cpu_ingress_cores"] = work_s / seconds if seconds else 0.0
    if traffic.controller.to_pods:
        _observe_lists(seen, replication, run, measured)


def _observe_lists(seen: Observations, replication: Replication, run: ModeRun, measured: Batches) -> None:
    """Latency from a change of a Pod behind an Ingress to each worker's list."""
    assert replication.ingress is not None
    assert run.ingress is not None
    log, ports = run.proxiers[0].log, np.unique(replication.ingress.requests.port)
    routed = np.isin(log.column("service"), replication.cluster.port_service[ports[ports >= 0]])
    offset, effect_ns = log.ragged("effects_ns")
    row = np.repeat(np.arange(len(log.rows)), np.diff(offset))
    chosen = routed[row] & (effect_ns >= measured.from_ns)
    lists = Folded(measured, len(log.rows), row[chosen], effect_ns[chosen])
    for syncs in run.ingress.syncs:
        for taken_ns in syncs.taken_ns.T:
            lists.add(np.repeat(taken_ns, np.diff(syncs.absorbed, prepend=0)))
    seen.merge("ingress_programming", lists.finish(open_too=True))
