"""The time of a sync against the rules that are there: a fixed part and one for each rule, where sizes tell them apart.

A straight line says nothing of what grows faster than the rules; the fitted profile has terms for that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kpsim.calibration.least_squares import fit
from kpsim.experiment.calibrating.pricing import FULL, PARTIAL, Priced

FEWEST_SIZES = 3
LEAST_RANGE = 1.5  # of the most rules over the fewest
Interval = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Growth:
    """Syncs of one kind take ``fixed_s`` and ``a_rule_s`` for each rule, each (value, low, high), within ``rules``."""

    kind: str
    fixed_s: Interval
    a_rule_s: Interval
    rules: tuple[float, float]


def grown(syncs: Sequence[Priced]) -> list[Growth]:
    """Return a line for each kind whose syncs are of sizes far enough apart."""
    return [found for kind in (PARTIAL, FULL) if (found := _line(kind, [s for s in syncs if s.kind == kind]))]


def _line(kind: str, mine: Sequence[Priced]) -> Growth | None:
    sizes: dict[str, list[Priced]] = defaultdict(list)
    for each in mine:
        sizes[f"{each.rules:.2g}"].append(each)
    rules = np.array([np.median([each.rules for each in row]) for row in sizes.values()])
    if len(sizes) < FEWEST_SIZES or rules.max() < LEAST_RANGE * rules.min():
        return None
    took_s = np.array([np.median([each.reading.took_s for each in row]) for row in sizes.values()])
    found = fit(np.column_stack([np.ones(len(rules)), rules]), took_s, np.arange(len(rules), dtype=np.float64))
    fixed, slope = ((float(found.value[i]), float(found.low[i]), float(found.high[i])) for i in (0, 1))
    return Growth(kind, fixed, slope, (float(rules.min()), float(rules.max())))
