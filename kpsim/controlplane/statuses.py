"""A change of a Pod reaches the controllers' informers through its kubelet and the API server, with a lag.

A kubelet's status manager is one goroutine: it handles the Pods whose status has changed one after another, a GET and a
PATCH each, through the kubelet's own token bucket, so a node gets 25 Pods a second through at the most.  What other
clients change (deletions, Pods of nodes that are lost) waits for none of that.

Source: pkg/kubelet/status/status_manager.go (syncBatch, syncPod).
"""

from __future__ import annotations

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
    kubelets: dict[int, _Kubelet] = {}
    for i in np.flatnonzero(status | deletion).tolist():
        kubelet = kubelets.get(int(node[i]))
        if kubelet is None:
            kubelet = kubelets[int(node[i])] = _Kubelet(defaults)
        at_ns = int(changes.at_ns[i])
        lags[i] = kubelet.done_ns(at_ns, int(takes[i]), REQUESTS if status[i] else 1) - at_ns
    return lags + watch


class _Kubelet:
    """The status manager of one: its token bucket, and when its goroutine is free."""

    def __init__(self, defaults: Defaults) -> None:
        self._bucket = TokenBucket(defaults.value("kubelet.api_qps"), round(defaults.value("kubelet.api_burst")))
        self._free_ns = 0

    def done_ns(self, at_ns: int, takes_ns: int, requests: int) -> int:
        """Return when ``requests`` that take ``takes_ns`` together are answered, if they are due at ``at_ns``."""
        start = max(at_ns, self._free_ns)
        waits = max(self._bucket.take(start) for _ in range(requests))
        self._free_ns = start + waits + takes_ns
        return self._free_ns
