"""The watch: what the API server sent to every kube-proxy, as columns, and when each node has it.

One row a write that kube-proxies watch.  Rows leave in order and arrive in order: a node's knowledge is therefore a
prefix of this log, and "what does node 17 know at time t" is one number.  A row holds the usable endpoints of its
Service *after* it, because that is all kube-proxy makes of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from kpsim.cluster.columns import freeze
from kpsim.units import I64

STAGES = (  # of a write, in order, up to its commit
    "kubelet and informer",
    "work queue",
    "reconcile",
    "token bucket",
    "seats",
    "commit",
)


@dataclass(frozen=True, slots=True)
class Notice:
    """One write as kube-proxies see it: a Service, its usable Pods after this, the changes that came into effect."""

    service: int
    usable: tuple[int, ...]  # Pods that can serve the Service after this, in kube-proxy's order
    endpoints: int  # endpoints of the Service the tracker holds after this, ready or not
    changed: int  # endpoints that came or went among the usable ones
    trigger_ns: int  # the annotation's time, whole seconds; -1 without
    effects_ns: tuple[int, ...]  # when the changes happened that this brings into force
    creates: bool  # the Service object itself is written
    families: tuple[int, ...] = (4,)  # whose proxiers it concerns
    leaving: tuple[int, ...] = ()  # Pods that serve while they terminate beside usable ones, for Local policies
    gone: bool = False  # the Service object is deleted, and what is left of it goes
    stages: tuple[int, ...] = (0, 0, 0, 0, 0, 0)  # when it came to the end of each of STAGES [ns]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery(Notice):
    """A notice on its way to every watcher."""

    index: int
    sent_ns: int  # the first byte leaves the API server
    spread_ns: int  # until the last watcher's copy has left
    size: int  # bytes a watcher

    @staticmethod
    def of(notice: Notice, *, index: int, sent_ns: int, spread_ns: int, size: int) -> Delivery:
        """Return ``notice`` as row ``index`` of the log."""
        told = {name: getattr(notice, name) for name in Notice.__dataclass_fields__}
        return Delivery(**told, index=index, sent_ns=sent_ns, spread_ns=spread_ns, size=size)


@dataclass(frozen=True, slots=True)
class WatchOutage:
    """Watches that broke: what is sent from ``from_ns`` on does not reach a node before it is back, (nodes,)."""

    from_ns: int
    back_ns: I64  # 0 where the watch held


@dataclass(frozen=True, slots=True)
class Fanout:
    """A row reaches each node by its rank in its server's sending order and a lag of its own, (nodes,) each."""

    rank: I64  # 0 … watchers - 1
    lag_ns: I64
    watchers: int  # of each API server
    outages: tuple[WatchOutage, ...] = ()

    def arrival_ns(self, sent_ns: I64, spread_ns: I64, node: I64) -> I64:
        """Arrival times [ns]; arguments broadcast against each other.  What a node knows stays a prefix of the log."""
        arrival = sent_ns + spread_ns * self.rank[node] // self.watchers + self.lag_ns[node]
        for outage in self.outages:
            late = np.maximum(arrival, outage.back_ns[node])
            arrival = np.where(np.asarray(sent_ns) >= outage.from_ns, late, arrival)
        return arrival


@dataclass(slots=True)
class DeliveryLog:
    """Rows as they are sent, and the columns made of them when the run is over."""

    rows: list[Delivery] = field(default_factory=list)
    writes: int = 0  # of EndpointSlices and Services, watched by kube-proxies or not
    written_bytes: int = 0
    written_ns: list[int] = field(default_factory=list)  # when each was committed
    endpoints_ns: list[int] = field(default_factory=list)  # the same of Endpoints objects, which no kube-proxy watches
    endpoints_bytes: int = 0
    _made: dict[tuple[str, int], tuple[I64, I64]] = field(default_factory=dict, repr=False)  # every mode asks again

    def of(self, family: int) -> DeliveryLog:
        """Return the log of one IP family's proxiers; the log itself if that is everything."""
        mine = [row for row in self.rows if family in row.families]
        if len(mine) == len(self.rows):
            return self
        others = (self.written_ns, self.endpoints_ns, self.endpoints_bytes)
        return DeliveryLog(mine, self.writes, self.written_bytes, *others)

    def column(self, name: str) -> I64:
        """Return one property of all rows, (d,), read-only."""
        return np.asarray(freeze(np.array([getattr(row, name) for row in self.rows], np.int64)))

    def ragged(self, name: str) -> tuple[I64, I64]:
        """Return a list-valued property of all rows: offsets (d + 1,) and values."""
        key = (name, len(self.rows))
        if key not in self._made:
            lists = [getattr(row, name) for row in self.rows]
            offset = np.concatenate([[0], np.cumsum([len(x) for x in lists], dtype=np.int64)]).astype(np.int64)
            values = np.fromiter(chain.from_iterable(lists), np.int64, int(offset[-1]))
            self._made[key] = (np.asarray(freeze(offset)), np.asarray(freeze(values)))
        return self._made[key]
