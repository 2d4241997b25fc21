"""``GET /metrics`` of kube-proxy on one node is written as it would be at one moment of a run.

:mod:`proxier` is what the kube-proxy process of that moment has counted, :mod:`held` the rules it held,
:mod:`quantities` the numbers metrics are made of, :mod:`families` the metrics themselves, by the catalogue.
Left out: the metrics of Go, of the process and of its API client, and those of kube-proxy that the catalogue has no
quantity for.  Nothing here knows a
proxy mode.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from kpsim.cluster.columns import Cluster
from kpsim.errors import InputError, Place, Problem, did_you_mean
from kpsim.profiles.metrics import load_catalogue
from kpsim.proxy.sync.draws import SyncDraws
from kpsim.scenario.model import Scenario
from kpsim.scrape.families import Family, Sample, families_of, not_simulated
from kpsim.scrape.proxier import Proxier
from kpsim.simulation import build_cluster, prepare, run_mode
from kpsim.units import format_duration, to_ns

__all__ = ["Family", "Sample", "Scrape", "scrape"]


@dataclass(frozen=True, slots=True)
class Scrape:
    """The metrics of one node, and the names of those that kube-proxy has and kpsim does not simulate."""

    families: tuple[Family, ...]
    not_simulated: tuple[str, ...]
    warnings: tuple[str, ...]


def scrape(scenario: Scenario, node: str, at_s: float | None = None) -> Scrape:
    """Run one replication under the scenario's mode and read the metrics of ``node``; by default at the end.

    Raises
    ------
    InputError
        for a node that is not there, a moment outside the run, or a mode that has no such metrics.
    """
    mode = scenario.kube_proxy.mode
    catalogue = load_catalogue()
    if mode not in catalogue.modes:
        have = ", ".join(catalogue.modes)
        problem = Problem(Place(), key="--mode", what=f"kube-proxy has no metrics in mode {mode}", mend=f"{have} have")
        raise InputError([problem])
    at_ns = _moment(scenario, at_s)
    cluster, warnings = build_cluster(scenario)
    number = _number(cluster, node)
    # Packets change nothing that kube-proxy counts, so none is drawn; that there are some still costs syncs time.
    quiet = replace(scenario, traffic=replace(scenario.traffic, connections_per_s_per_node=0.0))
    replication = replace(prepare(quiet, cluster, 0), scenario=scenario)
    if mode in catalogue.both_families:
        replication.draws.setdefault(6, SyncDraws(scenario.run.seed, 0, cluster.nodes, 6))
    engine = "batch" if scenario.run.engine == "auto" else scenario.run.engine
    run = run_mode(replication, mode, engine)
    by_family = zip(replication.draws, run.proxiers, strict=True)
    proxiers = [Proxier(replication, run, proxier, family, number, at_ns) for family, proxier in by_family]
    version = scenario.kubernetes_version
    families = tuple(families_of(catalogue, mode, version, proxiers))
    return Scrape(families, not_simulated(catalogue, mode, version), warnings)


def _moment(scenario: Scenario, at_s: float | None) -> int:
    duration_s = scenario.run.duration_s
    if at_s is None:
        return to_ns(duration_s)
    if not 0 <= at_s <= duration_s:
        what = f"{format_duration(at_s)} is not within the run"
        mend = f"it lasts {format_duration(duration_s)}; --set run.duration=… makes it longer"
        raise InputError([Problem(Place(), key="--at", what=what, mend=mend)])
    return to_ns(at_s)


def _number(cluster: Cluster, node: str) -> int:
    """Return the row of the node called ``node``."""
    names = {cluster.node_name(number): number for number in range(cluster.nodes)}
    if node not in names:
        mend = did_you_mean(node, names, f"there are {', '.join(sorted(names)[:5])}")
        raise InputError([Problem(Place(), key="--node", what=f"there is no node {node}", mend=mend)])
    return names[node]
