"""The parameters of an Ingress controller in a scenario, and the times that it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from kpsim.declared import Declared
from kpsim.profiles.defaults import load_defaults
from kpsim.units import MOST_CORES, to_ns

SERVICE = "ingress-nginx/ingress-nginx-controller"


@dataclass(frozen=True, slots=True)
class IngressParams:
    """A controller as ingress-nginx is one; its Service and Pods are made where no objects of that name were read."""

    requests_per_s: Annotated[
        float, Declared("Requests of clients outside, shared evenly by the paths of all Ingresses", more_than=0)
    ] = 100.0
    replicas: Annotated[int, Declared("The controller's Pods, which share the requests", at_least=1)] = 2
    cores: Annotated[
        int, Declared("CPU cores that each of its Pods may use, a worker each", at_least=1, at_most=MOST_CORES)
    ] = 2
    to: Annotated[
        Literal["ClusterIP", "Pods"], Declared("Requests go to Services' ClusterIPs, or straight to their Pods")
    ] = "Pods"
    tries: Annotated[
        int | None, Declared("Endpoints tried until one answers", at_least=1, otherwise="ingress-nginx' own")
    ] = None
    syncs_per_s: Annotated[
        float | None,
        Declared("How often it looks at changed endpoints, at most", more_than=0, otherwise="ingress-nginx' own"),
    ] = None
    class_name: Annotated[
        str, Declared("It serves Ingresses of this ingressClassName alone", otherwise="Ingresses of any class")
    ] = ""
    service: Annotated[str, Declared("The controller's own Service, as namespace/name")] = SERVICE
    type: Annotated[Literal["LoadBalancer", "NodePort"], Declared("How clients outside reach that Service")] = (
        "LoadBalancer"
    )


@dataclass(frozen=True, slots=True)
class ControllerTimings:
    """A controller takes these times [ns], and tries so often."""

    request_ns: int  # of a core [A36]
    interval_ns: int  # between two syncs, at least
    sync_ns: int
    tick_ns: int  # between two looks of a worker at what syncs wrote
    timeout_ns: int  # waited for a Pod that does not answer
    tries: int

    @staticmethod
    def of(params: IngressParams) -> ControllerTimings:
        """Return the timings of a controller with these parameters, the others ingress-nginx' own."""
        defaults = load_defaults()
        return ControllerTimings(
            request_ns=to_ns(defaults.value("ingress.request")),
            interval_ns=to_ns(1 / (params.syncs_per_s or defaults.value("ingress.syncs"))),
            sync_ns=to_ns(defaults.value("ingress.sync")),
            tick_ns=to_ns(defaults.value("ingress.tick")),
            timeout_ns=to_ns(defaults.value("ingress.connect_timeout")),
            tries=params.tries or int(defaults.value("ingress.tries")),
        )
