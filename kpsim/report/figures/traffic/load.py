"""Delivered connections and latency are drawn against offered ones, up to the load at which a core loses packets."""

from __future__ import annotations

import math

from kpsim.experiment.result import LoadPoint, ModeResult, Result
from kpsim.report.figures.canvas import Picture, Sheet, log_ticks
from kpsim.report.style import GREY, INK, mode_style
from kpsim.report.wording.quantity import count, factor
from kpsim.report.wording.ranking import listed

_ALIKE = 1.05
_MOST_NAMED = 3  # a title names this many modes, and beyond that only the extremes


def _points(found: ModeResult) -> list[LoadPoint]:
    return sorted((p for p in found.load_curve if p.offered_per_s > 0), key=lambda p: p.offered_per_s)


def headline(result: Result) -> str:
    """Return a title: the connections per second that one core carries in each mode, the most first."""
    capacities = [(m, f.capacity_per_s) for m, f in result.modes.items() if 0 < f.capacity_per_s < math.inf]
    ordered = sorted(capacities, key=lambda pair: -pair[1])
    if not ordered:
        return f"Offered against delivered connections with {listed(result.modes)}"
    if len(ordered) > 1 and ordered[0][1] < _ALIKE * ordered[-1][1]:
        least, most = _rounded(ordered[-1][1]), _rounded(ordered[0][1])
        each = most if least == most else f"{least} to {most}"
        return f"One core carries {each} new connections/s in every mode"
    said = f"One core carries {_rounded(ordered[0][1])} new connections/s with {ordered[0][0]}"
    others = ordered[1:] if len(ordered) <= _MOST_NAMED else ordered[-1:]
    rest = listed(f"{_rounded(capacity)} with {mode}" for mode, capacity in others)
    ratio = f" ({factor(ordered[0][1] / ordered[-1][1])})" if len(ordered) > 1 else ""
    return f"{said}{', ' if rest else ''}{rest}{ratio}"


def _rounded(value: float) -> str:
    return count(float(f"{value:.3g}"))


def picture(result: Result) -> Picture | None:
    """Draw offered against delivered, and p99 against utilisation where it was found; ``None`` without a curve."""
    modes = {mode: found for mode, found in result.modes.items() if len(_points(found)) >= 2}
    if not modes:
        return None
    latency = any(p.first_packet_p99_s for found in modes.values() for p in _points(found))
    sheet = Sheet("load", headline(result), panels=2 if latency else 1)
    said = []
    for mode, found in modes.items():
        style, points = mode_style(mode), _points(found)
        x, y = [p.offered_per_s / 1e3 for p in points], [p.delivered_per_s / 1e3 for p in points]
        (line,) = sheet.axes[0].plot(x, y, style.marker, color=style.color, linestyle=style.dashes, markersize=5)
        knee = found.capacity_per_s / 1e3
        if 0 < knee < math.inf:
            sheet.axes[0].axvline(knee, ymax=0.05, color=style.color, linewidth=2.4)
        sheet.key(line, f"{mode}: knee at {_rounded(found.capacity_per_s)}/s")
        said.append(f"{mode}: knee at {_rounded(found.capacity_per_s)} new connections a second")
    _offered_axes(sheet, modes)
    if latency:
        _latency_panel(sheet, modes)
    note = "Thin line: everything offered is delivered. Ticks on the bottom edge: the model's knee, utilisation 1."
    return sheet.picture("; ".join(said), note)


def _offered_axes(sheet: Sheet, modes: dict[str, ModeResult]) -> None:
    axes = sheet.axes[0]
    far = max(p.offered_per_s for found in modes.values() for p in _points(found)) / 1e3
    tall = max(p.delivered_per_s for found in modes.values() for p in _points(found)) / 1e3
    axes.plot([0, far], [0, far], color=INK, linewidth=1.0, zorder=1)
    axes.set_xlim(0, far * 1.03)
    axes.set_ylim(0, max(tall * 1.12, 1e-9))
    axes.set_xlabel("offered [1,000 connections/s]")
    axes.set_ylabel("delivered [1,000 connections/s]")
    axes.locator_params(nbins=5)


def _latency_panel(sheet: Sheet, modes: dict[str, ModeResult]) -> None:
    axes = sheet.axes[1]
    times = []
    for mode, found in modes.items():
        style = mode_style(mode)
        pairs = [(100 * p.utilisation, p.first_packet_p99_s) for p in _points(found) if p.first_packet_p99_s]
        if pairs:
            axes.plot(*zip(*pairs, strict=True), style.marker, color=style.color, linestyle=style.dashes, markersize=5)
            times += [p99 for _, p99 in pairs if p99]
    log_ticks(axes.yaxis, min(times) / 1.3, max(times) * 1.3, "s")
    axes.axvline(100, color=GREY, linewidth=1.1, linestyle=(0, (1.2, 1.8)))
    axes.set_xlim(0, 104)
    axes.set_xlabel("utilisation of the core [%]")
    axes.set_ylabel("first-packet p99 (log scale)")
