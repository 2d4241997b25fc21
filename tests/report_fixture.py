"""A made-up but plausible result: 10,000 Services under iptables and ipvs, for tests of reports only."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np

from kpsim.cluster.params import ChurnParams, ClusterParams, EndpointCount, ServiceGroup
from kpsim.experiment.answers.limits import Limit
from kpsim.experiment.result import (
    Cdf,
    Comparison,
    LoadPoint,
    ModeResult,
    PositionBin,
    Result,
    SyncPoint,
    ThresholdVerdict,
)
from kpsim.measure.summary import Estimate, Summary
from kpsim.proxy.params import ProxyParams
from kpsim.scenario.model import RunParams, Scenario, Threshold

__all__ = ["make_mode", "make_result"]

_FIXED = {"iptables": 18.2e-6, "ipvs": 17.6e-6, "nftables": 20.5e-6}
_SLOPE = {"iptables": 7.1e-9}
_SYNC = {"iptables": (0.09, 1.5e-4), "ipvs": (0.25, 4.4e-5), "nftables": (0.12, 2.2e-5)}
_CHANGE = {"iptables": 4.0, "ipvs": 2.6, "nftables": 1.4}


def _estimate(value: float, spread: float = 0.015) -> Estimate:
    return Estimate(value, value * (1 - spread), value * (1 + spread))


def _summary(measure: str, sample: np.ndarray, batches: int = 5) -> Summary:
    quantiles = {f"p{q:g}": _estimate(float(np.quantile(sample, q / 100))) for q in (50, 90, 99, 99.9)}
    return Summary(
        measure,
        "s",
        1_234_567,
        _estimate(float(sample.mean())),
        float(sample.min()),
        float(sample.max()),
        quantiles,
        batches,
    )


def _cdf(sample: np.ndarray) -> Cdf:
    share = np.concatenate([np.linspace(0.0025, 0.99, 360), np.linspace(0.991, 1.0, 40)])
    return Cdf(np.quantile(sample, share), share)


@cache
def make_mode(mode: str, services: int = 10_000, seed: int = 1) -> ModeResult:
    """Everything one mode would show at ``services`` Services."""
    rng = np.random.default_rng(seed)
    fixed, slope = _FIXED.get(mode, 19e-6), _SLOPE.get(mode, 0.0)
    position = rng.uniform(1, services, 40_000)
    service = (fixed + slope * position) * rng.lognormal(0, 0.04, position.size)
    first = service + rng.exponential(4e-6, position.size)
    change = _CHANGE.get(mode, 2.0) * rng.lognormal(0, 0.38, 40_000)
    base, each = _SYNC.get(mode, (0.1, 5e-5))
    samples = {
        "first_packet_latency": first,
        "later_packet_latency": rng.lognormal(np.log(3.1e-6), 0.3, 20_000),
        "network_programming_true": change,
        "network_programming_reported": np.floor(change + rng.uniform(0, 1.6, change.size)) + 0.05,
        "sync_duration_full": (base + each * services) * rng.lognormal(0, 0.06, 4_000),
        "sync_duration_partial": 0.05 * rng.lognormal(0, 0.2, 4_000),
    }
    return ModeResult(
        mode=mode,
        summaries={name: _summary(name, sample) for name, sample in samples.items()},
        cdfs={name: _cdf(sample) for name, sample in samples.items()},
        counts={
            name: Estimate(each, 0.99 * each, 1.01 * each)
            for name, each in (
                ("packets", 2_469_135.6),
                ("delivered", 2_468_000.2),
                ("refused", 240.8),
                ("stale", 894.6),
                ("in_flight", 0.0),
                ("syncs", 11_960.0),
            )
        },
        rates={
            "api_writes_per_s": _estimate(38.2),
            "api_bytes_per_s": _estimate(41.5e6),
            "cpu_packets": _estimate(0.021),
            "cpu_proxy": _estimate(0.34),
        },
        by_position=_bins(position, service, services),
        position_fixed_s=fixed,
        position_slope_s=slope,
        sync_curve=_syncs(mode, base, each),
        load_curve=_load(1.0 / float(service.mean() + 9 * 3e-6), float(service.mean())),
        capacity_per_s=1.0 / float(service.mean() + 9 * 3e-6),
        rules=int(services * (18.1 if mode == "iptables" else 1)),
        extrapolations=("rules_present: 1.3x beyond the largest measured point (140,000)",)
        if mode == "iptables"
        else (),
    )


def _bins(position: np.ndarray, service: np.ndarray, services: int) -> tuple[PositionBin, ...]:
    edges = np.linspace(0, services, 21)
    bins = []
    for low, high in pairwise(edges.tolist()):
        inside = service[(position > low) & (position <= high)]
        p10, p90 = np.quantile(inside, [0.1, 0.9])
        bins.append(PositionBin(float(low + high) / 2, inside.size, float(inside.mean()), float(p10), float(p90)))
    return tuple(bins)


def _syncs(mode: str, base: float, each: float) -> tuple[SyncPoint, ...]:
    points = []
    for services in (100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000):
        rules = int(services * (18.1 if mode == "iptables" else 1))
        full, partial = base + each * services, 0.03 + 2.4e-6 * services
        points.append(SyncPoint("full", services, rules, full, full * 0.85, full * 1.2, rules > 140_000))
        if mode != "ipvs":
            points.append(
                SyncPoint("partial", services, rules, partial, partial * 0.8, partial * 1.25, rules > 140_000)
            )
    return tuple(points)


def _load(capacity: float, service_s: float) -> tuple[LoadPoint, ...]:
    points = []
    for share in (0.1, 0.25, 0.4, 0.55, 0.7, 0.8, 0.9, 0.95, 1.0, 1.1, 1.3):
        p99 = service_s * (2 + 2.3 * share / (1 - share)) if share < 1 else None
        points.append(LoadPoint(capacity * share, capacity * min(share, 1.0), min(share, 1.0), p99))
    return tuple(points)


def _compare(modes: Sequence[ModeResult]) -> tuple[Comparison, ...]:
    against, comparisons = modes[0], []
    for found in modes[1:]:
        for measure, statistic in (
            ("first_packet_latency", "p50"),
            ("first_packet_latency", "p99"),
            ("network_programming_true", "p99"),
            ("sync_duration_full", "p50"),
        ):
            a, b = against.summaries[measure].quantiles[statistic], found.summaries[measure].quantiles[statistic]
            ratio, difference = b.value / a.value, b.value - a.value
            comparisons.append(
                Comparison(measure, statistic, found.mode, against.mode, _paired(difference), _estimate(ratio, 0.01))
            )
    return tuple(comparisons)


def _paired(difference: float) -> Estimate:
    return Estimate(difference, difference - 0.02 * abs(difference), difference + 0.02 * abs(difference))


def _judge(threshold: Threshold, found: ModeResult) -> ThresholdVerdict:
    value = found.summaries[threshold.measure].statistic(threshold.statistic)
    passed: bool | None = None
    if value is not None and value.low is not None and value.high is not None:
        passed = True if value.high < threshold.bound else False if value.low > threshold.bound else None
    return ThresholdVerdict(threshold, found.mode, value, passed)


_THRESHOLDS = (
    Threshold("network_programming_true", "p99", "<", 8.0, "p99 < 8s"),
    Threshold("first_packet_latency", "p99", "<", 1e-3, "p99 < 1ms"),
)
_LIMITS = (
    Limit("ClusterIPs", "hard", 9_950, 1_048_574, "addresses", "serviceClusterIPRange 10.96.0.0/12"),
    Limit("NodePorts", "hard", 1_890, 2_768, "ports", "serviceNodePortRange 30000-32767"),
    Limit("conntrack entries of a node", "hard", 60_000, 524_288, "entries", "nf_conntrack_max, 32,768 a core"),
    Limit("Services of a cluster", "soft", 10_000, 10_000, "Services", "SIG Scalability thresholds"),
    Limit("endpoints of a Service", "hard", 250, 1_000, "endpoints", "EndpointSlice and Endpoints truncation"),
)


def make_result(
    modes: Sequence[str] = ("iptables", "ipvs"),
    name: str = "10k-services",
    thresholds: Sequence[Threshold] = _THRESHOLDS,
    services: int = 10_000,
) -> Result:
    """A whole result for these modes."""
    found = {mode: make_mode(mode, services, seed) for seed, mode in enumerate(modes, 1)}
    scenario = Scenario(
        name=name,
        description="How far is a cluster of 10,000 Services from the cliff, and does ipvs move it?",
        cluster=ClusterParams(nodes=1000, zones=3, cores=16),
        groups=(ServiceGroup("small", 9150, EndpointCount(mean=5)), ServiceGroup("big", 60, EndpointCount(mean=250))),
        kube_proxy=ProxyParams(mode=modes[0] if modes else "iptables", min_sync_period_s=1.0, sync_period_s=30.0),
        modes=tuple(modes),
        churn=ChurnParams(pod_replacements_per_s=10),
        run=RunParams(duration_s=600, warmup_s=60, seed=42, replications=5),
        thresholds=tuple(thresholds),
    )
    return Result(
        scenario=scenario,
        modes=found,
        comparisons=_compare(list(found.values())) if len(found) > 1 else (),
        limits=_LIMITS,
        verdicts=tuple(_judge(t, mode) for t in thresholds for mode in found.values()),
        services=services,
        service_ports=services - 50,
        endpoints=83_850,
        nodes=1000,
        runs=5,
        engine="batch",
        engine_reason="12,345,678 packets are more than the 200,000 that one SimPy process each can take",
        warnings=("ipvs: deprecated from Kubernetes 1.35 on",) if "ipvs" in modes else (),
        assumptions=(
            ("A3", "Packets arrive evenly over a node's cores; real RSS is uneven, so tails are understated."),
            (
                "A7",
                "kube-proxy's own Go time is taken from published runs, not measured here; syncs may be 30 % longer.",
            ),
        ),
        provenance={
            "kpsim": "0.1.0",
            "python": "3.11.4",
            "numpy": "2.4.6",
            "profile": "measured-linux-6.18",
            "seed": "42",
            "scenario_sha256": "0f3b" * 16,
            "command": "kpsim run scenarios/10k-services.yaml --seed 42",
        },
    )
