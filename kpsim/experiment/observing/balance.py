"""Connections spread unevenly over a Service's endpoints: counted for the Service with most endpoints.

Endpoints that serve when the run begins are counted, in the whole run and on the nodes that are simulated.  One
that is replaced meanwhile receives less, so that churn shows as imbalance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from kpsim.experiment.observing.observations import Observations, Reached
from kpsim.experiment.result import Load
from kpsim.measure.intervals import estimate
from kpsim.measure.stretches import Batches
from kpsim.simulation import ModeRun, Replication
from kpsim.theory import poisson_quantiles
from kpsim.units import F64, I64

RANKS = 60  # of endpoints, or nodes, that are told; of more, as many at even distances


def observe_balance(seen: Observations, replication: Replication, run: ModeRun, _: Batches) -> None:
    """Record how evenly connections are spread, where the scenario asks for it."""
    if replication.scenario.ask == "balance" and (reached := reached_of(replication, run)):
        seen.reached, seen.rates = reached, seen.rates | balance_of(reached)


def reached_of(replication: Replication, run: ModeRun) -> Reached | None:
    """Return the connections by endpoint of the Service that has most; ``None`` where none received any."""
    cluster = replication.cluster
    sizes = np.diff(cluster.endpoint_offset)[cluster.port_service]  # of each service port
    if not sizes.size:
        return None
    port = int(sizes.argmax())
    pods = cluster.endpoints(int(cluster.port_service[port]))
    each = np.zeros(len(pods), np.int64)
    for connections, outcomes in run.pieces():
        reached, counts = np.unique(outcomes.pod[connections.port == port], return_counts=True)
        known = np.isin(pods, reached)
        each[known] += counts[np.searchsorted(reached, pods[known])]
    return Reached(each, cluster.homes(cluster.pods)[pods]) if each.any() else None


def balance_of(found: Reached) -> dict[str, float]:
    """Return endpoints, mean connections of one, and the busiest and idlest against that mean.

    ``balance_local_ratio`` is the busiest endpoint's under externalTrafficPolicy: Local, by the endpoints' places
    alone: every node that has any receives as much.

    >>> balance_of(Reached(np.array([6, 2, 4]), np.array([0, 0, 1])))["balance_local_ratio"]
    1.5
    """
    mean, (_, endpoints) = float(found.each.mean()), found.by_node()
    return {
        "balance_endpoints": float(len(found.each)),
        "balance_mean_connections": mean,
        "balance_busiest_ratio": float(found.each.max()) / mean,
        "balance_idlest_ratio": float(found.each.min()) / mean,
        "balance_nodes": float(len(endpoints)),
        "balance_local_ratio": len(found.each) / len(endpoints) / float(endpoints.min()),
    }


def loads_of(found: Sequence[Reached]) -> tuple[Load, ...]:
    """Return endpoints' and nodes' loads by rank from the busiest, as replications have them on average.

    Beside each stands the load by chance alone of an endpoint at that rank, and by the number of its endpoints alone
    of a node.
    """
    endpoints = [_falling(each.each) for each in found]
    chance = [poisson_quantiles(float(each.each.mean()), _middles(len(each.each))) for each in found]
    nodes = [each.by_node() for each in found]
    expected = [_falling(many) for _, many in nodes]
    by_chance = [_falling(each) for each in chance]
    return (*_ranked("endpoint", endpoints, by_chance), *_ranked("node", [_falling(n) for n, _ in nodes], expected))


def _falling(values: I64 | F64) -> F64:
    """Return values over their mean, the largest first."""
    return np.sort(values)[::-1].astype(np.float64) / max(float(values.mean()), 1e-12)


def _middles(n: int) -> F64:
    return (np.arange(n) + 0.5) / n


def _ranked(of: str, ratios: Sequence[F64], expected: Sequence[F64]) -> Iterator[Load]:
    n = min((len(each) for each in ratios), default=0)
    for rank in np.unique(np.linspace(0, n - 1, min(n, RANKS)).round().astype(int)).tolist() if n else []:
        load = estimate([float(each[rank]) for each in ratios], least=0.0)
        yield Load(of, rank + 1, load, float(np.mean([each[rank] for each in expected])))
