"""kube-proxy's IPVS mode: a virtual server an address, one hash lookup a connection, and a sync that visits them all.

Structure from pkg/proxy/ipvs/proxier.go.  A handful of iptables rules and 17 ipsets stay constant in the number of
Services; what grows is the list of virtual servers, which every sync asks the kernel for one by one, changed or not,
and every syncPeriod even when nothing happened.  Left out: schedulers other than rr, graceful termination, session
affinity, node addresses beyond one [A11], and the time its addresses take on kube-ipvs0 when a Service is created.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kpsim.cluster.columns import ServiceColumns, dotted
from kpsim.profiles.defaults import load_defaults
from kpsim.proxy.contract import PacketState, RuleCounts, RunnerSettings, Stage, SyncCounts, SyncKind, Work
from kpsim.proxy.params import ProxyParams
from kpsim.proxy.rules import NodeView, RuleSet, VirtualServer, Walk
from kpsim.units import I64

__all__ = ["Ipvs"]

IPTABLES_PROCESSES = 20  # 11 chains and 9 jumps ensured one by one
IPSET_PROCESSES = 34  # 17 sets created if missing, then listed
NETLINK_CALLS_A_SERVER = 3  # get, get again, list its real servers


class Ipvs:
    """The mode behind ``--proxy-mode=ipvs``."""

    name = "ipvs"
    family = "ipvs"
    rule_noun = "virtual and real servers"

    def __init__(self, params: ProxyParams, backend: str = "legacy") -> None:
        self._params = params

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
        servers = services.proxied * (services.ports * per_port + services.node_ports)
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
        """Round robin, each node for itself."""
        return turn % np.maximum(endpoints, 1)

    def program(self, view: NodeView, rotation: int) -> RuleSet:
        """The virtual servers for ``view``; order means nothing in a hash."""
        cluster = view.cluster
        servers: dict[tuple[str, str, int], VirtualServer] = {}
        own: dict[int, int] = {}
        for q in view.known_ports():
            service = int(cluster.port_service[q])
            protocol, port = cluster.port_protocol[q], int(cluster.port_number[q])
            reals = tuple((view.address(q, pod), pod) for pod in view.usable[service])
            extra = int(cluster.services.external_ips[service] + cluster.services.load_balancer_ips[service])
            node_port = int(cluster.port_node_port[q])
            places = [(dotted(int(cluster.services.cluster_ip[service])), port)]
            places += [(f"<external {service}.{i}>", port) for i in range(extra)]
            places += [(f"<node address {service}>", node_port)] if node_port else []
            own[service] = own.get(service, 0) + len(places) * len(reals)
            for ip, number in places:
                servers[ip, protocol, number] = VirtualServer(ip, number, protocol, self._params.ipvs_scheduler, reals)
        return RuleSet(virtual_servers=servers, dispatch=len(servers), own=own, view=view)

    def walk(self, rules: RuleSet, port: int, draw: int, turn: int) -> Walk:
        """Look up the ClusterIP of ``port`` and take the real server whose turn it is."""
        assert rules.view is not None
        cluster = rules.view.cluster
        ip = dotted(int(cluster.services.cluster_ip[cluster.port_service[port]]))
        server = rules.virtual_servers[ip, cluster.port_protocol[port], int(cluster.port_number[port])]
        met = server.render()
        if not server.real_servers:
            return Walk(-1, 0, 0, tuple(met))
        return Walk(server.real_servers[turn % len(server.real_servers)][1], 0, 0, tuple(met))
