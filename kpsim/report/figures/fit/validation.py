"""Predictions are drawn against measurements: one against the other, ratios by size, and how often intervals hold.

Filled marks are records that a fit has seen, hollow ones are predictions alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator, PercentFormatter

from kpsim.experiment.validation.setups import SCALE
from kpsim.experiment.validation.verdicts import Verdict, coverage
from kpsim.report.figures.canvas import Picture, Sheet, drawing, log_ticks
from kpsim.report.style import GREY, INK, mode_style
from kpsim.report.validation.scores import FEW, by_topic, topics
from kpsim.report.wording.quantity import count, percent

PANELS = {"packets": "first packets and connections", "updates": "rule updates and syncs"}
SAME = 0.03  # of a decade: marks so near are one mark
HELD = (0.90, 0.98)  # what 95 % intervals are to hold
LARGE = 1000.0  # Services
RATIOS = (0.35, 3.0)  # shown; what lies beyond is drawn at the edge
LEFT, RIGHT = 0.32, 1.02  # of the panel whose left half is names
Place = Callable[[Verdict], tuple[float, float]]


def pictures(verdicts: Sequence[Verdict]) -> tuple[Picture, ...]:
    """Draw every figure that has something to say of these verdicts."""
    drawn = {panel: [v for t, each in by_topic(verdicts) if t.drawn == panel for v in each if _timed(v)]
             for panel in PANELS}  # fmt: skip
    drawn = {panel: mine for panel, mine in drawn.items() if mine}
    with drawing():
        found = [_against(drawn), _residuals(drawn)] if drawn else []
        return (*found, _coverage(verdicts)) if verdicts else ()


def _timed(verdict: Verdict) -> bool:
    return verdict.record.measured > 0 and verdict.prediction.value > 0


def _off(verdicts: Sequence[Verdict]) -> float:
    return float(np.median([abs(verdict.ratio - 1) for verdict in verdicts]))


def _against(drawn: dict[str, list[Verdict]]) -> Picture:
    said = []
    for panel, mine in drawn.items():
        unseen = [verdict for verdict in mine if not verdict.fitted]
        if unseen:
            said.append(f"{percent(_off(unseen))} off for {PANELS[panel]}")
    title = f"Predictions of what no fit has seen are {', '.join(said)} (median)"
    sheet = Sheet("predicted-against-measured", title if said else "Records that were fitted are met", len(drawn))
    for axes, (panel, mine) in zip(sheet.axes, drawn.items(), strict=True):
        ends = [x for verdict in mine for x in _seconds(verdict)]
        low, high = min(ends) / 1.4, max(ends) * 1.4
        bound = _bound(panel)
        axes.plot([low, high], [low, high], color=INK, linewidth=1.0, zorder=1)
        for by in (1 + bound, 1 / (1 + bound)):
            axes.plot(
                [low, high], [by * low, by * high], color=GREY, linewidth=1.0, linestyle=(0, (1.2, 1.8)), zorder=1
            )
        _marks(sheet, axes, mine, _seconds)
        log_ticks(axes.xaxis, low, high, "s")
        log_ticks(axes.yaxis, low, high, "s")
        axes.tick_params(axis="x", labelrotation=0, labelsize=8.5)
        axes.set_xlabel("measured")
        axes.set_title(f"{PANELS[panel]} (dotted: {percent(bound)})", size=9.5, loc="left", color=GREY)
    sheet.axes[0].set_ylabel("predicted")
    return sheet.picture(_rows(drawn), f"Line: both are equal. {_KEY}")


_KEY = "Filled: a fit has seen the record. Hollow: predicted."


def _rows(drawn: dict[str, list[Verdict]]) -> str:
    return "; ".join(f"{PANELS[panel]}: {count(len(mine))} records" for panel, mine in drawn.items())


def _seconds(verdict: Verdict) -> tuple[float, float]:
    scale = SCALE.get(verdict.record.unit, 1.0)
    return verdict.record.measured * scale, verdict.prediction.value * scale


def _by_size(verdict: Verdict) -> tuple[float, float]:
    return max(verdict.record.number("services"), 1.0), float(np.clip(verdict.ratio, *RATIOS))


def _bound(panel: str) -> float:
    """Return how far single records of a panel may be off, the widest that its topics say."""
    mine = [topic for topic in topics() if topic.drawn == panel]
    return max(topic.worst or topic.nine_of_ten or 0.0 for topic in mine)


def _marks(sheet: Sheet, axes: Axes, mine: Sequence[Verdict], place: Place) -> None:
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
            (marks,) = axes.plot(
                x, y, style.marker, color=style.color, markersize=4, alpha=0.75, markeredgewidth=0.8,
                linestyle="none", markerfacecolor=style.color if fitted else "white", zorder=2 if fitted else 3,
            )  # fmt: skip
            if mode not in named:
                sheet.key(marks, mode)
                named.add(mode)


def _residuals(drawn: dict[str, list[Verdict]]) -> Picture:
    every = [verdict for mine in drawn.values() for verdict in mine]
    small = [verdict for verdict in every if verdict.record.number("services") <= LARGE]
    large = [verdict for verdict in every if verdict.record.number("services") > LARGE]
    said = [
        f"{percent(_off(mine))} off {words}"
        for words, mine in ((f"up to {LARGE:,.0f} Services", small), ("beyond", large))
        if mine
    ]
    sheet = Sheet("residuals", f"Predictions are {', '.join(said)} (median)", len(drawn))
    for axes, (panel, mine) in zip(sheet.axes, drawn.items(), strict=True):
        bound = _bound(panel)
        axes.axhline(1.0, color=INK, linewidth=1.0, zorder=1)
        for by in (1 + bound, 1 / (1 + bound)):
            axes.axhline(by, color=GREY, linewidth=1.0, linestyle=(0, (1.2, 1.8)), zorder=1)
        _marks(sheet, axes, mine, _by_size)
        sizes = [_by_size(verdict)[0] for verdict in mine]
        log_ticks(axes.xaxis, 0.7 * min(sizes), 1.5 * max(2.0, *sizes))
        axes.set_yscale("log")
        axes.set_ylim(RATIOS[0] / 1.05, RATIOS[1] * 1.05)
        axes.yaxis.set_major_locator(FixedLocator([0.5, 0.75, 1.0, 1.33, 2.0]))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("Services")
        axes.set_title(f"{PANELS[panel]} (dotted: {percent(bound)})", size=9.5, loc="left", color=GREY)
    sheet.axes[0].set_ylabel("predicted over measured")
    return sheet.picture(_rows(drawn), f"{_KEY} Beyond {RATIOS[0]:g} and {RATIOS[1]:g}: at the edge.")


def _coverage(verdicts: Sequence[Verdict]) -> Picture:
    unseen = [verdict for verdict in verdicts if not verdict.fitted]
    rest = f", {percent(coverage(unseen))} of those that no fit has seen" if unseen else ""
    sheet = Sheet("coverage", f"95 % intervals hold {percent(coverage(verdicts))} of the measurements{rest}")
    axes, found = sheet.axes[0], by_topic(verdicts)
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
