"""Objectives as they are written: ``network_programming_true: ["p99 < 10s"]``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from kpsim.documents import Key
from kpsim.errors import did_you_mean
from kpsim.measure.summary import MEASURES, Measure
from kpsim.scenario.complaints import Complaints
from kpsim.scenario.model import Threshold
from kpsim.units import UnitError, parse_duration, parse_number

STATISTICS = ("p50", "p90", "p99", "p99.9", "mean", "min", "max")
_TEXT = re.compile(r"\s*([\w.]+)\s*(<=|>=|<|>)\s*(\S.*?)\s*")


def thresholds(written: Mapping[str, Sequence[str]], complaints: Complaints) -> tuple[Threshold, ...]:
    """Every objective of a scenario, in file order."""
    found: list[Threshold] = []
    for name, texts in written.items():
        measure = MEASURES.get(name)
        if measure is None:
            known = f"there are {', '.join(MEASURES)}"
            mend = did_you_mean(name, list(MEASURES)) or known
            complaints.problem(("spec", "thresholds", name), "is not a measure", mend, on_key=True)
            continue
        for index, text in enumerate(texts):
            try:
                found.append(parse_threshold(measure, text))
            except UnitError as error:
                key: Key = ("spec", "thresholds", name)
                key = (*key, index) if isinstance(complaints.tree.at(key), list) else key
                complaints.problem(key, error.what, error.mend)
    return tuple(found)


def parse_threshold(measure: Measure, text: str) -> Threshold:
    """One objective about a measure: ``"p99 < 10s"``.

    Raises
    ------
    UnitError
        if it is not a statistic, a comparison and a bound in the measure's unit.
    """
    match = _TEXT.fullmatch(text)
    if not match:
        raise UnitError(f"{text[:60]!r} is not an objective", 'write a statistic, < or >, and a bound: "p99 < 10s"')
    statistic, operator, written = match.groups()
    if statistic not in STATISTICS:
        mend = did_you_mean(statistic, STATISTICS) or f"there are {', '.join(STATISTICS)}"
        raise UnitError(f"{statistic!r} is not a statistic", mend)
    bound = parse_duration(written) if measure.unit == "s" else parse_number(written)
    return Threshold(measure.name, statistic, operator, bound, text.strip())  # type: ignore[arg-type]
