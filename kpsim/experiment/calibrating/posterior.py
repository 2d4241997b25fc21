r"""A profile's coefficients are moved by measured syncs: as little as they can be, those first that were known least.

With logarithms :math:`x` of the coefficients, before anything is measured :math:`x_i = \log b_i + m + e_i`: the base's
value, one factor of the machine for all, and an error of each as wide as its interval and as other machines differ.
Each row of measurements is :math:`\log \sum c_i e^{x_i}` with an error of its own.  Maximum and curvature of the
posterior are found by Gauss and Newton's steps; Gelman et al., Bayesian Data Analysis, 3rd ed., chapter 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kpsim.calibration.scatter import assumed_scatter
from kpsim.profiles.format import Coefficient
from kpsim.units import F64

STEPS = 50
SETTLED_TOLERANCE = 1e-9
NORMAL_95 = 1.959964
NOTHING = 0.05  # share of its upper end that a price found to be nothing begins as: a logarithm knows no zero
TOLD = 0.7  # a coefficient is told by the measurements if they narrow its own error to less than this share


@dataclass(frozen=True, slots=True)
class Posterior:
    """Coefficients with 95 % intervals; ``told`` where the rows narrowed one beyond the machine's common factor."""

    value: F64
    low: F64
    high: F64
    told: np.ndarray
    predicted: F64  # (rows,)


def moved(prior: F64, wide: F64, machine: float, counts: F64, measured: F64, scatter: F64) -> Posterior:
    """Return the coefficients after the rows were seen.

    Parameters
    ----------
    prior
        the base's values, all positive (terms,).
    wide, machine
        standard deviations of the logarithms: of each coefficient's own error (terms,), and of the common factor.
    counts, measured, scatter
        counts (rows, terms), what was measured (rows,), standard deviation of its logarithm (rows,).

    >>> base, wide = np.array([2.0, 1.0]), np.array([0.1, 0.1])
    >>> one = moved(base, wide, 1.0, np.array([[1.0, 10.0]]), np.array([24.0]), np.array([0.01]))
    >>> bool(abs(one.predicted[0] / 24 - 1) < 0.01), bool(one.value[0] / 2 > 1.8)
    (True, True)
    """
    start = np.log(prior)
    before = np.linalg.inv(np.diag(wide**2) + machine**2)
    weight = 1 / scatter**2
    # the common factor first: from far away a step of each coefficient alone would not settle
    x = start + float(np.average(np.log(measured) - np.log(counts @ prior), weights=weight))
    slope = _slope(counts, x)
    for _ in range(STEPS):
        off = np.log(measured) - np.log(counts @ np.exp(x))
        gradient = slope.T @ (weight * off) - before @ (x - start)
        step = np.linalg.solve(slope.T @ (weight[:, None] * slope) + before, gradient)
        x = x + np.clip(step, -1.0, 1.0)
        slope = _slope(counts, x)
        if np.abs(step).max() < SETTLED_TOLERANCE:
            break
    after = np.linalg.inv(slope.T @ (weight[:, None] * slope) + before)
    deviation = np.sqrt(np.diag(after))
    return Posterior(
        np.exp(x), np.exp(x - NORMAL_95 * deviation), np.exp(x + NORMAL_95 * deviation), deviation < TOLD * wide,
        counts @ np.exp(x),
    )  # fmt: skip


def known_before(costs: Sequence[Coefficient]) -> tuple[F64, F64]:
    """Return what is known of ``costs`` on another machine: values, and standard deviations of their logarithms."""
    highest = np.array([each.high for each in costs])
    prior = np.maximum([each.value for each in costs], NOTHING * highest)
    lowest = np.maximum([each.low for each in costs], prior**2 / highest)  # an end at 0 says nothing of a logarithm
    own = np.log(highest / lowest) / (2 * NORMAL_95)
    return prior, np.hypot(own, assumed_scatter("other_study") / NORMAL_95)


def _slope(counts: F64, x: F64) -> F64:
    """Return the derivative of each row's logarithm by each coefficient's: its share of the sum."""
    part = counts * np.exp(x)
    return np.asarray(part / part.sum(axis=1, keepdims=True), np.float64)
