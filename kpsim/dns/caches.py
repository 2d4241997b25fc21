"""Times to live: what a cache still answers, how stale it can be, and how often it has to ask.

A cache keeps an answer for its time to live, counted from when it was fetched; a record found and a denial (the name or
the kind of record does not exist) are kept for different times.  Left out: eviction (9,984 entries of each kind) and
prefetch.
Sources: coredns/coredns plugin/cache; kubernetes/kubernetes cluster/addons/dns/nodelocaldns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kpsim.profiles.defaults import load_defaults
from kpsim.units import F64, I64, Bools, to_ns


@dataclass(frozen=True, slots=True)
class CacheTimes:
    """The times that answers are kept by each cache, for names of the cluster's own domain [s]; 0 keeps nothing."""

    record_s: float  # time to live that CoreDNS gives records and denials
    success_s: float  # kept on the node
    denial_s: float

    @staticmethod
    def of(ttl_s: float | None, *, node_local: bool) -> CacheTimes:
        """As ``ttl_s`` of the kubernetes plugin and the node's cache have it; ``None`` is kubeadm's."""
        defaults = load_defaults()
        record = defaults.value("dns.ttl") if ttl_s is None else ttl_s
        if not node_local:
            return CacheTimes(record, 0.0, 0.0)
        success, denial = defaults.value("dns.node_local_success"), defaults.value("dns.node_local_denial")
        return CacheTimes(record, min(record, success), min(record, denial))


def miss_share(rate_per_s: F64, kept_s: float) -> F64:
    """Return the share of lookups that find nothing kept, for names asked at ``rate_per_s`` each by a Poisson stream.

    A miss starts ``kept_s`` of hits, then the next lookup misses: one miss a cycle of ``kept_s + 1 / rate``.
    """
    return np.asarray(1 / (1 + rate_per_s * kept_s))


def misses(time_ns: I64, entry: I64, rate_per_s: F64, kept_s: float, rng: np.random.Generator) -> Bools:
    """Return a mask (n,) of the lookups that find no kept answer.

    Parameters
    ----------
    time_ns
        of each lookup, since its entry is looked at, (n,).
    entry
        what in the cache each would find, (n,).
    rate_per_s
        how often each entry is asked, (entries,).  It says what is kept at time zero: with the stationary probability
        an entry, with a time left that is uniform over its life.
    kept_s
        how long an entry is kept.
    """
    if kept_s <= 0 or not len(time_ns):
        return np.ones(len(time_ns), np.bool_)
    kept_ns = to_ns(kept_s)
    held = rng.random(len(rate_per_s)) >= miss_share(rate_per_s, kept_s)
    left_ns = rng.integers(0, kept_ns, len(rate_per_s))
    order = np.lexsort((time_ns, entry))
    axis_ns = int(time_ns.max()) + kept_ns + 1
    at = entry[order] * axis_ns + time_ns[order]  # all entries one after another on one axis
    missed = np.zeros(len(order), np.bool_)
    until = np.arange(len(rate_per_s)) * axis_ns + np.where(held, left_ns, 0)
    first = np.searchsorted(at, until)
    end = np.searchsorted(at, np.arange(1, len(rate_per_s) + 1) * axis_ns)
    going = np.flatnonzero(first < end)
    while len(going):  # each round is the next fetch of every entry
        missed[first[going]] = True
        first[going] = np.searchsorted(at, at[first[going]] + kept_ns)
        going = going[first[going] < end[going]]
    found = np.empty(len(order), np.bool_)
    found[order] = missed
    return found
