"""One kube-proxy sync's cost is drawn against the size of the cluster, with the size at which it takes too long."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import groupby, pairwise
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from kpsim.experiment.result import ModeResult, Result, SyncPoint
from kpsim.report.figures.canvas import Picture, Sheet, log_ticks
from kpsim.report.style import INK, Dashes, mode_style
from kpsim.report.wording.quantity import compact, count, many, quantity
from kpsim.report.wording.ranking import listed

Kind = Literal["full", "partial"]
_DEFAULT_ALLOWED_S = 1.0
_MOST_NAMED = 3  # a title names this many modes, and beyond that only the extremes
_EXTRAPOLATED: Dashes = (0, (2.2, 1.8))


def allowed_s(result: Result) -> float:
    """Return the time a full sync may take: the scenario's objective for it, or else one second."""
    bounds = [t.bound for t in result.scenario.thresholds if t.measure in ("sync_duration_full", "sync_duration")]
    return min((b for b in bounds if b > 0), default=_DEFAULT_ALLOWED_S)


def curve(found: ModeResult, kind: Kind) -> list[SyncPoint]:
    """Return the points of one kind that a logarithmic scale can show, by size."""
    points = [p for p in found.sync_curve if p.kind == kind and p.services > 0 and p.seconds > 0]
    return sorted(points, key=lambda p: p.services)


def crossing(points: list[SyncPoint], seconds: float) -> tuple[float, bool] | None:
    """At how many Services the curve first rises past ``seconds``, and whether that is extrapolated."""
    for a, b in pairwise(points):
        if a.seconds < seconds <= b.seconds:
            share = np.log(seconds / a.seconds) / np.log(b.seconds / a.seconds)
            return float(a.services * (b.services / a.services) ** share), a.extrapolated or b.extrapolated
    return None


def seconds_at(points: list[SyncPoint], services: float) -> float | None:
    """Return the curve's value at a size, between its points on logarithmic scales; ``None`` beyond its ends."""
    if not points or not points[0].services <= services <= points[-1].services:
        return None
    x, y = np.log([p.services for p in points]), np.log([p.seconds for p in points])
    return float(np.exp(np.interp(np.log(services), x, y)))


def headline(result: Result) -> str:
    """Return a title: the size at which each mode's full sync passes the time allowed, or up to which it keeps to it.

    A mode keeps to it as far as it does at its dearest prices.
    """
    bound = allowed_s(result)
    passes: list[tuple[str, float, bool]] = []
    above: dict[str, list[SyncPoint]] = {}
    below: dict[str, list[SyncPoint]] = {}
    for mode, found in result.modes.items():
        points = curve(found, "full")
        crossed = crossing(points, bound)
        if crossed is not None:
            passes.append((mode, *crossed))
        elif points:
            (above if points[0].seconds >= bound else below)[mode] = points
    limit = compact(bound, "s")
    said = [_passing(passes, limit)] if passes else []
    if above:
        guess = any(points[0].extrapolated for points in above.values())
        said.append(f"{listed(above)} full sync takes over {limit} at every size drawn{_if_guess(guess)}")
    if below:
        said.append(f"{listed(below)} full sync {_keeping([kept(points, bound) for points in below.values()], limit)}")
    return "; ".join(said) or f"Sync time by size with {listed(result.modes)}"


def kept(points: list[SyncPoint], seconds: float) -> tuple[int, bool]:
    """Return up to how many Services the dearest prices stay below ``seconds``, 0 for none; and if extrapolated.

    A crossing between points is rounded down to two digits.
    """
    dearest = [replace(point, seconds=max(point.high_s, point.seconds)) for point in points]
    if dearest[0].seconds >= seconds:
        return 0, points[0].extrapolated
    crossed = crossing(dearest, seconds)
    if crossed is None:
        return points[-1].services, points[-1].extrapolated
    digits = 10 ** max(math.floor(math.log10(crossed[0])) - 1, 0)
    return math.floor(crossed[0] / digits) * digits, crossed[1]


def _keeping(reaches: list[tuple[int, bool]], limit: str) -> str:
    reach, guess = min(reaches)
    if not reach:
        return f"may pass {limit} at every size drawn, by its prices"
    return f"stays under {limit} up to {many(reach, 'Service')}{_if_guess(guess)}"


def _passing(passes: list[tuple[str, float, bool]], limit: str) -> str:
    if len(passes) == 1:
        mode, at, guess = passes[0]
        return f"{mode} full sync passes {limit} at about {_two_digits(at)} Services{_if_guess(guess)}"
    ordered = sorted(passes, key=lambda each: each[1])
    named = ordered if len(ordered) <= _MOST_NAMED else [ordered[0], ordered[-1]]
    where = listed(f"{_two_digits(size)} with {mode}{_if_guess(guess)}" for mode, size, guess in named)
    return f"A full sync passes {limit} at about {where.replace(' with', ' Services with', 1)}"


def _if_guess(guess: bool) -> str:
    return " (extrapolated)" if guess else ""


def _two_digits(value: float) -> str:
    return count(float(f"{value:.2g}"))


def picture(result: Result) -> Picture | None:
    """Draw full and partial syncs against the number of Services; ``None`` where no curve has two points."""
    curves = {
        (mode, kind): points
        for mode, found in result.modes.items()
        for kind in ("full", "partial")
        if len(points := curve(found, kind)) >= 2
    }
    if not curves:
        return None
    sheet = Sheet("sync", headline(result))
    axes = sheet.axes[0]
    for (mode, kind), points in curves.items():
        line = _draw(axes, points, mode, kind)
        now = seconds_at(points, result.services)
        today = "" if now is None else f": {quantity(now, 's')} today"
        sheet.key(line, f"{mode}, {kind}{today}")
    if any(p.extrapolated for points in curves.values() for p in points):
        sheet.key(Line2D([], [], color=INK, linestyle=_EXTRAPOLATED), "extrapolated")
    _scales(sheet, [p for points in curves.values() for p in points], result)
    rules = ", ".join(f"{mode} {count(found.rules)}" for mode, found in result.modes.items())
    said = "; ".join(_said(mode, kind, points) for (mode, kind), points in curves.items())
    note = (
        "Shaded: the cost profile's 95 % intervals; a mode stays under a time as far as its shade does."
        f"{_crossed_by_prices(result)} Rules (or virtual servers) on a node today: {rules}."
    )
    return sheet.picture(said, note)


def _crossed_by_prices(result: Result) -> str:
    """Return between which sizes prices leave each crossing that the title names; "" where there is none."""
    bound, said = allowed_s(result), []
    for mode, found in result.modes.items():
        points = curve(found, "full")
        if crossing(points, bound) is None:
            continue
        ends = [crossing([replace(p, seconds=getattr(p, end)) for p in points], bound) for end in ("high_s", "low_s")]
        least, most = (_two_digits(end[0]) if end else "" for end in ends)
        said.append(f"{mode} {least or 'the smallest'} to {most or 'beyond the largest'}")
    return f" By prices {compact(bound, 's')} is passed at: {', '.join(said)}." if said else ""


def _said(mode: str, kind: str, points: list[SyncPoint]) -> str:
    first, last = points[0], points[-1]
    start, end = quantity(first.seconds, "s"), quantity(last.seconds, "s")
    return f"{mode}, {kind}: {start} at {count(first.services)} Services to {end} at {count(last.services)}"


def _draw(axes: Axes, points: list[SyncPoint], mode: str, kind: str) -> Line2D:
    style = mode_style(mode)
    x = [p.services for p in points]
    low, high = [p.low_s if p.low_s > 0 else p.seconds for p in points], [p.high_s for p in points]
    axes.fill_between(x, low, high, color=style.color, alpha=0.14, linewidth=0)
    width = 1.8 if kind == "full" else 1.1
    for guess, run in groupby(pairwise(points), key=lambda pair: pair[0].extrapolated or pair[1].extrapolated):
        pairs = list(run)
        part = [pairs[0][0], *(b for _, b in pairs)]
        dashes: Dashes = _EXTRAPOLATED if guess else "-"
        part_x, part_y = [p.services for p in part], [p.seconds for p in part]
        axes.plot(part_x, part_y, color=style.color, linestyle=dashes, linewidth=width)
    face, y = style.color if kind == "full" else "white", [p.seconds for p in points]
    axes.plot(x, y, style.marker, color=style.color, markerfacecolor=face, markersize=5, zorder=4)
    return Line2D([], [], color=style.color, linewidth=width, marker=style.marker, markerfacecolor=face, markersize=5)


def _scales(sheet: Sheet, points: list[SyncPoint], result: Result) -> None:
    axes, bound = sheet.axes[0], allowed_s(result)
    sizes = [p.services for p in points] + ([result.services] if result.services > 0 else [])
    times = [t for p in points for t in (p.seconds, p.low_s, p.high_s) if t > 0]
    inside = min(times) / 10 < bound < max(times) * 10
    times += [bound] if inside else []
    log_ticks(axes.xaxis, min(sizes) / 1.1, max(sizes) * 1.1)
    log_ticks(axes.yaxis, min(times) / 1.3, max(times) * 1.3, "s")
    if inside:
        sheet.mark_y(axes, bound, compact(bound, "s"))
    if result.services > 0:
        sheet.mark_x(axes, result.services, f"today: {many(result.services, 'Service')}")
    axes.set_xlabel("Services in the cluster, same mix as today (log scale)")
    axes.set_ylabel("one sync (log scale)")
