"""Curves explain a run: the cost of a sync at other sizes of the same mix, and the load at which a core saturates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kpsim.cluster.columns import Cluster
from kpsim.datapath.prices import by_tcp
from kpsim.experiment.answers.memory import counts_today
from kpsim.experiment.result import LoadPoint, PositionBin, SyncPoint
from kpsim.profiles.costs import FACTOR_ONE, Costs
from kpsim.profiles.defaults import load_defaults
from kpsim.proxy.contract import Mode, PacketState, Stage, Steps, SyncCounts, SyncKind
from kpsim.queues import lindley
from kpsim.rng import stream
from kpsim.units import F64, I64

Parts = tuple[tuple[str, float], ...]  # what a sync's time goes into, and its share

BINS = 40
SIZES = 17  # up to today's cluster
SIZES_BEYOND = 5
BEYOND = 4.0  # the curve goes this many times past today's cluster
GUESSED = "beyond the largest measured point"
LOADS = (0.1, 0.25, 0.4, 0.55, 0.7, 0.8, 0.9, 0.95, 1.0, 1.1, 1.25, 1.5)
FEWEST_CONNECTIONS, MOST_CONNECTIONS = 2_000, 20_000  # for one point of the load curve
LIVES = 10  # and at least so many connection lifetimes long, so that most of it is neither start nor end


def sync_curve(cluster: Cluster, mode: Mode, costs: Costs, changed_own: float, partial: bool) -> tuple[SyncPoint, ...]:
    """Time of a sync with one change against size: this mix of Services, from one of them to four times today's."""
    today = counts_today(cluster, mode, changed_own)
    if not cluster.initial:
        return ()
    shares = np.concatenate([np.geomspace(1 / cluster.initial, 1, SIZES), np.geomspace(1, BEYOND, SIZES_BEYOND)])
    sizes = np.unique(np.rint(shares * cluster.initial).astype(np.int64))
    points = []
    for kind in (SyncKind.FULL, SyncKind.PARTIAL) if partial else (SyncKind.FULL,):
        for size in sizes.tolist():
            scaled = _scale(today, size / cluster.initial)
            work = mode.sync_work(kind, scaled)
            points.append(
                SyncPoint(
                    kind="full" if kind.whole else "partial",
                    services=size,
                    rules=int(mode.rules_present(scaled.dispatch, scaled.own)),
                    seconds=float(costs.seconds(work)),
                    low_s=float(costs.seconds(work, "low")),
                    high_s=float(costs.seconds(work, "high")),
                    extrapolated=any(costs.extrapolation(k, float(np.max(v))) for k, v in work.items()),
                )
            )
    return tuple(points)


def sync_parts(cluster: Cluster, mode: Mode, costs: Costs, changed_own: float, partial: bool) -> dict[str, Parts]:
    """Return the prices that a sync of today's cluster goes into, with their shares, the dearest first; by its kind."""
    if not cluster.initial:
        return {}
    today, found = counts_today(cluster, mode, changed_own), {}
    kinds = {"full": SyncKind.FULL} | ({"partial": SyncKind.PARTIAL} if partial else {})
    for kind, each in kinds.items():
        took = {name: float(costs.seconds({name: count})) for name, count in mode.sync_work(each, today).items()}
        total = sum(took.values()) or 1.0
        shares = [(name.replace("_", " "), seconds / total) for name, seconds in took.items() if seconds]
        found[kind] = tuple(sorted(shares, key=lambda part: -part[1]))
    return found


def _scale(counts: SyncCounts, share: float) -> SyncCounts:
    """Return the counts of a cluster with ``share`` of today's Services, of which as much changes as today."""
    sizes = ("service_ports", "endpoints", "dispatch", "own")
    scaled: dict[str, Any] = {name: round(int(getattr(counts, name)) * share) for name in sizes}
    few = int(counts.endpoints) * share <= load_defaults().value("kube_proxy.large_cluster_endpoints")
    return replace(counts, **scaled, cleanup=int(few))


def extrapolations(cluster: Cluster, mode: Mode, costs: Costs, changed_own: float = 0.0) -> tuple[str, ...]:
    """Return a sentence for each cost that today's cluster asks for beyond its largest measured point.

    ``changed_own`` are the rules of a Service that changes: a partial sync writes them.
    """
    counts = counts_today(cluster, mode, changed_own)
    asked: dict[str, float] = {}
    for kind in (SyncKind.FULL, SyncKind.PARTIAL):
        for name, count in mode.sync_work(kind, counts).items():
            asked[name] = max(asked.get(name, 0.0), float(np.max(count)))
    for stage in mode.stages(PacketState.FIRST):
        if stage.steps is Steps.DISPATCH:
            asked |= dict.fromkeys(stage.work, float(np.max(counts.dispatch)))
    found = []
    for name, wanted in sorted(asked.items()):
        times = costs.extrapolation(name, wanted)
        if times:
            most = costs.coefficients[name].measured_to or 0.0
            found.append(f"{name}: {times:.1f}x {GUESSED} ({most:,.0f})")
    return tuple(found)


def bins_by_position(position: I64, cost_ns: I64) -> tuple[PositionBin, ...]:
    """First packets' service times by how many rules stood before theirs."""
    if not len(position):
        return ()
    edges = np.unique(np.linspace(0, int(position.max()) + 1, BINS + 1).astype(np.int64))
    which = np.searchsorted(edges, position, side="right") - 1
    bins = []
    for b in np.unique(which).tolist():
        costs = np.sort(cost_ns[which == b])
        low, high = costs[int(0.1 * (len(costs) - 1))], costs[int(0.9 * (len(costs) - 1))]
        centre = float(position[which == b].mean())
        bins.append(PositionBin(centre, len(costs), float(costs.mean()) / 1e9, float(low) / 1e9, float(high) / 1e9))
    return tuple(bins)


def position_line(mode: Mode, costs: Costs, tried_mean: float, whole: float = 0.0) -> tuple[float, float]:
    """Return the model's mean first-packet cost as a line over position: intercept and slope [s, s a rule].

    ``whole`` is the share of service ports whose connections pay their handshake.
    """
    factor = float(costs.factors["packet_first"].mean()) / FACTOR_ONE
    fixed = slope = 0.0
    for stage in mode.stages(PacketState.FIRST):
        one, all_three = (float(costs.seconds(work)) for work in (stage.work, by_tcp(stage.work, costs)))
        seconds = (one + whole * (all_three - one)) * factor
        if stage.steps is Steps.DISPATCH:
            slope += seconds
        else:
            fixed += seconds * (tried_mean if stage.steps is Steps.ENDPOINT else 1.0)
    return fixed, slope


def load_curve(
    mode: Mode, costs: Costs, first_ns: I64, packets: int, interval_ns: int, seed: int
) -> tuple[tuple[LoadPoint, ...], float]:
    """Return one core's load points and knee; first packets cost ``first_ns`` as seen in the run.

    Returns the points and the knee: new connections a second at utilisation one.
    """
    if not len(first_ns):
        return (), 0.0
    later = mode.stages(PacketState.LATER)
    later_ns = sum(float(costs.ns(stage.work)) for stage in later) * float(costs.factors["packet_later"].mean())
    per_connection_s = (float(first_ns.mean()) + (packets - 1) * later_ns / FACTOR_ONE) / 1e9
    capacity = 1 / per_connection_s
    points = [_load_point(costs, later, first_ns, packets, interval_ns, load, capacity, seed) for load in LOADS]
    return tuple(points), capacity


def _load_point(
    costs: Costs,
    later: Sequence[Stage],
    first_ns: I64,
    packets: int,
    interval_ns: int,
    load: float,
    capacity: float,
    seed: int,
) -> LoadPoint:
    rng = stream(seed, "load-curve")  # the same arrivals for every load and mode, on a stretched clock
    life_s = interval_ns * (packets - 1) / 1e9
    n = int(np.clip(LIVES * life_s * load * capacity, FEWEST_CONNECTIONS, MOST_CONNECTIONS))
    # connections that live longer than this stretch of time allows send their packets closer together
    interval_ns = min(interval_ns, round(n / (load * capacity) / LIVES / max(packets - 1, 1) * 1e9))
    life_s = interval_ns * (packets - 1) / 1e9
    arrival = np.rint(np.cumsum(rng.exponential(1.0, n)) / (load * capacity) * 1e9).astype(np.int64)
    cost = np.empty((n, packets), np.int64)
    cost[:, 0] = first_ns[rng.integers(0, len(first_ns), n)]
    work_ns = sum(int(costs.ns(stage.work)) for stage in later)
    draws = rng.integers(0, 1 << 32, (n, packets - 1), dtype=np.uint32)
    cost[:, 1:] = (work_ns * costs.factor("packet_later", draws)) >> 10
    times = (arrival[:, None] + interval_ns * np.arange(packets)).ravel()
    order = np.argsort(times, kind="stable")
    start = lindley(times[order], cost.ravel()[order])
    finish = np.empty(n * packets, np.int64)
    finish[order] = start + cost.ravel()[order]
    until = int(arrival[-1])
    settled = min(until // 5 + round(life_s * 1e9), until // 2)
    last = finish.reshape(n, packets)[:, -1]
    done = (last > settled) & (last <= until)
    latency: F64 = (finish.reshape(n, packets)[:, 0] - arrival)[arrival > settled] / 1e9
    return LoadPoint(
        offered_per_s=load * capacity,
        delivered_per_s=float(done.sum()) / ((until - settled) / 1e9),
        utilisation=min(load, 1.0),
        first_packet_p99_s=float(np.sort(latency)[int(0.99 * (len(latency) - 1))]) if load < 1 else None,
    )
