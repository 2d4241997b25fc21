"""One replication drawn: its changes, its connections and the sync loops' random numbers, before any engine starts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from kpsim.cluster.changes import Changes
from kpsim.cluster.columns import Cluster
from kpsim.controlplane.api.joins import Join
from kpsim.controlplane.deliveries import DeliveryLog, Fanout
from kpsim.dns.lookups import Callers
from kpsim.dns.resolver import lookup_latencies
from kpsim.history.play import HistorySettings, draw_history
from kpsim.history.traces import EventTrace
from kpsim.ingress.requests import IngressTraffic, draw_ingress
from kpsim.profiles.defaults import load_defaults
from kpsim.proxy.sync.draws import SyncDraws
from kpsim.rng import stream
from kpsim.scenario.model import Scenario
from kpsim.simulation.setting import KEPT_PACKETS
from kpsim.simulation.unfinished import Unwritten
from kpsim.traffic.connections import ConnectionDraws, Connections, Popularity, Windows, plan_windows
from kpsim.units import I64, to_ns


@dataclass(frozen=True, slots=True)
class Sent:
    """A control plane that has run leaves this for all modes: what it sent, and how nodes come to have it."""

    log: DeliveryLog
    fanout: Fanout
    joins: tuple[Join, ...]
    stale_retries: int
    unwritten: dict[int, Unwritten]


@dataclass(slots=True)
class Replication:
    """A replication holds the draws that all its modes share: cluster, changes, connections, windows."""

    scenario: Scenario
    number: int
    cluster: Cluster
    changes: Changes
    traces: tuple[EventTrace, ...]  # one an event of the scenario
    windows: Windows
    opened: ConnectionDraws
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
    ingress: IngressTraffic | None = None  # requests through an Ingress controller, where there is one
    kept: Connections | None = None  # all of them, once they were asked for together

    @property
    def sent(self) -> Sent:
        """Return what its control plane sent, once that has run."""
        assert self.log is not None
        assert self.fanout is not None
        return Sent(self.log, self.fanout, self.joins, self.stale_retries, self.unwritten)

    def take(self, sent: Sent) -> None:
        """Take over what the same replication's control plane sent elsewhere."""
        self.log, self.fanout, self.joins = sent.log, sent.fanout, sent.joins
        self.stale_retries, self.unwritten = sent.stale_retries, sent.unwritten

    @property
    def connections(self) -> Connections:
        """Return all connections, and keep them."""
        if self.kept is None:
            self.kept = self.opened.whole()
        return self.kept

    def connection_blocks(self, packets: int, nodes: int) -> Iterator[Connections]:
        """Return the connections in pieces of about ``packets``; there is never more in memory where there are many."""
        few = self.opened.expected_packets() * len(self.windows.nodes) <= KEPT_PACKETS
        return (self.connections if few or self.kept is not None else self.opened).blocks(packets, nodes)


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
    opened = ConnectionDraws(traffic, cluster.cores, windows, popularity, (seed, number), changes.lost)
    ingress = None
    if scenario.ingress is not None:
        objects = scenario.objects.ingresses
        ingress = draw_ingress(scenario.ingress, objects, cluster, run.duration_s, (seed, number))
    replication = Replication(
        scenario=scenario,
        number=number,
        cluster=cluster,
        changes=changes,
        traces=traces,
        windows=windows,
        opened=opened,
        draws={family: SyncDraws(seed, number, cluster.nodes, family) for family in _families(cluster)},
        order=stream(seed, "dispatch-order").permutation(len(cluster.port_service)),
        horizon_ns=to_ns(run.duration_s),
        ingress=ingress,
    )
    if scenario.dns.clients_use_names:
        replication.lookups_ns, replication.absolute_ns = _lookups(replication)
    return replication


def _lookups(replication: Replication) -> tuple[I64, I64 | None]:
    """Return each connection's lookup time before it opens [ns], for names as written and absolute.

    ``None`` if all names are absolute.  A lookup comes at the time that the connection opens in the engines: shifting a
    Poisson stream leaves it one.
    """
    scenario, cluster, number = replication.scenario, replication.cluster, replication.number
    windows, popularity, connections = replication.windows, replication.opened.popularity, replication.connections
    params = scenario.dns
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


def _families(cluster: Cluster) -> tuple[int, ...]:
    return (4, 6) if cluster.dual_stack else (4,)
