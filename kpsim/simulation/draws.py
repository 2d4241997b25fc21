"""One replication drawn: its changes, its connections and the sync loops' random numbers, before any engine starts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from kpsim.cluster.changes import Changes, Spells
from kpsim.cluster.columns import Cluster
from kpsim.controlplane.api.joins import Join
from kpsim.controlplane.deliveries import DeliveryLog, Fanout
from kpsim.dns.lookups import Callers
from kpsim.dns.resolver import lookup_latencies
from kpsim.history.play import HistorySettings, draw_history
from kpsim.history.traces import EventTrace
from kpsim.ingress.requests import Traffic, draw_traffic
from kpsim.profiles.defaults import load_defaults
from kpsim.proxy.sync.draws import SyncDraws
from kpsim.rng import stream
from kpsim.scenario.model import Scenario
from kpsim.simulation.unfinished import Unwritten
from kpsim.traffic.connections import Connections, Popularity, Windows, draw_connections, plan_windows
from kpsim.units import I64, to_ns


@dataclass(slots=True)
class Replication:
    """A replication holds the draws that all its modes share: cluster, changes, connections, windows."""

    scenario: Scenario
    number: int
    cluster: Cluster
    changes: Changes
    traces: tuple[EventTrace, ...]  # one an event of the scenario
    windows: Windows
    connections: Connections
    draws: dict[int, SyncDraws]  # by IP family
    order: I64  # base order of service ports in a scanned list
    horizon_ns: int
    log: DeliveryLog | None = None
    fanout: Fanout | None = None
    joins: tuple[Join, ...] = ()  # known when the control plane has run, as the log
    stale_retries: int = 0
    unwritten: dict[int, Unwritten] = field(default_factory=dict)  # by IP family: changes that no delivery carries
    lookups_ns: I64 | None = None  # how long each connection's client looks its Service's name up, where it does
    absolute_ns: I64 | None = None  # the same with absolute names, where clients search for theirs
    ingress: Traffic | None = None  # requests through an Ingress controller, where there is one


def prepare(scenario: Scenario, cluster: Cluster, number: int) -> Replication:
    """Draw one replication: changes, connections, and the sync loops' random numbers."""
    seed, run = scenario.run.seed, scenario.run
    manager = scenario.controller_manager
    settings = HistorySettings.of(
        load_defaults(), scenario.churn, scenario.kubernetes_version, manager.qps, manager.burst
    )
    changes, traces = draw_history(cluster, scenario.churn, scenario.events, settings, run.duration_s, (seed, number))
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
    ingress = None
    if scenario.ingress is not None:
        objects = scenario.objects.ingresses
        ingress = draw_traffic(scenario.ingress, objects, cluster, run.duration_s, (seed, number))
    return Replication(
        scenario=scenario,
        number=number,
        cluster=cluster,
        changes=changes,
        traces=traces,
        windows=windows,
        connections=connections,
        draws={family: SyncDraws(seed, number, cluster.nodes, family) for family in _families(cluster)},
        order=stream(seed, "dispatch-order").permutation(len(cluster.port_service)),
        horizon_ns=to_ns(run.duration_s),
        lookups_ns=lookups_ns,
        absolute_ns=absolute_ns,
        ingress=ingress,
    )


def _lookups(
    scenario: Scenario,
    cluster: Cluster,
    windows: Windows,
    popularity: Popularity,
    connections: Connections,
    number: int,
) -> tuple[I64 | None, I64 | None]:
    """Return each connection's lookup time before it opens [ns], for names as written and absolute; None without.

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
    """Return the connections that are opened at all: those of lost nodes are left out."""
    if not len(lost):
        return connections
    return connections.take(~lost.cover(windows.nodes[connections.node], connections.arrival_ns))


def _families(cluster: Cluster) -> tuple[int, ...]:
    return (4, 6) if cluster.dual_stack else (4,)
