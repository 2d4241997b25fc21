"""The figure of a limit: probes with their intervals, the objective, and where each mode crosses it."""

from __future__ import annotations

import math

from matplotlib.axes import Axes

from kpsim.experiment.searches.limit import LimitFound, ModeLimit
from kpsim.experiment.searches.quantity import Objective
from kpsim.report.figures.canvas import Picture, Sheet, drawing, log_ticks
from kpsim.report.searches.limit import headline, sentence, value_text
from kpsim.report.searches.tune import measure_text
from kpsim.report.style import mode_style
from kpsim.report.wording.quantity import compact


def limit_picture(found: LimitFound) -> Picture | None:
    """Draw the objective that breaks first against the axis; ``None`` where nothing was simulated."""
    objective = _drawn(found)
    values = [probe.value for each in found.modes for probe in each.probes]
    points = [
        e.value for each in found.modes for p in each.probes if (e := p.estimate(objective.quantity)) and e.value > 0
    ]
    if not points or min(values) <= 0:
        return None
    with drawing():
        sheet = Sheet("limit", headline(found))
        axes = sheet.axes[0]
        ends = [each.largest.value for each in found.modes if each.largest is not None]
        log_ticks(axes.xaxis, min(values + ends) / 1.1, max(values + ends) * 1.1)
        unit = objective.quantity.unit if objective.quantity.unit in ("s", "B/s") else ""
        log_ticks(axes.yaxis, min([*points, objective.bound]) / 1.4, max([*points, objective.bound]) * 1.4, unit)
        for each in found.modes:
            _draw(sheet, axes, found, each, objective)
        sheet.mark_y(axes, objective.bound, f"objective: {objective.operator} {compact(objective.bound, unit)}")
        if found.axis.start and axes.get_xlim()[0] < found.axis.start < axes.get_xlim()[1]:
            sheet.mark_x(axes, found.axis.start, f"today: {value_text(found, found.axis.start)}")
        axes.set_xlabel(f"{found.axis.noun} (log scale)")
        axes.set_ylabel(measure_text(objective.quantity) + ("" if unit else f" [{objective.quantity.unit}]"))
        said = " ".join(sentence(found, each) for each in found.modes)
        return sheet.picture(
            said,
            "Points: probes, with bars over their 95 % intervals. Bands: the limit's 95 % interval by sampling, and "
            "lighter by prices, as far as it is drawn.",
        )


def _drawn(found: LimitFound) -> Objective:
    """Return the objective that breaks first in the first mode that one ends."""
    broken = [each.breaks for each in found.modes if each.ended == "objective"]
    return next((o for o in found.objectives if broken and o.text == broken[0]), found.objectives[0])


def _between(found: LimitFound, each: ModeLimit) -> str:
    """Return the limit's widest interval for the key: ": 11,698 to 15,457 Services"."""
    low, high = each.ends or (0.0, 0.0)
    if not low < high or each.ended != "objective" or not math.isfinite(high):
        return ""
    return f": {value_text(found, low).partition(' ')[0]} to {value_text(found, high)}"


def _draw(sheet: Sheet, axes: Axes, found: LimitFound, each: ModeLimit, objective: Objective) -> None:
    style = mode_style(each.mode)
    rows = [(probe.value, seen) for probe in each.probes if (seen := probe.estimate(objective.quantity))]
    if not rows:
        return
    (line,) = axes.plot(
        [value for value, _ in rows], [seen.value for _, seen in rows], style.marker, color=style.color,
        linestyle=style.dashes, linewidth=1.2, markersize=5.5,
    )  # fmt: skip
    for value, seen in rows:
        low, high = seen.low or seen.value, seen.high if seen.high is not None else seen.value
        top = axes.get_ylim()[1] if seen.at_least else high
        axes.vlines(value, low, top, color=style.color, linewidth=2, linestyle=":" if seen.at_least else "-")
    sheet.key(line, f"{each.mode}{_between(found, each)}")
    largest = each.largest
    if each.prices is not None and each.prices.low is not None and each.prices.high is not None:
        axes.axvspan(each.prices.low, each.prices.high, color=style.color, alpha=0.1, linewidth=0)
    if largest is not None and largest.low is not None and largest.high is not None and math.isfinite(largest.high):
        axes.axvspan(largest.low, largest.high, color=style.color, alpha=0.25, linewidth=0)
    if largest is not None and not largest.at_least:
        axes.axvline(largest.value, color=style.color, linewidth=1.0, linestyle=style.dashes)
