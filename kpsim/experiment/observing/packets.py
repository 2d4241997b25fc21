"""Packets are counted by verdict and latency, and the lookups of names before them."""

from __future__ import annotations

import numpy as np

from kpsim.datapath.outcomes import Outcomes, Verdict
from kpsim.experiment.observing.observations import Counts, Observations
from kpsim.measure.packets import PacketLatencies
from kpsim.measure.stretches import Batches
from kpsim.measure.summary import SLOW_LOOKUP_S
from kpsim.simulation import ModeRun, Replication
from kpsim.traffic.connections import Connections
from kpsim.units import I64, to_ns

PAIRS_KEPT = 20_000  # (position, cost) pairs kept of one replication, for the figure


def observe_packets(seen: Observations, replication: Replication, run: ModeRun, measured: Batches) -> None:
    """Count all packets, some nodes at a time, and the time they take of their cores."""
    busy_ns = 0
    looked_up = 0  # connections whose lookups were counted
    kept: list[tuple[I64, I64, I64]] = []
    latencies = PacketLatencies(measured, *(seen.tallies[f"{each}_packet_latency"] for each in ("first", "later")))
    for connections, outcomes in run.pieces():
        busy_ns += _observe_piece(seen, replication, connections, outcomes, latencies)
        rows = slice(looked_up, looked_up + len(connections))
        _observe_lookups(seen, replication, connections, outcomes, rows, measured)
        looked_up = rows.stop
        if sum(len(cost) for _, cost, _ in kept) < PAIRS_KEPT:
            which = np.flatnonzero(outcomes.pod >= 0)[:PAIRS_KEPT]
            scanned = outcomes.scanned if run.prices.scans() else _place(replication)[connections.port]
            kept.append((scanned[which], outcomes.cost_ns[which, 0], outcomes.tried[which]))
    latencies.finish()
    seconds = replication.windows.node_seconds
    seen.rates["cpu_packets_cores"] = busy_ns / 1e9 / seconds if seconds else 0.0
    if replication.lookups_ns is not None:
        for name in ("lookups_slow", "lookups_absolute_slow"):
            seen.rates[f"{name}_share"] = seen.others.get(name, 0) / max(seen.others.get("lookups", 0), 1)
    seen.position, seen.cost_ns, tried = (np.concatenate(column) for column in zip(*kept, strict=True))
    seen.tried_mean = float(tried.mean()) if len(tried) else 0.0


def _observe_piece(
    seen: Observations,
    replication: Replication,
    connections: Connections,
    outcomes: Outcomes,
    latencies: PacketLatencies,
) -> int:
    """Count some nodes' packets; the time they took their cores [ns]."""
    windows, verdict, arrival = replication.windows, outcomes.verdict, outcomes.arrival_ns
    begin = windows.starts_ns[connections.window]
    until = np.minimum(begin + windows.length_ns, replication.horizon_ns)
    recorded = (arrival >= begin[:, None]) & (arrival < until[:, None]) & (verdict != Verdict.UNSENT)
    latency = outcomes.finish_ns
    in_flight = recorded & (latency > replication.horizon_ns)
    latency -= arrival
    latencies.add(latency, recorded & (verdict != Verdict.REFUSED) & (verdict != Verdict.DROPPED), arrival)
    done = recorded & ~in_flight
    stale = done & (verdict == Verdict.STALE)
    here = Counts(
        packets=int(np.count_nonzero(recorded)),
        delivered=int(np.count_nonzero(done & (verdict == Verdict.DELIVERED))),
        refused=int(np.count_nonzero(done & (verdict == Verdict.REFUSED))),
        dropped=int(np.count_nonzero(done & (verdict == Verdict.DROPPED))),
        stale=int(np.count_nonzero(stale)),
        in_flight=int(np.count_nonzero(in_flight)),
        connections=int(np.count_nonzero(recorded[:, 0])),
        packets_simulated=recorded.size,
    )
    seen.counts = Counts.total((seen.counts, here))
    for event in seen.events:
        event.add(outcomes, stale)
    return int(np.einsum("ij,ij->", outcomes.cost_ns, recorded))


def _observe_lookups(
    seen: Observations,
    replication: Replication,
    connections: Connections,
    outcomes: Outcomes,
    rows: slice,
    measured: Batches,
) -> None:
    """Count the lookups in ``rows``, and what it takes from a name to the first packet's delivery."""
    if replication.lookups_ns is None:
        return
    lookups_ns, windows = replication.lookups_ns[rows], replication.windows
    absolute_ns = lookups_ns if replication.absolute_ns is None else replication.absolute_ns[rows]
    begin = windows.starts_ns[connections.window]
    arrival = connections.arrival_ns
    recorded = (arrival >= begin) & (arrival < np.minimum(begin + windows.length_ns, replication.horizon_ns))
    served = recorded & (outcomes.pod >= 0)
    whole_ns = lookups_ns + outcomes.latency_ns[:, 0]
    for name, chosen in (
        ("lookups", recorded),
        ("lookups_slow", recorded & (lookups_ns > to_ns(SLOW_LOOKUP_S))),
        ("lookups_absolute_slow", recorded & (absolute_ns > to_ns(SLOW_LOOKUP_S))),
    ):
        seen.others[name] = seen.others.get(name, 0) + int(chosen.sum())
    for name, values, chosen in (
        ("dns_latency", lookups_ns, recorded),
        ("dns_latency_absolute", absolute_ns, recorded & (replication.absolute_ns is not None)),
        ("connection_latency", whole_ns, served),
    ):
        seen.count(name, measured.split(values[chosen], arrival[chosen]))


def _place(replication: Replication) -> I64:
    """Return each service port's place in a list, for modes that have none."""
    place = np.empty(len(replication.order), np.int64)
    place[replication.order] = np.arange(len(replication.order))
    return place
