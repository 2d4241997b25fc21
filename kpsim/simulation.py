"""One run: the hall where the rooms meet.

A replication draws its changes and its connections once; the control plane runs once and every mode is shown the same
deliveries.  Per mode, either engine answers the same question: when did each node sync, and what did each packet meet.
Both give a :class:`ModeRun`, and on the same scenario the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import simpy

from kpsim.clock import Rank, call_at
from kpsim.cluster.changes import NEVER, Changes, Spells
from kpsim.cluster.columns import Cluster
from kpsim.cluster.events import ApiServerRestart
from kpsim.cluster.history import HistorySettings, draw_history
from kpsim.controlplane.control import ControlPlane
from kpsim.controlplane.deliveries import Delivery, DeliveryLog, Fanout
from kpsim.datapath.batch import RulesInForce, run_batch
from kpsim.datapath.outcomes import Outcomes
from kpsim.datapath.packets import PacketProcesses
from kpsim.datapath.prices import PacketPrices
from kpsim.dns.lookups import Callers
from kpsim.dns.resolver import lookup_latencies
from kpsim.profiles.costs import Costs, load_profile
from kpsim.profiles.defaults import load_defaults
from kpsim.proxy.contract import Mode
from kpsim.proxy.counts import EndpointCounts
from kpsim.proxy.registry import create
from kpsim.proxy.sync.draws import SyncDraws
from kpsim.proxy.sync.faults import Faults
from kpsim.proxy.sync.inforce import InForce
from kpsim.proxy.sync.lanes import Arrivals, SyncTrace, run_lanes, trace_of
from kpsim.proxy.sync.loop import ConntrackCleanup, SyncLoop
from kpsim.proxy.sync.pacing import Pacing
from kpsim.proxy.sync.process import KubeProxy
from kpsim.proxy.sync.timeline import Timeline
from kpsim.rng import stream
from kpsim.scenario.model import Scenario
from kpsim.traffic.connections import Connections, Popularity, Windows, draw_connections, plan_windows
from kpsim.units import I64, to_ns

__all__ = ["ModeRun", "ProxierRun", "Replication", "mode_of", "prepare", "run_mode"]

PACKETS_AT_ONCE = 100_000  # nodes are served in blocks of about so many packets, to bound memory


@dataclass(slots=True)
class Replication:
    """What all modes of one replication share."""

    scenario: Scenario
    number: int
    cluster: Cluster
    changes: Changes
    windows: Windows
    connections: Connections
    draws: dict[int, SyncDraws]  # by IP family
    order: I64  # base order of service ports in a scanned list
    horizon_ns: int
    log: DeliveryLog | None = None
    fanout: Fanout | None = None
    stale_retries: int = 0
    lookups_ns: I64 | None = None  # how long each connection's client looks its Service's name up, where it does
    absolute_ns: I64 | None = None  # the same with absolute names, where clients search for theirs


@dataclass(frozen=True, slots=True)
class ProxierRun:
    """The sync loops of one IP family on all nodes: what they were sent, when they ran, what was in force."""

    log: DeliveryLog
    timeline: Timeline
    arrivals: Arrivals
    trace: SyncTrace
    in_force: InForce


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

    @property
    def log(self) -> DeliveryLog:
        """What IPv4's proxiers were sent."""
        return self.proxiers[0].log

    @property
    def timeline(self) -> Timeline:
        """What IPv4's proxiers know after each delivery."""
        return self.proxiers[0].timeline

    @property
    def arrivals(self) -> Arrivals:
        """When each delivery reaches IPv4's proxiers."""
        return self.proxiers[0].arrivals

    @property
    def trace(self) -> SyncTrace:
        """The syncs of IPv4's proxiers."""
        return self.proxiers[0].trace

    @property
    def in_force(self) -> InForce:
        """What IPv4's proxiers had in force, and when."""
        return self.proxiers[0].in_force

    @property
    def outcomes(self) -> Outcomes:
        """All packets at once; a large run is better read piece by piece."""
        pieces = [outcomes for _, outcomes in self.pieces()]
        return Outcomes(*(np.concatenate([getattr(p, n) for p in pieces]) for n in Outcomes.__dataclass_fields__))


def prepare(scenario: Scenario, cluster: Cluster, number: int) -> Replication:
    """Draw one replication: changes, connections, and the sync loops' random numbers."""
    seed, run = scenario.run.seed, scenario.run
    manager = scenario.controller_manager
    settings = HistorySettings.of(
        load_defaults(), scenario.churn, scenario.kubernetes_version, manager.qps, manager.burst
    )
    changes = draw_history(cluster, scenario.churn, scenario.events, settings, run.duration_s, (seed, number))
    if changes.pod_home is not None:
        cluster = replace(cluster, pod_home=changes.pod_home)
    budget = run.packets // run.replications  # whatever the modes, so that they all see the same connections
    traffic = scenario.traffic
    windows = plan_windows(
        traffic, cluster.nodes, run.duration_s, run.warmup_s, budget, stream(seed, "windows", number)
    )
    popularity = Popularity.zipf(cluster, traffic.zipf, stream(seed, "popularity"))
    connections = draw_connections(traffic, cluster, windows, popularity, seed, number)
    connections = _sent(connections, windows, changes.lost)
    lookups_ns, absolute_ns = _lookups(scenario, cluster, windows, popularity, connections, number)
    return Replication(
        scenario=scenario,
        number=number,
        cluster=cluster,
        changes=changes,
        windows=windows,
        connections=connections,
        draws={family: SyncDraws(seed, number, cluster.nodes, family) for family in _families(cluster)},
        order=stream(seed, "dispatch-order").permutation(len(cluster.port_service)),
        horizon_ns=to_ns(run.duration_s),
        lookups_ns=lookups_ns,
        absolute_ns=absolute_ns,
    )


def _lookups(
    scenario: Scenario,
    cluster: Cluster,
    windows: Windows,
    popularity: Popularity,
    connections: Connections,
    number: int,
) -> tuple[I64 | None, I64 | None]:
    """How long the lookup before each connection takes [ns], as names are written and as absolute ones.

    A lookup comes at the time that the connection opens in the engines: shifting a Poisson stream leaves it one.
    """
    params = scenario.dns
    if not params.clients_use_names:
        return None, None
    services, name = np.unique(cluster.port_service[popularity.ports], return_inverse=True)
    share = np.bincount(name, np.diff(popularity.share, prepend=0.0), len(services)).astype(np.float64)
    callers = Callers(
        arrival_ns=connections.arrival_ns,
        node=connections.node,
        window=connections.window,
        name=np.searchsorted(services, cluster.port_service[connections.port]),
        starts_ns=windows.starts_ns - windows.lead_ns,
        length_ns=windows.length_ns + windows.lead_ns,
        nodes_seen=len(windows.nodes),
        nodes=cluster.nodes,
        cores=cluster.nodes * cluster.cores,
        lookups_per_s=scenario.traffic.connections_per_s_per_node if len(services) else 0.0,
        share=share,
    )
    written = lookup_latencies(params, callers, scenario.run.seed, number)
    if len(params.tries()) == 1:
        return written, None
    return written, lookup_latencies(params.with_last_dot(), callers, scenario.run.seed, number)


def _sent(connections: Connections, windows: Windows, lost: Spells) -> Connections:
    """Those connections that are opened at all: not the ones of nodes that are lost then."""
    if not len(lost):
        return connections
    return connections.take(~lost.cover(windows.nodes[connections.node], connections.arrival_ns))


def _families(cluster: Cluster) -> tuple[int, ...]:
    return (4, 6) if cluster.dual_stack else (4,)


def mode_of(scenario: Scenario, name: str) -> tuple[Mode, Costs]:
    """A mode by name, configured and priced as the scenario says."""
    mode = create(scenario.kube_proxy.for_mode(name), scenario.cluster.iptables_backend)
    profile = load_profile(scenario.profile.name)
    return mode, profile.costs(mode.family, scenario.profile.set, scenario.profile.cache_warmth)


def run_mode(replication: Replication, name: str, engine: str) -> ModeRun:
    """One mode of one replication, by the "reference" or the "batch" engine."""
    mode, costs = mode_of(replication.scenario, name)
    version = replication.scenario.kubernetes_version
    pacing = Pacing.of(mode.runner(version), version)
    return (_run_reference if engine == "reference" else _run_batch)(replication, mode, costs, pacing)


def _control_plane(replication: Replication, env: simpy.Environment) -> ControlPlane:
    scenario = replication.scenario
    control = ControlPlane(
        env,
        replication.cluster,
        replication.changes,
        scenario.controller_manager,
        load_defaults(),
        (scenario.run.seed, replication.number),
        replication.horizon_ns,
        scenario.api_server,
    )
    for event in scenario.events:
        if isinstance(event, ApiServerRestart):
            control.restart(to_ns(event.at_s), event.server)
    return control


def _prices(mode: Mode, costs: Costs, timeline: Timeline) -> PacketPrices:
    most_endpoints = int(timeline.usable.max(initial=0))
    return PacketPrices.compile(mode, costs, timeline.most_dispatch(), most_endpoints)


def _sync_loop(replication: Replication, mode: Mode, costs: Costs, pacing: Pacing, family: int) -> SyncLoop:
    scenario, defaults, horizon = replication.scenario, load_defaults(), replication.horizon_ns
    key = (scenario.run.seed, replication.number)
    entries = scenario.traffic.conntrack_entries(defaults.value("limits.conntrack_time_wait"))
    return SyncLoop(
        mode=mode,
        costs=costs,
        pacing=pacing,
        draws=replication.draws[family],
        faults=Faults.draw(scenario.faults, pacing, defaults, key, replication.cluster.nodes, horizon),
        conntrack=ConntrackCleanup(round(entries), scenario.kubernetes_version),
        large_above=int(defaults.value("kube_proxy.large_cluster_endpoints")),
        horizon_ns=horizon,
    )


def _run_batch(replication: Replication, mode: Mode, costs: Costs, pacing: Pacing) -> ModeRun:
    if replication.log is None:
        env = simpy.Environment(initial_time=0)
        control = _control_plane(replication, env)
        env.run(until=replication.horizon_ns)
        replication.log, replication.fanout = control.api.log, control.fanout
        replication.stale_retries = control.controller.stale_retries
    proxiers = tuple(_lanes(replication, mode, costs, pacing, family) for family in replication.draws)
    first = proxiers[0]
    prices = _prices(mode, costs, first.timeline)
    rules = RulesInForce(replication.cluster, mode, first.timeline, first.in_force, replication.draws[4], prices)
    most_packets = PACKETS_AT_ONCE + replication.connections.busiest_packets()
    longest_ns = replication.horizon_ns + prices.most_ns() * most_packets
    queues = replication.cluster.cores * len(replication.windows.starts_ns)
    nodes_at_once = max(NEVER // (2 * longest_ns * queues), 1)  # as many queues as one axis of time can hold

    changes = replication.changes

    def pieces() -> Iterator[tuple[Connections, Outcomes]]:
        for block in replication.connections.blocks(PACKETS_AT_ONCE, nodes_at_once):
            yield block, run_batch(rules, block, replication.windows, changes.pod_gone_ns, changes.outages)

    return ModeRun(mode, costs, replication.log, replication.stale_retries, proxiers, prices, pieces)


def _lanes(replication: Replication, mode: Mode, costs: Costs, pacing: Pacing, family: int) -> ProxierRun:
    """The sync loops of one IP family, all nodes at once."""
    assert replication.log is not None
    assert replication.fanout is not None
    log, fanout, horizon = replication.log.of(family), replication.fanout, replication.horizon_ns
    cluster = _seen_by(replication.cluster, family)
    timeline = Timeline(cluster, log, mode, replication.order)
    arrivals = Arrivals(log.column("sent_ns"), log.column("spread_ns"), fanout)
    asks = arrivals
    if pacing.at_once:  # what is delivered about endpoints needs no sync
        creates = log.column("creates") > 0
        asks = Arrivals(log.column("sent_ns")[creates], log.column("spread_ns")[creates], fanout)
    trace = run_lanes(_sync_loop(replication, mode, costs, pacing, family), timeline, arrivals, asks)
    return ProxierRun(log, timeline, arrivals, trace, InForce(trace, arrivals, pacing.at_once, horizon))


def _seen_by(cluster: Cluster, family: int) -> Cluster:
    return cluster if family == 4 else cluster.second_family()


def _run_reference(replication: Replication, mode: Mode, costs: Costs, pacing: Pacing) -> ModeRun:
    cluster, horizon = replication.cluster, replication.horizon_ns
    env = simpy.Environment(initial_time=0)
    control = _control_plane(replication, env)
    proxies = {}
    for family in replication.draws:
        seen, loop = _seen_by(cluster, family), _sync_loop(replication, mode, costs, pacing, family)
        proxies[family] = [
            KubeProxy(env, node, seen, loop, replication.order, replication.changes.pod_ip)
            for node in range(cluster.nodes)
        ]
    every = np.arange(cluster.nodes)

    def broadcast(delivery: Delivery) -> None:
        sent, spread = np.int64(delivery.sent_ns), np.int64(delivery.spread_ns)
        for node, time_ns in enumerate(control.fanout.arrival_ns(sent, spread, every).tolist()):  # type: ignore[arg-type]  # scalars broadcast
            for family in delivery.families:
                if family in proxies:
                    call_at(env, time_ns, Rank.DELIVERY, proxies[family][node].receive, delivery)

    control.subscribe(broadcast)
    # No table of prices can know beforehand how long a list will get, so it is made for the largest cluster there is.
    one = np.ones_like(cluster.services.ports)
    most = int(mode.rule_counts(cluster.services, EndpointCounts(one, one, 0 * one)).dispatch.sum())
    most_endpoints = int(np.diff(cluster.endpoint_offset).max(initial=0)) + len(replication.changes)
    prices = PacketPrices.compile(mode, costs, most, most_endpoints)
    packets = PacketProcesses(env, cluster, mode, prices, proxies[4], replication.connections, replication.windows)
    env.run()
    outcomes = packets.outcomes(replication.changes.pod_gone_ns, replication.changes.outages)
    whole = [(replication.connections, outcomes)]
    proxiers = []
    for family, nodes in proxies.items():
        log, trace = control.api.log.of(family), _trace(nodes)
        timeline = Timeline(_seen_by(cluster, family), log, mode, replication.order)
        arrivals = Arrivals(log.column("sent_ns"), log.column("spread_ns"), control.fanout)
        in_force = InForce(trace, arrivals, pacing.at_once, horizon)
        proxiers.append(ProxierRun(log, timeline, arrivals, trace, in_force))
    retries = control.controller.stale_retries
    return ModeRun(mode, costs, control.api.log, retries, tuple(proxiers), prices, lambda: iter(whole))


def _trace(proxies: list[KubeProxy]) -> SyncTrace:
    """The proxies' own books as the table the batch engine keeps."""
    rows = max((len(p.syncs) for p in proxies), default=0)
    table = np.zeros((rows, 6, len(proxies)), np.int64)
    for n, proxy in enumerate(proxies):
        absorbed, since = 0, -NEVER
        for i in range(rows):
            done = i < len(proxy.syncs)
            table[i, :, n] = proxy.syncs[i] if done else (NEVER, NEVER, absorbed, False, False, since)
            absorbed, since = int(table[i, 2, n]), int(table[i, 5, n])
    flags = [(*row[:3], row[3].astype(np.bool_), row[4].astype(np.bool_), row[5]) for row in table]
    return trace_of(flags, len(proxies))
