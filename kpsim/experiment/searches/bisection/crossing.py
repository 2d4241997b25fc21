"""A noisy curve crosses a bound: local regression of the measure on the axis, both logarithmic, draw by draw.

A *margin* is the logarithm of a quantity over its bound: negative where the objective is met.  All values of the axis
were simulated with the same random numbers and are drawn again together (a draw takes the same replications and
stretches of time everywhere), so each draw has a curve of its own, and a crossing of its own.  The spread of these is
that of the crossing, whatever the noise at neighbouring values has in common.

Three draws of a line through two points; margins are linear in the logarithm of the value:

>>> points = [Point(0.0, -1.0, np.array([-1.2, -1.0, -0.8])), Point(1.0, 1.0, np.array([0.8, 1.0, 1.2]))]
>>> value, draws = line_through(points)
>>> float(value), draws.round(2).tolist()
(0.5, [0.6, 0.5, 0.4])
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from kpsim.measure.intervals import Drawn
from kpsim.measure.summary import Estimate
from kpsim.units import F64

FLATTEST = 0.25  # a draw's slope, of the curve's own: flatter ones would cross anywhere
TOLERANCE = 1e-9  # of logarithms that are meant to be equal
FARTHEST = 7.0  # a crossing, in logarithms of the value: a factor of a thousand
NEEDED = 2  # points that a line takes


@dataclass(frozen=True, slots=True)
class Point:
    """A value's logarithm and its margin: as found, of each draw (draws,), and each group's mean, in order.

    The margin is infinite, and there are no draws, where too much was unfinished to say more than "beyond".
    """

    at: float
    margin: float
    draws: F64
    means: F64 = field(default_factory=lambda: np.zeros(0))
    breaks: int = 0  # the objective that the margin is of

    @property
    def met(self) -> bool:
        """Return True if the objective is met, as far as the sample goes."""
        return self.margin < 0

    @property
    def known(self) -> bool:
        """Return True if the margin is a number."""
        return math.isfinite(self.margin)

    @property
    def noise(self) -> float:
        """Return the standard deviation of the margin."""
        return float(np.std(self.draws)) if self.known and len(self.draws) else 0.0


def line_through(points: Sequence[Point]) -> tuple[float, F64]:
    """Return the logarithm at which a least-squares line through the margins is zero: as found, and of each draw.

    Infinite where the line does not rise.
    """
    at = np.array([point.at for point in points])
    centre = float(at.mean())
    away = at - centre
    margins = np.array([np.concatenate([[point.margin], point.draws]) for point in points])
    slope = away @ margins / float(away @ away)
    level = margins.mean(axis=0)
    if slope[0] <= 0:
        return math.inf, np.full(margins.shape[1] - 1, np.inf)
    crossing = centre - level / np.maximum(slope, FLATTEST * slope[0])
    return float(crossing[0]), crossing[1:]


def crossing(points: Sequence[Point], near: float, reach: float) -> tuple[float, Estimate] | None:
    """Return where the margin crosses zero near ``near``: its logarithm, and the value with its 95 % interval.

    Points further than ``reach`` away are left out, unless fewer than three are nearer; ``None`` where no line rises.
    """
    known = sorted((point for point in points if point.known), key=lambda point: (abs(point.at - near), point.at))
    close = [point for point in known if abs(point.at - near) <= reach + TOLERANCE]
    used = close if len(close) > NEEDED else known[: NEEDED + 1]
    if len(used) < NEEDED or len({point.at for point in used}) < NEEDED:
        return None
    found, draws = line_through(used)
    if abs(found - near) > FARTHEST:
        return None  # a line that hardly rises says nothing
    nearest = min(used, key=lambda point: (abs(point.at - found), point.at))
    with np.errstate(over="ignore"):
        drawn = Drawn(math.exp(found), np.exp(draws), nearest.means)
    return found, drawn.estimate()
