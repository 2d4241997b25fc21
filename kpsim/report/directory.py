"""A result is written as files, for people and for programs."""

from __future__ import annotations

from pathlib import Path

from kpsim.errors import inert_json
from kpsim.experiment.result import Result
from kpsim.report.figures import pictures
from kpsim.report.html import report_html, write_html
from kpsim.report.markdown import report_markdown
from kpsim.report.tables import summary_document, write_tables


def write_report(result: Result, directory: Path) -> list[Path]:
    """Write page, Markdown, summary, tables and figures into ``directory``, drawing each figure once.

    The files are ``report.html``, ``report.md``, ``summary.json``, seven ``*.csv`` and ``figures/*.svg``; equal results
    give equal bytes.
    """
    figures = directory / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    drawn = pictures(result)
    return [
        write_html(result, directory / "report.html", drawn),
        _write(directory / "report.md", report_markdown(result)),
        _write(directory / "summary.json", summary_json(result)),
        *write_tables(result, directory),
        *(picture.write(figures) for picture in drawn),
    ]


def page(result: Result) -> str:
    """Return the text of ``report.html``."""
    return report_html(result, pictures(result))


def summary_json(result: Result) -> str:
    """Return the text of ``summary.json``."""
    return inert_json(summary_document(result)) + "\n"


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="\n")
    return path
