"""The report: one HTML file that needs no network and no scripts.

Figures are embedded as images rather than inline, so that no id of one can clash with another's and a reader who does
not see them gets their text.  Everything that came from a file is escaped by the template engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from kpsim.errors import inert
from kpsim.experiment.answers.cautions import marks
from kpsim.experiment.result import ModeResult, Result
from kpsim.report import grid
from kpsim.report.answers.whatif import whatifs
from kpsim.report.answers.why import reasons, why_empty
from kpsim.report.figures import Picture, pictures
from kpsim.report.style import mode_style
from kpsim.report.verdict import answer
from kpsim.report.wording.glossary import GLOSSARY, NOT_MODELLED
from kpsim.report.wording.quantity import EMPTY, estimate, glued, many
from kpsim.report.wording.relevant import apart

_PRICES = (
    "Beside objectives and ratios stand those by prices: what the profile's own intervals leave open. An objective is "
    "judged by the wider of the two."
)
NEAR, FEWEST_LIMITS = 0.05, 5  # limits used less, but for so many, are a click away
_REPORTED = (("true", "network_programming_true"), ("as kube-proxy reports it", "network_programming_reported"))


def report_html(result: Result, drawn: Sequence[Picture] | None = None) -> str:
    """Return the whole page; ``drawn`` are its figures if they are drawn already."""
    loader = PackageLoader("kpsim.report")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.lstrip_blocks = True
    environment.filters["glued"] = glued
    figures = pictures(result) if drawn is None else drawn
    return inert(environment.get_template("report.html.j2").render(_context(result, figures)))


def write_html(result: Result, path: Path, drawn: Sequence[Picture] | None = None) -> Path:
    """Write the page to ``path``."""
    path.write_text(report_html(result, drawn), encoding="utf-8", newline="\n")
    return path


def _context(result: Result, drawn: Sequence[Picture]) -> dict[str, Any]:
    quantiles = grid.quantile_names(result)
    limits = grid.sorted_limits(result)
    bears, others = apart(result.assumptions, result.scenario)
    return {
        "result": result,
        "scenario": result.scenario,
        "answer": answer(result),
        "sizes": [many(result.nodes, "node"), many(result.services, "Service"), many(result.endpoints, "endpoint")],
        "confidence": _confidence(result),
        "limits": [(grid.limit_cells(limit), min(limit.share, 1.0), limit.share) for limit in limits],
        "shown_limits": max(sum(limit.share >= NEAR for limit in limits), FEWEST_LIMITS),
        "objectives": [(each, grid.title_of(each.measure)) for each in grid.objectives(result)],
        "programming": _programming(result),
        "figures": [(each, each.data_uri) for each in drawn],
        "quantiles": quantiles,
        "measures": _by_measure(result, quantiles),
        "counts": {mode: grid.count_cells(result, mode) for mode in result.modes},
        "rates": {mode: grid.rate_cells(result, mode) for mode in result.modes},
        "event_heads": grid.event_heads(result),
        "events": grid.event_cells(result),
        "comparisons": [(c.mode, c.against, grid.comparison_cells(c)) for c in result.comparisons],
        "color": {mode: mode_style(mode).color for mode in result.modes},
        "marks": {mode: marks(result.scenario, found, result.limits) for mode, found in result.modes.items()},
        "reasons": {mode: reasons(found) for mode, found in result.modes.items()},
        "why_empty": next(
            filter(None, (why_empty(f.summaries.values(), quantiles) for f in result.modes.values())), ""
        ),
        "whatifs": whatifs(result),
        "assumptions": bears,
        "other_assumptions": others,
        "not_modelled": NOT_MODELLED,
        "glossary": GLOSSARY,
    }


def _by_measure(result: Result, quantiles: Sequence[str]) -> list[tuple[str, list[tuple[str, str, list[str]]]]]:
    """For each measure, a row a mode: modes stand under one another, which is how they are compared."""
    rows: dict[str, list[tuple[str, str, list[str]]]] = {}
    for mode in result.modes:
        for name, n, *values in grid.measure_cells(result, mode, quantiles):
            rows.setdefault(name, []).append((mode, n, list(values)))
    return [(grid.title_of(name), each) for name, each in rows.items()]


def _programming(result: Result) -> list[tuple[str, str, list[str]]]:
    """Network programming latency, true and reported, a row each, at p50 and p99."""
    rows = []
    for mode, found in result.modes.items():
        for label, measure in _REPORTED:
            if measure in found.summaries and found.summaries[measure].n > 0:
                summary = found.summaries[measure]
                rows.append((mode, label, [estimate(summary.quantiles.get(q), summary.unit) for q in ("p50", "p99")]))
    return rows


def _confidence(result: Result) -> list[tuple[str, str]]:
    run, profile = result.scenario.run, result.scenario.profile
    batches = sorted({s.batches for found in result.modes.values() for s in found.summaries.values()})
    basis = " or ".join(str(n) for n in batches) or EMPTY
    intervals = f"95 % intervals from {basis} replications or batches"
    if run.replications == 1:
        intervals += ". One replication: batches of a single run, so what varies between runs is not in them"
    warmth = f"caches {profile.cache_warmth:.0%} warm".replace("%", " %")
    machine = result.provenance.get("profile_machine", "")
    told_of = result.provenance.get("profile_told_of", "")
    measured = f"; measured on {machine}" if machine else f"; told by studies of {told_of}" if told_of else ""
    scale = f", a machine that takes {profile.cpu_scale:g} times as long" if profile.cpu_scale != 1 else ""
    guesses = [f"{mode}: {text}" for mode, found in result.modes.items() for text in _guessed(found)]
    return [
        ("Intervals", f"{intervals}: how runs differ. {_PRICES}"),
        ("Cost profile", f"{profile.name}, {profile.set} set, {warmth}{scale}{measured}."),
        ("Engine", f"{result.engine}: {result.engine_reason}".rstrip(": ") + "."),
        ("Extrapolation", "; ".join(guesses) + "." if guesses else "None: every cost lies within measured sizes."),
    ]


def _guessed(found: ModeResult) -> list[str]:
    beyond = [p.services for p in found.sync_curve if p.extrapolated]
    drawn = [f"sync curve from {many(min(beyond), 'Service')} on"] if beyond else []
    return [*found.extrapolations, *drawn]
