"""From one mode's run to observations: tallies and counts small enough to travel between processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass, field

import numpy as np

from kpsim.cluster.changes import NEVER
from kpsim.datapath.outcomes import Outcomes, Verdict
from kpsim.experiment.balance import Reached, balance_of, reached_of
from kpsim.experiment.control import stage_ends, writes_over_time
from kpsim.experiment.events import EventSeen, measure_joins, measure_propagation
from kpsim.ingress.outcomes import Status
from kpsim.measure.packets import PacketLatencies
from kpsim.measure.stretches import Batches
from kpsim.measure.summary import MEASURES, SLOW_LOOKUP_S
from kpsim.measure.tally import Tally, forget_values
from kpsim.proxy.sync.inforce import Told
from kpsim.simulation import ModeRun, Replication, cpu_costs_of
from kpsim.traffic.connections import Connections
from kpsim.units import F64, I64, to_ns

PAIRS_KEPT = 20_000  # (position, cost) pairs kept of one replication, for the figure
DECODED, ACCOUNTED = "change_decoded", "sync_accounted"  # CPU beside syncs: of a delivery, of a sync that ran
SYNCS_AT_ONCE = 50_000
FOLD_AT = 60_000  # latencies counted together, so that they stay in a processor's cache


@dataclass(slots=True)
class Counts:
    """Counts of events in the measured time; the names are those of ``summary.json``."""

    packets: int = 0
    delivered: int = 0
    refused: int = 0
    dropped: int = 0
    stale: int = 0
    in_flight: int = 0
    connections: int = 0
    packets_simulated: int = 0  # measured or not
    syncs: int = 0
    syncs_failed: int = 0
    changes: int = 0  # of the measured time, without those overtaken
    changes_overtaken: int = 0  # taken back before the control plane had written them
    changes_in_control_plane: int = 0  # of those: not sent to kube-proxies when the run was over
    node_changes_pending: int = 0  # not in force on a node then, a node; here or in any of these places
    node_changes_in_watch: int = 0
    node_changes_in_kube_proxy: int = 0
    deliveries: int = 0  # of the whole run, as the retries
    stale_retries: int = 0

    @staticmethod
    def total(every: Iterable[Counts]) -> Counts:
        """Return the sums, name by name."""
        return Counts(*map(sum, zip(*map(astuple, every), strict=True)))


@dataclass(slots=True)
class Observations:
    """One mode in one replication: a tally a measure and batch, counts, rates, and pairs for figures."""

    mode: str
    tallies: dict[str, list[Tally]]
    counts: Counts = field(default_factory=Counts)
    rates: dict[str, float] = field(default_factory=dict)
    position: I64 = field(default_factory=lambda: np.zeros(0, np.int64))  # rules passed (or would be) by first packets
    cost_ns: I64 = field(default_factory=lambda: np.zeros(0, np.int64))  # what each of those cost
    tried_mean: float = 0.0
    sync_changed: float = 0.0  # rules of a Service that changes, on average
    rules: int = 0
    events: list[EventSeen] = field(default_factory=list)
    control: F64 = field(default_factory=lambda: np.zeros((3, 0)))  # writes and bytes over time
    stages: dict[str, Tally] = field(default_factory=dict)
    others: dict[str, int] = field(default_factory=dict)  # counts that only some scenarios have
    sampled: bool = False  # packets, on some nodes and in some stretches of time
    reached: Reached | None = None  # by endpoint, where it is asked how even that is

    def count(self, measure: str, parts: Iterable[tuple[int, I64]]) -> None:
        """Count values of a measure, each part of them in a batch."""
        for batch, values in parts:
            self.tallies[measure][batch].add(values)

    def merge(self, measure: str, more: Sequence[Tally]) -> None:
        """Add tallies of a measure, one a batch, to those there are."""
        for tally, other in zip(self.tallies[measure], more, strict=True):
            tally.merge(other)


def observe(replication: Replication, run: ModeRun, batches: int) -> Observations:
    """Return everything the summaries are made of; the warm-up is cut here."""
    scenario, log = replication.scenario, run.sent
    measured = Batches(to_ns(scenario.run.warmup_s), replication.horizon_ns, batches)
    seen = Observations(run.mode.name, {name: measured.empty(name) for name in MEASURES})
    seen.events = [EventSeen(trace) for trace in replication.traces]
    seen.sampled = not replication.windows.whole
    for observer in OBSERVERS:
        observer(seen, replication, run, measured)
    measure_joins(seen.events, replication.joins, run)
    measure_propagation(seen.events, replication.cluster, replication.changes, run)
    seconds = scenario.run.duration_s
    watched = int(log.column("size").sum()) * replication.cluster.nodes
    seen.rates |= {
        "api_writes_per_s": (log.writes + len(log.endpoints_ns)) / seconds,
        "api_bytes_per_s": watched / seconds,
        "deliveries_per_node_per_s": len(log.rows) / seconds,
    }
    if scenario.ask == "balance" and (reached := reached_of(replication, run)):
        seen.reached, seen.rates = reached, seen.rates | balance_of(reached)
    seen.counts.deliveries, seen.counts.stale_retries = len(log.rows), run.stale_retries
    seen.control = writes_over_time(log, replication.cluster.nodes, replication.horizon_ns)
    seen.stages = stage_ends(run, measured.from_ns)
    dispatch, own = int(run.proxiers[0].timeline.dispatch_total[0]), int(run.proxiers[0].timeline.own_total[0])
    seen.rules = int(run.mode.rules_present(dispatch, own))
    for tallies in seen.tallies.values():
        forget_values(tallies)
    return seen


def _observe_packets(seen: Observations, replication: Replication, run: ModeRun, measured: Batches) -> None:
    busy_ns = 0
    looked_up = 0  # connections whose lookups were counted
    kept: list[tuple[I64, I64, I64]] = []
    latencies = PacketLatencies(measured, *(seen.tallies[f"{each}_packet_latency"] for each in ("first", "later")))
    for connections, outcomes in run.pieces():
        busy_ns += _observe_piece(seen, replication, connections, outcomes, latencies)
        rows = slice(looked_up, looked_up + len(connections))
        _observe_lookups(seen, replication, connections, outcomes, rows, measured)
        looked_up = rows.stop
        if sum(len(cost) for _, cost, _ in kept) < PAIRS_KEPT:
            which = np.flatnonzero(outcomes.pod >= 0)[:PAIRS_KEPT]
            scanned = outcomes.scanned if run.prices.scans() else _place(replication)[connections.port]
            kept.append((scanned[which], outcomes.cost_ns[which, 0], outcomes.tried[which]))
    latencies.finish()
    seconds = replication.windows.node_seconds
    seen.rates["cpu_packets_cores"] = busy_ns / 1e9 / seconds if seconds else 0.0
    if replication.lookups_ns is not None:
        for name in ("lookups_slow", "lookups_absolute_slow"):
            seen.rates[f"{name}_share"] = seen.others.get(name, 0) / max(seen.others.get("lookups", 0), 1)
    seen.position, seen.cost_ns, tried = (np.concatenate(column) for column in zip(*kept, strict=True))
    seen.tried_mean = float(tried.mean()) if len(tried) else 0.0


def _observe_piece(
    seen: Observations,
    replication: Replication,
    connections: Connections,
    outcomes: Outcomes,
    latencies: PacketLatencies,
) -> int:
    """Count some nodes' packets; the time they took their cores [ns]."""
    windows, verdict, arrival = replication.windows, outcomes.verdict, outcomes.arrival_ns
    begin = windows.starts_ns[connections.window]
    until = np.minimum(begin + windows.length_ns, replication.horizon_ns)
    recorded = (arrival >= begin[:, None]) & (arrival < until[:, None]) & (verdict != Verdict.UNSENT)
    latency = outcomes.finish_ns
    in_flight = recorded & (latency > replication.horizon_ns)
    latency -= arrival
    latencies.add(latency, recorded & (verdict != Verdict.REFUSED) & (verdict != Verdict.DROPPED), arrival)
    done = recorded & ~in_flight
    stale = done & (verdict == Verdict.STALE)
    here = Counts(
        packets=int(np.count_nonzero(recorded)),
        delivered=int(np.count_nonzero(done & (verdict == Verdict.DELIVERED))),
        refused=int(np.count_nonzero(done & (verdict == Verdict.REFUSED))),
        dropped=int(np.count_nonzero(done & (verdict == Verdict.DROPPED))),
        stale=int(np.count_nonzero(stale)),
        in_flight=int(np.count_nonzero(in_flight)),
        connections=int(np.count_nonzero(recorded[:, 0])),
        packets_simulated=recorded.size,
    )
    seen.counts = Counts.total((seen.counts, here))
    for event in seen.events:
        event.add(outcomes, stale)
    return int(np.einsum("ij,ij->", outcomes.cost_ns, recorded))


def _observe_lookups(
    seen: Observations,
    replication: Replication,
    connections: Connections,
    outcomes: Outcomes,
    rows: slice,
    measured: Batches,
) -> None:
    """Count the lookups in ``rows``, and what it takes from a name to the first packet's delivery."""
    if replication.lookups_ns is None:
        return
    lookups_ns, windows = replication.lookups_ns[rows], replication.windows
    absolute_ns = lookups_ns if replication.absolute_ns is None else replication.absolute_ns[rows]
    begin = windows.starts_ns[connections.window]
    arrival = connections.arrival_ns
    recorded = (arrival >= begin) & (arrival < np.minimum(begin + windows.length_ns, replication.horizon_ns))
    served = recorded & (outcomes.pod >= 0)
    whole_ns = lookups_ns + outcomes.latency_ns[:, 0]
    for name, chosen in (
        ("lookups", recorded),
        ("lookups_slow", recorded & (lookups_ns > to_ns(SLOW_LOOKUP_S))),
        ("lookups_absolute_slow", recorded & (absolute_ns > to_ns(SLOW_LOOKUP_S))),
    ):
        seen.others[name] = seen.others.get(name, 0) + int(chosen.sum())
    for name, values, chosen in (
        ("dns_latency", lookups_ns, recorded),
        ("dns_latency_absolute", absolute_ns, recorded & (replication.absolute_ns is not None)),
        ("connection_latency", whole_ns, served),
    ):
        seen.count(name, measured.split(values[chosen], arrival[chosen]))


def _place(replication: Replication) -> I64:
    """Return each service port's place in a list, for modes that have none."""
    place = np.empty(len(replication.order), np.int64)
    place[replication.order] = np.arange(len(replication.order))
    return place


def _observe_syncs(seen: Observations, replication: Replication, run: ModeRun, measured: Batches) -> None:
    """Syncs of all nodes, and of both proxiers where there are two."""
    syncs, cpu_ns = (dict.fromkeys(("", "_full", "_partial"), 0) for _ in range(2))
    for table in (proxier.syncs for proxier in run.proxiers):
        rows = max(SYNCS_AT_ONCE // max(table.start.shape[1], 1), 1)
        for first in range(0, len(table.start), rows):
            some = slice(first, first + rows)
            start, full = table.start[some], table.full[some]
            chosen = table.ran[some] & (start >= measured.from_ns)
            duration = table.end[some] - start
            for kind, which in (("", chosen), ("_full", chosen & full), ("_partial", chosen & ~full)):
                seen.count(f"sync_duration{kind}", measured.split(duration[which], start[which]))
                syncs[kind] += int(which.sum())
                cpu_ns[kind] += int(table.cpu[some][which].sum())
            seen.counts.syncs_failed += int((chosen & table.failed[some]).sum())
    seconds = run.proxiers[0].syncs.start.shape[1] * (measured.until_ns - measured.from_ns) / 1e9
    seen.counts.syncs = syncs[""]
    seen.rates["syncs_per_node_per_s"] = syncs[""] / seconds if seconds else 0.0
    seen.rates["full_syncs_per_node_per_s"] = syncs["_full"] / seconds if seconds else 0.0
    spent_s = {kind: float(cpu_ns[f"_{kind}"]) / 1e9 for kind in ("full", "partial")}
    spent_s["beside"] = _beside_s(replication, run, measured, syncs[""])
    for kind, s in (("", sum(spent_s.values())), *((f"_{kind}", s) for kind, s in spent_s.items())):
        seen.rates[f"cpu_proxy{kind}_cores"] = s / seconds if seconds else 0.0
    timeline = run.proxiers[0].timeline
    changed = timeline.own[-timeline.rows :] if timeline.rows else timeline.own
    seen.sync_changed = float(changed.mean()) if len(changed) else 0.0


def _beside_s(replication: Replication, run: ModeRun, measured: Batches, syncs: int) -> float:
    """Return the CPU time of kube-proxies beside their syncs themselves, as far as the profile knows it [s]."""
    costs, every = cpu_costs_of(replication.scenario, run.mode), np.arange(replication.cluster.nodes)
    if costs is None:
        return 0.0
    before, after = (
        sum(int(p.arrivals.count(np.full(len(every), at_ns), every, inclusive=False).sum()) for p in run.proxiers)
        for at_ns in (measured.from_ns, measured.until_ns)
    )
    work = {DECODED: after - before, ACCOUNTED: syncs}
    return float(costs.seconds({name: count for name, count in work.items() if name in costs.coefficients}))


def _observe_programming(seen: Observations, _: Replication, run: ModeRun, measured: Batches) -> None:
    """Latency from a change to rules in force on every node, true and as the annotation has it; a sample a family.

    What is not in force when the run is over is counted with its age, wherever it waits.
    """
    names = ("network_programming_true", "network_programming_reported")
    for proxier in run.proxiers:
        offset, effect_ns = proxier.log.ragged("effects_ns")
        effect_row = np.repeat(np.arange(len(proxier.log.rows)), np.diff(offset))
        trigger_ns = proxier.log.column("trigger_ns")
        report_row = np.flatnonzero(trigger_ns >= measured.from_ns)
        warm = effect_ns >= measured.from_ns
        rows, in_force = len(proxier.log.rows), proxier.in_force
        true = _Folded(measured, rows, effect_row[warm], effect_ns[warm])
        nodes = proxier.syncs.start.shape[1]
        true.observe(nodes, lambda some, told, _: in_force.true_times(some, told))  # noqa: B023 - called at once
        reported = _Folded(measured, rows, report_row, trigger_ns[report_row])
        if run.mode.reports_programming:
            reported.observe(nodes, in_force.reported_times)
        seen.merge(names[0], true.finish(open_too=True))
        seen.merge(names[1], reported.finish())
        left = proxier.unwritten
        unwritten_ns = left.waiting_ns[left.waiting_ns >= measured.from_ns]
        for batch, since_ns in measured.split(unwritten_ns, unwritten_ns):
            seen.tallies[names[0]][batch].add_open(measured.until_ns - since_ns, nodes)
        every, horizon_ns = np.arange(nodes), np.full(nodes, measured.until_ns)
        arrived = proxier.arrivals.count(horizon_ns, every, inclusive=True)
        in_watch = int((int(warm.sum()) - np.searchsorted(effect_row[warm], arrived)).sum())
        seen.counts.changes += int(warm.sum()) + len(unwritten_ns)
        seen.counts.changes_overtaken += int((left.overtaken_ns >= measured.from_ns).sum())
        seen.counts.changes_in_control_plane += len(unwritten_ns)
        seen.counts.node_changes_pending += true.pending + nodes * len(unwritten_ns)
        seen.counts.node_changes_in_watch += in_watch
        seen.counts.node_changes_in_kube_proxy += true.pending - in_watch


def _observe_ingress(seen: Observations, replication: Replication, run: ModeRun, measured: Batches) -> None:
    """Requests through the Ingress controller by their end, and how long its lists lag behind."""
    if run.ingress is None or replication.ingress is None:
        return
    outcomes, traffic = run.ingress.outcomes, replication.ingress
    recorded = outcomes.arrival_ns >= measured.from_ns
    answered = recorded & (outcomes.status == Status.ANSWERED)
    latency = outcomes.finish_ns - outcomes.arrival_ns
    seen.count("ingress_latency", measured.split(latency[answered], outcomes.arrival_ns[answered]))
    seen.others |= {
        "ingress_requests": int(recorded.sum()),
        "ingress_answered": int(answered.sum()),
        "ingress_retried": int((recorded & (outcomes.tries > 1)).sum()),
        **{
            f"ingress_{int(status)}": int((recorded & (outcomes.status == status)).sum())
            for status in Status
            if status != Status.ANSWERED
        },
    }
    seconds = (measured.until_ns - measured.from_ns) / 1e9
    work_s = int(recorded.sum()) * traffic.controller.steps.request_ns / 1e9
    seen.rates["cpu_ingress_cores"] = work_s / seconds if seconds else 0.0
    if traffic.controller.to_pods:
        _observe_lists(seen, replication, run, measured)


def _observe_lists(seen: Observations, replication: Replication, run: ModeRun, measured: Batches) -> None:
    """Latency from a change of a Pod behind an Ingress to each worker's list."""
    assert replication.ingress is not None
    assert run.ingress is not None
    log, ports = run.proxiers[0].log, np.unique(replication.ingress.requests.port)
    routed = np.isin(log.column("service"), replication.cluster.port_service[ports[ports >= 0]])
    offset, effect_ns = log.ragged("effects_ns")
    row = np.repeat(np.arange(len(log.rows)), np.diff(offset))
    chosen = routed[row] & (effect_ns >= measured.from_ns)
    lists = _Folded(measured, len(log.rows), row[chosen], effect_ns[chosen])
    for syncs in run.ingress.syncs:
        for taken_ns in syncs.taken_ns.T:
            lists.add(np.repeat(taken_ns, np.diff(syncs.absorbed, prepend=0)))
    seen.merge("ingress_programming", lists.finish(open_too=True))


OBSERVERS: tuple[Callable[[Observations, Replication, ModeRun, Batches], None], ...] = (
    _observe_packets,
    _observe_syncs,
    _observe_programming,
    _observe_ingress,
)


class _Folded:
    """Counts latencies over nodes, and ages of what is not in force, some nodes at a time.

    They are those of the things that rows of the log tell of, each with the time since when it waits.
    """

    def __init__(self, measured: Batches, rows: int, row: I64, since_ns: I64) -> None:
        self._until_ns = measured.until_ns
        index = measured.index(since_ns)
        self._parts = [(Told.of(row[index == b], rows), since_ns[index == b]) for b in range(measured.count)]
        self._tallies = [Tally() for _ in self._parts]
        self._open = [np.zeros(len(since), np.int64) for _, since in self._parts]  # nodes without it
        self.pending = 0

    def observe(self, nodes: int, times_of: Callable[[I64, Told, I64], tuple[I64, I64]]) -> None:
        """Count all nodes: ``times_of`` some of them gives (k, m) times, and how many of the m are over on each."""
        for part, (told, since_ns) in enumerate(self._parts):
            at_once = max(FOLD_AT // max(len(told.row), 1), 1)
            for first in range(0, nodes if len(told.row) else 0, at_once):
                some = np.arange(first, min(first + at_once, nodes))
                self._count(part, *times_of(some, told, since_ns))

    def add(self, in_force_ns: I64) -> None:
        """Count one watcher: when each row it absorbed came into force, (absorbed,)."""
        for part, (told, _) in enumerate(self._parts):
            known = np.searchsorted(told.row, len(in_force_ns))
            times = np.full((1, len(told.row)), NEVER)
            times[0, :known] = in_force_ns[told.row[:known]]
            self._count(part, times, np.array([known]))

    def _count(self, part: int, times: I64, known: I64) -> None:
        since_ns, tally = self._parts[part][1], self._tallies[part]
        whole = int(known.min())  # so many are over on all of these nodes
        if times[:, :whole].max(initial=0) < NEVER:
            tally.add(times[:, :whole] - since_ns[:whole])
        else:
            whole = 0
        seen = times[:, whole:] < NEVER
        tally.add((times[:, whole:] - since_ns[whole:])[seen])
        self._open[part] += np.cumsum(np.bincount(known, minlength=len(since_ns) + 1))[:-1]
        self.pending += int((len(since_ns) - known).sum())

    def finish(self, *, open_too: bool = False) -> list[Tally]:
        """Return all tallies; what is not in force is in them only if ``open_too``."""
        if open_too:
            for tally, nodes, (_, since_ns) in zip(self._tallies, self._open, self._parts, strict=True):
                tally.add_open(self._until_ns - since_ns, nodes)
        return self._tallies
