"""Knobs of the control plane that a scenario may turn; all else comes from ``profiles/kubernetes-defaults.yaml``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

from kpsim.declared import Declared
from kpsim.profiles.defaults import Defaults
from kpsim.units import to_ns

ObjectSizesName = Literal["fields", "fields-aws", "fields-short", "fields-hints", "kep-752"]

_MOST_API_SERVERS = 100
_MOST_IN_A_SLICE = 1000  # pkg/controller/endpointslice/config
_Flag = partial(Declared, otherwise="Kubernetes' own (kubernetes-defaults.yaml)")


@dataclass(frozen=True, slots=True)
class ControllerManagerParams:
    """kube-controller-manager flags as they bear on EndpointSlices; ``None`` takes the profile's Kubernetes default."""

    qps: Annotated[float | None, _Flag("Writes that each controller's client may send a second", more_than=0)] = None
    burst: Annotated[int | None, _Flag("Writes that may be sent at once before qps limits them", at_least=1)] = None
    concurrent_service_endpoint_syncs: Annotated[
        int | None, _Flag("Workers of the EndpointSlice controller", at_least=1)
    ] = None
    max_endpoints_per_slice: Annotated[
        int | None, _Flag("Endpoints that one EndpointSlice holds", at_least=1, at_most=_MOST_IN_A_SLICE)
    ] = None
    endpointslice_updates_batch_period_s: Annotated[
        float | None, _Flag("Changes of Pods wait so long for others", key="endpointSliceUpdatesBatchPeriod")
    ] = None
    endpoints_controller: Annotated[bool, Declared("Endpoints objects are written beside the slices")] = True


@dataclass(frozen=True, slots=True)
class ApiServerParams:
    """The number of API servers, and kube-apiserver's flags; ``None`` takes the profile's Kubernetes default."""

    replicas: Annotated[int, Declared("API servers", at_least=1, at_most=_MOST_API_SERVERS)] = 1
    max_requests_inflight: Annotated[int | None, _Flag("Reads that each server works on at once", at_least=1)] = None
    max_mutating_requests_inflight: Annotated[
        int | None, _Flag("Writes that each server works on at once", at_least=1)
    ] = None
    egress_bytes_per_s: Annotated[float | None, _Flag("Bytes that each server can send", more_than=0)] = None
    object_sizes: Annotated[ObjectSizesName, Declared("How large EndpointSlices are taken to be")] = "fields"
    priority_and_fairness: Annotated[bool, Declared("Seats are shared by API Priority and Fairness")] = True
    cores: Annotated[int | None, _Flag("Cores of each server that are free to send events", at_least=1)] = None
    borrow_seats: Annotated[bool, Declared("Seats are borrowed of priority levels that are idle")] = True


@dataclass(frozen=True, slots=True)
class ControllerSettings:
    """kube-controller-manager's flags as they hold in a run, times in ns."""

    qps: float
    burst: int
    workers: int
    endpoints_per_slice: int
    batch_ns: int
    sync_ns: int
    sync_pod_ns: float
    stale_retry_ns: int
    stale_retry_most_ns: int
    retry_qps: float
    retry_burst: int
    most_retries: int
    foreign_change_ns: int
    informer_ns: int

    @staticmethod
    def of(params: ControllerManagerParams, defaults: Defaults) -> ControllerSettings:
        """Return the scenario's flags over Kubernetes' defaults."""

        def pick(given: float | None, key: str) -> float:
            return defaults.value(key) if given is None else given

        endpointslice = "endpointslice."
        return ControllerSettings(
            qps=pick(params.qps, "controller_manager.kube_api_qps"),
            burst=int(pick(params.burst, "controller_manager.kube_api_burst")),
            workers=int(
                pick(params.concurrent_service_endpoint_syncs, endpointslice + "concurrent_service_endpoint_syncs")
            ),
            endpoints_per_slice=int(pick(params.max_endpoints_per_slice, endpointslice + "max_endpoints_per_slice")),
            batch_ns=to_ns(pick(params.endpointslice_updates_batch_period_s, endpointslice + "updates_batch_period")),
            sync_ns=to_ns(defaults.value(endpointslice + "sync")),
            sync_pod_ns=defaults.value(endpointslice + "sync_pod") * 1e9,
            stale_retry_ns=to_ns(defaults.value(endpointslice + "stale_retry")),
            stale_retry_most_ns=to_ns(defaults.value(endpointslice + "stale_retry_most")),
            retry_qps=defaults.value(endpointslice + "retry_qps"),
            retry_burst=round(defaults.value(endpointslice + "retry_burst")),
            most_retries=round(defaults.value(endpointslice + "most_retries")),
            foreign_change_ns=to_ns(defaults.value(endpointslice + "foreign_change_delay")),
            informer_ns=to_ns(defaults.value("api_server.watch")),
        )
