"""The sync loop under Poisson deliveries against renewal theory: how often, how many at once, and how late.

Every node is a replication with deliveries of its own.  A comparison fails beyond four standard errors, and each has
twins that must fail: the formula with a plausible mistake, and the loop of another Kubernetes version.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import pytest

from kpsim import theory
from kpsim.cluster.changes import NEVER
from kpsim.cluster.columns import Cluster
from kpsim.cluster.grow import grow
from kpsim.cluster.params import ClusterParams, ServiceGroup
from kpsim.controlplane.deliveries import DeliveryLog, Fanout, Notice
from kpsim.modes.ipvs import Ipvs
from kpsim.profiles.costs import FACTOR_ONE, Costs
from kpsim.profiles.defaults import load_defaults
from kpsim.profiles.format import Coefficient
from kpsim.proxy.contract import RunnerSettings, SyncCounts, SyncKind, Work
from kpsim.proxy.params import FaultParams, ProxyParams
from kpsim.proxy.sync.draws import SyncDraws
from kpsim.proxy.sync.faults import Faults
from kpsim.proxy.sync.lanes import Arrivals, Lanes, run_lanes
from kpsim.proxy.sync.loop import ConntrackCleanup, SyncLoop
from kpsim.proxy.sync.pacing import Pacing
from kpsim.proxy.sync.table import SyncTable
from kpsim.proxy.sync.timeline import Timeline
from kpsim.units import F64, I64, to_ns

NODES = 48
ROWS = 2_500
OLD, NEW = (1, 33), (1, 34)

# changes a second, minSyncPeriod [s], duration of a sync [s]: rare, about one a cycle, many, no rest, hardly any sync
CASES = [(0.5, 1.0, 0.3), (1.0, 1.0, 0.3), (2.0, 1.0, 0.3), (2.0, 0.0, 0.7), (1.5, 1.0, 0.001)]


class Steady(Ipvs):
    """A mode whose syncs all take the same time."""

    def sync_work(self, kind: SyncKind, counts: SyncCounts) -> Work:  # noqa: ARG002 - the contract's arguments
        return {"sync": 1}


class Independent(Arrivals):
    """Deliveries that reach every node at times of its own."""

    def __init__(self, table: I64) -> None:
        rows, nodes = table.shape
        nothing = np.zeros(rows, np.int64)
        super().__init__(nothing, nothing, Fanout(np.arange(nodes), np.zeros(nodes, np.int64), nodes))
        self.table = np.vstack([table, np.full((1, nodes), NEVER)])

    def at(self, row: I64, node: I64) -> I64:
        times: I64 = self.table[np.minimum(row, self.rows), node]
        return times

    def count(self, time: I64, node: I64, *, inclusive: bool) -> I64:
        side: Literal["left", "right"] = "right" if inclusive else "left"
        pairs = zip(time.tolist(), node.tolist(), strict=True)
        return np.array([np.searchsorted(self.table[:-1, n], t, side) for t, n in pairs], np.int64)


@dataclass(frozen=True)
class Seen:
    """Means over the syncs and changes of each node, (nodes,) [s], and all the changes' latencies."""

    cycle: F64
    batch: F64
    latency: F64
    late: tuple[F64, ...]

    def share_within(self, bound_s: float) -> F64:
        """The share of each node's changes that were in force within ``bound_s``, (nodes,)."""
        return np.array([float((late <= bound_s + 2e-9).mean()) for late in self.late])


@cache
def cluster() -> Cluster:
    return grow(ClusterParams(nodes=NODES), (ServiceGroup("s", 1),), (), 0, seed=1)


@cache
def simulate(lam: float, rest_s: float, takes_s: float, version: tuple[int, int] = NEW) -> Seen:
    """Run the loop on every node for as long as deliveries last; the first tenth is not looked at."""
    gaps = np.random.default_rng(17).exponential(1 / lam, (ROWS, NODES))
    arrivals = Independent(np.rint(np.cumsum(gaps, axis=0) * 1e9).astype(np.int64))
    told = Notice(0, (0,), 1, 0, -1, (), creates=False)
    log = DeliveryLog()
    for _ in range(ROWS):
        log.add(told, sent_ns=0, spread_ns=0, size=1)
    mode = Steady(ProxyParams(mode="ipvs"))
    pacing = Pacing.of(RunnerSettings(rest_s, idle_s=1e6, full_s=None, cleanup_s=30.0), version)
    costs = Costs(
        "ipvs", {"sync": Coefficient("sync", "s", takes_s, takes_s, takes_s, "")}, {"sync": np.full(4096, FACTOR_ONE)}
    )
    horizon = int(arrivals.table[:-1].min(axis=1)[-1])  # while every node still has deliveries to come
    timeline = Timeline(cluster(), log, mode, np.arange(1))
    draws, cleanup = SyncDraws(1, 0, NODES), ConntrackCleanup(0, version)
    faults = Faults.draw(FaultParams(), pacing, load_defaults(), (1, 0), NODES, horizon)
    loop = SyncLoop(mode, costs, pacing, draws, faults, cleanup, 1000, horizon)
    (trace,) = run_lanes([Lanes(loop, timeline, arrivals, arrivals)], share_lock=False)
    return _means(trace, arrivals, horizon, to_ns(takes_s))


def _means(trace: SyncTable, arrivals: Independent, horizon: int, takes_ns: int) -> Seen:
    cycle, batch, latency = (np.empty(NODES) for _ in range(3))
    lates = []
    for n in range(NODES):
        ran = trace.ran[:, n]
        start, end, absorbed = trace.start[ran, n], trace.end[ran, n], trace.absorbed[ran, n]
        assert (end - start == takes_ns).all()
        first = int(np.searchsorted(start, horizon // 10))
        cycle[n] = (start[-1] - start[first]) / (len(start) - 1 - first) / 1e9
        batch[n] = (absorbed[-1] - absorbed[first]) / (len(start) - 1 - first)
        row = np.arange(absorbed[first], absorbed[-1])
        late = np.repeat(end, np.diff(absorbed, prepend=0))[row] - arrivals.at(row, np.full(len(row), n))
        lates.append(late / 1e9)
        latency[n] = lates[-1].mean()
    return Seen(cycle, batch, latency, tuple(lates))


def agrees(replications: F64, expected: float) -> bool:
    """Whether ``expected`` is within four standard errors of the mean over nodes."""
    assert replications.shape == (NODES,)
    error = float(replications.std(ddof=1)) / math.sqrt(NODES)
    return abs(float(replications.mean()) - expected) <= 4 * error + 2e-9  # times are whole nanoseconds


@pytest.mark.parametrize(("lam", "rest_s", "takes_s"), CASES)
def test_syncs_are_as_far_apart_as_renewals(lam: float, rest_s: float, takes_s: float) -> None:
    cycle = simulate(lam, rest_s, takes_s).cycle
    assert agrees(cycle, theory.runner_mean_cycle(lam, rest_s, takes_s))
    assert not agrees(cycle, rest_s + takes_s + 1 / lam)  # as if nothing could arrive while it is busy
    if rest_s and takes_s > 0.1:
        assert not agrees(cycle, theory.runner_mean_cycle(lam, rest_s, 0.0))  # rest counted from the start of a sync


@pytest.mark.parametrize(("lam", "rest_s", "takes_s"), CASES)
def test_a_sync_takes_as_many_changes_along_as_it_should(lam: float, rest_s: float, takes_s: float) -> None:
    batch = simulate(lam, rest_s, takes_s).batch
    assert agrees(batch, theory.runner_mean_batch(lam, rest_s, takes_s))
    assert not agrees(batch, 1 + lam * (rest_s + takes_s))  # every cycle with an idle change of its own


@pytest.mark.parametrize(("lam", "rest_s", "takes_s"), CASES)
def test_changes_are_in_force_after_the_mean_latency(lam: float, rest_s: float, takes_s: float) -> None:
    latency = simulate(lam, rest_s, takes_s).latency
    assert agrees(latency, theory.runner_mean_latency(lam, rest_s, takes_s))
    assert not agrees(latency, takes_s + (rest_s + takes_s) / 2)  # as under changes that never cease
    assert not agrees(latency, takes_s + lam * (rest_s + takes_s) ** 2 / 2)  # no renewal reward: a wait per cycle


@pytest.mark.parametrize(("lam", "rest_s", "takes_s"), CASES)
@pytest.mark.parametrize("share", [0.6, 0.9])
def test_the_share_of_changes_within_a_quantile(lam: float, rest_s: float, takes_s: float, share: float) -> None:
    seen = simulate(lam, rest_s, takes_s)
    assert agrees(seen.share_within(theory.runner_latency_quantile(lam, rest_s, takes_s, share)), share)
    uniform = takes_s + share * (rest_s + takes_s)  # as if nobody found the loop idle
    assert not agrees(seen.share_within(uniform), share)


@pytest.mark.parametrize(("lam", "rest_s", "takes_s"), [case for case in CASES if case[1]])
def test_the_runner_of_older_releases_is_another_one(lam: float, rest_s: float, takes_s: float) -> None:
    old = simulate(lam, rest_s, takes_s, OLD)
    assert not agrees(old.cycle, theory.runner_mean_cycle(lam, rest_s, takes_s))
    assert not agrees(old.latency, theory.runner_mean_latency(lam, rest_s, takes_s))
    assert float(old.latency.mean()) < theory.runner_mean_latency(lam, rest_s, takes_s)  # its bucket lets two through


def test_without_rest_both_runners_are_the_same() -> None:
    old, new = simulate(2.0, 0.0, 0.7, OLD), simulate(2.0, 0.0, 0.7)
    assert (old.cycle == new.cycle).all()
    assert (old.latency == new.latency).all()
