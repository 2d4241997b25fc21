"""From the observations of all replications to one result: a summary a mode, comparisons, limits, provenance."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version

import numpy as np

from kpsim.cluster.columns import Cluster
from kpsim.experiment.answers.cautions import cautions
from kpsim.experiment.answers.curves import (
    bins_by_position,
    extrapolations,
    load_curve,
    position_line,
    sync_curve,
    sync_parts,
)
from kpsim.experiment.answers.judge import compare, judge
from kpsim.experiment.answers.limits import limits_of
from kpsim.experiment.answers.prices.cpu import cpu_by_prices
from kpsim.experiment.answers.prices.intervals import priced, swings
from kpsim.experiment.answers.prices.parts import SYNCS, Priced, Ran
from kpsim.experiment.observing.balance import loads_of
from kpsim.experiment.observing.control import control_load, stages_of
from kpsim.experiment.observing.events import outcome_of
from kpsim.experiment.observing.observations import Observations
from kpsim.experiment.result import Cdf, ModeResult, Result
from kpsim.measure.distribution import MOST_UNKNOWN, Distribution
from kpsim.measure.intervals import estimate, summarise
from kpsim.measure.summary import MEASURES, Estimate
from kpsim.measure.tally import Tally
from kpsim.profiles.costs import CostProfile, load_profile
from kpsim.profiles.shipped import assumptions
from kpsim.scenario.model import Scenario
from kpsim.scenario.resolved import write_resolved
from kpsim.simulation import cpu_costs_of, mode_of
from kpsim.units import to_ns

CDF_POINTS = 301
TAIL_POINTS = 60  # beyond p99


def assemble(
    scenario: Scenario,
    cluster: Cluster,
    runs: Mapping[str, Sequence[Observations]],
    engine: str,
    reason: str,
    warnings: tuple[str, ...],
) -> Result:
    """Return the result of all replications, (mode name -> one observation a replication) in ``runs``."""
    modes = {name: _mode_result(scenario, cluster, name, seen) for name, seen in runs.items()}
    known = np.arange(cluster.initial)
    proxied = cluster.services.proxied[: cluster.initial]
    limits = limits_of(scenario, cluster)
    return Result(
        scenario=scenario,
        modes=modes,
        comparisons=compare(runs, modes),
        limits=limits,
        verdicts=judge(scenario.thresholds, modes),
        services=cluster.service_count,
        service_ports=int(cluster.services.ports[known][proxied].sum()),
        endpoints=cluster.endpoint_count,
        nodes=cluster.nodes,
        engine=engine,
        engine_reason=reason,
        warnings=(*warnings, *cautions(scenario, modes, limits)),
        assumptions=assumptions(),
        provenance=_provenance(scenario),
        control=control_load(scenario, [each.control for each in next(iter(runs.values()))]),
        runs=len(next(iter(runs.values()))),
    )


def _provenance(scenario: Scenario) -> dict[str, str]:
    """Return versions, platform, profile, seed and hash: everything needed to get the same bytes again."""
    text, profile = write_resolved(scenario), load_profile(scenario.profile.name)
    packages = {name: version(name) for name in ("numpy", "simpy", "pandas")}
    return {
        "kpsim": version("kpsim"),
        "python": platform.python_version(),
        **packages,
        "platform": f"{platform.system()} {platform.machine()}",
        "profile": _profile_used(scenario),
        "profile_about": profile.about,
        **_machine(profile),
        "seed": str(scenario.run.seed),
        "scenario_sha256": hashlib.sha256(text.encode()).hexdigest(),
    }


def _machine(profile: CostProfile) -> dict[str, str]:
    """Return the machine that costs were measured on, or what they are told of and whose the rest are."""
    machine, base = profile.text.machine, profile.text.base
    if machine is None:
        return {}
    named = f"Linux {machine.kernel}, {machine.cpu}"
    return (
        {"profile_told_of": f"{named}; what no study tells is moved from {base}"}
        if base
        else {"profile_machine": named}
    )


def _profile_used(scenario: Scenario) -> str:
    chosen = scenario.profile
    scale = f", times {chosen.cpu_scale:g}" if chosen.cpu_scale != 1 else ""
    return f"{chosen.name} ({chosen.set}, cache warmth {chosen.cache_warmth:g}{scale})"


def _mode_result(scenario: Scenario, cluster: Cluster, name: str, seen: Sequence[Observations]) -> ModeResult:
    mode, costs = mode_of(scenario, name)
    batches = {m: [t for s in seen for t in s.tallies[m]] for m in MEASURES}
    summaries = {m: summarise(m, tallies) for m, tallies in batches.items()}
    cost_ns = np.concatenate([s.cost_ns for s in seen])
    tried = float(np.mean([s.tried_mean for s in seen]))
    tcp = [protocol == "TCP" for protocol in cluster.port_protocol] if scenario.traffic.handshakes else [False]
    fixed, slope = position_line(mode, costs, tried, float(np.mean(tcp)) if tcp else 0.0)
    changed = float(np.mean([s.sync_changed for s in seen]))
    traffic = scenario.traffic
    points, capacity = load_curve(
        mode, costs, cost_ns, traffic.packets_per_connection, to_ns(traffic.packet_interval_s), scenario.run.seed
    )
    partial = any(t.n for t in batches["sync_duration_partial"])
    has_partial = partial or mode.runner(scenario.kubernetes_version).full_s is not None
    rates = {key: estimate([s.rates[key] for s in seen], least=0.0) for key in seen[0].rates}
    known, stages = {m: s for m, s in summaries.items() if s}, stages_of([s.stages for s in seen])
    syncs = {name: (known[name].n, known[name].mean.value) for name in SYNCS.values() if name in known}
    parts = Priced(scenario, cluster, mode, costs, Ran(syncs, stages, changed, tried))
    return ModeResult(
        mode=name,
        summaries=known,
        cdfs={m: cdf for m, tallies in batches.items() if (cdf := _cdf(tallies))},
        counts=_counts_of_a_run(seen),
        rates=rates,
        by_position=bins_by_position(np.concatenate([s.position for s in seen]), cost_ns),
        position_fixed_s=fixed,
        position_slope_s=slope,
        sync_parts=sync_parts(cluster, mode, costs, changed, has_partial),
        sync_curve=sync_curve(cluster, mode, costs, changed, has_partial),
        load_curve=points,
        capacity_per_s=capacity,
        rules=seen[0].rules,
        extrapolations=extrapolations(cluster, mode, costs, changed),
        stages=stages,
        priced=priced(parts, known) | cpu_by_prices(cluster, mode, cpu_costs_of(scenario, mode), costs, rates, changed),
        swings=swings(parts, known),
        loads=loads_of([s.reached for s in seen if s.reached]),
        events=tuple(
            outcome_of([s.events[i] for s in seen], sampled=seen[0].sampled) for i in range(len(scenario.events))
        ),
    )


def _counts_of_a_run(seen: Sequence[Observations]) -> dict[str, Estimate]:
    """Return each count as a run has it, its mean with an interval: a sum over runs is nobody's number."""
    each = [asdict(s.counts) | s.others for s in seen]
    return {name: estimate([counts[name] for counts in each], least=0.0) for name in each[0]}


def _cdf(tallies: Sequence[Tally]) -> Cdf | None:
    """Return the curve of a measure; it ends at the last value that a run with unfinished changes can tell."""
    pooled = Tally.pooled(tallies)
    if not pooled.n:
        return None
    tail = 1 - 0.01 * np.geomspace(1, min(max(100 / pooled.n, 0.001), 1.0), TAIL_POINTS)
    shares = np.unique(np.concatenate([np.linspace(0, 1, CDF_POINTS), tail]))
    whole = Distribution.of(pooled)
    values = whole.at(shares)
    known = np.isfinite(values)
    known[known] = whole.unknown(values[known] * pooled.per_unit) <= MOST_UNKNOWN
    return Cdf(values[known], shares[known]) if known.any() else None
