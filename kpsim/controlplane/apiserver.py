"""The API server as the model needs it: a write takes its time, then one encoding goes out to every watcher in turn.

Structure from kubernetes/apiserver pkg/storage/cacher: one dispatch order per resource, one encoding shared by all
watchers, one copy each.  Left out: priority and fairness seats, watch-cache history, re-watch and relist, and that
Services and EndpointSlices are dispatched independently (here they share one order, [A4]).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from kpsim.controlplane.deliveries import Delivery, DeliveryLog, Fanout
from kpsim.profiles.defaults import Defaults

if TYPE_CHECKING:
    import simpy

__all__ = ["ApiServer", "fanout"]


class ApiServer:
    """Commits writes and sends what kube-proxies watch to all of them."""

    def __init__(
        self,
        env: simpy.Environment,
        defaults: Defaults,
        watchers: int,
        rng: np.random.Generator,
        horizon_ns: int,
    ) -> None:
        self._env = env
        self._horizon_ns = horizon_ns
        self._watchers = max(watchers, 1)
        self._write_lag = defaults.lag("api_server.write")
        self._byte_ns = 1e9 / defaults.value("api_server.egress")
        self._watcher_ns = defaults.value("api_server.watcher_event") * 1e9
        self._rng = rng
        self._lags: list[int] = []
        self._free_ns = 0
        self.log = DeliveryLog()
        self.subscribers: list[Callable[[Delivery], None]] = []

    @property
    def over(self) -> bool:
        """Whether the run has ended; what is still queued drains without effect."""
        return bool(self._env.now >= self._horizon_ns)

    def write_lag_ns(self) -> int:
        """How long the next write takes until it is committed and answered [ns]."""
        if not self._lags:
            self._lags = self._write_lag.draw(self._rng, 1024).tolist()[::-1]
        return self._lags.pop()

    def commit(self, size: int, watched: bool, **row: object) -> None:
        """Record a committed write of ``size`` bytes and, if kube-proxies watch it, send it to every one of them."""
        if self.over:
            return
        self.log.writes += 1
        self.log.written_bytes += size
        if not watched:
            return
        sent = max(int(self._env.now), self._free_ns)
        spread = round(self._watchers * max(size * self._byte_ns, self._watcher_ns))
        self._free_ns = sent + spread
        delivery = Delivery(len(self.log.rows), sent, spread, size=size, **row)  # type: ignore[arg-type]  # keywords of Delivery
        self.log.rows.append(delivery)
        for subscriber in self.subscribers:
            subscriber(delivery)


def fanout(nodes: int, defaults: Defaults, rng: np.random.Generator) -> Fanout:
    """The nodes' places in the sending order and their lags; one watcher a node, the order kept for a run [A5]."""
    return Fanout(rng.permutation(nodes), defaults.lag("api_server.watch").draw(rng, nodes), nodes)
