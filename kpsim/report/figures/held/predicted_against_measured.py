"""Predicted times are drawn against measured ones, on log scales; the title says how far off they are."""

from __future__ import annotations

from collections.abc import Sequence

from kpsim.experiment.validation.setups import SCALE
from kpsim.experiment.validation.verdicts import Verdict
from kpsim.report.figures.canvas import Picture, Sheet, log_ticks
from kpsim.report.figures.held.panels import DOTTED, KEY, PANELS, Panels, bound, marks, off, panels, rows, title
from kpsim.report.style import GREY, INK
from kpsim.report.wording.quantity import percent


def picture(verdicts: Sequence[Verdict]) -> Picture | None:
    """Draw measured times and their predictions, with bounds; ``None`` without any."""
    drawn = panels(verdicts)
    if not drawn:
        return None
    sheet = Sheet("predicted_against_measured", _headline(drawn), len(drawn))
    for axes, (panel, mine) in zip(sheet.axes, drawn.items(), strict=True):
        ends = [x for verdict in mine for x in _seconds(verdict)]
        low, high = min(ends) / 1.4, max(ends) * 1.4
        most = 1 + bound(panel)
        axes.plot([low, high], [low, high], color=INK, linewidth=1.0, zorder=1)
        for by in (most, 1 / most):
            axes.plot([low, high], [by * low, by * high], color=GREY, linewidth=1.0, linestyle=DOTTED, zorder=1)
        marks(sheet, axes, mine, _seconds)
        log_ticks(axes.xaxis, low, high, "s")
        log_ticks(axes.yaxis, low, high, "s")
        axes.tick_params(axis="x", labelrotation=0, labelsize=8.5)
        axes.set_xlabel("measured")
        title(axes, panel)
    sheet.axes[0].set_ylabel("predicted")
    return sheet.picture(rows(drawn), f"Line: both are equal. {KEY}")


def _headline(drawn: Panels) -> str:
    """Return a title: how far off the panels are, of what no fit has seen if there is any."""
    unseen = {panel: [verdict for verdict in mine if not verdict.fitted] for panel, mine in drawn.items()}
    alone = {panel: mine for panel, mine in unseen.items() if mine}
    whose = "what no fit has seen" if alone else "records that fits have seen"
    said = [f"{percent(off(mine))} off for {PANELS[panel]}" for panel, mine in (alone or drawn).items()]
    return f"Predictions of {whose} are {', '.join(said)} (median)"


def _seconds(verdict: Verdict) -> tuple[float, float]:
    scale = SCALE.get(verdict.record.unit, 1.0)
    return verdict.record.measured * scale, verdict.prediction.value * scale
