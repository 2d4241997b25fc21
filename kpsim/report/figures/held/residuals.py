"""Ratios of predicted to measured times are drawn by size; the title says if errors grow with it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.ticker import FixedLocator, NullLocator

from kpsim.experiment.validation.verdicts import Verdict
from kpsim.report.figures.canvas import Picture, Sheet, log_ticks
from kpsim.report.figures.held.panels import DOTTED, KEY, bound, marks, off, panels, rows, title
from kpsim.report.style import GREY, INK
from kpsim.report.wording.quantity import percent

LARGE = 1000.0  # Services
RATIOS = (0.35, 3.0)  # shown; what lies beyond is drawn at the edge


def picture(verdicts: Sequence[Verdict]) -> Picture | None:
    """Draw predicted over measured by Services; ``None`` without any."""
    drawn = panels(verdicts)
    if not drawn:
        return None
    every = [verdict for mine in drawn.values() for verdict in mine]
    small = [verdict for verdict in every if verdict.record.number("services") <= LARGE]
    large = [verdict for verdict in every if verdict.record.number("services") > LARGE]
    said = [
        f"{percent(off(mine))} off {words}"
        for words, mine in ((f"up to {LARGE:,.0f} Services", small), ("beyond", large))
        if mine
    ]
    sheet = Sheet("residuals", f"Predictions are {', '.join(said)} (median)", len(drawn))
    for axes, (panel, mine) in zip(sheet.axes, drawn.items(), strict=True):
        most = 1 + bound(panel)
        axes.axhline(1.0, color=INK, linewidth=1.0, zorder=1)
        for by in (most, 1 / most):
            axes.axhline(by, color=GREY, linewidth=1.0, linestyle=DOTTED, zorder=1)
        marks(sheet, axes, mine, _by_size)
        sizes = [_by_size(verdict)[0] for verdict in mine]
        log_ticks(axes.xaxis, 0.7 * min(sizes), 1.5 * max(2.0, *sizes))
        axes.set_yscale("log")
        axes.set_ylim(RATIOS[0] / 1.05, RATIOS[1] * 1.05)
        axes.yaxis.set_major_locator(FixedLocator([0.5, 0.75, 1.0, 1.33, 2.0]))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("Services")
        title(axes, panel)
    sheet.axes[0].set_ylabel("predicted over measured")
    return sheet.picture(rows(drawn), f"{KEY} Beyond {RATIOS[0]:g} and {RATIOS[1]:g}: at the edge.")


def _by_size(verdict: Verdict) -> tuple[float, float]:
    return max(verdict.record.number("services"), 1.0), float(np.clip(verdict.ratio, *RATIOS))
