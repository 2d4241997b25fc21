"""The watch: what the API server sent to every kube-proxy, as columns, and when each node has it.

One row a write that kube-proxies watch.  Rows leave in order and arrive in order: a node's knowledge is therefore a
prefix of this log, and "what does node 17 know at time t" is one number.  A row holds the usable endpoints of its
Service *after* it, because that is all kube-proxy makes of it.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from struct import Struct
from typing import NamedTuple, overload

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


class Notice(NamedTuple):
    """One write as kube-proxies see it: a Service, its usable Pods after this, the changes that came into effect."""

    service: int
    usable: Sequence[int]  # Pods that can serve the Service after this, in kube-proxy's order
    endpoints: int  # endpoints of the Service the tracker holds after this, ready or not
    changed: int  # endpoints that came or went among the usable ones
    trigger_ns: int  # the annotation's time, whole seconds; -1 without
    effects_ns: Sequence[int]  # when the changes happened that this brings into force
    creates: bool  # the Service object itself is written
    families: tuple[int, ...] = (4,)  # whose proxiers it concerns
    leaving: Sequence[int] = ()  # Pods that serve while they terminate beside usable ones, for Local policies
    gone: bool = False  # the Service object is deleted, and what is left of it goes
    stages: tuple[int, ...] = (0,) * len(STAGES)  # when it came to the end of each of STAGES [ns]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A notice on its way to every watcher."""

    service: int
    usable: tuple[int, ...]
    endpoints: int
    changed: int
    trigger_ns: int
    effects_ns: tuple[int, ...]
    creates: bool
    families: tuple[int, ...] = (4,)
    leaving: tuple[int, ...] = ()
    gone: bool = False
    stages: tuple[int, ...] = (0,) * len(STAGES)
    index: int
    sent_ns: int  # the first byte leaves the API server
    spread_ns: int  # until the last watcher's copy has left
    size: int  # bytes a watcher


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


_LISTS = ("usable", "leaving", "effects_ns")
_COLUMNS = (  # of the table, whose rows stand one after another in one array
    "service",
    "endpoints",
    "changed",
    "trigger_ns",
    "creates",
    "gone",
    "families",
    "index",
    "sent_ns",
    "spread_ns",
    "size",
    *_LISTS,  # where the row's values end in the list of that name
)
_WIDTH = len(_COLUMNS) + len(STAGES)
_ROW = Struct(f"{_WIDTH}q")  # a table takes packed bytes three times as quickly as so many numbers
_COLUMN = {name: i for i, name in enumerate(_COLUMNS)}
_FAMILIES = ((), (4,), (6,), (4, 6))
_FAMILY_BITS = {families: bits for bits, families in enumerate(_FAMILIES)}


@dataclass(slots=True)
class DeliveryLog:
    """All that was sent, as columns.

    >>> log = DeliveryLog()
    >>> log.add(Notice(3, (0, 1), 2, 1, -1, (500,), creates=False), sent_ns=1_000, spread_ns=40, size=200)
    >>> log.rows[0].usable, log.column("size").tolist(), log.ragged("effects_ns")[0].tolist()
    ((0, 1), [200], [0, 1])
    """

    writes: int = 0  # of EndpointSlices and Services, watched by kube-proxies or not
    written_bytes: int = 0
    written_ns: list[int] = field(default_factory=list)  # when each was committed
    endpoints_ns: list[int] = field(default_factory=list)  # the same of Endpoints objects, which no kube-proxy watches
    endpoints_bytes: int = 0
    _table: array[int] = field(default_factory=lambda: array("q"), repr=False)
    _usable: array[int] = field(default_factory=lambda: array("i"), repr=False)
    _leaving: array[int] = field(default_factory=lambda: array("i"), repr=False)
    _effects_ns: array[int] = field(default_factory=lambda: array("q"), repr=False)
    _made: dict[tuple[str, int], tuple[I64, I64]] = field(default_factory=dict, repr=False)  # every mode asks again

    @property
    def rows(self) -> Rows:
        """Return the deliveries one by one, each made when it is looked at."""
        return Rows(self)

    def __len__(self) -> int:
        return len(self._table) // _WIDTH

    def add(self, notice: Notice, sent_ns: int, spread_ns: int, size: int, index: int | None = None) -> None:
        """Take in what is sent; ``index`` is its own place unless the row is another log's."""
        service, usable, endpoints, changed, trigger_ns, effects_ns, creates, families, leaving, gone, stages = notice
        table = self._table
        self._usable.extend(usable)
        if leaving:
            self._leaving.extend(leaving)
        if effects_ns:
            self._effects_ns.extend(effects_ns)
        bits, place = _FAMILY_BITS[families], len(table) // _WIDTH if index is None else index
        told = (service, endpoints, changed, trigger_ns, creates, gone, bits, place, sent_ns, spread_ns, size)
        ends = (len(self._usable), len(self._leaving), len(self._effects_ns))
        table.frombytes(_ROW.pack(*told, *ends, *stages))

    def row(self, at: int) -> Delivery:
        """Return one row, 0 … d - 1."""
        own = self._table[at * _WIDTH : (at + 1) * _WIDTH]
        before = self._table[(at - 1) * _WIDTH : at * _WIDTH] if at else array("q", [0] * _WIDTH)
        told = dict(zip(_COLUMNS, own, strict=False))
        begins = dict(zip(_COLUMNS, before, strict=False))
        held = {name: tuple(self._list(name)[begins[name] : told[name]]) for name in _LISTS}
        flags = {name: bool(told[name]) for name in ("creates", "gone")}
        families, stages = _FAMILIES[told["families"]], tuple(own[len(_COLUMNS) :])
        return Delivery(**{**told, **held, **flags, "families": families, "stages": stages})  # type: ignore[arg-type]

    def of(self, family: int) -> DeliveryLog:
        """Return the log of one IP family's proxiers; the log itself if that is everything."""
        mine = np.flatnonzero(self.column("families") & _FAMILY_BITS[family,])
        if len(mine) == len(self):
            return self
        others = (self.written_ns, self.endpoints_ns, self.endpoints_bytes)
        part = DeliveryLog(self.writes, self.written_bytes, *others)
        for at in mine.tolist():
            row = self.row(at)
            notice = Notice(*(getattr(row, name) for name in Notice._fields))
            part.add(notice, row.sent_ns, row.spread_ns, row.size, row.index)
        return part

    def column(self, name: str) -> I64:
        """Return one property of all rows, (d,), read-only."""
        return np.asarray(freeze(self._columns()[:, _COLUMN[name]].copy()))

    def ragged(self, name: str) -> tuple[I64, I64]:
        """Return a list-valued property of all rows: offsets (d + 1,) and values."""
        key = (name, len(self))
        if key in self._made:
            return self._made[key]
        if name == "stages":
            values = self._columns()[:, len(_COLUMNS) :].ravel()
            offset = np.arange(len(self) + 1) * len(STAGES)
        else:
            held = self._list(name)
            values = np.array(held, np.int32 if held.typecode == "i" else np.int64)  # Pods are many
            offset = np.concatenate([[0], self._columns()[:, _COLUMN[name]]])
        made = (np.asarray(freeze(offset)), np.asarray(freeze(values)))
        if name != "usable":  # by far the longest, and asked for once by each mode
            self._made[key] = made
        return made

    def _list(self, name: str) -> array[int]:
        values: array[int] = getattr(self, f"_{name}")
        return values

    def _columns(self) -> I64:
        return np.array(self._table, np.int64).reshape(-1, _WIDTH)


class Rows(Sequence[Delivery]):
    """The rows of a log, each made when it is looked at."""

    def __init__(self, log: DeliveryLog) -> None:
        self._log = log

    def __len__(self) -> int:
        return len(self._log)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rows) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # a log grows

    @overload
    def __getitem__(self, at: int) -> Delivery: ...

    @overload
    def __getitem__(self, at: slice) -> list[Delivery]: ...

    def __getitem__(self, at: int | slice) -> Delivery | list[Delivery]:
        """Return a row, or a list of some."""
        every = range(len(self._log))
        return [self._log.row(i) for i in every[at]] if isinstance(at, slice) else self._log.row(every[at])
