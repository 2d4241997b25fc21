"""A mode's run is shown to one observer after another; a new measure is counted by one of them, or by one more."""

from __future__ import annotations

from collections.abc import Callable

from kpsim.experiment.observing.balance import observe_balance
from kpsim.experiment.observing.control import observe_control_plane
from kpsim.experiment.observing.events import EventSeen, measure_joins, measure_propagation
from kpsim.experiment.observing.ingress import observe_ingress
from kpsim.experiment.observing.observations import Observations
from kpsim.experiment.observing.packets import observe_packets
from kpsim.experiment.observing.programming import observe_programming
from kpsim.experiment.observing.syncs import observe_syncs
from kpsim.measure.stretches import Batches
from kpsim.measure.summary import MEASURES
from kpsim.measure.tally import forget_values
from kpsim.simulation import ModeRun, Replication
from kpsim.units import to_ns

OBSERVERS: tuple[Callable[[Observations, Replication, ModeRun, Batches], None], ...] = (
    observe_packets,
    observe_syncs,
    observe_programming,
    observe_ingress,
    observe_control_plane,
    observe_balance,
)


def observe(replication: Replication, run: ModeRun, batches: int) -> Observations:
    """Return everything the summaries are made of; the warm-up is cut here."""
    measured = Batches(to_ns(replication.scenario.run.warmup_s), replication.horizon_ns, batches)
    seen = Observations(run.mode.name, {name: measured.empty(name) for name in MEASURES})
    seen.events = [EventSeen(trace) for trace in replication.traces]
    seen.sampled = not replication.windows.whole
    for observer in OBSERVERS:
        observer(seen, replication, run, measured)
    measure_joins(seen.events, replication.joins, run)
    measure_propagation(seen.events, replication.cluster, replication.changes, run)
    for tallies in seen.tallies.values():
        forget_values(tallies)
    return seen
