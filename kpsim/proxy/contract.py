"""What a proxy mode must say about itself; the engines know no mode, and a mode knows no engine, clock or generator.

A mode answers in *counts*: how many rules, how many netlink calls.  The profile prices counts, so no mode contains a
second.  Counts are plain integers or arrays of them; every formula is written once and serves both.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Protocol

from kpsim.cluster.columns import ServiceColumns
from kpsim.proxy.counts import EndpointCounts
from kpsim.proxy.node import NodeConfig, PortState
from kpsim.proxy.rules import NodeView, Packet, RuleSet, Trace, Walk
from kpsim.units import I64

Work = Mapping[str, "int | I64"]
"""Counts of what is done, keyed by the profile coefficient that prices one."""


class PacketState(StrEnum):
    """What a packet is to the node it meets."""

    FIRST = "first"  # of a connection, to a Service with a usable endpoint
    LATER = "later"  # conntrack knows the connection
    REFUSED = "refused"  # of a connection, to a Service nobody can serve


class Steps(Enum):
    """What multiplies a stage's work."""

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
    """Whether a sync writes everything or what changed."""

    FULL = "full"
    PARTIAL = "partial"


@dataclass(frozen=True, slots=True)
class RuleCounts:
    """Rules of one Service, in closed form: ``dispatch`` lead to its ports, ``own`` are all others.

    Both (n,) for n Services, all ports of a Service together.  Where the dispatch rules are a list that is scanned,
    each of a Service's ports has an equal share of them.
    """

    dispatch: I64
    own: I64


@dataclass(frozen=True, slots=True)
class SyncCounts:
    """What kube-proxy holds and what changed, when a sync starts; integers, or (lanes,) arrays of them."""

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


@dataclass(frozen=True, slots=True)
class RunnerSettings:
    """How a mode's sync loop is driven.

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
    """Something a node has only so much of, and what takes of it; ``limit`` is a key of Kubernetes' defaults.

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
    """What ``kpsim modes`` says of a mode: what changed in which release, what is modelled, what is left out."""

    history: tuple[tuple[tuple[int, int], str], ...]
    modelled: str
    left_out: str


@dataclass(frozen=True, slots=True)
class ModeWords:
    """What ``kpsim explain`` says of a mode beyond its rules."""

    later: str  # why later packets of a connection meet none of this
    refused: str  # what a client of a Service nobody can serve sees
    outside: str  # how a packet for the NodePort or an external address goes


class Mode(Protocol):
    """One kube-proxy mode."""

    name: str
    family: str  # the block of a cost profile that prices it
    about: ModeAbout
    words: ModeWords
    scan_rotates: bool  # each sync writes the scanned list in a new order
    falls_back: bool  # a Local list that is empty gives way to the Cluster list, where there is one
    ignores_policies: bool  # every endpoint takes every connection, whatever a Local policy says
    drops_without_local: bool  # else, a connection that a Local policy leaves nobody for is refused
    refuses: bool  # a connection to a Service nobody can serve; else nothing answers it
    reports_programming: bool  # it measures network_programming_duration_seconds

    def runner(self, version: tuple[int, int]) -> RunnerSettings:
        """How this mode's syncs are paced in a Kubernetes ``version``."""
        ...

    def resources(self) -> Sequence[Resource]:
        """What a node can run out of under this mode, beside its cores and nf_conntrack's table."""
        ...

    def rule_counts(self, services: ServiceColumns, endpoints: EndpointCounts) -> RuleCounts:
        """Rules of each Service on a node that sees ``endpoints`` (n,)."""
        ...

    def rules_present(self, dispatch: int | I64, own: int | I64) -> int | I64:
        """Rules on the node altogether, constant ones included."""
        ...

    def sync_work(self, kind: SyncKind, counts: SyncCounts) -> Work:
        """What a sync of ``kind`` does."""
        ...

    def stages(self, state: PacketState) -> Sequence[Stage]:
        """What a packet in ``state`` pays, in order."""
        ...

    def endpoint_steps(self, index: I64, endpoints: I64) -> I64:
        """Endpoint rules evaluated until the endpoint at ``index`` of ``endpoints`` is chosen."""
        ...

    def select(self, draw: I64, turn: I64, endpoints: I64) -> I64:
        """Index of the chosen endpoint: from a 32-bit ``draw``, or the ``turn`` this node's scheduler is at."""
        ...

    def program(self, view: NodeView, rotation: int) -> RuleSet:
        """The exact rules of one node for what ``view`` holds, the scanned list turned by ``rotation`` rules."""
        ...

    def exact(self, states: Iterable[PortState], config: NodeConfig) -> RuleSet:
        """The exact rules of one node for service ports with policies and local endpoints."""
        ...

    def text(self, rules: RuleSet, changed: Collection[str] | None = None) -> Iterator[str]:
        """``rules`` as the real tools take them, line by line.

        ``changed`` names Services as ``namespace/name``: only what a partial sync after their change writes, for
        modes that have one; the others write everything.
        """
        ...

    def trace(self, rules: RuleSet, config: NodeConfig, packet: Packet) -> Trace:
        """Every rule the first packet of a connection meets, in order, and its verdict."""
        ...

    def listing(self, rules: RuleSet, service: str) -> Iterator[str]:
        """What of ``rules`` is about the Service "namespace/name", as the mode's tool lists it, but shortened."""
        ...

    def path(self, rules: RuleSet, port: int, walk: Walk, total: int) -> Iterator[str]:
        """The way of a first packet to service port ``port``, step by step, where ``total`` dispatch rules exist."""
        ...

    def walk(self, rules: RuleSet, port: int, draw: int, turn: int) -> Walk:
        """What the first packet of a connection to service port ``port`` meets in ``rules``."""
        ...
