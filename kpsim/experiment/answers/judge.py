"""Numbers are judged here: objectives are met or not, and one mode is compared with another."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence

from kpsim.experiment.observe import Observations
from kpsim.experiment.result import Comparison, ModeResult, ThresholdVerdict
from kpsim.measure.intervals import QUANTILES, estimate, supports
from kpsim.measure.summary import MEASURES, Estimate
from kpsim.measure.tally import Tally
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
    high = found.value if found.high is None else found.high
    holds = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}[threshold.operator]
    ends = {bool(holds(end, threshold.bound)) for end in (low, high)}
    return ends.pop() if len(ends) == 1 else None


def compare(runs: Mapping[str, Sequence[Observations]]) -> tuple[Comparison, ...]:
    """Return every mode against the first, paired by replication: both saw the same arrivals and changes."""
    names = list(runs)
    compared = [measure.name for measure in MEASURES.values() if measure.compared]
    sides = {(name, measure): _batches(runs[name], measure) for name in names for measure in compared}
    found = [
        _comparison(measure, statistic, (name, sides[name, measure]), (names[0], sides[names[0], measure]))
        for measure in compared
        for statistic in STATISTICS
        for name in names[1:]
        if _sayable(sides[name, measure], statistic) and _sayable(sides[names[0], measure], statistic)
    ]
    return tuple(comparison for comparison in found if comparison)


Side = tuple[str, Sequence[Tally]]


def _comparison(measure: str, statistic: str, mine: Side, against: Side) -> Comparison | None:
    pairs = [
        (_value(a, statistic), _value(b, statistic)) for a, b in zip(mine[1], against[1], strict=True) if a.n and b.n
    ]
    if not pairs or min(map(min, pairs)) <= 0:  # nothing, and no ratio to it
        return None
    logs = estimate([math.log(a / b) for a, b in pairs])  # a ratio is as likely to be doubled as to be halved
    ratio = Estimate(*(None if x is None else math.exp(x) for x in (logs.value, logs.low, logs.high)))  # type: ignore[arg-type]  # the value is a number
    return Comparison(measure, statistic, mine[0], against[0], estimate([a - b for a, b in pairs]), ratio)


def _sayable(batches: Sequence[Tally], statistic: str) -> bool:
    """Return True if all batches together support the statistic."""
    return statistic == "mean" or supports(sum(b.n for b in batches), QUANTILES[statistic])


def _batches(runs: Sequence[Observations], measure: str) -> list[Tally]:
    return [tally for run in runs for tally in run.tallies[measure]]


def _value(tally: Tally, statistic: str) -> float:
    return tally.mean() if statistic == "mean" else tally.quantile(QUANTILES[statistic])
