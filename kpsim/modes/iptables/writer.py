"""A node's tables over time: which sync is full, what each writes, and which chains linger.

Rule by rule for one node, and at the end in counts, which for the engines are the same.  Structure from
pkg/proxy/iptables/proxier.go (syncProxyRules): a failed restore leaves the nat table as it was (tables commit one by
one, and filter comes first) and makes the next sync full; chains nobody wants any more are deleted in the next sync
that looks for them, which in a large cluster is at most one a syncPeriod.

The legacy back end reads and swaps a whole table however little is written.  On nf_tables iptables' commands send what
is written, read back what is there, and in a full sync compare every chain with all others; the rules are the same.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from kpsim.modes.iptables.program import program
from kpsim.modes.iptables.text import restore_lines, stale_chains, written_chains
from kpsim.proxy.contract import SyncCounts, SyncKind, Work
from kpsim.proxy.node import NodeConfig, PortState
from kpsim.proxy.rules import FILTER, RuleSet
from kpsim.units import I64

PARTIAL_SYNC_SINCE = (1, 27)  # KEP-3453: alpha and off in 1.26, on in 1.27, always in 1.28
ENSURED_JUMPS = 14  # each an "ensure chain" and an "ensure rule" process in a full sync
ENSURED_JUMPS_BEFORE_1_27 = 12  # without kubelet's KUBE-FIREWALL
ENSURED_JUMPS_NAT = 3  # of those, the ones in the nat table, whose rules each process reads back


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


def sync_work(kind: SyncKind, counts: SyncCounts, rules: int | I64, version: tuple[int, int], backend: str) -> Work:
    """Go time over everything held, one restore, and iptables-save where stale chains are looked for.

    ``rules`` are all that the nat table has.
    """
    work: dict[str, int | I64] = {
        "service_port_visited": counts.service_ports,
        "endpoint_visited": counts.endpoints,
        "sync_restore": 1,
        "save_run": counts.cleanup,
        "rule_saved": counts.cleanup * rules,
        "conntrack_listed": counts.conntrack_listed,
        "conntrack_run": counts.conntrack_runs,
    }
    if kind == SyncKind.PARTIAL:
        work |= {
            "rule_present": rules,
            "dispatch_rule_written": counts.dispatch,
            "own_rule_written": counts.changed_own,
        }
        if backend == "nft":
            work |= {"partial_restore": 1, "dispatch_rule_written_squared": counts.dispatch * counts.dispatch}
        return work
    jumps = ENSURED_JUMPS if version >= PARTIAL_SYNC_SINCE else ENSURED_JUMPS_BEFORE_1_27
    work |= {
        "rule_rewritten": rules,
        "iptables_run": (2 + counts.fresh) * jumps,
        "rule_read_back": 2 * ENSURED_JUMPS_NAT * rules,
    }
    if backend == "nft":  # a ClusterIP port of e endpoints has 3 e + 1 rules of its own, in e + 1 chains
        chains = (counts.own + 2 * counts.dispatch) // 3
        return work | {"chain_rewritten_squared": chains * chains}
    return work | {"rule_rewritten_squared": rules * rules}
