"""A result is all that an experiment found, frozen: reports, commands and notebooks look at nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from kpsim.experiment.answers.limits import Limit
from kpsim.measure.summary import Estimate, Summary
from kpsim.scenario.model import Scenario, Threshold
from kpsim.units import F64, I64


@dataclass(frozen=True, slots=True)
class Cdf:
    """A cumulative distribution: ``share[i]`` of the observations are at most ``value[i]``; both (n,) and rising."""

    value: F64
    share: F64


@dataclass(frozen=True, slots=True)
class PositionBin:
    """First packets whose Service stood at ``position`` rules from the top: how many, and their service time [s]."""

    position: float
    n: int
    mean_s: float
    p10_s: float
    p90_s: float


@dataclass(frozen=True, slots=True)
class SyncPoint:
    """One sync's cost at a size: from the model (``kind`` full or partial) at ``services`` Services of this mix."""

    kind: Literal["full", "partial"]
    services: int
    rules: int
    seconds: float
    low_s: float  # from the profile's intervals
    high_s: float
    extrapolated: bool


@dataclass(frozen=True, slots=True)
class LoadPoint:
    """One node's core under an offered load of new connections: connections served, and utilisation."""

    offered_per_s: float
    delivered_per_s: float
    utilisation: float
    first_packet_p99_s: float | None  # None where there is no steady state


@dataclass(frozen=True, slots=True)
class EventCourse:
    """An event's Pods by state over the time of one replication, in steps, (t,) each; and its errors."""

    time_s: F64
    old_ready: I64  # Pods that were there when it began
    new_ready: I64
    starting: I64
    terminating: I64
    errors_s: tuple[float, float] | None  # first and last packet to a Pod that was gone


@dataclass(frozen=True, slots=True)
class EventOutcome:
    """One event's effect on traffic under one mode; seconds count from the event."""

    event: str
    at_s: float
    replications: int
    with_errors: int  # replications
    connections: Estimate  # of a run: whose first packet went to a Pod that the event had ended or stopped
    packets: Estimate  # of a run
    sampled: bool  # packets are looked at on some nodes and in some stretches of time only
    first_s: float | None  # the error window at its widest
    last_s: float | None
    window_s: Estimate  # how long it was
    # longest from a Pod's end or failure in the API, or a write to a Service, to rules that know it on every node
    propagation_s: float | None
    exposed_s: float  # longest that rules of any node led to a Pod that was gone; 0 where Pods outlived that
    pending: int  # Pods that rules of some node still led to in the end, the most of any run
    course: EventCourse
    unusable_s: float | None = None  # longest that a node which joined had no rules
    unusable_for: str = ""  # what took most of that: lists, start-up, or the first sync ("sync")


@dataclass(frozen=True, slots=True)
class ChangeStage:
    """A stage of a change on its way to the rules, and how long after the change half and 99 % had it behind them."""

    name: str
    p50_s: float
    p99_s: float


@dataclass(frozen=True, slots=True)
class ControlLoad:
    """The control plane's writes and sent bytes over time, (t,) each, and its limits; ``None`` where nothing limits."""

    time_s: F64
    writes_per_s: F64  # of EndpointSlices and Services
    endpoints_writes_per_s: F64
    bytes_per_s: F64  # to all kube-proxies
    seats_writes_per_s: float | None  # writes on what all nodes watch, by the API server's seats
    client_writes_per_s: float  # of the EndpointSlice controller's client
    egress_bytes_per_s: float  # of all API servers


@dataclass(frozen=True, slots=True)
class Swing:
    """A coefficient's interval, everything else at its value, moves a measure's ``statistic`` from low to high [s]."""

    name: str
    source: str
    statistic: str
    value: float
    low: float
    high: float
    variance: float  # share of the measure's variance by prices, as if all were independent: Sobol's index of a sum


@dataclass(frozen=True, slots=True)
class ModeResult:
    """Everything found under one proxy mode."""

    mode: str
    summaries: Mapping[str, Summary]
    cdfs: Mapping[str, Cdf]
    counts: Mapping[str, Estimate]  # of a run: packets, delivered, refused, stale, in_flight, connections, syncs, …
    rates: Mapping[str, Estimate]  # named with unit last: api_writes_per_s, cpu_proxy_cores, …
    by_position: tuple[PositionBin, ...]
    position_fixed_s: (
        float  # the model's line through by_position: fixed + slope x position (slope 0 where nothing scans)
    )
    position_slope_s: float
    sync_curve: tuple[SyncPoint, ...]
    load_curve: tuple[LoadPoint, ...]
    capacity_per_s: float  # the model's knee of load_curve: new connections a second on one core at utilisation 1
    rules: int  # rules (or virtual servers) programmed on a node at the start
    extrapolations: tuple[str, ...]  # "rules_present: 4.0x beyond the largest measured point (140,000)"
    events: tuple[EventOutcome, ...] = ()  # in the scenario's order
    stages: tuple[ChangeStage, ...] = ()  # in order
    priced: Mapping[str, Mapping[str, Estimate]] = field(default_factory=dict)  # by the profile's intervals alone
    swings: Mapping[str, tuple[Swing, ...]] = field(default_factory=dict)  # by measure, the widest first
    # by kind of sync, what its time goes into (a price's name) and its share at today's size, the dearest first
    sync_parts: Mapping[str, tuple[tuple[str, float], ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Comparison:
    """``statistic`` of ``measure`` in ``mode`` less that in ``against``, paired by replication."""

    measure: str
    statistic: str
    mode: str
    against: str
    difference: Estimate
    ratio: Estimate
    prices: Estimate | None = None  # the ratio's interval by the profile's prices, if both have any

    @property
    def wider(self) -> tuple[float, float] | None:
        """Return the ratio's lowest and highest by either interval; ``None`` without an interval by sampling."""
        if self.ratio.low is None or self.ratio.high is None:
            return None
        if self.prices is None or self.prices.low is None or self.prices.high is None:
            return self.ratio.low, self.ratio.high
        return min(self.ratio.low, self.prices.low), max(self.ratio.high, self.prices.high)


@dataclass(frozen=True, slots=True)
class ThresholdVerdict:
    """An objective and the value found; ``passed`` is ``None`` where the run could not say.

    ``found`` has the interval by sampling, ``profile`` that by the intervals of the profile's prices, if it has any.
    """

    threshold: Threshold
    mode: str
    found: Estimate | None
    passed: bool | None
    profile: Estimate | None = None

    @property
    def ends(self) -> tuple[float, float] | None:
        """Return the value's lowest and highest by either interval: what the verdict is judged by."""
        each = [e for e in (self.found, self.profile) if e is not None]
        if self.found is None:
            return None
        low = min(e.value if e.low is None else e.low for e in each)
        return low, math.inf if self.found.at_least else max(e.value if e.high is None else e.high for e in each)

    @property
    def straddled_by(self) -> Literal["sample", "sampling", "profile", ""]:
        """Return the reason for an undecided verdict: too small a sample, its interval, or that of prices; else ""."""
        if self.passed is not None:
            return ""
        if self.found is None or self.found.at_least or self.found.low is None or self.found.high is None:
            return "profile" if self._holds_bound(self.profile) else "sample"
        return "sampling" if self._holds_bound(self.found) else "profile"

    def _holds_bound(self, each: Estimate | None) -> bool:
        ends = (each.low, each.high) if each is not None else (None, None)
        return ends[0] is not None and ends[1] is not None and ends[0] <= self.threshold.bound <= ends[1]

    @property
    def combined(self) -> Estimate | None:
        """Return the value with both intervals together, as independent errors are: by their squares."""
        if self.found is None or self.found.low is None or self.found.high is None:
            return self.profile
        if self.profile is None or self.profile.low is None or self.profile.high is None:
            return self.found
        value = self.found.value
        below, above = (
            math.hypot(value - each, value - other)
            for each, other in ((self.found.low, self.profile.low), (self.found.high, self.profile.high))
        )
        return Estimate(value, max(value - below, 0.0) if value >= 0 else value - below, value + above)


@dataclass(frozen=True, slots=True)
class Result:
    """One scenario, answered.

    >>> import kpsim
    >>> result = kpsim.load("scenarios/hello.yaml").run().found
    >>> result.passed, list(result.modes), result.services
    (True, ['iptables', 'ipvs'], 3)
    >>> latency = result.modes["iptables"].summaries["first_packet_latency"]
    >>> latency.quantiles["p50"].value < latency.quantiles["p99"].value
    True
    """

    scenario: Scenario
    modes: Mapping[str, ModeResult]  # in the scenario's order
    comparisons: tuple[Comparison, ...]
    limits: tuple[Limit, ...]
    verdicts: tuple[ThresholdVerdict, ...]
    services: int  # Services, service ports kube-proxy sees, endpoints, nodes in the cluster at the start
    service_ports: int
    endpoints: int
    nodes: int
    engine: str  # the engine that ran, and why it was picked
    engine_reason: str
    warnings: tuple[str, ...]
    assumptions: tuple[tuple[str, str], ...]  # ("A7", "what is assumed and which way it errs")
    provenance: Mapping[str, str]  # kpsim, python, numpy, … versions; profile; seed; scenario_sha256; command
    complete: bool = True
    control: ControlLoad | None = None
    runs: int = 1  # replications that were whole: what a summary's ``n`` is spread over

    @property
    def passed(self) -> bool | None:
        """Return True if every objective is met, False if one failed, and ``None`` if one is undecided instead."""
        each = {v.passed for v in self.verdicts}
        return False if False in each else None if None in each else True
