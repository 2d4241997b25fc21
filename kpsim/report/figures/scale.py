"""A latency is drawn against the size of the cluster: the picture a sweep is run for."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from kpsim.measure.summary import MEASURES
from kpsim.report.figures.canvas import Picture, Sheet, drawing, log_ticks
from kpsim.report.style import GREY, mode_style
from kpsim.report.wording.axis import axis_name
from kpsim.report.wording.quantity import compact, count, factor, quantity, unit_of
from kpsim.report.wording.ranking import listed
from kpsim.scenario.model import Threshold

_STATISTICS = ("p50", "p99")
_FLAT = 0.1


def _rows(frame: pd.DataFrame, axis: str, measure: str, statistics: Sequence[str]) -> pd.DataFrame:
    """Rows that a logarithmic scale can show; where several rows share a size, the first combination of other axes."""
    size = pd.to_numeric(frame[axis], errors="coerce")
    rows = frame.assign(size=size)[(frame["measure"] == measure) & frame["statistic"].isin(list(statistics))]
    rows = rows[(rows["size"] > 0) & (rows["value"] > 0)]
    return rows.drop_duplicates(["mode", "statistic", "size"]).sort_values("size", kind="stable")


def headline(frame: pd.DataFrame, axis: str, measure: str, name: str) -> str:
    """Return a title: a percentile's growth from the smallest size to the largest, mode by mode.

    The highest percentile of those that are known at the most sizes: a claim from end to end needs both ends.
    """
    rows = _rows(frame, axis, measure, _STATISTICS)
    known = rows["statistic"].value_counts()
    statistic = max(_STATISTICS, key=lambda s: (int(known.get(s, 0)), s))
    title = MEASURES[measure].title if measure in MEASURES else measure
    said, flat, ends = [], [], (0.0, 0.0)
    for mode, part in rows[rows["statistic"] == statistic].groupby("mode", sort=False):
        if len(part) < 2:
            continue
        growth = float(part["value"].iloc[-1] / part["value"].iloc[0])
        ends = (float(part["size"].iloc[0]), float(part["size"].iloc[-1]))
        if abs(growth - 1) <= _FLAT:
            flat.append(str(mode))
        else:
            verb = "grows" if growth > 1 else "shrinks to"
            said.append(f"{verb} {factor(growth)} with {mode}")
    if flat:
        said.append(f"stays flat with {listed(flat)}")
    if not said:
        return f"{title} against {name}"
    return f"{title}, {statistic}, {listed(said)} from {count(ends[0])} to {count(ends[1])} {name}"


def scale_picture(
    frame: pd.DataFrame,
    axis: str,
    measure: str = "first_packet_latency",
    *,
    name: str | None = None,
    today: float | None = None,
    objective: Threshold | None = None,
) -> Picture | None:
    """Draw p50 and p99 of ``measure`` against a sweep's ``axis`` on logarithmic scales.

    Parameters
    ----------
    frame
        Tidy: a column an axis, and ``mode, measure, statistic, value, low, high``.
    axis
        The column with sizes.
    name
        What the axis counts, for readers ("Services"); the column's name if not given.
    today, objective
        Where the cluster stands now, and the bound it must keep; drawn dotted.
    """
    rows = _rows(frame, axis, measure, _STATISTICS)
    if rows["size"].nunique() < 2:
        return None
    name = name or axis
    with drawing():
        sheet = Sheet(f"scale_{measure}", headline(frame, axis, measure, name))
        return _draw(sheet, rows, measure, name, today, objective)


def _draw(
    sheet: Sheet, rows: pd.DataFrame, measure: str, name: str, today: float | None, objective: Threshold | None
) -> Picture:
    axes, unit = sheet.axes[0], unit_of(measure)
    bound = objective.bound if objective is not None and objective.measure == measure and objective.bound > 0 else None
    edges = [rows[c] for c in ("value", "low", "high") if c in rows]
    values = [float(v) for column in edges for v in column.dropna() if v > 0] + ([bound] if bound else [])
    sizes = [*rows["size"].astype(float), *([today] if today else [])]
    log_ticks(axes.xaxis, min(sizes) / 1.1, max(sizes) * 1.1)
    log_ticks(axes.yaxis, min(values) / 1.3, max(values) * 1.3, unit)
    said = []
    for (mode, statistic), part in rows.groupby(["mode", "statistic"], sort=False):
        style, main = mode_style(str(mode)), statistic == "p99"
        x, y = part["size"].to_numpy(float), part["value"].to_numpy(float)
        low, high = (part[end].fillna(part["value"]).to_numpy(float) for end in ("low", "high"))
        axes.vlines(x, low, high, color=style.color, linewidth=2)
        (line,) = axes.plot(x, y, style.marker, color=style.color, linestyle=style.dashes, markersize=5.5)
        line.set_linewidth(1.8 if main else 1.0)
        line.set_markerfacecolor(style.color if main else "white")
        sheet.key(line, f"{mode}, {statistic}")
        ends = [f"{quantity(y[i], unit)} at {count(x[i])}" for i in (0, -1)]
        said.append(f"{mode}, {statistic}: {ends[0]} to {ends[1]}")
    _ring_guesses(sheet, rows)
    if bound and objective is not None:
        sheet.mark_y(axes, bound, f"objective: {objective.statistic} {objective.operator} {compact(bound, unit)}")
    if today:
        sheet.mark_x(axes, today, f"today: {count(today)}")
    axes.set_xlabel(f"{name} (log scale)")
    axes.set_ylabel(MEASURES[measure].noun.removesuffix(", true") if measure in MEASURES else measure.replace("_", " "))
    return sheet.picture("; ".join(said), "Points: simulated, with bars over their 95 % intervals.")


def _ring_guesses(sheet: Sheet, rows: pd.DataFrame) -> None:
    """Draw a ring around each point that rests on costs beyond anything measured."""
    if "marks" not in rows:
        return
    guessed = rows[rows["marks"].fillna("").str.contains("extrapolated")]
    if len(guessed):
        x, y = (guessed[column].to_numpy(float) for column in ("size", "value"))
        (rings,) = sheet.axes[0].plot(
            x, y, "o", color=GREY, markerfacecolor="none", markersize=11, markeredgewidth=0.9, linestyle="none"
        )
        sheet.key(rings, "extrapolated")


def scale_pictures(frame: pd.DataFrame, axes: Sequence[str], thresholds: Sequence[Threshold] = ()) -> list[Picture]:
    """Return every measure of a sweep against its first numeric axis, with its objective.

    Other axes are held at their first value, unless no two points share one, as in a Latin hypercube.
    """
    numeric = [axis for axis in axes if pd.api.types.is_numeric_dtype(frame[axis]) and frame[axis].nunique() > 1]
    if not numeric:
        return []
    axis, held = numeric[0], frame
    for other in axes:
        if other != axis:
            held = held[held[other] == held[other].iloc[0]]
    shown = held if held[axis].nunique() > 1 else frame
    bounds = {each.measure: each for each in reversed(thresholds)}
    drawn = [
        scale_picture(shown, axis, measure.name, name=axis_name(axis), objective=bounds.get(measure.name))
        for measure in MEASURES.values()
        if measure.compared or measure.name in bounds
    ]
    return [picture for picture in drawn if picture]
