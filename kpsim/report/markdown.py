"""A result as a short Markdown page, for an issue, a review or a wiki."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from kpsim.errors import inert
from kpsim.experiment.result import Result
from kpsim.report import grid
from kpsim.report.answers.why import reasons
from kpsim.report.verdict import answer

_WORDS = {"met": "met", "failed": "**failed**", "undecided": "**undecided**"}
_SPECIAL = re.compile(r"([\\`*{}\[\]<>#|~]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")


def one_line(text: str) -> str:
    """Return text that Markdown and HTML leave as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split())).replace("\\<", "&lt;").replace("\\>", "&gt;")


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    body = [f"| {' | '.join(row)} |" for row in rows]
    return [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}", *body, ""] if body else []


def report_markdown(result: Result) -> str:
    """Return the report: answer, objectives, measures, paired differences, fullest limits, caveats."""
    said = answer(result)
    lines = [f"# {one_line(result.scenario.name)}", ""]
    lines += [line for sentence in said.sentences for line in (one_line(sentence), "")]
    if said.configuration:
        which = "that does it" if said.recommended else "as simulated"
        lines += ["<details>", f"<summary>The KubeProxyConfiguration {which}, to paste</summary>", ""]
        lines += ["```yaml", said.configuration.rstrip(), "```", "", "</details>", ""]
    lines += _objectives(result) + _measures(result) + _reasons(result)
    events = [
        (one_line(event), one_line(grid.marked(result, mode)), *rest) for event, mode, rest in grid.event_cells(result)
    ]
    if events:
        lines += ["## Events", "", *_table(("event", "mode", *grid.event_heads(result)), events)]
    rows = [
        (
            " – ".join(one_line(grid.marked(result, m)) for m in (c.mode, c.against)),
            *map(one_line, grid.comparison_cells(c)),
        )
        for c in result.comparisons
    ]
    if rows:
        lines += [
            "## Paired differences",
            "",
            *_table(
                ("modes", "measure", "difference [95 %]", "ratio by sampling [95 %]", "by prices [95 %]", ""), rows
            ),
        ]
    limits = [[one_line(cell) for cell in grid.limit_cells(limit)] for limit in grid.sorted_limits(result)]
    if limits:
        lines += ["## Limits", "", *_table(("limit", "used", "", "headroom", "source"), limits)]
    lines += _doubts(result)
    return inert("\n".join(lines).rstrip() + "\n")


def _objectives(result: Result) -> list[str]:
    rows = [
        (
            *(one_line(grid.marked(result, o.mode)), f"`{o.measure}`", one_line(o.bound), o.found),
            *map(one_line, (o.sampling, o.prices, o.combined)),
            *(o.reported, _WORDS[o.standing]),
        )
        for o in grid.objectives(result)
    ]
    heads = (
        "mode", "measure", "objective", "found", "by sampling [95 %]", "by prices [95 %]", "both [95 %]",
        "as kube-proxy reports it", "verdict",
    )  # fmt: skip
    return ["## Objectives", "", *_table(heads, rows)] if rows else []


def _measures(result: Result) -> list[str]:
    quantiles = grid.quantile_names(result)
    rows = [
        (one_line(grid.marked(result, mode)), f"`{name}`", *rest)
        for mode in result.modes
        for name, *rest in grid.measure_cells(result, mode, quantiles)
    ]
    return (
        ["## Measures", "", *_table(("mode", "measure", "n a run", "mean", *(f"{q} [95 %]" for q in quantiles)), rows)]
        if rows
        else []
    )


def _reasons(result: Result) -> list[str]:
    rows = [
        (one_line(grid.marked(result, mode)), head, one_line(text))
        for mode, found in result.modes.items()
        for head, text in reasons(found)
    ]
    return ["## Why", "", *_table(("mode", "", ""), rows)] if rows else []


def _doubts(result: Result) -> list[str]:
    guesses = [f"{mode}: {text}" for mode, found in result.modes.items() for text in found.extrapolations]
    notes = [*result.warnings, *guesses, *(f"{name}: {text}" for name, text in result.assumptions)]
    lines = (
        ["## What to know before trusting this", "", *(f"* {one_line(note)}" for note in notes), ""] if notes else []
    )
    command = result.provenance.get("command", "")
    return lines + (["Reproduce with:", "", f"    {' '.join(command.split())}", ""] if command else [])
