"""``kubectl drain``: a node takes no new Pods, and those it has are evicted."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np

from kpsim.cluster.columns import Cluster
from kpsim.declared import SPREAD, Declared
from kpsim.history.events.event import Event, Objection, Setting, nodes_by_name, objections_to_nodes, several
from kpsim.history.terms import Ending

if TYPE_CHECKING:
    from kpsim.history.scene import Scene  # reading a scenario must not load SimPy


@dataclass(frozen=True, slots=True)
class Drain(Event):
    """``kubectl drain`` of some nodes, one after another; ``node`` names one, else ``nodes`` are chosen at random."""

    nodes: Annotated[int, Declared("Nodes to drain, chosen at random", at_least=1, instead_of="node")] = 1
    node: Annotated[str | None, Declared("The node to drain", otherwise="chosen at random")] = None
    ending: Annotated[Ending, Declared("How evicted Pods end", key=SPREAD)] = Ending()

    asks: ClassVar[Literal["ending"]] = "ending"

    def described(self) -> str:
        """Return what happens."""
        return f"drain of {self.node or several(self.nodes)}"

    def nodes_of(self, cluster: Cluster, rng: np.random.Generator) -> list[int]:
        """Return the nodes to drain, in their order."""
        return nodes_by_name(self.node, self.nodes, cluster, rng)

    def objections(self, setting: Setting, given: Collection[str]) -> Iterator[Objection]:
        """Yield that there are no such nodes."""
        return objections_to_nodes(self.node, self.nodes, "nodes", setting, given)

    def act(self, scene: Scene) -> None:
        """Drain the first; the others follow."""
        scene.all_nodes.drain(scene.nodes, scene.number)

    def ending_of_evicted(self) -> Ending:
        """Return how evicted Pods end."""
        return self.ending
