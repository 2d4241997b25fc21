"""DNS: the resolver and the processes agree to the nanosecond, and so do arrays and a list of free servers."""

from __future__ import annotations

import heapq

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpsim.dns.caches import misses
from kpsim.dns.lookups import Background, Callers, Lookups, draw_lookups
from kpsim.dns.params import DnsParams, NameForm
from kpsim.dns.resolver import in_order, latencies
from kpsim.queues import last_starts, starts
from kpsim.rng import stream
from kpsim.units import to_ns
from tests.models.dns_process import latencies_by_process

NAMES: list[NameForm] = ["short", "namespaced", "qualified", "absolute", "external", "externalAbsolute"]


def callers(n: int, length_s: float, *, nodes: int, all_nodes: int, windows: int, names: int, seed: int) -> Callers:
    rng = np.random.default_rng(seed)
    window = np.sort(rng.integers(0, windows, n))
    starts = np.arange(windows) * to_ns(2 * length_s)
    return Callers(
        arrival_ns=starts[window] + rng.integers(0, to_ns(length_s), n),
        node=rng.integers(0, nodes, n),
        window=window,
        name=rng.integers(0, names, n),
        starts_ns=starts,
        length_ns=to_ns(length_s),
        nodes_seen=nodes,
        nodes=all_nodes,
        cores=8 * all_nodes,
        lookups_per_s=n / length_s / nodes / windows,
        share=np.full(names, 1 / names),
    )


@settings(max_examples=25, deadline=None)
@given(
    params=st.builds(
        DnsParams,
        names=st.sampled_from(NAMES),
        ndots=st.sampled_from([1, 5]),
        node_domains=st.integers(0, 1),
        library=st.sampled_from(["glibc", "musl"]),
        ttl_s=st.sampled_from([None, 0.0, 5.0]),
        node_local=st.booleans(),
        replicas=st.sampled_from([None, 1, 3]),
        cores_per_replica=st.integers(1, 3),
        race=st.sampled_from([0.0, 0.3]),
        other_queries_per_s=st.sampled_from([0.0, 5_000.0]),
    ),
    n=st.integers(0, 120),
    length_s=st.sampled_from([0.01, 0.05]),
    all_nodes=st.sampled_from([2, 5]),
    windows=st.integers(1, 2),
    truncated=st.booleans(),
    seed=st.integers(0, 1 << 20),
)
def test_resolver_equals_processes_to_the_nanosecond(
    params: DnsParams, n: int, length_s: float, all_nodes: int, windows: int, truncated: bool, seed: int
) -> None:
    who = callers(n, length_s, nodes=2, all_nodes=all_nodes, windows=windows, names=7, seed=seed)
    lookups = draw_lookups(params, who, stream(seed, "dns"), truncated=truncated)
    found = latencies(lookups)
    assert np.array_equal(found, latencies_by_process(lookups))
    assert np.array_equal(found, in_order(lookups))
    assert (found > 0).all()


def crowded(seed: int, tries: int, cores: int) -> Lookups:
    """Lookups in a few nanoseconds, so that many arrive at the same one."""
    rng, n, b = np.random.default_rng(seed), 30, 10
    shape = (tries, n)
    return Lookups(
        arrival_ns=rng.integers(0, 20, n),
        trips=np.ones(tries, np.int64),
        queries=np.full(tries, 2),
        trip_ns=rng.integers(2, 9, shape),
        lost_ns=rng.integers(0, 2, shape) * 50,
        upstream_ns=np.zeros(shape, np.int64),
        queue=rng.integers(0, 2, shape),
        asked=np.full(shape, 2),
        node_queue=None,
        node_trip_ns=np.full(shape, 2),
        background=Background(rng.integers(0, 30, b), rng.integers(0, 2, b), np.full(b, 2)),
        cores=cores,
        query_ns=int(rng.integers(1, 6)),
        node_query_ns=1,
    )


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1 << 20), tries=st.integers(1, 3), cores=st.integers(1, 3))
def test_they_agree_on_who_goes_first_when_several_arrive_at_once(seed: int, tries: int, cores: int) -> None:
    lookups = crowded(seed, tries, cores)
    assert np.array_equal(latencies(lookups), latencies_by_process(lookups))


def free_servers(arrival: list[int], queue: list[int], size: list[int], servers: int, service_ns: int) -> list[int]:
    """Kiefer and Wolfowitz' recursion as one would write it down."""
    free = {q: [0] * servers for q in queue}
    out = [0] * len(arrival)
    for i in sorted(range(len(arrival)), key=lambda i: (arrival[i], i)):
        start = arrival[i]
        for _ in range(size[i]):
            start = max(arrival[i], heapq.heappop(free[queue[i]]))
            heapq.heappush(free[queue[i]], start + service_ns)
        out[i] = start
    return out


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 3), st.integers(0, 3)), max_size=40),
    st.integers(1, 4),
    st.integers(0, 9),
)
def test_queues_as_arrays_equal_a_list_of_free_servers(
    groups: list[tuple[int, int, int]], servers: int, service_ns: int
) -> None:
    arrival, queue, size = (np.array(column, np.int64) for column in zip(*groups, strict=True)) if groups else (
        np.zeros(0, np.int64),
    ) * 3  # fmt: skip
    found = last_starts(arrival, queue, size, servers, service_ns)
    assert found.tolist() == free_servers(arrival.tolist(), queue.tolist(), size.tolist(), servers, service_ns)


def test_arrays_would_notice_a_server_too_many() -> None:
    arrival, queue = np.zeros(5, np.int64), np.zeros(5, np.int64)
    assert starts(arrival, queue, 2, 10).tolist() == [0, 0, 10, 10, 20]
    assert starts(arrival, queue, 3, 10).tolist() == [0, 0, 0, 10, 10]


@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 2)), max_size=50),
    st.integers(1, 90),
    st.integers(0, 1 << 20),
)
def test_misses_are_those_of_a_cache_that_is_walked_through(
    lookups: list[tuple[int, int]], kept_ns: int, seed: int
) -> None:
    time = np.array([t for t, _ in lookups], np.int64)
    entry = np.array([e for _, e in lookups], np.int64)
    nobody = np.zeros(3)  # asked by nobody before, so nothing is kept at the start
    found = misses(time, entry, nobody, kept_ns / 1e9, np.random.default_rng(seed))
    until: dict[int, int] = {}
    expected = {}
    for i in sorted(range(len(lookups)), key=lambda i: (time[i], i)):
        expected[i] = time[i] >= until.get(int(entry[i]), 0)
        if expected[i]:
            until[int(entry[i])] = int(time[i]) + kept_ns
    assert found.tolist() == [expected[i] for i in range(len(lookups))]


@pytest.mark.parametrize("node_local", [False, True])
def test_same_seed_same_lookups_and_another_seed_others(node_local: bool) -> None:
    who = callers(300, 0.1, nodes=2, all_nodes=4, windows=1, names=5, seed=3)
    params = DnsParams(node_local=node_local)
    first, again, other = (latencies(draw_lookups(params, who, stream(s, "dns", 0))) for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
