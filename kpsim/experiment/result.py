"""A result is all that an experiment found, frozen: reports, commands and notebooks look at nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

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
    connections: int  # whose first packet went to a Pod that the event had ended or stopped; in all replications
    packets: int
    sampled: bool  # packets are looked at on some nodes and in some stretches of time only
    first_s: float | None  # the error window at its widest
    last_s: float | None
    window_s: Estimate  # how long it was
    # longest from a Pod's end or failure in the API, or a write to a Service, to rules that know it on every node
    propagation_s: float | None
    exposed_s: float  # longest that rules of any node led to a Pod that was gone; 0 where Pods outlived that
    pending: int  # Pods that rules of some node still led to in the end
    course: EventCourse
    unusable_s: float | None = None  # longest that a node which joined had no rules
    unusable_for: str = ""  # what took most of that: lists, start-up, or the first sync ("sync")


@dataclass(frozen=True, slots=True)
class Stage:
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
class ModeResult:
    """Everything found under one proxy mode."""

    mode: str
    summaries: Mapping[str, Summary]
    cdfs: Mapping[str, Cdf]
    counts: Mapping[str, int]  # packets, delivered, refused, stale, in_flight, connections, syncs, deliveries, …
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
    stages: tuple[Stage, ...] = ()  # in order


@dataclass(frozen=True, slots=True)
class Comparison:
    """``statistic`` of ``measure`` in ``mode`` less that in ``against``, paired by replication."""

    measure: str
    statistic: str
    mode: str
    against: str
    difference: Estimate
    ratio: Estimate


@dataclass(frozen=True, slots=True)
class Limit:
    """A hard or soft limit, the used part of it, and its source."""

    name: str
    kind: Literal["hard", "soft"]
    used: float
    limit: float
    unit: str
    source: str

    @property
    def share(self) -> float:
        """Used over limit; above 1 the limit is broken."""
        return self.used / self.limit if self.limit else float("inf")


@dataclass(frozen=True, slots=True)
class ThresholdVerdict:
    """An objective and the value found; ``passed`` is ``None`` where the run could not say."""

    threshold: Threshold
    mode: str
    found: Estimate | None
    passed: bool | None


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

    @property
    def passed(self) -> bool:
        """Return True if no objective failed."""
        return all(v.passed is not False for v in self.verdicts)
