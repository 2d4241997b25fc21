"""Nodes that stop at once, by number, by name or by zone, for good or for a while."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np

from kpsim.cluster.columns import Cluster
from kpsim.declared import Declared
from kpsim.history.events.event import Event, Objection, Setting, nodes_by_name, objections_to_nodes, several
from kpsim.units import to_ns

if TYPE_CHECKING:
    from kpsim.history.scene import Scene  # reading a scenario must not load SimPy


@dataclass(frozen=True, slots=True)
class NodeLoss(Event):
    """Nodes stop at once, for good or for a while."""

    count: Annotated[int, Declared("Nodes that stop, chosen at random", at_least=1, instead_of="node")] = 1
    node: Annotated[str | None, Declared("The node that stops", otherwise="chosen at random")] = None
    for_s: Annotated[float | None, Declared("How long they are away", more_than=0, otherwise="for good")] = None

    def described(self) -> str:
        """Return what happens."""
        return f"loss of {self.node or several(self.count)}"

    def nodes_of(self, cluster: Cluster, rng: np.random.Generator) -> list[int]:
        """Return the nodes that stop."""
        return nodes_by_name(self.node, self.count, cluster, rng)

    def objections(self, setting: Setting, given: Collection[str]) -> Iterator[Objection]:
        """Yield that there are no such nodes."""
        return objections_to_nodes(self.node, self.count, "count", setting, given)

    def act(self, scene: Scene) -> None:
        """Stop the nodes."""
        scene.all_nodes.lose(scene.nodes, scene.number, None if self.for_s is None else to_ns(self.for_s))


@dataclass(frozen=True, slots=True)
class ZoneLoss(Event):
    """Every node of a zone stops at once; node number n is in zone n modulo the number of zones."""

    zone: Annotated[int, Declared("The zone, counted from 0")] = 0
    for_s: Annotated[float | None, Declared("How long it is away", more_than=0, otherwise="for good")] = None

    def described(self) -> str:
        """Return what happens."""
        return f"loss of zone {self.zone}"

    def nodes_of(self, cluster: Cluster, rng: np.random.Generator) -> list[int]:  # noqa: ARG002 - nothing to draw
        """Return the nodes of the zone."""
        return list(range(self.zone, cluster.nodes, cluster.zones))

    def objections(self, setting: Setting, given: Collection[str]) -> Iterator[Objection]:
        """Yield that there is no such zone."""
        zones = setting.cluster.zones
        if self.zone >= zones:
            what = f"there is no zone {self.zone}: the cluster has {zones}, counted from 0"
            yield Objection("zone" if "zone" in given else "", what)

    def act(self, scene: Scene) -> None:
        """Stop the nodes."""
        scene.all_nodes.lose(scene.nodes, scene.number, None if self.for_s is None else to_ns(self.for_s))
