"""Connections spread unevenly over a Service's endpoints: counted for the Service with most endpoints.

Endpoints that serve when the run begins are counted, in the whole run and on the nodes that are simulated.  One
that is replaced meanwhile receives less, so that churn shows as imbalance.
"""

from __future__ import annotations

import numpy as np

from kpsim.experiment.observing.observations import Observations
from kpsim.measure.stretches import Batches
from kpsim.simulation import ModeRun, Replication


def observe_balance(seen: Observations, replication: Replication, run: ModeRun, _: Batches) -> None:
    """Record how evenly connections are spread, where the scenario asks for it."""
    if replication.scenario.ask == "balance":
        seen.rates |= balance_of(replication, run)


def balance_of(replication: Replication, run: ModeRun) -> dict[str, float]:
    """Return endpoints, mean connections of one, and the busiest and idlest against that mean; {} without any."""
    cluster = replication.cluster
    sizes = np.diff(cluster.endpoint_offset)[cluster.port_service]  # of each service port
    if not sizes.size:
        return {}
    port = int(sizes.argmax())
    pods = cluster.endpoints(int(cluster.port_service[port]))
    each = np.zeros(len(pods), np.int64)
    for connections, outcomes in run.pieces():
        reached, counts = np.unique(outcomes.pod[connections.port == port], return_counts=True)
        known = np.isin(pods, reached)
        each[known] += counts[np.searchsorted(reached, pods[known])]
    mean = float(each.mean()) if each.size else 0.0
    if not mean:
        return {}
    return {
        "balance_endpoints": float(len(pods)),
        "balance_mean_connections": mean,
        "balance_busiest_ratio": float(each.max()) / mean,
        "balance_idlest_ratio": float(each.min()) / mean,
    }
