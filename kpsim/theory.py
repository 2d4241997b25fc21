"""Closed forms a simulation must agree with: queues, a paced sync loop, and a token bucket.

Used as thin lines over simulated points and as the truth in ``tests/verification``.  This module knows formulas and
nothing of kpsim: no cluster, no mode, no profile.  Every function is exact for the process its docstring states, and
says which.

Symbols (queueing theory's own, only in this module)::

    lam     arrival rate λ [1/s], Poisson unless said otherwise
    es      mean service time E[S] [s]
    cs2     squared coefficient of variation of the service time, Var[S] / E[S]²  (0 constant, 1 exponential)
    c       number of servers
    rho     utilisation ρ = λ E[S] / c
    m       minSyncPeriod [s], slept after a sync ends
    d       duration of a sync [s], constant
    b       m + d [s], the time in which a paced loop cannot start again

Kendall's A/B/c: arrivals / service / servers, with M for exponential, D for constant, G for anything.

References
----------
.. [1] L. Kleinrock, *Queueing Systems, Volume 1: Theory*, Wiley 1975.
.. [2] M. Harchol-Balter, *Performance Modeling and Design of Computer Systems*, Cambridge 2013.
.. [3] S. M. Ross, *Introduction to Probability Models*, Academic Press: chapter 7, renewal reward processes.
.. [4] Token bucket of client-go: k8s.io/client-go/util/flowcontrol.
"""

from __future__ import annotations

import math

import numpy as np

from kpsim.units import F64

# ── Queues ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def utilisation(lam: float, es: float, c: int = 1) -> float:
    """Return the share of time a server is busy, ρ = λ E[S] / c, while ρ < 1 [1]_.

    Parameters
    ----------
    lam
        Arrival rate [1/s].
    es
        Mean service time [s].
    c
        Servers.

    Raises
    ------
    ValueError
        If a rate or a time is negative, or there is no server.
    """
    if lam < 0 or es < 0 or c < 1:
        raise ValueError(f"need lam >= 0, es >= 0 and c >= 1, got lam={lam}, es={es}, c={c}")
    return lam * es / c


def mg1_mean_wait(lam: float, es: float, cs2: float) -> float:
    """Return the mean wait before service in M/G/1 [s]; infinite where ρ >= 1.

    Pollaczek and Khinchine's mean value formula, ``W = ρ E[S] (1 + cs2) / (2 (1 - ρ))`` ([1]_ section 5.6, [2]_
    chapter 23).
    """
    rho = utilisation(lam, es)
    if cs2 < 0:
        raise ValueError(f"a squared coefficient of variation is not negative, got cs2={cs2}")
    return math.inf if rho >= 1 else rho * es * (1 + cs2) / (2 * (1 - rho))


def mm1_mean_wait(lam: float, es: float) -> float:
    """Return the mean wait before service in M/M/1 [s]: ``ρ E[S] / (1 - ρ)`` ([1]_ section 3.2)."""
    return mg1_mean_wait(lam, es, cs2=1.0)


def md1_mean_wait(lam: float, es: float) -> float:
    """Return the mean wait before service in M/D/1 [s]: half of M/M/1's ([1]_ section 5.6)."""
    return mg1_mean_wait(lam, es, cs2=0.0)


def erlang_c(lam: float, es: float, c: int) -> float:
    """Return the share of customers that must wait in M/M/c; 1 where ρ >= 1.

    Erlang's C formula ([1]_ section 3.5, [2]_ chapter 14), by way of the recursion for Erlang's B, which stays exact
    for many servers where factorials overflow: ``B(0) = 1``, ``B(k) = a B(k-1) / (k + a B(k-1))``,
    ``C = B(c) / (1 - ρ (1 - B(c)))`` with the offered load ``a = λ E[S]``.
    """
    rho = utilisation(lam, es, c)
    if rho >= 1:
        return 1.0
    load = lam * es
    blocked = 1.0
    for k in range(1, c + 1):
        blocked = load * blocked / (k + load * blocked)
    return blocked / (1 - rho * (1 - blocked))


def mmc_mean_wait(lam: float, es: float, c: int) -> float:
    """Return the mean wait before service in M/M/c [s]: ``C(c, a) E[S] / (c (1 - ρ))`` ([2]_ chapter 14).

    Infinite where ρ >= 1.
    """
    rho = utilisation(lam, es, c)
    return math.inf if rho >= 1 else erlang_c(lam, es, c) * es / (c * (1 - rho))


# ── A paced sync loop ────────────────────────────────────────────────────────────────────────────────────────────────
#
# kube-proxy's bounded-frequency runner since Kubernetes 1.34 (pkg/proxy/runner): an event starts a sync at once if the
# loop is idle; a sync takes what is pending at its start and lasts d; then the loop sleeps m, and starts again at once
# if anything arrived since the last start.  Without failures and without the hourly timer the starts of syncs renew:
#
#   cycle   C = b if anything arrives within b, else b + Exp(λ)          E[C] = b + exp(-λ b)/λ
#   batch   Poisson(λ b) events wait for the next start, or, if there were none, the one that ends the idle time
#   wait    by renewal reward over a cycle: the λ b events wait b/2 on average, the idle one does not wait
#
# Poisson arrivals within b are uniform over it, so the wait of an event is 0 with probability p0 and uniform over
# (0, b) otherwise.


def runner_mean_cycle(lam: float, m: float, d: float) -> float:
    """Return the mean distance between starts of syncs [s], under Poisson changes of rate ``lam``.

    ``E[C] = b + exp(-λ b) / λ`` with ``b = m + d``; never less than ``b``, infinite without changes [3]_.
    """
    b = _blocked(lam, m, d)
    return math.inf if lam == 0 else b + math.exp(-lam * b) / lam


def runner_mean_batch(lam: float, m: float, d: float) -> float:
    """Return the mean number of changes a sync takes: ``λ E[C] = λ b + exp(-λ b)``; 1 when changes are rare [3]_."""
    b = _blocked(lam, m, d)
    return lam * b + math.exp(-lam * b)


def runner_mean_latency(lam: float, m: float, d: float) -> float:
    """Return the mean time from a change to its rules in force [s]: the wait for the next start, then the sync.

    ``d + λ b² / (2 (λ b + exp(-λ b)))`` by renewal reward [3]_: ``d`` when changes are rare, ``d + b/2`` when they
    never cease.
    """
    b = _blocked(lam, m, d)
    return d + lam * b * b / (2 * runner_mean_batch(lam, m, d))


def runner_latency_quantile(lam: float, m: float, d: float, q: float) -> float:
    """Return the latency from change to rules in force that a share ``q`` of the changes does not exceed [s].

    A change finds the loop idle with probability ``p0 = exp(-λ b) / (λ b + exp(-λ b))`` and then waits for nothing;
    otherwise its wait is uniform over ``(0, b)``.
    """
    _check_share(q)
    b = _blocked(lam, m, d)
    idle = math.exp(-lam * b) / runner_mean_batch(lam, m, d)
    return d if q <= idle else d + b * (q - idle) / (1 - idle)


# ── A token bucket ───────────────────────────────────────────────────────────────────────────────────────────────────


def token_bucket_drain(writes: int, qps: float, burst: int, write_latency_s: float = 0.0, workers: int = 1) -> float:
    """Return the time a controller with a full bucket takes for a backlog of ``writes`` requests [s].

    Whichever binds: the bucket, which lets request ``k`` go at ``(k - burst) / qps`` [4]_, or the workers, each with
    one request of ``write_latency_s`` under way.
    """
    if qps <= 0 or workers < 1:
        raise ValueError(f"need qps > 0 and workers >= 1, got qps={qps}, workers={workers}")
    return max(0.0, (writes - burst) / qps, writes * write_latency_s / workers)


def poisson_quantiles(mean: float, shares: F64) -> F64:
    """Return the smallest counts that a Poisson variable of this mean keeps to with at least each of ``shares``.

    Counts of independent arrivals that each choose one of many places at random are nearly so.

    >>> poisson_quantiles(4.0, np.array([0.05, 0.5, 0.95])).tolist()
    [1.0, 4.0, 8.0]
    """
    reach = 12 * math.sqrt(mean) + 20
    counts = np.arange(max(math.floor(mean - reach), 0), math.ceil(mean + reach) + 1)
    first = counts[0] * math.log(mean) - mean - math.lgamma(counts[0] + 1)
    weights = np.exp(first + np.concatenate([[0.0], np.cumsum(math.log(mean) - np.log(counts[1:]))]))
    at = np.searchsorted(np.cumsum(weights) / weights.sum(), shares)
    return counts[np.minimum(at, len(counts) - 1)].astype(np.float64)


def _check_share(q: float) -> None:
    if not 0 <= q < 1:
        raise ValueError(f"a quantile is taken at 0 <= q < 1, got q={q}")


def _blocked(lam: float, m: float, d: float) -> float:
    if lam < 0 or m < 0 or d < 0:
        raise ValueError(f"need lam, m and d >= 0, got lam={lam}, m={m}, d={d}")
    return m + d
