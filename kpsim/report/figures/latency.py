"""A measure's values are drawn as a distribution, mode by mode: first packets' latencies, or any other measure's."""

from __future__ import annotations

from kpsim.experiment.result import Result
from kpsim.measure.summary import MEASURES, Measure
from kpsim.report.figures.canvas import Picture, Sheet
from kpsim.report.figures.distribution import (
    draw_cdf,
    draw_quantiles,
    mark_objectives,
    percentiles,
    share_axis,
    time_axis,
    usable,
)
from kpsim.report.style import mode_style
from kpsim.report.wording.quantity import EMPTY, factor, quantity
from kpsim.report.wording.ranking import listed, rank

MEASURE = "first_packet_latency"


def headline(result: Result, measure: Measure = MEASURES[MEASURE]) -> str:
    """Return a title: best and worst mode at the highest percentile that every mode supports."""
    ranking = rank(result, measure.name)
    if ranking is None:
        return f"{measure.title} with {listed(result.modes)}"
    (best, low), (worst, high) = ranking.best, ranking.worst
    least, most = quantity(low.value, ranking.unit), quantity(high.value, ranking.unit)
    if len(ranking.entries) == 1:
        return f"{best}: {measure.noun} is {least} at {ranking.statistic}"
    if not ranking.decided:
        modes = listed(sorted(mode for mode, _ in ranking.entries))
        return f"{modes}: {ranking.statistic} of {measure.told} cannot be told apart, {least} to {most}"
    told = measure.told[:1].upper() + measure.told[1:]
    return f"{told} at {ranking.statistic}: {worst} {most}, {best} {least} ({factor(ranking.ratio)})"


def picture(result: Result, measure: Measure = MEASURES[MEASURE]) -> Picture | None:
    """Draw the distributions; ``None`` where no mode has one."""
    name = measure.name
    cdfs = {mode: found.cdfs[name] for mode, found in result.modes.items() if usable(found.cdfs.get(name))}
    if not cdfs:
        return None
    sheet = Sheet(measure.drawn, headline(result, measure))
    axes = sheet.axes[0]
    time_axis(axes, cdfs.values(), [t.bound for t in result.scenario.thresholds if t.measure == name], measure.unit)
    share_axis(axes, f"share of {measure.each}")
    axes.set_xlabel(f"{measure.noun} (log scale)")
    mark_objectives(sheet, result, [name])
    said = []
    for mode, cdf in cdfs.items():
        style = mode_style(mode)
        summary = result.modes[mode].summaries.get(name)
        line = draw_cdf(axes, cdf, style.color, style.dashes)
        line.set_marker(style.marker)
        line.set_markevery([])
        draw_quantiles(axes, summary, style)
        text = percentiles(summary)
        sheet.key(line, f"{mode}{': ' if text else ''}{text}")
        said.append(f"{mode}: {text or EMPTY}")
    note = f"Markers: p50, p90 and p99 with their 95 % intervals. {measure.note}".rstrip()
    return sheet.picture("; ".join(said), note)
