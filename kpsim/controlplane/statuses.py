"""A change of a Pod reaches the controllers' informers through its kubelet and the API server, with a lag.

A kubelet's status manager is one goroutine: it handles the Pods whose status has changed one after another, a GET and a
PATCH each, through the kubelet's own token bucket, so a node gets 25 Pods a second through at the most.  What other
clients change (deletions, Pods of nodes that are lost) waits for none of that.

Source: pkg/kubelet/status/status_manager.go (syncBatch, syncPod).
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from kpsim.cluster.changes import OF_SERVICES, ChangeKind, Changes
from kpsim.cluster.columns import Cluster
from kpsim.profiles.defaults import Defaults
from kpsim.ratelimits import TokenBucket
from kpsim.units import I64

STATUSES = (
    ChangeKind.POD_POSTED,
    ChangeKind.POD_APPEARED,
    ChangeKind.POD_READY,
    ChangeKind.POD_UNREADY,
    ChangeKind.POD_EXITED,
)
REQUESTS = 2  # GET, PATCH


def informer_lags(cluster: Cluster, changes: Changes, defaults: Defaults, rng: np.random.Generator) -> I64:
    """From a change on a node or in the API to the controller's informer [ns], (c,)."""
    n = len(changes)
    patch = defaults.lag("pod.status_patch").draw(rng, n)
    write = defaults.lag("api_server.write").draw(rng, n)
    watch = defaults.lag("api_server.watch").draw(rng, n)
    home = changes.pod_home if changes.pod_home is not None else cluster.homes(len(changes.pod_slot))
    of_pod = ~np.isin(changes.kind, OF_SERVICES)
    node = np.full(n, -1)
    node[of_pod] = home[changes.subject[of_pod]]
    there = ~changes.lost.cover(node, changes.at_ns)
    status = np.isin(changes.kind, STATUSES) & there
    deletion = (changes.kind == ChangeKind.POD_GONE) & there
    lags = np.where(np.isin(changes.kind, STATUSES), 0, write)  # of a lost node's Pods it is told when it is written
    takes = np.where(status, patch, write)
    limits = (defaults.value("kubelet.api_qps"), round(defaults.value("kubelet.api_burst")))
    kubelets: defaultdict[int, _Kubelet] = defaultdict(lambda: _Kubelet(*limits))
    told = np.flatnonzero(status | deletion)
    columns = (node[told], changes.at_ns[told], takes[told], np.where(status[told], REQUESTS, 1))
    rows = zip(*(column.tolist() for column in columns), strict=True)
    lags[told] = [kubelets[at].done_ns(at_ns, takes_ns, n) - at_ns for at, at_ns, takes_ns, n in rows]
    return lags + watch


class _Kubelet:
    """The status manager of one: its token bucket, and when its goroutine is free."""

    def __init__(self, qps: float, burst: int) -> None:
        self._bucket = TokenBucket(qps, burst)
        self._free_ns = 0

    def done_ns(self, at_ns: int, takes_ns: int, requests: int) -> int:
        """Return when ``requests`` that take ``takes_ns`` together are answered, if they are due at ``at_ns``."""
        start = max(at_ns, self._free_ns)
        self._free_ns = start + self._bucket.take(start, requests) + takes_ns
        return self._free_ns
