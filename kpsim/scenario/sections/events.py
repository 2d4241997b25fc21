"""Events as a scenario writes them: ``{at: 120s, rollout: {service: shop/web, maxSurge: 25%}}``.

The mappings, what their values mean (held to Kubernetes' own validation where it has any, pkg/apis/apps/validation),
and the same written back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, PlainValidator, WithJsonSchema

from kpsim.cluster.params import ClusterParams, ServiceGroup
from kpsim.documents import Key
from kpsim.errors import Problem, did_you_mean
from kpsim.history.events import (
    ApiServerRestart,
    ClusterEvent,
    Crash,
    Drain,
    Ending,
    Event,
    IntOrPercent,
    NodeEvent,
    NodeLoss,
    ReadinessFailure,
    Rollout,
    Scale,
    StatefulSetRollout,
    ZoneLoss,
)
from kpsim.kube.objects import KubeObjects
from kpsim.scenario.sections.quantities import Count, Duration, LongDuration, Part, Positive, reading
from kpsim.scenario.tree import Tree
from kpsim.units import UnitError, format_duration, parse_count

EVENTS: Key = ("spec", "changes", "events")
DEFAULT_NAMESPACE = "default/"


def _int_or_percent(value: object) -> IntOrPercent:
    if isinstance(value, str) and value.strip().endswith("%"):
        digits = value.strip()[:-1]
        if re.fullmatch("[0-9]{1,9}", digits):
            return IntOrPercent(int(digits), percent=True)
        raise UnitError(f"{value[:40]!r} is not a percentage of Pods", "write whole percents, e.g. 25%")
    count = parse_count(value)
    if count < 0:
        raise UnitError(f"must not be negative, but is {count}")
    return IntOrPercent(count)


Portion = Annotated[
    IntOrPercent,
    PlainValidator(reading(_int_or_percent)),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]+%?$"}]}),
]


class EndingPart(Part):
    """How Pods end."""

    pre_stop: Duration | None = None
    termination_grace_period: Duration | None = None

    def ending(self) -> Ending:
        """The same as a value."""
        return Ending(self.pre_stop, self.termination_grace_period)


class RolloutPart(EndingPart):
    """A Deployment's rolling update."""

    service: str
    max_surge: Portion = IntOrPercent(25, percent=True)
    max_unavailable: Portion = IntOrPercent(25, percent=True)
    warm_up: Duration = 0.0


class ScalePart(EndingPart):
    """Another number of replicas."""

    service: str
    replicas: Count
    warm_up: Duration = 0.0


class StatefulSetRolloutPart(EndingPart):
    """A StatefulSet's rolling update."""

    service: str
    warm_up: Duration = 0.0


class CrashPart(Part):
    """Containers that exit."""

    service: str
    pods: Positive = 1
    times: Positive = 1
    warm_up: Duration = 0.0


class ReadinessFailurePart(Part):
    """Pods that hang."""

    service: str
    pods: Positive = 1
    for_: LongDuration = Field(alias="for")


class DrainPart(EndingPart):
    """kubectl drain."""

    nodes: Positive | None = None
    node: str | None = None


class NodeLossPart(Part):
    """Nodes that stop."""

    count: Positive | None = None
    node: str | None = None
    for_: LongDuration | None = Field(None, alias="for")


class ZoneLossPart(Part):
    """A zone that stops."""

    zone: Count = 0
    for_: LongDuration | None = Field(None, alias="for")


class ApiServerRestartPart(Part):
    """An API server that restarts."""

    server: Count = 0


class EventPart(Part):
    """When, and one thing that happens then."""

    at: Duration
    rollout: RolloutPart | None = None
    scale: ScalePart | None = None
    stateful_set_rollout: StatefulSetRolloutPart | None = None
    crash: CrashPart | None = None
    readiness_failure: ReadinessFailurePart | None = None
    drain: DrainPart | None = None
    node_loss: NodeLossPart | None = None
    zone_loss: ZoneLossPart | None = None
    api_server_restart: ApiServerRestartPart | None = None


KINDS = tuple(field.alias or name for name, field in EventPart.model_fields.items() if name != "at")


@dataclass(frozen=True, slots=True)
class Stage:
    """What events are about: the cluster, its Services, and how long it is looked at."""

    cluster: ClusterParams
    groups: Sequence[ServiceGroup]
    objects: KubeObjects
    duration_s: float
    warmup_s: float
    api_servers: int = 1

    def has_service(self, name: str) -> bool:
        """Whether a Service exists at time zero."""
        prefix, _, number = name.rpartition("-")
        grown = any(
            prefix == f"{g.namespace}/{g.name}" and re.fullmatch("0|[1-9][0-9]{0,8}", number) and int(number) < g.count
            for g in self.groups
        )
        return grown or any(name == f"{s.namespace}/{s.name}" for s in self.objects.services)

    def services(self) -> list[str]:
        """One Service of each group, and those that were read."""
        grown = [f"{g.namespace}/{g.name}-0" for g in self.groups if g.count]
        return [*grown, *(f"{s.namespace}/{s.name}" for s in self.objects.services)]

    def nodes(self) -> list[str]:
        """What nodes are called."""
        named = {pod.node for pod in self.objects.pods} | {e.node for s in self.objects.slices for e in s.endpoints}
        known = sorted(named - {""})
        return known + [f"node-{n}" for n in range(len(known), self.cluster.nodes)]


def events_of(
    parts: Sequence[EventPart], stage: Stage, tree: Tree, problems: list[Problem], warnings: list[str]
) -> tuple[Event, ...]:
    """The events of a scenario, in file order."""
    found: list[Event] = []
    stateful: dict[str, bool] = {}
    for index, part in enumerate(parts):
        key: Key = (*EVENTS, index)
        kinds = [kind for kind, name in zip(KINDS, _names(), strict=True) if getattr(part, name) is not None]
        if len(kinds) != 1:
            what = f"names {len(kinds)} events: {', '.join(kinds)}" if kinds else "names no event"
            mend = "write one list item each" if kinds else f"there are {', '.join(KINDS)}"
            problems.append(tree.problem(key, what, mend))
            continue
        event = _event(part)
        problems += _problems(event, (*key, kinds[0]), stage, tree)
        if not isinstance(event, ClusterEvent):
            one_by_one = isinstance(event, StatefulSetRollout)
            rolled = one_by_one or isinstance(event, Rollout)
            if rolled and stateful.setdefault(event.service, one_by_one) != one_by_one:
                what = "a workload cannot be a Deployment and a StatefulSet"
                problems.append(tree.problem((*key, kinds[0]), what, on_key=True))
        if event.at_s >= stage.duration_s:
            end = format_duration(stage.duration_s)
            what = f"{format_duration(event.at_s)} is not before the end of the run, {end}"
            problems.append(tree.problem((*key, "at"), what, "let it begin earlier, or raise run.duration"))
        elif event.at_s < stage.warmup_s:
            warnings.append(f"changes.events[{index}] begins during the warm-up; what happens in it is not measured")
        found.append(event)
    return tuple(found)


def _names() -> list[str]:
    return [name for name in EventPart.model_fields if name != "at"]


def _event(part: EventPart) -> Event:
    at_s = part.at
    if part.rollout:
        of = part.rollout
        return Rollout(at_s, _full(of.service), of.max_surge, of.max_unavailable, of.ending(), of.warm_up)
    if part.scale:
        return Scale(at_s, _full(part.scale.service), part.scale.replicas, part.scale.ending(), part.scale.warm_up)
    if part.stateful_set_rollout:
        one = part.stateful_set_rollout
        return StatefulSetRollout(at_s, _full(one.service), one.ending(), one.warm_up)
    if part.crash:
        return Crash(at_s, _full(part.crash.service), part.crash.pods, part.crash.times, part.crash.warm_up)
    if part.readiness_failure:
        hung = part.readiness_failure
        return ReadinessFailure(at_s, _full(hung.service), hung.for_, hung.pods)
    if part.drain:
        return Drain(at_s, part.drain.nodes or 1, part.drain.node or "", part.drain.ending())
    if part.node_loss:
        return NodeLoss(at_s, part.node_loss.count or 1, part.node_loss.node or "", part.node_loss.for_)
    if part.api_server_restart:
        return ApiServerRestart(at_s, part.api_server_restart.server)
    assert part.zone_loss
    return ZoneLoss(at_s, part.zone_loss.zone, part.zone_loss.for_)


def _full(service: str) -> str:
    return service if "/" in service else DEFAULT_NAMESPACE + service


def _problems(event: Event, key: Key, stage: Stage, tree: Tree) -> Iterator[Problem]:
    if isinstance(event, ApiServerRestart):
        if event.server >= stage.api_servers:
            what = f"there is no API server {event.server}: the cluster has {stage.api_servers}, counted from 0"
            yield tree.problem((*key, "server"), what, "apiServer.replicas says how many there are")
        return
    if isinstance(event, NodeEvent):
        yield from _node_problems(event, key, stage, tree)
        return
    if not stage.has_service(event.service):
        known = stage.services()
        mend = did_you_mean(event.service, known) or (f"there are {', '.join(known[:5])}" if known else "")
        yield tree.problem((*key, "service"), f"there is no Service called {event.service[:80]}", mend)
    if isinstance(event, Rollout):
        at = (*key, "maxUnavailable") if tree.given((*key, "maxUnavailable")) else key
        if event.max_unavailable.percent and event.max_unavailable.value > 100:
            yield tree.problem(at, "must not be greater than 100%")
        if not event.max_surge.value and not event.max_unavailable.value:
            yield tree.problem(at, "may not be 0 when `maxSurge` is 0")


def _node_problems(event: NodeEvent, key: Key, stage: Stage, tree: Tree) -> Iterator[Problem]:
    cluster = stage.cluster
    if isinstance(event, ZoneLoss):
        if event.zone >= cluster.zones:
            what = f"there is no zone {event.zone}: the cluster has {cluster.zones}, counted from 0"
            yield tree.problem((*key, "zone") if tree.given((*key, "zone")) else key, what)
        return
    number, name = (event.nodes, "nodes") if isinstance(event, Drain) else (event.count, "count")
    if event.node and tree.given((*key, name)):
        yield tree.problem((*key, name), f"a node by its name, or {name}, but not both", on_key=True)
    elif event.node:
        known = stage.nodes()
        if event.node not in known:
            mend = did_you_mean(event.node, known) or f"there are {known[0]} to {known[-1]}"
            yield tree.problem((*key, "node"), f"there is no node called {event.node[:80]}", mend)
    elif number > cluster.nodes:
        yield tree.problem((*key, name), f"the cluster has {cluster.nodes:,} nodes only")


def event_document(event: Event) -> dict[str, Any]:
    """The event as its list item would be written, fully explicit."""
    ending = getattr(event, "ending", Ending())
    ends = {"preStop": ending.pre_stop_s, "terminationGracePeriod": ending.grace_s}
    times = {name: format_duration(value) for name, value in ends.items() if value is not None}
    warm_up = {"warmUp": format_duration(getattr(event, "warm_up_s", 0.0))}
    written: dict[str, Any]
    match event:
        case Rollout():
            surge, unavailable = (str(p) if p.percent else p.value for p in (event.max_surge, event.max_unavailable))
            shares = {"maxSurge": surge, "maxUnavailable": unavailable}
            written = {"rollout": {"service": event.service, **shares, **times, **warm_up}}
        case Scale():
            written = {"scale": {"service": event.service, "replicas": event.replicas, **times, **warm_up}}
        case StatefulSetRollout():
            written = {"statefulSetRollout": {"service": event.service, **times, **warm_up}}
        case Crash():
            written = {"crash": {"service": event.service, "pods": event.pods, "times": event.times, **warm_up}}
        case ReadinessFailure():
            hung = {"service": event.service, "pods": event.pods, "for": format_duration(event.for_s)}
            written = {"readinessFailure": hung}
        case Drain():
            written = {"drain": {**({"node": event.node} if event.node else {"nodes": event.nodes}), **times}}
        case NodeLoss():
            which = {"node": event.node} if event.node else {"count": event.count}
            written = {"nodeLoss": {**which, **_lasting(event.for_s)}}
        case ApiServerRestart():
            written = {"apiServerRestart": {"server": event.server}}
        case ZoneLoss():
            written = {"zoneLoss": {"zone": event.zone, **_lasting(event.for_s)}}
    return {"at": format_duration(event.at_s), **written}


def _lasting(for_s: float | None) -> dict[str, str]:
    return {} if for_s is None else {"for": format_duration(for_s)}
