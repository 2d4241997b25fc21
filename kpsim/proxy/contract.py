"""What a proxy mode must say about itself; the engines know no mode, and a mode knows no engine, clock or generator.

A mode answers in *counts*: how many rules, how many netlink calls.  The profile prices counts, so no mode contains a
second.  Counts are plain integers or arrays of them; every formula is written once and serves both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Protocol

from kpsim.cluster.columns import ServiceColumns
from kpsim.proxy.node import NodeConfig, PortState
from kpsim.proxy.rules import NodeView, Packet, RuleSet, Trace, Walk
from kpsim.units import I64

__all__ = [
    "Mode",
    "PacketState",
    "RuleCounts",
    "RunnerSettings",
    "Stage",
    "Steps",
    "SyncCounts",
    "SyncKind",
    "Work",
]

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
    EVERY_DISPATCH = "every dispatch"  # all of them, because none matches
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


@dataclass(frozen=True, slots=True)
class RunnerSettings:
    """How a mode's sync loop is driven.

    ``idle_s`` is the bounded-frequency runner's maxInterval, ``full_s`` how long after a full sync the next is due
    (``None``: every sync is full), ``cleanup_s`` how rarely a large cluster looks for stale chains.
    """

    min_sync_s: float
    idle_s: float
    full_s: float | None
    cleanup_s: float


class Mode(Protocol):
    """One kube-proxy mode."""

    name: str
    family: str  # the block of a cost profile that prices it

    def runner(self, version: tuple[int, int]) -> RunnerSettings:
        """How this mode's syncs are paced in a Kubernetes ``version``."""
        ...

    def rule_counts(self, services: ServiceColumns, usable: I64) -> RuleCounts:
        """Rules of each Service when ``usable`` (n,) endpoints can serve it."""
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

    def text(self, rules: RuleSet) -> Iterator[str]:
        """``rules`` as the real tools take them, line by line."""
        ...

    def trace(self, rules: RuleSet, config: NodeConfig, packet: Packet) -> Trace:
        """Every rule the first packet of a connection meets, in order, and its verdict."""
        ...

    def walk(self, rules: RuleSet, port: int, draw: int, turn: int) -> Walk:
        """What the first packet of a connection to service port ``port`` meets in ``rules``."""
        ...
