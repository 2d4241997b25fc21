"""The API server's limits: seats, sizes, several servers, a restart; and the controllers that write through it."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from kpsim.clock import EventQueue
from kpsim.cluster.changes import NEVER, ChangeKind
from kpsim.cluster.columns import Cluster, PodState
from kpsim.cluster.grow import grow
from kpsim.cluster.params import ClusterParams, EndpointCount, ServiceGroup
from kpsim.controlplane.api.seats import PriorityLevel, RetryAfter, SeatPool, writes_per_s
from kpsim.controlplane.api.sizes import ObjectSizes
from kpsim.controlplane.api.watches import Backoff, ListingServer, Reconnection, Relist
from kpsim.controlplane.control import ControlPlane
from kpsim.controlplane.deliveries import STAGES, Delivery, Fanout, WatchOutage
from kpsim.controlplane.params import ApiServerParams, ControllerManagerParams
from kpsim.kube.objects import Endpoint, ResolvedService, Service, ServicePort
from kpsim.profiles.defaults import load_defaults
from kpsim.ratelimits import RetryLimiter, TokenBucket
from kpsim.scenario.reader import read
from kpsim.scenario.resolved import write_resolved
from kpsim.units import I64
from tests.changes import Told, changes_of

S, MS = 1_000_000_000, 1_000_000
TERMINATED, APPEARED, BECAME_READY, GONE, CREATED = tuple(ChangeKind)[:5]
READY = PodState.READY
DEFAULTS = load_defaults()
MANAGER, API = ControllerManagerParams(), ApiServerParams()
LEVEL = PriorityLevel.of(API, DEFAULTS)


def services(count: int = 1, endpoints: float = 3.0, nodes: int = 3, created: int = 0, **group: object) -> Cluster:
    made = ServiceGroup("s", count, EndpointCount(mean=endpoints), **group)  # type: ignore[arg-type]  # fields of a group
    return grow(ClusterParams(nodes=nodes), (made,), (), created, seed=1)


def plane(
    cluster: Cluster,
    told: Sequence[Told],
    seconds: float = 30.0,
    *,
    slots: Sequence[int] = (),
    manager: ControllerManagerParams = MANAGER,
    api: ApiServerParams = API,
    restarts: Sequence[tuple[int, int]] = (),
    seed: int = 1,
) -> ControlPlane:
    clock = EventQueue()
    changes, horizon = changes_of(cluster, told, slots), round(seconds * S)
    made = ControlPlane(clock, cluster, changes, manager, DEFAULTS, (seed, 0), horizon, api)
    for at_ns, server in restarts:
        made.restart(at_ns, server)
    clock.run(horizon)
    return made


# ── Seats ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("inflight", "seats"), [((None, None), 98), ((800, 400), 196), ((4, 2), 1)])
def test_a_levels_seats_are_its_share_of_both_limits(inflight: tuple[int | None, int | None], seats: int) -> None:
    assert PriorityLevel.of(ApiServerParams(1, *inflight), DEFAULTS).seats == seats


@pytest.mark.parametrize(
    ("watchers", "seats", "hold_ms", "rate"),
    [
        (9, 1, 0.0, 19_600),
        (10, 1, 5.0, 9_800),
        (95, 10, 5.0, 900),
        (100, 10, 5.0, 900),
        (1_000, 10, 50.0, 164),
        (5_000, 10, 250.0, 35),
        (15_000, 10, 750.0, 12),
    ],
)
def test_a_write_costs_more_the_more_watchers_it_wakes(watchers: int, seats: int, hold_ms: float, rate: float) -> None:
    cost = LEVEL.write_cost(watchers)
    assert (cost.seats, cost.hold_ns) == (seats, hold_ms * MS)
    assert writes_per_s(LEVEL, watchers, 0.005) == pytest.approx(rate, rel=0.02)


def test_no_request_takes_more_seats_than_a_share_of_its_level() -> None:
    small = PriorityLevel.of(ApiServerParams(1, 100, 50), DEFAULTS)  # 25 seats
    assert small.seats == 25
    assert small.write_cost(5_000).seats == 4
    assert small.write_cost(5_000).hold_ns == 500 * 5 * MS // 4  # as much work on fewer seats
    assert small.list_seats(10**9) == 4


def test_a_level_keeps_what_it_does_not_lend_and_gets_what_others_do() -> None:
    assert (LEVEL.least_seats, LEVEL.seats, LEVEL.most_seats, LEVEL.all_seats) == (49, 98, 393, 602)
    assert [LEVEL.limit_of(target) for target in (49, 98, 393, 10_000)] == [114, 192, 393, 393]


def test_a_level_that_asks_for_much_borrows_more_each_period() -> None:
    """Fifty clients, ten seats a write and a quarter of a second: from 114 seats to nearly all that others lend."""
    pool = SeatPool(LEVEL, borrows=True)
    clients, starts = [0] * 50, []
    while clients[0] < 60 * S:
        start = pool.admit(heapq.heappop(clients), 10, 5 * MS, 250 * MS)
        assert start is not None
        starts.append(start)
        heapq.heappush(clients, start + 5 * MS)
    begun = np.array(starts) / S
    rates = [float(((begun >= at) & (begun < at + 5)).sum()) / 5 for at in (2, 14, 50)]
    assert rates[0] == pytest.approx(11 / 0.255, rel=0.05)
    assert rates[1] > 1.5 * rates[0]
    assert rates[2] == pytest.approx(39 / 0.255, rel=0.1)


def test_who_is_told_to_come_again_waits_longer_the_more_there_are() -> None:
    busy, calm = RetryAfter(), RetryAfter()
    waits = [busy.dropped(n * S // 200) // S for n in range(200 * 120)]
    assert sorted(set(waits)) == [1, 2, 4, 8, 16, 32]
    assert waits == sorted(waits)
    assert {calm.dropped(n * 40 * S) for n in range(50)} == {S}


def test_up_to_1_33_lists_are_paid_by_objects() -> None:
    assert [LEVEL.list_seats(10**9, objects) for objects in (1, 100, 101, 950, 10**6)] == [1, 1, 2, 10, 10]


def test_lists_are_paid_by_size_up_to_a_megabyte() -> None:
    assert [LEVEL.list_seats(size) for size in (1, 100_000, 100_001, 950_000, 10**6, 10**9)] == [1, 1, 2, 10, 10, 10]


def slow_pool(seats: int, requests: Sequence[tuple[int, int, int]]) -> list[int]:
    """Starts, found by looking at every request before at every start that could be."""
    done: list[tuple[int, int, int]] = []
    for arrives, wanted, lasts in requests:
        ends = sorted(end for _, end, _ in done)
        for start in sorted({arrives, *ends}):
            taken = sum(n for begun, end, n in done if begun <= start < end)
            if start >= max([arrives, *(begun for begun, _, _ in done)]) and taken + wanted <= seats:
                done.append((start, start + lasts, wanted))
                break
        else:  # the last that was dispatched is what it waited for
            begun = max(at for at, _, _ in done)
            done.append((begun, begun + lasts, wanted))
    return [start for start, _, _ in done]


@pytest.mark.parametrize("seed", range(20))
def test_the_pool_dispatches_in_order_when_all_seats_fit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    arrivals = np.sort(rng.integers(0, 400, 60)).tolist()
    requests = [(at, int(rng.integers(1, 8)), int(rng.integers(1, 60))) for at in arrivals]
    pool = SeatPool(replace(LEVEL, seats=10, most_wait_ns=NEVER), borrows=False)
    admitted = [pool.admit(at, wanted, lasts // 2, lasts - lasts // 2) for at, wanted, lasts in requests]
    starts = [start for start in admitted if start is not None]  # nobody is turned away
    assert starts == slow_pool(10, requests)
    assert starts == sorted(starts)
    assert pool.waited_ns == sum(starts) - sum(arrivals)
    assert pool.waited_ns > 0


def test_who_waits_too_long_is_turned_away_and_leaves_nothing_behind() -> None:
    pool = SeatPool(replace(LEVEL, seats=2), borrows=False)
    assert pool.admit(0, 2, 5 * S, 15 * S) == 0
    assert pool.admit(1, 2, S, 0) is None
    assert pool.rejected == 1
    assert pool.admit(6 * S, 2, S, 0) == 20 * S
    assert pool.admit(7 * S, 1, S, 0) == 21 * S  # behind the one before, as there is one queue


def test_a_rejected_write_is_sent_again_and_takes_another_token() -> None:
    """One seat, and a quarter of an hour of holding it after each write: the second is told to come again, often."""
    cluster = services(3, 1.0, nodes=1_800)
    api = ApiServerParams(max_requests_inflight=4, max_mutating_requests_inflight=2, borrow_seats=False)
    told = [(S + n, TERMINATED, n) for n in range(3)]
    hold_s = PriorityLevel.of(api, DEFAULTS).write_cost(1_800).hold_ns / S
    assert hold_s == pytest.approx(0.9)
    done = plane(cluster, told, 60, api=api)
    gaps = [(b.sent_ns - a.sent_ns) / S for a, b in pairwise(done.api.log.rows)]
    assert gaps == pytest.approx([hold_s] * 2, rel=0.1)
    cluster = services(3, 1.0, nodes=40_000)  # 20 s each
    done = plane(cluster, told, 120, api=api)
    assert done.api.seats is not None
    assert 3 <= done.api.seats.rejected <= 6  # the second once, the third twice, or once more by the way
    admitted = [row.stages[4] for row in done.api.log.rows]
    assert len(admitted) == 3
    for first, then in pairwise(admitted):
        assert 20 <= (then - first) / S < 20 + 16 + 0.1  # whoever comes back meets the seats within its next wait


def test_seats_add_nothing_when_they_are_free() -> None:
    """Below ten watchers a write takes one seat and holds it for nobody: the same bytes with and without."""
    cluster = services(40, 3.0, nodes=9)
    told = [(S + 20 * MS * n, TERMINATED, n) for n in range(120)]
    with_seats, without = (plane(cluster, told, api=ApiServerParams(priority_and_fairness=on)) for on in (True, False))
    assert list(with_seats.api.log.rows) == list(without.api.log.rows)
    assert with_seats.api.seats is not None
    assert with_seats.api.seats.waited_ns == 0


def test_seats_slow_writes_down_where_many_watch() -> None:
    cluster = services(300, 1.0, nodes=5_000)
    told = [(S, TERMINATED, pod) for pod in range(300)]
    quick = ControllerManagerParams(qps=1e6, burst=1_000, concurrent_service_endpoint_syncs=50)
    took = {}
    for replicas in (1, 3):
        nominal = ApiServerParams(replicas=replicas, borrow_seats=False)
        rows = plane(cluster, told, manager=quick, api=nominal).api.log.rows
        took[replicas] = rows[-1].stages[5] - rows[0].stages[5]
    assert took[1] == pytest.approx(300 / writes_per_s(LEVEL, 5_000, 0.006) * S, rel=0.05)
    assert took[3] == pytest.approx(300 / writes_per_s(LEVEL, 1_667, 0.006) * S, rel=0.05)


# ── Sizes ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "five", "hundred"),
    [("fields", 1_648, 17_418), ("fields-aws", 1_613, 16_718), ("fields-short", 1_383, 12_118),
     ("fields-hints", 1_743, 19_318), ("kep-752", 500, 10_000)],
)  # fmt: skip
def test_sizes_of_a_slice(name: str, five: int, hundred: int) -> None:
    sizes = ObjectSizes.of(name, DEFAULTS)  # type: ignore[arg-type]  # the names above
    assert (sizes.endpoint_slice(5), sizes.endpoint_slice(100)) == (five, hundred)


def test_hints_make_slices_larger_once() -> None:
    plain, hinted = (ObjectSizes.of(name, DEFAULTS) for name in ("fields", "fields-hints"))
    assert plain.endpoint_slice(100, hinted=True) == hinted.endpoint_slice(100, hinted=True) == 19_318


def test_only_the_slices_of_services_with_hints_are_larger() -> None:
    cluster = services(2, 2.0)
    cluster = replace(cluster, hints={(1, 2): (("a",), ())})
    rows = plane(cluster, [(S, TERMINATED, 0), (2 * S, TERMINATED, 2)]).api.log.rows
    assert [(row.service, row.size) for row in rows] == [(0, 818 + 2 * 166), (1, 818 + 2 * 185)]


def test_what_a_kube_proxy_lists() -> None:
    sizes = ObjectSizes.of("fields", DEFAULTS)
    listed = sizes.listing(np.array([0, 5, 100, 250]), 100)
    assert listed == 4 * 506 + (1 + 1 + 1 + 3) * 818 + 355 * 166


# ── Watchers and servers ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("replicas", [1, 2, 3, 7])
def test_servers_share_the_watchers(replicas: int) -> None:
    cluster = services(1, 3.0, nodes=100)
    done = plane(cluster, [(S, TERMINATED, 0)], api=ApiServerParams(replicas=replicas))
    each = -(-100 // replicas)
    (row,) = done.api.log.rows
    assert row.spread_ns == round(each * (34_000 + 2.2 * row.size) / 8)
    places = Counter(done.fanout.rank.tolist())
    assert max(places) == each - 1
    assert max(places.values()) == replicas
    assert done.fanout.watchers == each


def test_slices_that_are_filtered_out_cost_a_look_a_watcher_and_no_bytes() -> None:
    cluster = grow(
        ClusterParams(nodes=5_000),
        (ServiceGroup("bare", 1, EndpointCount(mean=1.0), headless=True), ServiceGroup("s", 1)), (), 0, seed=1,
    )  # fmt: skip
    waits = []
    for seed in range(30):
        done = plane(cluster, [(S, TERMINATED, 0), (S, TERMINATED, 1)], seed=seed)
        (row,) = done.api.log.rows
        bare_ns = min(done.api.log.written_ns)
        first = bare_ns < row.stages[5]
        waits.append(row.sent_ns - row.stages[5])
        assert row.sent_ns == (max(row.stages[5], bare_ns + 5_000 * 2_000) if first else row.stages[5])
    assert 0 < max(waits) <= 10 * MS
    assert min(waits) == 0


def spread_of(api: ApiServerParams, endpoints: float = 100.0, nodes: int = 1_000) -> int:
    return plane(services(1, endpoints, nodes=nodes), [(S, TERMINATED, 0)], api=api).api.log.rows[0].spread_ns


def test_faster_cards_send_faster() -> None:
    spread = [spread_of(ApiServerParams(egress_bytes_per_s=rate)) for rate in (1e9, 2e9)]
    assert spread == [17_418 * 1_000, round((34_000 + 2.2 * 17_418) / 8 * 1_000)]  # then its cores are the slower


def test_an_event_takes_cpu_for_each_client() -> None:
    """Measured: 36 us an event of 710 bytes and client, so 18 ms from first to last of 1,000 on two cores."""
    for cores in (2, 4):
        found = spread_of(ApiServerParams(cores=cores), endpoints=1.0)
        assert found / MS == pytest.approx(36 / cores, rel=0.02)


def test_stages_of_a_write_follow_each_other() -> None:
    cluster = services(400, 1.0, nodes=500)
    done = plane(cluster, [(S, TERMINATED, pod) for pod in range(400)])
    rows = done.api.log.rows
    assert len(rows) == 400
    for row in rows:
        assert len(row.stages) == len(STAGES)
        assert list(row.stages) == sorted(row.stages)
        assert row.effects_ns[0] < row.stages[0]
        assert row.stages[5] <= row.sent_ns
    bucket = np.array([row.stages[3] - row.stages[2] for row in rows])
    queue = np.array([row.stages[1] - row.stages[0] for row in rows])
    assert (bucket <= 5 * 50 * MS).all()  # five workers, twenty tokens a second
    assert queue.max() > 15 * S


# ── Restart ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def reconnection(size: int = 19_400_000, restart_s: float = 15.0) -> Reconnection:
    again = Reconnection.of(LEVEL, Relist.of(size, 0.8, DEFAULTS), DEFAULTS)
    return replace(again, restart_ns=round(restart_s * S))


def test_back_off_doubles_and_is_spread_over_once_to_twice() -> None:
    rng = np.random.default_rng(1)
    for failures, step_s in enumerate([0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]):
        drawn = np.array([Backoff.of(DEFAULTS).delay_ns(failures, rng) for _ in range(2_000)]) / S
        assert step_s <= drawn.min()
        assert drawn.max() <= 2 * step_s
        assert drawn.mean() == pytest.approx(1.5 * step_s, abs=4 * step_s / np.sqrt(12 * 2_000))


def test_with_other_servers_watches_are_resumed_at_the_first_try() -> None:
    back = reconnection().back_ns(5_000, 7 * S, np.random.default_rng(1), elsewhere=True) / S - 7
    assert back.min() >= 0.8
    assert back.max() <= 1.6


def test_what_is_older_than_the_history_is_listed() -> None:
    again = replace(reconnection(), history_ns=S)
    back = again.back_ns(1_000, 0, np.random.default_rng(1), elsewhere=True) / S
    resumed = back <= 1.0
    assert 0.1 < resumed.mean() < 0.5  # a quarter of the tries come within the first second
    assert back[~resumed].max() > 10  # 64 lists a second


@pytest.mark.parametrize("seed", range(3))
def test_five_thousand_nodes_on_one_server_list_for_80_to_110_seconds(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If all come again after a second; told to wait for longer, they leave seats idle, and it takes twice as long."""
    again = reconnection()
    patient = again.back_ns(5_000, 0, np.random.default_rng(seed), elsewhere=False)
    assert 150 <= (patient.max() - again.restart_ns) / S <= 330
    monkeypatch.setattr(RetryAfter, "MOST_S", 1)
    back = again.back_ns(5_000, 0, np.random.default_rng(seed), elsewhere=False)
    took_s = (back.max() - again.restart_ns) / S
    assert 80 <= took_s <= 110
    bytes_per_s = 5_000 * 19.4e6 / took_s
    assert bytes_per_s <= 1.25e9
    assert (back >= again.restart_ns + again.relist.takes_ns(1)).all()


def test_a_slower_stream_makes_seats_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RetryAfter, "MOST_S", 1)
    quick = reconnection(restart_s=0)
    slow = replace(quick, relist=replace(quick.relist, stream_byte_ns=10.0))  # 100 MB/s
    took = [r.back_ns(5_000, 0, np.random.default_rng(1), elsewhere=False).max() / S for r in (quick, slow)]
    assert took[1] > 5_000 * 0.194 / 9  # nine lists at once
    assert took[0] < 0.9 * took[1]


def test_lists_beyond_the_queue_are_told_to_come_again() -> None:
    server = ListingServer(LEVEL, Relist(10**7, 0.8, 5.0))
    answers = [server.answer(0) for _ in range(400)]
    assert sum(ok for _, ok in answers) == 9 + 300
    assert server.rejected == 91
    ends = [at for at, ok in answers if ok]
    assert max(ends) == pytest.approx(309 * 10**7 * 0.8, rel=0.02)  # the card is what limits
    assert server.answer(max(ends)) == (max(ends) + 5 * 10**7, True)


def test_a_list_waits_for_15_seconds_at_most() -> None:
    server = ListingServer(LEVEL, Relist(10**9, 0.8, 5.0))  # 7 s each with nine at once
    answers = [server.answer(0) for _ in range(60)]
    assert [at for at, ok in answers if not ok] == [15 * S] * server.rejected
    assert 0 < server.rejected < 60 - 2 * 9 + 1


def flips(count: int, every_ns: int, first_ns: int = S) -> list[Told]:
    return [(first_ns + n * every_ns, TERMINATED, n) for n in range(count)]


def arrivals(done: ControlPlane) -> I64:
    """When each row reaches each node, (rows, nodes)."""
    nodes = np.arange(len(done.fanout.rank))
    sent, spread = (done.api.log.column(name)[:, None] for name in ("sent_ns", "spread_ns"))
    return done.fanout.arrival_ns(sent, spread, nodes)


@pytest.mark.parametrize("replicas", [1, 2, 3])
def test_nothing_reaches_a_node_before_its_watch_is_back(replicas: int) -> None:
    cluster = services(200, 1.0, nodes=60)
    told, api = flips(200, 100 * MS), ApiServerParams(replicas=replicas)
    usual = plane(cluster, told, 60, api=api)
    done = plane(cluster, told, 60, api=api, restarts=[(8 * S, replicas - 1)])
    (outage,) = done.fanout.outages
    at, rows = arrivals(done), done.api.log.rows
    assert (np.diff(at, axis=0) >= 0).all()  # what a node knows is a prefix
    cut = outage.back_ns > 0
    assert cut.sum() == 60 // replicas
    after = np.array([row.sent_ns for row in rows]) >= outage.from_ns
    assert after.any()
    assert not after.all()
    assert (at[after][:, cut] >= outage.back_ns[cut]).all()
    assert (at[after][:, ~cut] - done.api.log.column("sent_ns")[after][:, None] < 200 * MS).all()
    before = ~after[: len(usual.api.log.rows)]
    assert np.array_equal(at[~after], arrivals(usual)[: len(rows)][before][: (~after).sum()])


def test_a_lone_server_takes_no_writes_while_it_is_down() -> None:
    cluster = services(200, 1.0, nodes=60)
    done = plane(cluster, flips(200, 100 * MS), 120, restarts=[(8 * S, 0)])
    committed = np.array([row.stages[5] for row in done.api.log.rows])
    assert not ((committed > 8 * S + 100 * MS) & (committed < 23 * S)).any()
    assert len(committed) == 200
    assert Counter(row.service for row in done.api.log.rows) == Counter(range(200))
    queued = plane(cluster, [(8 * S, TERMINATED, pod) for pod in range(200)], 120, restarts=[(9 * S, 0)])
    committed = np.array([row.stages[5] for row in queued.api.log.rows])
    assert not ((committed > 9 * S + 100 * MS) & (committed < 24 * S)).any()  # what was on its way waits, too
    assert len(committed) == 200


def test_the_controller_sees_nothing_while_its_own_watch_is_broken() -> None:
    cluster = services(200, 1.0, nodes=60)
    api = ApiServerParams(replicas=2)
    gaps = {}
    for server in (0, 1):
        done = plane(cluster, flips(200, 100 * MS), 60, api=api, restarts=[(8 * S, server)])
        committed = np.array([row.stages[5] for row in done.api.log.rows])
        seen = np.array([row.stages[0] for row in done.api.log.rows])
        assert not ((seen >= 8 * S) & (seen < done._cut_until_ns)).any()
        gaps[server] = np.diff(np.sort(committed)).max() / S
        assert len(committed) == 200
    assert 0.8 <= gaps[0] <= 1.8  # kube-controller-manager's server: one back-off
    assert gaps[1] < 0.3


def test_after_a_restart_the_other_servers_have_more_watchers() -> None:
    cluster = services(2, 1.0, nodes=90)
    done = plane(cluster, [(S, TERMINATED, 0), (20 * S, TERMINATED, 1)], api=ApiServerParams(3), restarts=[(9 * S, 2)])
    first, second = done.api.log.rows
    assert second.spread_ns == 1.5 * first.spread_ns


def test_a_server_may_be_restarted_again() -> None:
    cluster = services(300, 1.0, nodes=60)
    restarts = [(8 * S, 0), (40 * S, 0)]
    done = plane(cluster, flips(300, 200 * MS), 120, restarts=restarts)
    assert len(done.fanout.outages) == 2
    at = arrivals(done)
    assert (np.diff(at, axis=0) >= 0).all()
    assert not np.array_equal(done.fanout.outages[0].back_ns, done.fanout.outages[1].back_ns - 32 * S)


@pytest.mark.parametrize("replicas", [1, 3])
def test_when_it_is_sent_and_when_the_run_is_over_a_row_arrives_at_the_same_time(replicas: int) -> None:
    """The reference engine asks when a row is sent, the batch engine in the end: an outage changes no earlier row."""
    cluster = services(300, 1.0, nodes=700)
    quick = ControllerManagerParams(qps=1e6, burst=1_000)
    clock = EventQueue()
    changes = changes_of(cluster, flips(300, 9 * MS))
    api = ApiServerParams(replicas=replicas, egress_bytes_per_s=2e7)  # the pipe is never empty
    made = ControlPlane(clock, cluster, changes, quick, DEFAULTS, (1, 0), 60 * S, api)
    nodes, told = np.arange(700), []

    def note(row: Delivery) -> None:
        told.append(made.fanout.arrival_ns(np.array([row.sent_ns]), np.array([row.spread_ns]), nodes))

    made.subscribe(note)
    for at_ns in (2 * S + 1, 2 * S + 300 * MS, 30 * S):
        made.restart(at_ns, 0)
    clock.run(NEVER)
    assert len(told) == 300
    assert np.array_equal(np.array(told), arrivals(made))
    assert (np.diff(np.array(told), axis=0) >= 0).all()


def test_an_outage_holds_back_only_what_is_sent_later() -> None:
    fanout = Fanout(np.array([0, 1]), np.array([5, 5]), 2, (WatchOutage(100, np.array([0, 500])),))
    sent, spread = np.array([[99], [100], [600]]), np.array([[10], [10], [10]])
    assert fanout.arrival_ns(sent, spread, np.array([0, 1])).tolist() == [[104, 109], [105, 500], [605, 610]]


# ── Retries ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_key_waits_twice_as_long_after_each_failure_and_is_dropped_in_the_end() -> None:
    limiter = RetryLimiter(S, 1_000 * S, TokenBucket(10.0, 100), 15)
    waits = [limiter.failed(7, n * 2_000 * S) for n in range(16)]
    assert waits[:10] == [S << n for n in range(10)]
    assert waits[10:] == [1_000 * S] * 5 + [None]
    assert limiter.failed(7, 40_000 * S) == S  # it was forgotten


def test_success_makes_a_key_begin_anew() -> None:
    limiter = RetryLimiter(S, 1_000 * S, TokenBucket(10.0, 100), 15)
    assert [limiter.failed(1, 0), limiter.failed(1, 0)] == [S, 2 * S]
    limiter.forget(1)
    assert limiter.failed(1, 0) == S


def test_many_failing_keys_share_ten_retries_a_second() -> None:
    limiter = RetryLimiter(S, 1_000 * S, TokenBucket(10.0, 100), 15)
    waits = [limiter.failed(key, 0) for key in range(200)]
    assert waits[:110] == [S] * 110  # a hundred at once, and then the bucket's tenth of a second less than a second
    assert waits[110:] == [S + 100 * MS * n for n in range(1, 91)]


def test_a_slice_changed_by_others_is_looked_at_after_a_second() -> None:
    cluster = services(2, 1.0)
    for batch_s, expected_s in ((0.0, 1.0), (5.0, 5.0)):
        clock = EventQueue()
        params = ControllerManagerParams(endpointslice_updates_batch_period_s=batch_s)
        made = ControlPlane(clock, cluster, changes_of(cluster, []), params, DEFAULTS, (1, 0), 30 * S)
        made.controller._states[4].of(1).want(1, int(PodState.SERVING), 0)
        made.controller.changed_by_others(1)
        clock.run(30 * S)
        (row,) = made.api.log.rows
        assert row.stages[1] / S == expected_s


# ── publishNotReadyAddresses ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_service_that_publishes_everybody_calls_them_ready_until_they_are_gone() -> None:
    rows = {}
    for publish in (False, True):
        service = Service(
            "default", "db", "ClusterIP", "10.96.7.7", (ServicePort(80),), (("app", "db"),),
            publish_not_ready_addresses=publish,
        )  # fmt: skip
        endpoints = (Endpoint("10.9.0.1", ready=True, serving=True), Endpoint("10.9.0.2", ready=True, serving=True))
        cluster = grow(ClusterParams(nodes=2), (), (ResolvedService(service, endpoints, (8080,)),), 0, seed=1)
        told: list[Told] = [
            (2 * S, APPEARED, 2), (4 * S, BECAME_READY, 2), (6 * S, TERMINATED, 0), (8 * S, GONE, 0)
        ]  # fmt: skip
        rows[publish] = plane(cluster, told, slots=[0]).api.log.rows
    assert [row.usable for row in rows[False]] == [(0, 1), (0, 1, 2), (1, 2), (1, 2)]
    assert [row.usable for row in rows[True]] == [(0, 1, 2), (0, 1, 2), (0, 1, 2), (1, 2)]
    assert [row.effects_ns for row in rows[False]] == [(), (4 * S,), (6 * S,), ()]
    assert [row.effects_ns for row in rows[True]] == [(2 * S,), (), (), (8 * S,)]


# ── Trigger time ─────────────────────────────────────────────────────────────────────────────────────────────────────


def triggers(rows: Sequence[Delivery]) -> list[int]:
    return [row.trigger_ns // S if row.trigger_ns >= 0 else -1 for row in rows]


def test_a_sync_that_writes_nothing_uses_the_trigger_up() -> None:
    """A Pod that was not ready for a moment has another transition time, and there is nothing to send."""
    cluster = services(1, 2.0)
    told = [(3 * S, ChangeKind.POD_UNREADY, 0), (3 * S + 100, ChangeKind.POD_READY, 0), (9 * S, TERMINATED, 0)]
    batched = ControllerManagerParams(endpointslice_updates_batch_period_s=2.0)
    assert triggers(plane(cluster, told, manager=batched).api.log.rows) == [-1]


def test_a_created_service_starts_from_its_own_creation_whatever_its_pods_did() -> None:
    cluster = services(1, 2.0, created=1)
    told: list[Told] = [(3 * S + 5, CREATED, 1), (7 * S, TERMINATED, 2)]
    rows = plane(cluster, told).api.log.rows
    assert [row.creates for row in rows] == [True, False, False]
    assert triggers(rows) == [-1, 3, -1]


# ── The Endpoints controller ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_life_of_a_pod_is_four_slice_writes_and_three_of_endpoints() -> None:
    """Endpoints objects leave terminating Pods out, so nothing changes when they are gone."""
    cluster = services(1, 2.0)
    told: list[Told] = [(2 * S, APPEARED, 2), (4 * S, BECAME_READY, 2), (6 * S, TERMINATED, 2), (8 * S, GONE, 2)]
    log = plane(cluster, told, slots=[0]).api.log
    assert log.writes == 4
    assert [round(at / S) for at in log.endpoints_ns] == [2, 4, 6]
    sizes = ObjectSizes.of("fields", DEFAULTS)
    assert log.endpoints_bytes == 2 * sizes.endpoints_object(3) + sizes.endpoints_object(2)
    assert {row.size for row in log.rows} == {sizes.endpoint_slice(3), sizes.endpoint_slice(2)}


def test_endpoints_reach_no_kube_proxy_and_can_be_turned_off() -> None:
    cluster = services(50, 2.0, nodes=50)
    told = [(at, kind, 2 * pod) for at, kind, pod in flips(50, 60 * MS)]
    on, off = (
        plane(cluster, told, manager=ControllerManagerParams(endpoints_controller=which)).api.log
        for which in (True, False)
    )
    assert list(on.rows) == list(off.rows)
    assert (on.writes, on.written_bytes) == (off.writes, off.written_bytes)
    assert len(on.endpoints_ns) == on.writes == 50
    assert not off.endpoints_ns


def test_the_endpoints_controller_has_a_bucket_of_its_own() -> None:
    cluster = services(1_000, 1.0)
    log = plane(cluster, [(S, TERMINATED, pod) for pod in range(1_000)], 120).api.log
    assert len(log.endpoints_ns) == log.writes == 1_000
    ends = [(max(times) - S) / S for times in (log.endpoints_ns, log.written_ns)]
    assert ends == pytest.approx([48.5, 48.5], rel=0.02)  # together they would take twice as long


def test_the_endpoints_controller_has_a_service_in_one_hand_only() -> None:
    """What changes while a write waits for its token is written together afterwards."""
    cluster = services(1, 4.0)
    told = [(2 * S + 100 * MS * n, TERMINATED, n) for n in range(4)]
    log = plane(cluster, told, 60, manager=ControllerManagerParams(qps=1.0, burst=1)).api.log
    assert len(log.endpoints_ns) == 3
    assert np.diff(log.endpoints_ns).min() > 0.9 * S


def test_an_endpoints_object_holds_a_thousand_addresses_ready_ones_first() -> None:
    cluster = services(1, 1_200.0)
    told: list[Told] = [(2 * S, APPEARED, 1_200), (4 * S, TERMINATED, 0), (6 * S, TERMINATED, 1_199)]
    log = plane(cluster, told, slots=[0]).api.log
    # neither an address that is not ready nor a ready one beyond the thousandth makes a difference
    assert [round(at / S) for at in log.endpoints_ns] == [4]
    assert log.endpoints_bytes == ObjectSizes.of("fields", DEFAULTS).endpoints_object(1_000)


def test_pods_of_one_service_are_written_together_when_the_controller_is_slow() -> None:
    cluster = services(200, 2.0)
    told = [(S + n, TERMINATED, 2 * n) for n in range(200)] + [(2 * S + n, TERMINATED, 2 * n + 1) for n in range(200)]
    log = plane(cluster, told, 60).api.log
    assert 200 < len(log.endpoints_ns) < 300  # the second Pod finds most Services still waiting


# ── The scenario ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_scenario_names_all_of_it(tmp_path: Path) -> None:
    path = tmp_path / "api.yaml"
    path.write_text(
        "apiVersion: kpsim/v1alpha1\nkind: Scenario\nspec:\n  services: [{name: web}]\n"
        "  apiServer: {replicas: 3, maxRequestsInflight: 800, maxMutatingRequestsInflight: 400, "
        "egressBytesPerSecond: 2.5G, cores: 2, objectSizes: kep-752, priorityAndFairness: false, borrowSeats: false}\n"
        "  controllerManager: {endpointsController: false}\n"
    )
    scenario = read(path)
    assert scenario.api_server == ApiServerParams(
        3, 800, 400, 2.5e9, "kep-752", priority_and_fairness=False, cores=2, borrow_seats=False
    )
    assert scenario.controller_manager == ControllerManagerParams(endpoints_controller=False)
    again = tmp_path / "again.yaml"
    again.write_text(write_resolved(scenario))
    assert replace(read(again), name=scenario.name) == scenario
