"""Results as tidy DataFrames: a row a mode, measure and statistic, numbers in SI units, the unit beside each.

A value that is only known to be at least so large has an infinite ``high``; one without an interval has none (NaN).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import pandas as pd

from kpsim.experiment.answers.limits import Limit
from kpsim.experiment.result import ModeResult, Result
from kpsim.experiment.validation.verdicts import Verdict
from kpsim.measure.summary import Estimate
from kpsim.report.validation.scores import scores

COLUMNS = ("mode", "measure", "statistic", "value", "low", "high", "unit")
_RATE_UNITS = {
    "_bytes_per_s": "B/s",
    "_per_node_per_s": "1/s a node",
    "_per_s": "1/s",
    "_cores": "cores",
    "_share": "share",
}

Row = tuple[str, str, str, float, float, float, str]


def result_frame(result: Result) -> pd.DataFrame:
    """Return everything found as a number: mode, measure, statistic, value, low, high, unit."""
    return pd.DataFrame([row for mode in result.modes.values() for row in _rows(mode)], columns=list(COLUMNS))


def limits_frame(limits: Iterable[Limit]) -> pd.DataFrame:
    """Return a row a limit: name, kind, used, limit, share, unit, source."""
    rows = [(each.name, each.kind, each.used, each.limit, each.share, each.unit, each.source) for each in limits]
    return pd.DataFrame(rows, columns=["name", "kind", "used", "limit", "share", "unit", "source"])


def verdicts_frame(verdicts: Iterable[Verdict]) -> pd.DataFrame:
    """Return a row a record: id, file, quantity, mode, services, measured, predicted, low, high, unit, fitted."""
    rows = [
        (each.record.id, each.record.file, each.record.quantity, each.record.mode, each.record.number("services"),
         each.record.measured, each.prediction.value, each.prediction.low, each.prediction.high, each.record.unit,
         each.fitted)
        for each in verdicts
    ]  # fmt: skip
    columns = ["id", "file", "quantity", "mode", "services", "measured", "predicted", "low", "high", "unit", "fitted"]
    return pd.DataFrame(rows, columns=columns)


def scores_frame(verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """Return a row a topic, mode and whether a fit has seen its records: errors, coverage, bound, verdict."""
    rows = [
        (each.topic.topic, each.mode, each.fitted, each.rows, each.median, each.nine_of_ten, each.worst, each.inside,
         each.bound, each.verdict)
        for each in scores(verdicts)
    ]  # fmt: skip
    columns = ["topic", "mode", "fitted", "records", "median", "nine_of_ten", "worst", "inside", "bound", "verdict"]
    return pd.DataFrame(rows, columns=columns)


def _rows(found: ModeResult) -> Iterator[Row]:
    for name, summary in found.summaries.items():
        for statistic in ("mean", *summary.quantiles, "min", "max"):
            value = summary.statistic(statistic)
            if value is not None:
                yield _row(found.mode, name, statistic, value, summary.unit)
    for name, rate in found.rates.items():
        unit = next((unit for ending, unit in _RATE_UNITS.items() if name.endswith(ending)), "")
        yield _row(found.mode, name, "mean", rate, unit)
    yield _row(found.mode, "rules", "start", Estimate(float(found.rules)), "rules")
    yield _row(found.mode, "capacity", "knee", Estimate(found.capacity_per_s), "connections/s a core")


def _row(mode: str, measure: str, statistic: str, found: Estimate, unit: str) -> Row:
    low, high = (math.nan if end is None else end for end in (found.low, found.high))
    if found.at_least:
        low, high = found.value, math.inf
    return mode, measure, statistic, found.value, low, high, unit
