"""The closed forms of kpsim.theory against small simulations written for this purpose alone.

Every statistical test has fixed seeds and 64 independent replications, and fails beyond four standard errors.  Each
has twins: the same comparison with a model that is wrong in a way one could really get it wrong, which must fail.  A
test whose twin passes proves nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray

from kpsim import theory

F64 = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, ...]], F64]

REPLICATIONS = 64
CUSTOMERS = 12_000
WARMUP = 2_000
LAM, ES = 700.0, 0.001  # utilisation 0.7


def agrees(replications: F64, expected: float) -> bool:
    """Whether ``expected`` is within four standard errors of the mean over replications."""
    assert replications.shape == (REPLICATIONS,)
    error = float(replications.std(ddof=1)) / math.sqrt(REPLICATIONS)
    return abs(float(replications.mean()) - expected) <= 4 * error


def exponential(rng: np.random.Generator, shape: tuple[int, ...]) -> F64:
    return rng.exponential(ES, shape)


def constant(_rng: np.random.Generator, shape: tuple[int, ...]) -> F64:
    return np.full(shape, ES)


def two_point(rng: np.random.Generator, shape: tuple[int, ...]) -> F64:
    """A cheap and a dear packet: mean ES, squared coefficient of variation 4."""
    return np.where(rng.random(shape) < 0.2, 5 * ES, 0.0)


def simulate_queue(service: Draw, servers: int, seed: int, lam: float = LAM) -> tuple[F64, F64]:
    """Waits and sojourns (replications, customers) of a first-come queue, by the times at which servers fall free."""
    rng = np.random.default_rng(seed)
    shape = (CUSTOMERS, REPLICATIONS)
    arrivals = rng.exponential(1 / lam, shape).cumsum(axis=0)
    services = service(rng, shape)
    free = np.zeros((REPLICATIONS, servers))
    waits = np.empty(shape)
    for i in range(CUSTOMERS):
        start = np.maximum(arrivals[i], free[:, 0])
        waits[i] = start - arrivals[i]
        free[:, 0] = start + services[i]
        free.sort(axis=1)
    kept = slice(WARMUP, None)
    return waits[kept].T, (waits + services)[kept].T


QUEUES = {
    "M/M/1": (exponential, 1, LAM, theory.mm1_mean_wait(LAM, ES)),
    "M/D/1": (constant, 1, LAM, theory.md1_mean_wait(LAM, ES)),
    "M/G/1": (two_point, 1, LAM, theory.mg1_mean_wait(LAM, ES, cs2=4.0)),
    "M/M/4": (exponential, 4, 4 * LAM, theory.mmc_mean_wait(4 * LAM, ES, 4)),
}


@pytest.fixture(scope="module")
def mean_waits() -> dict[str, F64]:
    """Mean wait of each replication, for each queue."""
    return {
        name: simulate_queue(service, servers, seed=11 + i, lam=lam)[0].mean(axis=1)
        for i, (name, (service, servers, lam, _)) in enumerate(QUEUES.items())
    }


@pytest.mark.parametrize("queue", QUEUES)
def test_mean_wait(queue: str, mean_waits: dict[str, F64]) -> None:
    assert agrees(mean_waits[queue], QUEUES[queue][3])


@pytest.mark.parametrize(("queue", "wrong"), list(permutations(QUEUES, 2)))
def test_a_mean_wait_is_told_from_every_other_queues(queue: str, wrong: str, mean_waits: dict[str, F64]) -> None:
    assert not agrees(mean_waits[queue], QUEUES[wrong][3])


@pytest.mark.parametrize(
    "wrong",
    [
        theory.mm1_mean_wait(LAM, ES) + ES,  # the sojourn taken for the wait
        theory.mm1_mean_wait(LAM, ES) / 0.7,  # per customer that waits, not per customer
        theory.mm1_mean_wait(0.98 * LAM, ES),  # one packet in fifty lost on the way
    ],
)
def test_wrong_mm1_is_noticed(wrong: float, mean_waits: dict[str, F64]) -> None:
    assert not agrees(mean_waits["M/M/1"], wrong)


def test_one_fast_server_is_not_four_slow_ones(mean_waits: dict[str, F64]) -> None:
    assert not agrees(mean_waits["M/M/4"], theory.mm1_mean_wait(4 * LAM, ES / 4))


def test_queues_are_special_cases_of_each_other() -> None:
    for lam in (1.0, 400.0, 990.0):
        assert theory.mmc_mean_wait(lam, ES, 1) == pytest.approx(theory.mm1_mean_wait(lam, ES))
        assert theory.md1_mean_wait(lam, ES) == pytest.approx(theory.mm1_mean_wait(lam, ES) / 2)
        assert theory.erlang_c(lam, ES, 1) == pytest.approx(lam * ES)
    # Two servers have a form short enough to write down: C = 2 rho^2 / (1 + rho).
    assert theory.erlang_c(1400.0, ES, 2) == pytest.approx(2 * 0.7**2 / 1.7)
    assert 0 < theory.erlang_c(900_000.0, ES, 1000) < 1  # factorials would overflow


@pytest.mark.parametrize("lam", [1000.0, 1500.0])
def test_a_saturated_queue_has_no_steady_state(lam: float) -> None:
    assert theory.mg1_mean_wait(lam, ES, cs2=1.0) == math.inf
    assert theory.mmc_mean_wait(lam, ES, 1) == math.inf
    assert theory.erlang_c(lam, ES, 1) == 1.0


# ── The paced sync loop ──────────────────────────────────────────────────────────────────────────────────────────────

M, D = 1.0, 0.4
RATES = [0.05, 0.5, 2.0, 20.0]


def simulate_runner(
    lam: float, seed: int, *, spacing: float = M + D, takes_until: float = 0.0, syncs: int = 600
) -> tuple[F64, F64, list[F64]]:
    """Mean cycle, mean batch and the latencies of each replication of a loop like kube-proxy's since 1.34.

    ``spacing`` is the least time between starts; ``takes_until`` how far into a sync changes are still taken along.
    Both are right as they stand and wrong in the twins.
    """
    cycles, batches, latencies = np.empty(REPLICATIONS), np.empty(REPLICATIONS), []
    for r in range(REPLICATIONS):
        rng = np.random.default_rng([seed, r])
        # Twice as many arrivals as syncs can need, and one at least for each sync.
        arrivals = rng.exponential(1 / lam, int(2 * syncs * (lam * (M + D) + 1)) + 50).cumsum()
        begin, first, free = [], 0, 0.0
        latency = []
        for _ in range(syncs):
            start = max(free, float(arrivals[first]))
            last = int(np.searchsorted(arrivals, start + takes_until, side="right"))
            latency.append(np.maximum(start, arrivals[first:last]) + D - arrivals[first:last])
            begin.append(start)
            first, free = last, start + spacing
        cycles[r] = np.diff(begin).mean()
        batches[r] = first / syncs
        latencies.append(np.concatenate(latency))
    return cycles, batches, latencies


def means(latencies: list[F64]) -> F64:
    return np.array([sample.mean() for sample in latencies])


@pytest.mark.parametrize("lam", RATES)
def test_runner(lam: float) -> None:
    cycles, batches, latencies = simulate_runner(lam, seed=23)
    if lam < 10:  # at 20 changes a second a loop is never idle, and every cycle is exactly b
        assert agrees(cycles, theory.runner_mean_cycle(lam, M, D))
    assert cycles.mean() == pytest.approx(theory.runner_mean_cycle(lam, M, D), rel=0.05)
    assert agrees(batches, theory.runner_mean_batch(lam, M, D))
    assert agrees(means(latencies), theory.runner_mean_latency(lam, M, D))


@pytest.mark.parametrize("lam", RATES)
def test_runner_latency_distribution(lam: float) -> None:
    _, _, latencies = simulate_runner(lam, seed=29)
    idle = math.exp(-lam * (M + D)) / theory.runner_mean_batch(lam, M, D)
    for q in (0.5, 0.9, 0.99):
        if q <= idle:  # more than a share q finds the loop idle and pays the sync alone
            assert theory.runner_latency_quantile(lam, M, D, q) == D
            continue
        bound = theory.runner_latency_quantile(lam, M, D, q)
        assert agrees(np.array([(sample <= bound).mean() for sample in latencies]), q)
        assert not agrees(np.array([(sample <= bound - 0.05 * (M + D)).mean() for sample in latencies]), q)


@pytest.mark.parametrize("lam", RATES[1:])
@pytest.mark.parametrize(
    ("spacing", "takes_until"),
    [(max(M, D), 0.0), (M + D, D)],
    ids=["spaced start to start, as before 1.34", "changes during a sync are taken along"],
)
def test_a_wrong_runner_is_noticed(lam: float, spacing: float, takes_until: float) -> None:
    _, _, latencies = simulate_runner(lam, seed=31, spacing=spacing, takes_until=takes_until)
    assert not agrees(means(latencies), theory.runner_mean_latency(lam, M, D))


def test_runner_at_its_ends() -> None:
    assert theory.runner_mean_latency(0.0, M, D) == D
    assert theory.runner_mean_cycle(0.0, M, D) == math.inf
    assert theory.runner_mean_batch(0.0, M, D) == 1.0
    assert theory.runner_mean_latency(1e6, M, D) == pytest.approx(D + (M + D) / 2, rel=1e-6)
    assert theory.runner_mean_cycle(1e6, M, D) == M + D
    assert theory.runner_latency_quantile(1e6, M, D, 0.5) == pytest.approx(D + (M + D) / 2, rel=1e-6)


# ── The EndpointSlice controller ────────────────────────────────────────────────────────────────────────────────


def test_token_bucket() -> None:
    # Kubernetes' default limits, a thousand dirty Services of one slice each.
    assert theory.token_bucket_drain(1000, qps=20, burst=30) == 48.5
    assert theory.token_bucket_drain(30, qps=20, burst=30) == 0.0
    assert theory.token_bucket_drain(110, qps=20, burst=30) == 4.0  # a lost node's Pods
    # With limits lifted the five workers bind: 5 / 10 ms.
    assert theory.token_bucket_drain(1000, qps=1e9, burst=0, write_latency_s=0.01, workers=5) == pytest.approx(2.0)


@pytest.mark.parametrize(
    "call",
    [
        lambda: theory.utilisation(-1.0, ES),
        lambda: theory.utilisation(1.0, ES, 0),
        lambda: theory.mg1_mean_wait(1.0, ES, -1.0),
        lambda: theory.runner_mean_cycle(-1.0, M, D),
        lambda: theory.token_bucket_drain(1, 0.0, 1),
    ],
)
def test_nonsense_is_refused_with_its_value(call: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"(got|need) .*[-\d]"):
        call()
