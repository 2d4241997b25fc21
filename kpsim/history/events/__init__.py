"""Events of a scenario: what is done to the cluster, or happens to it, at a given moment; one class a kind.

A new kind is a class in a module of its own and one line in ``EVENTS``: how it is written follows from its fields.
A Service stands for the workload behind it, a Deployment unless an event says that it is a StatefulSet.  Left out:
DaemonSets and Jobs, PodDisruptionBudgets, autoscalers, node-pressure eviction.
"""

from __future__ import annotations

from kpsim.history.events.apiserver import ApiServerRestart, ControllerManagerRestart
from kpsim.history.events.crash import Crash
from kpsim.history.events.drain import Drain
from kpsim.history.events.event import Event, Setting
from kpsim.history.events.join import NodeJoin
from kpsim.history.events.loss import NodeLoss, ZoneLoss
from kpsim.history.events.objects import ServiceChange, ServiceDeletion
from kpsim.history.events.readiness import ReadinessFailure
from kpsim.history.events.rollout import Rollout, StatefulSetRollout
from kpsim.history.events.scale import Scale
from kpsim.history.terms import Ending, IntOrPercent

__all__ = [
    "EVENTS",
    "ApiServerRestart",
    "ControllerManagerRestart",
    "Crash",
    "Drain",
    "Ending",
    "Event",
    "IntOrPercent",
    "NodeJoin",
    "NodeLoss",
    "ReadinessFailure",
    "Rollout",
    "Scale",
    "ServiceChange",
    "ServiceDeletion",
    "Setting",
    "StatefulSetRollout",
    "ZoneLoss",
]

EVENTS: tuple[type[Event], ...] = (
    Rollout,
    Scale,
    StatefulSetRollout,
    Crash,
    ReadinessFailure,
    Drain,
    NodeLoss,
    ZoneLoss,
    NodeJoin,
    ServiceChange,
    ServiceDeletion,
    ApiServerRestart,
    ControllerManagerRestart,
)
