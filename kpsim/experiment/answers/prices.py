"""Prices have intervals, and a measure inherits them: from a profile's coefficients to the number a reader sees.

A packet or a sync is work, priced coefficient by coefficient.  Prices from one source move together, those of different
sources apart, so that their shares add up as squares.  A time of which only a part is priced (a change waits for
controllers, for the watch and for the next sync) moves in that part alone.  Nothing is simulated again: that a longer
sync or packet makes others wait longer is left out, but where syncs follow one another without a pause.
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
from kpsim.experiment.result import Stage
from kpsim.measure.summary import Estimate, Summary
from kpsim.profiles.costs import Costs
from kpsim.profiles.defaults import load_defaults
from kpsim.profiles.format import Coefficient
from kpsim.proxy.contract import Mode, PacketState, Steps, SyncKind, Work
from kpsim.scenario.model import Scenario

PACKET = {"first_packet_latency", "later_packet_latency"}
PROGRAMMING = ("network_programming_true", "network_programming_reported")
LOOKUPS = ("dns_latency", "dns_latency_absolute", "connection_latency")
_ENDS = ("low", "high")
TAIL = frozenset({"p90", "p99", "p99.9", "max"})


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


def spread_of(coefficients: Mapping[str, Coefficient], work: Work) -> Spread:
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


def priced(
    scenario: Scenario,
    cluster: Cluster,
    mode: Mode,
    costs: Costs,
    summaries: Mapping[str, Summary],
    stages: Sequence[Stage],
    sync_changed: float,
    tried: float,
) -> dict[str, dict[str, Estimate]]:
    """Return every statistic of every priced measure with the interval that the profile's prices give it."""
    syncs = _syncs(cluster, mode, costs, summaries, sync_changed)
    packets = _Packets(mode, costs, tried)
    busy = _without_pause(scenario, mode, summaries)
    found: dict[str, dict[str, Estimate]] = {}
    for name, summary in summaries.items():
        for statistic, value in _statistics(summary).items():
            each: Estimate | None = None
            if name in PACKET:
                each = packets.of(name, value)
            elif name in syncs:
                each = syncs[name].of(value)
            elif name in PROGRAMMING and stages and "sync_duration" in syncs:
                each = syncs["sync_duration"].of(value, _share_of_syncs(stages, statistic, busy=busy))
            elif name in LOOKUPS:
                each = _of_lookup(scenario, value)
            if each is not None:
                found.setdefault(name, {})[statistic] = each
    return found


def ratio_by_prices(one: Estimate | None, other: Estimate | None) -> Estimate | None:
    """Return the ratio of two priced values with its interval, as if their prices had nothing in common."""
    if one is None or other is None or not min(one.low or 0.0, other.low or 0.0) > 0:
        return None
    down, up = (
        math.hypot(math.log(ends(one) / one.value), math.log(others(other) / other.value))
        for ends, others in ((_low, _high), (_high, _low))
    )
    ratio = one.value / other.value
    return Estimate(ratio, ratio * math.exp(-down), ratio * math.exp(up))


def _low(found: Estimate) -> float:
    return found.value if found.low is None else found.low


def _high(found: Estimate) -> float:
    return found.value if found.high is None else found.high


def _statistics(summary: Summary) -> dict[str, float]:
    values = {"mean": summary.mean, **summary.quantiles}
    known = {name: each.value for name, each in values.items()}
    return {name: value for name, value in (known | {"min": summary.min, "max": summary.max}).items() if value > 0}


class _Packets:
    """Packets' prices: a fixed part, and for a first packet another for each rule that it passes."""

    def __init__(self, mode: Mode, costs: Costs, tried: float) -> None:
        fixed: dict[str, float] = defaultdict(float)
        passed: dict[str, float] = defaultdict(float)
        for stage in mode.stages(PacketState.FIRST):
            into = passed if stage.steps is Steps.DISPATCH else fixed
            for name, count in stage.work.items():
                into[name] += float(np.max(count)) * (tried if stage.steps is Steps.ENDPOINT else 1.0)
        later: dict[str, float] = defaultdict(float)
        for stage in mode.stages(PacketState.LATER):
            for name, count in stage.work.items():
                later[name] += float(np.max(count))
        known = costs.coefficients
        self._fixed_s = sum(count * known[name].value for name, count in fixed.items())
        self._fixed, self._passed, self._later = (spread_of(known, _whole(w)) for w in (fixed, passed, later))
        self._scans = bool(passed)

    def of(self, name: str, value_s: float) -> Estimate:
        """Return a latency: beyond the fixed part it is rules that were passed, and waits for others' packets."""
        if name == "later_packet_latency":
            return self._later.of(value_s)
        share = min(self._fixed_s / value_s, 1.0) if self._scans else 1.0
        low, high = (share * getattr(self._fixed, end) + (1 - share) * getattr(self._passed, end) for end in _ENDS)
        return Estimate(value_s, low * value_s, high * value_s)


def _whole(work: Mapping[str, float]) -> Work:
    """Return work as its price is asked for: in millionths, because counts are whole."""
    return {name: round(1e6 * count) for name, count in work.items()}


def _syncs(
    cluster: Cluster, mode: Mode, costs: Costs, summaries: Mapping[str, Summary], changed: float
) -> dict[str, Spread]:
    """Return the spread of each kind of sync that ran, and of all of them by the time they took."""
    names = {SyncKind.FULL: "sync_duration_full", SyncKind.PARTIAL: "sync_duration_partial"}
    if not cluster.initial:
        return {}
    counts = counts_today(cluster, mode, changed)
    found, took = {}, {}
    for kind, name in names.items():
        if name in summaries and summaries[name].n:
            found[name] = spread_of(costs.coefficients, mode.sync_work(kind, counts))
            took[name] = summaries[name].n * summaries[name].mean.value
    total = sum(took.values())
    if total > 0:
        low, high = (sum(took[n] * getattr(found[n], end) for n in took) / total for end in _ENDS)
        found["sync_duration"] = Spread(low, high)
    return found


def _without_pause(scenario: Scenario, mode: Mode, summaries: Mapping[str, Summary]) -> bool:
    """Return True if syncs take longer than the pause between them: what waits for one then waits for its length."""
    sync = summaries.get("sync_duration")
    return sync is not None and sync.mean.value > mode.runner(scenario.kubernetes_version).min_sync_s


def _share_of_syncs(stages: Sequence[Stage], statistic: str, *, busy: bool) -> float:
    """Return the share of a change's way that syncs are; with the wait for one where they have no pause."""
    ends = [stage.p99_s if statistic in TAIL else stage.p50_s for stage in stages]
    if len(ends) < 3 or ends[-1] <= 0:
        return 1.0
    before = ends[-3] if busy else ends[-2]
    return min(max((ends[-1] - before) / ends[-1], 0.0), 1.0)


def _of_lookup(scenario: Scenario, value_s: float) -> Estimate:
    """Return a lookup: time-outs are set, and everything else is round trips and queries."""
    defaults = load_defaults()
    local = scenario.dns.node_local
    trip, query = ("dns.node_round_trip", "dns.node_local_query") if local else ("dns.round_trip", "dns.query")
    attempts = defaults.value("dns.attempts") if scenario.dns.library == "musl" else 1.0
    timeout_s = defaults.value("dns.timeout") / attempts
    waited_s = timeout_s * (value_s // timeout_s)
    spread = spread_of(defaults.coefficients, {trip: 1, query: PAIR})
    return spread.of(value_s, (value_s - waited_s) / value_s)
