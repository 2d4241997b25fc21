"""DNS queues against queueing theory; lookups against what names, nodes, lost answers and caches make of them.

A comparison fails beyond four standard errors; twins are the formulas of other queues, which must fail.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest

from kpsim import theory
from kpsim.dns.caches import miss_share, misses
from kpsim.dns.lookups import Callers, draw_lookups
from kpsim.dns.params import DnsParams
from kpsim.dns.resolver import latencies
from kpsim.errors import GuardError
from kpsim.profiles.defaults import load_defaults
from kpsim.queues import last_starts, starts
from kpsim.rng import stream
from kpsim.units import F64, to_ns

REPLICATIONS = 40
QUERIES = 40_000
QUERY_S = load_defaults().value("dns.query")
SETTLED = 0.1


@cache
def mean_waits(load: float, cores: int) -> F64:
    """The mean wait of Poisson queries in each replication [s], (replications,)."""
    rng = stream(1, "dns-theory", cores, round(100 * load))
    length_s = QUERIES * QUERY_S / load / cores
    waits = np.empty(REPLICATIONS)
    for r in range(REPLICATIONS):
        arrival = np.sort(rng.integers(0, to_ns(length_s), rng.poisson(QUERIES)))
        wait = starts(arrival, np.zeros(len(arrival), np.int64), cores, to_ns(QUERY_S)) - arrival
        waits[r] = wait[int(SETTLED * len(wait)) :].mean() / 1e9
    return waits


def agrees(replications: F64, expected: float) -> bool:
    return abs(float(replications.mean()) - expected) < 4 * float(replications.std(ddof=1)) / math.sqrt(REPLICATIONS)


def mdc_mean_wait(lam: float, d: float, c: int, most: int = 400) -> float:
    """The mean wait of M/D/c [s], by Crommelin's chain: who is there ``d`` later is who waits now, and who arrives.

    ``N(t + d) = max(N(t) - c, 0) + Poisson(λ d)``; its stationary mean less ``λ d`` in service waits, by Little's law.
    """
    load = lam * d
    arrivals = np.exp(-load + np.arange(most) * math.log(load) - [math.lgamma(k + 1) for k in range(most)])
    there = np.zeros(most)
    there[0] = 1.0
    for _ in range(20_000):
        left = np.concatenate([[there[: c + 1].sum()], there[c + 1 :]])
        after = np.convolve(left, arrivals)[:most]
        if np.abs(after - there).max() < 1e-13:
            break
        there = after
    return float((there * np.arange(most)).sum() - load) / lam


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8, 0.9])
def test_one_core_waits_as_m_d_1(load: float) -> None:
    lam = load / QUERY_S
    waits = mean_waits(load, 1)
    assert agrees(waits, theory.md1_mean_wait(lam, QUERY_S))
    assert not agrees(waits, theory.mm1_mean_wait(lam, QUERY_S))


@pytest.mark.parametrize("cores", [2, 4])
@pytest.mark.parametrize("load", [0.6, 0.9])
def test_several_cores_wait_as_m_d_c(load: float, cores: int) -> None:
    lam = load * cores / QUERY_S
    waits = mean_waits(load, cores)
    assert agrees(waits, mdc_mean_wait(lam, QUERY_S, cores))
    assert not agrees(waits, theory.mmc_mean_wait(lam, QUERY_S, cores))
    assert not agrees(waits, theory.md1_mean_wait(lam / cores, QUERY_S))


def test_the_chain_is_m_d_1_for_one_core() -> None:
    lam = 0.7 / QUERY_S
    assert mdc_mean_wait(lam, QUERY_S, 1) == pytest.approx(theory.md1_mean_wait(lam, QUERY_S), rel=1e-6)


def test_pairs_wait_longer_than_single_queries_by_the_formula_of_batches() -> None:
    """A batch of two is a customer that takes twice as long; its second query has its turn one service later."""
    load, rng = 0.6, stream(1, "dns-pairs")
    waits = np.empty(REPLICATIONS)
    pairs = QUERIES // 2
    for r in range(REPLICATIONS):
        arrival = np.sort(rng.integers(0, to_ns(QUERIES * QUERY_S / load), rng.poisson(pairs)))
        queue = np.zeros(len(arrival), np.int64)
        start = last_starts(arrival, queue, queue + 2, 1, to_ns(QUERY_S))
        waits[r] = (start - arrival)[int(SETTLED * len(arrival)) :].mean() / 1e9
    expected = theory.md1_mean_wait(load / QUERY_S / 2, 2 * QUERY_S) + QUERY_S
    assert agrees(waits, expected)
    assert not agrees(waits, theory.md1_mean_wait(load / QUERY_S, QUERY_S) + QUERY_S)


# ── Lookups ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def callers(per_s: float, length_s: float, *, nodes: int = 4, all_nodes: int = 4, names: int = 30) -> Callers:
    rng = stream(1, "dns-callers", round(per_s), nodes, all_nodes)
    n = int(rng.poisson(per_s * nodes * length_s))
    share = np.full(names, 1 / names)
    zero = np.zeros(n, np.int64)
    return Callers(
        np.sort(rng.integers(0, to_ns(length_s), n)), rng.integers(0, nodes, n), zero, rng.integers(0, names, n),
        np.zeros(1, np.int64), to_ns(length_s), nodes, all_nodes, 8 * all_nodes, per_s, share,
    )  # fmt: skip


def test_some_nodes_of_a_cluster_see_what_all_of_them_see() -> None:
    params = DnsParams(names="namespaced", replicas=8, cores_per_replica=1, race=0.0)
    seen = []
    for nodes in (4, 40):
        lookups = draw_lookups(params, callers(600, 4.0, nodes=nodes, all_nodes=40), stream(2, "dns", nodes))
        seen.append(np.quantile(latencies(lookups), [0.5, 0.9, 0.99]))
    alone = draw_lookups(params, callers(600, 4.0), stream(2, "dns"))  # the same nodes and nobody else
    assert seen[0] == pytest.approx(seen[1], rel=0.03)
    assert np.quantile(latencies(alone), 0.9) < 0.9 * seen[1][1]


def test_qualified_names_take_four_tries_and_absolute_ones_one() -> None:
    who = callers(100, 20.0)
    slow, fast = (
        float(np.mean(latencies(draw_lookups(DnsParams(names=names, race=0.0), who, stream(3, "dns")))))
        for names in ("qualified", "absolute")
    )
    assert slow / fast == pytest.approx(4, rel=0.03)


@pytest.mark.parametrize(("library", "step_s"), [("glibc", 5.0), ("musl", 2.5)])
def test_lost_answers_are_a_step_in_the_distribution(library: str, step_s: float) -> None:
    params = DnsParams(names="qualified", race=0.01, library=library)  # type: ignore[arg-type]  # a literal
    found = latencies(draw_lookups(params, callers(500, 20.0), stream(4, "dns"))) / 1e9
    late = found > 1
    assert late.mean() == pytest.approx(1 - 0.99**4, rel=0.1)
    assert found[late].min() == pytest.approx(step_s, rel=0.01)
    assert not ((found > 0.1) & (found < step_s)).any()


def test_neither_one_replica_nor_a_cache_on_the_node_loses_answers() -> None:
    for params in (DnsParams(replicas=1, race=0.5), DnsParams(node_local=True, race=0.5)):
        assert latencies(draw_lookups(params, callers(100, 2.0), stream(5, "dns"))).max() < 1e9


def test_a_cache_misses_as_often_as_theory_says() -> None:
    rng, names, kept_s, length_s = stream(1, "dns-cache"), 4_000, 5.0, 10.0
    rate = np.linspace(0.02, 2, names)
    counts = rng.poisson(rate * length_s)
    entry = np.repeat(np.arange(names), counts)
    time = rng.integers(0, to_ns(length_s), len(entry))
    missed = misses(time, entry, rate, kept_s, rng)
    for part in np.array_split(np.arange(names), 4):
        mine = np.isin(entry, part)
        expected = float((rate[part] * miss_share(rate[part], kept_s)).sum() / rate[part].sum())
        assert missed[mine].mean() == pytest.approx(expected, rel=0.05)
    cold = misses(time, entry, np.zeros(names), kept_s, rng)  # the wrong model: caches empty at the start
    assert cold.mean() > 1.1 * missed.mean()


def test_what_core_dns_can_never_answer_is_refused() -> None:
    params = DnsParams(replicas=2, other_queries_per_s=1e6)
    with pytest.raises(GuardError, match=r"dns\.replicas"):
        draw_lookups(params, callers(10, 1.0), stream(1, "dns"))
