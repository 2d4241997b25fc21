"""What is drawn piece by piece is what would have been drawn at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kpsim.cluster.changes import Spells
from kpsim.cluster.grow import grow
from kpsim.cluster.params import ClusterParams, ServiceGroup
from kpsim.measure import tally
from kpsim.measure.tally import Tally, forget_values
from kpsim.proxy.sync.draws import BLOCK, SyncDraws
from kpsim.rng import stream
from kpsim.traffic.connections import COLUMNS, ConnectionDraws, Popularity, Windows
from kpsim.traffic.params import TrafficParams

CLUSTER = grow(ClusterParams(nodes=12), (ServiceGroup("s", 300),), (), 0, seed=1)
WINDOWS = Windows(np.array([0, 2, 3, 7, 11]), np.array([10**9, 3 * 10**9]), 10**9, 10**8, whole=False)


@pytest.mark.parametrize("lost", [(), ((2, 0, 4 * 10**9), (7, 2 * 10**9, 4 * 10**9))], ids=["all nodes", "two lost"])
def test_connections_some_nodes_at_a_time(lost: tuple[tuple[int, int, int], ...]) -> None:
    popularity = Popularity.zipf(CLUSTER, 0.9, stream(1, "popularity"))
    drawn = ConnectionDraws(TrafficParams(200.0), 4, WINDOWS, popularity, (1, 0), Spells.made_of(lost))
    whole = drawn.whole()
    most = np.bincount(whole.node).max() * whole.packets
    assert most < drawn.most_packets() < 2 * most
    assert set(whole.node.tolist()) == {0, 1, 2, 3, 4} - ({1} if lost else set())
    for packets, nodes in ((1, 1 << 62), (700 * whole.packets, 1 << 62), (1 << 40, 2), (1 << 40, 1 << 62)):
        pieces, cut = list(drawn.blocks(packets, nodes)), list(whole.blocks(packets, nodes))
        assert [len(piece) for piece in pieces] == [len(piece) for piece in cut]
        for name in COLUMNS:
            assert np.array_equal(np.concatenate([getattr(piece, name) for piece in pieces]), getattr(whole, name))
    assert len(list(drawn.blocks(1))) == len(set(whole.node.tolist()))


def test_no_connections_are_one_empty_piece() -> None:
    popularity = Popularity.zipf(CLUSTER, 0.9, stream(1, "popularity"))
    drawn = ConnectionDraws(replace(TrafficParams(), connections_per_s_per_node=0.0), 4, WINDOWS, popularity, (1, 0))
    assert [len(piece) for piece in drawn.blocks(10)] == [0]


@pytest.mark.parametrize("exponent", [0.0, 0.9, 3.0])
def test_popularity_is_found_as_by_a_binary_search(exponent: float) -> None:
    popularity = Popularity.zipf(CLUSTER, exponent, stream(1, "popularity"))
    drawn = np.random.default_rng(5).random(50_000)
    at = np.searchsorted(popularity.share, drawn, side="right")
    expected = popularity.ports[np.minimum(at, len(popularity.ports) - 1)]
    assert np.array_equal(popularity.draw(np.random.default_rng(5), 50_000), expected)


def test_syncs_draws_do_not_depend_on_the_order_in_which_they_are_asked_for() -> None:
    nodes, rows = np.arange(7), 2 * BLOCK + 3
    ahead, stepwise = SyncDraws(1, 0, 7), SyncDraws(1, 0, 7)
    last = ahead.factor(rows - 1, nodes)
    table = np.array([stepwise.factor(number, nodes) for number in range(rows)])
    assert np.array_equal(table[-1], last)
    assert np.array_equal(np.array([ahead.factor(number, nodes) for number in range(rows)]), table)
    blocks = [stream(1, "sync-factor", 0, b).integers(0, 1 << 32, (BLOCK, 7), dtype=np.uint32) for b in range(3)]
    assert np.array_equal(np.concatenate(blocks)[:rows], table)
    mixed = np.array([0, 70, 3, 64, 63, 130, 1])
    assert np.array_equal(stepwise.factor(mixed, nodes), table[mixed, nodes])


def test_values_go_where_their_sum_would_not_keep_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "EXACT_BELOW", 10)
    few, many = [Tally(), Tally()], [Tally(), Tally()]
    for each, n in ((few, 5), (many, 6)):
        for one in each:
            one.add(np.arange(n))
            one.add_open(np.arange(5))
        forget_values(each)
    assert all(one.values is not None for one in few)
    assert all(one.values is None and one.open is not None and one.open.values is not None for one in many)
    assert [Tally.pooled(each).values is None for each in (few, many)] == [False, True]
