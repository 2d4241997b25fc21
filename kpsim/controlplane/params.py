"""Knobs of the control plane that a scenario may turn; everything else comes from the control-plane profile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ObjectSizesName = Literal["fields", "fields-aws", "fields-short", "fields-hints", "kep-752"]


@dataclass(frozen=True, slots=True)
class ControllerManagerParams:
    """kube-controller-manager flags as they bear on EndpointSlices; ``None`` takes the profile's Kubernetes default."""

    qps: float | None = None
    burst: int | None = None
    concurrent_service_endpoint_syncs: int | None = None
    max_endpoints_per_slice: int | None = None
    endpointslice_updates_batch_period_s: float | None = None
    endpoints_controller: bool = True  # the older one, which writes Endpoints objects beside the slices


@dataclass(frozen=True, slots=True)
class ApiServerParams:
    """How many API servers, and kube-apiserver's flags; ``None`` takes the profile's Kubernetes default."""

    replicas: int = 1
    max_requests_inflight: int | None = None
    max_mutating_requests_inflight: int | None = None
    egress_bytes_per_s: float | None = None  # of each
    object_sizes: ObjectSizesName = "fields"
    priority_and_fairness: bool = True
    cores: int | None = None  # of each, free to send events
    borrow_seats: bool = True  # of other priority levels, which are idle
