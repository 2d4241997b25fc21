"""The Ingress controller's queue against theory, and its lag against the timings that it consists of.

A comparison fails beyond four standard errors; twins are the formulas of other queues, which must fail.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from kpsim import theory
from kpsim.ingress.params import ControllerTimings, IngressParams
from kpsim.ingress.watch import syncs_of, tick_after
from kpsim.profiles.defaults import load_defaults
from kpsim.queues import starts
from kpsim.rng import stream
from kpsim.units import F64, to_ns
from tests.verification.test_dns import mdc_mean_wait

REPLICATIONS = 40
REQUESTS = 40_000
REQUEST_S = load_defaults().value("ingress.request")
TIMINGS = ControllerTimings.of(IngressParams())


@cache
def mean_waits(load: float, replicas: int, cores: int) -> F64:
    """The mean wait for a core in each replication [s], where ``replicas`` Pods share Poisson requests at random."""
    rng = stream(1, "ingress-theory", replicas, cores)
    length_s = REQUESTS * REQUEST_S / load / (replicas * cores)
    waits = np.empty(REPLICATIONS)
    for i in range(REPLICATIONS):
        arrival = np.sort(rng.integers(0, to_ns(length_s), rng.poisson(REQUESTS)))
        wait = starts(arrival, rng.integers(0, replicas, len(arrival)), cores, TIMINGS.request_ns) - arrival
        waits[i] = wait[len(wait) // 10 :].mean() / 1e9
    return waits


def agrees(found: F64, expected: float) -> bool:
    return abs(float(found.mean()) - expected) < 4 * float(found.std(ddof=1)) / math.sqrt(REPLICATIONS)


def test_pods_of_one_core_wait_as_in_m_d_1() -> None:
    rate = 0.8 / REQUEST_S
    assert agrees(mean_waits(0.8, 3, 1), theory.md1_mean_wait(rate, REQUEST_S))
    assert not agrees(mean_waits(0.8, 3, 1), theory.mm1_mean_wait(rate, REQUEST_S))


def test_pods_of_several_cores_wait_as_in_m_d_c() -> None:
    rate = 0.8 * 2 / REQUEST_S
    assert agrees(mean_waits(0.8, 2, 2), mdc_mean_wait(rate, REQUEST_S, 2))
    assert not agrees(mean_waits(0.8, 2, 2), theory.mmc_mean_wait(rate, REQUEST_S, 2))


def test_a_lone_change_is_taken_up_within_a_sync_and_a_tick() -> None:
    rng = stream(1, "ingress-lone")
    period_ns = 30 * TIMINGS.interval_ns
    arrival = np.arange(200) * period_ns + rng.integers(0, period_ns // 2, 200)
    found = syncs_of(arrival, rng.integers(0, TIMINGS.tick_ns, 1), TIMINGS, 1 << 61)
    lag_s = (found.taken_ns[:, 0] - arrival) / 1e9
    assert len(lag_s) == 200
    assert TIMINGS.sync_ns / 1e9 <= lag_s.min()
    assert lag_s.max() < (TIMINGS.sync_ns + TIMINGS.tick_ns) / 1e9
    expected = (TIMINGS.sync_ns + TIMINGS.tick_ns / 2) / 1e9
    assert abs(lag_s.mean() - expected) < 4 * lag_s.std() / math.sqrt(200)


def test_syncs_of_a_busy_cluster_are_a_token_apart() -> None:
    arrival = np.arange(10_000) * to_ns(0.05)
    found = syncs_of(arrival, np.array([0]), TIMINGS, 1 << 61)
    assert 0.29 * 500 < len(found.absorbed) < 0.31 * 500 + 3
    assert (np.diff(found.absorbed) > 0).sum() >= len(found.absorbed) - 2
    assert found.absorbed[-1] == len(arrival)


def test_a_timer_fires_at_its_phase() -> None:
    assert tick_after(np.array([0, 7, 8]), np.array(7), 10).tolist() == [7, 7, 17]
