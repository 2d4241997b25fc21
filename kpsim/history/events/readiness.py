"""Pods that hang: they answer neither clients nor probes for a while, and are not ready."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from kpsim.declared import Declared
from kpsim.history.events.event import ServiceEvent
from kpsim.units import to_ns

if TYPE_CHECKING:
    from kpsim.history.scene import Scene  # reading a scenario must not load SimPy


@dataclass(frozen=True, slots=True)
class ReadinessFailure(ServiceEvent):
    """Some Pods hang: they answer neither clients nor probes."""

    for_s: Annotated[float, Declared("How long they hang", more_than=0)]
    pods: Annotated[int, Declared("Pods that hang, chosen at random", at_least=1)] = 1

    def described(self) -> str:
        """Return what happens."""
        return f"{self.pods} of {self.service} not answering"

    def act(self, scene: Scene) -> None:
        """Let some Pods hang."""
        for pod in scene.some(self.pods):
            scene.book.hang(pod, scene.number, to_ns(self.for_s))
