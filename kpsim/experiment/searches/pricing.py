"""A search's numbers by the profile's prices: of a probe's quantities, and of the value at which a bound is crossed.

Nothing is simulated for it.  A crossing by prices is where the curve of the probes meets the bound over the spread of
prices at the crossing: dearer prices cross it earlier, cheaper ones later.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from kpsim.cluster.columns import Cluster
from kpsim.experiment.answers.prices.parts import Priced, Ran, Spread, spread_over
from kpsim.experiment.observing.control import stages_of
from kpsim.experiment.searches.bisection.crossing import Point
from kpsim.experiment.searches.quantity import Quantity, Seen
from kpsim.measure.intervals import Drawn
from kpsim.measure.summary import MEASURES, Estimate
from kpsim.scenario.model import Scenario
from kpsim.simulation import mode_of

LEAST_RISE = 1e-3  # of a margin over the logarithm of a value: flatter curves cross nowhere in reach
FARTHEST = math.log(1000)


def ran_of(seen: Sequence[Seen]) -> Ran:
    """Return the means of what ran in all replications of a probe."""
    syncs = {}
    for name in dict.fromkeys(name for each in seen for name in each.syncs):
        n = sum(each.syncs[name][0] for each in seen)
        syncs[name] = (n, sum(each.syncs[name][1] for each in seen) / max(n, 1))
    changed, tried = (sum(getattr(each, name) for each in seen) / len(seen) for name in ("sync_changed", "tried"))
    return Ran(syncs, stages_of([each.stages for each in seen]), changed, tried)


def spreads(
    scenario: Scenario, cluster: Cluster, mode: str, drawn: Mapping[Quantity, Drawn | None], seen: Sequence[Seen]
) -> dict[Quantity, Spread]:
    """Return how far each quantity of a probe moves by prices; those without prices, such as CPU, are left out."""
    parts = Priced(scenario, cluster, *mode_of(scenario, mode), ran_of(seen))
    found = {}
    for quantity, each in drawn.items():
        if quantity.measure in MEASURES and each is not None and each.value > 0 and not each.at_least:
            of = parts.parts(quantity.measure, quantity.statistic, each.value)
            if of:
                found[quantity] = spread_over(of)
    return found


def crossed_by_prices(points: Sequence[Point], found: float, spread: Spread, sign: int) -> Estimate | None:
    """Return a crossing, a value, with its interval by prices; ``None`` where the curve is flat.

    ``points`` are of the search, margins over logarithms of values; ``sign`` is -1 where more is better.

    >>> import numpy as np
    >>> line = [Point(at, at - 9.0, np.zeros(0)) for at in (8.0, 9.0, 10.0)]
    >>> crossed = crossed_by_prices(line, math.exp(9.0), Spread(0.8, 1.25), 1)
    >>> round(crossed.low / crossed.value, 3), round(crossed.high / crossed.value, 3)
    (0.8, 1.25)
    """
    known = sorted((point for point in points if point.known), key=lambda point: point.at)
    moves = [sign * math.log(max(end, 1e-3)) for end in (spread.low, spread.high)]
    ends = [_meets(known, math.log(found), -move) for move in moves]
    if None in ends:
        return None
    low, high = sorted(math.exp(end) for end in ends if end is not None)
    return Estimate(found, min(low, found), max(high, found))


def _meets(points: Sequence[Point], near: float, level: float) -> float | None:
    """Return the logarithm nearest to ``near`` at which the curve is at ``level``; beyond its points, by its slope."""
    crossed = [
        a.at + (b.at - a.at) * (level - a.margin) / (b.margin - a.margin)
        for a, b in pairwise(points)
        if min(a.margin, b.margin) <= level <= max(a.margin, b.margin) and b.margin != a.margin
    ]
    if crossed:
        return min(crossed, key=lambda at: abs(at - near))
    if len(points) < 2:
        return None
    first, last = points[0], points[-1]
    slope = (last.margin - first.margin) / (last.at - first.at) if last.at > first.at else 0.0
    if abs(slope) < LEAST_RISE:
        return None
    end = first if abs(first.margin - level) < abs(last.margin - level) else last
    return min(max(end.at + (level - end.margin) / slope, near - FARTHEST), near + FARTHEST)
