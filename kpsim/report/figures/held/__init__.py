"""Measurements are drawn beside what was predicted of them: one against the other, ratios by size, intervals that hold.

Filled marks are records that a fit has seen, hollow ones are predictions alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from kpsim.experiment.validation.verdicts import Verdict
from kpsim.report.figures.canvas import Picture, drawing
from kpsim.report.figures.held import coverage, predicted_against_measured, residuals

__all__ = ["FIGURES", "pictures"]

FIGURES = {
    "predicted_against_measured": predicted_against_measured.picture,
    "residuals": residuals.picture,
    "coverage": coverage.picture,
}


def pictures(verdicts: Sequence[Verdict], names: Sequence[str] = tuple(FIGURES)) -> tuple[Picture, ...]:
    """Draw every figure that has something to say of these verdicts, or those of them that are named."""
    with drawing():
        drawn = [FIGURES[name](verdicts) for name in names]
    return tuple(picture for picture in drawn if picture is not None)
