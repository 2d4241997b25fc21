"""kube-proxy's IPVS mode: a virtual server an address, one hash lookup a connection, and a sync that visits them all.

Structure from pkg/proxy/ipvs/proxier.go.  A handful of iptables rules and 17 ipsets stay constant in the number of
Services; what grows is the list of virtual servers, which every sync asks the kernel for one by one, changed or not,
and every syncPeriod even when nothing happened.

Schedulers: rr; wrr, which with all weights 1 is rr; sh, where the draw of a connection stands for its client's address,
new for each connection.  All others are accepted, written out, and modelled as rr: take what they say about
balance with care, since lc, wlc, sed and nq look at connections, and dh, mh, lblc and lblcr at addresses.

What comes or goes with a Service is an ipset process an entry, an address on kube-ipvs0, which takes longer the more
there are, and a netlink call a virtual and a real server; with an endpoint of the node itself, an entry of
KUBE-LOOP-BACK.  A real server that goes is one call whatever the protocol: a UDP or SCTP one is deleted, a TCP one gets
weight 0 and is looked for every minute, outside any sync, until its connections have ended.

Left out of the counts the engines use: real servers of weight 0 that are read meanwhile, session affinity,
topology hints, node addresses beyond those of the configuration given, one by default [A11], and entries of health
checks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from kpsim.cluster.columns import ServiceColumns
from kpsim.modes.ipvs.about import ABOUT
from kpsim.modes.ipvs.chains import chains_of, jumps_of
from kpsim.modes.ipvs.ipsets import sets_of
from kpsim.modes.ipvs.program import IpvsRules, VirtualService, node_port_addresses, program
from kpsim.modes.ipvs.text import script_lines
from kpsim.modes.ipvs.tracer import trace
from kpsim.profiles.defaults import load_defaults
from kpsim.proxy.contract import (
    ModeWords,
    PacketState,
    Resource,
    RuleCounts,
    RunnerSettings,
    Stage,
    SyncCounts,
    SyncKind,
    Work,
    chosen,
)
from kpsim.proxy.counts import EndpointCounts, port_kinds
from kpsim.proxy.node import NodeConfig, PortState
from kpsim.proxy.params import ProxyParams
from kpsim.proxy.rules import REFUSED, Held, Packet, Trace, Walk, few
from kpsim.units import I64, Version

PROCESSES: Mapping[Version, int] = {  # of a sync with nothing changed, but for its iptables-restore
    version: len(chains_of(version)) + len(jumps_of(version)) + 2 * len(sets_of(version))  # ensured; created and listed
    for version in ((1, 29), (1, 26), (1, 25))
} | {(1, 0): 8 + 5 + 1 + 2 * 16}
NETLINK_CALLS_A_SERVER = 3  # get, get again, list its real servers
SOURCE_HASH = 0x61C88647  # the kernel's multiplicative hash of 32 bits, include/linux/hash.h
SOURCE_HASH_BITS = 8  # buckets of net/netfilter/ipvs/ip_vs_sh.c, dealt out to the real servers in turn

NEXT = "the next, round robin,"
SCHEDULERS = {
    "rr": NEXT,
    "wrr": f"{NEXT} since all weights are 1,",
    "lc": "the one with the fewest connections, active ones counting 256 times inactive ones,",
    "wlc": "the one with the fewest connections for its weight, and all weights are 1: as under lc",
    "lblc": "the one that this destination address went to before, unless it is overloaded, else the least loaded",
    "lblcr": "one of those that this destination address went to before, the least loaded of them,",
    "sh": "the one that a hash of the client's address says",
    "dh": "the one that a hash of the destination address says, the same for every client,",
    "mh": "the one that Maglev's table has for a hash of the client's address and port",
    "sed": "the one with the shortest expected delay, (active connections + 1) / weight,",
    "nq": "one that is idle, else the one with the shortest expected delay",
    "fo": "the one of highest weight that is not overloaded, and all weights are 1: the first in the list",
    "ovf": "the one of highest weight with fewer active connections than its weight, which is 1,",
}
COUNTED_SCHEDULERS = ("rr", "wrr", "sh")  # those that the engines know


class Ipvs:
    """The mode behind ``--proxy-mode=ipvs``."""

    name = "ipvs"
    about = ABOUT
    family = "ipvs"
    scan_rotates = False
    falls_back = True
    ignores_policies = False
    drops_without_local = False
    refuses = True
    reports_programming = True

    def __init__(self, params: ProxyParams, backend: str = "legacy", node: NodeConfig | None = None) -> None:
        self._params = params
        self._node_addresses = len(node_port_addresses(node or NodeConfig()))
        self._processes = next(count for at, count in PROCESSES.items() if params.kubernetes_version >= at)

    def runner(self, version: Version) -> RunnerSettings:
        """No minimum between syncs by default, and one every syncPeriod even when idle; every sync is full."""
        defaults = load_defaults()
        minimum = self._params.min_sync_period_s
        period = self._params.sync_period(defaults.value("kube_proxy.sync_period"))
        return RunnerSettings(
            min_sync_s=defaults.value("kube_proxy.min_sync_period_ipvs") if minimum is None else minimum,
            idle_s=period,
            full_s=None,
            cleanup_s=period,
            locks=True,
        )

    def resources(self) -> Sequence[Resource]:
        """Entries of its largest set; the connection table chains in its buckets and has no end."""
        return (Resource("KUBE-CLUSTER-IP set", "limits.ipset_elements", "entries", per_service_port=1.0),)

    def rule_counts(self, services: ServiceColumns, endpoints: EndpointCounts) -> RuleCounts:
        """``dispatch`` counts virtual servers (they exist without endpoints too), ``own`` real servers."""
        outside_addresses = services.external_ips + services.load_balancer_ips
        node_ports = services.proxied * services.node_ports * self._node_addresses
        reachable, _ = kinds = port_kinds(services, endpoints)
        entrances = reachable.ports * outside_addresses + node_ports
        outside = np.where(reachable.outside_local * reachable.local > 0, reachable.local, reachable.cluster)
        servers, own = entrances, entrances * outside
        for kind in kinds:
            inside = np.where(kind.inside_local * kind.local > 0, kind.local, kind.cluster)
            servers = servers + kind.ports
            own = own + kind.ports * inside
        local, ports = reachable.outside_local, services.ports * services.proxied
        guarded = (services.source_ranges > 0) * (1 + services.source_ranges)
        balanced = services.load_balancer_ips * (1 + local + guarded)
        addresses = (ports > 0) * (1 + (reachable.ports > 0) * outside_addresses)
        entries = ports + reachable.ports * (services.external_ips + balanced) + addresses
        entries = entries + services.proxied * services.node_ports * (1 + local)
        return RuleCounts(dispatch=servers, own=own, held=Held(servers, entries, addresses))

    def rules_present(self, dispatch: int | I64, own: int | I64) -> int | I64:
        """Virtual and real servers."""
        return dispatch + own

    def sync_work(self, kind: SyncKind, counts: SyncCounts) -> Work:
        """Processes for iptables and ipset, and netlink calls for every virtual server there is and whatever moves."""
        moved = counts.moved
        servers, addresses = moved.servers + moved.real_servers, moved.addresses
        return {
            "service_port_visited": counts.service_ports,
            "endpoint_visited": counts.endpoints,
            "process_run": self._processes + moved.entries + moved.endpoints_here,
            "sync_restore": 1,
            "netlink_call": NETLINK_CALLS_A_SERVER * counts.dispatch + 1 + servers,
            "real_server_read": counts.own,
            "server_changed": servers,
            "address_changed": addresses,
            "address_beside_address": addresses * moved.addresses_held - addresses * (addresses + 1) // 2,
            "ipset_entry_listed": counts.dispatch,
            "conntrack_listed": counts.conntrack_listed,
            "conntrack_run": counts.conntrack_runs,
        }

    def stages(self, state: PacketState) -> Sequence[Stage]:
        """Return one lookup whatever the number of Services."""
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

    def program(self, states: Iterable[PortState], config: NodeConfig, rotation: int = 0) -> ProgrammedIpvs:
        """Virtual servers, ipsets, the chains around them and the addresses of kube-ipvs0, policies and all."""
        return ProgrammedIpvs(program(states, replace(config, ipvs_scheduler=self._params.ipvs_scheduler)), self)


@dataclass(frozen=True, slots=True)
class ProgrammedIpvs:
    """The virtual servers, sets and chains of one node."""

    rules: IpvsRules
    mode: Ipvs

    words: ClassVar = ModeWords(
        later="the IPVS connection table knows where they go; no lookup",
        refused='refused at once (ICMP port unreachable, the client sees "connection refused")',
        outside="these addresses are virtual servers of their own; a packet from outside is masqueraded as well",
    )

    def text(self, changed: Collection[str] | None = None) -> Iterator[str]:
        """Yield a shell script for ``ipset``, ``ip``, ``ipvsadm`` and ``iptables-restore``, whatever has changed."""
        return script_lines(self.rules)

    def trace(self, packet: Packet) -> Trace:
        """Follow a packet from any source through sets, chains and virtual servers."""
        return trace(self.rules, packet)

    def listing(self, service: str) -> Iterator[str]:
        """Virtual servers with their real servers, as ``ipvsadm -Ln`` prints them."""
        for server in self.rules.services.values():
            head, *reals = server.render()
            yield from (head, *few(reals, "real servers"))

    def path(self, packet: Packet, walk: Walk, total: int) -> Iterator[str]:
        """Sets, the way to IPVS, the lookup and the scheduler."""
        server = self._server(packet)
        yield "a fixed handful of iptables rules and ipsets (is it for a Service, must it be masqueraded?)"
        yield f"routing: {server.ip} is an address of the node itself, on kube-ipvs0, so the packet comes to IPVS"
        yield f"one hash lookup, however many Services there are: {server.render()[0]}"
        if walk.pod < 0:
            yield "the virtual server has no real servers"
        else:
            how = SCHEDULERS[server.scheduler]
            yield f"the scheduler, {server.scheduler}, takes {how} of {len(server.real_servers):,} real servers"
            if server.scheduler not in COUNTED_SCHEDULERS:
                yield "the engines take the next one instead, as under rr: what they say of balance is not this one's"

    def _server(self, packet: Packet) -> VirtualService:
        return self.rules.services[packet.key]

    def walk(self, packet: Packet, draw: int, turn: int) -> Walk:
        """Look up a ClusterIP and take the real server whose turn it is."""
        server = self._server(packet)
        met = tuple(server.render())
        if not server.real_servers:
            return Walk(REFUSED, 0, 0, met)
        taken = server.real_servers[chosen(self.mode, draw, turn, len(server.real_servers))]
        return Walk(taken.pod, 0, 0, met)
