"""What goes wrong on nodes, as a scenario asks for it: failed syncs, restarts, flushed rules, a lock others hold."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FaultParams"]


@dataclass(frozen=True, slots=True)
class FaultParams:
    """Rates are a node's; a share is of syncs, or of time."""

    failed_syncs: float = 0.0  # share of syncs whose restore or transaction fails
    restarts_per_hour: float = 0.0  # of kube-proxy
    flushes_per_hour: float = 0.0  # somebody else empties the tables, as firewall daemons do when they reload
    lock_held: float = 0.0  # share of time in which another process holds the xtables lock
    lock_hold_s: float = 0.0  # how long it holds it each time

    @property
    def any(self) -> bool:
        """Whether anything goes wrong at all."""
        return any((self.failed_syncs, self.restarts_per_hour, self.flushes_per_hour, self.lock_held))
