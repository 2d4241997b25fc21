"""Events of a scenario: what somebody does to the cluster, or what happens to it, at a given moment.

Frozen values, one class an event, as :mod:`kpsim.scenario` reads them; what follows from each is in the modules beside
this one.  A Service stands for the workload behind it, a Deployment unless an event says that it is a StatefulSet.
Left out: DaemonSets and Jobs, PodDisruptionBudgets, autoscalers, node-pressure eviction.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IntOrPercent:
    """A number of Pods, or a share of them, as Kubernetes writes it: ``3`` or ``25%``."""

    value: int
    percent: bool = False

    def of(self, total: int, *, up: bool) -> int:
        """How many of ``total``; a share of one Pod is rounded ``up`` or down."""
        if not self.percent:
            return self.value
        return -(-total * self.value // 100) if up else total * self.value // 100

    def __str__(self) -> str:
        return f"{self.value}%" if self.percent else str(self.value)


@dataclass(frozen=True, slots=True)
class Ending:
    """How Pods end: preStop hook and terminationGracePeriodSeconds; ``None`` leaves it as it was."""

    pre_stop_s: float | None = None
    grace_s: float | None = None


@dataclass(frozen=True, slots=True)
class Rollout:
    """A Deployment gets a new Pod template and replaces its Pods, ``rollingUpdate``."""

    at_s: float
    service: str
    max_surge: IntOrPercent = IntOrPercent(25, percent=True)
    max_unavailable: IntOrPercent = IntOrPercent(25, percent=True)
    ending: Ending = Ending()
    warm_up_s: float = 0.0  # from the start of a container until it passes its readiness probe


@dataclass(frozen=True, slots=True)
class Scale:
    """A workload gets another number of replicas."""

    at_s: float
    service: str
    replicas: int
    ending: Ending = Ending()
    warm_up_s: float = 0.0


@dataclass(frozen=True, slots=True)
class StatefulSetRollout:
    """A StatefulSet replaces its Pods one by one, the last first."""

    at_s: float
    service: str
    ending: Ending = Ending()
    warm_up_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Crash:
    """Containers of some Pods exit, ``times`` in a row, each time before they are ready again."""

    at_s: float
    service: str
    pods: int = 1
    times: int = 1
    warm_up_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ReadinessFailure:
    """Some Pods hang: they answer neither clients nor probes."""

    at_s: float
    service: str
    for_s: float
    pods: int = 1


@dataclass(frozen=True, slots=True)
class Drain:
    """``kubectl drain`` of some nodes, one after another; ``node`` names one, else ``nodes`` are chosen at random."""

    at_s: float
    nodes: int = 1
    node: str = ""
    ending: Ending = Ending()


@dataclass(frozen=True, slots=True)
class NodeLoss:
    """Nodes stop at once, for good or for a while."""

    at_s: float
    count: int = 1
    node: str = ""
    for_s: float | None = None


@dataclass(frozen=True, slots=True)
class ZoneLoss:
    """Every node of a zone stops at once; node number n is in zone n modulo the number of zones."""

    at_s: float
    zone: int = 0
    for_s: float | None = None


@dataclass(frozen=True, slots=True)
class ApiServerRestart:
    """One of the API servers restarts, and every watch it serves breaks; server 0 is kube-controller-manager's own."""

    at_s: float
    server: int = 0


ServiceEvent = Rollout | Scale | StatefulSetRollout | Crash | ReadinessFailure
NodeEvent = Drain | NodeLoss | ZoneLoss
ClusterEvent = NodeEvent | ApiServerRestart  # about no Service
Event = ServiceEvent | ClusterEvent


def described(event: Event) -> str:
    """What happens, in a few words: ``rollout of shop/web``."""
    match event:
        case Rollout():
            return f"rollout of {event.service}"
        case StatefulSetRollout():
            return f"rollout of {event.service}, a StatefulSet"
        case Scale():
            return f"{event.service} scaled to {event.replicas}"
        case Crash():
            return f"crash of {event.pods} of {event.service}"
        case ReadinessFailure():
            return f"{event.pods} of {event.service} not answering"
        case ApiServerRestart():
            return f"restart of API server {event.server}"
        case ZoneLoss():
            return f"loss of zone {event.zone}"
        case Drain():
            return f"drain of {event.node or _several(event.nodes)}"
        case NodeLoss():
            return f"loss of {event.node or _several(event.count)}"


def _several(nodes: int) -> str:
    return "a node" if nodes == 1 else f"{nodes} nodes"
