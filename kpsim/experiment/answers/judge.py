"""Numbers are judged here: objectives are met or not, and one mode is compared with another."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence

from kpsim.experiment.observe import Observations
from kpsim.experiment.result import Comparison, ModeResult, ThresholdVerdict
from kpsim.measure.intervals import Drawn, draw
from kpsim.measure.summary import MEASURES, Estimate
from kpsim.scenario.model import Threshold

STATISTICS = ("mean", "p50", "p99")


def judge(thresholds: Sequence[Threshold], modes: Mapping[str, ModeResult]) -> tuple[ThresholdVerdict, ...]:
    """Return every objective under every mode; ``None`` where the interval holds the bound or nothing was observed."""
    verdicts = []
    for threshold in thresholds:
        for name, mode in modes.items():
            summary = mode.summaries.get(threshold.measure)
            found = summary.statistic(threshold.statistic) if summary else None
            verdicts.append(ThresholdVerdict(threshold, name, found, _passed(threshold, found)))
    return tuple(verdicts)


def _passed(threshold: Threshold, found: Estimate | None) -> bool | None:
    if found is None:
        return None
    low = found.value if found.low is None else found.low
    high = math.inf if found.at_least else found.value if found.high is None else found.high
    holds = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}[threshold.operator]
    ends = {bool(holds(end, threshold.bound)) for end in (low, high)}
    return ends.pop() if len(ends) == 1 else None


def compare(runs: Mapping[str, Sequence[Observations]]) -> tuple[Comparison, ...]:
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
                    found.append(Comparison(*comparison, mine.less(against), mine.over(against)))
    return tuple(found)


def _comparable(drawn: Drawn) -> bool:
    """Return True if a statistic is known, and more than zero, so that it has a ratio to others."""
    return drawn.value > 0 and not drawn.at_least
