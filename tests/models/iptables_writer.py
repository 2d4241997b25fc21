"""A node's tables over time: which sync is full, what each writes, and which chains linger.

The exact counterpart of :meth:`Iptables.sync_work` for one node, rule by rule.  Structure from
pkg/proxy/iptables/proxier.go (syncProxyRules): a failed restore leaves the nat table as it was (tables commit one by
one, and filter comes first) and makes the next sync full; chains nobody wants any more are deleted in the next sync
that looks for them, which in a large cluster is at most one a syncPeriod.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from kpsim.modes.iptables.mode import PARTIAL_SYNC_SINCE
from kpsim.modes.iptables.program import program
from kpsim.modes.iptables.text import restore_lines, written_chains
from kpsim.proxy.node import NodeConfig, PortState
from kpsim.proxy.rules import FILTER, RuleSet


@dataclass(frozen=True, slots=True)
class SyncReport:
    """One sync: what it wrote and what kube-proxy's metrics would then show."""

    full: bool
    failed: bool
    large: bool
    nat_written: int  # sync_proxy_rules_iptables_last{table="nat"}
    nat_total: int  # sync_proxy_rules_iptables_total{table="nat"}
    filter_rules: int
    chains_deleted: int
    endpoints_written: int  # DNAT rules among those written
    written_by_chain: dict[str, int]
    lines: tuple[str, ...] = field(repr=False)


@dataclass(slots=True)
class RuleWriter:
    """kube-proxy's memory of what it wrote on one node."""

    config: NodeConfig
    sync_period_s: float
    need_full: bool = True
    restore_failures: int = 0
    partial_restore_failures: int = 0
    _kernel: RuleSet = field(default_factory=RuleSet)
    _lingering: set[str] = field(default_factory=set)  # chains in the kernel that nothing leads to
    _last_cleanup_s: float = float("-inf")

    def sync(
        self, states: Sequence[PortState], changed: Collection[str], now_s: float, *, fails: bool = False
    ) -> SyncReport:
        """Write what ``states`` ask for, the chains of ``changed`` Services at least; ``fails``: the restore does."""
        full = self.need_full or self.config.kubernetes_version < PARTIAL_SYNC_SINCE
        wanted = program(states, self.config)
        endpoints = sum(len(state.endpoints) for state in states)
        large = endpoints > self.config.large_cluster_endpoints
        stale = (self._lingering | set(stale_chains(self._kernel, wanted))) - wanted.chains.keys()
        deleted: list[str] = []
        if not large or now_s - self._last_cleanup_s > self.sync_period_s:
            deleted = sorted(stale)
            self._last_cleanup_s = now_s
        chosen = None if full else changed
        lines = tuple(restore_lines(wanted, chosen, deleted))
        written = {name: len(wanted.chains[name]) for name in written_chains(wanted, chosen)}
        report = SyncReport(
            full=full,
            failed=fails,
            large=large,
            nat_written=sum(written.values()),
            nat_total=wanted.count("nat"),
            filter_rules=wanted.count("filter"),
            chains_deleted=len(deleted),
            endpoints_written=sum(" -j DNAT " in line for line in lines),
            written_by_chain=written,
            lines=lines,
        )
        self._conclude(report, wanted, stale - set(deleted))
        return report

    def _conclude(self, report: SyncReport, wanted: RuleSet, lingering: set[str]) -> None:
        if report.failed:
            self.need_full = True
            self.restore_failures += 1
            self.partial_restore_failures += not report.full
            return
        self.need_full = False
        self._kernel = wanted
        self._lingering = {name for name in lingering if not name.endswith(FILTER)}


def stale_chains(before: RuleSet, after: RuleSet) -> list[str]:
    """Chains of Services and endpoints that are in the kernel and no longer wanted, in order of their names."""
    return sorted(name for name in before.chains if name not in after.chains and not name.endswith(FILTER))
