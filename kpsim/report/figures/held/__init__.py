"""Measurements are drawn beside what was predicted of them: one against the other, ratios by size, intervals that hold.

Filled marks are records that a fit has seen, hollow ones are predictions alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from kpsim.experiment.validation.verdicts import Verdict
from kpsim.report.figures.canvas import Picture, drawing
from kpsim.report.figures.held import coverage, predicted_against_measured, residuals

__all__ = ["pictures"]

_FIGURES = (predicted_against_measured.picture, residuals.picture, coverage.picture)


def pictures(verdicts: Sequence[Verdict]) -> tuple[Picture, ...]:
    """Draw every figure that has something to say of these verdicts."""
    with drawing():
        drawn = [draw(verdicts) for draw in _FIGURES]
    return tuple(picture for picture in drawn if picture is not None)
