"""The search for a crossing with as few simulations as it takes: a bracket, secants, then a stencil for the interval.

Bisection on a logarithmic axis, guided by the line between the ends of the bracket.  Once a probe is near the bound,
three more are placed around the crossing, as far apart as the noise needs, and the crossing is read off a line through
all that are near.  Nothing here knows a cluster: ``ask`` simulates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from kpsim.experiment.searches.bisection.crossing import Point, crossing
from kpsim.measure.summary import Estimate

STEP = math.log(4)  # between values until there is a bracket
NEAR = 0.25  # a margin this small is near the bound
CLOSEST, WIDEST = 0.04, 0.35  # half a stencil, in logarithms of the value
NOISES = 3.0  # standard deviations of the margin to one arm of the stencil
MOST_SECANTS, MOST_STENCILS = 10, 3
NARROW = math.log(1.03)  # a bracket not worth halving
TOLERANCE = 1e-9  # of logarithms that are meant to be equal
INSIDE = 0.1  # of a bracket: a secant keeps this far from its ends

Ask = Callable[[Sequence[float]], list[Point]]  # logarithms of values, not all of which need be new


@dataclass(frozen=True, slots=True)
class Hunted:
    """The outcome of a search; ``crossing`` is a value with its interval, ``None`` unless one was crossed."""

    ended: Literal["crossed", "met everywhere", "met nowhere"]
    crossing: Estimate | None
    points: tuple[Point, ...]  # in order of their values


class _Trail:
    """The points looked at."""

    def __init__(self, ask: Ask, lowest: float, highest: float) -> None:
        self._ask, self.lowest, self.highest = ask, lowest, highest
        self.points: dict[float, Point] = {}

    def look(self, *places: float) -> list[Point]:
        """Simulate at these places, kept within the range; return the points there."""
        found = self._ask([min(max(place, self.lowest), self.highest) for place in places])
        self.points |= {point.at: point for point in found}
        return found

    def bracket(self) -> tuple[Point, Point]:
        """Return the first two neighbours of which the lower is met and the upper is not."""
        ordered = sorted(self.points.values(), key=lambda point: point.at)
        return next((low, high) for low, high in pairwise(ordered) if low.met and not high.met)


def hunt(ask: Ask, start: float, lowest: float, highest: float) -> Hunted:
    """Search between logarithms of values; the objective is met at small ones, and broken at large ones."""
    trail = _Trail(ask, lowest, highest)
    (point,) = trail.look(start)
    step = STEP if point.met else -STEP
    wanted, end = not point.met, highest if point.met else lowest
    seen = 0
    while point.met is not wanted and abs(point.at - end) > TOLERANCE and len(trail.points) > seen:
        seen = len(trail.points)
        (point,) = trail.look(point.at + step)
    if point.met is not wanted:
        return _ended(trail, "met nowhere" if wanted else "met everywhere", None)
    _close_in(trail)
    return _ended(trail, "crossed", _measured(trail))


def _ended(trail: _Trail, how: Literal["crossed", "met everywhere", "met nowhere"], found: Estimate | None) -> Hunted:
    return Hunted(how, found, tuple(sorted(trail.points.values(), key=lambda point: point.at)))


def _close_in(trail: _Trail) -> None:
    """Narrow the bracket until a point whose margin is known is near the bound, or it is narrow."""
    for _ in range(MOST_SECANTS):
        low, high = trail.bracket()
        width = high.at - low.at
        if width <= NARROW or (low.known and high.known and min(-low.margin, high.margin) <= NEAR):
            return
        share = -low.margin / (high.margin - low.margin) if low.known and high.known else 0.5
        place = low.at + width * min(max(share, INSIDE), 1 - INSIDE)
        before = len(trail.points)
        trail.look(place)
        if len(trail.points) == before:
            return  # nothing lies between


def _measured(trail: _Trail) -> Estimate:
    """Return the crossing with its interval, from points around it; the bracket where no line can be drawn."""
    low, high = trail.bracket()
    place = _between(low, high)
    found: tuple[float, Estimate] | None = None
    for _ in range(MOST_STENCILS):
        arm = _arm(low, high)
        trail.look(place - arm, place, place + arm)
        low, high = trail.bracket()
        reach = 1.5 * arm
        found = crossing(list(trail.points.values()), place, reach)
        if found is not None and not math.isfinite(found[0]):
            found = None  # a draw did not finish at one of the points, and no line goes through it
        if found is None or abs(found[0] - place) <= arm / 2:
            break
        place = min(max(found[0], place - 2 * arm), place + 2 * arm)
    if found is None or not low.known or not high.known:
        return _bracketed(trail)
    return found[1]


def _between(low: Point, high: Point) -> float:
    if not high.known:
        return (low.at + high.at) / 2
    return low.at + (high.at - low.at) * -low.margin / max(high.margin - low.margin, TOLERANCE)


def _arm(low: Point, high: Point) -> float:
    """Return half a stencil: so long that margins at its ends stand out of the noise."""
    rise = (high.margin - low.margin) / max(high.at - low.at, TOLERANCE) if high.known else math.inf
    noise = max(low.noise, high.noise)
    if not math.isfinite(noise):
        return WIDEST
    return min(max(NOISES * noise / rise if rise > 0 else WIDEST, CLOSEST), WIDEST)


def _bracketed(trail: _Trail) -> Estimate:
    """Return the last value that is met and an interval around it: from surely met to broken."""
    _halve(trail)
    low, high = trail.bracket()
    sure = [p for p in trail.points.values() if p.at <= low.at and p.margin + 2 * p.noise < 0]
    least = max((point.at for point in sure), default=min(trail.points))
    return Estimate(math.exp(low.at), math.exp(least), math.exp(high.at))


def _halve(trail: _Trail) -> None:
    low, high = trail.bracket()
    while high.at - low.at > NARROW:
        before = len(trail.points)
        trail.look((low.at + high.at) / 2)
        if len(trail.points) == before:
            return
        low, high = trail.bracket()
