"""First-packet costs are drawn by the place of their Service in the rules."""

from __future__ import annotations

import numpy as np
from matplotlib.ticker import MaxNLocator

from kpsim.experiment.result import ModeResult, PositionBin, Result
from kpsim.report.figures.canvas import Picture, Sheet
from kpsim.report.style import INK, mode_style
from kpsim.report.wording.quantity import count, factor, nearest_prefix, quantity
from kpsim.report.wording.ranking import listed

FLAT = 0.05  # a mode whose last position costs within 5 % of its first is called flat


def _bins(found: ModeResult) -> list[PositionBin]:
    return sorted((b for b in found.by_position if b.n > 0), key=lambda b: b.position)


def last_over_first(found: ModeResult) -> float | None:
    """Return the simulated first-packet cost of the last Services over that of the first ones; None if unknown."""
    bins = _bins(found)
    if len(bins) < 2 or bins[0].mean_s <= 0:
        return None
    return bins[-1].mean_s / bins[0].mean_s


def headline(result: Result) -> str:
    """Return a title: the modes in which a Service's place costs, and how much; then the flat ones."""
    ratios = {mode: last_over_first(found) for mode, found in result.modes.items()}
    moving = [(m, r) for m, r in ratios.items() if r is not None and abs(r - 1) > FLAT]
    flat = [m for m, r in ratios.items() if r is not None and abs(r - 1) <= FLAT]
    said = [f"{mode}: the last Services cost {factor(ratio)} the first" for mode, ratio in moving]
    if flat and not said:
        farthest = max(b.position for mode in flat for b in _bins(result.modes[mode]))
        return f"{listed(flat)}: a first packet costs the same at the top and {count(farthest)} rules below"
    if flat:
        said.append(f"{listed(flat)} {'is' if len(flat) == 1 else 'are'} flat")
    return "; ".join(said) or f"First-packet cost by position with {listed(result.modes)}"


def picture(result: Result) -> Picture | None:
    """Draw cost against position with the model's lines; ``None`` where no mode has two positions."""
    modes = {mode: found for mode, found in result.modes.items() if len(_bins(found)) >= 2}
    if not modes:
        return None
    sheet = Sheet("position", headline(result))
    axes = sheet.axes[0]
    scale, unit = nearest_prefix(max(b.p90_s for found in modes.values() for b in _bins(found)), "s")
    far = max(b.position for found in modes.values() for b in _bins(found)) * 1.02
    said = []
    for mode, found in modes.items():
        style, bins = mode_style(mode), _bins(found)
        x = np.asarray([b.position for b in bins])
        mean, p10, p90 = (np.asarray([getattr(b, name) for b in bins]) / scale for name in ("mean_s", "p10_s", "p90_s"))
        axes.vlines(x, p10, p90, color=style.color, linewidth=1.6, alpha=0.55)
        (points,) = axes.plot(x, mean, style.marker, color=style.color, zorder=4)
        reach = min(far, float(x[-1]) * 1.02)
        line = np.asarray([found.position_fixed_s, found.position_fixed_s + found.position_slope_s * reach]) / scale
        (theory,) = axes.plot([0, reach], line, color=INK, linewidth=1.0, zorder=5)
        each = f"{quantity(found.position_slope_s, 's')} a rule" if found.position_slope_s else "no scan"
        sheet.key(points, f"{mode}: {each}")
        said.append(f"{mode}: from {quantity(bins[0].mean_s, 's')} to {quantity(bins[-1].mean_s, 's')}, {each}")
    sheet.key(theory, "model: fixed + slope × position")
    axes.set_xlim(-0.02 * far, far)
    axes.xaxis.set_major_locator(MaxNLocator(nbins="auto", steps=[1, 2, 2.5, 5, 10], integer=True))
    axes.set_ylim(0, 1.08 * axes.dataLim.y1)
    axes.xaxis.set_major_formatter(lambda value, _: count(value))
    axes.set_xlabel("position: rules from the top of the Service chain")
    axes.set_ylabel(f"service time of a first packet [{unit}]")
    return sheet.picture("; ".join(said), "Points: mean by position bin; bars: p10 to p90. Waiting is not in it.")
