"""The points of a sweep: every combination of its axes' values, or a Latin hypercube between their ends."""

from __future__ import annotations

import re
from itertools import product

from kpsim.errors import InputError, MissingExtra, Place, Problem
from kpsim.rng import stream
from kpsim.scenario.model import Sweep
from kpsim.scenario.sections.ranges import MAX_POINTS, at_share

Point = tuple[tuple[str, str], ...]
_LATIN = re.compile(r"lhs:(\d+)")


def grid(plan: Sweep) -> list[Point]:
    """Return every combination of the axes' values, last axis fastest."""
    names = [name for name, _ in plan.axes]
    return [tuple(zip(names, values, strict=True)) for values in product(*(values for _, values in plan.axes))]


def designed(plan: Sweep, design: str, seed: int) -> list[Point]:
    """Return the points of ``design``, "lhs:N": each axis is cut into N parts, and each part holds one point.

    Raises :class:`InputError` for another design, and :class:`MissingExtra` without SciPy.
    """
    match = _LATIN.fullmatch(design)
    if not match or not 2 <= int(match[1]) <= MAX_POINTS:
        mend = f"write lhs:N, with N from 2 to {MAX_POINTS:,}"
        raise InputError([Problem(Place(), key="--design", what=f"there is no design {design!r}", mend=mend)])
    try:
        from scipy.stats import qmc
    except ImportError:
        raise MissingExtra("--design lhs needs SciPy: pip install 'kpsim[analysis]'") from None
    drawn = qmc.LatinHypercube(len(plan.axes), seed=stream(seed, "design")).random(int(match[1]))
    return [
        tuple(
            (name, at_share(plan.written[name], values, float(share)))
            for (name, values), share in zip(plan.axes, row, strict=True)
        )
        for row in drawn
    ]
