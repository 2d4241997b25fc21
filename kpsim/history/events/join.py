"""Nodes that join: their kube-proxy starts cold, and no Service answers there before its first sync is in force."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np

from kpsim.cluster.columns import Cluster
from kpsim.declared import Declared
from kpsim.history.events.event import Event, Objection, Setting, nodes_by_name, objections_to_nodes, several

if TYPE_CHECKING:
    from kpsim.history.scene import Scene  # reading a scenario must not load SimPy


@dataclass(frozen=True, slots=True)
class NodeJoin(Event):
    """Nodes of the cluster are not there at first, and become Ready at once, their kube-proxies starting."""

    count: Annotated[int, Declared("Nodes that join, chosen at random", at_least=1, instead_of="node")] = 1
    node: Annotated[str | None, Declared("The node that joins", otherwise="chosen at random")] = None

    joins: ClassVar[bool] = True
    asks: ClassVar[Literal["join"]] = "join"

    def described(self) -> str:
        """Return what happens."""
        return f"join of {self.node or several(self.count)}"

    def nodes_of(self, cluster: Cluster, rng: np.random.Generator) -> list[int]:
        """Return the nodes that join."""
        return nodes_by_name(self.node, self.count, cluster, rng)

    def objections(self, setting: Setting, given: Collection[str]) -> Iterator[Objection]:
        """Yield that there are no such nodes, or that none would be left at the start."""
        yield from objections_to_nodes(self.node, self.count, "count", setting, given)
        if self.count == setting.cluster.nodes:
            yield Objection("count" if "count" in given else "", "one node at least is there from the start")

    def act(self, scene: Scene) -> None:
        """Let the nodes take Pods."""
        scene.all_nodes.join(scene.nodes)
