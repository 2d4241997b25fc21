"""From tallies of replications (or of stretches of one) to summaries with 95 % intervals.

Waits are autocorrelated, so an interval never comes from the scatter of packets: each batch gives one value of a
statistic, and the interval is Student's t over batches.  A percentile is given only where at least ten observations
lie beyond it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from kpsim.measure.summary import Estimate, Summary
from kpsim.measure.tally import Tally

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
BEYOND = 10  # observations that must lie beyond a percentile

# Two-sided 95 % points of Student's t for 1 … 30 degrees of freedom (any table), and the normal's beyond.
_T95 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
_NORMAL95 = 1.960


def student_t95(degrees: int) -> float:
    """Return the two-sided 95 % point of Student's t."""
    return _T95[degrees - 1] if degrees <= len(_T95) else _NORMAL95


def estimate(values: Sequence[float], pooled: float | None = None, least: float = -math.inf) -> Estimate:
    """Return a value (``pooled`` over all batches if given, else the mean) with its interval over batches.

    ``least`` is what the quantity cannot be below: a duration's interval ends at 0.
    """
    centre = float(np.mean(values)) if pooled is None else pooled
    if len(values) < 2:
        return Estimate(centre)
    half = student_t95(len(values) - 1) * float(np.std(values, ddof=1)) / len(values) ** 0.5
    return Estimate(centre, max(centre - half, least), centre + half)


def supports(n: int, share: float) -> bool:
    """Return True if ``n`` observations are enough to speak of the percentile at ``share``."""
    return round(n * (1 - share), 6) >= BEYOND  # rounded, because 100 (1 - 0.9) is not quite 10 to a float


def summarise(measure: str, batches: Sequence[Tally]) -> Summary | None:
    """Return the summary of one measure in its tallies' unit, or ``None`` if nothing was observed."""
    batches = [b for b in batches if b.n]
    if not batches:
        return None
    pooled = Tally.pooled(batches)
    quantiles = {
        name: estimate([b.quantile(share) for b in batches], pooled.quantile(share), least=0.0)
        for name, share in QUANTILES.items()
        if supports(pooled.n, share)
    }
    return Summary(
        measure=measure,
        unit=pooled.unit,
        n=pooled.n,
        mean=estimate([b.mean() for b in batches], pooled.mean(), least=0.0),
        min=pooled.in_unit(pooled.least),
        max=pooled.in_unit(pooled.most),
        quantiles=quantiles,
        batches=len(batches),
    )
