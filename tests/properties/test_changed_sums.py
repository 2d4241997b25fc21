"""Sums over the last row of each Service in a stretch of the log, against looking at every row of the stretch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpsim.proxy.sync.sums import changed
from kpsim.proxy.sync.sums.changed import ChangedSums, Lives
from kpsim.proxy.sync.sums.returned import Returned
from kpsim.units import I64, Bools


def log(seed: int, rows: int, services: int, heaviest: int) -> tuple[I64, I64, I64, I64]:
    """Rows of random Services: those, the next row of each, and two weights of each."""
    rng = np.random.default_rng(seed)
    service = rng.integers(0, services, rows)
    following, after = np.full(rows, rows), np.full(services, rows)
    for row in range(rows - 1, -1, -1):
        following[row], after[service[row]] = after[service[row]], row
    return service, following, rng.integers(0, heaviest, rows), rng.integers(0, heaviest, rows)


def looked_at(service: I64, weights: tuple[I64, ...], before: int, after: int) -> list[int]:
    last = {int(service[row]): row for row in range(before, after)}
    return [len(last), *(sum(int(weight[row]) for row in last.values()) for weight in weights)]


@pytest.mark.parametrize("heaviest", [100, 1 << 40], ids=["packed in one", "of their own"])
@given(
    seed=st.integers(0, 1 << 30), rows=st.integers(1, 1_500), services=st.integers(1, 90), reach=st.integers(1, 1500)
)
def test_stretches_of_any_length(heaviest: int, seed: int, rows: int, services: int, reach: int) -> None:
    service, following, *weights = log(seed, rows, services, heaviest)
    sums = ChangedSums(following, weights, (services * heaviest, services * heaviest))
    rng = np.random.default_rng(seed + 1)
    for _ in range(2):
        after = rng.integers(0, rows + 1, 20)
        before = np.maximum(after - rng.integers(0, reach + 1, 20), 0)
        pairs = zip(before.tolist(), after.tolist(), strict=True)
        expected = [looked_at(service, tuple(weights), lo, hi) for lo, hi in pairs]
        assert np.array(sums.between(before, after)).T.tolist() == expected


def test_a_stretch_costs_a_node_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of short stretches are made once, whatever the number of nodes; long stretches make none."""
    made: list[int] = []
    kept = ChangedSums._stretches

    def counted(self: ChangedSums, column: I64, first: int, prefixes: int) -> I64:
        made.append(prefixes * self._length)
        return kept(self, column, first, prefixes)

    monkeypatch.setattr(ChangedSums, "_stretches", counted)
    _, following, *weights = log(1, 5_000, 300, 10)
    entries = []
    for nodes in (10, 10_000):
        made.clear()
        sums = ChangedSums(following, weights, (3_000, 3_000))
        for at in range(50, 5_000, 50):
            after = at + np.arange(nodes) % 20
            sums.between(after - 40, np.minimum(after, 5_000))
        entries.append(sum(made))
    assert entries[0] == entries[1] < 5_000 * 64 * 4
    made.clear()
    sums.between(np.zeros(4, np.int64), np.full(4, 5_000))
    assert not made
    assert changed.LONGEST < 5_000


@given(data=st.data(), services=st.integers(1, 5), rows=st.integers(0, 40))
def test_lives_of_services_that_come_and_go(data: st.DataObject, services: int, rows: int) -> None:
    service = np.array(data.draw(st.lists(st.integers(0, services - 1), min_size=rows, max_size=rows)), np.int64)
    there = np.array(data.draw(st.lists(st.booleans(), min_size=rows, max_size=rows)), np.bool_)
    at_start = np.array(data.draw(st.lists(st.booleans(), min_size=services, max_size=services)), np.bool_)
    known: list[Bools] = [at_start]
    for at in range(rows):
        known.append(known[-1].copy())
        known[-1][service[at]] = there[at]
    was = np.array([known[at][service[at]] for at in range(rows)], np.bool_)
    lives = Lives(service, there, was, at_start)
    before, after = (x.ravel() for x in np.meshgrid(np.arange(rows + 1), np.arange(rows + 1)))
    before, after = before[before <= after], after[before <= after]
    several = {int(s) for s in service[lives.rows_of_others(np.array([0]), np.array([rows]))[1]]}
    new, passed = lives.begun(before, after)
    lane, row = lives.rows_of_others(before, after)
    for each, (lo, hi) in enumerate(zip(before.tolist(), after.tolist(), strict=True)):
        others = {int(service[r]) for r in row[lane == each]}
        assert all(lo <= r < hi for r in row[lane == each])
        begun = {s for s in range(services) if known[hi][s] and not known[lo][s]}
        assert others == {int(s) for s in service[lo:hi]} & several
        assert new[each] == len(begun - several)
        ended = {s for s in range(services) if not known[hi][s] and not known[lo][s] and s in service[lo:hi]}
        came = {s for s in ended if any(known[at][s] for at in range(lo, hi))}
        assert passed[each] == len(came - several)


@given(data=st.data(), things=st.integers(1, 4), rows=st.integers(1, 60))
def test_of_events_that_undo_each_other_the_last_odd_one_counts(data: st.DataObject, things: int, rows: int) -> None:
    thing = np.array(data.draw(st.lists(st.integers(0, things), min_size=rows, max_size=rows)), np.int64)
    row = np.flatnonzero(thing < things)  # in the others nothing happens
    key, weight = thing[row], np.arange(1, len(row) + 1) ** 2
    mixed = np.random.default_rng(rows).permutation(len(row))
    returned = Returned(key[mixed], row[mixed], (weight[mixed],))
    before, after = (x.ravel() for x in np.meshgrid(np.arange(rows + 1), np.arange(rows + 1)))
    before, after = before[before <= after], after[before <= after]
    (cancelled,) = returned.between(before, after)
    for each, (lo, hi) in enumerate(zip(before.tolist(), after.tolist(), strict=True)):
        inside = (row >= lo) & (row < hi)
        of_each = [weight[inside & (key == k)] for k in range(things)]
        kept = sum(int(some[-1]) for some in of_each if len(some) % 2)
        assert weight[inside].sum() - cancelled[each] == kept
