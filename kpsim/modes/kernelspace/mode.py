"""kube-proxy's kernelspace mode on Windows: HNS load balancers, a flow table, and a sync made of slow calls.

Structure from pkg/proxy/winkernel/proxier.go and loadbalancer.go, Kubernetes 1.31 and later.  The first packet of a
flow goes through VFP's layers, whose rules are found by hash and trie, so its cost is taken not to grow with the number
of Services; later ones hit the unified flow table.  Every sync lists all endpoints and load balancers of HNS, but
only touches Services that changed; what it touches it deletes and creates by one call each, and nothing is atomic.
There is no periodic full sync: ``FULL`` is what a kube-proxy does that starts on a node without load balancers.

``dispatch`` counts load balancers, ``own`` the endpoints behind them.  Left out of the counts the engines use: which
terminating endpoints Windows' kube-proxy would take (:mod:`kpsim.modes.kernelspace.backends` knows it), the price
of deleting load balancers of Services that go, that remote endpoints are shared by service ports, and the moment
without a load balancer between deletion and creation.
Source of the data path: Firestone, "VFP: A Virtual Switch Platform for Host SDN in the Public Cloud", NSDI 2017.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from kpsim.cluster.columns import ServiceColumns
from kpsim.modes.kernelspace.about import ABOUT
from kpsim.modes.kernelspace.backends import as_counted, as_winkernel
from kpsim.modes.kernelspace.policies import LoadBalancer, WindowsRules
from kpsim.modes.kernelspace.program import program
from kpsim.modes.kernelspace.text import document_lines, listing_lines
from kpsim.modes.kernelspace.tracer import trace
from kpsim.profiles.defaults import load_defaults
from kpsim.proxy.contract import (
    NEVER_FULL_S,
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
from kpsim.proxy.params import ModePeriods, ProxyParams
from kpsim.proxy.rules import DROPPED, Packet, Trace, Walk
from kpsim.units import I64, Version

QUERIES = 4  # the network; the network again, for its endpoints; those; all load balancers
QUERIES_A_VIP = 1  # on overlay networks the network once more for each remote endpoint


class Kernelspace:
    """The mode behind ``--proxy-mode=kernelspace``."""

    name = "kernelspace"
    about = ABOUT
    family = "kernelspace"
    scan_rotates = False
    falls_back = False
    ignores_policies = False
    drops_without_local = True
    refuses = False
    reports_programming = False

    def __init__(self, params: ProxyParams, backend: str = "legacy") -> None:
        self._params = params
        self._settings = params.settings.winkernel

    def runner(self, version: Version) -> RunnerSettings:
        """Periods of iptables' section where this mode has none; a sync every syncPeriod even when idle."""
        defaults = load_defaults()
        lent = next((each for each in self._params.periods if each.mode == "iptables"), ModePeriods("iptables"))
        minimum = self._params.min_sync_period_s or lent.min_sync_period_s
        period = self._params.sync_period_s or lent.sync_period_s or defaults.value("kube_proxy.sync_period")
        return RunnerSettings(
            min_sync_s=minimum or defaults.value("kube_proxy.min_sync_period_iptables"),
            idle_s=period,
            full_s=NEVER_FULL_S,
            cleanup_s=period,
        )

    def resources(self) -> Sequence[Resource]:
        """None that adds up over a node: the most endpoints there can be are behind each load balancer for itself.

        Before the updates of April 2020 each load balancer without direct server return took 64 of the node's 16,384
        dynamic ports, so that 256 were the most.
        """
        return ()

    def rule_counts(self, services: ServiceColumns, endpoints: EndpointCounts) -> RuleCounts:
        """Return the counts of load balancers and endpoints behind them; both 0 for ports without endpoints."""
        reachable, _ = kinds = port_kinds(services, endpoints)
        addresses = services.external_ips + services.load_balancer_ips
        outside = np.where(reachable.outside_local > 0, reachable.local, reachable.cluster)
        entrances = reachable.ports * addresses + services.node_ports * services.proxied
        checked = (reachable.ports > 0) * services.load_balancer_ips * self._settings.forward_health_check_vip
        balancers = (entrances + checked) * (outside > 0)
        behind = entrances * outside + checked * (outside > 0)
        for kind in kinds:
            inside = np.where(kind.inside_local > 0, kind.local, kind.cluster)
            balancers = balancers + kind.ports * (inside > 0)
            behind = behind + kind.ports * inside
        return RuleCounts(dispatch=balancers, own=behind)

    def rules_present(self, dispatch: int | I64, own: int | I64) -> int | I64:
        """Load balancers and endpoints behind them."""
        return dispatch + own

    def sync_work(self, kind: SyncKind, counts: SyncCounts) -> Work:
        """Lists of everything, then a call for each endpoint and load balancer that is new or has changed."""
        overlay = int(self._settings.overlay)
        work: dict[str, int | I64] = {
            "service_port_visited": counts.service_ports,
            "hns_query": QUERIES,
            "object_listed": counts.endpoints + counts.dispatch + overlay * counts.service_ports,
        }
        if kind.whole:
            made = counts.endpoints + overlay * counts.service_ports
            return work | {
                "hns_query": QUERIES + QUERIES_A_VIP * overlay * made,
                "endpoint_changed": made,
                "load_balancer_created": counts.dispatch,
                "endpoint_named": counts.own,
            }
        work["endpoint_changed"] = counts.endpoint_changes
        work["endpoint_named"] = counts.changed_own
        if self._settings.modifies:
            return work | {"load_balancer_modified": counts.changed_dispatch}
        return work | {
            "load_balancer_deleted": counts.changed_dispatch,
            "load_balancer_created": counts.changed_dispatch,
        }

    def stages(self, state: PacketState) -> Sequence[Stage]:
        """Once through the layers, whatever the number of Services; then the flow is known."""
        if state == PacketState.LATER:
            return (Stage("unified flow table hit", {"packet_later": 1}),)
        rule = "load-balancer rule, new flow" if state == PacketState.FIRST else "no rule, new flow"
        return (Stage(f"VFP layers, {rule}", {"packet_first": 1}),)

    def endpoint_steps(self, index: I64, endpoints: I64) -> I64:
        """A hash chooses without looking."""
        return np.zeros_like(index)

    def select(self, draw: I64, turn: I64, endpoints: I64) -> I64:
        """Uniform: the hash of a new flow's addresses and ports."""
        return (draw * endpoints) >> 32

    def program(self, states: Iterable[PortState], config: NodeConfig, rotation: int = 0) -> ProgrammedKernelspace:
        """Load balancers and endpoints as Windows' kube-proxy makes them, or as the closed forms count them."""
        choice = as_counted if config.as_counted else as_winkernel
        return ProgrammedKernelspace(program(states, config, self._settings, choice), self)


@dataclass(frozen=True, slots=True)
class ProgrammedKernelspace:
    """The load balancers and endpoints of one node."""

    rules: WindowsRules
    mode: Kernelspace

    words: ClassVar = ModeWords(
        later="VFP's unified flow table knows the flow and what to rewrite; the layers are not gone through again",
        refused=(
            "not refused: its packets find no load balancer, leave by the default route and are lost, and the client "
            "times out"
        ),
        outside=(
            "these addresses have load balancers of their own, a NodePort one for every address of the node; such a "
            "packet gets the source VIP for its source (under externalTrafficPolicy: Local it keeps its own), and the "
            "node itself cannot use its own NodePorts"
        ),
    )

    def text(self, changed: Collection[str] | None = None) -> Iterator[str]:
        """Yield the documents handed to HNS, as JSON, one a line: a listing, since no tool takes it."""
        return document_lines(self.rules, changed)

    def trace(self, packet: Packet) -> Trace:
        """Follow a packet from any source to the load balancer that is for it."""
        return trace(self.rules, self.rules.config, packet)

    def listing(self, service: str) -> Iterator[str]:
        """Yield the Service's load balancers, as ``hnsdiag list loadbalancers`` shows them."""
        return listing_lines(self.rules, service, int(load_defaults().value("limits.hns_load_balancer_endpoints")))

    def path(self, packet: Packet, walk: Walk, total: int) -> Iterator[str]:
        """Flow table, layers, load balancer, hash, and what is remembered of it."""
        policy = self._load_balancer(packet)
        yield "from the Pod to its port of the virtual switch, whose unified flow table does not know the flow"
        if policy is None:
            yield f"VFP's layers: none of the node's {total:,} load balancers is for it, because nobody is behind it"
            yield "it is routed like any other packet: out by the default route, where nobody knows the ClusterIP"
            return
        yield f"VFP's layers, once: {policy.line()}"
        hashed = "the client's address" if policy.affinity else "addresses, ports and protocol"
        yield f"a hash of {hashed} chooses 1 of {len(policy.endpoints):,}"
        rewritten = "the destination is" if policy.dsr else "destination and source are"
        yield f"{rewritten} rewritten, and both directions of the flow enter the unified flow table"

    def walk(self, packet: Packet, draw: int, turn: int) -> Walk:
        """Find a ClusterIP's load balancer and hash the flow."""
        policy = self._load_balancer(packet)
        if policy is None:
            return Walk(DROPPED, 0, 0)
        taken = policy.endpoints[chosen(self.mode, draw, turn, len(policy.endpoints))]
        return Walk(taken.pod, 0, 0, (policy.line(),))

    def _load_balancer(self, packet: Packet) -> LoadBalancer | None:
        return self.rules.granted.get(packet.key)
