"""Laws of tallies: buckets near the truth, and sums that do not depend on how they are put together."""

from __future__ import annotations

from collections.abc import Sequence
from unittest.mock import patch

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kpsim.measure.intervals import estimate, summarise
from kpsim.measure.tally import Tally
from kpsim.units import I64

NEAR = 0.016
VALUES = st.lists(st.one_of(st.integers(0, 200), st.integers(0, 1 << 50)), max_size=40)
SOME = VALUES.filter(len)
SHARES = st.lists(st.floats(0, 1), min_size=1, max_size=5)


def counted(values: Sequence[int] | I64) -> Tally:
    tally = Tally("things")
    tally.add(np.asarray(values, np.int64))
    return tally


def content(tally: Tally) -> tuple[object, ...]:
    kept = None if tally.values is None else sorted(np.concatenate([*tally.values, np.zeros(0, np.int64)]).tolist())
    return (tally.n, tally.total, tally.least, tally.most, tally.zeros, tally.counts.tolist(), kept)


def merged(*tallies: Tally) -> Tally:
    return Tally.pooled(tallies)


@given(SOME, SHARES)
def test_exact_quantiles_are_order_statistics(values: list[int], shares: list[float]) -> None:
    ordered = sorted(values)
    for share in shares:
        rank = min(max(int(np.ceil(share * len(values))), 1), len(values))
        assert counted(values).quantile(share) == ordered[rank - 1]


@given(SOME, SHARES)
def test_bucketed_quantiles_are_near_exact_ones(values: list[int], shares: list[float]) -> None:
    exact = counted(values).curve(np.array(shares))
    with patch("kpsim.measure.tally.EXACT_BELOW", 0):
        tally = counted(values)
    assert tally.values is None
    found = tally.curve(np.array(shares))
    assert (np.abs(found - exact) <= NEAR * exact).all()


@given(SOME)
def test_a_curve_rises_from_the_least_to_the_most(values: list[int]) -> None:
    with patch("kpsim.measure.tally.EXACT_BELOW", 0):
        tally = counted(values)
    curve = tally.curve(np.linspace(0, 1, 50))
    assert (np.diff(curve) >= 0).all()
    assert curve[0] >= min(values)
    assert curve[-1] <= max(values)


@given(VALUES, VALUES, VALUES, st.integers(0, 100))
def test_merging_commutes_associates_and_equals_adding_all(a: list[int], b: list[int], c: list[int], few: int) -> None:
    with patch("kpsim.measure.tally.EXACT_BELOW", few):
        x, y, z = counted(a), counted(b), counted(c)
        assert content(merged(x, y)) == content(merged(y, x))
        whole = content(counted([*a, *b, *c]))
        assert content(merged(merged(x, y), z)) == content(merged(x, merged(y, z))) == whole


@given(st.lists(SOME, min_size=1, max_size=5))
def test_a_summary_is_that_of_all_values_and_its_interval_holds_its_mean(batches: list[list[int]]) -> None:
    found = summarise("m", [counted(batch) for batch in batches])
    assert found is not None
    every = [value for batch in batches for value in batch]
    assert (found.n, found.min, found.max, found.unit) == (len(every), min(every), max(every), "things")
    assert found.mean.value == sum(every) / len(every)
    assert (found.mean.low is None) == (len(batches) < 2)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30), st.floats(0.1, 10))
def test_an_interval_scales_with_its_values(values: list[float], factor: float) -> None:
    one, other = estimate(values), estimate([factor * value for value in values])
    for a, b in ((one.value, other.value), (one.low, other.low), (one.high, other.high)):
        assert a is not None
        assert b is not None
        assert abs(b - factor * a) <= 1e-6 * max(1.0, abs(b))
