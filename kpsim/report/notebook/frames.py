"""Results as tidy DataFrames: a row a mode, measure and statistic, numbers in SI units, the unit beside each.

A value that is only known to be at least so large has an infinite ``high``; one without an interval has none (NaN).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import pandas as pd

from kpsim.experiment.answers.waits import Wait
from kpsim.experiment.result import Limit, ModeResult, Result
from kpsim.measure.summary import Estimate

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


def waits_frame(waits: Iterable[Wait]) -> pd.DataFrame:
    """Return a row a wait, if everything is created at once: name, seconds with their interval, why, source."""
    rows = [(each.name, each.seconds, each.low_s, each.high_s, each.why, each.source) for each in waits]
    return pd.DataFrame(rows, columns=["name", "seconds", "low", "high", "why", "source"])


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
