"""Quantities that a search looks at: a statistic of a measure, a rate, or what an event cost.

``network_programming_true.p99``, ``cpu_proxy_cores``, ``failed_connections`` (a run), ``rollout_duration``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from kpsim.errors import InputError, Place, Problem, did_you_mean
from kpsim.experiment.answers.prices.parts import SYNCS
from kpsim.experiment.observing.events import EventSeen
from kpsim.experiment.observing.observations import Observations
from kpsim.measure.intervals import DRAWS, Drawn, draw
from kpsim.measure.summary import MEASURES
from kpsim.measure.tally import Tally
from kpsim.rng import stream
from kpsim.scenario.model import Threshold
from kpsim.scenario.sections.thresholds import parse_threshold
from kpsim.units import UnitError, parse_number, to_ns

STATISTICS = ("mean", "p50", "p90", "p99", "p99.9")
RATES = {  # of a run, by the names of their tables, with unit
    "cpu_proxy_cores": "cores",
    "cpu_packets_cores": "cores",
    "api_writes_per_s": "/s",
    "api_bytes_per_s": "B/s",
    "syncs_per_node_per_s": "/s",
}
OF_EVENTS = {  # of a run: opened to a Pod that was gone; longest that rules led to one; until all were replaced
    "failed_connections": "a run",
    "exposure": "s",
    "rollout_duration": "s",
}
_TEXT = re.compile(r"\s*(\w+)(?:\.([\w.]+?))?\s*(?:(<=|>=|<|>)\s*(\S.*?))?\s*")


@dataclass(frozen=True, slots=True)
class Quantity:
    """One number of a mode's runs; ``statistic`` is "mean" of what each run has once."""

    measure: str
    statistic: str = "mean"

    @property
    def name(self) -> str:
        """Return it as an option names it."""
        return f"{self.measure}.{self.statistic}" if self.measure in MEASURES else self.measure

    @property
    def unit(self) -> str:
        """Return its SI unit."""
        if self.measure in MEASURES:
            return MEASURES[self.measure].unit
        return RATES.get(self.measure) or OF_EVENTS[self.measure]

    @property
    def of_packets(self) -> bool:
        """Return True if it needs packets to be simulated."""
        own = self.measure in RATES and self.measure != "cpu_packets_cores"
        return not own and not self.measure.startswith(("network_", "sync_", "rollout_", "exposure"))

    @property
    def counts(self) -> bool:
        """Return True if it is a number of things that happened to packets, of which none may be left out."""
        return self.measure == "failed_connections"


@dataclass(frozen=True, slots=True)
class Objective:
    """A quantity and its bound; ``sign`` is 1 where less is better."""

    quantity: Quantity
    operator: Literal["<", "<=", ">", ">="]
    bound: float
    text: str  # as written

    @property
    def sign(self) -> int:
        """Return 1 if the quantity must stay below the bound, -1 if above."""
        return 1 if self.operator.startswith("<") else -1

    @staticmethod
    def of(threshold: Threshold) -> Objective:
        """Return an objective of a scenario.  Raises :class:`InputError` for a statistic without an interval."""
        quantity = quantity_of(f"{threshold.measure}.{threshold.statistic}")
        return Objective(quantity, threshold.operator, threshold.bound, f"{threshold.measure}.{threshold.text}")


@dataclass(frozen=True, slots=True)
class Seen:
    """One mode in one replication, as far as a search looks: tallies a measure, and numbers of the whole run."""

    tallies: dict[str, list[Tally]]
    numbers: dict[str, float]
    sampled: bool  # packets, on some nodes and in some stretches of time
    syncs: dict[str, tuple[int, float]] = field(default_factory=dict)  # by kind: how many, and their time together [s]
    stages: dict[str, Tally] = field(default_factory=dict)  # of a change's way
    sync_changed: float = 0.0
    tried: float = 0.0

    @staticmethod
    def of(found: Observations, wanted: Sequence[Quantity]) -> Seen:
        """Keep what is wanted, which is little enough to travel between processes."""
        tallies = {q.measure: found.tallies[q.measure] for q in wanted if q.measure in MEASURES}
        numbers = {name: value for name, value in found.rates.items() if name in RATES}
        numbers["failed_connections"] = float(sum(each.connections for each in found.events))
        numbers["exposure"] = max((each.exposed_ns / 1e9 for each in found.events), default=0.0)
        numbers["rollout_duration"] = max(map(_lasts_s, found.events), default=0.0)
        syncs = {name: _together(found.tallies[name]) for name in SYNCS.values()}
        return Seen(
            tallies, numbers, found.sampled, syncs, found.stages, float(found.sync_changed), float(found.tried_mean)
        )


def _together(tallies: Sequence[Tally]) -> tuple[int, float]:
    """Return how many observations tallies hold, and their sum in the tallies' unit."""
    n = sum(each.n for each in tallies)
    return n, Tally.pooled(tallies).mean() * n if n else 0.0


def _lasts_s(event: EventSeen) -> float:
    """Return the time from an event to the last of its Pods that was ready or gone [s]."""
    course = event.trace.course
    busy = np.flatnonzero((course.terminating > 0) | (course.starting > 0))
    last = (
        int(course.time_ns[min(busy[-1] + 1, len(course.time_ns) - 1)]) if len(busy) else to_ns(event.trace.event.at_s)
    )
    return max(last / 1e9 - event.trace.event.at_s, 0.0)


def drawn_of(quantity: Quantity, seen: Sequence[Seen]) -> Drawn | None:
    """Return a quantity over all replications, and over draws of them; ``None`` if the sample is too small."""
    if quantity.measure in MEASURES:
        return draw([tally for each in seen for tally in each.tallies[quantity.measure]]).get(quantity.statistic)
    values = np.array([each.numbers[quantity.measure] for each in seen])
    n = len(values)
    times = stream(0, "bootstrap", n).multinomial(n, [1 / n] * n, DRAWS)
    return Drawn(float(values.mean()), times @ values / n, values)


def quantity_of(text: str) -> Quantity:
    """Return the quantity called ``text``, ``measure.statistic`` or a name alone.

    Raises :class:`InputError` for what is none.
    """
    measure, _, statistic = text.strip().partition(".")
    known = [*MEASURES, *RATES, *OF_EVENTS]
    if measure not in known:
        mend = did_you_mean(measure, known) or f"there are {', '.join(known)}"
        raise InputError([Problem(Place(text), what=f"{measure[:60]!r} is not a measure", mend=mend)])
    if measure not in MEASURES and not statistic:
        return Quantity(measure)
    if statistic not in (STATISTICS if measure in MEASURES else ("mean",)):
        mend = f"write one that has an interval: {', '.join(f'{measure}.{each}' for each in STATISTICS)}"
        raise InputError([Problem(Place(text), what=f"{statistic!r} is no statistic to search with", mend=mend)])
    return Quantity(measure, statistic)


def objective_of(text: str) -> Objective:
    """Return an objective as an option writes it: ``network_programming_true.p99 < 10s``, ``cpu_proxy_cores < 1``.

    Raises :class:`InputError` for what is none.
    """
    match = _TEXT.fullmatch(text)
    if not match or not match[3]:
        mend = "write e.g. 'network_programming_true.p99 < 10s'"
        raise InputError([Problem(Place("--objective"), what=f"{text[:60]!r} is not an objective", mend=mend)])
    measure, statistic, operator, bound = match.groups()
    quantity = quantity_of(f"{measure}.{statistic}" if statistic else measure)
    try:
        if measure in MEASURES:
            threshold = parse_threshold(MEASURES[measure], f"{statistic} {operator} {bound}")
            return Objective(quantity, threshold.operator, threshold.bound, text.strip())
        return Objective(quantity, operator, parse_number(bound), text.strip())  # type: ignore[arg-type]  # by the pattern
    except UnitError as error:
        raise InputError([Problem(Place("--objective"), what=error.what, mend=error.mend)]) from None
