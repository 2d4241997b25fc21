"""What the first packet of a connection pays, as a distribution, mode by mode."""

from __future__ import annotations

from kpsim.experiment.result import Result
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


def headline(result: Result) -> str:
    """What the distributions say, from the highest percentile that every mode supports."""
    ranking = rank(result, MEASURE)
    if ranking is None:
        return f"First-packet latency with {listed(result.modes)}"
    (best, low), (worst, high) = ranking.best, ranking.worst
    least, most = quantity(low.value, ranking.unit), quantity(high.value, ranking.unit)
    if len(ranking.entries) == 1:
        return f"{best}: first-packet latency is {least} at {ranking.statistic}"
    if not ranking.decided:
        modes = listed(sorted(mode for mode, _ in ranking.entries))
        return f"{modes}: first-packet {ranking.statistic} cannot be told apart, {least} to {most}"
    return f"First packets at {ranking.statistic}: {worst} {most}, {best} {least} ({factor(ranking.ratio)})"


def picture(result: Result) -> Picture | None:
    """Draw the distributions; ``None`` where no mode has one."""
    cdfs = {mode: found.cdfs[MEASURE] for mode, found in result.modes.items() if usable(found.cdfs.get(MEASURE))}
    if not cdfs:
        return None
    sheet = Sheet("latency", headline(result))
    axes = sheet.axes[0]
    time_axis(axes, cdfs.values(), [t.bound for t in result.scenario.thresholds if t.measure == MEASURE])
    share_axis(axes, "share of connections")
    axes.set_xlabel("first-packet latency (log scale)")
    mark_objectives(sheet, result, [MEASURE])
    said = []
    for mode, cdf in cdfs.items():
        style = mode_style(mode)
        summary = result.modes[mode].summaries.get(MEASURE)
        line = draw_cdf(axes, cdf, style.color, style.dashes)
        line.set_marker(style.marker)
        line.set_markevery([])
        draw_quantiles(axes, summary, style)
        text = percentiles(summary)
        sheet.key(line, f"{mode}{': ' if text else ''}{text}")
        said.append(f"{mode}: {text or EMPTY}")
    note = "Markers: p50, p90 and p99 with their 95 % intervals. Includes the wait for the node's CPU."
    return sheet.picture("; ".join(said), note)
