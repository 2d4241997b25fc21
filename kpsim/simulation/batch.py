"""The batch engine: the control plane event by event, then every node's syncs and every packet as arrays."""

from __future__ import annotations

from collections.abc import Iterator

from kpsim.clock import EventQueue
from kpsim.cluster.changes import NEVER
from kpsim.collector import give_back, resting
from kpsim.datapath.batch import RulesInForce, serve_packets
from kpsim.datapath.outcomes import Outcomes
from kpsim.errors import GuardError
from kpsim.profiles.costs import Costs
from kpsim.proxy.contract import Mode
from kpsim.proxy.sync.inforce import InForce
from kpsim.proxy.sync.lanes import Arrivals, Lanes, run_lanes
from kpsim.proxy.sync.pacing import Pacing
from kpsim.proxy.sync.timeline import Timeline
from kpsim.simulation.draws import Replication
from kpsim.simulation.ingress import ingress_in_arrays
from kpsim.simulation.setting import PACKETS_AT_ONCE
from kpsim.simulation.unfinished import find_unwritten
from kpsim.simulation.wiring import (
    ModeRun,
    ProxierRun,
    control_plane,
    price_table,
    seen_by,
    shares_lock,
    sync_loop,
    udp_flows,
)
from kpsim.traffic.connections import Connections
from kpsim.units import to_ns


def run_control_plane(replication: Replication) -> None:
    """Run the control plane of a replication, whose deliveries are the same under every mode, unless it has run."""
    if replication.log is not None:
        return
    clock = EventQueue()
    control = control_plane(replication, clock)
    with resting():  # millions of small objects, and no cycle among them
        clock.run(replication.horizon_ns)
    replication.log, replication.fanout, replication.joins = control.api.log, control.fanout, control.joins
    replication.stale_retries = control.controller.stale_retries
    clock.clear()  # or all Services and Pods stay until the collector comes by
    control.controller.dismiss()
    del control
    give_back()
    for family in replication.draws:
        cluster, log = seen_by(replication.cluster, family), replication.log.of(family)
        replication.unwritten[family] = find_unwritten(cluster, replication.changes, log)


def run_batch(replication: Replication, mode: Mode, costs: Costs, pacing: Pacing) -> ModeRun:
    """Return one mode of one replication; packets are served when asked for, some nodes at a time."""
    run_control_plane(replication)
    assert replication.log is not None
    proxiers = _proxiers(replication, mode, costs, pacing)
    first = proxiers[0]
    prices, flows = price_table(replication, mode, costs, first.timeline), udp_flows(replication, costs, first)
    rules = RulesInForce(replication.cluster, mode, first.timeline, first.in_force, replication.draws[4], prices, flows)
    most_packets = PACKETS_AT_ONCE + replication.opened.most_packets()
    life_ns = to_ns(replication.opened.params.life_s)
    longest_ns = replication.horizon_ns + life_ns + prices.most_ns() * most_packets
    queues = replication.cluster.cores * len(replication.windows.starts_ns)
    nodes_at_once = NEVER // (2 * longest_ns * queues)  # as many queues as one axis of time can hold
    if not nodes_at_once:
        what = "the cores of one node are busy for longer than one clock counts, all together"
        raise GuardError(f"{what}. Less takes less: traffic.packetInterval, run.duration or cluster.cores")

    changes = replication.changes

    def pieces() -> Iterator[tuple[Connections, Outcomes]]:
        for block in replication.connection_blocks(PACKETS_AT_ONCE, nodes_at_once):
            yield block, serve_packets(rules, block, replication.windows, changes.pod_gone_ns, changes.outages)

    ingress = ingress_in_arrays(replication, rules)
    return ModeRun(mode, costs, replication.log, replication.stale_retries, proxiers, prices, pieces, ingress)


def _proxiers(replication: Replication, mode: Mode, costs: Costs, pacing: Pacing) -> tuple[ProxierRun, ...]:
    """Return the sync loops of every IP family, all nodes at once."""
    assert replication.log is not None
    assert replication.fanout is not None
    fanout, made = replication.fanout, []
    for family in replication.draws:
        log, cluster = replication.log.of(family), seen_by(replication.cluster, family)
        timeline = Timeline(cluster, log, mode, replication.order)
        arrivals = Arrivals(log.column("sent_ns"), log.column("spread_ns"), fanout)
        asks = arrivals
        if pacing.at_once:  # what is delivered about endpoints needs no sync
            creates = log.column("creates") > 0
            asks = Arrivals(log.column("sent_ns")[creates], log.column("spread_ns")[creates], fanout)
        loop = sync_loop(replication, mode, costs, pacing, family)
        made.append((log, timeline, arrivals, Lanes(loop, timeline, arrivals, asks), replication.unwritten[family]))
    tables = run_lanes([lanes for *_, lanes, _ in made], share_lock=shares_lock(replication, pacing))
    for _, timeline, *_ in made:
        timeline.forget_changes()
    horizon, joins = replication.horizon_ns, replication.joins
    return tuple(
        ProxierRun(log, timeline, arrivals, syncs, InForce(syncs, arrivals, pacing.at_once, horizon, joins), unwritten)
        for (log, timeline, arrivals, _, unwritten), syncs in zip(made, tables, strict=True)
    )
