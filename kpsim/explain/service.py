"""One Service, explained: the rules it becomes on a node, and what the packets of a connection meet and pay there.

The rules, the walk through them and the stages that cost something are the mode's own; here they are put in order and
given words.  Left out: the chains that are the same on every node whatever Services there are, and the price of traffic
from outside the cluster [A16].
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from kpsim.datapath.prices import by_tcp
from kpsim.explain.story import OUTSIDE, VERDICTS, sent
from kpsim.explain.subject import Subject, entrances, facts_of, find_service
from kpsim.profiles.costs import Costs
from kpsim.proxy.contract import Mode, ModeWords, PacketState, Stage, Steps, stories
from kpsim.proxy.node import ip_port
from kpsim.proxy.rules import Packet
from kpsim.proxy.states import port_info
from kpsim.proxy.sync.timeline import start_counts
from kpsim.rng import stream
from kpsim.scenario.model import Scenario
from kpsim.simulation import build_cluster, mode_of

LOCAL_WAY = (
    "externalTrafficPolicy: Local keeps the source: such a packet from outside is not masqueraded, and goes to "
    "endpoints of the node it came to alone"
)
FALLS_BACK = ", or where there are none to any, whose answers go to the client from a Pod it never called"


@dataclass(frozen=True, slots=True)
class CostLine:
    """One stage's cost for one kind of packet; ``steps`` is text, because a range may stand there."""

    packet: str
    stage: str
    steps: str
    each_s: float | None
    total_s: float


@dataclass(frozen=True, slots=True)
class PortExplanation:
    """One service port; ``where`` is the node whose rules these are."""

    headline: str
    facts: tuple[str, ...]
    where: str
    rules: tuple[str, ...]
    path: tuple[str, ...]
    verdict: str
    costs: tuple[CostLine, ...]
    later: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """A Service and all its ports."""

    headline: str
    facts: tuple[str, ...]
    ports: tuple[PortExplanation, ...]
    footnotes: tuple[str, ...]
    warnings: tuple[str, ...]


def explain_service(scenario: Scenario, name: str, node: str = "") -> Explanation:
    """Explain the Service ``namespace/name`` as it is on ``node``; without one, on a node without its endpoints.

    Raises :class:`InputError` if there is no Service or no node of that name.
    """
    cluster, warnings = build_cluster(scenario)
    subject = find_service(scenario, cluster, name, node)
    mode, costs = mode_of(scenario, scenario.kube_proxy.mode)
    about_it = tuple(w for w in warnings if name in w or not w.startswith("Service "))
    headline = f"Service {name}, type {subject.type}, under kube-proxy mode {mode.name}"
    facts = tuple(facts_of(subject, ignores_policies=mode.ignores_policies, falls_back=mode.falls_back))
    if not cluster.services.proxied[subject.row]:
        return Explanation(headline, facts, (), (), about_it)
    total = int(start_counts(cluster, mode).dispatch.sum())
    ports = tuple(_explain_port(scenario, subject.of_port(q), mode, costs, q, total) for q in subject.ports)
    footnotes = _footnotes(scenario, subject, mode, costs, total)
    if any("[A" in fact for fact in (*facts, *(fact for port in ports for fact in port.facts))):
        footnotes += ("[A…]: an assumption of the model; kpsim sources lists them.",)
    return Explanation(headline, facts, ports, footnotes, about_it)


def _explain_port(
    scenario: Scenario, subject: Subject, mode: Mode, costs: Costs, q: int, total: int
) -> PortExplanation:
    cluster = subject.cluster
    view = subject.view(q)
    packet = view.packet(q)
    programmed = stories(mode, mode.program(view.port_states(), view.config))
    words = programmed.words
    draw = int(stream(scenario.run.seed, "explain", q).integers(0, 1 << 32))
    walk = programmed.walk(packet, draw, q)
    name = f" {cluster.port_name[q]}" if cluster.port_name[q] else ""
    served, local = walk.pod >= 0, _is_local(subject, mode)
    unserved = "" if served else _unserved(subject, mode)
    to = view.address(q, walk.pod) if served else ""  # there may be no Pod at all
    return PortExplanation(
        headline=f"port{name} {ip_port(subject.ip, int(cluster.port_number[q]))}/{cluster.port_protocol[q]}",
        facts=(*entrances(subject, q, _local_way(mode), words.outside), *_ways_in(subject, mode, q)),
        where=subject.node or ("a node without endpoints of it" if local else "every node"),
        rules=tuple(programmed.listing(subject.name)),
        path=tuple(f"{number}. {line}" for number, line in enumerate(programmed.path(packet, walk, total), 1)),
        verdict=f"it goes to {to}, and so does the rest of the connection" if served else _nobody(subject, mode, words),
        costs=_cost_lines(
            mode,
            costs,
            total,
            _choices(subject, served=served),
            unserved=unserved,
            whole=scenario.traffic.handshakes and cluster.port_protocol[q] == "TCP",
        ),
        later=words.later if served else "",
    )


def _local_way(mode: Mode) -> str:
    """Return what externalTrafficPolicy: Local does with a packet from outside, nothing where the mode ignores it."""
    return "" if mode.ignores_policies else LOCAL_WAY + FALLS_BACK * mode.falls_back


def _ways_in(subject: Subject, mode: Mode, q: int) -> Iterator[str]:
    """Yield what a client outside meets at each address but the ClusterIP; under Local also where endpoints are."""
    info = port_info(subject.cluster, q)
    told = [subject]
    if info.external_local and not subject.node and subject.pods and not mode.ignores_policies:
        home = int(subject.cluster.homes(subject.cluster.pods)[subject.pods[0]])
        told.append(replace(subject, node=subject.cluster.node_name(home)))
    for each in told:
        view = each.view(q)
        programmed = stories(mode, mode.program(view.port_states(), view.config))
        doors = [(view.config.node_ips[0], info.node_port)] if info.node_port else []
        doors += [(ip, info.port) for ip in (*info.external_ips, *info.load_balancer_vips)]
        where = f" on {each.node}" if each.node else " on a node without endpoints of it" if len(told) > 1 else ""
        for ip, port in doors:
            trace = programmed.trace(Packet(OUTSIDE[view.config.ip_family], ip, port, info.protocol))
            found = sent(trace.endpoints, trace.masqueraded) if trace.verdict == "DNAT" else VERDICTS.get(trace.verdict)
            yield f"from outside to {ip_port(ip, port)}{where}: {found or programmed.words.refused}"


def _choices(subject: Subject, *, served: bool) -> int:
    """Among how many endpoints a first packet's is chosen; on any node, if none is named."""
    if not subject.node or not subject.local("internal"):
        return len(subject.pods)
    return len(subject.pods_here()) or len(subject.pods) if served else 0


def _is_local(subject: Subject, mode: Mode) -> bool:
    """Return True if some of its traffic stays on its node, so that nodes with its endpoints have other rules."""
    policy = subject.local("internal") or subject.local("external")
    return bool(subject.pods) and policy and not mode.ignores_policies


def _nobody(subject: Subject, mode: Mode, words: ModeWords) -> str:
    """Return the fate of a packet that finds no endpoint, because there is none or because of a Local policy."""
    if not _is_local(subject, mode):
        return f"no endpoint can serve it: {words.refused}"
    drops = mode.refuses and _unserved(subject, mode) == "dropped"
    where, why = subject.node or "such a node", VERDICTS["DROP"] if drops else words.refused
    return f"no endpoint on {where} may serve it: {why}"


def _unserved(subject: Subject, mode: Mode) -> str:
    """Return "dropped" or "refused", as a packet is called that finds no endpoint."""
    drops = not mode.refuses or (mode.drops_without_local and _is_local(subject, mode))
    return "dropped" if drops else PacketState.REFUSED.value


def _cost_lines(
    mode: Mode, costs: Costs, total: int, usable: int, *, unserved: str, whole: bool
) -> tuple[CostLine, ...]:
    """Return the cost lines of a first packet, a later one, and one without an endpoint; scans at half the list.

    ``whole``: a connection's beginning is its whole handshake.
    """
    states = (PacketState.FIRST, PacketState.LATER) if usable else ()
    lines = []
    for state in (*states, PacketState.REFUSED) if unserved else states:
        packet, sum_s = unserved if state is PacketState.REFUSED else state.value, 0.0
        stages = mode.stages(state)
        for stage in stages:
            mean, most = _steps(mode, stage, total, usable)
            work = by_tcp(stage.work, costs) if whole and state is PacketState.FIRST else stage.work
            each_s = float(costs.seconds(work))
            text = f"{mean:,.10g}" if mean == most else f"{mean:,.1f} on average, 0 to {most:,}"
            lines.append(CostLine(packet, stage.name, text, each_s, each_s * mean))
            sum_s += each_s * mean
        if len(stages) > 1:
            lines.append(CostLine(packet, "total", "", None, sum_s))
    return tuple(lines)


def _steps(mode: Mode, stage: Stage, total: int, usable: int) -> tuple[float, int]:
    """Return (mean, most) of the times that a stage's work is done."""
    if stage.steps is Steps.DISPATCH:
        return max(total - 1, 0) / 2, max(total - 1, 0)
    if stage.steps is Steps.EVERY_DISPATCH:
        return float(total), total
    if stage.steps is Steps.ENDPOINT:
        every = mode.endpoint_steps(np.arange(usable), np.full(usable, usable))
        return float(every.mean()), int(every.max())
    return 1.0, 1


def _footnotes(scenario: Scenario, subject: Subject, mode: Mode, costs: Costs, total: int) -> tuple[str, ...]:
    profile = scenario.profile
    scale = f", times {profile.cpu_scale:g}" if profile.cpu_scale != 1 else ""
    source = (
        f"{mode.family} of profile {profile.name} ({profile.set} set, cache warmth {profile.cache_warmth:g}{scale})"
    )
    notes = [f"Costs: {source}, one packet alone: no waiting for a busy core."]
    states = (PacketState.FIRST, PacketState.LATER) if subject.pods else (PacketState.REFUSED,)
    for stage in (stage for state in states for stage in mode.stages(state)):
        most = _steps(mode, stage, total, len(subject.pods))[1]
        for name in stage.work:
            if times := costs.extrapolation(name, most):
                measured = costs.coefficients[name].measured_to or 0
                what = f"{stage.name}, measured up to {measured:,.0f} steps and here up to {most:,} ({times:.1f}x)"
                notes.append(f"Extrapolated: {what}.")
    if _is_local(subject, mode) and subject.local("internal"):
        notes.append("First and later packets: on a node that has an endpoint.")
    if mode.scan_rotates and subject.pods:
        notes.append("The place in the list changes with every sync, so the average is what counts, not today's place.")
    return tuple(notes)
