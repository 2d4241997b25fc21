"""kube-proxy's nftables mode: a connection is a lookup in verdict maps, an update rewrites the Services that changed.

Structure from pkg/proxy/nftables/proxier.go.  No packet scans, however many Services there are; the choice among
endpoints is one more map.  What grows is the sync: one transaction, whose cost in the kernel and in nft has a part for
everything present and, where chains are written, a part for every service port already there; before it, nft lists all
chains and sets, and where endpoints went, a transaction of its own deletes chains.  Left out: topology hints in the
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
from kpsim.modes.nftables.program import program
from kpsim.modes.nftables.rules import NftRules
from kpsim.modes.nftables.text import load_lines, rewrite_lines
from kpsim.modes.nftables.tracer import trace
from kpsim.profiles.defaults import load_defaults
from kpsim.proxy.contract import (
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
from kpsim.proxy.counts import EndpointCounts, port_kinds
from kpsim.proxy.node import NodeConfig, PortState
from kpsim.proxy.params import ProxyParams
from kpsim.proxy.rules import DROPPED, REFUSED, Packet, Trace, Walk, few
from kpsim.units import I64, Version

CONSTANT_RULES = 22  # in 16 chains; one more where kube-proxy knows the ranges of Service addresses
EXTERNAL_CHAIN_RULES = 2  # mark, goto
ENDPOINT_CHAIN_RULES = 2  # hairpin mark, dnat
LIST_PROCESSES = 2  # nft list chains, nft list sets


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

    def runner(self, version: Version) -> RunnerSettings:
        """Return the pace: every change asks for a sync, full after an hour without a full one."""
        defaults = load_defaults()
        full = defaults.value("kube_proxy.full_sync_period")
        period = self._params.sync_period(defaults.value("kube_proxy.sync_period"))
        return RunnerSettings(
            # a configured 0 is defaulted too: pkg/proxy/apis/config/v1alpha1/defaults.go
            min_sync_s=self._params.min_sync_period_s or defaults.value("kube_proxy.min_sync_period_iptables"),
            idle_s=full,
            full_s=full,
            # looked up by nobody: chains are listed in every sync, also in large clusters
            cleanup_s=period,
            retry_s=period,
        )

    def resources(self) -> Sequence[Resource]:
        """None: the table grows until memory ends."""
        return ()

    def rule_counts(self, services: ServiceColumns, endpoints: EndpointCounts) -> RuleCounts:
        """``dispatch`` counts map and set elements (there without endpoints too), ``own`` rules in chains."""
        addresses = services.external_ips + services.load_balancer_ips
        guarded = ((services.load_balancer_ips > 0) & (services.source_ranges > 0)).astype(np.int64)
        reachable, _ = kinds = port_kinds(services, endpoints)
        external = EXTERNAL_CHAIN_RULES + reachable.outside_local * (1 + reachable.outside)
        # an entrance has an element that leads on, one that says nobody is there, or under a Local policy both
        both = reachable.served * (1 - reachable.outside)
        proxied = services.proxied.astype(np.int64)
        entrances = reachable.ports * addresses + services.node_ports * proxied
        elements = (
            proxied * (1 - services.continued)
            + entrances * (1 + both)
            + reachable.ports * guarded * services.load_balancer_ips
        )
        own = reachable.ports * (reachable.served * external + guarded)
        for kind in kinds:
            choices = (kind.cluster > 0) * 1 + (kind.local > 0) + services.affinity * (kind.cluster + kind.local)
            chains = kind.inside + choices + (ENDPOINT_CHAIN_RULES + services.affinity) * kind.used
            elements = elements + kind.ports
            own = own + kind.ports * chains
        return RuleCounts(dispatch=elements, own=np.asarray(own, np.int64))

    def rules_present(self, dispatch: int | I64, own: int | I64) -> int | I64:
        """Return the number of rules in all chains; elements are none."""
        return CONSTANT_RULES + own

    def sync_work(self, kind: SyncKind, counts: SyncCounts) -> Work:
        """Go time over everything held, two lists, one transaction where there is anything to send, and a cleaning one.

        A ClusterIP port with e endpoints has 2 e + 2 rules and 2 elements.  Half its rules is its number of chains
        (and affinity sets); twice its rules and its elements together are all the kernel objects it is made of,
        6 + 4 e with the anonymous map of the choice and the elements of that.
        """
        objects = 2 * counts.own + counts.dispatch
        changed, lost = _whether(counts.changed_services), _whether(counts.endpoint_changes)
        work: dict[str, int | I64] = {
            "service_port_visited": counts.service_ports,
            "endpoint_visited": counts.endpoints,
            "list_run": LIST_PROCESSES,
            "object_listed": counts.own // 2 + counts.service_ports,
            "cleanup_transaction": lost,
            "rule_present_in_cleanup": lost * counts.own,
            "conntrack_listed": counts.conntrack_listed,
            "conntrack_run": counts.conntrack_runs,
        }
        if kind == SyncKind.FULL:
            return work | {
                "full_transaction": 1,
                "deletion_waited": 1,
                "rule_present": counts.own,
                "object_loaded": objects,
                "object_loaded_beside_port": counts.service_ports * objects,
            }
        return work | {
            "partial_transaction": changed,
            "rule_present": changed * counts.own,
            "own_rule_written": counts.changed_own,
            "service_changed_beside_port": counts.changed_services * counts.service_ports,
        }

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


def _whether(count: int | I64) -> int | I64:
    """1 where there is anything to count."""
    return (count > 0) * 1
