"""One event as it is played: the Pods, workloads and nodes it is about, and the means to act on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from kpsim.cluster.changes import ChangeKind
from kpsim.history.nodes import Nodes
from kpsim.history.pods import Pod, PodBook
from kpsim.history.workloads import Workload


@dataclass(slots=True, eq=False)
class Scene:
    """One event acts here; everything it causes is put down to ``number``, its place among all events."""

    number: int
    book: PodBook
    all_nodes: Nodes
    rng: np.random.Generator
    row: int = -1  # of the Service it names, -1 if it names none
    nodes: Sequence[int] = ()  # that it is about
    parts: Sequence[int] = ()  # rows of the Service object that it writes
    pods: list[Pod] = field(default_factory=list)  # there when it begins
    workloads: list[Workload] = field(default_factory=list)  # of those Pods

    def write(self, kind: ChangeKind) -> None:
        """Write the Service object: a change of each of its parts."""
        for row in self.parts:
            self.book.note_object(kind, row)

    def some(self, count: int) -> list[Pod]:
        """Return ``count`` of its ready Pods, chosen at random."""
        ready = [pod for pod in self.pods if pod.ready and not pod.stranded]
        return [ready[n] for n in self.rng.permutation(len(ready))[:count].tolist()]
