"""Requests as arrays: the queue of every Pod of the controller at once, then one try of all requests after another."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kpsim.cluster.columns import Cluster
from kpsim.ingress.outcomes import Fate, IngressOutcomes, IngressRun, Pods, Status, Syncs
from kpsim.ingress.requests import Controller, IngressTraffic, Requests
from kpsim.ingress.routing import NOWHERE
from kpsim.ingress.watch import Lists
from kpsim.proxy.rules import DROPPED
from kpsim.queues import starts
from kpsim.units import I64

# (node, service port, try, which requests, time) of connections to ClusterIPs: what each costs [ns], and its Pod
Forward = Callable[[I64, I64, int, I64, I64], tuple[I64, I64]]


def serve_requests(
    traffic: IngressTraffic, cluster: Cluster, syncs: tuple[Syncs, ...], lists: Lists, forward: Forward, pods: Pods
) -> IngressRun:
    """Return the outcome of every request, and the syncs of the lists that they were sent by."""
    requests, controller = traffic.requests, traffic.controller
    timings = controller.timings
    start = starts(requests.arrival_ns, requests.replica, controller.cores, timings.request_ns)
    now = start + timings.request_ns
    status = np.where(requests.port == NOWHERE, int(Status.UNAVAILABLE), 0)
    tries, pod = np.zeros(len(now), np.int64), np.full(len(now), -1)
    for number in range(timings.tries):
        which = np.flatnonzero((status == 0) | (status == Status.BAD_GATEWAY) | (status == Status.TIMED_OUT))
        port = requests.port[which]
        if controller.to_pods:
            known = _known(syncs, requests, which, now[which])
            chosen = lists.choose(cluster.port_service[port], known, requests.draw[0, which], number)
            empty = chosen < 0
            status[which[empty]] = Status.UNAVAILABLE
            which, chosen = which[~empty], chosen[~empty]
        else:
            cost, chosen = forward(controller.node[requests.replica[which]], port, number, which, now[which])
            now[which] += cost
        tries[which] += 1
        pod[which] = chosen
        fate = pods.fate(chosen, now[which])
        status[which] = OF_FATE[fate]
        now[which] += waited(fate, chosen, requests.trip_ns[number, which], controller)
    return IngressRun(IngressOutcomes(requests.arrival_ns, start, now, status, tries, pod), syncs)


OF_FATE = np.array([int(Status.ANSWERED), int(Status.BAD_GATEWAY), int(Status.TIMED_OUT)])


def waited(fate: I64, pod: I64, trip_ns: I64, controller: Controller) -> I64:
    """Return how long each try takes [ns], (n,): both round trips of an answer, one of a refusal, or the time-out."""
    refused = np.where(pod < 0, 0, trip_ns // 2)  # kube-proxy's rules refuse on the node itself
    refused = np.where(pod == DROPPED, controller.timings.timeout_ns, refused)
    silent = np.where(fate == Fate.SILENT, controller.timings.timeout_ns, refused)
    return np.asarray(np.where(fate == Fate.ANSWERED, trip_ns, silent))


def _known(syncs: tuple[Syncs, ...], requests: Requests, which: I64, time_ns: I64) -> I64:
    """Return the deliveries that are in the lists of each request's worker, (n,)."""
    known = np.zeros(len(which), np.int64)
    replica, worker = requests.replica[which], requests.worker[which]
    for r, made in enumerate(syncs):
        absorbed = np.concatenate([[0], made.absorbed])
        for w in range(made.taken_ns.shape[1]):
            here = np.flatnonzero((replica == r) & (worker == w))
            known[here] = absorbed[np.searchsorted(made.taken_ns[:, w], time_ns[here], side="right")]
    return known
