"""The controller's own endpoint lists: when a change that the API server sent reaches NGINX's workers, as recurrences.

ingress-nginx keeps informers and a queue of events with one worker, whose syncs take a token of a bucket with one
token: ``--sync-rate-limit``.  A sync looks at all that the informers hold when it gets its token, makes the lists and
posts them to NGINX; each of NGINX's workers looks there once a second.  An event older than the last sync's beginning
is skipped; one that came while it waited for its token asks for another.
Source: ingress-nginx internal/ingress/controller (nginx.go, syncIngress), internal/task/queue.go,
rootfs/etc/nginx/lua/balancer.lua.
"""

from __future__ import annotations

import numpy as np

from kpsim.cluster.changes import NEVER
from kpsim.cluster.columns import Cluster
from kpsim.controlplane.deliveries import DeliveryLog
from kpsim.ingress.outcomes import Syncs
from kpsim.ingress.params import ControllerTimings
from kpsim.ingress.requests import Controller
from kpsim.proxy.sync.timeline import usable_at_start
from kpsim.units import I64


def tick_after(time_ns: I64, phase_ns: I64, tick_ns: int) -> I64:
    """Return when timers with these phases fire next [ns], at ``time_ns`` or later; the arguments broadcast."""
    return np.asarray(time_ns + (phase_ns - time_ns) % tick_ns)


def syncs_of(arrival_ns: I64, phase_ns: I64, timings: ControllerTimings, horizon_ns: int) -> Syncs:
    """Return the syncs of a Pod that hears of a change at each of ``arrival_ns`` (d,), in order.

    Changes at 0, 10 and 20 ns: the first is looked at once, the others by one sync 30 ns after it, and once more
    because they came while that waited.  ``phase_ns`` are its workers' timers.

    >>> timings = ControllerTimings(request_ns=0, interval_ns=30, sync_ns=1, tick_ns=10, timeout_ns=0, tries=1)
    >>> found = syncs_of(np.array([0, 10, 20]), np.array([5]), timings, 100)
    >>> found.absorbed.tolist(), found.taken_ns.ravel().tolist()
    ([1, 3, 3], [5, 35, 65])
    """
    absorbed, ends = [], []
    following, begun, free, token = 0, -NEVER, -NEVER, -NEVER
    while True:
        following = max(following, int(np.searchsorted(arrival_ns, begun)))
        if following >= len(arrival_ns):
            break
        begun = max(int(arrival_ns[following]), free)
        following += 1
        start = max(begun, token)
        if start >= horizon_ns:
            break
        absorbed.append(int(np.searchsorted(arrival_ns, start, side="right")))
        free, token = start + timings.sync_ns, start + timings.interval_ns
        ends.append(free)
    end = np.array(ends, np.int64)[:, None]
    return Syncs(np.array(absorbed, np.int64), tick_after(end, phase_ns[None, :], timings.tick_ns))


def all_syncs(controller: Controller, log: DeliveryLog, horizon_ns: int) -> tuple[Syncs, ...]:
    """Return the syncs of each of the controller's Pods."""
    sent, spread = log.column("sent_ns"), log.column("spread_ns")
    found = []
    for r in range(controller.replicas):
        arrival_ns = controller.watch.arrival_ns(sent, spread, np.full(len(sent), r))
        found.append(syncs_of(arrival_ns, controller.phase_ns[r], controller.timings, horizon_ns))
    return tuple(found)


def place(draw: I64, number: int, count: I64) -> I64:
    """Return the place in a list of ``count`` Pods that try ``number`` takes, 32 bits deciding the first; (n,) each."""
    return np.asarray((((draw * count) >> 32) + number) % np.maximum(count, 1))


class Lists:
    """The endpoint lists of some Services after each delivery of the log [A38]."""

    def __init__(self, cluster: Cluster, log: DeliveryLog) -> None:
        self._service = log.column("service")
        self._start = usable_at_start(cluster)
        self._log = log
        self._made: dict[int, tuple[I64, I64, I64]] = {}  # by Service: rows, offsets, Pods

    def choose(self, service: I64, prefix: I64, draw: I64, number: int) -> I64:
        """Return the Pods that try ``number`` takes of the lists after ``prefix`` deliveries, -1 of an empty one, (n,).

        ``draw`` decides about the first try; each other takes the next in the list.
        """
        pod = np.full(len(service), -1)
        for s in np.unique(service).tolist():
            here = np.flatnonzero(service == s)
            rows, offset, pods = self._of(s)
            state = np.searchsorted(rows, prefix[here])
            count = offset[state + 1] - offset[state]
            index = offset[state] + place(draw[here], number, count)
            pod[here] = np.where(count > 0, pods[np.where(count > 0, index, -1)], -1)
        return pod

    def _of(self, service: int) -> tuple[I64, I64, I64]:
        if service not in self._made:
            offset, pods = self._start
            rows = np.flatnonzero(self._service == service)
            every = [pods[offset[service] : offset[service + 1]].tolist()]
            every += [list(self._log.rows[row].usable) for row in rows.tolist()]
            ends = np.concatenate([[0], np.cumsum([len(each) for each in every])])
            self._made[service] = (rows, ends, np.array([pod for each in every for pod in each] + [-1], np.int64))
        return self._made[service]
