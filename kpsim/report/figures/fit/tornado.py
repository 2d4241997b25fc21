"""A measure is drawn as each coefficient's own interval moves it, the widest on top: a tornado."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.ticker import MaxNLocator

from kpsim.experiment.result import Result, Swing
from kpsim.measure.summary import MEASURES
from kpsim.report.answers.question import Question, questions_of
from kpsim.report.figures.canvas import LEFT, Picture, Sheet
from kpsim.report.style import INK, mode_style
from kpsim.report.wording.change import current_mode
from kpsim.report.wording.quantity import nearest_prefix, percent, quantity

SHOWN, LEAST = 8, 1e-3  # coefficients, and the share of the doubt below which one is not drawn
_OF_QUESTION = {
    Question.EVENT: "network_programming_true",
    Question.UPDATES: "network_programming_true",
    Question.CPU: "sync_duration",
    Question.DNS: "dns_latency",
}


def measure_of(result: Result) -> str:
    """Return the measure that the scenario's question is about, of those that prices move; "" if there is none."""
    if not result.modes:
        return ""
    known = result.modes[current_mode(result)].swings
    asked = [_OF_QUESTION.get(question, "") for question in questions_of(result.scenario)]
    judged = [threshold.measure for threshold in result.scenario.thresholds]
    first = asked[:1] if asked[0] else judged
    order = (*first, *judged, *asked, "first_packet_latency", "network_programming_true", "sync_duration")
    return next((name for name in order if name in known), "")


def headline(result: Result) -> str:
    """Return a title: the coefficient that the answer is least sure by, and its share of the doubt."""
    measure = measure_of(result)
    first, *_ = result.modes[current_mode(result)].swings[measure]
    moved = f"{quantity(first.low, 's')} to {quantity(first.high, 's')}"
    noun = MEASURES[measure].noun.removesuffix(", true")
    return f"The interval of one price, {_name(first)}, puts {noun} {first.statistic} at {moved}"


def picture(result: Result) -> Picture | None:
    """Draw a bar a coefficient from end to end of its interval; ``None`` where prices move nothing."""
    measure = measure_of(result)
    if not measure:
        return None
    mode = current_mode(result)
    first, *rest = result.modes[mode].swings[measure][:SHOWN]
    swings = [first, *(swing for swing in rest if swing.variance >= LEAST)]
    sheet = Sheet("tornado", headline(result), left=LEFT + 0.9)
    axes, color = sheet.axes[0], mode_style(mode).color
    scale, unit = nearest_prefix(swings[0].value, "s")
    for place, swing in enumerate(swings):
        axes.barh(
            place, (swing.high - swing.low) / scale, 0.62, left=swing.low / scale, color=color, alpha=0.75, zorder=2
        )
        axes.annotate(
            percent(swing.variance), (swing.high / scale, place), xytext=(4, 0), textcoords="offset points", size=8.5,
            va="center", color=INK,
        )  # fmt: skip
    line = axes.axvline(swings[0].value / scale, color=INK, linewidth=1.0, zorder=3)
    sheet.key(line, f"{mode}: {quantity(swings[0].value, 's')} at the prices' values")
    axes.set_yticks(range(len(swings)), [_name(swing) for swing in swings], size=9)
    axes.set_ylim(len(swings) - 0.4, -0.6)
    low, high = min(s.low for s in swings) / scale, max(s.high for s in swings) / scale
    axes.set_xlim(max(low - 0.06 * (high - low), 0.0), high + 0.14 * (high - low))
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.set_xlabel(f"{MEASURES[measure].noun.removesuffix(', true')} {swings[0].statistic} [{unit}]")
    note = (
        "Bars: one coefficient at a time from end to end of its 95 % interval, the others at their values. Beside: "
        "its share of the variance that prices leave (Sobol's index, as costs add up). kpsim explain coefficients "
        "says which command measures them."
    )
    return sheet.picture(_said(swings), note)


def _name(swing: Swing) -> str:
    assumed = " (assumed)" if swing.source.startswith("assumed") else ""
    return f"{swing.name.rpartition('.')[2].replace('_', ' ')}{assumed}"


def _said(swings: Sequence[Swing]) -> str:
    return "; ".join(f"{_name(s)}: {quantity(s.low, 's')} to {quantity(s.high, 's')}" for s in swings)
