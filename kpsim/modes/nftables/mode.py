"""kube-proxy's nftables mode: a connection is a lookup in verdict maps, an update rewrites the Services that changed.

Structure from pkg/proxy/nftables/proxier.go.  No packet scans, however many Services there are; the choice among
endpoints is one more map.  What grows is the sync: one transaction, whose cost in the kernel and in nft has a part for
everything present and, where chains are written, a part for every service port already there; before it, nft lists
what there is, and where endpoints went, a transaction of its own deletes chains.  Left out: topology hints in the
closed forms, the second table of a dual-stack node, and that a client with session affinity is looked up in one set an
endpoint.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from kpsim.cluster.columns import ServiceColumns
from kpsim.modes.nftables.about import ABOUT
from kpsim.modes.nftables.counts import Counts
from kpsim.modes.nftables.layout import PARTIAL_SYNC_SINCE, READS_ELEMENTS_SINCE, Layout
from kpsim.modes.nftables.program import program
from kpsim.modes.nftables.rules import NftRules
from kpsim.modes.nftables.text import load_lines, rewrite_lines
from kpsim.modes.nftables.tracer import trace
from kpsim.profiles.defaults import load_defaults
from kpsim.profiles.terms import Part
from kpsim.proxy.contract import (
    NEVER_FULL_S,
    ModeWords,
    PacketState,
    Resource,
    RuleCounts,
    RunnerSettings,
    Stage,
    Steps,
    SyncCounts,
    SyncKind,
    Work,
)
from kpsim.proxy.counts import EndpointCounts
from kpsim.proxy.node import COUNTED_SINCE, NodeConfig, PortState
from kpsim.proxy.params import ProxyParams
from kpsim.proxy.rules import DROPPED, REFUSED, Packet, Trace, Walk, few
from kpsim.proxy.work import EVERY_PART, Timed, named, parts_of
from kpsim.units import I64, Version


class Nftables:
    """The mode behind ``--proxy-mode=nftables``."""

    name = "nftables"
    about = ABOUT
    family = "nftables"
    scan_rotates = False
    falls_back = False
    ignores_policies = False
    drops_without_local = True
    refuses = True
    reports_programming = True

    def __init__(self, params: ProxyParams, backend: str = "legacy") -> None:
        self._params = params
        self._counts = Counts(Layout.of(max(params.kubernetes_version, COUNTED_SINCE)))

    def runner(self, version: Version) -> RunnerSettings:
        """Return the pace: every change asks for a sync.

        Up to 1.30 each is a full one, also one every syncPeriod; since 1.33 an hour without one makes the next full.
        """
        defaults = load_defaults()
        full = defaults.value("kube_proxy.full_sync_period")
        period = self._params.sync_period(defaults.value("kube_proxy.sync_period"))
        partial = version >= PARTIAL_SYNC_SINCE
        return RunnerSettings(
            # a configured 0 is defaulted too: pkg/proxy/apis/config/v1alpha1/defaults.go
            min_sync_s=self._params.min_sync_period_s or defaults.value("kube_proxy.min_sync_period_iptables"),
            idle_s=full if partial else period,
            full_s=None if not partial else full if version >= READS_ELEMENTS_SINCE else NEVER_FULL_S,
            # looked up by nobody: chains are listed in every sync, also in large clusters
            cleanup_s=period,
            retry_s=period,
        )

    def resources(self) -> Sequence[Resource]:
        """None: the table grows until memory ends."""
        return ()

    def rule_counts(self, services: ServiceColumns, endpoints: EndpointCounts) -> RuleCounts:
        """``dispatch`` counts map and set elements (there without endpoints too), ``own`` rules in chains."""
        return self._counts.rules(services, endpoints)

    def rules_present(self, dispatch: int | I64, own: int | I64) -> int | I64:
        """Return the number of rules in all chains; elements are none."""
        return self._counts.constant_rules + own

    def sync_work(self, kind: SyncKind, counts: SyncCounts) -> Work:
        """Go time over everything held, a listing, one transaction, and where chains went one that deletes them."""
        return self.timed(kind, counts).work

    def timed(
        self, kind: SyncKind, counts: SyncCounts, wanted: Collection[str] = EVERY_PART, *, cpu: bool = False
    ) -> Timed:
        """Return the parts of a sync; since 1.36 they were only timed together."""
        version = self._params.kubernetes_version
        names: tuple[str, ...] = ("cleanup", "conntrack", "go", "list", "restore")
        if self._counts.layout.one_rule and len({"go", "list", "restore"} & set(wanted)) > 1:
            names, wanted = ("conntrack", "sync"), {"sync", *wanted}
        chosen = parts_of(kind, names, {"cleanup", *wanted} if "restore" in wanted else wanted, cpu=cpu)
        parts = tuple(Part(name, self.family, kind, version) for name in chosen)
        return Timed(parts, named(counts, self._counts.of_sync(kind, counts)), "cpu" * cpu)

    def stages(self, state: PacketState) -> Sequence[Stage]:
        """Fifteen rules and a few lookups, then the choice; conntrack spares later packets the nat chains."""
        if state == PacketState.LATER:
            return (Stage("conntrack hit", {"packet_later": 1}),)
        path = Stage("path, conntrack, verdict maps, NAT", {"packet_first": 1})
        if state == PacketState.REFUSED:
            return (path,)
        return (path, Stage("map of the service chain's choice", {"choice_doubled": 1}, Steps.ENDPOINT))

    def endpoint_steps(self, index: I64, endpoints: I64) -> I64:
        """Whichever is chosen, the map of the choice costs by the logarithm of its size: doublings, to the nearest."""
        return np.asarray(np.rint(np.log2(np.maximum(endpoints + 0 * index, 1))), np.int64)

    def select(self, draw: I64, turn: I64, endpoints: I64) -> I64:
        """Uniform: ``numgen random mod e``."""
        return (draw * endpoints) >> 32

    def program(self, states: Iterable[PortState], config: NodeConfig, rotation: int = 0) -> ProgrammedNftables:
        """Return the whole table for ``states``, policies and all."""
        return ProgrammedNftables(program(states, config), config, self)


@dataclass(frozen=True, slots=True)
class ProgrammedNftables:
    """The table of one node."""

    rules: NftRules
    config: NodeConfig
    mode: Nftables

    words: ClassVar = ModeWords(
        later="conntrack knows the connection and applies its translation; the nat chains are not read again",
        refused='refused at once (ICMP port unreachable, the client sees "connection refused")',
        outside=(
            "the same maps know these addresses; such a packet is marked in the external chain (masquerade: the Pod "
            "answers by way of this node), then goes on as below"
        ),
    )

    def text(self, changed: Collection[str] | None = None) -> Iterator[str]:
        """Yield the lines for ``nft -f``: one transaction into an empty kernel, or a partial sync's after a change."""
        return load_lines(self.rules) if changed is None else rewrite_lines(self.rules, changed)

    def trace(self, packet: Packet) -> Trace:
        """Follow a packet from any source through every hook."""
        return trace(self.rules, self.config, packet)

    def listing(self, service: str) -> Iterator[str]:
        """Yield the rules and elements that name the Service."""
        shown = ("add rule", "add element")
        mine = [line for line in self.text() if f"-{service}/" in line and line.startswith(shown)]
        return few(mine, "rules and elements")

    def path(self, packet: Packet, walk: Walk, total: int) -> Iterator[str]:
        """Yield every rule that matches, hook by hook."""
        return iter(walk.met)

    def walk(self, packet: Packet, draw: int, turn: int) -> Walk:
        """Follow a Pod's first packet to a ClusterIP through every hook."""
        found = trace(self.rules, self.config, packet, draw=draw)
        if found.pod < 0:
            return Walk(DROPPED if found.verdict == "DROP" else REFUSED, 0, 0, found.met)
        tried = int(self.mode.endpoint_steps(np.zeros(1, np.int64), np.full(1, found.among))[0])
        return Walk(found.pod, 0, tried, found.met)
