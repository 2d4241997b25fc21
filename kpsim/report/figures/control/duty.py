"""The share of time that kube-proxy syncs is drawn against the size of the cluster, at today's rate of syncs."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from kpsim.experiment.result import ModeResult, Result
from kpsim.report.figures.canvas import Picture, Sheet, log_ticks
from kpsim.report.figures.sync import curve, seconds_at
from kpsim.report.style import INK, mode_style
from kpsim.report.wording.quantity import many, percent
from kpsim.report.wording.ranking import listed

LEAST = 0.05  # of the time: less is not worth a figure


def duties(found: ModeResult) -> list[tuple[int, float]]:
    """Return by number of Services the share of time that syncs would take, if as many ran as today; 1 is all of it."""
    syncs, full = (found.rates.get(f"{kind}_per_node_per_s") for kind in ("syncs", "full_syncs"))
    whole, part = curve(found, "full"), curve(found, "partial")
    if syncs is None or full is None or not (whole or part):
        return []
    rates = {"full": full.value, "partial": max(syncs.value - full.value, 0.0)}
    shares = []
    for point in whole or part:
        times = {"full": seconds_at(whole, point.services), "partial": seconds_at(part, point.services)}
        shares.append((point.services, sum(rates[kind] * (times[kind] or 0.0) for kind in rates)))
    return shares


def at(shares: list[tuple[int, float]], services: float) -> float:
    """Return the share at a size, at most 1."""
    sizes, values = np.array(shares).T
    return min(float(np.interp(services, sizes, values)), 1.0)


def filled(shares: list[tuple[int, float]]) -> float | None:
    """Return the number of Services at which syncs take all of the time; ``None`` if they never do."""
    for (a, before), (b, after) in pairwise(shares):
        if before < 1 <= after:
            return a + (b - a) * (1 - before) / (after - before)
    return None


def headline(result: Result) -> str:
    """Return a title: the share today, and where syncs take all of the time."""
    drawn = {mode: shares for mode, found in result.modes.items() if (shares := duties(found))}
    today = listed(f"{percent(at(shares, result.services))} with {mode}" for mode, shares in drawn.items())
    ends = {
        mode: size
        for mode, shares in drawn.items()
        if (size := filled(shares)) is not None and at(shares, result.services) < 1  # a full one's rate tells no more
    }
    said = f"Syncs take {_of_the_time(today)}"
    if not ends:
        return said
    where = listed(
        f"{many(round(float(f'{size:.2g}')), 'Service')} on with {mode}{_if_guess(result.modes[mode], size)}"
        for mode, size in ends.items()
    )
    return f"{said}; all of it from {where}"


def _of_the_time(today: str) -> str:
    """Return shares by mode with what they are of, said once: "7 % of kube-proxy's time with iptables and 2 % …"."""
    return today.replace(" with ", " of kube-proxy's time with ", 1)


def _if_guess(found: ModeResult, size: float) -> str:
    beyond = [point.services for point in found.sync_curve if point.extrapolated]
    return " (extrapolated)" if beyond and size > min(beyond) else ""


def picture(result: Result) -> Picture | None:
    """Draw a curve a mode; ``None`` where syncs take next to no time."""
    drawn = {mode: shares for mode, found in result.modes.items() if len(shares := duties(found)) > 1}
    if not drawn or result.services <= 0 or max(share for each in drawn.values() for _, share in each) < LEAST:
        return None
    sheet = Sheet("duty", headline(result))
    axes = sheet.axes[0]
    for mode, shares in drawn.items():
        style = mode_style(mode)
        sizes, values = zip(*shares, strict=True)
        (line,) = axes.plot(
            sizes, [100 * min(value, 1.0) for value in values], style.marker, color=style.color, linestyle=style.dashes,
            markersize=5,
        )  # fmt: skip
        sheet.key(line, f"{mode}: {percent(at(shares, result.services))} today")
    every = [size for shares in drawn.values() for size, _ in shares]
    log_ticks(axes.xaxis, min(every) / 1.1, max(every) * 1.1)
    highest = max(min(share, 1.0) for shares in drawn.values() for _, share in shares)
    axes.set_ylim(0, 108 * highest)
    axes.axhline(100, color=INK, linewidth=0.8)
    sheet.mark_x(axes, result.services, f"today: {many(result.services, 'Service')}")
    axes.set_xlabel("Services in the cluster, same mix as today (log scale)")
    axes.set_ylabel("time spent in syncs [%]")
    said = "; ".join(f"{mode}: {percent(at(shares, result.services))} today" for mode, shares in drawn.items())
    note = (
        "From the model's time of a sync at each size and the run's rate of syncs, as if it stayed the same. Where all "
        "of the time is taken, syncs follow one another without a pause and changes wait for their length."
    )
    return sheet.picture(said, note)
