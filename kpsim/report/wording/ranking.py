"""Modes in order of one statistic, and whether the run can tell them apart at all.

A sentence that says one mode is better than another may only be written from here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kpsim.experiment.result import ModeResult, Result
from kpsim.measure.summary import Estimate

_STATISTICS = ("p99", "p90", "p50")
ALIKE = 1.05  # without intervals, estimates within 5 % of each other are called alike


@dataclass(frozen=True, slots=True)
class Ranking:
    """The modes that support ``statistic`` of ``measure``, lowest value first."""

    measure: str
    statistic: str
    unit: str
    entries: tuple[tuple[str, Estimate], ...]

    @property
    def best(self) -> tuple[str, Estimate]:
        """Return the mode with the lowest value."""
        return self.entries[0]

    @property
    def worst(self) -> tuple[str, Estimate]:
        """Return the mode with the highest value."""
        return self.entries[-1]

    @property
    def ratio(self) -> float:
        """Highest over lowest value; infinite over zero."""
        low, high = self.best[1].value, self.worst[1].value
        return high / low if low > 0 else float("inf") if high > 0 else 1.0

    @property
    def decided(self) -> bool:
        """Return True if best and worst differ beyond their intervals."""
        return apart(self.best[1], self.worst[1])


def apart(a: Estimate, b: Estimate) -> bool:
    """Return True if two estimates differ: disjoint intervals or, without intervals, 5 % between them."""
    if a.low is not None and a.high is not None and b.low is not None and b.high is not None:
        return a.high < b.low or b.high < a.low
    low, high = sorted((a.value, b.value))
    return high > low * ALIKE


def rank(result: Result, measure: str) -> Ranking | None:
    """Rank the modes by the highest percentile of ``measure`` that all with any sample of it support."""
    sampled = [(mode, found) for mode, found in result.modes.items() if _has(found, measure)]
    for statistic in _STATISTICS:
        pairs = [(mode, found.summaries[measure].quantiles.get(statistic)) for mode, found in sampled]
        entries = [(mode, value) for mode, value in pairs if value is not None and not value.at_least]
        if entries and len(entries) == len(sampled):
            unit = sampled[0][1].summaries[measure].unit
            return Ranking(measure, statistic, unit, tuple(sorted(entries, key=lambda entry: entry[1].value)))
    return None


def _has(found: ModeResult, measure: str) -> bool:
    return measure in found.summaries and found.summaries[measure].n > 0


def listed(words: Iterable[str], last: str = "and") -> str:
    """Words as a sentence lists them: "a", "a and b", "a, b and c"."""
    items = list(words)
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {last} {items[-1]}" if items else ""
