"""Random numbers of the sync loops, indexed by sync and node, so that both engines read the same ones."""

from __future__ import annotations

import numpy as np

from kpsim.proxy.sync import Nodes
from kpsim.rng import stream
from kpsim.units import I64, U32

BLOCK = 64  # syncs drawn together: only how often a generator is made depends on it


class SyncDraws:
    """A cost factor and a rotation for each sync of each node, and where each node's timers stand at the start."""

    def __init__(self, seed: int, replication: int, nodes: int, family: int = 4) -> None:
        self.nodes = nodes
        self._suffix = "" if family == 4 else f"-ipv{family}"  # each IP family has a proxier of its own
        self.phase = stream(seed, "sync-phase" + self._suffix, replication).random((3, nodes))
        self._key = (seed, replication)
        self._blocks: dict[tuple[str, int], U32] = {}

    def factor(self, sync: int | I64, node: Nodes) -> U32:
        """32-bit draws for how long sync number ``sync`` takes on each node, (nodes,)."""
        return self._of("sync-factor", sync, node)

    def fate(self, sync: int | I64, node: Nodes) -> U32:
        """32-bit draws for whether sync number ``sync`` fails on each node, (nodes,)."""
        return self._of("sync-fate", sync, node)

    def lock(self, sync: int | I64, node: Nodes) -> U32:
        """32-bit draws for how sync number ``sync`` finds the xtables lock on each node, (nodes,)."""
        return self._of("xtables-lock", sync, node)

    def rotation(self, edition: int) -> U32:
        """32-bit draws for where KUBE-SERVICES starts in rule set number ``edition`` (0: at the start), (nodes,)."""
        return self._row("rotation", edition)

    def _of(self, what: str, numbers: int | I64, node: Nodes) -> U32:
        """Return the draws of one sync of each of ``node``, by its number there."""
        if isinstance(numbers, int):
            return self._row(what, numbers)[node]
        first, last = (int(end) for end in (numbers.min(), numbers.max()))
        if first == last:
            return self._row(what, first)[node]
        drawn = np.empty(len(node), np.uint32)
        block = numbers // BLOCK
        for each in np.flatnonzero(np.bincount(block)).tolist():
            here = np.flatnonzero(block == each)
            drawn[here] = self._block(what, each)[numbers[here] % BLOCK, node[here]]
        return drawn

    def _row(self, what: str, index: int) -> U32:
        row: U32 = self._block(what, index // BLOCK)[index % BLOCK]
        return row

    def _block(self, what: str, number: int) -> U32:
        key = (what, number)
        if key not in self._blocks:
            seed, replication = self._key
            rng = stream(seed, what + self._suffix, replication, number)
            self._blocks[key] = rng.integers(0, 1 << 32, (BLOCK, self.nodes), dtype=np.uint32)
        return self._blocks[key]
