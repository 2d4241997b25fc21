"""The API server as the model needs it: a write takes its time, then one encoding goes out to every watcher in turn.

Structure from kubernetes/apiserver pkg/storage/cacher: one dispatch order per resource, one encoding shared by all
watchers, one copy each; what a label selector filters out is looked at for every watcher and sent to none.  Of several
API servers each serves its share of the watchers through a network card of its own; they are alike, so one of them is
looked at, and kube-controller-manager writes through one.  Left out: etcd's group commits, dropped watches, that
servers hear of a write one after another, and that Services and EndpointSlices are dispatched independently (here they
share one order, [A4]).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kpsim.clock import Clock
from kpsim.controlplane.api.seats import PriorityLevel, SeatPool
from kpsim.controlplane.api.sizes import ObjectSizes
from kpsim.controlplane.deliveries import Delivery, DeliveryLog, Fanout, Notice
from kpsim.controlplane.params import ApiServerParams
from kpsim.profiles.defaults import Defaults, Lag
from kpsim.units import I64

DEFAULT = ApiServerParams()


@dataclass(frozen=True, slots=True)
class FanoutCpu:
    """Sending an event costs CPU for each client: filter, copy, TLS and a system call, over the free cores."""

    cores: int
    client_ns: float
    byte_ns: float
    filter_ns: float  # all that is done for a client whose selector leaves the object out

    @staticmethod
    def of(params: ApiServerParams, defaults: Defaults) -> FanoutCpu:
        """The measured prices, on as many cores as a scenario says."""
        client, byte, look = (
            defaults.value(f"api_server.watcher_{name}") * 1e9 for name in ("event", "byte", "filter")
        )
        return FanoutCpu(params.cores or round(defaults.value("api_server.cores")), client, byte, look)

    def event_ns(self, size: int) -> float:
        """Return the time that one client's copy of ``size`` bytes adds until the last client has the event [ns]."""
        return (self.client_ns + self.byte_ns * size) / self.cores


class ApiServer:
    """Commits writes and sends what kube-proxies watch to all of them."""

    def __init__(
        self,
        clock: Clock,
        defaults: Defaults,
        watchers: int,
        rng: np.random.Generator,
        horizon_ns: int,
        params: ApiServerParams = DEFAULT,
    ) -> None:
        self._clock = clock
        self._horizon_ns = horizon_ns
        self._clients = watchers
        self.replicas = params.replicas
        self._write_lag = defaults.lag("api_server.write")
        egress = params.egress_bytes_per_s or defaults.value("api_server.egress")
        self.byte_ns = 1e9 / egress
        self._fanout = FanoutCpu.of(params, defaults)
        self._write_byte_ns = defaults.value("api_server.write_byte") * 1e9
        self._answer = defaults.lag("api_server.answer")
        self._watch_lag = defaults.lag("api_server.watch")
        self._rng = rng
        self._writes: list[int] = []  # drawn beforehand, as the two below
        self._answers: list[int] = []
        self._watches: list[int] = []
        self._free_ns = 0
        self._down_ns = self._up_ns = 0
        self.level = PriorityLevel.of(params, defaults)
        self.seats = SeatPool(self.level, borrows=params.borrow_seats) if params.priority_and_fairness else None
        self.sizes = ObjectSizes.of(params.object_sizes, defaults)
        self._serve(params.replicas)
        self.log = DeliveryLog()
        self.subscribers: list[Callable[[Delivery], None]] = []

    def _serve(self, servers: int) -> None:
        """Share the watchers out among so many servers."""
        self._watchers = max(-(-self._clients // max(servers, 1)), 1)
        self._cost = self.level.write_cost(self._watchers)
        self._spread_ns: dict[tuple[int, bool], int] = {}

    @property
    def over(self) -> bool:
        """Return True if the run has ended; requests still queued drain without effect."""
        return self._clock.now >= self._horizon_ns

    def write_lag_ns(self, size: int) -> int:
        """Return the time from the next write's dispatch until its ``size`` bytes are committed [ns]."""
        drawn = self._writes or self._draw(self._writes, self._write_lag)
        return drawn.pop() + round(self._write_byte_ns * size)

    def answer_ns(self) -> int:
        """Return the time from the next write's commit to its answer [ns]."""
        return (self._answers or self._draw(self._answers, self._answer)).pop()

    def heard_ns(self) -> int:
        """Return the time from a commit to its event in the writer's own informer [ns]."""
        return (self._watches or self._draw(self._watches, self._watch_lag)).pop()

    def _draw(self, drawn: list[int], lag: Lag) -> list[int]:
        drawn += lag.draw(self._rng, 1024).tolist()[::-1]
        return drawn

    def admit(self, arrives_ns: int, runs_ns: int) -> int | None:
        """Return the dispatch [ns] of a write that kube-proxies watch; ``None`` if it is told to come again."""
        arrives_ns = max(arrives_ns, self._up_ns)
        if self.seats is None:
            return arrives_ns
        return self.seats.admit(arrives_ns, self._cost.seats, runs_ns, self._cost.hold_ns)

    def lost(self, dispatched_ns: int) -> bool:
        """Return True if a write that was to be dispatched then found the only server down after all."""
        return self._down_ns <= dispatched_ns < self._up_ns

    def told_again_ns(self) -> int:
        """Return the wait [ns] of a client that is told to come again, before and after it is told."""
        waited = self.level.most_wait_ns
        return waited + (self.seats.retry_after.dropped(self._clock.now + waited) if self.seats else 0)

    def stall(self, until_ns: int) -> None:
        """Begin no write before ``until_ns``, and keep all watches."""
        self._up_ns = max(self._up_ns, until_ns)

    def stop(self, until_ns: int) -> int:
        """Let a server go down at once; what is committed from the time given back [ns] on meets the broken watches.

        A lone server answers again at ``until_ns``; with several, its clients go to the others, which stay as many.
        """
        if self.replicas == 1:
            self._down_ns, self._up_ns = self._clock.now, until_ns
        else:
            self._serve(self.replicas - 1)
        return max(self._clock.now, self._free_ns)

    def commit(self, size: int, watched: bool, notice: Notice) -> None:
        """Record a committed write of ``size`` bytes and, if kube-proxies watch it, send them ``notice``."""
        now = self._clock.now
        if now >= self._horizon_ns:
            return
        log = self.log
        log.writes += 1
        log.written_bytes += size
        log.written_ns.append(now)
        sent = max(now, self._free_ns)
        spread = self._spread_ns.get((size, watched)) or self._spread(size, watched=watched)
        self._free_ns = sent + spread
        if not watched:
            return
        log.add(notice, sent, spread, size)
        if self.subscribers:
            delivery = log.rows[-1]
            for subscriber in self.subscribers:
                subscriber(delivery)

    def _spread(self, size: int, *, watched: bool) -> int:
        """Return the time from the first watcher's copy to the last one's [ns], which few sizes have."""
        copy_ns = max(size * self.byte_ns, self._fanout.event_ns(size)) if watched else self._fanout.filter_ns
        spread = self._spread_ns[size, watched] = round(self._watchers * copy_ns)
        return spread


def fanout(nodes: int, defaults: Defaults, rng: np.random.Generator, replicas: int = 1) -> tuple[Fanout, I64]:
    """Return the nodes' places in their server's sending order and their lags, one watcher a node, kept for a run [A5].

    Also which of the API servers each node watches, (nodes,).
    """
    order = rng.permutation(nodes)
    lags = defaults.lag("api_server.watch").draw(rng, nodes)
    return Fanout(order // replicas, lags, -(-nodes // replicas)), order % replicas
