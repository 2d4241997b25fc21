"""kube-proxy's iptables mode: a chain a service port, a scan to find it, and a restore that swaps the whole table.

Structure from pkg/proxy/iptables/proxier.go.  The first packet of a connection passes the rules of other service ports
in KUBE-SERVICES, in an order that is new after every sync, then tries statistic rules until one takes it.  A partial
sync (KEP-3453, on by default since 1.27) writes the chains of changed Services and the top-level chains whole; the
legacy back end reads and swaps the entire nat table either way.  Left out of the counts the engines use: topology
hints, the way of a node inside source ranges through KUBE-FW, that one ClusterIP's ports are dearer to tell apart
than different ClusterIPs [A10], and the layouts of chains before 1.26.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from kpsim.cluster.columns import ServiceColumns
from kpsim.modes.iptables.about import ABOUT
from kpsim.modes.iptables.layout import Layout
from kpsim.modes.iptables.program import program
from kpsim.modes.iptables.text import restore_lines
from kpsim.modes.iptables.tracer import trace
from kpsim.modes.iptables.walk import path, walk
from kpsim.modes.iptables.writer import PARTIAL_SYNC_SINCE, sync_work
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
from kpsim.proxy.counts import EndpointCounts, port_kinds
from kpsim.proxy.listing import rendered
from kpsim.proxy.node import NodeConfig, PortState
from kpsim.proxy.params import ProxyParams
from kpsim.proxy.rules import NodeView, Packet, RuleSet, Trace, Walk, as_counted
from kpsim.units import I64

HOURLY_FULL_SINCE = (1, 33)
SPARES_LARGE_SINCE = (1, 34)  # and in patch releases of 1.34 to 1.36 (kubernetes/kubernetes 138571)
CONSTANT_RULES = 5  # KUBE-POSTROUTING 3, KUBE-MARK-MASQ 1, the last rule of KUBE-SERVICES 1
EXTERNAL_CHAIN_RULES = 2  # KUBE-EXT: mark, jump; under Local one more for Pods, and one where there is a local endpoint
ENDPOINT_CHAIN_RULES = 2  # KUBE-SEP: hairpin mark, DNAT


class Iptables:
    """The mode behind ``--proxy-mode=iptables``, on the legacy tables or on nf_tables."""

    name = "iptables"
    about = ABOUT
    words = ModeWords(
        later="conntrack knows the connection and applies its translation; the nat table is not read again",
        refused='refused at once (ICMP port unreachable, the client sees "connection refused")',
        outside=(
            "a packet for the NodePort passes all of KUBE-SERVICES, whose last rule leads to KUBE-NODEPORTS, one for "
            "another address finds it in KUBE-SERVICES; it is marked in KUBE-EXT (masquerade: the Pod answers by way "
            "of this node), then goes on as below"
        ),
    )
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

    def runner(self, version: tuple[int, int]) -> RunnerSettings:
        """Every change asks for a sync.

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
        """Rules of each Service in the nat table, by the counts of its ports and endpoints."""
        addresses = services.external_ips + services.load_balancer_ips
        guarded = ((services.load_balancer_ips > 0) & (services.source_ranges > 0)).astype(np.int64)
        layout = Layout.of(as_counted(self._params.kubernetes_version))
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
        """All rules of the nat table."""
        return CONSTANT_RULES + dispatch + own

    def sync_work(self, kind: SyncKind, counts: SyncCounts) -> Work:
        """Go time over everything held, one restore, and iptables-save where stale chains are looked for."""
        rules = self.rules_present(counts.dispatch, counts.own)
        return sync_work(kind, counts, rules, self._params.kubernetes_version, self._backend)

    def stages(self, state: PacketState) -> Sequence[Stage]:
        """The scan, the endpoint rules and the rest; conntrack spares later packets the nat table."""
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

    def program(self, view: NodeView, rotation: int) -> RuleSet:
        """The nat and filter tables' chains for ``view``."""
        return replace(program(view.port_states(), view.config, rotation), view=view)

    def exact(self, states: Iterable[PortState], config: NodeConfig) -> RuleSet:
        """The nat and filter tables' chains for ``states``, policies and all."""
        return program(states, config)

    def text(self, rules: RuleSet, changed: Collection[str] | None = None) -> Iterator[str]:
        """What ``iptables-restore --noflush`` takes in a full sync, or in a partial one after a change."""
        return restore_lines(rules, changed)

    def trace(self, rules: RuleSet, config: NodeConfig, packet: Packet) -> Trace:
        """Follow a packet from any source through the chains."""
        return trace(rules, config, packet)

    def listing(self, rules: RuleSet, service: str) -> Iterator[str]:
        """Chains in the order in which a packet comes to them."""
        return rendered(rules)

    def path(self, rules: RuleSet, port: int, walk: Walk, total: int) -> Iterator[str]:
        """Chain by chain: what is passed, what is taken and why."""
        assert rules.view is not None
        return path(rules, int(rules.view.cluster.port_number[port]), walk, total)

    def walk(self, rules: RuleSet, port: int, draw: int, turn: int) -> Walk:
        """Follow a Pod's first packet to the ClusterIP of ``port`` through ``rules``."""
        return walk(rules, port, lambda among: int(self.select(np.int64(draw), np.int64(turn), np.int64(among))))  # type: ignore[arg-type]  # scalars are arrays here
