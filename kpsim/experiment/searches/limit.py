"""The largest value of an axis that still meets the objectives, mode by mode, with an interval and what ends it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from kpsim.errors import InputError
from kpsim.experiment.answers.curves import extrapolations
from kpsim.experiment.searches.axis import Axis, Pairs
from kpsim.experiment.searches.bisection.crossing import Point
from kpsim.experiment.searches.bisection.hunt import Hunted, hunt
from kpsim.experiment.searches.ceilings import Ceiling, Ceilings
from kpsim.experiment.searches.pricing import crossed_by_prices, spreads
from kpsim.experiment.searches.probing import Probe, Prober, Stopped, lighter
from kpsim.experiment.searches.quantity import Objective, objective_of
from kpsim.experiment.workers import executing
from kpsim.measure.intervals import Drawn
from kpsim.measure.summary import Estimate
from kpsim.proxy.registry import MODES
from kpsim.scenario.kinds import Look
from kpsim.scenario.model import RunParams, Scenario
from kpsim.simulation import build_cluster, mode_of
from kpsim.units import F64

EXPECTED = 9  # probes of a mode, for a progress bar
LOWEST = 1 / 4096  # of where the scenario stands
SMALLEST = 1e-12  # TOLERANCE: a quantity of zero has a logarithm too
Progress = Callable[[int, int], None]
Ended = Literal["objective", "limit", "range", "nowhere"]


@dataclass(frozen=True, slots=True)
class ModeLimit:
    """One mode's answer: the largest value and its 95 % interval, what ended it, and every probe.

    ``ended`` by an "objective" that breaks, by a hard "limit" while objectives are met, by the "range" that was looked
    at; or "nowhere", where no value meets the objectives.
    """

    mode: str
    largest: Estimate | None
    ended: Ended
    breaks: str  # the objective or the limit that ends it
    ceiling: Ceiling | None
    probes: tuple[Probe, ...]  # in order of their values
    improves: bool = False  # objectives are met at large values: ``largest`` is then the smallest that meets them
    cautions: tuple[str, ...] = ()  # of the mode, and of costs that lie beyond anything measured there
    prices: Estimate | None = None  # ``largest`` with its interval by the profile's prices, where it is a crossing

    @property
    def ends(self) -> tuple[float, float] | None:
        """Return the lowest and the highest that ``largest`` may be by either interval; ``None`` without it."""
        if self.largest is None:
            return None
        each = [e for e in (self.largest, self.prices) if e is not None]
        low = min(e.value if e.low is None else e.low for e in each)
        return low, max(e.value if e.high is None else e.high for e in each)


@dataclass(frozen=True, slots=True)
class LimitFound:
    """A search's answer for every mode, with the hard limits on the way."""

    scenario: Scenario
    axis: Axis
    objectives: tuple[Objective, ...]
    modes: tuple[ModeLimit, ...]
    ceilings: tuple[Ceiling, ...]
    highest: float  # the largest value looked at, or that can be
    refusal: str  # of anything larger, if it was refused
    run: RunParams  # of a probe

    @property
    def configured(self) -> ModeLimit:
        """Return the answer for the mode that the scenario is configured for, or else the first."""
        mode = self.scenario.kube_proxy.mode
        return next((each for each in self.modes if each.mode == mode), self.modes[0])

    def standing(self, each: ModeLimit) -> Literal["met", "failed", "undecided"]:
        """Return whether the scenario itself meets the objectives with a mode, by the wider of its intervals."""
        start, ends = self.axis.start, each.ends
        if ends is None:
            return "failed"
        if start is None:
            return "met"
        low, high = ends
        if low < high and low <= start <= high:
            return "undecided"
        return "failed" if (start < low if each.improves else start > high) else "met"

    @property
    def shortened(self) -> bool:
        """Return True if probes are shorter than the scenario's own runs."""
        return self.run.duration_s < self.scenario.run.duration_s


def limit(
    look: Look,
    name: str,
    overrides: Pairs = (),
    *,
    objectives: Sequence[str] = (),
    within: tuple[float | None, float | None] = (None, None),
    jobs: int = 1,
    progress: Progress | None = None,
    most_bytes: float | None = None,
    most_s: float | None = None,
    executor: Executor | None = None,
) -> LimitFound:
    """Return the largest value of the axis ``name`` that meets ``objectives`` (the scenario's own by default).

    ``within`` are the smallest and largest value to look at.  Raises :class:`InputError` where there is no objective,
    or nothing to look at, and :class:`Stopped` when it is interrupted.
    """
    axis = Axis.of(look, name, overrides)
    asked = _objectives(look, axis.base, objectives)
    start = _start(axis, within)
    laid_out = Ceilings(axis, most_bytes)
    highest = laid_out.climb(start, within[1])
    quantities = tuple(dict.fromkeys(objective.quantity for objective in asked))
    run = lighter(axis.base, overrides, quantities)
    between = (within[0] or max(axis.least, start * LOWEST), highest)
    total = EXPECTED * len(axis.base.modes)
    tell = progress or (lambda _done, _total: None)
    with executing(jobs, executor) as chosen:
        prober = Prober(
            axis, quantities, run, chosen, most_bytes, most_s, lambda done: tell(done, max(total, done + 1))
        )
        try:
            found = tuple(_searched(prober, asked, mode, start, between, laid_out) for mode in axis.base.modes)
        except KeyboardInterrupt:
            raise Stopped([probe for _, probe in sorted(prober.probes.items())]) from None
    ceilings = laid_out.ceilings(axis.base.modes)
    return LimitFound(axis.base, axis, asked, found, ceilings, max(laid_out.known), laid_out.refusal, run)


def _searched(
    prober: Prober,
    objectives: Sequence[Objective],
    mode: str,
    start: float,
    between: tuple[float, float],
    laid_out: Ceilings,
) -> ModeLimit:
    """Search one mode up to the largest value that can be, which is looked for only if it has to be known."""
    ends = [each for each in laid_out.ceilings([mode]) if each.ends]
    found = _of_mode(prober, objectives, mode, start, between, ends)
    if found.ended == "range" and laid_out.refusal:
        found = _of_mode(prober, objectives, mode, start, (between[0], laid_out.last(between[1])), ends)
        if found.ended == "range" and found.largest is not None and not found.improves:
            said = laid_out.refusal.splitlines()[0].rstrip(".")
            found = replace(found, ended="limit", breaks=said, largest=Estimate(found.largest.value))
    return replace(found, cautions=_cautions(prober.axis, found))


def _cautions(axis: Axis, found: ModeLimit) -> tuple[str, ...]:
    """Return a mode's note where it is deprecated, and the costs that are extrapolated at its limit."""
    entry = MODES[found.mode]
    said = [entry.note] if entry.note and (entry.deprecated or not entry.usual) else []
    if found.largest is None:
        return tuple(said)
    scenario = axis.scenario_at(axis.snap(found.largest.value))
    mode, costs = mode_of(scenario, found.mode)
    return (*said, *extrapolations(build_cluster(scenario)[0], mode, costs))


def _objectives(look: Look, base: Scenario, texts: Sequence[str]) -> tuple[Objective, ...]:
    found = tuple(map(objective_of, texts)) or tuple(map(Objective.of, base.thresholds))
    if not found:
        raise InputError(
            f"{look.name}: there is no objective; name one with --objective 'network_programming_true.p99 < 10s', "
            'or write thresholds: {network_programming_true: ["p99 < 10s"]}'
        )
    for each in found:
        if each.bound <= 0:
            raise InputError(f"{each.text}: a search needs a bound above 0")
    return found


def _start(axis: Axis, within: tuple[float | None, float | None]) -> float:
    lowest, highest = within
    start = axis.start if axis.start and axis.start > 0 else None
    if start is None and lowest and highest:
        start = axis.snap(math.sqrt(lowest * highest))
    if start is None:
        raise InputError(f"{axis.name} is not set, or 0; say where to look, e.g. --range 1..100")
    return min(max(start, lowest or start), highest or start)


def _of_mode(
    prober: Prober,
    objectives: Sequence[Objective],
    mode: str,
    start: float,
    between: tuple[float, float],
    ends: Sequence[Ceiling],
) -> ModeLimit:
    """Search one mode, no further than the first hard limit that ends it."""
    lowest, highest = between
    first = ends[0] if ends else None
    if first is not None and first.at < lowest:
        return ModeLimit(mode, None, "limit", first.limit.name, first, ())
    if first is not None and first.at < highest:
        highest = first.at
    else:
        first = None
    begin = min(start, highest)
    improves = _improves(prober, objectives, mode, begin, between)
    flip = -1.0 if improves else 1.0

    def ask(places: Sequence[float]) -> list[Point]:
        values = [prober.axis.snap(math.exp(flip * place)) for place in places]
        values = [min(max(value, lowest), highest) for value in values]
        return [point_of(probe, objectives, flip) for (probe,) in prober.at(values, [mode])]

    ordered = sorted((flip * math.log(lowest), flip * math.log(highest)))
    hunted = hunt(ask, flip * math.log(begin), *ordered)
    probes = tuple(probe for (_, of), probe in sorted(prober.probes.items()) if of == mode)
    told = _told(prober.axis, objectives, mode, hunted, probes, first, highest, improves=improves)
    return replace(told, prices=_by_prices(prober, objectives, told, hunted, flip))


def _by_prices(
    prober: Prober, objectives: Sequence[Objective], told: ModeLimit, hunted: Hunted, flip: float
) -> Estimate | None:
    """Return the largest value with its interval by prices, from those at the probe nearest to it."""
    if told.ended != "objective" or told.largest is None or hunted.crossing is None:
        return None
    at = math.log(told.largest.value)
    objective = next(each for each in objectives if each.text == told.breaks)
    probes = [probe for probe in told.probes if (d := probe.drawn[objective.quantity]) is not None and not d.at_least]
    if not probes:
        return None
    nearest = min(probes, key=lambda probe: abs(math.log(probe.value) - at))
    scenario = prober.scenario(nearest.value, (told.mode,))
    cluster = build_cluster(scenario)[0]
    spread = spreads(scenario, cluster, told.mode, nearest.drawn, nearest.seen).get(objective.quantity)
    if spread is None:
        return None
    found = crossed_by_prices(hunted.points, hunted.crossing.value, spread, objective.sign)
    if found is None:
        return None
    return _whole(prober.axis, _turned(found) if flip < 0 else found, math.inf)


def _improves(
    prober: Prober, objectives: Sequence[Objective], mode: str, start: float, between: tuple[float, float]
) -> bool:
    """Return True if the objectives are broken where the scenario stands, more so below, and less so above."""
    lower, upper = (prober.axis.snap(min(max(start * times, between[0]), between[1])) for times in (1 / 4, 4))
    ((here,),) = prober.at([start], [mode])
    point = point_of(here, objectives)
    if point.met or not lower < start < upper:
        return False
    ((below,),) = prober.at([lower], [mode])
    if point_of(below, objectives).margin < point.margin + 2 * point.noise:
        return False
    ((above,),) = prober.at([upper], [mode])
    return point_of(above, objectives).margin < point.margin - 2 * point.noise


def _told(
    axis: Axis,
    objectives: Sequence[Objective],
    mode: str,
    hunted: Hunted,
    probes: tuple[Probe, ...],
    ceiling: Ceiling | None,
    highest: float,
    *,
    improves: bool,
) -> ModeLimit:
    """Put a search's end into the words of its axis."""
    if hunted.ended == "crossed" and hunted.crossing is not None:
        found = _turned(hunted.crossing) if improves else hunted.crossing
        near = min((p for p in hunted.points if not p.met), key=lambda point: point.at)
        breaks = objectives[near.breaks].text
        if ceiling is not None and not improves and found.value >= ceiling.at:
            return ModeLimit(mode, Estimate(ceiling.at), "limit", ceiling.limit.name, ceiling, probes)
        return ModeLimit(mode, _whole(axis, found, highest), "objective", breaks, ceiling, probes, improves)
    if hunted.ended == "met everywhere" and not improves:
        if ceiling is not None:
            return ModeLimit(mode, Estimate(ceiling.at), "limit", ceiling.limit.name, ceiling, probes)
        return ModeLimit(mode, Estimate(highest, at_least=True), "range", "", None, probes)
    if hunted.ended == "met everywhere":
        return ModeLimit(mode, Estimate(highest), "range", "", ceiling, probes, improves)
    worst = objectives[min(hunted.points, key=lambda point: point.margin).breaks].text
    return ModeLimit(mode, None, "nowhere", worst, ceiling, probes, improves)


def _turned(found: Estimate) -> Estimate:
    """Return a crossing of the reciprocal axis as one of the axis."""
    low, high = (None if end is None else 1 / end for end in (found.high, found.low))
    return Estimate(1 / found.value, low, high)


def _whole(axis: Axis, found: Estimate, highest: float) -> Estimate:
    """Return a crossing as values that can be: down to whole ones, and no further than what was looked at."""
    if axis.kind not in ("services", "whole"):
        return found
    low = None if found.low is None else float(math.floor(found.low))
    high = None if found.high is None else float(math.ceil(found.high))
    return Estimate(min(float(math.floor(found.value)), highest), low, high)


def point_of(probe: Probe, objectives: Sequence[Objective], flip: float = 1.0) -> Point:
    """Return the worst objective's margin at a value; of each draw, its own worst.

    Raises :class:`InputError` if the sample is too small for every objective.
    """
    margins = {}
    for index, objective in enumerate(objectives):
        drawn = probe.drawn[objective.quantity]
        if drawn is not None:
            margins[index] = _margin(drawn, objective)
    at = flip * math.log(probe.value)
    if not margins:
        said = " and ".join(objective.quantity.name for objective in objectives)
        raise InputError(
            f"{said}: too few observations at {probe.value:,.6g} to tell it\n"
            "    simulate longer (--set run.duration=10m), with more changes (--set "
            "changes.churn.podReplacementsPerSecond=1), or ask for a percentile nearer the middle, such as p50"
        )
    index, (margin, _) = max(margins.items(), key=lambda item: item[1][0])
    if not math.isfinite(margin):
        return Point(at, math.inf, np.zeros(0), breaks=index)
    known = [draws for found, draws in margins.values() if math.isfinite(found)]
    draws = np.max(np.vstack(known), axis=0) if known else np.zeros(0)
    drawn = probe.drawn[objectives[index].quantity]
    return Point(at, margin, draws, drawn.means if drawn else np.zeros(0), index)


def _margin(drawn: Drawn, objective: Objective) -> tuple[float, F64]:
    """Return the logarithm of a quantity over its bound, and of each draw; of a floor, that of a bound over it."""
    sign, bound = objective.sign, math.log(objective.bound)
    value = sign * (math.log(max(drawn.value, SMALLEST)) - bound)
    if drawn.at_least:  # at least so large: surely beyond a bound from above, else unknown
        return (math.inf, np.zeros(0)) if sign > 0 else (value, np.full(400, value))
    return value, sign * (np.log(np.maximum(drawn.draws, SMALLEST)) - bound)
