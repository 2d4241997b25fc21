"""The control plane's writes and sent bytes over time are drawn against the limits that would hold it up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes

from kpsim.experiment.result import ControlLoad, Result
from kpsim.report.figures.canvas import Picture, Sheet, log_ticks
from kpsim.report.style import GREY, INK
from kpsim.report.wording.quantity import compact, factor, percent, quantity
from kpsim.units import F64

_DOTTED = (0, (1.2, 1.8))
_BUSY = 0.5  # of a limit: from here on the limit is named first
_ENOUGH = 5  # writes in a stretch of time, so that its rate says something
_NOTHING = 1e-9  # what a stretch without writes is drawn at: far below any scale
_NAME_HEIGHT = 0.08  # of a limit's name, as a share of the panel
_BLUE, _LIGHT = "#004C7D", "#8FB3CC"


def _shares(load: ControlLoad) -> list[tuple[float, str]]:
    """Return (used share, name with verb) of each limit in the busiest stretch of time.

    Each controller has a client of its own; Endpoints objects take no seats here [A28].
    """
    slices, older = float(load.writes_per_s.max()), float(load.endpoints_writes_per_s.max())
    shares = [(max(slices, older) / load.client_writes_per_s, "a controller's own request limit is")]
    if load.seats_writes_per_s is not None:
        shares.append((slices / load.seats_writes_per_s, "the API server's seats are"))
    shares.append((float(load.bytes_per_s.max()) / load.egress_bytes_per_s, "the API server's network is"))
    return shares


def headline(result: Result) -> str:
    """Return a title: the bytes sent at the busiest, and the used share of the nearest limit."""
    assert result.control is not None
    load = _merged(result.control)
    share, name = max(_shares(load))
    sent = quantity(float(load.bytes_per_s.max()), "B/s")
    if share >= _BUSY:
        used = f"{name[0].upper()}{name[1:]} {percent(share)} used at the busiest"
        return f"{used}; the control plane sends up to {sent} to kube-proxies"
    room = factor(1 / share) if share > 0 else "any number of times"
    return f"The control plane sends up to {sent} to kube-proxies; {name} the nearest limit, {room} away at the busiest"


def picture(result: Result) -> Picture | None:
    """Draw writes and bytes a second with their limits; ``None`` where nothing was written."""
    load = result.control
    if load is None or not load.writes_per_s.any():
        return None
    load = _merged(load)
    sheet = Sheet("control_plane", headline(result), panels=2)
    writes, sent = sheet.axes
    shown = [("slices and Services", load.writes_per_s, _BLUE)]
    if load.endpoints_writes_per_s.any():
        shown.append(("Endpoints objects", load.endpoints_writes_per_s, _LIGHT))
    for name, values, color in shown:
        _steps(sheet, writes, load, values, color, f"{name}: {compact(_rounded(float(values.mean())))}/s written")
    _steps(sheet, sent, load, load.bytes_per_s, INK, f"sent: {quantity(float(load.bytes_per_s.mean()), 'B/s')}")
    limits = [(load.client_writes_per_s, "client limit")]
    if load.seats_writes_per_s is not None:
        limits.append((load.seats_writes_per_s, "seats"))
    _limits(writes, [values for _, values, _ in shown], limits, "")
    _limits(sent, [load.bytes_per_s], [(load.egress_bytes_per_s, "network")], "B")
    writes.set_ylabel("writes a second (log scale)")
    sent.set_ylabel("sent a second (log scale)")
    for axes in sheet.axes:
        axes.set_xlabel("time in the run [s]")
        axes.set_xlim(0, load.time_s[-1] + load.time_s[0])
        axes.locator_params(axis="x", nbins=5)
    said = "; ".join(f"{name} {compact(_rounded(limit))} writes/s" for limit, name in limits)
    sent_at_most = quantity(load.egress_bytes_per_s, "B/s")
    alt = f"Limits: {said}; network {sent_at_most}"
    note = (
        "Means over stretches of time and replications; the key has those of the run, the title the busiest stretch, "
        "which a client's burst may carry over its limit. Dotted: what a controller's client, the API servers' seats "
        "(default priority levels, nothing borrowed) and their network let through."
    )
    return sheet.picture(alt, note)


def _merged(load: ControlLoad) -> ControlLoad:
    """Return the same over longer stretches of time, if there are few writes in each."""
    step_s = 2 * load.time_s[0]
    if not load.writes_per_s.any():
        return load
    wanted = _ENOUGH / float(load.writes_per_s.mean() * step_s)
    merge = next((n for n in range(1, len(load.time_s)) if n >= wanted and len(load.time_s) % n == 0), 1)
    columns = (load.time_s, load.writes_per_s, load.endpoints_writes_per_s, load.bytes_per_s)
    time_s, writes, endpoints, sent = (column.reshape(-1, merge).mean(axis=1) for column in columns)
    return replace(
        load, time_s=time_s, writes_per_s=writes, endpoints_writes_per_s=endpoints, bytes_per_s=sent
    )  # fmt: skip


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")


def _steps(sheet: Sheet, axes: Axes, load: ControlLoad, values: F64, color: str, text: str) -> None:
    half = load.time_s[0]
    edges = np.concatenate([load.time_s - half, [load.time_s[-1] + half]])
    shown = np.repeat(np.where(values > 0, values, _NOTHING), 2)
    above = 2 if color == _LIGHT else 3
    (line,) = axes.plot(np.repeat(edges, 2)[1:-1], shown, color=color, linewidth=1.4, zorder=above)
    sheet.key(line, text)


def _limits(axes: Axes, drawn: list[F64], limits: list[tuple[float, str]], unit: str) -> None:
    """A log scale that holds the curves and those limits that are less than three decades away, each named."""
    values = np.concatenate(drawn)
    values = values[values > 0] if values.any() else np.ones(1)
    near = sorted((limit, name) for limit, name in limits if limit < 1_000 * values.max())
    most = max([float(values.max()), *(limit for limit, _ in near)])
    log_ticks(axes.yaxis, float(values.min()) / 1.5, most * 2, unit)
    for i, (limit, name) in enumerate(near):
        axes.axhline(limit, color=GREY, linewidth=1.2, linestyle=_DOTTED, zorder=1)
        side, at = _free_place(axes, drawn, limit, [other for other, _ in near if other != limit], i % 2)
        axes.annotate(
            f"{name}: {compact(_rounded(limit), unit)}/s", (0.98 if side else 0.02, at), ha="right" if side else "left",
            xycoords=("axes fraction", "data"), xytext=(0, 2), textcoords="offset points", size=9, color=GREY,
        )  # fmt: skip


def _free_place(axes: Axes, drawn: list[F64], limit: float, others: Sequence[float], first: int) -> tuple[int, float]:
    """Half of the panel and height at which a limit's name covers neither a curve nor another limit."""
    low, high = axes.get_ylim()
    tall = math.exp(_NAME_HEIGHT * math.log(high / low))
    for level in (limit, limit / tall):  # above its line, or just below it
        for side in (first, 1 - first):
            if not any(level < other < level * tall for other in others) and not _crossed(
                drawn, side, level, level * tall
            ):
                return side, level
    tops = [max(float(_half(values, side).max()) for values in drawn) for side in (0, 1)]
    side = int(tops[1] < tops[0])
    return side, max(limit, tops[side])


def _half(values: F64, side: int) -> F64:
    """Return the steps of one half of the panel, with the one beside it."""
    middle = len(values) // 2
    return values[middle - 1 :] if side else values[: middle + 1]


def _crossed(drawn: list[F64], side: int, low: float, high: float) -> bool:
    """Return True if a curve runs through heights from ``low`` to ``high`` in one half, level or upright."""
    for values in drawn:
        steps = _half(values, side)
        level = (steps >= low) & (steps <= high)
        upright = (np.minimum(steps[1:], steps[:-1]) < high) & (np.maximum(steps[1:], steps[:-1]) > low)
        if level.any() or upright.any():
            return True
    return False
