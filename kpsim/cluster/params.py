"""The parameters of a cluster in a scenario: nodes, groups of Services, churn."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from kpsim.cluster.addresses import RANGES, Addresses
from kpsim.declared import Declared, Form
from kpsim.units import MOST_CORES, UnitError

_MOST_PORTS = 65_456  # they are numbered from 80 on
_MOST_SIGMA = 10.0  # of a logarithm: beyond it, the mean is never seen

Policy = Literal["Cluster", "Local"]
FamilyPolicy = Literal["SingleStack", "PreferDualStack", "RequireDualStack"]


def _read_ports(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"\s*(\d{1,5})\s*-\s*(\d{1,5})\s*", text)
    if match and 1 <= int(match[1]) <= int(match[2]) <= 65535:
        return int(match[1]), int(match[2])
    raise UnitError(f"{text[:60]!r} is not a range of ports", "write e.g. 30000-32767")


def _read_families(families: tuple[str, ...]) -> tuple[str, ...]:
    if not families or len(set(families)) != len(families):
        raise UnitError("must be [IPv4], [IPv6], or [IPv4, IPv6]", "each family once")
    return tuple(sorted(families))


PORTS = Form(str, _read_ports, lambda ports: "{}-{}".format(*ports), "a range of ports, e.g. 30000-32767")
FAMILIES = Form(
    tuple[Literal["IPv4", "IPv6"], ...],
    _read_families,
    list,
    "a list: [IPv4], [IPv6], or [IPv4, IPv6]",
)


@dataclass(frozen=True, slots=True)
class ClusterParams:
    """Nodes and address ranges."""

    nodes: Annotated[int, Declared("Nodes that run kube-proxy", at_least=1)] = 3
    zones: Annotated[int, Declared("Zones; node number n is in zone n modulo this", at_least=1)] = 1
    cores: Annotated[int, Declared("CPU cores of each node", at_least=1, at_most=MOST_CORES)] = 4
    iptables_backend: Annotated[Literal["legacy", "nft"], Declared("What iptables writes rules with")] = "legacy"
    service_cluster_ip_range: Annotated[str, Declared("Where ClusterIPs come from, e.g. 10.96.0.0/12")] = RANGES[
        "IPv4"
    ][0]
    pod_cidr: Annotated[str, Declared("Where Pods' addresses come from, e.g. 10.128.0.0/10")] = RANGES["IPv4"][1]
    service_node_port_range: Annotated[tuple[int, int], Declared("Where NodePorts come from", form=PORTS)] = (
        30000,
        32767,
    )
    ip_families: Annotated[tuple[str, ...], Declared("IP families of the cluster", form=FAMILIES)] = ("IPv4",)

    def __post_init__(self) -> None:
        """A cluster without IPv4 has ranges of IPv6 where none are named."""
        pairs = zip(("service_cluster_ip_range", "pod_cidr"), RANGES["IPv4"], RANGES[self.ip_families[0]], strict=True)
        for name, default, usual in pairs:
            if getattr(self, name) == default:
                object.__setattr__(self, name, usual)

    @property
    def dual_stack(self) -> bool:
        """Return True if Services may have both IP families, and every node has a proxier for each."""
        return len(self.ip_families) > 1

    @property
    def addresses(self) -> Addresses:
        """Return a new book of the addresses of the first family."""
        return Addresses(self.ip_families[0], self.service_cluster_ip_range, self.pod_cidr)


@dataclass(frozen=True, slots=True)
class EndpointCount:
    """The number of endpoints of each Service of a group: always ``mean``, or drawn around it, at most ``max``."""

    distribution: Annotated[
        Literal["constant", "lognormal", "uniform"], Declared("How numbers of endpoints are spread", required=True)
    ] = "constant"
    mean: Annotated[float, Declared("Mean number of endpoints; of a uniform one, halfway from min to max")] = 1.0
    sigma: Annotated[
        float, Declared("Standard deviation of the logarithm, of a lognormal number", at_most=_MOST_SIGMA)
    ] = 0.0
    min: Annotated[int, Declared("Fewest endpoints")] = 0
    max: Annotated[int | None, Declared("Most endpoints", otherwise="no limit")] = None

    def as_count(self) -> int | None:
        """Return the number that a file may write instead, ``None`` if it is drawn."""
        alike = self == EndpointCount(mean=self.mean) and self.mean.is_integer()
        return int(self.mean) if alike else None


ENDPOINTS = Form(
    int, lambda n: EndpointCount(mean=float(n)), EndpointCount.as_count, "a whole number, or a mapping that draws one"
)
HEADLESS = Form(Literal["None"], bool, lambda headless: "None" if headless else None, "None, for headless Services")


@dataclass(frozen=True, slots=True)
class ServiceGroup:
    """``count`` alike Services, named ``<name>-0`` … in ``namespace``.

    ``ports`` is the number of service ports each has (80, 81, …); ``headless`` ones have ``clusterIP: None``.
    """

    name: Annotated[str, Declared("What the Services are called, before their number")]
    count: Annotated[int, Declared("Services in the group")] = 1
    endpoints: Annotated[EndpointCount, Declared("Endpoints of each Service", form=ENDPOINTS)] = EndpointCount()
    namespace: Annotated[str, Declared("Their namespace")] = "default"
    type: Annotated[
        Literal["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"], Declared("Type of the Services")
    ] = "ClusterIP"
    headless: Annotated[bool, Declared("None makes them headless", key="clusterIP", form=HEADLESS)] = False
    ports: Annotated[int, Declared("Service ports of each", at_least=1, at_most=_MOST_PORTS)] = 1
    protocol: Annotated[Literal["TCP", "UDP", "SCTP"], Declared("Protocol of the ports")] = "TCP"
    session_affinity: Annotated[
        Literal["None", "ClientIP"], Declared("ClientIP sends a client to the same endpoint again")
    ] = "None"
    internal_traffic_policy: Annotated[Policy, Declared("Local sends Pods to endpoints of their own node")] = "Cluster"
    external_traffic_policy: Annotated[Policy, Declared("Local sends outside traffic to the node's own")] = "Cluster"
    ip_family_policy: Annotated[FamilyPolicy, Declared("Whether they have addresses of both families")] = "SingleStack"


@dataclass(frozen=True, slots=True)
class ChurnParams:
    """Stochastic change: Pods replaced and Services created, each a Poisson stream.

    A Pod replacement is a delete and a create in the same workload: up to four EndpointSlice writes.
    """

    pod_replacements_per_s: Annotated[float, Declared("Pods deleted and made anew, in the cluster")] = 0.0
    services_created_per_s: Annotated[float, Declared("Services created, in the cluster")] = 0.0
    pod_shutdown_s: Annotated[
        float | None, Declared("From SIGTERM until the process is gone", otherwise="that of kubernetes-defaults.yaml")
    ] = None
    pre_stop_s: Annotated[
        float | None, Declared("A preStop hook sleeps so long before SIGTERM", otherwise="no hook")
    ] = None
