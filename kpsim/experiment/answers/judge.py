"""Numbers are judged here: objectives are met or not, and one mode is compared with another."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import replace

from kpsim.experiment.answers.prices.intervals import ratio_by_prices
from kpsim.experiment.observing.observations import Observations
from kpsim.experiment.result import Comparison, ModeResult, ThresholdVerdict
from kpsim.measure.intervals import Drawn, draw
from kpsim.measure.summary import MEASURES
from kpsim.scenario.model import Threshold

STATISTICS = ("mean", "p50", "p99")
_EXTREMES = ("min", "max")  # what was seen, which has no interval by sampling


def judge(thresholds: Sequence[Threshold], modes: Mapping[str, ModeResult]) -> tuple[ThresholdVerdict, ...]:
    """Return every objective under every mode, judged by the wider of its intervals.

    ``None`` where that holds the bound, or where the sample is too small for the value or its interval.
    """
    verdicts = []
    for threshold in thresholds:
        for name, mode in modes.items():
            summary = mode.summaries.get(threshold.measure)
            found = summary.statistic(threshold.statistic) if summary else None
            profile = mode.priced.get(threshold.measure, {}).get(threshold.statistic)
            verdict = ThresholdVerdict(threshold, name, found, None, profile)
            verdicts.append(replace(verdict, passed=_passed(verdict)))
    return tuple(verdicts)


def _passed(verdict: ThresholdVerdict) -> bool | None:
    threshold, found, ends = verdict.threshold, verdict.found, verdict.ends
    if found is None or ends is None:
        return None
    if found.low is None and not found.at_least and threshold.statistic not in _EXTREMES:
        return None
    holds = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}[threshold.operator]
    said = {bool(holds(end, threshold.bound)) for end in ends}
    return said.pop() if len(said) == 1 else None


def compare(runs: Mapping[str, Sequence[Observations]], modes: Mapping[str, ModeResult]) -> tuple[Comparison, ...]:
    """Return every mode against the first, paired: both saw the same arrivals and changes, and are drawn alike."""
    names = list(runs)
    compared = [measure.name for measure in MEASURES.values() if measure.compared]
    drawn = {
        (name, measure): draw([tally for run in runs[name] for tally in run.tallies[measure]])
        for name in names
        for measure in compared
    }
    found = []
    for measure in compared:
        for statistic in STATISTICS:
            against = drawn[names[0], measure].get(statistic)
            for name in names[1:]:
                mine = drawn[name, measure].get(statistic)
                if mine and against and _comparable(mine) and _comparable(against):
                    comparison = (measure, statistic, name, names[0])
                    by_prices = (modes[each].priced.get(measure, {}).get(statistic) for each in (name, names[0]))
                    prices = ratio_by_prices(*by_prices)
                    found.append(Comparison(*comparison, mine.less(against), mine.over(against), prices))
    return tuple(found)


def _comparable(drawn: Drawn) -> bool:
    """Return True if a statistic is known, and more than zero, so that it has a ratio to others."""
    return drawn.value > 0 and not drawn.at_least
