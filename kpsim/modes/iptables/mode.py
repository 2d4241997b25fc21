"""kube-proxy's iptables mode: a chain a service port, a scan to find it, and a restore that swaps the whole table.

Structure from pkg/proxy/iptables/proxier.go.  The first packet of a connection passes the rules of other service ports
in KUBE-SERVICES, in an order that is new after every sync, then tries statistic rules until one takes it.  A partial
sync (KEP-3453, on by default since 1.27) writes the chains of changed Services and the top-level chains whole; the
legacy back end reads and swaps the entire nat table either way.  Left out of the counts the engines use: topology
hints, the way of a node inside source ranges through KUBE-FW, that one ClusterIP's ports are dearer to tell apart
than different ClusterIPs [A10], and the layouts of chains before 1.26.  On nf_tables iptables' commands send what is
written, read back what is there, and in a full sync compare every chain with all others; the rules are the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from kpsim.cluster.columns import ServiceColumns
from kpsim.modes.iptables.about import ABOUT
from kpsim.modes.iptables.layout import Layout
from kpsim.modes.iptables.listing import rendered
from kpsim.modes.iptables.program import program
from kpsim.modes.iptables.text import restore_lines
from kpsim.modes.iptables.tracer import trace
from kpsim.modes.iptables.walk import path, walk
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
    chosen,
)
from kpsim.proxy.counts import EndpointCounts, port_kinds
from kpsim.proxy.node import NodeConfig, PortState, counted_node
from kpsim.proxy.params import ProxyParams
from kpsim.proxy.rules import Packet, RuleSet, Trace, Walk
from kpsim.proxy.work import EVERY_PART, Timed, named, parts_of, steps_of_searches
from kpsim.units import I64, Version

PARTIAL_SYNC_SINCE: Version = (1, 27)  # KEP-3453: alpha and off in 1.26, on in 1.27, always in 1.28
HOURLY_FULL_SINCE: Version = (1, 33)
SPARES_LARGE_SINCE: Version = (1, 34)  # and in patch releases of 1.34 to 1.36 (kubernetes/kubernetes 138571)
CONSTANT_RULES = 5  # KUBE-POSTROUTING 3, KUBE-MARK-MASQ 1, the last rule of KUBE-SERVICES 1
EXTERNAL_CHAIN_RULES = 2  # KUBE-EXT: mark, jump; under Local one more for Pods, and one where there is a local endpoint
ENDPOINT_CHAIN_RULES = 2  # KUBE-SEP: hairpin mark, DNAT
ENSURED_JUMPS = 14  # each an "ensure chain" and an "ensure rule" process in a full sync
ENSURED_JUMPS_BEFORE_1_27 = 12  # without kubelet's KUBE-FIREWALL
ENSURED_JUMPS_NAT = 3  # of those, the ones in the nat table, whose rules each process reads back


class Iptables:
    """The mode behind ``--proxy-mode=iptables``, on the legacy tables or on nf_tables."""

    name = "iptables"
    about = ABOUT
    scan_rotates = True
    falls_back = False
    ignores_policies = False
    drops_without_local = True
    refuses = True
    reports_programming = True

    def __init__(self, params: ProxyParams, backend: str = "legacy") -> None:
        self._params = params
        self._backend = backend
        self.family = f"iptables-{backend}"

    def runner(self, version: Version) -> RunnerSettings:
        """Return the pace: every change asks for a sync.

        Before 1.27 each is a full one; since 1.33 an hour without one makes the next full, since 1.34 not in large
        clusters.
        """
        defaults = load_defaults()
        minimum = self._params.min_sync_period_s
        period = self._params.sync_period(defaults.value("kube_proxy.sync_period"))
        full = defaults.value("kube_proxy.full_sync_period")
        return RunnerSettings(
            # a configured 0 is defaulted too: pkg/proxy/apis/config/v1alpha1/defaults.go
            min_sync_s=minimum or defaults.value("kube_proxy.min_sync_period_iptables"),
            idle_s=full,
            full_s=None if version < PARTIAL_SYNC_SINCE else full if version >= HOURLY_FULL_SINCE else NEVER_FULL_S,
            spares_large=version >= SPARES_LARGE_SINCE,
            cleanup_s=period,
            retry_s=period,
            canary_s=period,
            locks=self._backend == "legacy",
        )

    def resources(self) -> Sequence[Resource]:
        """None: chains grow until memory ends."""
        return ()

    def rule_counts(self, services: ServiceColumns, endpoints: EndpointCounts) -> RuleCounts:
        """Return the number of rules of each Service in the nat table, by the counts of its ports and endpoints."""
        addresses = services.external_ips + services.load_balancer_ips
        guarded = ((services.load_balancer_ips > 0) & (services.source_ranges > 0)).astype(np.int64)
        layout = Layout.of(counted_node(self._params.kubernetes_version))
        firewall = guarded * (services.source_ranges + layout.explains_firewall)  # a rule a range, and one for the rest
        choice = 1 + services.affinity  # rules of an endpoint in each chain that chooses among them
        reachable, _ = kinds = port_kinds(services, endpoints)
        external = EXTERNAL_CHAIN_RULES + reachable.outside_local * (1 + reachable.outside)
        node_ports = (1 + layout.counts_localhost) * services.node_ports * services.proxied
        dispatch = reachable.ports * reachable.served * addresses
        own = reachable.served * (reachable.ports * (external + firewall) + node_ports)
        for kind in kinds:
            chains = kind.inside + choice * (kind.cluster + kind.local) + ENDPOINT_CHAIN_RULES * kind.used
            dispatch = dispatch + kind.ports * kind.inside
            own = own + kind.ports * chains
        return RuleCounts(dispatch=dispatch, own=own)

    def rules_present(self, dispatch: int | I64, own: int | I64) -> int | I64:
        """Return the number of rules in the nat table."""
        return CONSTANT_RULES + dispatch + own

    def sync_work(self, kind: SyncKind, counts: SyncCounts) -> Work:
        """Go time over everything held, one restore, and iptables-save where stale chains are looked for."""
        return self.timed(kind, counts).work

    def timed(
        self, kind: SyncKind, counts: SyncCounts, wanted: Collection[str] = EVERY_PART, *, cpu: bool = False
    ) -> Timed:
        """Return the parts of a sync; a ClusterIP port of e endpoints has 3 e + 1 rules of its own in e + 1 chains."""
        version, rules = self._params.kubernetes_version, self.rules_present(counts.dispatch, counts.own)
        start, whole = kind is SyncKind.START, kind.whole
        jumps = ENSURED_JUMPS if version >= PARTIAL_SYNC_SINCE else ENSURED_JUMPS_BEFORE_1_27
        looks = 1 if kind in (SyncKind.START, SyncKind.RESTART) else counts.cleanup
        there = 0 if start else 1
        chains = (counts.own + 2 * counts.dispatch) // 3
        changed_chains = (counts.changed_own + 2 * counts.changed_services) // 3
        found = {
            "rules": rules,
            "chain_steps": steps_of_searches(chains, "chains"),
            "changed_chain_steps": steps_of_searches(changed_chains, "chains"),
            "dispatch_steps": steps_of_searches(counts.dispatch, "rules"),
            "runs": whole * (2 + start) * jumps,
            "reads": whole * there * 2 * ENSURED_JUMPS_NAT * rules,
            "saves": looks,
            "saved": there * looks * rules,
        }
        names = parts_of(kind, ("conntrack", "go", "iptables", "restore", "save"), wanted, cpu=cpu)
        return Timed(tuple(Part(name, self.family, kind, version) for name in names), named(counts, found), "cpu" * cpu)

    def stages(self, state: PacketState) -> Sequence[Stage]:
        """Return the scan, the endpoint rules and the rest; conntrack spares later packets the nat table."""
        if state == PacketState.LATER:
            return (Stage("conntrack hit", {"packet_later": 1}),)
        path = Stage("path, conntrack, NAT", {"packet_first": 1})
        if state == PacketState.REFUSED:
            return (path, Stage("scan of KUBE-SERVICES, no match", {"rule_passed": 1}, Steps.EVERY_DISPATCH))
        return (
            path,
            Stage("scan of KUBE-SERVICES", {"rule_passed": 1}, Steps.DISPATCH),
            Stage("statistic rules of KUBE-SVC", {"endpoint_rule": 1}, Steps.ENDPOINT),
        )

    def endpoint_steps(self, index: I64, endpoints: I64) -> I64:
        """Rule i is evaluated after i misses; the last rule has no statistic match."""
        return np.minimum(index + 1, endpoints - 1)

    def select(self, draw: I64, turn: I64, endpoints: I64) -> I64:
        """Uniform: the statistic rules' probabilities 1/(e - i) make every endpoint equally likely."""
        return (draw * endpoints) >> 32

    def program(self, states: Iterable[PortState], config: NodeConfig, rotation: int = 0) -> ProgrammedIptables:
        """Return the nat and filter tables' chains for ``states``, policies and all."""
        return ProgrammedIptables(program(states, config, rotation), config, self)


@dataclass(frozen=True, slots=True)
class ProgrammedIptables:
    """The chains of one node."""

    rules: RuleSet
    config: NodeConfig
    mode: Iptables

    words: ClassVar = ModeWords(
        later="conntrack knows the connection and applies its translation; the nat table is not read again",
        refused='refused at once (ICMP port unreachable, the client sees "connection refused")',
        outside=(
            "a packet for the NodePort passes all of KUBE-SERVICES, whose last rule leads to KUBE-NODEPORTS, one for "
            "another address finds it in KUBE-SERVICES; it is marked in KUBE-EXT (masquerade: the Pod answers by way "
            "of this node), then goes on as below"
        ),
    )

    def text(self, changed: Collection[str] | None = None) -> Iterator[str]:
        """Yield the lines for ``iptables-restore --noflush`` in a full sync, or in a partial one after a change."""
        return restore_lines(self.rules, changed)

    def trace(self, packet: Packet) -> Trace:
        """Follow a packet from any source through the chains."""
        return trace(self.rules, self.config, packet)

    def listing(self, service: str) -> Iterator[str]:
        """Yield the chains in the order in which a packet comes to them."""
        return rendered(self.rules)

    def path(self, packet: Packet, walk: Walk, total: int) -> Iterator[str]:
        """Chain by chain: what is passed, what is taken and why."""
        return path(self.rules, packet.port, walk, total)

    def walk(self, packet: Packet, draw: int, turn: int) -> Walk:
        """Follow a Pod's first packet to a ClusterIP through the chains."""
        return walk(self.rules, packet, lambda among: chosen(self.mode, draw, turn, among))
