"""An experiment: the same question asked several times under different draws, and answered with intervals.

Replications are independent and may run in parallel; each simulates all modes on the same draws.  Results do not
depend on how many jobs there are, because draws are keyed by replication, and sums are taken in its order.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, as_completed
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from kpsim.cluster.columns import Cluster
from kpsim.experiment.answers.curves import bins_by_position, extrapolations, load_curve, position_line, sync_curve
from kpsim.experiment.answers.judge import compare, judge
from kpsim.experiment.answers.limits import limits_of
from kpsim.experiment.control import control_load, stages_of
from kpsim.experiment.events import outcome_of
from kpsim.experiment.guard import check_memory
from kpsim.experiment.observe import Observations, observe
from kpsim.experiment.result import Cdf, Limit, ModeResult, Result
from kpsim.experiment.workers import working
from kpsim.measure.intervals import estimate, summarise
from kpsim.measure.summary import MEASURES
from kpsim.measure.tally import Tally
from kpsim.profiles.assumptions import assumptions
from kpsim.profiles.costs import load_profile
from kpsim.proxy.registry import MODES
from kpsim.scenario.model import Scenario
from kpsim.scenario.reader import read
from kpsim.scenario.resolved import write_resolved
from kpsim.simulation import build_cluster, mode_of, prepare, run_mode
from kpsim.units import to_ns

Progress = Callable[[int, int], None]  # mode runs done, of how many
ONE_REPLICATION_BATCHES = 10  # stretches of time that stand in for replications when there is only one
REFERENCE_PACKETS = (
    20_000  # up to so many packets a mode run, and so few nodes and Services, a process a packet is quick
)
REFERENCE_NODES = 10
REFERENCE_SERVICES = 50
CDF_POINTS = 301
WORTH_SAYING = 0.005  # of connections or packets lost
TAIL_POINTS = 60  # beyond p99


def run(
    path: str | Path,
    overrides: Sequence[tuple[str, str]] = (),
    *,
    jobs: int = 1,
    progress: Progress | None = None,
    most_bytes: float | None = None,
) -> Result:
    """Read a scenario (or a dump of Kubernetes objects) and run it.

    Raises
    ------
    InputError
        with everything that is wrong in the file.
    GuardError
        if it would take more memory than ``most_bytes``.
    """
    return run_scenario(read(Path(path), overrides), jobs=jobs, progress=progress, most_bytes=most_bytes)


def run_scenario(
    scenario: Scenario,
    *,
    jobs: int = 1,
    progress: Progress | None = None,
    most_bytes: float | None = None,
    executor: Executor | None = None,
) -> Result:
    """Run every replication under every mode and sum up; ``executor`` overrides the local pool of ``jobs`` processes.

    Interrupted after at least one replication, it sums up what there is and says ``complete=False``.
    """
    check_memory(scenario, most_bytes)
    engine, reason = choose_engine(scenario)
    cluster, warnings = build_cluster(scenario)  # here too, so that a scenario that cannot be built fails at once
    done: dict[int, list[Observations]] = {}
    numbers = range(scenario.run.replications)
    total = len(numbers) * len(scenario.modes)
    tell = progress or (lambda _done, _total: None)
    try:
        if executor is None and (jobs <= 1 or len(numbers) == 1):
            for number in numbers:
                done[number] = _replicate(scenario, number, engine, cluster)
                tell((number + 1) * len(scenario.modes), total)
        else:
            _spread(scenario, engine, executor, jobs, done, lambda count: tell(count * len(scenario.modes), total))
    except KeyboardInterrupt:
        if not done:
            raise
    runs = {mode: [done[number][m] for number in sorted(done)] for m, mode in enumerate(scenario.modes)}
    result = _result(scenario, cluster, runs, engine, reason, warnings)
    return replace(result, complete=len(done) == len(numbers))


def _spread(
    scenario: Scenario,
    engine: str,
    executor: Executor | None,
    jobs: int,
    done: dict[int, list[Observations]],
    tell: Callable[[int], None],
) -> None:
    """Fill ``done`` through an executor, as replications come in."""
    tasks = {number: (scenario, number, engine) for number in range(scenario.run.replications)}
    with working(tasks, _replicate, jobs, executor) as futures:
        for future in as_completed(futures):
            done[futures[future]] = future.result()
            tell(len(done))


def _replicate(scenario: Scenario, number: int, engine: str, cluster: Cluster | None = None) -> list[Observations]:
    """One replication under all modes, in the scenario's order."""
    cluster = cluster or build_cluster(scenario)[0]
    batches = 1 if scenario.run.replications > 1 else ONE_REPLICATION_BATCHES
    replication = prepare(scenario, cluster, number)
    seen = []
    for mode in scenario.modes:
        found = run_mode(replication, mode, engine)
        seen.append(observe(replication, found, batches))
    return seen


def choose_engine(scenario: Scenario) -> tuple[str, str]:
    """Which engine runs, and why."""
    if scenario.run.engine != "auto":
        return scenario.run.engine, "as the scenario asks"
    traffic, run_params = scenario.traffic, scenario.run
    rate = traffic.connections_per_s_per_node * traffic.packets_per_connection * scenario.cluster.nodes
    packets = min(rate * run_params.duration_s, run_params.packets / run_params.replications)
    services = sum(g.count for g in scenario.groups) + len(scenario.objects.services)
    if packets <= REFERENCE_PACKETS and scenario.cluster.nodes <= REFERENCE_NODES and services <= REFERENCE_SERVICES:
        return "reference", "small enough for a process a packet"
    return "batch", f"{packets:,.0f} packets a run on {scenario.cluster.nodes:,} nodes are too many for a process each"


def _result(
    scenario: Scenario,
    cluster: Cluster,
    runs: Mapping[str, Sequence[Observations]],
    engine: str,
    reason: str,
    warnings: tuple[str, ...],
) -> Result:
    modes = {name: _mode_result(scenario, cluster, name, seen) for name, seen in runs.items()}
    known = np.arange(cluster.initial)
    proxied = cluster.services.proxied[: cluster.initial]
    limits = limits_of(scenario, cluster)
    return Result(
        scenario=scenario,
        modes=modes,
        comparisons=compare(runs),
        limits=limits,
        verdicts=judge(scenario.thresholds, modes),
        services=cluster.service_count,
        service_ports=int(cluster.services.ports[known][proxied].sum()),
        endpoints=cluster.endpoint_count,
        nodes=cluster.nodes,
        engine=engine,
        engine_reason=reason,
        warnings=(*warnings, *_lost(modes), *_saturated(limits), *_deprecations(scenario)),
        assumptions=assumptions(),
        provenance=_provenance(scenario),
        control=control_load(scenario, [each.control for each in next(iter(runs.values()))]),
    )


def _lost(modes: Mapping[str, ModeResult]) -> list[str]:
    """Connections that got no answer, where they are more than a few."""
    found = []
    for name, mode in modes.items():
        counts = mode.counts
        if counts["refused"] > WORTH_SAYING * counts["connections"]:
            found.append(f"{name}: {counts['refused']:,} of {counts['connections']:,} connections were refused")
        if counts["dropped"] > WORTH_SAYING * counts["connections"]:
            found.append(
                f"{name}: {counts['dropped']:,} of {counts['connections']:,} connections were dropped, because a Local "
                "policy left nobody on their node"
            )
        if counts["stale"] > WORTH_SAYING * counts["packets"]:
            found.append(f"{name}: {counts['stale']:,} of {counts['packets']:,} packets went to Pods that were gone")
    return found


def _saturated(limits: Sequence[Limit]) -> list[str]:
    """Queries that CoreDNS cannot answer: how long they wait then says more about the run than about the cluster."""
    return [
        f"CoreDNS is asked {each.used:,.0f} queries a second and can answer {each.limit:,.0f}: lookups wait longer and "
        "longer, and how long is shown depends on how long was looked at"
        for each in limits
        if each.name == "DNS queries" and each.share > 1
    ]


def _deprecations(scenario: Scenario) -> list[str]:
    """What whoever picks one of these modes must know about its future."""
    entries = [MODES[name] for name in scenario.modes]
    return [f"{e.name}: {e.note}" for e in entries if e.note and (e.deprecated or not e.usual)]


def _provenance(scenario: Scenario) -> dict[str, str]:
    """What another would need to get the same bytes."""
    text = write_resolved(scenario)
    packages = {name: version(name) for name in ("numpy", "simpy", "pandas")}
    return {
        "kpsim": version("kpsim"),
        "python": platform.python_version(),
        **packages,
        "platform": f"{platform.system()} {platform.machine()}",
        "profile": f"{scenario.profile.name} ({scenario.profile.set}, cache warmth {scenario.profile.cache_warmth:g})",
        "profile_about": load_profile(scenario.profile.name).about,
        "seed": str(scenario.run.seed),
        "scenario_sha256": hashlib.sha256(text.encode()).hexdigest(),
    }


def _mode_result(scenario: Scenario, cluster: Cluster, name: str, seen: Sequence[Observations]) -> ModeResult:
    mode, costs = mode_of(scenario, name)
    batches = {m: [t for s in seen for t in s.tallies[m]] for m in MEASURES}
    summaries = {m: summarise(m, MEASURES[m].unit, tallies) for m, tallies in batches.items()}
    cost_ns = np.concatenate([s.cost_ns for s in seen])
    tried = float(np.mean([s.tried_mean for s in seen]))
    fixed, slope = position_line(mode, costs, tried)
    changed = float(np.mean([s.sync_changed for s in seen]))
    traffic = scenario.traffic
    points, capacity = load_curve(
        mode, costs, cost_ns, traffic.packets_per_connection, to_ns(traffic.packet_interval_s), scenario.run.seed
    )
    partial = any(t.n for t in batches["sync_duration_partial"])
    has_partial = partial or mode.runner(scenario.kubernetes_version).full_s is not None
    return ModeResult(
        mode=name,
        summaries={m: s for m, s in summaries.items() if s},
        cdfs={m: cdf for m, tallies in batches.items() if (cdf := _cdf(tallies))},
        counts={key: sum(s.counts[key] for s in seen) for key in seen[0].counts},
        rates={key: estimate([s.rates[key] for s in seen], least=0.0) for key in seen[0].rates},
        by_position=bins_by_position(np.concatenate([s.position for s in seen]), cost_ns),
        position_fixed_s=fixed,
        position_slope_s=slope,
        sync_curve=sync_curve(cluster, mode, costs, changed, has_partial),
        load_curve=points,
        capacity_per_s=capacity,
        rules=seen[0].rules,
        extrapolations=extrapolations(cluster, mode, costs),
        stages=stages_of([s.stages for s in seen]),
        events=tuple(
            outcome_of([s.events[i] for s in seen], sampled=seen[0].sampled) for i in range(len(scenario.events))
        ),
    )


def _cdf(tallies: Sequence[Tally]) -> Cdf | None:
    pooled = Tally()
    for tally in tallies:
        pooled.merge(tally)
    if not pooled.n:
        return None
    tail = 1 - 0.01 * np.geomspace(1, min(max(100 / pooled.n, 0.001), 1.0), TAIL_POINTS)
    shares = np.unique(np.concatenate([np.linspace(0, 1, CDF_POINTS), tail]))
    return Cdf(pooled.curve(shares), shares)
