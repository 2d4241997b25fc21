"""The parameters of a cluster in a scenario: nodes, groups of Services, churn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class ClusterParams:
    """Nodes and address ranges."""

    nodes: int = 3
    zones: int = 1
    cores: int = 4
    iptables_backend: Literal["legacy", "nft"] = "legacy"
    service_cluster_ip_range: str = "10.96.0.0/12"
    pod_cidr: str = "10.128.0.0/10"
    service_node_port_range: tuple[int, int] = (30000, 32767)
    dual_stack: bool = False  # Services may have both IP families, and every node has a proxier for each


@dataclass(frozen=True, slots=True)
class EndpointCount:
    """The number of endpoints of each Service of a group: always ``mean``, or drawn around it, at most ``max``."""

    distribution: Literal["constant", "lognormal", "uniform"] = "constant"
    mean: float = 1.0
    sigma: float = 0.0
    min: int = 0
    max: int | None = None


@dataclass(frozen=True, slots=True)
class ServiceGroup:
    """``count`` alike Services, named ``<name>-0`` … in ``namespace``.

    ``ports`` is the number of service ports each has (80, 81, …); ``headless`` ones have ``clusterIP: None``.
    """

    name: str
    count: int
    endpoints: EndpointCount = EndpointCount()
    namespace: str = "default"
    type: Literal["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"] = "ClusterIP"
    headless: bool = False
    ports: int = 1
    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"
    session_affinity: Literal["None", "ClientIP"] = "None"
    internal_traffic_policy: Literal["Cluster", "Local"] = "Cluster"
    external_traffic_policy: Literal["Cluster", "Local"] = "Cluster"
    ip_family_policy: Literal["SingleStack", "PreferDualStack", "RequireDualStack"] = "SingleStack"


@dataclass(frozen=True, slots=True)
class ChurnParams:
    """Stochastic change: Pods replaced and Services created, each a Poisson stream.

    A Pod replacement is a delete and a create in the same workload: up to four EndpointSlice writes.
    """

    pod_replacements_per_s: float = 0.0
    services_created_per_s: float = 0.0
    pod_shutdown_s: float | None = None  # from SIGTERM to the process gone; None: the control-plane profile's
    pre_stop_s: float | None = None  # a preStop hook that sleeps so long before SIGTERM
