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
        self._drawn: dict[str, U32] = {}  # rows are drawn when they are asked for, and none is left out
        self._rows: dict[str, tuple[int, np.random.Generator]] = {}

    def factor(self, sync: int | I64, node: Nodes) -> U32:
        """32-bit draws for how long sync number ``sync`` takes on each node, (nodes,)."""
        return self._of("sync-factor", sync, node)

    def fate(self, sync: int | I64, node: Nodes) -> U32:
        """32-bit draws for whether sync number ``sync`` fails on each node, (nodes,)."""
        return self._of("sync-fate", sync, node)

    def lock(self, sync: int | I64, node: Nodes) -> U32:
        """32-bit draws for how sync number ``sync`` finds the xtables lock on each node, (nodes,)."""
        return self._of("xtables-lock", sync, node)

    def rotation(self, edition: int | I64, node: Nodes) -> U32:
        """32-bit draws for where KUBE-SERVICES starts in rule set number ``edition`` (0: at the start), (nodes,)."""
        return self._of("rotation", edition, node)

    def _of(self, what: str, number: int | I64, node: Nodes) -> U32:
        """Return the draws of one sync of each of ``node``, by its number there."""
        most = int(np.max(number, initial=0))
        rows, rng = self._rows.get(what, (0, None))
        if most >= rows:
            self._draw(what, most + 1, rows, rng)
        drawn: U32 = self._drawn[what][number, node]
        return drawn

    def _draw(self, what: str, rows: int, drawn: int, rng: np.random.Generator | None) -> None:
        """Draw rows ``drawn`` … ``rows`` - 1; memory that holds no row yet is not taken."""
        table = self._drawn.get(what, np.empty((BLOCK, self.nodes), np.uint32))
        if rows > len(table):
            larger = np.empty((2 * rows, self.nodes), np.uint32)
            larger[:drawn] = table[:drawn]
            table = larger
        while drawn < rows:
            if drawn % BLOCK == 0:
                seed, replication = self._key
                rng = stream(seed, what + self._suffix, replication, drawn // BLOCK)
            assert rng is not None
            more = min(rows, (drawn // BLOCK + 1) * BLOCK) - drawn
            table[drawn : drawn + more] = rng.integers(0, 1 << 32, (more, self.nodes), dtype=np.uint32)
            drawn += more
        assert rng is not None
        self._drawn[what], self._rows[what] = table, (drawn, rng)
