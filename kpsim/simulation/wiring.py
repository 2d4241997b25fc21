"""The parts that both engines are wired from, and the run they return."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from kpsim.clock import Clock
from kpsim.cluster.columns import Cluster
from kpsim.controlplane.control import ControlPlane
from kpsim.controlplane.deliveries import DeliveryLog
from kpsim.datapath.flows import UdpFlows
from kpsim.datapath.outcomes import Outcomes
from kpsim.datapath.prices import PacketPrices
from kpsim.ingress.outcomes import IngressRun
from kpsim.profiles.costs import Costs
from kpsim.profiles.defaults import load_defaults
from kpsim.proxy.contract import Mode
from kpsim.proxy.sync.faults import Faults
from kpsim.proxy.sync.inforce import InForce
from kpsim.proxy.sync.lanes import Arrivals
from kpsim.proxy.sync.loop import AFTER_RULES, ConntrackCleanup, SyncLoop
from kpsim.proxy.sync.pacing import Pacing
from kpsim.proxy.sync.table import SyncTable
from kpsim.proxy.sync.timeline import Timeline
from kpsim.simulation.draws import Replication
from kpsim.simulation.setting import cpu_costs_of, faults_of
from kpsim.simulation.unfinished import Unwritten
from kpsim.traffic.connections import Connections
from kpsim.units import Bools, to_ns


@dataclass(frozen=True, slots=True)
class ProxierRun:
    """The sync loops of one IP family on all nodes: their deliveries, their syncs, their rules in force.

    ``unwritten`` are the changes that they were not sent before the run was over.
    """

    log: DeliveryLog
    timeline: Timeline
    arrivals: Arrivals
    syncs: SyncTable
    in_force: InForce
    unwritten: Unwritten


@dataclass(frozen=True, slots=True)
class ModeRun:
    """One replication under one mode; ``proxiers`` are IPv4's and, in a dual-stack cluster, IPv6's."""

    mode: Mode
    costs: Costs
    sent: DeliveryLog  # to the proxiers of any family
    stale_retries: int
    proxiers: tuple[ProxierRun, ...]
    prices: PacketPrices
    pieces: Callable[[], Iterator[tuple[Connections, Outcomes]]]  # packets, served when asked for, some nodes at a time
    ingress: IngressRun | None = None  # what a controller before the Services did, where there is one

    @property
    def outcomes(self) -> Outcomes:
        """Return all packets at once; a large run is better read piece by piece."""
        pieces = [outcomes for _, outcomes in self.pieces()]
        return Outcomes(*(np.concatenate([getattr(p, n) for p in pieces]) for n in Outcomes.__dataclass_fields__))


def control_plane(replication: Replication, clock: Clock) -> ControlPlane:
    """Return the control plane of one replication, its processes started on ``clock``."""
    scenario = replication.scenario
    control = ControlPlane(
        clock,
        replication.cluster,
        replication.changes,
        scenario.controller_manager,
        load_defaults(),
        (scenario.run.seed, replication.number),
        replication.horizon_ns,
        scenario.api_server,
        version=scenario.kubernetes_version,
    )
    for event in scenario.events:
        server = event.restarted_api_server()
        if server is not None:
            control.restart(to_ns(event.at_s), server)
        away_s = event.without_controllers_s(load_defaults())
        if away_s is not None:
            control.restart_controllers(to_ns(event.at_s), away_s)
    return control


def handshakes(replication: Replication) -> Bools | None:
    """Return True for each service port whose connections pay their handshake, (p,); ``None`` for no port at all."""
    if not replication.scenario.traffic.handshakes:
        return None
    return np.array([protocol == "TCP" for protocol in replication.cluster.port_protocol], np.bool_)


def price_table(replication: Replication, mode: Mode, costs: Costs, timeline: Timeline) -> PacketPrices:
    """Return the price table of packets, as long as the longest list that any node ever has."""
    most_endpoints = int(timeline.usable.max(initial=0))
    return PacketPrices.compile(mode, costs, timeline.most_dispatch(), most_endpoints, handshakes(replication))


def sync_loop(replication: Replication, mode: Mode, costs: Costs, pacing: Pacing, family: int) -> SyncLoop:
    """Return the settings that drive the sync loops of one IP ``family`` (4 or 6)."""
    scenario, defaults, horizon = replication.scenario, load_defaults(), replication.horizon_ns
    key = (scenario.run.seed, replication.number)
    entries = scenario.traffic.conntrack_entries(defaults.value("limits.conntrack_time_wait"))
    return SyncLoop(
        mode=mode,
        costs=costs,
        pacing=pacing,
        draws=replication.draws[family],
        faults=Faults.draw(
            faults_of(scenario, mode), pacing, defaults, key, replication.cluster.nodes, horizon, replication.joins
        ),
        conntrack=ConntrackCleanup(round(entries), scenario.kubernetes_version),
        large_above=int(defaults.value("kube_proxy.large_cluster_endpoints")),
        horizon_ns=horizon,
        cpu_costs=cpu_costs_of(scenario, mode),
    )


def shares_lock(replication: Replication, pacing: Pacing) -> bool:
    """Return True if a node's proxiers wait for one lock; where IPv6's has nothing to do, nobody waits for it."""
    return pacing.locks and replication.cluster.dual_stack


def udp_flows(replication: Replication, costs: Costs, proxier: ProxierRun) -> UdpFlows | None:
    """Return when entries of IPv4's UDP flows are deleted, in modes that pay for looking; ``None`` in all others."""
    if not any(name in costs.coefficients for name in AFTER_RULES):
        return None
    version = replication.scenario.kubernetes_version
    return UdpFlows(replication.cluster, proxier.timeline, proxier.syncs, version)


def seen_by(cluster: Cluster, family: int) -> Cluster:
    """Return the cluster as the proxiers of one IP ``family`` see it."""
    return cluster if family == 4 else cluster.second_family()
