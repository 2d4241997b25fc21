"""The reference engine: control plane, every node's kube-proxy and every packet as SimPy processes on one clock."""

from __future__ import annotations

import numpy as np
import simpy

from kpsim.clock import Rank, SimPyClock, call_at
from kpsim.controlplane.deliveries import Delivery
from kpsim.datapath.packets import PacketProcesses
from kpsim.datapath.prices import PacketPrices
from kpsim.profiles.costs import Costs
from kpsim.proxy.contract import Mode
from kpsim.proxy.counts import EndpointCounts
from kpsim.proxy.sync.inforce import InForce
from kpsim.proxy.sync.lanes import Arrivals
from kpsim.proxy.sync.pacing import Pacing
from kpsim.proxy.sync.process import KubeProxy, XtablesLock
from kpsim.proxy.sync.table import SyncRow, SyncTable, WrittenSyncs
from kpsim.proxy.sync.timeline import Timeline
from kpsim.simulation.draws import Replication
from kpsim.simulation.ingress import ingress_processes
from kpsim.simulation.unfinished import find_unwritten
from kpsim.simulation.wiring import (
    ModeRun,
    ProxierRun,
    control_plane,
    handshakes,
    seen_by,
    shares_lock,
    sync_loop,
    udp_flows,
)

ASKS_LOCK = {4: Rank.LOCK, 6: Rank.LOCK_IPV6}  # which family comes first where both ask at once


def run_reference(replication: Replication, mode: Mode, costs: Costs, pacing: Pacing) -> ModeRun:
    """Return one mode of one replication, its packets served."""
    cluster, horizon = replication.cluster, replication.horizon_ns
    env = simpy.Environment(initial_time=0)
    control = control_plane(replication, SimPyClock(env))
    replication.joins = control.joins
    proxies = {}
    shared = shares_lock(replication, pacing)
    locks = [XtablesLock() if shared else None for _ in range(cluster.nodes)]
    for family in replication.draws:
        seen, loop = seen_by(cluster, family), sync_loop(replication, mode, costs, pacing, family)
        proxies[family] = [
            KubeProxy(env, node, seen, loop, replication.order, replication.changes.pod_ip, lock, ASKS_LOCK[family])
            for node, lock in enumerate(locks)
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
    prices = PacketPrices.compile(mode, costs, most, most_endpoints, handshakes(replication))
    packets = PacketProcesses(env, prices, proxies[4], replication.connections, replication.windows)
    ingress = ingress_processes(replication, env, control, proxies[4], prices)
    env.run()
    proxiers = []
    for family, nodes in proxies.items():
        log, syncs, seen = control.api.log.of(family), _table(nodes), seen_by(cluster, family)
        timeline = Timeline(seen, log, mode, replication.order)
        arrivals = Arrivals(log.column("sent_ns"), log.column("spread_ns"), control.fanout)
        in_force = InForce(syncs, arrivals, pacing.at_once, horizon, control.joins)
        unwritten = find_unwritten(seen, replication.changes, log)
        proxiers.append(ProxierRun(log, timeline, arrivals, syncs, in_force, unwritten))
    flows = udp_flows(replication, costs, proxiers[0])
    outcomes = packets.outcomes(replication.changes.pod_gone_ns, replication.changes.outages, flows)
    whole = [(replication.connections, outcomes)]
    retries = control.controller.stale_retries
    done = None if ingress is None else ingress.run()
    return ModeRun(mode, costs, control.api.log, retries, tuple(proxiers), prices, lambda: iter(whole), done)


def _table(proxies: list[KubeProxy]) -> SyncTable:
    """Return the proxies' own books as the table the batch engine keeps."""
    written = WrittenSyncs(len(proxies), restarts=True)
    for node, proxy in enumerate(proxies):
        count = len(proxy.syncs)
        if count:
            row = SyncRow(*map(np.array, zip(*proxy.syncs, strict=True)))
            written.put(np.full(count, node), np.arange(count), row)
    return written.table()
