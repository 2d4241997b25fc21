"""The tables a reader sees, as rows of text, once for page, Markdown and terminal alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kpsim.experiment.answers.cautions import marks
from kpsim.experiment.answers.limits import Limit
from kpsim.experiment.result import Comparison, EventOutcome, Result, ThresholdVerdict
from kpsim.measure.summary import MEASURES, Summary
from kpsim.report.answers.objectives import Standing, bound_text, standing
from kpsim.report.wording.quantity import (
    EMPTY,
    compact,
    count,
    ends,
    estimate,
    factor,
    number,
    percent,
    quantity,
    rate,
    ratio,
    unit_of,
)

_OUTCOMES = ("delivered", "refused", "dropped", "stale", "in_flight")


@dataclass(frozen=True, slots=True)
class Objective:
    """One objective under one mode, in words."""

    standing: Standing
    mode: str
    measure: str
    bound: str
    found: str
    sampling: str  # the interval's ends, without a unit; an en dash where there is none
    prices: str
    combined: str
    reported: str  # the same statistic as kube-proxy's metric would show it; an en dash where it has none


def title_of(measure: str) -> str:
    """Return a measure's title; its name if the table does not know it."""
    return MEASURES[measure].title if measure in MEASURES else measure


def objectives(result: Result) -> list[Objective]:
    """Return every objective under every mode, in the order judged."""
    rows = []
    for v in result.verdicts:
        threshold, unit = v.threshold, unit_of(v.threshold.measure)
        summaries = result.modes[v.mode].summaries if v.mode in result.modes else {}
        measure = MEASURES.get(threshold.measure)
        metric = summaries.get(measure.reported_as) if measure else None
        reported = estimate(metric.statistic(threshold.statistic), metric.unit) if metric is not None else EMPTY
        found = _apart(v, unit)
        rows.append(Objective(standing(v), v.mode, threshold.measure, bound_text(threshold), *found, reported))
    return rows


def marked(result: Result, mode: str) -> str:
    """Return a mode with what belongs beside its numbers: "ipvs (deprecated since 1.35, extrapolated)"."""
    if mode not in result.modes:
        return mode
    beside = marks(result.scenario, result.modes[mode], result.limits)
    return f"{mode} ({', '.join(beside)})" if beside else mode


def _apart(verdict: ThresholdVerdict, unit: str) -> tuple[str, str, str, str]:
    """Return a value, and its intervals by sampling, by prices and by both."""
    each = [ends(e, unit) for e in (verdict.found, verdict.profile, verdict.combined)]
    sampling, prices, combined = (f"[{text}]" if text else EMPTY for text in each)
    value = verdict.found
    said = EMPTY if value is None else f"{'at least ' if value.at_least else ''}{quantity(value.value, unit)}"
    return said, sampling, prices, combined


def quantile_names(result: Result, wanted: Sequence[str] = ("p50", "p90", "p99")) -> list[str]:
    """Return the names in ``wanted`` that any summary supports."""
    summaries = [summary for found in result.modes.values() for summary in found.summaries.values()]
    held = {name for summary in summaries for name in summary.quantiles}
    return [name for name in wanted if name in held] or [""]


def measure_cells(result: Result, mode: str, quantiles: Sequence[str]) -> list[tuple[str, ...]]:
    """Measure, number of observations of a run, mean and percentiles, for each measure with any observation.

    Too few observations for any of the percentiles are told by their least and most.
    """
    return [
        (
            name,
            _short(summary.n / result.runs),
            quantity(summary.mean.value, summary.unit),
            *_percentiles(summary, quantiles),
        )
        for name, summary in result.modes[mode].summaries.items()
        if summary.n > 0
    ]


def _percentiles(summary: Summary, quantiles: Sequence[str]) -> Sequence[str]:
    if any(name in summary.quantiles for name in quantiles):
        return [estimate(summary.quantiles.get(name), summary.unit) for name in quantiles]
    extremes = (("min", summary.min), ("max", summary.max))
    said = [f"{name} {quantity(value, summary.unit)}" for name, value in extremes]
    room = len(quantiles)
    return [*said, *[""] * (room - len(said))] if room >= len(said) else [", ".join(said), *[""] * (room - 1)]


def _short(n: float) -> str:
    for scale, suffix in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if n >= scale:
            return f"{n / (1e3 if suffix == 'k' else scale):.3g}{suffix}"
    return count(n)


def count_cells(result: Result, mode: str) -> list[tuple[str, str]]:
    """Return (name, count of a run) cells: the packets' outcomes first, then everything else that happened at all."""
    counts = result.modes[mode].counts
    names = [name for name in _OUTCOMES if name in counts]
    names += [name for name in counts if name not in _OUTCOMES and counts[name].value]
    return [(name.replace("_", " "), number(counts[name])) for name in names]


def rate_cells(result: Result, mode: str) -> list[tuple[str, str]]:
    """Rates by name, with their intervals."""
    return [(name, rate(name, found)) for name, found in result.modes[mode].rates.items()]


_EVENT_HEADS = ("failed in a run [95 %]", "error window", "longest propagation", "led to gone Pods")


def _with_joins(result: Result) -> bool:
    return any(outcome.unusable_for for found in result.modes.values() for outcome in found.events)


def event_heads(result: Result) -> tuple[str, ...]:
    """Return the names of an event's cells, with that of nodes without rules where any joined."""
    return (*_EVENT_HEADS, *(["no rules for"] if _with_joins(result) else []))


def event_cells(result: Result) -> list[tuple[str, str, tuple[str, ...]]]:
    """Event, mode, and then what ``event_heads`` says, by event."""
    more = _with_joins(result)
    return [
        (
            f"{outcomes[0].event} at {quantity(outcomes[0].at_s, 's')}",
            mode,
            (*_event_cells(outcome), *([_unusable(outcome)] if more else [])),
        )
        for outcomes in zip(*(found.events for found in result.modes.values()), strict=True)
        for mode, outcome in zip(result.modes, outcomes, strict=True)
    ]


def _event_cells(outcome: EventOutcome) -> tuple[str, ...]:
    """Connections of a run, the window at its widest, and how long rules led to Pods that were gone."""
    window = "none"
    if outcome.first_s is not None and outcome.last_s is not None:
        window = f"{quantity(outcome.first_s, 's')} to {quantity(outcome.last_s, 's')} after"
    failed = number(outcome.connections) + (" seen" if outcome.sampled else "")
    spread = EMPTY if outcome.propagation_s is None else quantity(outcome.propagation_s, "s")
    if outcome.pending:
        spread = f"over {spread}"
    nothing = EMPTY if outcome.propagation_s is None else "no"
    return failed, window, spread, quantity(outcome.exposed_s, "s") if outcome.exposed_s else nothing


def _unusable(outcome: EventOutcome) -> str:
    """Return how long a node that joined had no rules, and what took most of it."""
    if outcome.unusable_s is None:
        return EMPTY
    return f"{quantity(outcome.unusable_s, 's')}: {outcome.unusable_for}"


def comparison_cells(comparison: Comparison) -> tuple[str, str, str, str, str]:
    """Measure with statistic, difference, ratio with its intervals, and whether the wider leaves out 1."""
    says, wider = "no interval", comparison.wider
    if wider is not None:
        low, high = wider
        says = "lower" if high < 1 else "higher" if low > 1 else "cannot say"
    prices = f"[{text}]" if (text := ends(comparison.prices)) else EMPTY
    what = f"{comparison.measure} {comparison.statistic}"
    return what, estimate(comparison.difference, unit_of(comparison.measure)), ratio(comparison.ratio), prices, says


def sorted_limits(result: Result, above: float = 0.0) -> list[Limit]:
    """Limits with more than a share ``above`` used, the fullest first."""
    return sorted((limit for limit in result.limits if limit.share > above), key=lambda limit: -limit.share)


def limit_cells(limit: Limit) -> tuple[str, str, str, str, str]:
    """Name, share used, used of what, headroom, source."""
    used = f"{compact(limit.used)} of {compact(limit.limit)} {limit.unit}".rstrip()
    return f"{limit.name} ({limit.kind})", percent(limit.share), used, _room(limit.share), limit.source


def _room(share: float) -> str:
    if share >= 1:
        return "exceeded" if share > 1 else "none"
    return factor(1 / share) if share > 0 else EMPTY
