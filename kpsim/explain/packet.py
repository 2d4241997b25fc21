"""A packet on one node, traced: which rules it meets in order, where it can go, and what the scan costs it."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from kpsim.cluster.columns import Cluster
from kpsim.errors import InputError, Place, Problem
from kpsim.explain.story import OUTSIDE, VERDICTS, PacketStory, address, named, sent, socket
from kpsim.explain.subject import check_node
from kpsim.profiles.costs import Costs
from kpsim.proxy.contract import Mode, PacketState
from kpsim.proxy.node import NodeConfig, PortState, port_states
from kpsim.proxy.rules import Packet, RuleSet, Trace
from kpsim.proxy.states import exact_states, node_config
from kpsim.scenario.model import Scenario
from kpsim.simulation import build_cluster, mode_of


@dataclass(frozen=True, slots=True)
class NodeRules:
    """One node's exact rules under a scenario's mode."""

    scenario: Scenario
    cluster: Cluster
    mode: Mode
    costs: Costs
    config: NodeConfig
    states: tuple[PortState, ...]
    rules: RuleSet
    warnings: tuple[str, ...]

    @staticmethod
    def of(scenario: Scenario, node: str, family: str = "IPv4") -> NodeRules:
        """Build the cluster and program ``node`` for one IP family, of IPv6 what objects show.

        Raises :class:`InputError` for a node that is not there.
        """
        cluster, warnings = build_cluster(scenario)
        check_node(cluster, node)
        mode, costs = mode_of(scenario, scenario.kube_proxy.mode)
        version = scenario.kubernetes_version
        config = node_config(cluster, node, scenario.cluster.pod_cidr, scenario.kube_proxy, version, family)
        states = tuple(exact_states(cluster, config)) if family == "IPv4" else port_states(scenario.objects, config)
        return NodeRules(scenario, cluster, mode, costs, config, states, mode.exact(states, config), warnings)

    def text(self, changed: Collection[str] | None = None) -> Iterator[str]:
        """The rules as the real tools take them; or what is written after the Services in ``changed`` have."""
        return self.mode.text(self.rules, changed)


def explain_packet(scenario: Scenario, source: str, destination: str, protocol: str, node: str) -> PacketStory:
    """Trace the first packet of a connection on ``node``.

    ``source`` is "pod", "node", "outside" or an address; ``destination`` is ``ip:port``, or a Service as
    ``namespace/name`` with an optional ``:port`` (number or name).  Raises :class:`InputError` if it cannot be read.
    """
    found = NodeRules.of(scenario, node)
    packet = Packet(_source(found, source), *_destination(found, destination, protocol.upper()))
    if (":" in packet.source) != (":" in packet.destination):
        what = f"{packet.source} cannot send to {packet.destination}, an address of the other IP family"
        raise InputError([Problem(Place(), key="--from", what=what, mend="give two addresses of one family")])
    trace = found.mode.trace(found.rules, found.config, packet)
    first = sum(
        float(found.costs.seconds(s.work)) for s in found.mode.stages(PacketState.FIRST) if s.steps.value == "once"
    )
    later = sum(float(found.costs.seconds(s.work)) for s in found.mode.stages(PacketState.LATER))
    return PacketStory(
        headline=(
            f"{packet.protocol} {packet.source} -> {packet.destination}:{packet.port} on {node}, "
            f"kube-proxy mode {found.mode.name}"
        ),
        met=trace.met,
        verdict=_verdict(trace, found.mode, outside=source == "outside"),
        notes=(
            f"{found.rules.dispatch:,} rules lead to service ports here; `kpsim explain service` prices the way.",
            _price(scenario, found.mode.words.later, first, later),
        ),
        warnings=found.warnings,
    )


def _price(scenario: Scenario, later: str, first_s: float, later_s: float) -> str:
    return (
        f"Without any scan the first packet pays {first_s * 1e6:.1f} µs and every later one {later_s * 1e6:.1f} µs "
        f"(profile {scenario.profile.name}); of later packets: {later}."
    )


def _verdict(trace: Trace, mode: Mode, *, outside: bool) -> str:
    if trace.verdict == "DNAT":
        return sent(trace.endpoints, trace.masqueraded)
    if trace.verdict == "REJECT" and outside:
        return VERDICTS["REJECT"]  # the words of a mode are those to a client on the node
    return mode.words.refused if trace.verdict in ("REJECT", "CLOSED") else VERDICTS[trace.verdict]


def _source(found: NodeRules, text: str) -> str:
    words = {"pod": str(ipaddress.ip_network(found.config.pod_cidr or "10.0.0.0/8")[-2]),
             "node": found.config.node_ips[0], "outside": OUTSIDE}  # fmt: skip
    return words.get(text) or address(text, "--from")


def _destination(found: NodeRules, text: str, protocol: str) -> tuple[str, int, str]:
    """Address, port and protocol of ``--to``."""
    service = named(text)
    if service is None:
        return (*socket(text), protocol)
    name, port = service
    mine = [s.info for s in found.states if s.info.service == name]
    if not mine:
        near = get_close_matches(name, {s.info.service for s in found.states}, n=1)
        mend = f"did you mean {near[0]}?" if near else "write namespace/name[:port] or ip:port"
        raise InputError([Problem(Place(), key="--to", what=f"no rules are written for a Service {name}", mend=mend)])
    chosen = [i for i in mine if port in ("", str(i.port), i.port_name)]
    if not chosen:
        ports = ", ".join(f"{i.port}{f' ({i.port_name})' if i.port_name else ''}" for i in mine)
        raise InputError([Problem(Place(), key="--to", what=f"{name} has no port {port}", mend=f"it has {ports}")])
    return chosen[0].cluster_ip, chosen[0].port, chosen[0].protocol
