"""kube-proxy's userspace mode: iptables leads a connection to kube-proxy, which makes a second one and copies.

Structure from pkg/proxy/userspace (proxier.go, proxysocket.go, roundrobin.go), Kubernetes 1.19 to 1.25.  A first packet
passes the portals of other service ports, is accepted, and waits for kube-proxy to dial an endpoint; every later one is
read from one socket and written to another.  Endpoints are a list in memory, in force when the watch delivers it; a
sync is about Services only, but makes sure of every rule there is, one or two processes a rule.

A first packet pays for kube-proxy's own connection too: the processor's part of its handshake and its end.  The
client's handshake is not counted, as in no mode, nor the time that the dialling waits for its answer.

Left out: that a service port accepts one connection after another, each waiting for its dial; that a dial which fails
tries the next endpoint, up to four times (a connection to a Pod that is gone counts as lost here); that the list of
endpoints is shuffled and begun anew when it changes; session affinity; that kube-proxy has the ready endpoints only,
while the engines fall back to terminating ones; that it cannot listen to SCTP, and knows one IP family only; that new
rules go to the end of the chain, and take two more processes each; and the descriptors of NodePorts held open.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from kpsim.cluster.columns import ServiceColumns
from kpsim.modes.userspace.about import ABOUT
from kpsim.modes.userspace.program import CONTAINER, JUMPS, SOCKETS, UserspaceRules, program
from kpsim.modes.userspace.text import command_lines, service_lines
from kpsim.modes.userspace.tracer import trace
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
    chosen,
)
from kpsim.proxy.counts import EndpointCounts
from kpsim.proxy.node import NodeConfig, PortState
from kpsim.proxy.params import ModePeriods, ProxyParams
from kpsim.proxy.rules import REFUSED, Packet, Rule, Trace, Walk
from kpsim.units import I64, Version

NODE_PORT_RULES = 3  # KUBE-NODEPORT-CONTAINER, KUBE-NODEPORT-HOST, and one in the filter table
CONSTANT_PROCESSES = 2 * len(JUMPS)  # five chains, five jumps
CONSTANT_PROCESSES_NAT = CONSTANT_PROCESSES - 2
SOCKETS_A_CONNECTION = 2  # the client's and the endpoint's
MIN_SYNC_PERIOD_SINCE = (1, 20)  # kubernetes/kubernetes 92836: a minSyncPeriod of 0 is one second from then on
LENT_BY = "iptables"  # userspace has no section of its own in the configuration and takes the periods of this one


class Userspace:
    """The mode behind ``--proxy-mode=userspace``."""

    name = "userspace"
    about = ABOUT
    family = "userspace"
    scan_rotates = False
    falls_back = False
    ignores_policies = True
    drops_without_local = False
    refuses = True
    reports_programming = False

    def __init__(self, params: ProxyParams, backend: str = "legacy") -> None:
        self._params = params

    def runner(self, version: Version) -> RunnerSettings:
        """Return a pace of one full sync every syncPeriod, changes or not, by the iptables section's periods."""
        defaults = load_defaults()
        lent = next((each for each in self._params.periods if each.mode == LENT_BY), ModePeriods(LENT_BY))
        period = self._params.sync_period_s or lent.sync_period_s or defaults.value("kube_proxy.sync_period")
        minimum = self._params.min_sync_period_s
        if minimum is None:
            minimum = lent.min_sync_period_s or 0.0
        if version >= MIN_SYNC_PERIOD_SINCE:
            minimum = minimum or defaults.value("kube_proxy.min_sync_period_iptables")
        return RunnerSettings(
            min_sync_s=minimum, idle_s=period, full_s=None, cleanup_s=period, at_once=True, locks=True
        )

    def resources(self) -> Sequence[Resource]:
        """Descriptors, without which kube-proxy ends (it panics), and ports to listen on."""
        return (
            Resource(
                "file descriptors of kube-proxy",
                "limits.userspace_descriptors",
                "descriptors",
                per_connection=SOCKETS_A_CONNECTION,
                per_service_port=1,
            ),
            Resource("ports to listen on", "limits.local_ports", "ports", per_service_port=1),
        )

    def rule_counts(self, services: ServiceColumns, endpoints: EndpointCounts) -> RuleCounts:
        """``dispatch`` counts KUBE-PORTALS-CONTAINER, ``own`` all others; endpoints have none, nor make any go."""
        addresses = 1 + services.external_ips + services.load_balancer_ips
        host = services.ports * addresses + NODE_PORT_RULES * services.node_ports
        return RuleCounts(
            dispatch=services.proxied * services.ports * (addresses + services.external_ips),
            own=services.proxied * host,
        )

    def rules_present(self, dispatch: int | I64, own: int | I64) -> int | I64:
        """Return the number of rules in all five chains."""
        return dispatch + own

    def sync_work(self, kind: SyncKind, counts: SyncCounts) -> Work:
        """Return a process for each chain, each jump and each rule; every one reads its whole table back.

        Of a NodePort's three rules one is in the filter table.  How many there are is what ``own`` has more than
        ``dispatch``: exact without external addresses, each of which hides a third of one.
        """
        rules = counts.dispatch + counts.own
        elsewhere = np.maximum(counts.own - counts.dispatch, 0) // NODE_PORT_RULES
        nat = rules - elsewhere
        return {
            "process_run": CONSTANT_PROCESSES + rules,
            "rule_read_back": (CONSTANT_PROCESSES_NAT + nat) * nat + (2 + elsewhere) * elsewhere,
        }

    def stages(self, state: PacketState) -> Sequence[Stage]:
        """Return the scan and the two connections; a packet without an endpoint finds its portal all the same."""
        scan = Stage("scan of KUBE-PORTALS-CONTAINER", {"rule_passed": 1}, Steps.DISPATCH)
        if state == PacketState.LATER:
            return (Stage("conntrack hit, read from one socket, write to the other", {"packet_later": 1}),)
        if state == PacketState.REFUSED:
            return (Stage("path, conntrack, REDIRECT, accept, close", {"connection_closed": 1}), scan)
        return (Stage("path, conntrack, REDIRECT, accept, dial, copy", {"packet_first": 1}), scan)

    def endpoint_steps(self, index: I64, endpoints: I64) -> I64:
        """Round robin looks at one endpoint."""
        return np.zeros_like(index)

    def select(self, draw: I64, turn: I64, endpoints: I64) -> I64:
        """Round robin, a turn for each service port and node."""
        return turn % np.maximum(endpoints, 1)

    def program(self, states: Iterable[PortState], config: NodeConfig, rotation: int = 0) -> ProgrammedUserspace:
        """Return the portals for ``states``; protocols without a socket in kube-proxy count in closed forms only."""
        served = (state for state in states if config.as_counted or state.info.protocol in SOCKETS)
        return ProgrammedUserspace(program(served, config), self)


@dataclass(frozen=True, slots=True)
class ProgrammedUserspace:
    """The portals and sockets of one node."""

    rules: UserspaceRules
    mode: Userspace

    words: ClassVar = ModeWords(
        later=(
            "conntrack translates them to kube-proxy's port without reading the nat table again; kube-proxy reads each "
            "from the client's socket and writes it to the endpoint's"
        ),
        refused=(
            "kube-proxy accepts the connection, finds nobody to dial and closes it (the client is connected, then "
            "reads end of file); a UDP datagram is thrown away"
        ),
        outside=(
            "all addresses lead to the one port kube-proxy listens on, the NodePort by KUBE-NODEPORT-CONTAINER, others "
            "by KUBE-PORTALS-CONTAINER; traffic policies and source ranges are not looked at"
        ),
    )

    def text(self, changed: Collection[str] | None = None) -> Iterator[str]:
        """Yield a shell script: the iptables commands of a sync, one after the other."""
        return command_lines(self.rules, changed)

    def trace(self, packet: Packet) -> Trace:
        """Follow a packet from any source to kube-proxy and on to whom it dials."""
        return trace(self.rules, self.rules.config, packet)

    def listing(self, service: str) -> Iterator[str]:
        """Yield the Service's portals as ``iptables-save`` prints them, and its sockets."""
        return service_lines(self.rules, service)

    def path(self, packet: Packet, walk: Walk, total: int) -> Iterator[str]:
        """Yield the scan, the socket, the choice, the second connection."""
        _, rule = self._portal(packet)
        listener = self.rules.listener(rule)
        tcp = listener.info.protocol == "TCP"
        before = max(total - 1, 0)
        yield (
            f"nat table, PREROUTING -> {CONTAINER}: other rules come first, {before / 2:,.10g} on average "
            f"(0 to {before:,}), in the order in which kube-proxy came to know the Services"
        )
        yield f"takes:  {rule.render(CONTAINER)}"
        yield (
            f"the packet is for the node now, and kube-proxy wakes up: it {'accepts' if tcp else 'reads'} "
            f"on port {listener.port} ({'one descriptor for the client' if tcp else 'one socket for all clients'})"
        )
        if walk.pod < 0:
            yield "its list of endpoints for this service port is empty"
            return
        yield f"round robin, under one lock for all Services: the next of {len(listener.endpoints):,} endpoints"
        yield (
            "kube-proxy connects to it from the node's own address (another descriptor): "
            "the Pod sees the node, never the client"
        )

    def walk(self, packet: Packet, draw: int, turn: int) -> Walk:
        """Scan for the portal of a ClusterIP and take the endpoint whose turn it is."""
        scanned, rule = self._portal(packet)
        listener = self.rules.listener(rule)
        met = (rule.render(CONTAINER), listener.render())
        if not listener.endpoints:
            return Walk(REFUSED, scanned, 0, met)
        taken = listener.endpoints[chosen(self.mode, draw, turn, len(listener.endpoints))]
        return Walk(taken.pod, scanned, 0, met)

    def _portal(self, packet: Packet) -> tuple[int, Rule]:
        """Return the rule that takes a Pod's packet to a ClusterIP, and how many stand before it."""
        wanted = (packet.destination, packet.protocol.lower(), packet.port)
        return next(
            (place, rule)
            for place, rule in enumerate(self.rules.chains[CONTAINER])
            if (rule.destination, rule.protocol, rule.port) == wanted
        )
