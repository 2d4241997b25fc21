"""The time from a change of a Pod until its rules are in force is drawn stage after stage, mode by mode."""

from __future__ import annotations

import textwrap

from matplotlib.axes import Axes
from matplotlib.patches import Patch

from kpsim.experiment.result import ChangeStage, Result
from kpsim.report.figures.canvas import LEFT, Picture, Sheet
from kpsim.report.style import GREY, INK, mode_style
from kpsim.report.wording.quantity import nearest_prefix, percent, quantity
from kpsim.report.wording.ranking import listed

OWN_STAGES = 2  # waiting for a sync and the sync: what comes before is the control plane's
_NOTHING = 1e-4  # of the whole
_LEAST = 1e-3  # of the whole: stages below it are drawn as a tick


def _parts(stages: tuple[ChangeStage, ...]) -> list[tuple[str, float, float]]:
    """Name, begin and end of each stage for the change in the middle [s]."""
    begins = [0.0, *(stage.p50_s for stage in stages)]
    return [(stage.name, begin, stage.p50_s) for stage, begin in zip(stages, begins, strict=False)]


def headline(result: Result) -> str:
    """Return a title: the stage that takes most of the time in each mode, and its share."""
    said: dict[str, list[str]] = {}
    for mode, found in result.modes.items():
        parts = _parts(found.stages)
        whole = parts[-1][2] if parts else 0.0
        if whole:
            name, begin, end = max(parts, key=lambda part: part[2] - part[1])
            said.setdefault(name, []).append(f"{percent((end - begin) / whole)} with {mode}")
    return "Most of a change's way is " + "; ".join(f"the {name}: {listed(modes)}" for name, modes in said.items())


def picture(result: Result) -> Picture | None:
    """Draw a waterfall, its last stages for each mode; ``None`` where no change came into force."""
    modes = {mode: found.stages for mode, found in result.modes.items() if found.stages and found.stages[-1].p50_s > 0}
    if not modes:
        return None
    sheet = Sheet("stages", headline(result), left=LEFT + 0.15)
    axes = sheet.axes[0]
    first = _parts(next(iter(modes.values())))
    longest = max(stages[-1].p50_s for stages in modes.values())
    scale, unit = nearest_prefix(longest, "s")
    room = max(1.0, 0.5 * len(modes))  # for a stage that has a bar a mode
    places = [float(row) for row in range(len(first) - OWN_STAGES)]
    places += [len(places) - 0.5 + room * (row + 0.5) for row in range(OWN_STAGES)]
    for place, part in zip(places[:-OWN_STAGES], first, strict=False):
        _bar(axes, place, 0.72, part, longest, scale, GREY)
    said = []
    for i, (mode, stages) in enumerate(modes.items()):
        color, parts = mode_style(mode).color, _parts(stages)
        height = 0.8 * room / len(modes)
        for place, part in zip(places[-OWN_STAGES:], parts[-OWN_STAGES:], strict=True):
            _bar(axes, place + (i - (len(modes) - 1) / 2) * height, 0.9 * height, part, longest, scale, color)
        sheet.key(Patch(color=color), f"{mode}: {quantity(stages[-1].p50_s, 's')} in all")
        said.append(f"{mode}: " + ", ".join(f"{name} {_took(end - begin, longest)}" for name, begin, end in parts))
    axes.set_yticks(places, [_folded(name) for name, _, _ in first], size=9, linespacing=0.95)
    axes.set_ylim(places[-1] + room / 2, -0.5)
    axes.set_xlim(0, longest / scale * 1.16)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(f"since the change [{unit}]")
    note = (
        "Each bar begins and ends where half of the changes had the stage before it, and it, behind them: their sum is "
        "the median network programming latency. Grey: the control plane, the same for all modes."
    )
    return sheet.picture("; ".join(said), note)


def _bar(
    axes: Axes, place: float, height: float, part: tuple[str, float, float], longest: float, scale: float, color: str
) -> None:
    """One stage, with how long it takes beside it."""
    _, begin, end = part
    width = max(end - begin, _LEAST * longest)
    axes.barh(place, width / scale, height, left=begin / scale, color=color, zorder=2)
    axes.annotate(
        _took(end - begin, longest), ((begin + width) / scale, place), xytext=(3, 0), textcoords="offset points",
        size=8.5, va="center", color=INK,
    )  # fmt: skip


def _took(seconds: float, longest: float) -> str:
    """Return a stage's length; where it is nothing beside the whole, the difference of two medians says no more."""
    return quantity(seconds, "s") if seconds > _NOTHING * longest else "≈ 0"


def _folded(name: str) -> str:
    """Return a name in two lines if it does not fit beside the panel in one."""
    return name if len(name) < 10 else "\n".join(textwrap.wrap(name, len(name) // 2 + 2))
