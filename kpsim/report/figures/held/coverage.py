"""Intervals that say 95 % are to hold 95 %: the share they hold is drawn by topic."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator, PercentFormatter

from kpsim.experiment.validation.verdicts import Verdict, coverage
from kpsim.report.figures.canvas import Picture, Sheet
from kpsim.report.style import INK
from kpsim.report.validation.scores import FEW, by_topic
from kpsim.report.wording.quantity import count, percent

HELD = (0.90, 0.98)  # what 95 % intervals are to hold
AROUND, A_ROW = 1.6, 0.16  # inches: what is around the panel, and a row of it
LEFT, RIGHT = 0.32, 1.02  # of the panel whose left half is names


def picture(verdicts: Sequence[Verdict]) -> Picture | None:
    """Draw the share of measurements inside their intervals, a row a topic; ``None`` without any."""
    if not verdicts:
        return None
    unseen = [verdict for verdict in verdicts if not verdict.fitted]
    rest = f", {percent(coverage(unseen))} of those that no fit has seen" if unseen else ""
    found = by_topic(verdicts)
    title = f"95 % intervals hold {percent(coverage(verdicts))} of the measurements{rest}"
    sheet = Sheet("coverage", title, height=AROUND + A_ROW * len(found))
    axes = sheet.axes[0]
    sheet.key(axes.axvspan(*HELD, color="#e8e8e4", zorder=0), f"{percent(HELD[0])} to {percent(HELD[1])}")
    named: set[bool] = set()
    for row, (topic, mine) in enumerate(found):
        axes.text(LEFT + 0.005, row, f"{topic.topic} ({count(len(mine))})", size=7.5, va="center", color=INK)
        for fitted in (True, False):
            _share_held(sheet, axes, row, [each for each in mine if each.fitted is fitted], named)
    axes.set_xlim(LEFT, RIGHT)
    axes.set_ylim(len(found) - 0.4, -0.6)
    axes.yaxis.set_major_locator(NullLocator())
    axes.xaxis.set_major_locator(FixedLocator([0.7, 0.8, 0.9, 1.0]))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_xlabel("measurements inside their intervals")
    return sheet.picture(
        f"{count(len(verdicts))} records in {len(found)} topics", f"Small marks: fewer than {FEW} records."
    )


def _share_held(sheet: Sheet, axes: Axes, row: int, mine: Sequence[Verdict], named: set[bool]) -> None:
    """Draw the share of one topic's measurements that lie inside, seen by a fit or not."""
    if not mine:
        return
    fitted = mine[0].fitted
    (mark,) = axes.plot(
        [max(coverage(mine), 0.68)], [row], "o", color=INK, markersize=6 if len(mine) >= FEW else 3.5,
        markerfacecolor=INK if fitted else "white", zorder=2 if fitted else 3, clip_on=False,
    )  # fmt: skip
    if fitted not in named:
        sheet.key(mark, "a fit has seen them" if fitted else "predicted alone")
        named.add(fitted)
