"""Rolling updates: of a Deployment, within maxSurge and maxUnavailable, and of a StatefulSet, one Pod after another."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from kpsim.declared import SPREAD, Declared
from kpsim.history.events.event import Objection, ServiceEvent, Setting
from kpsim.history.terms import PORTION, QUARTER, Ending, IntOrPercent
from kpsim.units import to_ns

if TYPE_CHECKING:
    from kpsim.history.scene import Scene  # reading a scenario must not load SimPy


@dataclass(frozen=True, slots=True)
class Rollout(ServiceEvent):
    """A Deployment gets a new Pod template and replaces its Pods, ``rollingUpdate``."""

    max_surge: Annotated[IntOrPercent, Declared("Pods there may be too many", form=PORTION)] = QUARTER
    max_unavailable: Annotated[IntOrPercent, Declared("Pods that may be missing", form=PORTION)] = QUARTER
    ending: Annotated[Ending, Declared("How the old Pods end", key=SPREAD)] = Ending()
    warm_up_s: Annotated[float, Declared("From a container's start until its Pod is ready")] = 0.0

    controller: ClassVar[Literal["Deployment"]] = "Deployment"
    rolls: ClassVar[bool] = True
    asks: ClassVar[Literal["ending"]] = "ending"

    def described(self) -> str:
        """Return what happens."""
        return f"rollout of {self.service}"

    def objections(self, setting: Setting, given: Collection[str]) -> Iterator[Objection]:
        """Yield what Kubernetes' own validation refuses (pkg/apis/apps/validation)."""
        yield from ServiceEvent.objections(self, setting, given)
        key = "maxUnavailable" if "maxUnavailable" in given else ""
        if self.max_unavailable.percent and self.max_unavailable.value > 100:
            yield Objection(key, "must not be greater than 100%")
        if not self.max_surge.value and not self.max_unavailable.value:
            yield Objection(key, "may not be 0 when `maxSurge` is 0")

    def act(self, scene: Scene) -> None:
        """Give the Deployment its new template."""
        (workload,) = scene.workloads
        workload.touch(scene.number, self.ending, to_ns(self.warm_up_s))
        workload.roll(self.max_surge, self.max_unavailable)


@dataclass(frozen=True, slots=True)
class StatefulSetRollout(ServiceEvent):
    """A StatefulSet replaces its Pods one by one, the last first."""

    ending: Annotated[Ending, Declared("How the old Pods end", key=SPREAD)] = Ending()
    warm_up_s: Annotated[float, Declared("From a container's start until its Pod is ready")] = 0.0

    controller: ClassVar[Literal["StatefulSet"]] = "StatefulSet"
    rolls: ClassVar[bool] = True
    asks: ClassVar[Literal["ending"]] = "ending"

    def described(self) -> str:
        """Return what happens."""
        return f"rollout of {self.service}, a StatefulSet"

    def act(self, scene: Scene) -> None:
        """Give the StatefulSet its new template."""
        (workload,) = scene.workloads
        workload.touch(scene.number, self.ending, to_ns(self.warm_up_s))
        workload.roll()
