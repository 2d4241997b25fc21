"""A proxy mode keeps this contract; the engines know no mode, and a mode knows no engine, clock or generator.

A mode answers in *counts*: how many rules, how many netlink calls.  The profile prices counts, so no mode contains a
second.  Counts are plain integers or arrays of them; every formula is written once and serves both.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np

from kpsim.cluster.columns import ServiceColumns
from kpsim.errors import InputError, Place, Problem
from kpsim.proxy.counts import EndpointCounts
from kpsim.proxy.node import NodeConfig, PortState
from kpsim.proxy.rules import Held, Packet, RuleSet, Trace, Walk
from kpsim.units import I64, Version

Work = Mapping[str, "int | I64"]
"""Counts of what is done, keyed by the profile coefficient that prices one."""


class PacketState(StrEnum):
    """A node meets a packet in one of these states."""

    FIRST = "first"  # of a connection, to a Service with a usable endpoint
    LATER = "later"  # conntrack knows the connection
    REFUSED = "refused"  # of a connection, to a Service nobody can serve


class Steps(Enum):
    """A stage's work is multiplied by one of these numbers of steps."""

    ONCE = "once"
    DISPATCH = "dispatch"  # rules passed before the one of this service port
    EVERY_DISPATCH = "every dispatch"  # all of them, because none matches a Service nobody can serve
    ENDPOINT = "endpoint"  # endpoint rules evaluated before the choice falls


@dataclass(frozen=True, slots=True)
class Stage:
    """One thing a packet pays for: ``work``, as many times as ``steps`` says, on ``resource``."""

    name: str
    work: Work
    steps: Steps = Steps.ONCE
    resource: str = "cpu"


class SyncKind(StrEnum):
    """A sync writes everything (the first three) or what changed; by what the kernel holds and what changed."""

    START = "start"  # of a new process, where nothing leads to kube-proxy's rules yet
    RESTART = "restart"  # of a new process, over the rules of the one before
    FULL = "full"
    PARTIAL = "partial"
    ADD = "add"  # of Services that are all new
    DELETE = "delete"  # of Services that are all gone
    NOTHING = "nothing"  # of Services without a change

    @property
    def whole(self) -> bool:
        """Return True if a sync of this kind writes everything."""
        return self in (SyncKind.START, SyncKind.RESTART, SyncKind.FULL)


@dataclass(frozen=True, slots=True)
class RuleCounts:
    """Rules of one Service, in closed form: ``dispatch`` lead to its ports, ``own`` are all others.

    Both (n,) for n Services, all ports of a Service together.  Where the dispatch rules are a list that is scanned,
    each of a Service's ports has an equal share of them.
    """

    dispatch: I64
    own: I64
    held: Held[I64] | None = None  # (n,) each, where the mode has such things


@dataclass(frozen=True, slots=True)
class Moved:
    """Things beside rules that came or went since the last sync, and what is there; integers or (lanes,) arrays."""

    servers: int | I64 = 0  # virtual servers
    entries: int | I64 = 0  # of ipsets, without those of endpoints
    addresses: int | I64 = 0  # on the node's service device
    real_servers: int | I64 = 0
    endpoints_here: int | I64 = 0  # of the node's own, for each service port
    addresses_held: int | I64 = 0


@dataclass(frozen=True, slots=True)
class SyncCounts:
    """kube-proxy's holdings and changes when a sync starts; integers, or (lanes,) arrays of them."""

    service_ports: int | I64
    endpoints: int | I64  # per service port, ready or not, as the trackers hold them
    dispatch: int | I64  # rules in the scanned list
    own: int | I64  # all other rules of Services
    changed_services: int | I64
    changed_own: int | I64  # ``own`` of the changed Services
    endpoint_changes: int | I64  # endpoints added or removed since the last sync
    cleanup: int | I64  # 1 where this sync looks for stale chains
    changed_dispatch: int | I64 = 0  # ``dispatch`` of the changed Services
    conntrack_listed: int | I64 = 0  # entries read to find UDP flows to endpoints that are gone
    conntrack_runs: int | I64 = 0  # or processes run to delete them, one an endpoint
    fresh: int | I64 = 0  # 1 where nothing leads to kube-proxy's chains yet: each jump is inserted too
    moved: Moved = Moved()
    first: int | I64 = 0  # 1 where the process has not synced before
    gone_services: int | I64 = 0  # of the changed Services, those that are there no more
    new_services: int | I64 = 0  # and those that were not there before


@dataclass(frozen=True, slots=True)
class RunnerSettings:
    """A mode's sync loop is driven by these settings.

    ``idle_s`` is the bounded-frequency runner's maxInterval, ``full_s`` how long after a full sync the next is due
    (``None``: every sync is full; ``spares_large``: never by time in a large cluster), ``cleanup_s`` how rarely a
    large cluster looks for stale chains.  ``at_once``: what a watch delivers about endpoints is in force when it
    arrives, and syncs are only about Services and the timer.  ``retry_s`` is how long after a failed sync the next one
    comes at the latest (``None``: no sooner than any other), ``canary_s`` how often flushed tables are looked for (0:
    never), ``locks``: syncs take the xtables lock.
    """

    min_sync_s: float
    idle_s: float
    full_s: float | None
    cleanup_s: float
    at_once: bool = False
    retry_s: float | None = None
    canary_s: float = 0.0
    locks: bool = False
    spares_large: bool = False


NEVER_FULL_S = 1e9  # as ``full_s``: only a start, a failure or flushed tables make a sync a full one


@dataclass(frozen=True, slots=True)
class Resource:
    """A limited resource of a node, and its users; ``limit`` is a key of Kubernetes' defaults.

    In use on a node: ``per_connection`` times the connections that are open, ``per_service_port``, ``per_endpoint`` of
    a service port, and ``per_dispatch`` and ``per_own`` of :class:`RuleCounts`, all summed up.
    """

    name: str
    limit: str
    unit: str
    per_connection: float = 0.0
    per_service_port: float = 0.0
    per_endpoint: float = 0.0
    per_dispatch: float = 0.0
    per_own: float = 0.0


@dataclass(frozen=True, slots=True)
class ModeAbout:
    """``kpsim modes`` shows this about a mode: changes by release, parts modelled, parts left out."""

    history: tuple[tuple[Version, str], ...] = ()
    modelled: str = "what its author says"
    left_out: str = "what its author says"


@dataclass(frozen=True, slots=True)
class ModeWords:
    """``kpsim explain`` says these sentences about a mode beyond its rules."""

    later: str  # why later packets of a connection meet none of this
    refused: str  # what a client of a Service nobody can serve sees
    outside: str  # how a packet for the NodePort or an external address goes


class Programmed(Protocol):
    """One node's rules under a mode, as the reference engine needs them: to count, and for a first packet to walk."""

    @property
    def rules(self) -> RuleSet:
        """Return the rules themselves, with their counts."""
        ...

    def walk(self, packet: Packet, draw: int, turn: int) -> Walk:
        """Return the walk of the first packet of a Pod's connection to a ClusterIP."""
        ...


@runtime_checkable
class Stories(Programmed, Protocol):
    """A mode's stories are told of one node's rules: ``kpsim explain`` asks for them, no engine does."""

    words: ClassVar[ModeWords]

    def text(self, changed: Collection[str] | None = None) -> Iterator[str]:
        """Yield the rules as the real tools take them, line by line.

        ``changed`` names Services as ``namespace/name``: only what a partial sync after their change writes, for
        modes that have one; the others write everything.
        """
        ...

    def trace(self, packet: Packet) -> Trace:
        """Return every rule the first packet of a connection meets, in order, and its verdict."""
        ...

    def listing(self, service: str) -> Iterator[str]:
        """Yield the lines about the Service "namespace/name", as the mode's tool lists them, but shortened."""
        ...

    def path(self, packet: Packet, walk: Walk, total: int) -> Iterator[str]:
        """Yield the way of a first packet, step by step, where ``total`` dispatch rules exist."""
        ...


class Mode(Protocol):
    """One kube-proxy mode.

    >>> from kpsim.proxy.params import ProxyParams
    >>> from kpsim.proxy.registry import create
    >>> mode = create(ProxyParams(mode="nftables"))
    >>> [stage.name for stage in mode.stages(PacketState.LATER)]
    ['conntrack hit']
    >>> mode.runner((1, 34)).min_sync_s
    1.0
    >>> int(mode.select(draw=np.array([1 << 31]), turn=np.array([0]), endpoints=np.array([3]))[0])
    1
    """

    name: str
    family: str  # the block of a cost profile that prices it
    scan_rotates: bool  # each sync writes the scanned list in a new order
    falls_back: bool  # a Local list that is empty gives way to the Cluster list, where there is one
    ignores_policies: bool  # every endpoint takes every connection, whatever a Local policy says
    drops_without_local: bool  # else, a connection that a Local policy leaves nobody for is refused
    refuses: bool  # a connection to a Service nobody can serve; else nothing answers it
    reports_programming: bool  # it measures network_programming_duration_seconds

    def runner(self, version: Version) -> RunnerSettings:
        """Return the times that pace this mode's syncs in a Kubernetes ``version``."""
        ...

    def resources(self) -> Sequence[Resource]:
        """Return the resources a node can run out of under this mode, beside its cores and nf_conntrack's table."""
        ...

    def rule_counts(self, services: ServiceColumns, endpoints: EndpointCounts) -> RuleCounts:
        """Return the number of rules of each Service on a node that sees ``endpoints`` (n,)."""
        ...

    def rules_present(self, dispatch: int | I64, own: int | I64) -> int | I64:
        """Return the number of rules on the node altogether, constant ones included."""
        ...

    def sync_work(self, kind: SyncKind, counts: SyncCounts) -> Work:
        """Return the work that a sync of ``kind`` does, by cost."""
        ...

    def stages(self, state: PacketState) -> Sequence[Stage]:
        """Return the stages that a packet in ``state`` pays, in order."""
        ...

    def endpoint_steps(self, index: I64, endpoints: I64) -> I64:
        """Endpoint rules evaluated until the endpoint at ``index`` of ``endpoints`` is chosen."""
        ...

    def select(self, draw: I64, turn: I64, endpoints: I64) -> I64:
        """Index of the chosen endpoint: from a 32-bit ``draw``, or the ``turn`` this node's scheduler is at."""
        ...

    def program(self, states: Iterable[PortState], config: NodeConfig, rotation: int = 0) -> Programmed:
        """Return the exact rules of one node for ``states``, the scanned list turned by ``rotation`` rules."""
        ...


def chosen(mode: Mode, draw: int, turn: int, endpoints: int) -> int:
    """Return the index :meth:`Mode.select` gives one connection among so many ``endpoints``."""
    return int(mode.select(np.array([draw]), np.array([turn]), np.array([endpoints]))[0])


def stories(mode: Mode, programmed: Programmed) -> Stories:
    """Return ``programmed`` as stories.  Raises :class:`InputError` for a mode that only simulates."""
    if isinstance(programmed, Stories):
        return programmed
    what = f"mode {mode.name} has no stories of its rules: only `kpsim run` takes it"
    raise InputError([Problem(Place(), what=what)])
