"""Scaling: a workload gets another number of replicas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from kpsim.declared import SPREAD, Declared
from kpsim.history.events.event import ServiceEvent
from kpsim.history.terms import Ending
from kpsim.units import to_ns

if TYPE_CHECKING:
    from kpsim.history.scene import Scene  # reading a scenario must not load SimPy


@dataclass(frozen=True, slots=True)
class Scale(ServiceEvent):
    """A workload gets another number of replicas."""

    replicas: Annotated[int, Declared("Pods there shall be")]
    ending: Annotated[Ending, Declared("How Pods end", key=SPREAD)] = Ending()
    warm_up_s: Annotated[float, Declared("From a container's start until its Pod is ready")] = 0.0

    asks: ClassVar[Literal["ending"]] = "ending"

    def described(self) -> str:
        """Return what happens."""
        return f"{self.service} scaled to {self.replicas}"

    def act(self, scene: Scene) -> None:
        """Tell the workload its new number."""
        (workload,) = scene.workloads
        workload.touch(scene.number, self.ending, to_ns(self.warm_up_s))
        workload.scale(self.replicas)
