"""A run begins with its cluster, its modes and their costs, which answers without a run begin with too.

No engine is imported here: what is only looked at is answered sooner.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kpsim.cluster.columns import Cluster
from kpsim.cluster.grow import grow
from kpsim.collector import resting
from kpsim.kube.objects import EndpointSlice
from kpsim.kube.resolve import node_zones, resolve
from kpsim.profiles.costs import CostProfile, Costs, load_profile
from kpsim.profiles.kernels import kernel_warning
from kpsim.proxy.byversion import TERMINATING_SERVE_SINCE, always_fails, as_programmed
from kpsim.proxy.contract import Mode
from kpsim.proxy.params import FaultParams
from kpsim.proxy.registry import create
from kpsim.scenario.model import Scenario

# up to so many packets a mode run, and so few nodes and Services, a process a packet is quick
REFERENCE_PACKETS = 20_000
REFERENCE_NODES = 10
REFERENCE_SERVICES = 50
KEPT_PACKETS = 2_000_000  # so many are drawn once for all modes; more are drawn anew for each, some nodes at a time
PACKETS_AT_ONCE = 100_000  # nodes are served in blocks of about so many packets, to bound memory


@resting()
def build_cluster(scenario: Scenario) -> tuple[Cluster, tuple[str, ...]]:
    """Return (the scenario's cluster, warnings)."""
    params = scenario.cluster
    resolved, warnings = resolve(
        scenario.objects,
        params.service_cluster_ip_range,
        params.service_node_port_range,
        params.nodes,
        families=params.ip_families,
        version=scenario.kubernetes_version,
    )
    version = scenario.kubernetes_version
    resolved = tuple(replace(one, service=as_programmed(one.service, version)) for one in resolved)
    created = round(scenario.churn.services_created_per_s * scenario.run.duration_s)
    cluster = grow(params, scenario.groups, resolved, created, scenario.run.seed)
    names = {*cluster.node_names, *(node.name for node in scenario.objects.nodes)}
    cluster = replace(cluster, node_names=sorted(names))
    slices: dict[str, list[EndpointSlice]] = {}
    for piece in scenario.objects.slices:
        slices.setdefault(f"{piece.namespace}/{piece.service}", []).append(piece)
    addresses = {node.name: node.addresses for node in scenario.objects.nodes if node.addresses}
    cluster = replace(cluster, node_zone=node_zones(scenario.objects), node_addresses=addresses, slices=slices)
    cluster = replace(cluster, terminating_serve=version >= TERMINATING_SERVE_SINCE)
    if not cluster.services.proxied[: cluster.initial].any():
        family = cluster.addresses.family
        none = f"no Service with an {family} ClusterIP was read, so there is nothing to simulate for kube-proxy"
        warnings = (*warnings, none)
    return cluster, (*scenario.warnings, *warnings, *cluster.warnings, *_other_kernels(scenario))


def _other_kernels(scenario: Scenario) -> Iterator[str]:
    """Yield a warning where the nodes read run another kernel than the profile was measured on."""
    profile, modes = load_profile(scenario.profile.name), {scenario.kube_proxy.mode, *scenario.modes}
    said = kernel_warning(profile.name, profile.text.machine, (n.kernel for n in scenario.objects.nodes), modes)
    if said:
        yield said


def profile_of(scenario: Scenario) -> CostProfile:
    """Return the cost profile of a scenario, on a machine as fast as the scenario says."""
    return load_profile(scenario.profile.name).scaled(scenario.profile.cpu_scale)


def mode_of(scenario: Scenario, name: str) -> tuple[Mode, Costs]:
    """Return a mode by name, configured and priced as the scenario says."""
    params = replace(scenario.kube_proxy.for_mode(name), kubernetes_version=scenario.kubernetes_version)
    mode = create(params, scenario.cluster.iptables_backend)
    profile = profile_of(scenario)
    return mode, profile.costs(mode.family, scenario.profile.set, scenario.profile.cache_warmth)


def faults_of(scenario: Scenario, mode: Mode) -> FaultParams:
    """Return what goes wrong in a mode: what the scenario says, and what this release of the mode never does right."""
    if always_fails(scenario.kube_proxy.settings, mode.name, scenario.kubernetes_version):
        return replace(scenario.faults, failed_syncs=1.0)
    return scenario.faults


def cpu_costs_of(scenario: Scenario, mode: Mode) -> Costs | None:
    """Return what syncs take of a processor, ``None`` where the profile has only wall time: then it is taken as CPU."""
    return profile_of(scenario).cpu_costs(mode.family, scenario.profile.set)


def choose_engine(scenario: Scenario) -> tuple[str, str]:
    """Return the engine's name ("reference" or "batch") and the reason for it."""
    if scenario.run.engine != "auto":
        return scenario.run.engine, "as the scenario asks"
    traffic, run_params = scenario.traffic, scenario.run
    rate = traffic.connections_per_s_per_node * traffic.packets_per_connection * scenario.cluster.nodes
    packets = min(rate * run_params.duration_s, run_params.packets / run_params.replications)
    services = sum(g.count for g in scenario.groups) + len(scenario.objects.services)
    if packets <= REFERENCE_PACKETS and scenario.cluster.nodes <= REFERENCE_NODES and services <= REFERENCE_SERVICES:
        return "reference", "small enough for a process a packet"
    return "batch", f"{packets:,.0f} packets a run on {scenario.cluster.nodes:,} nodes are too many for a process each"
