"""A Cilium-like replacement of kube-proxy: translation at the socket, lookups in hash maps, and no list at all.

Not a part of Kubernetes.  A connection of a Pod is translated once, at connect(): its first packet pays a few lookups
that do not grow with Services, later ones none.  The agent takes the watch's events in batches and writes what the
changed Services' frontends consist of, entry by entry; nothing is visited for the others, and after half an hour of
quiet the maps are read to delete what belongs to nobody.  What a node runs out of are the maps: 65,536 entries of the
Service map hold the masters and slots of all frontends.

Left out: the cost of session affinity's extra lookup, of traffic from outside (SNAT, DSR, XDP), Maglev's tables,
network policies and everything else an agent does, topology hints, the slots of endpoints that terminate beside ready
ones (so maps look a little emptier during a roll-out than they are), that a failed write is tried again alone, and the
rest of KubeProxyConfiguration, which nothing here reads.
Source: Cilium 1.18 and later, pkg/loadbalancer (reflectors, writer, reconciler), bpf/bpf_sock.c, bpf/lib/lb.h.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from kpsim.cluster.columns import ServiceColumns
from kpsim.modes.ebpf.about import ABOUT
from kpsim.modes.ebpf.program import NODE_PORT_FRONTENDS, program
from kpsim.modes.ebpf.rules import EbpfRules
from kpsim.modes.ebpf.text import HEADING, frontend_lines, list_lines, update_lines
from kpsim.modes.ebpf.tracer import trace
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
)
from kpsim.proxy.counts import EndpointCounts, PortKind, port_kinds
from kpsim.proxy.node import NodeConfig, PortState
from kpsim.proxy.params import ProxyParams
from kpsim.proxy.rules import REFUSED, Packet, Trace, Walk, few
from kpsim.units import I64, Version

FULL_S = 31_536_000.0  # a year: longer than any run, because only an agent that starts writes everything
CALLS_AN_ENTRY = 2  # a slot: itself, and its affinity match made or deleted; a master: itself, and the reverse NAT


class Ebpf:
    """The mode of clusters that have no kube-proxy, because Cilium (or its like) does that work."""

    name = "ebpf"
    about = ABOUT
    family = "ebpf"
    scan_rotates = False
    falls_back = False
    ignores_policies = False
    drops_without_local = False  # an empty frontend refuses, whyever it is empty
    refuses = True
    reports_programming = False  # Cilium has metrics of its own

    def __init__(self, params: ProxyParams, backend: str = "legacy") -> None:
        self._params = params

    def runner(self, version: Version) -> RunnerSettings:
        """Events are taken from a buffer at each tick, and maps are pruned every half an hour, in any Kubernetes.

        The minimum between syncs stands for the tick: exact on a node that is told something all the time; on an idle
        one an event goes through at once that would have waited for half a tick.  A minSyncPeriod configured for this
        mode sets it, in the place of Cilium's lb-reflector-wait-time; a syncPeriod means nothing here.
        """
        defaults = load_defaults()
        minimum, period = self._params.min_sync_period_s, self._params.sync_period_s
        prune_s = defaults.value("cilium.prune_interval")
        return RunnerSettings(
            min_sync_s=defaults.value("cilium.reflector_wait") if minimum is None else minimum,
            idle_s=prune_s,
            full_s=FULL_S,
            cleanup_s=prune_s if period is None else period,
            retry_s=defaults.value("cilium.retry_backoff"),
        )

    def resources(self) -> Sequence[Resource]:
        """Entries of the maps; a connection is tracked twice, where it leaves its Pod and where it arrives."""
        return (
            Resource("Service map", "limits.bpf_lb_map", "entries", per_own=1.0),
            Resource("reverse-NAT map", "limits.bpf_lb_map", "entries", per_dispatch=1.0),
            Resource("backend map", "limits.bpf_lb_map", "entries", per_endpoint=1.0),
            Resource("connection-tracking map", "limits.bpf_ct_tcp", "entries", per_connection=2.0),
            Resource("socket reverse-NAT map", "limits.bpf_socket_reverse", "entries", per_connection=1.0),
        )

    def rule_counts(self, services: ServiceColumns, endpoints: EndpointCounts) -> RuleCounts:
        """``dispatch`` counts frontends, ``own`` their entries in the Service map: a master and a slot a backend."""
        reachable, _ = kinds = port_kinds(services, endpoints)
        outside = np.where(reachable.outside_local > 0, reachable.local, reachable.cluster)
        node_ports = services.proxied * services.node_ports * NODE_PORT_FRONTENDS
        scoped = node_ports + reachable.ports * services.load_balancer_ips
        again = scoped * (reachable.inside_local != reachable.outside_local)  # for clients inside the cluster
        external = scoped + reachable.ports * services.external_ips
        frontends = external + again
        slots = external * outside + again * _inside(reachable)
        for kind in kinds:
            frontends = frontends + kind.ports
            slots = slots + kind.ports * _inside(kind)
        return RuleCounts(dispatch=np.asarray(frontends, np.int64), own=np.asarray(frontends + slots, np.int64))

    def rules_present(self, dispatch: int | I64, own: int | I64) -> int | I64:
        """Return the entries of the reverse-NAT and Service maps; shared backends are not counted."""
        return dispatch + own

    def sync_work(self, kind: SyncKind, counts: SyncCounts) -> Work:
        """System calls for every entry of the changed Services' frontends, and for each backend that came or went.

        A sync with nothing to do is the pruning, which reads all maps.  A full one is an agent's start: it reads what
        is there, to keep its numbers, and writes everything.
        """
        entries = counts.own + counts.dispatch + counts.endpoints
        if kind.whole:
            return {
                "reconcile_round": 1,
                "service_reconciled": counts.service_ports,
                "bpf_map_call": CALLS_AN_ENTRY * counts.own + counts.endpoints,
                "map_entry_dumped": entries,
            }
        return {
            "reconcile_round": (counts.changed_services > 0) * 1,
            "service_reconciled": counts.changed_services,
            "bpf_map_call": CALLS_AN_ENTRY * counts.changed_own + counts.endpoint_changes,
            "map_entry_dumped": (counts.changed_services == 0) * entries,
        }

    def stages(self, state: PacketState) -> Sequence[Stage]:
        """The same lookups whatever the number of Services; a connect() that is refused sends no packet at all."""
        if state == PacketState.LATER:
            return (Stage("connection table hit", {"packet_later": 1}),)
        if state == PacketState.REFUSED:
            return (Stage("connect() refused in its hook", {"connect_refused": 1}),)
        return (Stage("connect() hook, path, connection table", {"packet_first": 1}),)

    def endpoint_steps(self, index: I64, endpoints: I64) -> I64:
        """A slot is found by its number."""
        return np.zeros_like(index)

    def select(self, draw: I64, turn: I64, endpoints: I64) -> I64:
        """Uniform: the kernel's random number, modulo the count."""
        return (draw * endpoints) >> 32

    def program(self, states: Iterable[PortState], config: NodeConfig, rotation: int = 0) -> ProgrammedEbpf:
        """Return the maps for ``states``, policies and all."""
        return ProgrammedEbpf(program(states, config))


@dataclass(frozen=True, slots=True)
class ProgrammedEbpf:
    """The maps of one node."""

    rules: EbpfRules

    words: ClassVar = ModeWords(
        later=(
            "the socket has the Pod's own address: no packet carries the ClusterIP, none is looked up as a Service's "
            "or translated; each is found in the agent's own connection table (not nf_conntrack)"
        ),
        refused='connect() fails at once (EHOSTUNREACH, the client sees "no route to host")',
        outside=(
            "the same maps, asked by the program at the node's device; towards a Pod of another node the packet is "
            "masqueraded, a Pod of this node sees the client; the ClusterIP itself is not served from outside"
        ),
    )

    def text(self, changed: Collection[str] | None = None) -> Iterator[str]:
        """Yield a listing as ``cilium-dbg bpf lb list`` prints it, which nothing takes back; or the entries written."""
        return list_lines(self.rules) if changed is None else update_lines(self.rules, changed)

    def trace(self, packet: Packet) -> Trace:
        """Follow a connection from any source, lookup by lookup."""
        return trace(self.rules, packet)

    def listing(self, service: str) -> Iterator[str]:
        """Yield every frontend of the Service with its slots, under the tool's heading."""
        mine = [frontend for frontend in self.rules.services.values() if frontend.service == service]
        yield from [HEADING] if mine else []
        for frontend in mine:
            yield from few(list(frontend_lines(frontend, self.rules.config.ip_family)), "slots")

    def path(self, packet: Packet, walk: Walk, total: int) -> Iterator[str]:
        """Yield every lookup, hook by hook; then a sentence on the packets themselves."""
        yield from walk.met
        if walk.pod >= 0:
            yield "the packet goes out with the Pod's address: nothing of the Service is left in it"

    def walk(self, packet: Packet, draw: int, turn: int) -> Walk:
        """A Pod of this node connects to a ClusterIP; the node itself does, where no range says what Pods are."""
        config = self.rules.config
        client = packet if config.pod_cidr else replace(packet, source=config.node_ips[0])
        found = trace(self.rules, client, draw=draw)
        return Walk(found.pod if found.verdict == "DNAT" else REFUSED, 0, 0, found.met)


def _inside(kind: PortKind) -> I64:
    """Backends of a frontend for clients inside the cluster."""
    return np.where(kind.inside_local > 0, kind.local, kind.cluster)
