"""Observations of one mode in one replication: a tally a measure and stretch of time, counts, rates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, field

import numpy as np

from kpsim.experiment.observing.events import EventSeen
from kpsim.measure.tally import Tally
from kpsim.units import F64, I64


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

    def count(self, measure: str, parts: Iterable[tuple[int, I64]]) -> None:
        """Count values of a measure, each part of them in a batch."""
        for batch, values in parts:
            self.tallies[measure][batch].add(values)

    def merge(self, measure: str, more: Sequence[Tally]) -> None:
        """Add tallies of a measure, one a batch, to those there are."""
        for tally, other in zip(self.tallies[measure], more, strict=True):
            tally.merge(other)
