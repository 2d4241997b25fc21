"""Measured rows of a host are drawn beside what its fit says of them: packets left, commands right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from kpsim.experiment.bench.profile import Compared
from kpsim.report.figures.canvas import Picture, Sheet, drawing, log_ticks
from kpsim.report.style import GREY, mode_style
from kpsim.report.wording.quantity import percent

BAND = 0.15  # share; what a fresh size should be within


def median_error(compared: Sequence[Compared]) -> float:
    """Return the middle of how far predictions are off, as a share; NaN without any."""
    return float(np.median([abs(each.ratio - 1) for each in compared])) if compared else float("nan")


def headline(compared: Sequence[Compared]) -> str:
    """Return a title: how far off the fit is where it has seen the rows, and where it has not."""
    seen = median_error([each for each in compared if not each.unseen])
    unseen = [each for each in compared if each.unseen]
    said = f"The fit is {percent(seen)} off in the median"
    return f"{said}; sizes larger than it has seen, {percent(median_error(unseen))}" if unseen else said


def picture(compared: Sequence[Compared]) -> Picture:
    """Draw the error of each row by its size; hollow marks are predictions from smaller sizes alone."""
    with drawing():
        sheet = Sheet("residuals", headline(compared), panels=2)
        for axes, packets in zip(sheet.axes, (True, False), strict=True):
            mine = [each for each in compared if each.is_packet is packets]
            _panel(sheet, axes, mine, keys=packets)
            axes.set_xlabel("rules passed" if packets else "rules in the table")
            axes.set_title("packets, connections" if packets else "commands", size=10.5, loc="left", color=GREY)
        sheet.axes[0].set_ylabel("predicted over measured, minus one")
        seen = sum(not each.unseen for each in compared)
        return sheet.picture(
            f"{seen} rows", f"Dotted: {percent(BAND)} either way. Hollow: predicted from smaller sizes alone."
        )


def _panel(sheet: Sheet, axes: Axes, compared: Sequence[Compared], *, keys: bool) -> None:
    for end in (-BAND, BAND):
        axes.axhline(end, color=GREY, linewidth=1.2, linestyle=(0, (1.2, 1.8)), zorder=1)
    for mode in dict.fromkeys(each.record.mode for each in compared):
        style = mode_style(mode.removesuffix("-legacy"))
        for unseen in (False, True):
            mine = [each for each in compared if each.record.mode == mode and each.unseen is unseen]
            x = [max(each.record.number("rules_traversed"), 1.0) for each in mine]
            (marks,) = axes.plot(
                x, [each.ratio - 1 for each in mine], style.marker, color=style.color, markersize=4, alpha=0.7,
                markerfacecolor="none" if unseen else style.color,
            )  # fmt: skip
            if keys and not unseen:
                sheet.key(marks, mode)
    if compared:
        rules = [max(each.record.number("rules_traversed"), 1.0) for each in compared]
        log_ticks(axes.xaxis, 0.8 * min(rules), 1.3 * max(2.0, *rules))
        far = max(0.3, *(abs(each.ratio - 1) for each in compared))
        axes.set_ylim(-1.08 * min(far, 1.0), 1.08 * min(far, 1.0))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
