"""Commands on rules of growing sizes are timed, a size as often as its mode's time allows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from time import perf_counter

from kpsim.calibration.bench.namespaces import Namespace
from kpsim.calibration.bench.plan import Updates
from kpsim.calibration.bench.tools import Timed, timed

MOST_ROUNDS, FEWEST_SIZES = 7, 3
GROWTH = (
    1.25  # of a round in which everything is timed, with its rules: loads grow by the square where they are slowest
)
Found = dict[str, list[Timed]]  # quantity -> samples


def measure(sizes: Sequence[Updates], seconds: float) -> list[tuple[Updates, Found]]:
    """Return the samples of every size that there was time for, small ones first.

    All of them are visited before any is visited again, so that a slow moment falls on all; then large ones first, of
    which there are the fewest samples in the end.
    """
    began_s = perf_counter()
    took_s: list[float] = []
    found: list[Found] = []
    for i, size in enumerate(sizes):
        expected_s = took_s[-1] * max(size.rules / sizes[i - 1].rules, 1.0) ** GROWTH if i else 0.0
        if perf_counter() - began_s + expected_s > seconds and i >= FEWEST_SIZES:
            break
        found.append(defaultdict(list))
        took_s.append(_round(size, found[-1]))
    for _ in range(1, MOST_ROUNDS):
        for i in reversed(range(len(found))):
            if perf_counter() - began_s + took_s[i] < seconds:
                _round(sizes[i], found[i])
    return list(zip(sizes, found, strict=False))


def _round(size: Updates, found: Found) -> float:
    """Time every step once, from empty tables on, and return how long all of it took [s]."""
    began_s = perf_counter()
    inside = Namespace.make()
    try:
        for each in size.inputs:
            inside.run(each.command, each.text)
        for step in size.steps:
            found[step.quantity].append(timed(inside, step.run))
            if step.undo:
                inside.run(step.undo.command, step.undo.text)
    finally:
        inside.close()
    return perf_counter() - began_s
