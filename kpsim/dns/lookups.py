"""Lookups with everything that chance decides about them, drawn before any queue is served.

Every try goes to a replica of CoreDNS at random, because kube-proxy chooses for each socket anew; A and AAAA share one.
Where only some nodes are simulated, only some replicas are, a few times as many as these would keep busy, and the rest
of the cluster's queries to those are a Poisson stream of pairs beside them.  Left out: how kube-proxy's rules delay the
queries themselves, packets lost for other reasons, and a process that learns from a lost answer (glibc's then asks one
by one).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from kpsim.dns.caches import CacheTimes, miss_share, misses
from kpsim.dns.capacity import autoscaled_replicas, saturation_per_s
from kpsim.dns.params import DnsParams
from kpsim.errors import GuardError
from kpsim.profiles.defaults import Lag, load_defaults
from kpsim.units import F64, I64, to_ns

PAIR = 2  # A and AAAA
SHORTEST_TRIP_NS = 2  # so that a way there and a way back take some time each
OTHERS = 4  # times the queries looked at: fewer, and one lookup's tries would meet one another at too few replicas
HOPELESS = 3  # times what CoreDNS can answer: its queues only grow, and nothing is to be learnt from how fast


@dataclass(frozen=True, slots=True)
class Callers:
    """The clients' lookups (n,) on some of the cluster's nodes, in some stretches of time."""

    arrival_ns: I64
    node: I64  # number among the nodes looked at
    window: I64
    name: I64
    starts_ns: I64  # (w,) stretches of time, ``length_ns`` each
    length_ns: int
    nodes_seen: int
    nodes: int
    cores: int  # of all nodes
    lookups_per_s: float  # of one node
    share: F64  # (names,) of the lookups


@dataclass(frozen=True, slots=True)
class Background:
    """Queries of all other clients to the same replicas: groups in queue ``queue`` (b,)."""

    arrival_ns: I64
    queue: I64
    size: I64


@dataclass(frozen=True, slots=True)
class Lookups:
    """Lookups (n,) of exchanges (m, n) each, one after another; an exchange is one question and its answers."""

    arrival_ns: I64
    trips: I64  # (m,) round trips of an exchange: two where a TCP connection is opened first
    queries: I64  # (m,) asked at once
    trip_ns: I64  # (m, n) round trip to CoreDNS, from the client or from its node's cache
    lost_ns: I64  # (m, n) waited for an answer that was lost, before asking again
    upstream_ns: I64  # (m, n) waited by CoreDNS for others
    queue: I64  # (m, n) replica and stretch of time
    asked: I64  # (m, n) queries that reach CoreDNS
    node_queue: I64 | None  # (n,) the node's cache; ``None`` without one
    node_trip_ns: I64  # (m, n) round trip to it
    background: Background
    cores: int  # of each replica
    query_ns: int
    node_query_ns: int

    def __len__(self) -> int:
        return len(self.arrival_ns)


def exchanges_of(params: DnsParams, *, truncated: bool = False) -> tuple[tuple[int, int], ...]:
    """Round trips and queries of each exchange of a lookup; a truncated answer is asked for again over TCP."""
    tries = tuple((1, PAIR) for _ in params.tries())
    return (*tries, (2, 1)) if truncated else tries


def draw_lookups(params: DnsParams, callers: Callers, rng: np.random.Generator, *, truncated: bool = False) -> Lookups:
    """Draw everything that is random about the callers' lookups, and return it.

    Raises
    ------
    GuardError
        if CoreDNS is asked for so much more than it can answer that its queues mean nothing.
    """
    defaults, exchanges = load_defaults(), exchanges_of(params, truncated=truncated)
    shape = (len(exchanges), len(callers.arrival_ns))
    replicas = params.replicas or autoscaled_replicas(callers.nodes, callers.cores)
    asked = _asked(params, callers, exchanges, rng)
    simulated, others_per_s = _share_of_replicas(params, callers, replicas)
    race = params.race or 0.0
    timeout_s = defaults.value("dns.timeout") / (defaults.value("dns.attempts") if params.library == "musl" else 1)
    lost = np.zeros(shape, np.bool_)
    if replicas > 1 and not params.node_local:  # one replica is always the same choice, and TCP asks again itself
        lost = rng.random(shape) < np.array([race if queries == PAIR else 0.0 for _, queries in exchanges])[:, None]
    return Lookups(
        arrival_ns=callers.arrival_ns,
        trips=np.array([trips for trips, _ in exchanges]),
        queries=np.array([queries for _, queries in exchanges]),
        trip_ns=_trips(defaults.lag("dns.round_trip"), shape, rng),
        lost_ns=lost * to_ns(timeout_s),
        upstream_ns=_upstream(params, callers, shape, replicas, rng),
        queue=callers.window * simulated + rng.integers(0, simulated, shape),
        asked=asked,
        node_queue=callers.window * callers.nodes_seen + callers.node if params.node_local else None,
        node_trip_ns=_trips(defaults.lag("dns.node_round_trip"), shape, rng),
        background=_background(callers, simulated, others_per_s, rng),
        cores=params.cores_per_replica,
        query_ns=to_ns(defaults.value("dns.query")),
        node_query_ns=to_ns(defaults.value("dns.node_local_query")),
    )


def _trips(lag: Lag, shape: tuple[int, int], rng: np.random.Generator) -> I64:
    return np.maximum(lag.draw(rng, shape[0] * shape[1]).reshape(shape), SHORTEST_TRIP_NS)


def _kept(params: DnsParams, number: int, of: int) -> tuple[float, ...]:
    """Return how long the node keeps the answers of try ``number`` [s]: A, then AAAA."""
    times = CacheTimes.of(params.ttl_s, node_local=params.node_local)
    if number < of - 1:
        return times.denial_s, times.denial_s
    if params.outside:
        return times.success_s, times.success_s
    return times.success_s, times.denial_s  # the name is there, and has no IPv6 address


def _asked(
    params: DnsParams, callers: Callers, exchanges: tuple[tuple[int, int], ...], rng: np.random.Generator
) -> I64:
    """Return the queries of each exchange that reach CoreDNS, (m, n): those whose answers the node has not kept."""
    n, of = len(callers.arrival_ns), len(params.tries())
    every = np.repeat(np.array([queries for _, queries in exchanges])[:, None], n, axis=1)
    if not params.node_local:
        return every
    places = len(callers.starts_ns) * callers.nodes_seen
    entry = (callers.window * callers.nodes_seen + callers.node) * len(callers.share) + callers.name
    rate = np.tile(callers.lookups_per_s * callers.share, places)
    since = callers.arrival_ns - callers.starts_ns[callers.window]
    for number in range(of):
        every[number] = sum(
            misses(since, entry, rate, kept, rng).astype(np.int64) for kept in _kept(params, number, of)
        )
    return every


def offered_per_s(params: DnsParams, nodes: int, lookups_per_s: float, share: F64) -> float:
    """Queries a second that reach CoreDNS from ``nodes`` of ``lookups_per_s`` each, and from all other clients.

    ``share`` (names,) of the lookups is what each name has; caches on the nodes answer the more, the less even it is.
    """
    return nodes * lookups_per_s * _asked_on_average(params, lookups_per_s, share) + params.other_queries_per_s


def _asked_on_average(params: DnsParams, lookups_per_s: float, share: F64) -> float:
    """Queries of one lookup that reach CoreDNS on average."""
    of = len(params.tries())
    if not params.node_local:
        return float(PAIR * of)
    missed = (miss_share(lookups_per_s * share, kept) for number in range(of) for kept in _kept(params, number, of))
    return sum(float((share * each).sum()) for each in missed)


def _share_of_replicas(params: DnsParams, callers: Callers, replicas: int) -> tuple[int, float]:
    """Return how many replicas are simulated, and the pairs a second that other nodes send to each of them."""
    total = offered_per_s(params, callers.nodes, callers.lookups_per_s, callers.share)
    most = saturation_per_s(params.cores_per_replica * replicas).value
    if total > HOPELESS * most:
        raise GuardError(
            f"CoreDNS would be asked {total:,.0f} queries a second; {replicas} replicas of {params.cores_per_replica} "
            f"cores answer {most:,.0f}. More replicas, fewer tries or a cache on each node help: "
            "dns.replicas, dns.names, dns.nodeLocal."
        )
    if not total:
        return 1, 0.0
    own = callers.nodes_seen * callers.lookups_per_s * _asked_on_average(params, callers.lookups_per_s, callers.share)
    simulated = min(max(math.ceil(OTHERS * replicas * own / total), 1), replicas)
    return simulated, max(total / replicas - own / simulated, 0.0) / PAIR


def _background(callers: Callers, simulated: int, pairs_per_s: float, rng: np.random.Generator) -> Background:
    length_s = callers.length_ns / 1e9
    counts = rng.poisson(pairs_per_s * length_s, len(callers.starts_ns) * simulated)
    queue = np.repeat(np.arange(len(counts)), counts)
    arrival = callers.starts_ns[queue // simulated] + rng.integers(0, max(callers.length_ns, 1), len(queue))
    return Background(arrival, queue, np.full(len(queue), PAIR))


def _upstream(
    params: DnsParams, callers: Callers, shape: tuple[int, int], replicas: int, rng: np.random.Generator
) -> I64:
    """Return CoreDNS' waits for its upstream [ns], (m, n): names outside the cluster that it has not kept."""
    waited = np.zeros(shape, np.int64)
    if not params.outside:
        return waited
    defaults, tries = load_defaults(), params.tries()
    rate = callers.nodes * callers.lookups_per_s * callers.share / replicas
    unknown = miss_share(rate, defaults.value("dns.cache_success"))[callers.name]
    for number, name in enumerate(tries):
        if not name.endswith("cluster.local"):
            wait = defaults.lag("dns.upstream").draw(rng, shape[1])
            waited[number] = np.where(rng.random(shape[1]) < unknown, wait, 0)
    return waited
