"""kube-proxy's nftables mode: a connection is a lookup in verdict maps, an update rewrites the Services that changed.

Structure from pkg/proxy/nftables/proxier.go.  No packet scans, however many Services there are; the choice among
endpoints is one more map.  What grows is the sync: one transaction, whose cost in the kernel and in nft has a part for
everything present and, where chains are written, a part for every service port already there; before it, nft lists
what there is, and where endpoints went, a transaction of its own deletes chains.  Left out: topology hints in the
closed forms, the second table of a dual-stack node, and that a client with session affinity is looked up in one set an
endpoint.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from kpsim.cluster.columns import ServiceColumns, dotted
from kpsim.modes.nftables.about import ABOUT
from kpsim.modes.nftables.counts import Counts
from kpsim.modes.nftables.layout import PARTIAL_SYNC_SINCE, READS_ELEMENTS_SINCE, Layout
from kpsim.modes.nftables.program import program
from kpsim.modes.nftables.rules import NftRules
from kpsim.modes.nftables.text import load_lines, rewrite_lines
from kpsim.modes.nftables.tracer import trace
from kpsim.profiles.defaults import load_defaults
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
from kpsim.proxy.listing import few
from kpsim.proxy.node import NodeConfig, PortState
from kpsim.proxy.params import ProxyParams
from kpsim.proxy.rules import COUNTED_SINCE, DROPPED, REFUSED, NodeView, Packet, RuleSet, Trace, Walk
from kpsim.units import I64


class Nftables:
    """The mode behind ``--proxy-mode=nftables``."""

    name = "nftables"
    about = ABOUT
    family = "nftables"
    words = ModeWords(
        later="conntrack knows the connection and applies its translation; the nat chains are not read again",
        refused='refused at once (ICMP port unreachable, the client sees "connection refused")',
        outside=(
            "the same maps know these addresses; such a packet is marked in the external chain (masquerade: the Pod "
            "answers by way of this node), then goes on as below"
        ),
    )
    scan_rotates = False
    falls_back = False
    ignores_policies = False
    drops_without_local = True
    refuses = True
    reports_programming = True

    def __init__(self, params: ProxyParams, backend: str = "legacy") -> None:
        self._params = params
        self._counts = Counts(Layout.of(max(params.kubernetes_version, COUNTED_SINCE)))

    def runner(self, version: tuple[int, int]) -> RunnerSettings:
        """Every change asks for a sync.

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
        """Rules of all chains; elements are none."""
        return self._counts.constant_rules + own

    def sync_work(self, kind: SyncKind, counts: SyncCounts) -> Work:
        """Go time over everything held, a listing, one transaction, and where chains went one that deletes them."""
        return self._counts.work(kind, counts)

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

    def program(self, view: NodeView, rotation: int) -> RuleSet:
        """The whole table for ``view``; there is no list to turn."""
        return replace(program(view.port_states(), view.config), view=view)

    def exact(self, states: Iterable[PortState], config: NodeConfig) -> RuleSet:
        """The whole table for ``states``, policies and all."""
        return program(states, config)

    def text(self, rules: RuleSet, changed: Collection[str] | None = None) -> Iterator[str]:
        """What ``nft -f`` takes: one transaction into an empty kernel, or that of a partial sync after a change."""
        assert isinstance(rules, NftRules)
        return load_lines(rules) if changed is None else rewrite_lines(rules, changed)

    def trace(self, rules: RuleSet, config: NodeConfig, packet: Packet) -> Trace:
        """Follow a packet from any source through every hook."""
        assert isinstance(rules, NftRules)
        return trace(rules, config, packet)

    def listing(self, rules: RuleSet, service: str) -> Iterator[str]:
        """Rules and elements that name the Service."""
        mine = (at for at in self.text(rules) if f"-{service}/" in at and at.startswith(("add rule", "add element")))
        return few(list(mine), "rules and elements")

    def path(self, rules: RuleSet, port: int, walk: Walk, total: int) -> Iterator[str]:
        """Every rule that matches, hook by hook."""
        return iter(walk.met)

    def walk(self, rules: RuleSet, port: int, draw: int, turn: int) -> Walk:
        """Follow a Pod's first packet to the ClusterIP of ``port`` through every hook."""
        assert isinstance(rules, NftRules)
        assert rules.view is not None
        cluster, config = rules.view.cluster, rules.view.config
        packet = Packet(
            _some_pod(config.pod_cidr or ""),
            dotted(int(cluster.services.cluster_ip[cluster.port_service[port]])),
            int(cluster.port_number[port]),
            cluster.port_protocol[port],
        )
        found = trace(rules, config, packet, draw=draw)
        if found.pod < 0:
            return Walk(DROPPED if found.verdict == "DROP" else REFUSED, 0, 0, found.met)
        tried = int(self.endpoint_steps(np.zeros(1, np.int64), np.full(1, found.among))[0])
        return Walk(found.pod, 0, tried, found.met)


@lru_cache(maxsize=64)
def _some_pod(cidr: str) -> str:
    """An address of a client that the local-traffic detector takes for a Pod."""
    return str(ipaddress.ip_network(cidr, strict=False)[-2]) if cidr else "192.0.2.99"
