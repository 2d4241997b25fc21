"""A sweep is answered by its crossings: up to which size an objective is met, and from which a mode is the faster one.

A point at which an interval, by sampling or by prices, holds the bound is on neither side: between the last point on
one side and the first on the other nobody can tell.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import pandas as pd

from kpsim.measure.summary import MEASURES, Estimate
from kpsim.proxy.registry import MODES
from kpsim.report.answers.objectives import bound_text
from kpsim.report.wording.axis import place
from kpsim.report.wording.quantity import compact
from kpsim.report.wording.ranking import listed
from kpsim.scenario.model import Threshold
from kpsim.units import Version

Side = Literal["below", "above", "unclear"]
Ends = tuple[float, float]
_STATISTICS = ("p99", "p50")


def about_sweep(
    table: pd.DataFrame, axes: Sequence[str], thresholds: Sequence[Threshold] = (), version: Version | None = None
) -> list[str]:
    """Return a sentence an objective and mode, a mode to choose, and a measure and two modes.

    With ``version`` the mode to choose is one in that release.  Nothing but for one numeric axis.
    """
    if len(axes) != 1 or not pd.api.types.is_numeric_dtype(table[axes[0]]):
        return []
    axis, modes = axes[0], list(dict.fromkeys(table["mode"]))
    said = [_objective(table, axis, mode, each) for each in thresholds for mode in modes]
    compared = [measure for measure in MEASURES.values() if measure.compared]
    names = [measure.name for measure in compared]
    said += [_choice(table, axis, names, mode, modes[0], version) for mode in modes[1:] if version is not None]
    for mode in modes[1:]:
        said += [_crossing(table, axis, name, mode, modes[0]) for name in names]
    return [text for text in said if text]


@dataclass(frozen=True, slots=True)
class Crossed:
    """An objective that is crossed between two points of a sweep, and where, by interpolation between its points."""

    axis: str
    mode: str
    threshold: Threshold
    at: Estimate

    def __str__(self) -> str:
        what = f"{self.threshold.measure} {bound_text(self.threshold)} with {self.mode}"
        ends = (
            "" if self.at.low is None or self.at.high is None else f" [{compact(self.at.low)}, {compact(self.at.high)}]"
        )
        return f"{what} is crossed at about {place(self.axis, self.at.value)}{ends}, between the points simulated."


def crossings(table: pd.DataFrame, axes: Sequence[str], thresholds: Sequence[Threshold]) -> list[Crossed]:
    """Return where each objective is crossed under each mode, once or not at all; nothing but for one numeric axis.

    The interval's ends are where the measure's own widest interval crosses; it is missing where one end does not.
    """
    if len(axes) != 1 or not pd.api.types.is_numeric_dtype(table[axes[0]]):
        return []
    found = []
    for threshold in thresholds:
        for mode in dict.fromkeys(table["mode"]):
            same = (table["mode"] == mode) & (table["measure"] == threshold.measure)
            rows = table[same & (table["statistic"] == threshold.statistic)].dropna(subset=["value"])
            values = dict(zip(rows[axes[0]].astype(float), rows["value"].astype(float), strict=True))
            at = _crossed(values, threshold.bound)
            if at is None:
                continue
            points = _points(table, axes[0], mode, threshold.measure, threshold.statistic)
            ends = [_crossed({x: each[end] for x, each in points.items()}, threshold.bound) for end in (0, 1)]
            known = [end for end in ends if end is not None]
            low, high = (min(known), max(known)) if len(known) == len(ends) else (None, None)
            found.append(Crossed(axes[0], mode, threshold, Estimate(at, low, high)))
    return found


def _crossed(values: Mapping[float, float], bound: float) -> float | None:
    """Return where a curve through the points crosses a bound, if it does so once; logarithmic where all is above 0.

    >>> _crossed({1.0: 0.1, 100.0: 10.0}, 1.0)
    10.0
    """
    points = [(x, y) for x, y in sorted(values.items()) if math.isfinite(y)]
    pairs = [pair for pair in pairwise(points) if (pair[0][1] < bound) is not (pair[1][1] < bound)]
    if len(pairs) != 1:
        return None
    (x0, y0), (x1, y1) = pairs[0]
    if min(x0, x1, y0, y1, bound) > 0:
        share = math.log(bound / y0) / math.log(y1 / y0)
        return float(f"{x0 * (x1 / x0) ** share:.6g}")
    return float(f"{x0 + (x1 - x0) * (bound - y0) / (y1 - y0):.6g}")


def _points(table: pd.DataFrame, axis: str, mode: str, measure: str, statistic: str) -> dict[float, Ends]:
    """Return a statistic's lowest and highest value by either interval, by the axis' value."""
    chosen = table[(table["mode"] == mode) & (table["measure"] == measure) & (table["statistic"] == statistic)]
    ends = chosen[["value", "low", "high", "profile_low", "profile_high"]].astype(float)
    low, high = ends.min(axis=1), ends.max(axis=1).where(~chosen["at_least"].astype(bool), float("inf"))
    return dict(zip(chosen[axis].astype(float), zip(low, high, strict=True), strict=True))


def _objective(table: pd.DataFrame, axis: str, mode: str, threshold: Threshold) -> str:
    points = _points(table, axis, mode, threshold.measure, threshold.statistic)
    what = f"{threshold.measure} {bound_text(threshold)} with {mode}"
    if not points:
        return f"{what} is undecided: too few observations at every point."
    wanted: Side = "below" if threshold.operator.startswith("<") else "above"
    sides = {x: _side(ends, threshold.bound) for x, ends in sorted(points.items())}
    return f"{what} is {_told(axis, sides, wanted, 'met', 'failed', 'undecided')}."


def _crossing(table: pd.DataFrame, axis: str, measure: str, mode: str, against: str) -> str:
    statistic, sides = _sides(table, axis, measure, mode, against)
    if not sides:
        return ""
    told = _told(axis, sides, "below", "lower", "higher", "not to be told apart")
    return f"{MEASURES[measure].title} ({statistic}) with {mode} is {told}, against {against}."


def _sides(table: pd.DataFrame, axis: str, measure: str, mode: str, against: str) -> tuple[str, dict[float, Side]]:
    """Return the statistic that every point has, and the side of ``mode`` at each; none where there is none."""
    for statistic in _STATISTICS:
        mine, other = (_points(table, axis, each, measure, statistic) for each in (mode, against))
        if set(mine) == set(other) == set(table[axis].astype(float)):
            return statistic, {x: _apart(mine[x], other[x]) for x in sorted(mine)}
    return "", {}


def _choice(table: pd.DataFrame, axis: str, measures: Sequence[str], mode: str, against: str, version: Version) -> str:
    """Return from which size on ``mode`` gains on ``against``, and what it costs there; with the mode after it."""
    gains: dict[float, list[str]] = {}
    costs = []
    for measure in measures:
        sides = _sides(table, axis, measure, mode, against)[1]
        points = list(sides)
        if points and sides[points[-1]] == "below":
            since = next(x for i, x in enumerate(points) if all(sides[y] == "below" for y in points[i:]))
            gains.setdefault(since, []).append(MEASURES[measure].told)
        if "above" in sides.values():
            costs.append(MEASURES[measure].told)
    release, named = "{}.{}".format(*version), f"{mode}{_ageing(mode, version)}"
    loses = f"; it is slower at some sizes for {listed(costs)}" if costs else ""
    if not gains:
        why = f"at the largest size {named} is not shown to be faster{loses}"
        return f"In Kubernetes {release}, stay with {against}: {why}."
    said = listed(f"from {place(axis, x)} on for {listed(what)}" for x, what in sorted(gains.items()))
    return f"In Kubernetes {release}, {named} is faster than {against} {said}{loses}."


def _ageing(mode: str, version: Version) -> str:
    """Return that a mode is deprecated, with the one to take instead; "" of others."""
    entry = MODES.get(mode)
    if entry is None or entry.deprecated is None:
        return ""
    later = [e for e in MODES.values() if e.usual and e.deprecated is None and e.status(version) == "available"]
    other = max(later, key=lambda e: e.since or (0, 0)).name if later else "iptables"
    since = "since" if version >= entry.deprecated else "from"
    return " (deprecated {} {}.{}: {} is the alternative)".format(since, *entry.deprecated, other)


def _side(ends: Ends, bound: float) -> Side:
    return "below" if ends[1] < bound else "above" if ends[0] > bound else "unclear"


def _apart(mine: Ends, other: Ends) -> Side:
    return "below" if mine[1] < other[0] else "above" if mine[0] > other[1] else "unclear"


def _told(axis: str, sides: dict[float, Side], wanted: Side, yes: str, no: str, unclear: str) -> str:
    """Return runs of points on one side in words: "met up to 1,000, undecided at 3,162, failed from 10,000 on"."""
    words = {"unclear": unclear, wanted: yes}
    runs: list[tuple[str, list[float]]] = []
    for x, side in sides.items():
        word = words.get(side, no)
        if runs and runs[-1][0] == word:
            runs[-1][1].append(x)
        else:
            runs.append((word, [x]))
    if len(runs) == 1:
        return "nowhere to be told apart" if runs[0][0].startswith("not ") else f"{runs[0][0]} at every point"
    said = [f"{runs[0][0]} up to {place(axis, runs[0][1][-1])}"]
    said += [f"{word} {_stretch(xs)}" for word, xs in runs[1:-1]]
    return ", ".join([*said, f"{runs[-1][0]} from {compact(runs[-1][1][0])} on"])


def _stretch(points: Sequence[float]) -> str:
    first, last = compact(points[0]), compact(points[-1])
    return f"at {first}" if len(points) == 1 else f"from {first} to {last}"
