"""Scenarios are simulated here for a search: once each, several at a time, in processes that are kept for all of it.

What is looked at is a few quantities, so a probe is shorter than a run: packets that no quantity needs are left out.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TypeVar

from kpsim.experiment.guard import check_size
from kpsim.experiment.replications import replicate_packed
from kpsim.experiment.searches.axis import Axis, Pairs
from kpsim.experiment.searches.quantity import Quantity, Seen, drawn_of
from kpsim.experiment.workers import finished, hands_of
from kpsim.measure.intervals import Drawn
from kpsim.measure.summary import Estimate
from kpsim.scenario.model import RunParams, Scenario

MEASURED_S = 120.0  # simulated in a probe beside the warm-up, if nothing asks for more
PACKETS, FEW_PACKETS = 300_000, 1_000
Tell = Callable[[int], None]  # probes done
Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class Probe:
    """One mode at one value: each quantity with its draws; ``None`` where the sample is too small for it."""

    value: float
    mode: str
    drawn: Mapping[Quantity, Drawn | None]
    seen: tuple[Seen, ...] = field(default=(), repr=False, compare=False)

    def estimate(self, quantity: Quantity) -> Estimate | None:
        """Return a quantity with its 95 % interval."""
        drawn = self.drawn[quantity]
        return None if drawn is None else drawn.estimate()


class Stopped(KeyboardInterrupt):
    """A search was interrupted; these are the probes that were whole by then."""

    def __init__(self, probes: Sequence[Probe]) -> None:
        super().__init__()
        self.probes = tuple(probes)


@dataclass(slots=True)
class Prober:
    """Simulates values of an axis, each once, and remembers them."""

    axis: Axis
    wanted: tuple[Quantity, ...]
    run: RunParams
    executor: Executor
    most_bytes: float | None = None
    most_s: float | None = None  # of a value
    tell: Tell = lambda _done: None
    probes: dict[tuple[float, str], Probe] = field(default_factory=dict)
    done: int = 0

    def at(self, values: Sequence[float], modes: Sequence[str]) -> list[list[Probe]]:
        """Return a probe a value and mode, simulating those that are new.

        Raises :class:`InputError` for a value that cannot be, and :class:`GuardError` for one that takes too much.
        """
        todo, most = {}, hands_of(self.executor)
        for value in dict.fromkeys(values):
            missing = tuple(mode for mode in modes if (value, mode) not in self.probes)
            if missing:
                todo[value] = self.scenario(value, missing)
                size = check_size(todo[value], self.most_bytes, self.most_s, jobs=hands_of(self.executor))
                most = min(most, size.processes)
        for value, mode, seen in simulated(todo, self.wanted, self._count, self.executor, most):
            drawn = {quantity: drawn_of(quantity, seen) for quantity in self.wanted}
            self.probes[value, mode] = Probe(value, mode, drawn, tuple(seen))
        return [[self.probes[value, mode] for mode in modes] for value in values]

    def _count(self, _value: float) -> None:
        self.done += 1
        self.tell(self.done)

    def scenario(self, value: float, modes: Sequence[str]) -> Scenario:
        """Return the scenario that is simulated at a value."""
        return replace(self.axis.scenario_at(value), modes=tuple(modes), run=self.run)


def simulated(
    todo: Mapping[Key, Scenario],
    wanted: Sequence[Quantity],
    tell: Callable[[Key], None],
    executor: Executor,
    most: int | None = None,
) -> Iterator[tuple[Key, str, list[Seen]]]:
    """Yield what was seen of each scenario under each of its modes, replication by replication, in order.

    ``tell`` is called with each scenario whose replications are all there.  Interrupted, it yields those, and raises
    then.
    """
    found: dict[tuple[Key, int], list[Seen]] = {}
    packed = {key: pickle.dumps(scenario) for key, scenario in todo.items()}
    tasks = {
        (key, n): (packed[key], n, wanted) for key, scenario in todo.items() for n in range(scenario.run.replications)
    }

    def take(key: Key, number: int, seen: list[Seen]) -> None:
        found[key, number] = seen
        if all((key, n) in found for n in range(todo[key].run.replications)):
            tell(key)

    stopped: KeyboardInterrupt | None = None
    try:
        with closing(finished(tasks, observed, executor, most)) as answers:
            for (key, number), future in answers:
                take(key, number, future.result())
    except KeyboardInterrupt as interrupt:
        stopped = interrupt
    for key, scenario in todo.items():
        if stopped and not all((key, number) in found for number in range(scenario.run.replications)):
            continue
        every = [found[key, number] for number in range(scenario.run.replications)]
        for m, mode in enumerate(scenario.modes):
            yield key, mode, [seen[m] for seen in every]
    if stopped:
        raise stopped


def observed(packed: bytes, number: int, wanted: Sequence[Quantity]) -> list[Seen]:
    """Return what one replication of a pickled scenario shows of some quantities, under each mode."""
    return [Seen.of(found, wanted) for found in replicate_packed(packed, number, "batch")]


def lighter(base: Scenario, overrides: Pairs, wanted: Sequence[Quantity]) -> RunParams:
    """Return a probe's run: the scenario's, shorter and with fewer packets unless an override says otherwise."""
    run, asked = base.run, {name for name, _ in overrides}
    if "run.duration" not in asked and not base.events:
        run = replace(run, duration_s=min(run.duration_s, run.warmup_s + MEASURED_S))
    if "run.packets" not in asked and not any(quantity.counts for quantity in wanted):
        most = PACKETS if any(quantity.of_packets for quantity in wanted) else FEW_PACKETS
        run = replace(run, packets=min(run.packets, most))
    return run
