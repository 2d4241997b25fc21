"""The keys a scenario file may have: the boundary where text becomes typed values.

One model a mapping, camel case outside, snake case inside; defaults come from the dataclasses they fill.  Only this
module knows pydantic's fields; what a value *means* is checked in :mod:`kpsim.scenario.build`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from kpsim.cluster.params import ChurnParams, ClusterParams, ServiceGroup
from kpsim.controlplane.params import ApiServerParams, ControllerManagerParams, ObjectSizesName
from kpsim.proxy.params import FaultParams, ProxyParams
from kpsim.scenario.model import ProfileChoice, RunParams
from kpsim.scenario.sections.dns import DnsPart
from kpsim.scenario.sections.events import EventPart
from kpsim.scenario.sections.quantities import (
    Count,
    Duration,
    LongDuration,
    Objectives,
    Part,
    PastedPart,
    Positive,
    Rate,
    Share,
)
from kpsim.traffic.params import TrafficParams

API_VERSION = "kpsim/v1alpha1"

_CLUSTER, _TRAFFIC, _CHURN, _FAULTS = ClusterParams(), TrafficParams(), ChurnParams(), FaultParams()
_API, _CONTROLLERS = ApiServerParams(), ControllerManagerParams()
_MOST_API_SERVERS = 100
_MOST_PORTS = 65_456  # they are numbered from 80 on
_PROFILE, _RUN, _PROXY, _GROUP = ProfileChoice(), RunParams(), ProxyParams(), ServiceGroup("", 0)


class MetadataPart(Part):
    """What the scenario is called, and the question it asks."""

    name: str = ""
    description: str = ""


class KubernetesPart(Part):
    """Which Kubernetes, e.g. "1.34"; it decides which modes exist."""

    version: str = "1.34"


class ClusterPart(Part):
    """Nodes and address ranges."""

    nodes: Positive = _CLUSTER.nodes
    zones: Positive = _CLUSTER.zones
    cores: Positive = _CLUSTER.cores
    iptables_backend: Literal["legacy", "nft"] = _CLUSTER.iptables_backend
    service_cluster_ip_range: str = Field(_CLUSTER.service_cluster_ip_range, alias="serviceClusterIPRange")
    pod_cidr: str = Field(_CLUSTER.pod_cidr, alias="podCIDR")
    ip_families: list[Literal["IPv4", "IPv6"]] = ["IPv4"]  # noqa: RUF012 - a pydantic model, which copies it
    service_node_port_range: str = "{}-{}".format(*_CLUSTER.service_node_port_range)


class DrawnPart(Part):
    """How many endpoints, drawn for each Service."""

    distribution: Literal["constant", "lognormal", "uniform"]
    mean: Rate | None = None
    sigma: Rate = 0.0
    min: Count = 0
    max: Count | None = None


def _endpoints_tag(value: object) -> str:
    return "<drawn>" if isinstance(value, dict) else "<constant>"


class ServicePart(Part):
    """A group of alike Services."""

    name: str
    count: Count = 1
    endpoints: Annotated[
        Annotated[Count, Tag("<constant>")] | Annotated[DrawnPart, Tag("<drawn>")], Discriminator(_endpoints_tag)
    ] = 1
    namespace: str = _GROUP.namespace
    type: Literal["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"] = _GROUP.type
    cluster_ip: Literal["None"] | None = Field(None, alias="clusterIP")
    ports: Annotated[Positive, Field(le=_MOST_PORTS)] = _GROUP.ports
    protocol: Literal["TCP", "UDP", "SCTP"] = _GROUP.protocol
    session_affinity: Literal["None", "ClientIP"] = _GROUP.session_affinity
    internal_traffic_policy: Literal["Cluster", "Local"] = _GROUP.internal_traffic_policy
    external_traffic_policy: Literal["Cluster", "Local"] = _GROUP.external_traffic_policy
    ip_family_policy: Literal["SingleStack", "PreferDualStack", "RequireDualStack"] = _GROUP.ip_family_policy


class PresetPart(Part):
    """The Services of a well-known load test, as groups; without a size, of the cluster's nodes."""

    preset: Literal["cl2-load", "cluster-density", "huge-service", "node-density"]
    nodes: Positive | None = None
    endpoints: Positive | None = None
    iterations: Positive | None = None


class ObjectPart(BaseModel):
    """A Kubernetes object as users write it; read by :mod:`kpsim.kube`."""

    model_config = ConfigDict(extra="allow", frozen=True)

    apiVersion: str  # noqa: N815 - Kubernetes' own spelling
    kind: str


def _service_tag(value: object) -> str:
    tags = {"kind": "<object>", "preset": "<preset>"}
    return next((tag for key, tag in tags.items() if isinstance(value, dict) and key in value), "<group>")


class ControllerManagerPart(Part):
    """kube-controller-manager's flags; left out, Kubernetes' defaults."""

    qps: Annotated[Rate, Field(gt=0)] | None = None
    burst: Positive | None = None
    concurrent_service_endpoint_syncs: Positive | None = None
    max_endpoints_per_slice: Annotated[Positive, Field(le=1000)] | None = None
    endpoint_slice_updates_batch_period: Duration | None = None
    endpoints_controller: bool = _CONTROLLERS.endpoints_controller


class ApiServerPart(Part):
    """How many API servers, and kube-apiserver's flags; left out, Kubernetes' defaults."""

    replicas: Annotated[Positive, Field(le=_MOST_API_SERVERS)] = _API.replicas
    max_requests_inflight: Positive | None = None
    max_mutating_requests_inflight: Positive | None = None
    egress_bytes_per_second: Annotated[Rate, Field(gt=0)] | None = None
    cores: Positive | None = None
    borrow_seats: bool = _API.borrow_seats
    object_sizes: ObjectSizesName = _API.object_sizes
    priority_and_fairness: bool = _API.priority_and_fairness


class ModePart(PastedPart):
    """One mode's section of a KubeProxyConfiguration."""

    min_sync_period: Duration | None = None
    sync_period: Duration | None = None
    masquerade_all: bool | None = None
    masquerade_bit: Annotated[int, Field(ge=0, le=31)] | None = None


class IptablesPart(ModePart):
    """``iptables:`` of a KubeProxyConfiguration."""

    localhost_node_ports: bool | None = None


class IpvsPart(ModePart):
    """``ipvs:`` of a KubeProxyConfiguration."""

    scheduler: str | None = None
    strict_arp: bool | None = Field(None, alias="strictARP")
    tcp_timeout: Duration | None = None
    tcp_fin_timeout: Duration | None = None
    udp_timeout: Duration | None = None
    exclude_cidrs: list[str] | None = Field(None, alias="excludeCIDRs")


class WinkernelPart(PastedPart):
    """``winkernel:`` of a KubeProxyConfiguration."""

    source_vip: str | None = None
    enable_dsr: bool | None = Field(None, alias="enableDSR")
    root_hns_endpoint_name: str | None = None
    forward_health_check_vip: bool | None = None


class ConntrackPart(PastedPart):
    """``conntrack:`` of a KubeProxyConfiguration."""

    max_per_core: Count | None = None
    min: Count | None = None
    tcp_be_liberal: bool | None = None


class DetectLocalPart(PastedPart):
    """``detectLocal:`` of a KubeProxyConfiguration."""

    bridge_interface: str | None = None
    interface_name_prefix: str | None = None


class KubeProxyPart(PastedPart):
    """A KubeProxyConfiguration, verbatim."""

    mode: str | None = None
    cluster_cidr: str | None = Field(None, alias="clusterCIDR")
    detect_local_mode: str | None = None
    detect_local: DetectLocalPart | None = None
    node_port_addresses: list[str] | None = None
    iptables: IptablesPart | None = None
    ipvs: IpvsPart | None = None
    nftables: ModePart | None = None
    winkernel: WinkernelPart | None = None
    conntrack: ConntrackPart | None = None


class ComparePart(Part):
    """Which modes meet the same arrivals and changes."""

    modes: list[str] = Field(min_length=1)


class PopularityPart(Part):
    """How unevenly connections choose among Services."""

    zipf: Rate = _TRAFFIC.zipf


class TrafficPart(Part):
    """Connections opened on every node."""

    connections_per_second_per_node: Rate = _TRAFFIC.connections_per_s_per_node
    packets_per_connection: Positive = _TRAFFIC.packets_per_connection
    packet_interval: Duration = _TRAFFIC.packet_interval_s
    popularity: PopularityPart = PopularityPart()


class ChurnPart(Part):
    """Pods replaced and Services created, each a Poisson stream."""

    pod_replacements_per_second: Rate = _CHURN.pod_replacements_per_s
    services_created_per_second: Rate = _CHURN.services_created_per_s
    pod_shutdown: Duration | None = _CHURN.pod_shutdown_s
    pre_stop: Duration | None = _CHURN.pre_stop_s


class ChangesPart(Part):
    """What changes while traffic flows."""

    churn: ChurnPart = ChurnPart()
    events: list[EventPart] = Field(default_factory=list)


class LockPart(Part):
    """Other processes that take the xtables lock (CNI plugins, kubelet, firewall daemons)."""

    held: Share = _FAULTS.lock_held
    hold: Duration = _FAULTS.lock_hold_s


class FaultsPart(Part):
    """What goes wrong on nodes; nothing by default."""

    failed_syncs: Share = _FAULTS.failed_syncs
    restarts_per_node_per_hour: Rate = _FAULTS.restarts_per_hour
    rule_flushes_per_node_per_hour: Rate = _FAULTS.flushes_per_hour
    xtables_lock: LockPart = LockPart()


class ProfilePart(Part):
    """Which measured costs."""

    name: str = _PROFILE.name
    set: Literal["quiet", "typical"] = _PROFILE.set
    cache_warmth: Share = _PROFILE.cache_warmth


class RunPart(Part):
    """How long, how often, with which seed and engine."""

    duration: LongDuration = _RUN.duration_s
    warmup: Duration = _RUN.warmup_s
    seed: Count = _RUN.seed
    replications: Positive = _RUN.replications
    engine: Literal["auto", "reference", "batch"] = _RUN.engine
    packets: Positive = _RUN.packets


class SpecPart(Part):
    """One question about one cluster."""

    kubernetes: KubernetesPart = KubernetesPart()
    cluster: ClusterPart = Field(default_factory=lambda: ClusterPart.model_validate({}))
    services: list[
        Annotated[
            Annotated[ServicePart, Tag("<group>")]
            | Annotated[ObjectPart, Tag("<object>")]
            | Annotated[PresetPart, Tag("<preset>")],
            Discriminator(_service_tag),
        ]
    ] = Field(default_factory=list)
    objects: list[ObjectPart] = Field(default_factory=list)
    import_from: list[str] = Field(default_factory=list)
    api_server: ApiServerPart = ApiServerPart()
    controller_manager: ControllerManagerPart = ControllerManagerPart()
    kube_proxy: KubeProxyPart = Field(default_factory=lambda: KubeProxyPart.model_validate({}))
    compare: ComparePart | None = None
    traffic: TrafficPart = TrafficPart()
    changes: ChangesPart = ChangesPart()
    faults: FaultsPart = FaultsPart()
    dns: DnsPart = DnsPart()
    profile: ProfilePart = ProfilePart()
    run: RunPart = RunPart()
    thresholds: dict[str, Objectives] = Field(default_factory=dict)


class ScenarioDocument(Part):
    """A whole scenario file."""

    api_version: Literal["kpsim/v1alpha1"]
    kind: Literal["Scenario", "Sweep"]
    metadata: MetadataPart = MetadataPart()
    spec: SpecPart
    sweep: dict[str, Any] | None = None
