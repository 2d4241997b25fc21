"""What the numbers mean for the questions asked: objectives met or not, and one mode against another."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence

from kpsim.experiment.observe import Observations
from kpsim.experiment.result import Comparison, ModeResult, ThresholdVerdict
from kpsim.measure.intervals import QUANTILES, estimate
from kpsim.measure.summary import MEASURES, Estimate
from kpsim.measure.tally import Tally
from kpsim.scenario.model import Threshold

__all__ = ["compare", "judge"]

COMPARED = ("first_packet_latency", "network_programming_true", "sync_duration")
STATISTICS = ("mean", "p50", "p99")


def judge(thresholds: Sequence[Threshold], modes: Mapping[str, ModeResult]) -> tuple[ThresholdVerdict, ...]:
    """Every objective under every mode; ``None`` where the interval holds the bound or nothing was observed."""
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
    """Every mode against the first, paired by replication: both saw the same arrivals and changes."""
    names = list(runs)
    found = []
    for measure in COMPARED:
        assert measure in MEASURES
        for statistic in STATISTICS:
            for name in names[1:]:
                pairs = [
                    (a, b)
                    for mine, base in zip(_batches(runs[name], measure), _batches(runs[names[0]], measure), strict=True)
                    if (a := _value(mine, statistic)) is not None and (b := _value(base, statistic)) is not None
                ]
                if pairs:
                    difference = estimate([a - b for a, b in pairs])
                    ratio = estimate([a / b for a, b in pairs]) if all(b for _, b in pairs) else Estimate(float("nan"))
                    found.append(Comparison(measure, statistic, name, names[0], difference, ratio))
    return tuple(found)


def _batches(runs: Sequence[Observations], measure: str) -> list[Tally]:
    return [tally for run in runs for tally in run.tallies[measure]]


def _value(tally: Tally, statistic: str) -> float | None:
    if not tally.n:
        return None
    return tally.mean_s() if statistic == "mean" else tally.quantile_s(QUANTILES[statistic])
