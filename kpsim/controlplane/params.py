"""Knobs of the control plane that a scenario may turn; everything else comes from the control-plane profile."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ControllerManagerParams"]


@dataclass(frozen=True, slots=True)
class ControllerManagerParams:
    """kube-controller-manager flags as they bear on EndpointSlices; ``None`` takes the profile's Kubernetes default."""

    qps: float | None = None
    burst: int | None = None
    concurrent_service_endpoint_syncs: int | None = None
    max_endpoints_per_slice: int | None = None
    endpointslice_updates_batch_period_s: float | None = None
