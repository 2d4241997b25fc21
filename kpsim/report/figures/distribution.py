"""Distributions are drawn as steps over a logarithmic time axis, with the percentiles that a run supports."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from kpsim.experiment.result import Cdf, Result
from kpsim.measure.summary import Summary
from kpsim.report.figures.canvas import Sheet, log_ticks
from kpsim.report.style import Dashes, ModeStyle
from kpsim.report.wording.quantity import compact, estimate, unit_of

_MAX_DECADES = 6
_RARE = 0.005  # the smallest share worth stretching the axis for at its left end


def usable(cdf: Cdf | None) -> bool:
    """Return True if the distribution has anything to draw."""
    return cdf is not None and cdf.value.size > 0 and bool(np.any((cdf.value > 0) & (cdf.share >= _RARE)))


def time_axis(axes: Axes, cdfs: Iterable[Cdf], bounds: Iterable[float], unit: str = "s") -> None:
    """Put the axis over what is drawn, six decades at most; what lies below, and little, sits on the left edge."""
    drawn = [cdf.value[(cdf.share >= _RARE) & (cdf.value > 0)] for cdf in cdfs]
    values = np.concatenate([*drawn, np.asarray([b for b in bounds if b > 0], dtype=np.float64)])
    values = values[np.isfinite(values)]
    high = float(values.max())
    low = max(float(values.min()), high / 10**_MAX_DECADES)
    margin = max((high / low) ** 0.04, 1.02)
    log_ticks(axes.xaxis, low / margin, high * margin, unit)


def share_axis(axes: Axes, label: str) -> None:
    """Label the upright axis with shares of observations."""
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1.0])
    axes.set_ylabel(label)


def draw_cdf(axes: Axes, cdf: Cdf, color: str, dashes: Dashes, width: float = 1.8) -> Line2D:
    """Draw one distribution; the time axis must be set first."""
    left = axes.get_xlim()[0]
    value = np.maximum(np.concatenate([cdf.value[:1], cdf.value]), left)
    share = np.concatenate([[0.0], cdf.share])
    (line,) = axes.plot(value, share, color=color, linestyle=dashes, linewidth=width, drawstyle="steps-post")
    return line


def draw_quantiles(axes: Axes, summary: Summary | None, style: ModeStyle, *, hollow: bool = False) -> None:
    """Put the mode's marker at p50, p90 and p99 with bars over their intervals."""
    for name, found in summary.quantiles.items() if summary is not None else ():
        if name not in ("p50", "p90", "p99") or found.value <= 0 or found.at_least:
            continue
        low = max(found.low if found.low is not None else found.value, axes.get_xlim()[0])
        high = found.high if found.high is not None else found.value
        share = float(name.removeprefix("p")) / 100
        axes.plot([low, high], [share, share], color=style.color, linewidth=2.6, solid_capstyle="butt", zorder=4)
        face = "white" if hollow else style.color
        axes.plot([found.value], [share], style.marker, color=style.color, markerfacecolor=face, zorder=5)


def mark_objectives(sheet: Sheet, result: Result, measures: Iterable[str]) -> None:
    """Draw the scenario's objectives for ``measures`` as dotted lines, alike ones once."""
    wanted = tuple(measures)
    found = [t for t in result.scenario.thresholds if t.measure in wanted and t.bound > 0]
    seen = {(t.bound, f"objective: {t.statistic} {t.operator} {compact(t.bound, unit_of(t.measure))}") for t in found}
    for bound, what in sorted(seen):
        sheet.mark_x(sheet.axes[0], bound, what)


def percentiles(summary: Summary | None) -> str:
    """Return the median and p99 in words, as the sample supports them: "p50 11 µs [10, 12], p99 34 µs [30, 38]"."""
    found = [(name, summary.quantiles.get(name)) for name in ("p50", "p99")] if summary else []
    return ", ".join(f"{name} {estimate(value, summary.unit)}" for name, value in found if summary and value)
