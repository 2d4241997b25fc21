"""Restarts of API servers: every watch one of them serves breaks.  Pods do not notice; the control plane does."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from kpsim.declared import Declared
from kpsim.history.events.event import Event, Objection, Setting


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
