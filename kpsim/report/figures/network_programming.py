"""The time from a change to rules in force is drawn beside the same time as kube-proxy's own metric shows it."""

from __future__ import annotations

from matplotlib.lines import Line2D

from kpsim.experiment.result import Result
from kpsim.measure.summary import Summary
from kpsim.report.figures.canvas import Picture, Sheet
from kpsim.report.figures.distribution import (
    draw_cdf,
    draw_quantiles,
    mark_objectives,
    share_axis,
    time_axis,
    usable,
)
from kpsim.report.style import Dashes, mode_style
from kpsim.report.wording.quantity import estimate, quantity
from kpsim.report.wording.ranking import Ranking, listed, rank

TRUE = "network_programming_true"
REPORTED = "network_programming_reported"
_DOTS: Dashes = (0, (1.0, 1.6))
_ALIKE = 1.2  # modes whose intervals meet are called alike up to this ratio; beyond it the intervals are just wide


def headline(result: Result) -> str:
    """Return a title: the time within which nearly all changes are in force, and the slowest mode's metric."""
    ranking = rank(result, TRUE)
    if ranking is None:
        return f"Network programming latency with {listed(result.modes)}"
    share = f"{ranking.statistic.removeprefix('p')} % of changes are in force within"
    said = f"{share} {_times(ranking)}"
    summary = result.modes[ranking.worst[0]].summaries.get(REPORTED)
    metric = summary.quantiles.get(ranking.statistic) if summary is not None else None
    if metric is None:
        return said
    whose = "" if len(ranking.entries) == 1 else f" for {ranking.worst[0]}"
    return f"{said}; kube-proxy's metric reads {quantity(metric.value, ranking.unit)}{whose}"


def _times(ranking: Ranking) -> str:
    if len(ranking.entries) > 1 and not ranking.decided:
        low, high = (quantity(e.value, ranking.unit) for _, e in (ranking.best, ranking.worst))
        return f"{low} to {high}, {'the modes alike' if ranking.ratio < _ALIKE else 'too uncertain to rank the modes'}"
    entries = ranking.entries if len(ranking.entries) <= 3 else (ranking.best, ranking.worst)
    return listed(f"{quantity(found.value, ranking.unit)} with {mode}" for mode, found in entries)


def picture(result: Result) -> Picture | None:
    """Draw true (solid) and reported (dotted) latency; ``None`` where no mode has either."""
    cdfs = {
        (mode, measure): found.cdfs[measure]
        for mode, found in result.modes.items()
        for measure in (TRUE, REPORTED)
        if usable(found.cdfs.get(measure))
    }
    if not cdfs:
        return None
    sheet = Sheet("network_programming", headline(result))
    axes = sheet.axes[0]
    time_axis(axes, cdfs.values(), [t.bound for t in result.scenario.thresholds if t.measure in (TRUE, REPORTED)])
    share_axis(axes, "share of changes, node by node")
    axes.set_xlabel("from the change to the rules in force (log scale)")
    mark_objectives(sheet, result, [TRUE, REPORTED])
    said = []
    for (mode, measure), cdf in cdfs.items():
        style, true = mode_style(mode), measure == TRUE
        summary = result.modes[mode].summaries.get(measure)
        dashes: Dashes = "-" if true else _DOTS
        width, face = (1.8, style.color) if true else (1.5, "white")
        draw_cdf(axes, cdf, style.color, dashes, width)
        draw_quantiles(axes, summary, style, hollow=not true)
        text = f"{mode}, {'true' if true else 'reported'}: {_highest(summary)}"
        key = Line2D([], [], color=style.color, linestyle=dashes, linewidth=width, marker=style.marker)
        key.set_markerfacecolor(face)
        sheet.key(key, text)
        said.append(text)
    note = (
        "Markers: p50, p90 and p99 with their 95 % intervals. The metric starts from a time stamp in whole seconds, "
        "keeps the oldest change of a batch and leaves deletions out, so it may read high or low."
    )
    return sheet.picture("; ".join(said), note)


def _highest(summary: Summary | None) -> str:
    """Return the highest percentile that the sample tells: "p99 1.13 s [1.13, 1.14]"."""
    known = summary.quantiles if summary is not None else {}
    name = next((name for name in ("p99", "p90", "p50") if name in known), "")
    return f"{name} {estimate(known[name], 's')}" if name else "too few to tell"
