"""Measurements against predictions: every record with its interval, scores by topic, figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kpsim.api.results import one_of, paper_of
from kpsim.experiment.validation import verdicts

if TYPE_CHECKING:
    import pandas as pd

    from kpsim.report.figures.canvas import Paper


def validate(study: str | None = None, *, records: Sequence[str | Path] = (), profile: str | None = None) -> Validation:
    """Return the predictions of the measurements that ship, of one study, or of the files ``records``.

    >>> import kpsim
    >>> kpsim.validate("end-to-end-zen5")
    <Validation: 9 measurements predicted, 3 not; 95 % intervals hold 100 %>
    """
    return Validation(verdicts.validate([Path(file) for file in records], study, profile))


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Validation:
    """Every record with its prediction; ``found`` holds the verdicts, and the reasons of what is not predicted."""

    found: verdicts.Validation

    def frame(self) -> pd.DataFrame:
        """Return a row a record: id, file, quantity, mode, services, measured, predicted, low, high, unit, fitted."""
        from kpsim.report.notebook.frames import verdicts_frame

        return verdicts_frame(self.found.verdicts)

    def scores(self) -> pd.DataFrame:
        """Return a row a topic, mode and whether a fit has seen its records: errors, coverage, bound, verdict."""
        from kpsim.report.notebook.frames import scores_frame

        return scores_frame(self.found.verdicts)

    def plot(self, name: str = "predicted_against_measured") -> Paper:
        """Return a figure: ``predicted_against_measured``, ``residuals`` or ``coverage``.

        Raises :class:`InputError` where there is none of that name, or it has nothing to show.
        """
        from kpsim.report.figures.held import FIGURES, pictures

        one_of(FIGURES, name, "figure")
        return paper_of(next(iter(pictures(self.found.verdicts, [name])), None), name)

    def save(self, directory: str | Path) -> Path:
        """Write the page, report.md and report.html, and its figures into ``directory``; return the Markdown's path."""
        from kpsim.report.validation.page import write_page

        return write_page(self.found, Path(directory))

    def __repr__(self) -> str:
        held = f"{verdicts.coverage(self.found.verdicts):.0%}".replace("%", " %")
        told = f"{len(self.found.verdicts):,} measurements predicted, {len(self.found.refusals):,} not"
        return f"<Validation: {told}; 95 % intervals hold {held}>"

    def _repr_html_(self) -> str:
        from kpsim.report.notebook.cells import sentences_cell, table_cell
        from kpsim.report.validation.page import short_table

        table = short_table(self.found)
        return sentences_cell([repr(self)[1:-1]]) + table_cell(table.head, table.rows)
