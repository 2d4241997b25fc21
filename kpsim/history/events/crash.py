"""Crashes: containers exit, and their kubelet starts them again, each time later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from kpsim.declared import Declared
from kpsim.history.events.event import ServiceEvent
from kpsim.units import to_ns

if TYPE_CHECKING:
    from kpsim.history.scene import Scene  # reading a scenario must not load SimPy


@dataclass(frozen=True, slots=True)
class Crash(ServiceEvent):
    """Containers of some Pods exit, ``times`` in a row, each time before they are ready again."""

    pods: Annotated[int, Declared("Pods that crash, chosen at random", at_least=1)] = 1
    times: Annotated[int, Declared("How often each of them crashes", at_least=1)] = 1
    warm_up_s: Annotated[float, Declared("From a container's start until its Pod is ready")] = 0.0

    def described(self) -> str:
        """Return what happens."""
        return f"crash of {self.pods} of {self.service}"

    def act(self, scene: Scene) -> None:
        """Let some Pods crash."""
        for pod in scene.some(self.pods):
            scene.book.crash(pod, scene.number, self.times, to_ns(self.warm_up_s))
