"""A packet on one node, traced: which rules it meets in order, where it can go, and what the scan costs it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from kpsim.cluster.columns import Cluster
from kpsim.errors import InputError, Place, Problem, did_you_mean
from kpsim.explain.story import OUTSIDE, PODS, UNKNOWN, VERDICTS, PacketStory, address, named, sent, socket
from kpsim.explain.subject import check_node
from kpsim.profiles.costs import Costs
from kpsim.proxy.contract import Mode, ModeWords, PacketState, Stories, stories
from kpsim.proxy.node import NodeConfig, PortState, ip_port, port_states, some_pod
from kpsim.proxy.rules import Packet, Trace
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
    programmed: Stories
    warnings: tuple[str, ...]

    @staticmethod
    def of(scenario: Scenario, node: str, family: str = "") -> NodeRules:
        """Build the cluster and program ``node``, "" for its first, for one IP ``family``, "" for the cluster's first.

        Of the second family there is what objects show.

        Raises :class:`InputError` for a node that is not there.
        """
        cluster, warnings = build_cluster(scenario)
        node = node or cluster.node_name(0)
        check_node(cluster, node)
        mode, costs = mode_of(scenario, scenario.kube_proxy.mode)
        version = scenario.kubernetes_version
        config = node_config(cluster, node, scenario.cluster.pod_cidr, scenario.kube_proxy, version, family)
        first = config.ip_family == cluster.addresses.family
        states = tuple(exact_states(cluster, config)) if first else port_states(scenario.objects, config)
        programmed = stories(mode, mode.program(states, config))
        return NodeRules(scenario, cluster, mode, costs, config, states, programmed, warnings)

    def text(self, changed: Collection[str] | None = None) -> Iterator[str]:
        """Yield the rules as the real tools take them; or what is written after the Services in ``changed`` have."""
        return self.programmed.text(changed)


def explain_packet(scenario: Scenario, source: str, destination: str, protocol: str, node: str) -> PacketStory:
    """Trace the first packet of a connection on ``node``, or without one on the first there is.

    ``source`` is "pod", "node", "outside" or an address; ``destination`` is ``ip:port``, or a Service as
    ``namespace/name`` with an optional ``:port`` (number or name).  Raises :class:`InputError` if it cannot be read.
    """
    found = NodeRules.of(scenario, node, _family(scenario, source, destination))
    packet = Packet(_source(found, source), *_destination(found, destination, protocol.upper(), source == "outside"))
    if (":" in packet.source) != (":" in packet.destination):
        what = f"{packet.source} cannot send to {packet.destination}, an address of the other IP family"
        raise InputError([Problem(Place(), key="--from", what=what, mend="give two addresses of one family")])
    trace, words = found.programmed.trace(packet), found.programmed.words
    total = found.programmed.rules.dispatch
    first = sum(
        float(found.costs.seconds(s.work)) for s in found.mode.stages(PacketState.FIRST) if s.steps.value == "once"
    )
    later = sum(float(found.costs.seconds(s.work)) for s in found.mode.stages(PacketState.LATER))
    return PacketStory(
        headline=(
            f"{packet.protocol} {packet.source} -> {ip_port(packet.destination, packet.port)} on {found.config.name}, "
            f"kube-proxy mode {found.mode.name}"
        ),
        met=trace.met,
        verdict=_verdict(trace, words, outside=source == "outside"),
        notes=(
            f"{total:,} rules lead to service ports here; `kpsim explain service` prices the way.",
            _price(scenario, words.later, first, later),
        ),
        warnings=found.warnings,
    )


def _family(scenario: Scenario, source: str, destination: str) -> str:
    """The IP family of a packet: of an address that is written, else the first of the Service's; "" leaves it open."""
    if not scenario.cluster.dual_stack:
        return ""
    service = named(destination)
    if service is None:
        return "IPv6" if ":" in socket(destination)[0] else "IPv4"
    if "." in source or ":" in source:
        return "IPv6" if ":" in address(source, "--from") else "IPv4"
    names = ((f"{read.namespace}/{read.name}", read.ip_families[0]) for read in scenario.objects.services)
    return next((family for name, family in names if name == service[0]), "")


def _price(scenario: Scenario, later: str, first_s: float, later_s: float) -> str:
    return (
        f"Without any scan the first packet pays {first_s * 1e6:.1f} µs and every later one {later_s * 1e6:.1f} µs "
        f"(profile {scenario.profile.name}); of later packets: {later}."
    )


def _verdict(trace: Trace, words: ModeWords, *, outside: bool) -> str:
    if trace.verdict == "DNAT":
        return sent(trace.endpoints, trace.masqueraded)
    if trace.verdict == "REJECT" and outside:
        return VERDICTS["REJECT"]  # the words of a mode are those to a client on the node
    return words.refused if trace.verdict in ("REJECT", "CLOSED") else VERDICTS[trace.verdict]


def _source(found: NodeRules, text: str) -> str:
    config = found.config
    node = next(iter(config.node_ips), UNKNOWN[config.ip_family])
    words = {
        "pod": some_pod(config.pod_cidr or PODS[config.ip_family]),
        "node": node,
        "outside": OUTSIDE[config.ip_family],
    }
    return words.get(text) or address(text, "--from")


def _destination(found: NodeRules, text: str, protocol: str, outside: bool) -> tuple[str, int, str]:
    """Address, port and protocol of ``--to``; a client ``outside`` takes the Service's own way in, where it has one."""
    service = named(text)
    if service is None:
        return (*socket(text), protocol)
    name, port = service
    mine = [s.info for s in found.states if s.info.service == name]
    if not mine:
        mend = did_you_mean(name, {s.info.service for s in found.states}, "write namespace/name[:port] or ip:port")
        raise InputError([Problem(Place(), key="--to", what=f"no rules are written for a Service {name}", mend=mend)])
    chosen = [i for i in mine if port in ("", str(i.port), i.port_name)]
    if not chosen:
        ports = ", ".join(f"{i.port}{f' ({i.port_name})' if i.port_name else ''}" for i in mine)
        raise InputError([Problem(Place(), key="--to", what=f"{name} has no port {port}", mend=f"it has {ports}")])
    info = chosen[0]
    if outside and (addresses := (*info.load_balancer_vips, *info.external_ips)):
        return addresses[0], info.port, info.protocol
    if outside and info.node_port:
        return next(iter(found.config.node_ips), UNKNOWN[found.config.ip_family]), info.node_port, info.protocol
    return info.cluster_ip, info.port, info.protocol
