"""The front of two measures: every value of a knob, those that no other beats, and the one to take."""

from __future__ import annotations

import math

from matplotlib.axes import Axes

from kpsim.experiment.searches.quantity import Quantity
from kpsim.experiment.searches.tune import Rung, Tuned, value_of
from kpsim.report.figures.canvas import Picture, Sheet, drawing, log_ticks
from kpsim.report.searches.tune import headline, measure_text, rung_text, sentences
from kpsim.report.style import GREY, INK, mode_style
from kpsim.report.wording.quantity import compact

_SPREAD = 4.0  # a measure that varies less, or reaches 0, has a linear axis


def pareto_picture(found: Tuned) -> Picture | None:
    """Draw the second measure against the first; ``None`` where fewer than two values have both."""
    first, second = found.measures
    shown = [r for r in found.rungs if math.isfinite(value_of(r, first)) and math.isfinite(value_of(r, second))]
    if len({(value_of(r, first), value_of(r, second)) for r in shown}) < 2:
        return None
    with drawing():
        sheet = Sheet("pareto", headline(found))
        axes, style = sheet.axes[0], mode_style(found.mode)
        _scale(axes, "x", _reach(shown, first), first)
        _scale(axes, "y", _reach(shown, second), second)
        front = [r for r in found.front if r in shown]
        xy = [(value_of(r, first), value_of(r, second)) for r in front]
        (line,) = axes.plot(*zip(*xy, strict=True), color=style.color, linewidth=1.4, linestyle=style.dashes)
        line.set_marker(style.marker)
        sheet.key(line, "front: no other value is better in both")
        behind = [r for r in shown if not r.on_front]
        if behind:
            places = [(value_of(r, first), value_of(r, second)) for r in behind]
            (dots,) = axes.plot(*zip(*places, strict=True), style.marker, color=GREY, markerfacecolor="white")
            sheet.key(dots, "beaten by another value")
        for rung in shown:
            _bars(axes, rung, found.measures, style.color if rung.on_front else GREY)
        if found.chosen in shown:
            place = (value_of(found.chosen, first), value_of(found.chosen, second))
            (ring,) = axes.plot(*place, "o", markersize=13, markerfacecolor="none", markeredgecolor=INK)
            sheet.key(ring, f"to take: {rung_text(found.chosen)}")
        _names(axes, shown, found)
        for objective in found.objectives:
            if objective.quantity == first and objective.bound > 0:
                sheet.mark_x(axes, objective.bound, f"objective: {objective.text}")
            if objective.quantity == second and axes.get_ylim()[0] < objective.bound < axes.get_ylim()[1]:
                sheet.mark_y(axes, objective.bound, f"objective: {objective.text}")
        axes.set_xlabel(measure_text(first) + (f" [{first.unit}]" if first.unit not in ("s", "B/s") else ""))
        axes.set_ylabel(measure_text(second) + (f" [{second.unit}]" if second.unit not in ("s", "B/s") else ""))
        return sheet.picture(sentences(found)[0], "Bars: 95 % intervals. Lower left is better.")


def _reach(shown: list[Rung], measure: Quantity) -> list[float]:
    """Return values and their intervals' upper ends."""
    ends = [rung.probe.estimate(measure) for rung in shown]
    return [value_of(rung, measure) for rung in shown] + [end.high for end in ends if end and end.high is not None]


def _scale(axes: Axes, which: str, values: list[float], measure: Quantity) -> None:
    low, high = min(values), max(values)
    axis = axes.xaxis if which == "x" else axes.yaxis
    unit = measure.unit if measure.unit in ("s", "B/s") else ""
    if low > 0 and high / low >= _SPREAD:
        log_ticks(axis, low / 1.25, high * 1.25, unit)
        return
    margin = 0.08 * (high - low) or 0.1 * high or 1.0
    (axes.set_xlim if which == "x" else axes.set_ylim)(max(low - margin, -margin), high + margin)
    axis.set_major_formatter(lambda value, _: compact(value, unit))


def _bars(axes: Axes, rung: Rung, measures: tuple[Quantity, Quantity], color: str) -> None:
    across, up = (rung.probe.estimate(measure) for measure in measures)
    if across is None or up is None:
        return
    if across.low is not None and across.high is not None:
        axes.hlines(up.value, across.low, across.high, color=color, linewidth=1.6)
    if up.low is not None and up.high is not None:
        axes.vlines(across.value, up.low, up.high, color=color, linewidth=1.6)


def _names(axes: Axes, shown: list[Rung], found: Tuned) -> None:
    """Write each value beside its point; values at the same place share one text."""
    places: dict[tuple[float, float], list[str]] = {}
    for rung in shown:
        place = (value_of(rung, found.measures[0]), value_of(rung, found.measures[1]))
        places.setdefault(place, []).append(rung.written)
    for place, names in places.items():
        axes.annotate(", ".join(names), place, xytext=(7, 6), textcoords="offset points", size=9, color=INK)
