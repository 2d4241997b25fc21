"""Restarts of the control plane: of an API server, whose watches all break, or of kube-controller-manager.

Pods do not notice; changes of them come late to kube-proxies.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from kpsim.declared import Declared
from kpsim.history.events.event import Event, Objection, Setting

if TYPE_CHECKING:
    from kpsim.profiles.defaults import Defaults


@dataclass(frozen=True, slots=True)
class ApiServerRestart(Event):
    """One of the API servers restarts, and every watch it serves breaks; server 0 is kube-controller-manager's own."""

    server: Annotated[int, Declared("The API server, counted from 0")] = 0

    asks: ClassVar[Literal["server"]] = "server"

    def described(self) -> str:
        """Return what happens."""
        return f"restart of API server {self.server}"

    def objections(self, setting: Setting, given: Collection[str]) -> Iterator[Objection]:  # noqa: ARG002
        """Yield that there is no such server."""
        if self.server >= setting.api_servers:
            what = f"there is no API server {self.server}: the cluster has {setting.api_servers}, counted from 0"
            yield Objection("server", what, "apiServer.replicas says how many there are")

    def restarted_api_server(self) -> int:
        """Return the server."""
        return self.server


@dataclass(frozen=True, slots=True)
class ControllerManagerRestart(Event):
    """The kube-controller-manager that leads is gone; another process leads once its lease has run out."""

    leader_after_s: Annotated[
        float | None, Declared("Until another process leads", more_than=0, otherwise="when the lease has run out")
    ] = None

    asks: ClassVar[Literal["server"]] = "server"

    def described(self) -> str:
        """Return what happens."""
        return "restart of kube-controller-manager"

    def without_controllers_s(self, defaults: Defaults) -> float | None:
        """Return how long nobody leads."""
        if self.leader_after_s is not None:
            return self.leader_after_s
        return defaults.value("controller_manager.lease")
