"""A measure's time falls into parts that are priced: packets by rules passed, changes by syncs and the control plane.

Prices from one source move together, those of different sources apart, so that their shares add up as squares.  A time
of which only a part is priced (a change waits for the next sync, for a token or a seat) moves in that part alone.
Nothing is simulated again: that a longer sync or packet makes others wait longer is left out, but where syncs follow
one another without a pause.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kpsim.cluster.columns import Cluster
from kpsim.dns.lookups import PAIR
from kpsim.experiment.answers.memory import counts_today
from kpsim.experiment.result import ChangeStage
from kpsim.measure.summary import Estimate
from kpsim.profiles.costs import Costs
from kpsim.profiles.defaults import load_defaults
from kpsim.profiles.format import Coefficient
from kpsim.proxy.contract import Mode, PacketState, Steps, SyncKind
from kpsim.scenario.model import Scenario
from kpsim.units import I64

PACKETS = ("first_packet_latency", "later_packet_latency")
PROGRAMMING = ("network_programming_true", "network_programming_reported")
LOOKUPS = ("dns_latency", "dns_latency_absolute", "connection_latency")
SYNCS = {SyncKind.FULL: "sync_duration_full", SyncKind.PARTIAL: "sync_duration_partial"}
TAIL = frozenset({"p90", "p99", "p99.9", "max"})
_ENDS = ("low", "high")
_OWN_STAGES = 2  # the wait for a sync, and the sync
Amounts = Mapping[str, int | float | I64]


@dataclass(frozen=True, slots=True)
class Spread:
    """A time is ``low`` to ``high`` times its value, as far as prices go."""

    low: float = 1.0
    high: float = 1.0

    def of(self, value: float, share: float = 1.0) -> Estimate:
        """Return a value of which ``share`` is priced, with its interval.

        >>> Spread(0.8, 1.5).of(10.0, share=0.5)
        Estimate(value=10.0, low=9.0, high=12.5, at_least=False)
        """
        return Estimate(value, value * (1 + share * (self.low - 1)), value * (1 + share * (self.high - 1)))


@dataclass(frozen=True, slots=True)
class Part:
    """A share of a time, with the work that it goes into; parts of different groups move apart."""

    share: float
    coefficients: Mapping[str, Coefficient]
    work: Amounts
    group: str = ""


@dataclass(frozen=True, slots=True)
class Ran:
    """The means of what ran in a mode's runs: syncs by kind (how many, and their mean [s]), and a change's stages."""

    syncs: Mapping[str, tuple[int, float]]
    stages: Sequence[ChangeStage]
    sync_changed: float  # rules of a Service that changes
    tried: float  # endpoint rules that a first packet meets


def spread_of(coefficients: Mapping[str, Coefficient], work: Amounts) -> Spread:
    """Return how far the price of ``work`` may lie from its value."""
    total, below, above = 0.0, defaultdict[str, float](float), defaultdict[str, float](float)
    for name, count in work.items():
        price, times = coefficients[name], float(np.max(count))
        total += times * price.value
        below[price.source] += times * (price.value - price.low)
        above[price.source] += times * (price.high - price.value)
    if total <= 0:
        return Spread()
    down, up = (sum(each**2 for each in side.values()) ** 0.5 / total for side in (below, above))
    return Spread(max(1 - down, 0.0), 1 + up)


def spread_over(parts: Sequence[Part]) -> Spread:
    """Return the spread of a time made of parts: those of a group move together, groups apart."""
    moved: dict[str, list[float]] = {}
    for part in parts:
        spread = spread_of(part.coefficients, part.work)
        down, up = moved.setdefault(part.group, [0.0, 0.0])
        moved[part.group] = [down + part.share * (1 - spread.low), up + part.share * (spread.high - 1)]
    down, up = (math.hypot(*(each[end] for each in moved.values())) for end in (0, 1))
    return Spread(max(1 - down, 0.0), 1 + up)


class Priced:
    """The parts of every measure of one mode."""

    def __init__(self, scenario: Scenario, cluster: Cluster, mode: Mode, costs: Costs, ran: Ran) -> None:
        self._scenario, self._ran, self._known = scenario, ran, costs.coefficients
        self._fixed, self._passed, self._later = _packets(mode, ran.tried)
        self._fixed_s = sum(count * self._known[name].value for name, count in self._fixed.items())
        counts = counts_today(cluster, mode, ran.sync_changed) if cluster.initial else None
        self._syncs = {
            name: mode.sync_work(kind, counts)
            for kind, name in SYNCS.items()
            if counts is not None and ran.syncs.get(name, (0, 0.0))[0]
        }
        n = sum(ran.syncs[name][0] for name in self._syncs)
        mean_s = sum(ran.syncs[name][0] * ran.syncs[name][1] for name in self._syncs) / max(n, 1)
        self._busy = mean_s > mode.runner(scenario.kubernetes_version).min_sync_s
        self._watchers = -(-scenario.cluster.nodes // scenario.api_server.replicas)

    def parts(self, measure: str, statistic: str, value_s: float) -> tuple[Part, ...]:
        """Return what ``value_s`` falls into; nothing where no part of the measure is priced."""
        if measure == "later_packet_latency":
            return (Part(1.0, self._known, self._later),)
        if measure == "first_packet_latency":
            share = min(self._fixed_s / value_s, 1.0) if self._passed else 1.0
            return Part(share, self._known, self._fixed), Part(1 - share, self._known, self._passed)
        if measure == "sync_duration" and self._syncs:
            return self._both_kinds()
        if measure in self._syncs:
            return (Part(1.0, self._known, self._syncs[measure]),)
        if measure in PROGRAMMING and self._ran.stages and self._syncs:
            return self._way(statistic)
        return self._lookup(value_s) if measure in LOOKUPS else ()

    def _both_kinds(self, share: float = 1.0) -> tuple[Part, ...]:
        took = {name: self._ran.syncs[name][0] * self._ran.syncs[name][1] for name in self._syncs}
        total = sum(took.values()) or 1.0
        return tuple(Part(share * took[name] / total, self._known, work) for name, work in self._syncs.items())

    def _way(self, statistic: str) -> tuple[Part, ...]:
        """Return a change's way: its stages' shares, with the wait for a sync where syncs have no pause."""
        ends = [stage.p99_s if statistic in TAIL else stage.p50_s for stage in self._ran.stages]
        if len(ends) <= _OWN_STAGES or ends[-1] <= 0:
            return self._both_kinds()
        before = ends[-3] if self._busy else ends[-2]
        syncs = self._both_kinds(min(max((ends[-1] - before) / ends[-1], 0.0), 1.0))
        known, parts = load_defaults().coefficients, []
        begins = [0.0, *ends[:-1]]
        for stage, begin, end in zip(self._ran.stages[:-_OWN_STAGES], begins, ends, strict=False):
            work = self._control_work(stage.name)
            if work and end > begin:
                parts.append(Part((end - begin) / ends[-1], known, work, "control plane"))
        return (*syncs, *parts)

    def _control_work(self, stage: str) -> Amounts:
        """Return the delays that a stage before the sync is made of; queues and rates that are set have none."""
        known: dict[str, Amounts] = {
            "kubelet and informer": {"pod.status_patch": 1, "api_server.watch": 1},
            "reconcile": {"endpointslice.sync": 1},
            "commit": {"api_server.write": 1},
            "watch": {"api_server.watch": 1, "api_server.watcher_event": self._watchers / 2},
        }
        return known.get(stage, {})

    def _lookup(self, value_s: float) -> tuple[Part, ...]:
        """Return a lookup: time-outs are set, and everything else is round trips and queries."""
        defaults, local = load_defaults(), self._scenario.dns.node_local
        trip, query = ("dns.node_round_trip", "dns.node_local_query") if local else ("dns.round_trip", "dns.query")
        attempts = defaults.value("dns.attempts") if self._scenario.dns.library == "musl" else 1.0
        timeout_s = defaults.value("dns.timeout") / attempts
        waited_s = timeout_s * (value_s // timeout_s)
        return (Part((value_s - waited_s) / value_s, defaults.coefficients, {trip: 1, query: PAIR}),)


def _packets(mode: Mode, tried: float) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    """Return the work of a first packet beside rules passed, of a rule that it passes, and of a later packet."""
    fixed, passed, later = (defaultdict[str, float](float) for _ in range(3))
    for stage in mode.stages(PacketState.FIRST):
        into = passed if stage.steps is Steps.DISPATCH else fixed
        for name, count in stage.work.items():
            into[name] += float(np.max(count)) * (tried if stage.steps is Steps.ENDPOINT else 1.0)
    for stage in mode.stages(PacketState.LATER):
        for name, count in stage.work.items():
            later[name] += float(np.max(count))
    return fixed, passed, later
