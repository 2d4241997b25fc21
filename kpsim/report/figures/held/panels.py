"""A panel shows the times of some topics, a mark a record."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes

from kpsim.experiment.validation.verdicts import Verdict
from kpsim.report.figures.canvas import Sheet
from kpsim.report.style import GREY, mode_style
from kpsim.report.validation.scores import by_topic, topics
from kpsim.report.wording.quantity import count, percent

PANELS = {"packets": "first packets and connections", "updates": "rule updates and syncs"}
DOTTED = (0, (1.2, 1.8))
KEY = "Filled: a fit has seen the record. Hollow: predicted."
SAME = 0.03  # of a decade: marks so near are one mark
Panels = dict[str, list[Verdict]]
Place = Callable[[Verdict], tuple[float, float]]


def panels(verdicts: Sequence[Verdict]) -> Panels:
    """Return the verdicts of each panel that has some."""
    found: Panels = {panel: [] for panel in PANELS}
    for topic, mine in by_topic(verdicts):
        if topic.drawn:
            found[topic.drawn] += [each for each in mine if each.record.measured > 0 and each.prediction.value > 0]
    return {panel: mine for panel, mine in found.items() if mine}


def off(verdicts: Sequence[Verdict]) -> float:
    """Return the median error, a share."""
    return float(np.median([abs(verdict.ratio - 1) for verdict in verdicts]))


def bound(panel: str) -> float:
    """Return how far single records of a panel may be off: the widest bound of its topics, a share."""
    return max(topic.worst or topic.nine_of_ten or 0.0 for topic in topics() if topic.drawn == panel)


def rows(drawn: Panels) -> str:
    """Return the number of records by panel, for those who do not see the figure."""
    return "; ".join(f"{PANELS[panel]}: {count(len(mine))} records" for panel, mine in drawn.items())


def title(axes: Axes, panel: str) -> None:
    """Write above a panel of what it is, and its bound."""
    axes.set_title(f"{panel} (dotted: {percent(bound(panel))})", size=9.5, loc="left", color=GREY)


def marks(sheet: Sheet, axes: Axes, mine: Sequence[Verdict], place: Place) -> None:
    """Draw a mark a record; those that would lie on each other are one."""
    named = {text for _, text in sheet.keys}
    for mode in sorted({verdict.record.mode for verdict in mine}):
        style = mode_style(mode.removesuffix("-legacy"))
        for fitted in (True, False):
            points = {
                tuple(np.round(np.log10(place(each)) / SAME).tolist()): place(each)
                for each in mine
                if each.record.mode == mode and each.fitted is fitted
            }
            if not points:
                continue
            x, y = zip(*points.values(), strict=True)
            (line,) = axes.plot(
                x, y, style.marker, color=style.color, markersize=4, alpha=0.75, markeredgewidth=0.8,
                linestyle="none", markerfacecolor=style.color if fitted else "white", zorder=2 if fitted else 3,
            )  # fmt: skip
            if mode not in named:
                sheet.key(line, mode)
                named.add(mode)
