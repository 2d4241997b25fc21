"""What the control plane writes and sends over time, and how far that is from what would hold it up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes

from kpsim.experiment.result import ControlLoad, Result
from kpsim.report.figures.canvas import Picture, Sheet, log_ticks
from kpsim.report.style import GREY, INK
from kpsim.report.wording.quantity import compact, factor, percent, quantity
from kpsim.units import F64

__all__ = ["headline", "picture"]

_DOTTED = (0, (1.2, 1.8))
_BUSY = 0.5  # of a limit: from here on the limit is named first
_ENOUGH = 5  # writes in a stretch of time, so that its rate says something
_BLUE, _LIGHT = "#004C7D", "#8FB3CC"


def _write_limit(load: ControlLoad) -> tuple[float, str]:
    """The lower of the limits that hold for slice writes, and its name with its verb."""
    limits = [(load.client_writes_per_s, "the controller's own request limit is")]
    if load.seats_writes_per_s is not None:
        limits.append((load.seats_writes_per_s, "the API server's seats are"))
    return min(limits)


def headline(result: Result) -> str:
    """How much of the nearest limit is used."""
    load = result.control
    assert load is not None
    limit, whose = _write_limit(load)
    shares = [(float(load.writes_per_s.mean()) / limit, whose)]
    shares.append((float(load.bytes_per_s.mean()) / load.egress_bytes_per_s, "the API server's network is"))
    share, name = max(shares)
    sent = quantity(float(load.bytes_per_s.mean()), "B/s")
    if share >= _BUSY:
        return f"{name[0].upper()}{name[1:]} {percent(share)} used; the control plane sends {sent} to kube-proxies"
    room = factor(1 / share) if share > 0 else "any number of times"
    return f"The control plane sends {sent} to kube-proxies; {name} the nearest limit, {room} away"


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
    _scale(writes, [values for _, values, _ in shown], limits, "")
    _scale(sent, [load.bytes_per_s], [(load.egress_bytes_per_s, "network")], "B")
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
        "Means over stretches of time and replications. Dotted: what the controller's client, the API server's seats "
        "(one server, default priority levels, nothing borrowed) and its network let through."
    )
    return sheet.picture(alt, note)


def _merged(load: ControlLoad) -> ControlLoad:
    """The same over longer stretches of time, if there are few writes in each."""
    step_s = 2 * load.time_s[0]
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
    shown = np.repeat(np.where(values > 0, values, np.nan), 2)
    above = 2 if color == _LIGHT else 3
    (line,) = axes.plot(np.repeat(edges, 2)[1:-1], shown, color=color, linewidth=1.4, zorder=above)
    sheet.key(line, text)


def _scale(axes: Axes, drawn: list[F64], limits: list[tuple[float, str]], unit: str) -> None:
    """A log scale that holds the curves and those limits that are less than three decades away, each named."""
    values = np.concatenate(drawn)
    values = values[values > 0] if values.any() else np.ones(1)
    near = [(limit, name) for limit, name in limits if limit < 1_000 * values.max()]
    most = max([float(values.max()), *(limit for limit, _ in near)])
    log_ticks(axes.yaxis, float(values.min()) / 1.5, most * 2, unit)
    for i, (limit, name) in enumerate(sorted(near)):
        axes.axhline(limit, color=GREY, linewidth=1.2, linestyle=_DOTTED, zorder=1)
        axes.annotate(
            f"{name}: {compact(_rounded(limit), unit)}/s", (0.02 + 0.5 * (i % 2), limit),
            xycoords=("axes fraction", "data"), xytext=(0, 2), textcoords="offset points", size=9, color=GREY,
        )  # fmt: skip
