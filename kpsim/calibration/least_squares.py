"""Coefficients that are not negative are fitted to counts and measurements, by least squares on the relative error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kpsim.units import F64, I64

ROUNDS = 8  # of reweighting, after which the weights have settled
SOFT = 0.1  # relative error from which a row counts less: rows that something disturbed must not bend a line
RESAMPLED = 100
EXACT = 1e-12


@dataclass(frozen=True, slots=True)
class Fit:
    """Coefficients with 95 % intervals, and how far a row was off that its configuration's fit had not seen."""

    value: F64
    low: F64
    high: F64
    left_out: (
        F64  # (rows,) logarithm of measured over predicted (both and the blur), each row predicted without its group
    )


def not_negative(gram: F64, moment: F64) -> F64:
    """Return the coefficients of least squares that are not negative, from normal equations (Lawson and Hanson)."""
    scale = np.sqrt(np.maximum(np.diag(gram), 1e-300))
    gram, moment = gram / np.outer(scale, scale), moment / scale
    n = len(moment)
    free, found = np.zeros(n, bool), np.zeros(n)
    for _ in range(3 * n + 3):
        slope = np.where(free, -np.inf, moment - gram @ found)
        best = int(np.argmax(slope))
        if slope[best] <= EXACT * max(1.0, float(np.abs(moment).max())):
            break
        free[best] = True
        for _ in range(n + 1):
            trial = np.zeros(n)
            trial[free] = np.linalg.lstsq(gram[np.ix_(free, free)], moment[free], rcond=None)[0]
            low = free & (trial <= 0)
            if not low.any():
                break
            step = np.min(found[low] / np.maximum(found[low] - trial[low], 1e-300))
            found = found + step * (trial - found)
            free &= found > EXACT
            found[~free] = 0.0
        found = trial
    return np.asarray(found / scale, np.float64)


def components(counts: F64) -> list[tuple[I64, I64]]:
    """Return rows and terms that belong together, as pairs of indices: no row of one counts a term of another."""
    used = counts > 0
    label = np.arange(counts.shape[1])
    for row in used:
        label[np.isin(label, label[row])] = label[row].min() if row.any() else 0
    return [
        (np.flatnonzero(used[:, label == each].any(axis=1)), np.flatnonzero(label == each)) for each in np.unique(label)
    ]


def fit(
    counts: F64, measured: F64, groups: F64, blur: F64 | float = 0.0, seed: int = 1, told: F64 | None = None
) -> Fit:
    """Fit, resample whole ``groups`` (rows,) of rows for intervals, and leave each group out once.

    An error counts relative to what was measured and ``blur``, which is what a clock does not resolve.  ``told`` are
    the readings that rows left out are held to, where those differ from what the fit learns from.
    """
    rows, terms = counts.shape
    blur = np.broadcast_to(np.asarray(blur, np.float64), (rows,))
    told = measured if told is None else told
    whole = Fit(np.zeros(terms), np.zeros(terms), np.zeros(terms), np.full(rows, np.nan))
    rng = np.random.default_rng(seed)
    for mine, names in components(counts):
        part = _fit(counts[np.ix_(mine, names)], measured[mine], groups[mine], blur[mine], told[mine], rng)
        whole.value[names], whole.low[names], whole.high[names] = part.value, part.low, part.high
        whole.left_out[mine] = part.left_out
    return whole


def _fit(counts: F64, measured: F64, groups: F64, blur: F64, told: F64, rng: np.random.Generator) -> Fit:
    """Fit one component: each group's normal equations are summed once, then groups drawn or left out."""
    design, target = counts / (measured + blur)[:, None], measured / (measured + blur)
    weight = np.ones(len(measured))
    value = np.zeros(counts.shape[1])
    for _ in range(ROUNDS):
        weighted = design * weight[:, None]
        value = not_negative(weighted.T @ weighted, weighted.T @ (target * weight))
        weight = np.sqrt(SOFT / np.maximum(np.abs(design @ value - target), SOFT))
    weighted, target = design * weight[:, None], target * weight
    names = np.unique(groups)
    grams = np.array([weighted[groups == g].T @ weighted[groups == g] for g in names])
    moments = np.array([weighted[groups == g].T @ target[groups == g] for g in names])
    drawn = [value]
    for _ in range(RESAMPLED):
        times = np.bincount(rng.integers(0, len(names), len(names)), minlength=len(names))
        gram = np.tensordot(times, grams, 1)
        if np.all((np.diag(gram) > 0) | (value == 0)):
            drawn.append(not_negative(gram, times @ moments))
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    left_out = np.full(len(measured), np.nan)
    for g, gram, moment in zip(names, grams, moments, strict=True):
        mine = groups == g
        guess = counts[mine] @ not_negative(grams.sum(axis=0) - gram, moments.sum(axis=0) - moment)
        guess = guess + blur[mine]
        left_out[mine] = np.log((told[mine] + blur[mine]) / np.where(guess > 0, guess, np.nan))
    return Fit(value, np.minimum(low, value), np.maximum(high, value), left_out)
