"""A node's nftables table over time: which sync is full, what each sends, and which chains linger.

The exact counterpart of :meth:`Nftables.sync_work` for one node, statement by statement.  A failed transaction leaves
the kernel as it was and makes the next sync full.  Chains that nobody wants are flushed, and again in every sync until
one finds that this was more than a second ago; then a transaction of their own deletes them before the sync proper.
Source: pkg/proxy/nftables/proxier.go (syncProxyRules).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from kpsim.modes.nftables.layout import PARTIAL_SYNC_SINCE
from kpsim.modes.nftables.program import program
from kpsim.modes.nftables.rules import NftRules
from kpsim.modes.nftables.transaction import NOTHING, Operation, deletions, operations, unwanted
from kpsim.proxy.node import NodeConfig, PortState

LINGER_S = 1.0


@dataclass(frozen=True, slots=True)
class SyncReport:
    """One sync: the statements of its transaction, and of the one before it that cleaned up (empty: none was run)."""

    full: bool
    failed: bool
    operations: tuple[Operation, ...] = field(repr=False)
    cleanup: tuple[Operation, ...] = field(repr=False)


@dataclass(slots=True)
class TableWriter:
    """kube-proxy's memory of what it wrote on one node; ``kernel`` is what it finds there when it starts."""

    config: NodeConfig
    kernel: NftRules = NOTHING
    need_full: bool = True
    sync_failures: int = 0
    lingering: dict[str, float] = field(default_factory=dict)  # flushed chains -> when [s]
    _started: bool = False

    def sync(
        self, states: Sequence[PortState], changed: Collection[str], now_s: float, *, fails: bool = False
    ) -> SyncReport:
        """Write what ``states`` ask for, the chains of ``changed`` Services at least; ``fails``: nft refuses."""
        full = self.need_full or self.config.kubernetes_version < PARTIAL_SYNC_SINCE
        gone = [name for name, since_s in self.lingering.items() if since_s < now_s - LINGER_S]
        for name in gone:
            del self.lingering[name]
        wanted = program(states, self.config)
        stale = unwanted(self.kernel, wanted, self.lingering)
        sent = operations(self.kernel, wanted, None if full else changed, self.lingering, start=not self._started)
        report = SyncReport(full, fails, tuple(sent), tuple(deletions(gone)))
        self.need_full = fails
        if fails:
            self.sync_failures += 1
        else:
            self.kernel, self._started = wanted, True
            self.lingering = dict.fromkeys(stale, now_s)
        return report
