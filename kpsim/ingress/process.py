"""Requests and the controller's Pods as SimPy processes, on the clock of the control plane and of every kube-proxy.

The reference engine's half.  Each Pod of the controller hears of changes, syncs at its own pace, and lets its workers
have the lists; each request waits for a core, then tries one endpoint after another.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

import numpy as np
import simpy

from kpsim.clock import Rank, at, call_at
from kpsim.cluster.changes import NEVER
from kpsim.cluster.columns import Cluster
from kpsim.controlplane.deliveries import Delivery
from kpsim.ingress.batch import OF_FATE, waited
from kpsim.ingress.outcomes import IngressOutcomes, IngressRun, Pods, Status, Syncs
from kpsim.ingress.requests import Controller, IngressTraffic
from kpsim.ingress.routing import NOWHERE
from kpsim.ingress.watch import place, tick_after
from kpsim.proxy.sync.timeline import usable_at_start

# (node, service port, try, request) of a connection to a ClusterIP now: what it costs [ns], and its Pod
ForwardOne = Callable[[int, int, int, int], tuple[int, int]]
Held = dict[int, Sequence[int]]  # endpoint lists by Service
Waits = Generator[simpy.Event, Any, None]


class ControllerPod:
    """One Pod of the controller: its informers, its queue of events, and its workers' lists."""

    def __init__(
        self, env: simpy.Environment, controller: Controller, number: int, start: Held, horizon_ns: int
    ) -> None:
        self._env, self._timings, self._horizon_ns = env, controller.timings, horizon_ns
        self._phase_ns = controller.phase_ns[number]
        self._heard: list[tuple[int, Delivery]] = []
        self._held: Held = dict(start)
        self._looked_at = 0
        self._wake = env.event()
        self.lists: list[Held] = [dict(start) for _ in self._phase_ns]  # by worker
        self.absorbed: list[int] = []
        self.taken_ns: list[list[int]] = []
        env.process(self._loop())

    def receive(self, delivery: Delivery) -> None:
        """Take an event from the watch."""
        self._heard.append((int(self._env.now), delivery))
        if not self._wake.triggered:
            self._wake.succeed()

    def _loop(self) -> Waits:
        following, begun, token = 0, -NEVER, -NEVER
        while True:
            while following < len(self._heard) and self._heard[following][0] < begun:
                following += 1  # a sync that began later has looked at it
            if following == len(self._heard):
                self._wake = self._env.event()
                yield self._wake
                continue
            following += 1
            begun = int(self._env.now)
            start = max(begun, token)
            if start >= self._horizon_ns:
                return
            yield at(self._env, start, Rank.SYNC)
            self._look()
            lists = dict(self._held)
            yield at(self._env, start + self._timings.sync_ns, Rank.SYNC)
            self._post(lists)
            token = start + self._timings.interval_ns

    def _look(self) -> None:
        for _, delivery in self._heard[self._looked_at :]:
            self._held[delivery.service] = delivery.usable
        self._looked_at = len(self._heard)
        self.absorbed.append(self._looked_at)

    def _post(self, lists: Held) -> None:
        taken = tick_after(np.int64(self._env.now), self._phase_ns, self._timings.tick_ns).tolist()  # type: ignore[arg-type]  # a scalar broadcasts
        self.taken_ns.append(taken)
        for worker, time_ns in enumerate(taken):
            call_at(self._env, time_ns, Rank.SWITCH, self._take, (worker, lists))

    def _take(self, posted: tuple[int, Held]) -> None:
        worker, lists = posted
        self.lists[worker] = lists

    def syncs(self) -> Syncs:
        """Return its own book of syncs."""
        taken = np.array(self.taken_ns, np.int64).reshape(-1, len(self._phase_ns))
        return Syncs(np.array(self.absorbed, np.int64), taken)


class IngressProcesses:
    """Puts the controller and every request on ``env``; :meth:`run` after the environment has run."""

    def __init__(
        self,
        env: simpy.Environment,
        traffic: IngressTraffic,
        cluster: Cluster,
        forward: ForwardOne,
        pods: Pods,
        horizon_ns: int,
    ) -> None:
        self._env, self._traffic, self._cluster = env, traffic, cluster
        self._forward, self._pods = forward, pods
        controller = traffic.controller
        offset, usable = usable_at_start(cluster)
        start: Held = {s: usable[offset[s] : offset[s + 1]].tolist() for s in range(len(offset) - 1)}
        self._replicas = [ControllerPod(env, controller, r, start, horizon_ns) for r in range(controller.replicas)]
        self._cores = [simpy.Resource(env, capacity=controller.cores) for _ in self._replicas]
        n = len(traffic.requests)
        self._start, self._finish, self._status, self._tries = (np.zeros(n, np.int64) for _ in range(4))
        self._pod = np.full(n, -1)
        for i in range(n):
            env.process(self._request(i))

    def receive(self, delivery: Delivery) -> None:
        """Pass on what the API server sent, to each Pod of the controller when it arrives there."""
        sent, spread = np.int64(delivery.sent_ns), np.int64(delivery.spread_ns)
        every = np.arange(len(self._replicas))
        arrival = self._traffic.controller.watch.arrival_ns(sent, spread, every)  # type: ignore[arg-type]  # scalars broadcast
        for pod, time_ns in zip(self._replicas, arrival.tolist(), strict=True):
            if 4 in delivery.families:
                call_at(self._env, time_ns, Rank.DELIVERY, pod.receive, delivery)

    def _request(self, i: int) -> Waits:
        requests, controller = self._traffic.requests, self._traffic.controller
        yield self._env.timeout(int(requests.arrival_ns[i]))
        with self._cores[int(requests.replica[i])].request() as turn:
            yield turn
            self._start[i] = self._env.now
            yield self._env.timeout(controller.timings.request_ns)
        if requests.port[i] == NOWHERE:
            self._status[i] = Status.UNAVAILABLE
        for number in range(controller.timings.tries):
            if self._status[i] in (Status.ANSWERED, Status.UNAVAILABLE):
                break
            yield from self._try(i, number)
        self._finish[i] = self._env.now

    def _try(self, i: int, number: int) -> Waits:
        requests, controller = self._traffic.requests, self._traffic.controller
        port, replica = int(requests.port[i]), int(requests.replica[i])
        if controller.to_pods:
            held = self._replicas[replica].lists[int(requests.worker[i])]
            listed = held.get(int(self._cluster.port_service[port]), ())
            if not listed:
                self._status[i] = Status.UNAVAILABLE
                return
            pod = listed[int(place(requests.draw[0, i : i + 1], number, np.array([len(listed)]))[0])]
        else:
            cost, pod = self._forward(int(controller.node[replica]), port, number, i)
            yield self._env.timeout(cost)
        self._tries[i] += 1
        self._pod[i] = pod
        chosen = np.array([pod])
        fate = self._pods.fate(chosen, np.array([self._env.now], np.int64))
        self._status[i] = OF_FATE[fate][0]
        yield self._env.timeout(int(waited(fate, chosen, requests.trip_ns[number, i : i + 1], controller)[0]))

    def run(self) -> IngressRun:
        """Return what the controller did, once ``env`` has run."""
        arrival = self._traffic.requests.arrival_ns
        outcomes = IngressOutcomes(arrival, self._start, self._finish, self._status, self._tries, self._pod)
        return IngressRun(outcomes, tuple(pod.syncs() for pod in self._replicas))
