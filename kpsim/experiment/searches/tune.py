"""A ladder of values of one knob, the front of the two measures it trades, and the value to take.

Every value is simulated with the same random numbers.  Of two values the front keeps both unless one is at least as
good in both measures.  The value to take is the cheapest (the least of the second measure) that meets the scenario's
thresholds, or the best (the least of the first) where these are about the second alone; without thresholds, or where
none is met, the knee: nearest to the best of both, as shares of their spans.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import Literal

from kpsim.errors import InputError, Place, Problem
from kpsim.experiment.guard import check_size, check_time
from kpsim.experiment.searches.axis import Pairs
from kpsim.experiment.searches.knobs import EXPOSURE, FAILED, Knob, knob_called, measures_of
from kpsim.experiment.searches.pricing import spreads
from kpsim.experiment.searches.probing import Probe, Stopped, lighter, simulated
from kpsim.experiment.searches.quantity import Objective, Quantity, drawn_of, objective_of, quantity_of
from kpsim.experiment.workers import executing
from kpsim.measure.summary import Estimate
from kpsim.scenario.kinds import Look
from kpsim.scenario.model import RunParams, Scenario
from kpsim.scenario.reader import read
from kpsim.simulation import build_cluster
from kpsim.units import UnitError, parse_duration, parse_number

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Rung:
    """One value of the knob; ``read_as`` is another that kube-proxy makes of it, "" if none.

    ``met`` is ``None`` where there is no objective, or an interval, by sampling or by prices, holds its bound.
    """

    written: str
    read_as: str
    scenario: Scenario
    probe: Probe
    met: bool | None
    on_front: bool = False
    prices: Mapping[Quantity, Estimate] = field(default_factory=dict)  # with the interval by the profile's prices


@dataclass(frozen=True, slots=True)
class Tuned:
    """A knob's ladder, in rising order; ``chosen`` is the rung to take, or the scenario's own if none can be told."""

    knob: Knob
    scenario: Scenario
    mode: str
    measures: tuple[Quantity, Quantity]
    objectives: tuple[Objective, ...]
    rungs: tuple[Rung, ...]
    chosen: Rung
    why: str
    now: str  # the scenario's own value
    refused: tuple[tuple[str, str], ...]  # values that cannot be, and why
    run: RunParams
    sampled: bool  # packets were looked at on some nodes and in some stretches of time only

    @property
    def standing(self) -> Literal["met", "failed", "undecided"]:
        """Return whether some value meets the objectives, none does, or that cannot be said."""
        each = {rung.met for rung in self.rungs}
        return "met" if not self.objectives or self.chosen.met else "undecided" if None in each else "failed"

    @property
    def untold(self) -> tuple[Quantity, ...]:
        """Return the measures that no rung has a value of, so that there is no front and nothing to take."""
        each = tuple(m for m in self.measures if not any(math.isfinite(value_of(rung, m)) for rung in self.rungs))
        return () if self.chosen.met else each

    @property
    def front(self) -> tuple[Rung, ...]:
        """Return the rungs that no other beats in both measures, by the first measure."""
        found = [rung for rung in self.rungs if rung.on_front]
        return tuple(sorted(found, key=lambda rung: value_of(rung, self.measures[0])))


def tune(
    look: Look,
    name: str,
    overrides: Pairs = (),
    *,
    values: Sequence[str] = (),
    against: Sequence[str] = (),
    objectives: Sequence[str] = (),
    jobs: int = 1,
    progress: Progress | None = None,
    most_bytes: float | None = None,
    most_s: float | None = None,
    executor: Executor | None = None,
) -> Tuned:
    """Simulate a ladder of a knob's values, and return the front and the value to take.

    ``against`` are the two measures, the knob's own by default; ``objectives`` the scenario's by default.  Raises
    :class:`InputError` for a knob or a measure that is not there, or if no value can be, and :class:`Stopped` when it
    is interrupted.
    """
    knob = knob_called(name)
    base = read(look, overrides)
    mode = base.kube_proxy.mode if base.kube_proxy.mode in base.modes else base.modes[0]
    measures = measures_of(knob, [quantity_of(text) for text in against])
    asked = _objectives(knob, base, objectives)
    wanted = tuple(dict.fromkeys([*measures, *(objective.quantity for objective in asked)]))
    run = lighter(base, overrides, wanted)
    now = knob.now(base, mode)
    todo, refused = _ladder(look, knob, overrides, replace(base, modes=(mode,)), [*(values or knob.ladder), now], run)
    seconds = sum(check_size(scenario, most_bytes, math.inf).seconds for scenario in todo.values())
    check_time(seconds / jobs, most_s, {}, f"a ladder of {len(todo)} values")
    probes, sampled = _probed(todo, wanted, jobs, progress, executor)
    rungs = _rungs(knob, mode, todo, probes, asked, measures)
    own = next((rung for rung in rungs if now and size_of(rung.written) == size_of(now)), rungs[0])
    chosen, why = _choose(rungs, measures, asked, own)
    return Tuned(knob, base, mode, measures, asked, tuple(rungs), chosen, why, now, tuple(refused), run, sampled)


def _objectives(knob: Knob, base: Scenario, texts: Sequence[str]) -> tuple[Objective, ...]:
    if texts:
        return tuple(map(objective_of, texts))
    if knob.measures[0] == FAILED:
        exposure = Objective(EXPOSURE, "<=", 0.0, "no rule that leads to a Pod that is gone")
        return (Objective(FAILED, "<=", 0.0, "no failed connection"), exposure)
    return tuple(Objective.of(threshold) for threshold in base.thresholds)


def _ladder(
    look: Look, knob: Knob, overrides: Pairs, base: Scenario, values: Sequence[str], run: RunParams
) -> tuple[dict[str, Scenario], list[tuple[str, str]]]:
    """Return the scenario at every value that can be, in rising order, and those that cannot with their reasons."""
    found: dict[str, Scenario] = {}
    refused: list[tuple[str, str]] = []
    (mode,) = base.modes
    for value in sorted({size_of(value): value for value in reversed(values) if value}.values(), key=size_of):
        settings = knob.settings(base, mode, value)
        try:
            found[value] = replace(read(look, [*overrides, *settings]), modes=(mode,), run=run)
        except InputError as error:
            refused.append((value, error.problems[0].what))
    if not found:
        raise InputError(f"{knob.name}: no value can be: {refused[0][1] if refused else 'none was given'}")
    return found, refused


def size_of(value: str) -> float:
    """Return a written value as a number, seconds of a duration.  Raises :class:`InputError` for what is neither."""
    try:
        return float(parse_number(value))
    except UnitError:
        try:
            return parse_duration(value)
        except UnitError as error:
            what = f"{value[:60]!r} is neither a number nor a duration: {error.what}"
            raise InputError([Problem(Place(), what=what, mend="write e.g. 50, 500ms or 2s")]) from None


def _probed(
    todo: dict[str, Scenario],
    wanted: Sequence[Quantity],
    jobs: int,
    progress: Progress | None,
    executor: Executor | None,
) -> tuple[dict[str, Probe], bool]:
    """Return a probe a value, and True if only some packets were looked at."""
    first: dict[str, str] = {}
    for value, scenario in todo.items():  # scenarios that are equal to another are not simulated again
        first[value] = next((other for other in first if todo[other] == scenario), value)
    distinct = {value: todo[value] for value in todo if first[value] == value}
    done = []

    def tell(value: str) -> None:
        done.append(value)
        if progress:
            progress(len(done), len(distinct))

    found: dict[str, Probe] = {}
    sampled = False
    try:
        with executing(jobs, executor) as chosen:
            for value, mode, seen in simulated(distinct, wanted, tell, chosen):
                drawn = {quantity: drawn_of(quantity, seen) for quantity in wanted}
                found[value] = Probe(size_of(value), mode, drawn, tuple(seen))
                sampled = sampled or any(each.sampled for each in seen)
    except KeyboardInterrupt:
        raise Stopped(list(found.values())) from None
    return {value: replace(found[first[value]], value=size_of(value)) for value in todo}, sampled


def _rungs(
    knob: Knob,
    mode: str,
    todo: dict[str, Scenario],
    probes: dict[str, Probe],
    objectives: Sequence[Objective],
    measures: tuple[Quantity, Quantity],
) -> list[Rung]:
    cluster = build_cluster(next(iter(todo.values())))[0]  # no knob changes what is laid out
    rungs = []
    for value, scenario in todo.items():
        probe = probes[value]
        prices = {
            quantity: spread.of(drawn.value)
            for quantity, spread in spreads(scenario, cluster, mode, probe.drawn, probe.seen).items()
            if (drawn := probe.drawn[quantity]) is not None
        }
        met = _met(probe, prices, objectives)
        rungs.append(Rung(value, knob.read_as(scenario, mode, value), scenario, probe, met, prices=prices))
    pairs = [tuple(value_of(rung, measure) for measure in measures) for rung in rungs]
    return [replace(rung, on_front=_on_front(pair, pairs)) for rung, pair in zip(rungs, pairs, strict=True)]


def _on_front(pair: tuple[float, ...], pairs: Sequence[tuple[float, ...]]) -> bool:
    """Return True if nothing is at least as good in both measures and better in one."""
    if not all(map(math.isfinite, pair)):
        return False
    return not any(all(a <= b for a, b in zip(other, pair, strict=True)) and other != pair for other in pairs)


def value_of(rung: Rung, quantity: Quantity) -> float:
    """Return a quantity's value; infinite where the sample is too small, or too much is unfinished."""
    drawn = rung.probe.drawn[quantity]
    return math.inf if drawn is None or drawn.at_least else drawn.value


def _met(probe: Probe, prices: Mapping[Quantity, Estimate], objectives: Sequence[Objective]) -> bool | None:
    """Return whether every objective is met by the wider of its intervals; ``None`` where that cannot be said."""
    if not objectives:
        return None
    each = [
        _meets(probe.estimate(objective.quantity), prices.get(objective.quantity), objective)
        for objective in objectives
    ]
    return False if False in each else None if None in each else True


def _meets(found: Estimate | None, prices: Estimate | None, objective: Objective) -> bool | None:
    if found is None:
        return None
    each = [e for e in (found, prices) if e is not None]
    low = min(e.value if e.low is None else e.low for e in each)
    high = math.inf if found.at_least else max(e.value if e.high is None else e.high for e in each)
    strict = len(objective.operator) == 1
    ends = {_below(end * objective.sign, objective.bound * objective.sign, strict=strict) for end in (low, high)}
    return ends.pop() if len(ends) == 1 else None


def _below(value: float, bound: float, *, strict: bool) -> bool:
    return value < bound if strict else value <= bound


def _choose(
    rungs: Sequence[Rung], measures: tuple[Quantity, Quantity], objectives: Sequence[Objective], own: Rung
) -> tuple[Rung, str]:
    """Return the rung to take, and the reason; the scenario's ``own`` where no rung has both measures."""
    first, second = measures
    meeting = [rung for rung in rungs if rung.met]
    if meeting:
        if all(objective.quantity == second for objective in objectives):  # what is kept is not saved further
            first, second = second, first
        cheapest = min(meeting, key=lambda rung: (value_of(rung, second), value_of(rung, first), bool(rung.read_as)))
        met = " and ".join(objective.text for objective in objectives)
        which = "with" if met.startswith("no ") else "that meet"
        return cheapest, f"of the values {which} {met}, it has the least {second.name}"
    if not any(rung.on_front for rung in rungs):
        return own, "no value has both measures, so there is no front"
    left = [rung for rung in rungs if rung.met is None] or list(rungs)
    front = [rung for rung in left if rung.on_front] or left
    asked = " and ".join(objective.text for objective in objectives)
    missed = f"whether it meets {asked} is undecided; " if left[0].met is None else f"no value meets {asked}; "
    chosen = min(front, key=lambda rung: (_distance(rung, front, measures), bool(rung.read_as)))
    return chosen, f"{missed if objectives else ''}it is the knee of the front"


def _distance(rung: Rung, front: Sequence[Rung], measures: Sequence[Quantity]) -> float:
    """Return how far a rung is from the best of both measures, each as a share of the front's span."""
    total = 0.0
    for measure in measures:
        values = [value_of(each, measure) for each in front]
        span = max(values) - min(values)
        total += ((value_of(rung, measure) - min(values)) / span) ** 2 if span > 0 and math.isfinite(span) else 0.0
    return total
