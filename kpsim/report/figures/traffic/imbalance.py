"""The load of a Service's endpoints, and of their nodes, is drawn from the busiest to the idlest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from kpsim.experiment.result import Load, ModeResult, Result
from kpsim.report.figures.canvas import Picture, Sheet
from kpsim.report.style import GREY, INK, mode_style
from kpsim.report.wording.quantity import count, factor
from kpsim.report.wording.ranking import listed

MARKED = 25  # up to so many have a marker and a bar each


def _of(found: ModeResult, of: str) -> list[Load]:
    return [load for load in found.loads if load.of == of]


def headline(result: Result) -> str:
    """Return a title: the busiest endpoint's load over the mean in each mode, and what chance alone makes of it."""
    busiest = {mode: loads[0] for mode, found in result.modes.items() if (loads := _of(found, "endpoint"))}
    said = listed(f"{factor(load.ratio.value)} with {mode}" for mode, load in busiest.items())
    number = max(load.rank for found in result.modes.values() for load in _of(found, "endpoint"))
    chance = max(load.expected for load in busiest.values())
    said = said.replace(" with ", " the mean load with ", 1)
    return f"The busiest of {count(number)} endpoints gets {said}; chance alone gives about {factor(chance)}"


def picture(result: Result) -> Picture | None:
    """Draw loads by rank; ``None`` where the scenario does not ask how even they are, or nothing was received."""
    modes = {mode: found for mode, found in result.modes.items() if len(_of(found, "endpoint")) > 1}
    if not modes:
        return None
    nodes = any(len(_of(found, "node")) > 1 for found in modes.values())
    sheet = Sheet("imbalance", headline(result), panels=2 if nodes else 1)
    for axes, of in zip(sheet.axes, ("endpoint", "node"), strict=False):
        for mode, found in modes.items():
            line = _draw(axes, mode, _of(found, of))
            if of == "endpoint":
                sheet.key(line, f"{mode}: {_ends(_of(found, of))}")
        _expected(axes, next(iter(modes.values())), of)
        axes.set_xlabel(f"{of}s, the busiest first")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    sheet.axes[0].set_ylabel("connections over the mean of all")
    for axes in sheet.axes:
        axes.set_ylim(0, max(other.dataLim.y1 for other in sheet.axes) * 1.06)
    sheet.key(Line2D([], [], color=INK, linewidth=1.0), "chance alone; of nodes: their endpoints alone")
    said = "; ".join(f"{mode}: {_ends(_of(found, 'endpoint'))}" for mode, found in modes.items())
    note = (
        "Of the Service with most endpoints: connections of each that was there at the beginning, in the order of a "
        "run's own loads, with 95 % intervals. Dotted: all alike."
    )
    return sheet.picture(said, note)


def _ends(loads: Sequence[Load]) -> str:
    return f"{factor(loads[0].ratio.value)} to {factor(loads[-1].ratio.value)}"


def _draw(axes: Axes, mode: str, loads: Sequence[Load]) -> Line2D:
    style, x = mode_style(mode), [load.rank for load in loads]
    marked = len(loads) <= MARKED
    (line,) = axes.plot(x, [load.ratio.value for load in loads], color=style.color, linestyle=style.dashes)
    line.set(marker=style.marker if marked else "None", markersize=4.5)
    low, high = (
        np.array([load.ratio.value if (end := getattr(load.ratio, name)) is None else end for load in loads])
        for name in ("low", "high")
    )
    if marked:
        axes.vlines(x, low, high, color=style.color, linewidth=1.4, alpha=0.55)
    else:
        axes.fill_between(x, low, high, color=style.color, alpha=0.14, linewidth=0)
    return line


def _expected(axes: Axes, found: ModeResult, of: str) -> None:
    loads = _of(found, of)
    axes.plot([load.rank for load in loads], [load.expected for load in loads], color=INK, linewidth=1.0, zorder=5)
    axes.axhline(1.0, color=GREY, linewidth=1.2, linestyle=(0, (1.2, 1.8)), zorder=1)
