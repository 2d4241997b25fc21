"""Service objects that change or go, while the Pods behind them stay as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from kpsim.cluster.changes import ChangeKind
from kpsim.declared import Declared
from kpsim.history.events.event import ServiceEvent

if TYPE_CHECKING:
    from kpsim.history.scene import Scene  # reading a scenario must not load SimPy


@dataclass(frozen=True, slots=True)
class ServiceDeletion(ServiceEvent):
    """A Service is deleted; the garbage collector deletes its EndpointSlices, and its Pods stay."""

    of_pods: ClassVar[bool] = False
    asks: ClassVar[Literal["write"]] = "write"

    def described(self) -> str:
        """Return what happens."""
        return f"deletion of {self.service}"

    def act(self, scene: Scene) -> None:
        """Delete the object."""
        scene.write(ChangeKind.SERVICE_DELETED)


@dataclass(frozen=True, slots=True)
class ServiceChange(ServiceEvent):
    """A Service is updated; how many rules it has stays the same."""

    target_port: Annotated[bool, Declared("Its targetPort changes, and with it all its EndpointSlices")] = False

    of_pods: ClassVar[bool] = False
    asks: ClassVar[Literal["write"]] = "write"

    def described(self) -> str:
        """Return what happens."""
        return f"change of {self.service}"

    def act(self, scene: Scene) -> None:
        """Write the object."""
        scene.write(ChangeKind.TARGET_CHANGED if self.target_port else ChangeKind.SERVICE_CHANGED)
