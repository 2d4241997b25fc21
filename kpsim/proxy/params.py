"""How kube-proxy is configured, as far as the model reads a KubeProxyConfiguration."""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["ModePeriods", "ProxyParams"]


@dataclass(frozen=True, slots=True)
class ModePeriods:
    """How often one mode syncs, as its own section of the configuration says."""

    mode: str
    min_sync_period_s: float | None = None
    sync_period_s: float | None = None


@dataclass(frozen=True, slots=True)
class ProxyParams:
    """One mode's settings; ``None`` takes the mode's own default for the Kubernetes version.

    ``periods`` keeps what the sections of all modes say, so that :meth:`for_mode` can turn one mode's settings into
    another's: iptables' minSyncPeriod is not ipvs'.
    """

    mode: str = "iptables"
    min_sync_period_s: float | None = None
    sync_period_s: float | None = None
    masquerade_all: bool = False
    ipvs_scheduler: str = "rr"
    conntrack_max_per_core: int = 32768
    conntrack_min: int = 131072
    periods: tuple[ModePeriods, ...] = ()

    def for_mode(self, mode: str) -> ProxyParams:
        """The same configuration with ``mode`` chosen and that mode's own periods."""
        own = next((at for at in self.periods if at.mode == mode), None)
        if own is None:
            return self if mode == self.mode else replace(self, mode=mode, min_sync_period_s=None, sync_period_s=None)
        return replace(self, mode=mode, min_sync_period_s=own.min_sync_period_s, sync_period_s=own.sync_period_s)
