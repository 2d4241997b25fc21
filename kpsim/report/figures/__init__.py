"""The figures of one result: each says its message in its title, and one with nothing to say is not drawn.

A figure is one module with ``headline(result)``, the sentence computed from the data, and ``picture(result)``.
"""

from __future__ import annotations

from pathlib import Path

from kpsim.experiment.result import Result
from kpsim.report.figures import latency, load, lookup, position, programming, rollout, sync
from kpsim.report.figures.canvas import Picture, drawing
from kpsim.report.figures.control import stages, writes
from kpsim.report.figures.scale import scale_picture

__all__ = ["Picture", "draw_all", "pictures", "scale_picture"]

_FIGURES = (
    latency.picture,
    lookup.picture,
    position.picture,
    programming.picture,
    stages.picture,
    rollout.picture,
    sync.picture,
    load.picture,
    writes.picture,
)


def pictures(result: Result) -> tuple[Picture, ...]:
    """Draw every figure that has something to say, in the order of a report."""
    with drawing():
        drawn = [draw(result) for draw in _FIGURES]
    return tuple(picture for picture in drawn if picture is not None)


def draw_all(result: Result, directory: Path) -> list[Path]:
    """Write every figure as SVG into ``directory``, which is made if need be; equal results give equal bytes."""
    directory.mkdir(parents=True, exist_ok=True)
    return [picture.write(directory) for picture in pictures(result)]
