"""The summary at the end of a run: verdict first, then objectives, measures, comparisons, limits and warnings.

Plain aligned text, at most 100 columns.  How it is coloured, and whether at all, is the caller's: each piece of text
passes through ``style(kind, text)``, with kind one of ``KINDS``.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence

from kpsim.experiment.result import Result
from kpsim.report import grid
from kpsim.report.answers.why import reasons, why_empty
from kpsim.report.verdict import answer
from kpsim.report.wording.quantity import EMPTY, glued, many

WIDTH = 100
KINDS = ("title", "met", "failed", "undecided", "unset", "dim", "warning", "plain")
Style = Callable[[str, str], str]

_MARKS = {"met": "✓", "failed": "✗", "undecided": "?", "unset": "·"}
_NOTHING = {EMPTY, "no", ""}  # cells of a column that is left out
_MAX_NAME, _MIN_NAME = 48, 12


class _Page:
    """Lines under construction, each a list of (kind, text)."""

    def __init__(self, style: Style) -> None:
        self._style = style
        self._lines: list[str] = []

    def line(self, *pieces: tuple[str, str]) -> None:
        room, said = WIDTH, []
        for kind, text in pieces:
            clean = _printable(text)
            cut = clean if len(clean) <= room else clean[: max(room - 1, 0)] + "…" if room > 0 else ""
            room -= len(cut)
            said.append(self._style(kind, cut) if cut.strip() else cut)
        self._lines.append("".join(said).rstrip())

    def prose(self, kind: str, text: str, mark: str = "  ") -> None:
        width = WIDTH - len(mark)
        for i, part in enumerate(_wrapped(text, width) or [""]):
            self.line((kind, (mark if i == 0 else " " * len(mark)) + part))

    def table(
        self, rows: Sequence[Sequence[str]], kinds: Sequence[str], indent: int = 4, right: Iterable[int] = ()
    ) -> None:
        widths = [min(max(len(row[i]) for row in rows), WIDTH) for i in range(len(rows[0]))]
        widths[0] = min(widths[0], _MAX_NAME)
        gap = 2
        if _across(widths, gap, indent) > WIDTH:
            gap, indent = 1, 2
            widths[0] = max(_MIN_NAME, widths[0] - max(0, _across(widths, gap, indent) - WIDTH))
        flush = set(right)
        for row, kind in zip(rows, kinds, strict=True):
            cells = [_fit(cell, width, i in flush) for i, (cell, width) in enumerate(zip(row, widths, strict=True))]
            self.line(("plain", " " * indent), (kind, (" " * gap).join(cells).rstrip()))

    def heading(self, text: str) -> None:
        self.line()
        self.line(("title", f"  {text}"))

    def text(self) -> str:
        return "\n".join(self._lines) + "\n"


def _across(widths: Sequence[int], gap: int, indent: int) -> int:
    return indent + sum(widths) + gap * (len(widths) - 1)


def _fit(cell: str, width: int, right: bool) -> str:
    cut = cell if len(cell) <= width else cell[: width - 1] + "…"
    return cut.rjust(width) if right else cut.ljust(width)


def _wrapped(text: str, width: int) -> list[str]:
    return [part.replace("\u00a0", " ") for part in textwrap.wrap(glued(_printable(text)), width)]


def _printable(text: str) -> str:
    """Names come from files: what would move the cursor or colour the screen is shown as "�"."""
    return "".join(c if c.isprintable() else "�" for c in text)


def _unstyled(_kind: str, text: str) -> str:
    return text


def summary_text(result: Result, style: Style = _unstyled) -> str:
    """Return the text that a run prints to stdout, ending in a line break."""
    page = _Page(style)
    _opening(page, result)
    _objectives(page, result)
    _measures(page, result)
    _events(page, result)
    _comparisons(page, result)
    _limits(page, result)
    _warnings(page, result)
    return page.text()


def _opening(page: _Page, result: Result) -> None:
    major, minor = result.scenario.kubernetes_version
    page.line(("title", result.scenario.name))
    sizes = (many(result.nodes, "node"), many(result.services, "Service"), many(result.endpoints, "endpoint"))
    page.line(("dim", " · ".join([f"Kubernetes {major}.{minor}", *sizes])))
    page.line()
    said = answer(result)
    first, *rest = said.sentences
    about = "unset" if result.scenario.ask else said.standing  # the first sentence is not about the objectives
    page.prose(about, first, f"{_MARKS[about]} ")
    for sentence in rest:
        page.prose("plain", sentence)


def _objectives(page: _Page, result: Result) -> None:
    rows = grid.objectives(result)
    if rows:
        page.heading("objectives, with 95 % intervals: sampling is how runs differ, prices what the profile knows")
        for row in rows:
            page.line(
                ("plain", "    "), (row.standing, f"{_MARKS[row.standing]} {row.measure} {row.bound}: {row.found}")
            )
            page.prose(
                "plain",
                f"{grid.marked(result, row.mode)}: sampling {row.sampling}, prices {row.prices}, both {row.combined}",
                "      ",
            )


def _measures(page: _Page, result: Result) -> None:
    quantiles = grid.quantile_names(result, ("p50", "p99"))
    page.line()
    page.prose("dim", "Below, [ ] is a 95 % interval by sampling; the profile's prices are not in it.")
    for mode, found in result.modes.items():
        cells = grid.measure_cells(result, mode, quantiles)
        page.heading(grid.marked(result, mode))
        page.table([("", "n a run", "mean", *quantiles), *cells], ["dim"] + ["plain"] * len(cells), right=[1])
        empty = why_empty(found.summaries.values(), quantiles)
        if empty:
            page.prose("dim", empty, "    ")
        page.line()
        for head, text in reasons(found):
            page.prose("plain", f"{head}: {text}", "    ")
        counted = grid.count_cells(result, mode)
        if counted:
            page.prose("dim", f"in a run: {' · '.join(f'{n} {what}' for what, n in counted)}", "    ")


def _events(page: _Page, result: Result) -> None:
    cells = grid.event_cells(result)
    for event in dict.fromkeys(event for event, _, _ in cells):
        page.heading(event)
        rows = [("", *grid.event_heads(result)), *((mode, *rest) for name, mode, rest in cells if name == event)]
        told = [i for i in range(len(rows[0])) if i == 0 or {row[i] for row in rows[1:]} - _NOTHING]
        page.table([[row[i] for i in told] for row in rows], ["dim"] + ["plain"] * (len(rows) - 1))
        for marked in (grid.marked(result, mode) for mode in result.modes):
            if " (" in marked:
                page.prose("warning", marked, "    ")


def _comparisons(page: _Page, result: Result) -> None:
    pairs = list(dict.fromkeys((c.mode, c.against) for c in result.comparisons))
    for mode, against in pairs:
        page.heading(
            f"{grid.marked(result, mode)} against {grid.marked(result, against)}, paired by replication, [95 %]"
        )
        these = [c for c in result.comparisons if (c.mode, c.against) == (mode, against)]
        rows = [(what, *rest) for what, _, *rest in map(grid.comparison_cells, these)]
        kinds = ["dim", *("undecided" if says == "cannot say" else "plain" for *_, says in rows)]
        page.table([("ratio", "by sampling", "by prices", ""), *rows], kinds)


def _limits(page: _Page, result: Result) -> None:
    limits = grid.sorted_limits(result, above=0.5)
    if limits:
        page.heading("limits more than half used")
        kinds = ["failed" if limit.share > 1 else "warning" if limit.share > 0.8 else "plain" for limit in limits]
        page.table([grid.limit_cells(limit)[:3] for limit in limits], kinds, right=[1])


def _warnings(page: _Page, result: Result) -> None:
    guesses = [f"{mode}: {text}" for mode, found in result.modes.items() for text in found.extrapolations]
    unfinished = [] if result.complete else ["the run was stopped before its end; what it found is incomplete"]
    warnings = [*unfinished, *result.warnings, *guesses]
    if warnings:
        page.heading("warnings")
        for warning in warnings:
            page.prose("warning", warning, "    ! ")
