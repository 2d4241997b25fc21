"""kube-proxy's IPVS mode: a virtual server an address, one hash lookup a connection, and a sync that visits them all.

Structure from pkg/proxy/ipvs/proxier.go.  A handful of iptables rules and 17 ipsets stay constant in the number of
Services; what grows is the list of virtual servers, which every sync asks the kernel for one by one, changed or not,
and every syncPeriod even when nothing happened.

Schedulers: rr; wrr, which with all weights 1 is rr; sh, where the draw of a connection stands for its client's address,
new for each connection.  All others are accepted, written out, and modelled as rr: take what they say about
balance with care, since lc, wlc, sed and nq look at connections, and dh, mh, lblc and lblcr at addresses.

Left out of the counts the engines use: graceful termination (:mod:`kpsim.proxy.ipvs.sync` knows it), session affinity,
traffic policies, node addresses beyond those of the configuration given, one by default [A11], and, when a Service is
created or deleted, the time of its addresses on kube-ipvs0 and of an ipset process for each of its entries.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from kpsim.cluster.columns import ServiceColumns, dotted
from kpsim.profiles.defaults import load_defaults
from kpsim.proxy.contract import PacketState, RuleCounts, RunnerSettings, Stage, SyncCounts, SyncKind, Work
from kpsim.proxy.ipvs.chains import CHAINS, JUMPS
from kpsim.proxy.ipvs.ipsets import SETS
from kpsim.proxy.ipvs.program import IpvsRules, node_port_addresses, program, rule_set, virtual_services
from kpsim.proxy.ipvs.text import script_lines
from kpsim.proxy.ipvs.tracer import trace
from kpsim.proxy.node import NodeConfig, PortState
from kpsim.proxy.params import ProxyParams
from kpsim.proxy.rules import NodeView, Packet, RuleSet, Trace, Walk
from kpsim.units import I64

__all__ = ["Ipvs"]

IPTABLES_PROCESSES = len(CHAINS) + len(JUMPS)  # 11 chains and 9 jumps ensured one by one
IPSET_PROCESSES = 2 * len(SETS)  # 17 sets created if missing, then listed
NETLINK_CALLS_A_SERVER = 3  # get, get again, list its real servers
SOURCE_HASH = 0x61C88647  # the kernel's multiplicative hash of 32 bits, include/linux/hash.h
SOURCE_HASH_BITS = 8  # buckets of net/netfilter/ipvs/ip_vs_sh.c, dealt out to the real servers in turn


class Ipvs:
    """The mode behind ``--proxy-mode=ipvs``."""

    name = "ipvs"
    family = "ipvs"

    def __init__(self, params: ProxyParams, backend: str = "legacy", node: NodeConfig | None = None) -> None:
        self._params = params
        self._node_addresses = len(node_port_addresses(node or NodeConfig()))

    def runner(self, version: tuple[int, int]) -> RunnerSettings:
        """No minimum between syncs by default, and one every syncPeriod even when idle; every sync is full."""
        defaults = load_defaults()
        minimum, period = self._params.min_sync_period_s, self._params.sync_period_s
        period = defaults.value("kube_proxy.sync_period") if period is None else period
        return RunnerSettings(
            min_sync_s=defaults.value("kube_proxy.min_sync_period_ipvs") if minimum is None else minimum,
            idle_s=period,
            full_s=None,
            cleanup_s=period,
        )

    def rule_counts(self, services: ServiceColumns, usable: I64) -> RuleCounts:
        """``dispatch`` counts virtual servers (they exist without endpoints too), ``own`` real servers."""
        per_port = 1 + services.external_ips + services.load_balancer_ips
        servers = services.proxied * (services.ports * per_port + services.node_ports * self._node_addresses)
        return RuleCounts(dispatch=servers, own=servers * usable)

    def rules_present(self, dispatch: int | I64, own: int | I64) -> int | I64:
        """Virtual and real servers."""
        return dispatch + own

    def sync_work(self, kind: SyncKind, counts: SyncCounts) -> Work:
        """Processes for iptables and ipset, and netlink calls for every virtual server there is."""
        return {
            "service_port_visited": counts.service_ports,
            "endpoint_visited": counts.endpoints,
            "process_run": IPTABLES_PROCESSES + IPSET_PROCESSES,
            "sync_restore": 1,
            "netlink_call": NETLINK_CALLS_A_SERVER * counts.dispatch + 1,
            "real_server_read": counts.own,
            "real_server_changed": counts.endpoint_changes,
            "ipset_entry_listed": counts.dispatch,
        }

    def stages(self, state: PacketState) -> Sequence[Stage]:
        """One lookup whatever the number of Services."""
        if state == PacketState.LATER:
            return (Stage("connection table hit", {"packet_later": 1}),)
        return (Stage("path, ipsets, IPVS schedule, conntrack", {"packet_first": 1}),)

    def endpoint_steps(self, index: I64, endpoints: I64) -> I64:
        """Round robin looks at one endpoint."""
        return np.zeros_like(index)

    def select(self, draw: I64, turn: I64, endpoints: I64) -> I64:
        """Round robin, each node for itself; under sh, the bucket of the client's address."""
        if self._params.ipvs_scheduler == "sh":
            hashed = (np.asarray(draw, np.uint64) * np.uint64(SOURCE_HASH)) & np.uint64(0xFFFFFFFF)
            turn = np.asarray(hashed >> np.uint64(32 - SOURCE_HASH_BITS), np.int64)
        return turn % np.maximum(endpoints, 1)

    def program(self, view: NodeView, rotation: int) -> RuleSet:
        """The virtual servers for ``view``; order means nothing in a hash."""
        config = self._configured(view.config)
        addresses = node_port_addresses(config)
        claims = [service for state in view.port_states() for service in virtual_services(state, config, addresses)]
        return replace(rule_set(claims), view=view)

    def _configured(self, config: NodeConfig) -> NodeConfig:
        return replace(config, ipvs_scheduler=self._params.ipvs_scheduler)

    def exact(self, states: Iterable[PortState], config: NodeConfig) -> RuleSet:
        """Virtual servers, ipsets, the chains around them and the addresses of kube-ipvs0, policies and all."""
        return program(states, self._configured(config))

    def text(self, rules: RuleSet) -> Iterator[str]:
        """A shell script: what ``ipset``, ``ip``, ``ipvsadm`` and ``iptables-restore`` take, one after the other."""
        assert isinstance(rules, IpvsRules), "rules of exact()"
        return script_lines(rules)

    def trace(self, rules: RuleSet, config: NodeConfig, packet: Packet) -> Trace:
        """Follow a packet from any source through sets, chains and virtual servers."""
        assert isinstance(rules, IpvsRules), "rules of exact()"
        return trace(rules, packet)

    def walk(self, rules: RuleSet, port: int, draw: int, turn: int) -> Walk:
        """Look up the ClusterIP of ``port`` and take the real server whose turn it is."""
        assert rules.view is not None
        cluster = rules.view.cluster
        ip = dotted(int(cluster.services.cluster_ip[cluster.port_service[port]]))
        server = rules.virtual_servers[ip, cluster.port_protocol[port], int(cluster.port_number[port])]
        met = server.render()
        if not server.real_servers:
            return Walk(-1, 0, 0, tuple(met))
        chosen = self.select(np.array([draw]), np.array([turn]), np.array([len(server.real_servers)]))
        return Walk(server.real_servers[int(chosen[0])][1], 0, 0, tuple(met))
