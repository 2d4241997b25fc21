"""EndpointSlice packing against an oracle in plain Python: it fills, it never merges, it writes no more than it must.

The oracle follows the published description of the reconciler step by step over tuples and rebuilt lists, where the
model edits slices in place; which newcomer lands in which slice is free, so contents are compared as sets of sizes and
as what every endpoint ends up with.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from kpsim.controlplane.slices import Slice, SliceWrites, pack, reconcile

Endpoints = dict[int, int]


@dataclass(frozen=True)
class Expected:
    """What a reconciliation should do, as sizes: of the slices kept or written, and of each kind of write."""

    after: Counter[int]
    created: int
    updated: int
    deleted: int


def oracle(slices: list[Endpoints], wanted: Endpoints, most: int) -> Expected:
    """The reconciler's steps as the source describes them, by counting."""
    sizes: list[int] = []
    state: list[str] = []
    placed: set[int] = set()
    for piece in slices:
        kept = [e for e in piece if e in wanted]
        placed |= set(kept)
        sizes.append(len(kept))
        lost = len(kept) < len(piece) or (not piece and bool(wanted))  # a placeholder has no ports: of no use to anyone
        refreshed = any(piece[e] != wanted[e] for e in kept)
        state.append("gone" if lost and not kept else "written" if lost or refreshed else "untouched")
    left = len(wanted.keys() - placed)
    written = sorted((i for i, s in enumerate(state) if s == "written"), key=lambda i: -sizes[i])
    for i in written:  # slices that are written anyway are topped up, fullest first
        take = min(most - sizes[i], left)
        sizes[i] += take
        left -= take
    created: list[int] = []
    while left:
        room = [i for i, s in enumerate(state) if s == "untouched" and sizes[i] + left <= most]
        if room and left < most:  # all that is left fits into one untouched slice
            best = max(room, key=lambda i: sizes[i])
            sizes[best] += left
            state[best] = "written"
            left = 0
        else:
            created.append(min(most, left))
            left -= created[-1]
    gone = state.count("gone")
    pairs = min(len(created), gone)  # a create and a delete become one update
    updated = state.count("written") + pairs
    deleted = gone - pairs
    kept_sizes = [size for size, s in zip(sizes, state, strict=True) if s != "gone"] + created
    if deleted and not kept_sizes:  # never without a slice: one stays, empty
        deleted, updated, kept_sizes = deleted - 1, updated + 1, [0]
    return Expected(Counter(kept_sizes), len(created) - pairs, updated, deleted)


@st.composite
def situations(draw: st.DrawFn) -> tuple[list[Endpoints], Endpoints, int]:
    """Slices as some history may have left them, the endpoints wanted now, and the most a slice may hold."""
    most = draw(st.integers(1, 6))
    n = draw(st.integers(1, 5))
    sizes = [draw(st.integers(1, most)) for _ in range(n)] if draw(st.integers(0, 7)) else [0]
    names = iter(range(100))
    slices = [{next(names): draw(st.sampled_from([0, 3, 6])) for _ in range(size)} for size in sizes]
    wanted: Endpoints = {}
    fate = draw(
        st.sampled_from([["keep"], ["keep", "drop"], ["keep", "keep", "change"], ["drop"], ["keep", "drop", "change"]])
    )
    for piece in slices:
        here = draw(st.sampled_from(["keep", "mixed", "mixed"]))
        for e, bits in piece.items():
            does = "keep" if here == "keep" else draw(st.sampled_from(fate))
            if does != "drop":
                wanted[e] = bits if does == "keep" else 7 - bits
    wanted |= {1000 + i: draw(st.sampled_from([0, 3])) for i in range(draw(st.integers(0, 3 * most)))}
    return slices, wanted, most


def brought(slices: list[Slice], wanted: Endpoints, most: int) -> SliceWrites:
    """Reconcile slices that were written before with all that differs, newcomers as they stand."""
    held = {e: bits for piece in slices for e, bits in piece.endpoints.items()}
    news: dict[int, int | None] = {e: wanted.get(e) for e, bits in held.items() if wanted.get(e) != bits}
    for piece in slices:
        piece.unsent.clear()
    return reconcile(slices, news | {e: bits for e, bits in wanted.items() if e not in held}, most)


def run(slices: list[Endpoints], wanted: Endpoints, most: int) -> tuple[list[Slice], list[Slice], SliceWrites]:
    """Reconcile copies; the slices before (as objects), those after, and the writes."""
    before = [Slice(dict(piece)) for piece in slices]
    after = list(before)
    return before, after, brought(after, wanted, most)


@given(situations())
def test_writes_and_sizes_are_the_oracle_s(situation: tuple[list[Endpoints], Endpoints, int]) -> None:
    _, after, writes = run(*situation)
    found = Expected(
        Counter(len(s.endpoints) for s in after), len(writes.created), len(writes.updated), len(writes.deleted)
    )
    assert found == oracle(*situation)
    assert len(writes) == len(writes.created) + len(writes.updated) + len(writes.deleted)


@given(situations())
def test_nothing_is_lost_doubled_or_overfull_and_bits_are_exact(
    situation: tuple[list[Endpoints], Endpoints, int],
) -> None:
    slices, wanted, most = situation
    _, after, _ = run(slices, wanted, most)
    held = [item for piece in after for item in piece.endpoints.items()]
    assert Counter(held) == Counter(wanted.items())
    assert all(len(piece.endpoints) <= most for piece in after)
    assert after  # a placeholder at least
    assert sum(not piece.endpoints for piece in after) == (0 if wanted else 1)


@given(situations())
def test_only_what_changed_is_written_and_endpoints_stay_where_they_are(
    situation: tuple[list[Endpoints], Endpoints, int],
) -> None:
    slices, wanted, most = situation
    before, after, writes = run(slices, wanted, most)
    written = [id(s) for s in (*writes.created, *writes.updated, *writes.deleted)]
    assert len(written) == len(set(written))
    for piece, old in zip(before, slices, strict=True):
        kept = {e: wanted[e] for e in old if e in wanted}
        is_there = any(piece is s for s in after)
        if id(piece) in written:
            assert piece.endpoints != old or not is_there or not old
        else:
            assert piece.endpoints == old
            assert is_there
        if is_there and piece.endpoints:
            assert kept.items() <= piece.endpoints.items()  # nobody moves to another slice
    assert all(any(s is piece for s in before) for piece in (*writes.updated, *writes.deleted))
    assert not any(s is piece for s in before for piece in writes.created)


@given(situations())
def test_a_second_look_writes_nothing(situation: tuple[list[Endpoints], Endpoints, int]) -> None:
    _, after, _ = run(*situation)
    assert len(brought(after, situation[1], situation[2])) == 0


@given(st.integers(0, 60), st.integers(1, 9))
def test_a_new_service_gets_full_slices_and_a_remainder(count: int, most: int) -> None:
    wanted = dict.fromkeys(range(count), 3)
    packed = pack(wanted, most)
    assert [len(s.endpoints) for s in packed[:-1]] == [most] * (len(packed) - 1)
    assert len(packed) == max(1, -(-count // most))
    assert Counter(item for s in packed for item in s.endpoints.items()) == Counter(wanted.items())


def ready(first: int, count: int) -> Endpoints:
    return dict.fromkeys(range(first, first + count), 3)


def test_250_newcomers_open_two_slices_and_the_last_50_go_to_the_fullest_with_room_for_them() -> None:
    slices = [Slice(ready(0, 40)), Slice(ready(100, 30)), Slice(ready(200, 50)), Slice(ready(300, 60))]
    wanted = ready(0, 40) | ready(100, 30) | ready(200, 50) | ready(300, 60) | ready(1000, 250)
    writes = brought(slices, wanted, 100)
    assert [len(s.endpoints) for s in slices] == [40, 30, 100, 60, 100, 100]
    assert writes.created == (slices[4], slices[5])
    assert writes.updated == (slices[2],)


def test_without_room_for_all_the_rest_opens_a_slice_of_its_own() -> None:
    slices = [Slice(ready(0, 60)), Slice(ready(100, 60))]
    writes = brought(slices, ready(0, 60) | ready(100, 60) | ready(1000, 50), 100)
    assert [len(s.endpoints) for s in slices] == [60, 60, 50]  # 80 places were free, 40 in each
    assert not writes.updated


def test_thin_slices_stay_thin() -> None:
    slices = [Slice(ready(100 * i, 100)) for i in range(10)]
    one_each = {100 * i: 3 for i in range(10)}
    writes = brought(slices, one_each, 100)
    assert [len(s.endpoints) for s in slices] == [1] * 10
    assert len(writes.updated) == 10
    assert len(brought(slices, one_each | ready(5000, 5), 100).updated) == 1
    assert sorted(len(s.endpoints) for s in slices) == [1] * 9 + [6]


def test_touched_slices_are_topped_up_fullest_first() -> None:
    slices = [Slice(ready(0, 10)), Slice(ready(100, 50)), Slice(ready(200, 90))]
    wanted = ready(1, 9) | ready(101, 49) | ready(200, 90) | ready(1000, 60)
    writes = brought(slices, wanted, 100)
    assert [len(s.endpoints) for s in slices] == [18, 100, 90]
    assert writes.updated == (slices[0], slices[1])


def test_the_last_endpoint_leaves_an_empty_placeholder() -> None:
    slices = [Slice(ready(0, 3)), Slice(ready(100, 2))]
    writes = brought(slices, {}, 100)
    assert [s.endpoints for s in slices] == [{}]
    assert writes.updated == (slices[0],)
    assert len(writes.deleted) == 1


def test_the_placeholder_is_used_when_endpoints_come_back() -> None:
    for count in (1, 99, 100, 101, 200, 250):
        slices = [Slice()]
        writes = brought(slices, ready(0, count), 100)
        assert all(s.endpoints for s in slices), f"an empty slice stays beside {count} endpoints"
        assert (len(writes.created), len(writes.updated)) == (-(-count // 100) - 1, 1)


def test_all_endpoints_replaced_at_once_reuses_the_slices() -> None:
    slices = [Slice(ready(0, 100)), Slice(ready(100, 100))]
    writes = brought(slices, ready(1000, 250), 100)
    assert (len(writes.created), len(writes.updated), len(writes.deleted)) == (1, 2, 0)
