"""An event from its beginning to its end: which Pods were ready, and when packets went to Pods that were gone."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from kpsim.experiment.result import EventCourse, EventOutcome, Result
from kpsim.report.figures.canvas import Picture, Sheet
from kpsim.report.style import GREY, INK, Dashes, mode_style
from kpsim.report.wording.quantity import count, number, quantity
from kpsim.report.wording.ranking import listed

_LINES: tuple[tuple[str, str, Dashes, float], ...] = (
    ("old_ready", "old, ready", "-", 1.8),
    ("new_ready", "new, ready", "-", 1.8),
    ("starting", "not ready", (0, (5.0, 1.8)), 1.3),
    ("terminating", "terminating", (0, (1.2, 1.4)), 1.5),
)
_COLORS = {"old_ready": GREY, "new_ready": INK, "starting": INK, "terminating": GREY}
_SHADE = "#fbe3d6"
_BAR = 0.035  # height of a mode's bar, and from one to the next half as much again, as shares of the panel


def _which(result: Result) -> int | None:
    """Return the event worth drawing: the first rollout, else the first about Pods."""
    events = result.scenario.events
    if not events or not all(found.events for found in result.modes.values()):
        return None
    rollouts = (i for i, event in enumerate(events) if event.rolls)
    return next(rollouts, next((i for i, event in enumerate(events) if event.of_pods and not event.joins), None))


def _outcomes(result: Result, index: int) -> dict[str, EventOutcome]:
    return {mode: found.events[index] for mode, found in result.modes.items()}


def headline(result: Result) -> str:
    """Return a title: the connections that fail in each mode, and until when."""
    index = _which(result)
    if index is None or not result.modes:
        return "No event"
    outcomes = _outcomes(result, index)
    event = next(iter(outcomes.values())).event
    hit = [(mode, outcome) for mode, outcome in outcomes.items() if outcome.packets.value]
    if not hit:
        return f"{_capital(event)}: no packet meets a Pod that is gone"
    said = listed(f"{_failed(outcome)} until {quantity(outcome.last_s, 's')} with {mode}" for mode, outcome in hit)
    rest = [mode for mode, outcome in outcomes.items() if not outcome.packets.value]
    return f"{_capital(event)}: {said}" + (f", none with {listed(rest)}" if rest else "")


def _capital(text: str) -> str:
    return text if "/" in text.partition(" ")[0] else text[:1].upper() + text[1:]  # a name stays as it is


def _failed(outcome: EventOutcome) -> str:
    """Return the connections that failed in a run: that is what one rollout costs."""
    each = outcome.connections.value
    if not each:
        return "open connections break"
    return f"{count(round(each)) if each >= 1 else 'less than one'} failed connection{'s' if round(each) != 1 else ''}"


def picture(result: Result) -> Picture | None:
    """Draw Pods over time with the error window of each mode shaded; ``None`` without an event."""
    index = _which(result)
    if index is None or not result.modes:
        return None
    outcomes = _outcomes(result, index)
    first = next(iter(outcomes.values()))
    if not first.course.time_s.size:
        return None  # a run of before did not keep it
    sheet = Sheet("event", headline(result))
    axes = sheet.axes[0]
    end = _end(first.course, outcomes, first.at_s)
    begin = -0.05 * end
    for name, label, dashes, width in _LINES:
        sheet.key(_steps(axes, first, name, dashes, width, begin, end), label)
    top = 1 / (1 - 1.5 * _BAR * (len(outcomes) + 1))
    axes.set_xlim(begin, end)
    axes.set_ylim(0, top * max(axes.get_ylim()[1], 1.0))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    _shade(axes, outcomes)
    for row, (mode, outcome) in enumerate(outcomes.items()):
        _bar(sheet, axes, mode, outcome, 1 - 1.5 * _BAR * (row + 1))
    axes.set_xlabel("since the event [s]")
    axes.set_ylabel("Pods")
    sheet.mark_x(axes, 0.0, first.event)
    note = (
        "Shaded, and by mode in the bars: from the first to the last packet sent to a Pod whose process was gone, in "
        "the replication drawn. The title has the mean number of a replication, and the latest time of all."
    )
    return sheet.picture(_said(outcomes), note)


def _end(course: EventCourse, outcomes: dict[str, EventOutcome], at_s: float) -> float:
    """Return the end of the time axis [s after the event]: the last Pod has changed and the last packet has failed."""
    errors = [outcome.course.errors_s[1] for outcome in outcomes.values() if outcome.course.errors_s]
    return max(1.08 * (max([float(course.time_s[-1]), *errors]) - at_s), 1.0)


def _steps(
    axes: Axes, outcome: EventOutcome, name: str, dashes: Dashes, width: float, begin: float, end: float
) -> Line2D:
    course = outcome.course
    pods = getattr(course, name)
    x = np.concatenate([[begin], course.time_s - outcome.at_s, [end]])
    y = np.concatenate([pods[:1], pods, pods[-1:]])
    (line,) = axes.step(x, y, where="post", color=_COLORS[name], linestyle=dashes, linewidth=width, zorder=3)
    return line


def _shade(axes: Axes, outcomes: dict[str, EventOutcome]) -> None:
    windows = [(outcome.course.errors_s, outcome.at_s) for outcome in outcomes.values()]
    edges = [time - at_s for window, at_s in windows if window for time in window]
    if edges:
        axes.axvspan(min(edges), max(edges), facecolor=_SHADE, zorder=0)


def _bar(sheet: Sheet, axes: Axes, mode: str, outcome: EventOutcome, at: float) -> None:
    """One mode's error window as a bar near the top of the panel."""
    color = mode_style(mode).color
    if outcome.course.errors_s is None:
        where = " in this replication" if outcome.packets.value else ""
        sheet.key(Patch(facecolor="none", edgecolor=color), f"{mode}: no errors{where}")
        return
    start, stop = (time - outcome.at_s for time in outcome.course.errors_s)
    share = axes.get_xaxis_transform()  # across by time, upwards by share of the panel
    axes.add_patch(Rectangle((start, at), stop - start, _BAR, transform=share, color=color, zorder=4))
    sheet.key(Patch(facecolor=color), f"{mode}: errors for {quantity(stop - start, 's')}")


def _said(outcomes: dict[str, EventOutcome]) -> str:
    each = (
        f"{mode}: {number(outcome.connections)} connections of a run (mean of {count(outcome.replications)}, 95 % "
        "interval) went to Pods that were gone; rules without a Pod were in force after at most "
        f"{quantity(outcome.propagation_s, 's')}"
        for mode, outcome in outcomes.items()
    )
    return "; ".join(each)
