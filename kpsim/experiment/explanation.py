"""One Service, explained: the rules it becomes on a node, and what the packets of a connection pay there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kpsim.cluster.columns import Cluster, dotted
from kpsim.errors import InputError
from kpsim.experiment.replications import build_cluster
from kpsim.profiles.costs import Costs
from kpsim.proxy.contract import Mode, PacketState, Steps
from kpsim.proxy.rules import NodeView, RuleSet
from kpsim.proxy.timeline import usable_at_start
from kpsim.rng import stream
from kpsim.scenario.model import Scenario
from kpsim.simulation import mode_of

__all__ = ["CostLine", "Explanation", "PortExplanation", "explain_service"]


@dataclass(frozen=True, slots=True)
class CostLine:
    """What one stage costs one kind of packet; ``steps`` as text, because a range may stand there."""

    packet: str
    stage: str
    steps: str
    each_s: float
    total_s: float


@dataclass(frozen=True, slots=True)
class PortExplanation:
    """One service port."""

    label: str
    address: str
    rules: tuple[str, ...]
    story: str
    costs: tuple[CostLine, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """A Service and all its ports."""

    headline: str
    ports: tuple[PortExplanation, ...]
    footnote: str
    warnings: tuple[str, ...]


def explain_service(scenario: Scenario, name: str) -> Explanation:
    """Explain the Service ``namespace/name``.  Raises :class:`InputError` if there is none of that name."""
    cluster, warnings = build_cluster(scenario)
    service = cluster.names.index(name)
    if service is None or service >= cluster.initial:
        raise InputError(f"there is no Service {name}; there are {_some_names(cluster)}")
    mode, costs = mode_of(scenario, scenario.kube_proxy.mode)
    offset, pods = usable_at_start(cluster)
    endpoints = len(cluster.endpoints(service))
    usable = int(offset[service + 1] - offset[service])
    mine = [int(q) for q in range(cluster.port_offset[service], cluster.port_offset[service + 1])]
    headline = f"{name} under {mode.name}: {len(mine)} service ports, {endpoints} endpoints, {usable} usable"
    footnote = (
        f"Costs: profile {scenario.profile.name}, {scenario.profile.set} set, cache warmth "
        f"{scenario.profile.cache_warmth:g}; no queueing. The place in the list is new after every sync."
    )
    if not cluster.services.proxied[service]:
        why = "headless: clients get the endpoints from DNS" if cluster.services.headless[service] else (
            "of type ExternalName: DNS answers with another name"
        )  # fmt: skip
        return Explanation(f"{headline}\nIt is {why}; kube-proxy writes no rules for it.", (), footnote, warnings)
    view = NodeView(
        cluster,
        {s: tuple(pods[offset[s] : offset[s + 1]].tolist()) for s in [service]},
        np.array(mine),
        cluster.pod_ip,
    )
    rules = mode.program(view, 0)
    explained = tuple(_explain_port(scenario, cluster, mode, costs, rules, q, usable) for q in mine)
    return Explanation(headline, explained, footnote, warnings)


def _some_names(cluster: Cluster) -> str:
    shown = [cluster.names[i] for i in range(min(cluster.initial, 5))]
    return ", ".join(shown) + (f" and {cluster.initial - 5:,} more" if cluster.initial > 5 else "") if shown else "none"


def _explain_port(
    scenario: Scenario, cluster: Cluster, mode: Mode, costs: Costs, rules: RuleSet, q: int, usable: int
) -> PortExplanation:
    service = int(cluster.port_service[q])
    address = f"{dotted(int(cluster.services.cluster_ip[service]))}:{cluster.port_number[q]}/{cluster.port_protocol[q]}"
    total = _dispatch_total(cluster, mode)
    draw = int(stream(scenario.run.seed, "explain", q).integers(0, 1 << 32))
    walk = mode.walk(rules, q, draw, q)
    stage_kinds = {s.steps for s in mode.stages(PacketState.FIRST)}
    if walk.pod < 0:
        story = "Nobody can serve it: a new connection is refused at once."
    elif Steps.DISPATCH in stage_kinds:
        story = (
            f"A new connection passes 0 to {total - 1:,} rules of other service ports before it meets this one's, "
            f"then tries endpoint rules until one takes it, here {dotted(int(cluster.pod_ip[walk.pod]))}:"
        )
    else:
        story = f"A new connection is one lookup, and goes to {dotted(int(cluster.pod_ip[walk.pod]))}:"
    met = [f"    {line}" for line in walk.met]
    lines = _cost_lines(mode, costs, total, usable)
    return PortExplanation(cluster.label(q), address, _rendered(rules, q), "\n  ".join([story, *met]) + "\n", lines)


def _dispatch_total(cluster: Cluster, mode: Mode) -> int:
    n = np.arange(cluster.initial)
    services = cluster.services.take(n)
    usable = np.diff(usable_at_start(cluster)[0])[: cluster.initial]
    return int((mode.rule_counts(services, usable).dispatch * services.ports * services.proxied).sum())


def _rendered(rules: RuleSet, q: int) -> tuple[str, ...]:
    """The rule set of one Service as its tool prints it, without the constant rules."""
    lines: list[str] = []
    for server in rules.virtual_servers.values():
        lines += server.render()
    constant = {"KUBE-POSTROUTING", "KUBE-MARK-MASQ"}
    for chain, content in rules.chains.items():
        if chain not in constant:
            lines += [rule.render(chain) for rule in content]
    return tuple(lines)


def _cost_lines(mode: Mode, costs: Costs, total: int, usable: int) -> tuple[CostLine, ...]:
    """Stages of a first packet (or a refused one) and of a later one; scans at the middle of the list."""
    states = (PacketState.FIRST, PacketState.LATER) if usable else (PacketState.REFUSED,)
    middle = {
        Steps.ONCE: 1.0,
        Steps.DISPATCH: max(total - 1, 0) / 2,
        Steps.EVERY_DISPATCH: float(total),
        Steps.ENDPOINT: float(mode.endpoint_steps(np.arange(usable), np.full(usable, usable)).mean()) if usable else 0,
    }
    most = {Steps.DISPATCH: max(total - 1, 0), Steps.ENDPOINT: max(usable - 1, 0)}
    lines = []
    for state in states:
        for stage in mode.stages(state):
            each, steps = float(costs.seconds(stage.work)), middle[stage.steps]
            text = f"{steps:,.10g}" if stage.steps not in most else f"{steps:,.1f} (0 to {most[stage.steps]:,})"
            lines.append(CostLine(state.value, stage.name, text, each, each * steps))
        in_all = sum(line.total_s for line in lines if line.packet == state.value)
        lines.append(CostLine(state.value, "in all", "", in_all, in_all))
    return tuple(lines)
