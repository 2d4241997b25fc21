"""How kube-proxy is configured, as far as the model reads a KubeProxyConfiguration."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ProxyParams"]


@dataclass(frozen=True, slots=True)
class ProxyParams:
    """One mode's settings; ``None`` takes the mode's own default for the Kubernetes version."""

    mode: str = "iptables"
    min_sync_period_s: float | None = None
    sync_period_s: float | None = None
    masquerade_all: bool = False
    ipvs_scheduler: str = "rr"
    conntrack_max_per_core: int = 32768
    conntrack_min: int = 131072
