"""A notebook shows a few sentences and a table below a cell, as HTML whose texts are escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from kpsim.experiment.result import Result
from kpsim.report.grid import measure_cells, quantile_names, title_of
from kpsim.report.verdict import answer


def result_cell(result: Result) -> str:
    """Return the answer and a row a measure and mode."""
    quantiles = quantile_names(result)
    rows = [
        [title_of(name), mode, *values]
        for mode in result.modes
        for name, _, *values in measure_cells(result, mode, quantiles)
    ]
    rows.sort(key=lambda row: row[0])
    return sentences_cell(answer(result).sentences) + table_cell(["measure", "mode", *quantiles], rows)


def sentences_cell(sentences: Sequence[str]) -> str:
    """Return sentences as paragraphs, the first of them bold."""
    head, *rest = [escape(each) for each in sentences if each]
    return f"<p><strong>{head}</strong></p>" + "".join(f"<p>{each}</p>" for each in rest)


def table_cell(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of texts."""
    top = "".join(f"<th>{escape(each)}</th>" for each in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
