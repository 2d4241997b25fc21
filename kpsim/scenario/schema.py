"""The sections a scenario file has, and those whose keys are not the fields of what they become.

Most sections are parameter classes of the rooms they are about.  The exceptions stand here: what kube-proxy's own
configuration calls its keys, the forms a Service may be written in, and mappings that only exist in the file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from kpsim.cluster.params import ChurnParams, ClusterParams, ServiceGroup
from kpsim.controlplane.params import ApiServerParams, ControllerManagerParams
from kpsim.declared import Declared, Form
from kpsim.dns.params import DnsParams
from kpsim.ingress.params import IngressParams
from kpsim.proxy.params import FaultParams
from kpsim.scenario.model import Asked, ProfileChoice, RunParams
from kpsim.scenario.sections.events import EVENT_ITEM
from kpsim.traffic.params import TrafficParams
from kpsim.units import UnitError, Version

if TYPE_CHECKING:
    EventItem = Any  # a class made of the event kinds there are
else:
    EventItem = EVENT_ITEM

API_VERSION: Literal["kpsim/v1alpha1"] = "kpsim/v1alpha1"
EXAMPLES = {  # what to write for a key that is missing
    "spec": "a scenario has its settings under spec:",
    "apiVersion": f"begin the file with apiVersion: {API_VERSION}",
    "kind": "write kind: Scenario",
    "at": "say when, since the run began: {at: 30s, …}",
    "name": "give the group a name: {name: web, count: 100, endpoints: 5}",
}


def _read_version(text: str) -> Version:
    match = re.fullmatch(r"v?(\d{1,3})\.(\d{1,3})(\.\d{1,3})?([-+].*)?", text)
    if match:
        return int(match[1]), int(match[2])
    raise UnitError(f"{text[:40]!r} is not a version of Kubernetes", 'write e.g. "1.34"')


VERSION = Form(str, _read_version, lambda version: "{}.{}".format(*version), 'a version in quotes, e.g. "1.34"')


@dataclass(frozen=True, slots=True)
class Metadata:
    """The scenario's name, and the question it asks."""

    name: Annotated[str, Declared("What the scenario, and the directory of its results, is called")] = ""
    description: Annotated[str, Declared("The question it asks")] = ""


@dataclass(frozen=True, slots=True)
class Kubernetes:
    """The version of Kubernetes."""

    version: Annotated[Version, Declared("Decides which modes exist and what they do", form=VERSION)] = (1, 34)


@dataclass(frozen=True, slots=True)
class Preset:
    """The Services of a well-known load test, as groups; without a size, of the cluster's nodes."""

    preset: Annotated[
        Literal["cl2-load", "cluster-density", "huge-service", "node-density"],
        Declared("The load test whose Services there are"),
    ]
    nodes: Annotated[int | None, Declared("Nodes it is sized for", at_least=1, otherwise="the cluster's")] = None
    endpoints: Annotated[int | None, Declared("Endpoints of its Service", at_least=1, otherwise="the test's")] = None
    iterations: Annotated[int | None, Declared("How often it makes its objects", at_least=1, otherwise="by nodes")] = (
        None
    )


@dataclass(frozen=True, slots=True)
class KubernetesObject:
    """A Kubernetes object as users write it; read by :mod:`kpsim.kube`."""

    __pasted__ = True

    api_version: Annotated[str, Declared("The object's API, e.g. v1")]
    kind: Annotated[str, Declared("The object's kind, e.g. Service")]


def service_form(value: object) -> type:
    """Return the class of what stands among the Services: a group, a preset or a real object."""
    given = {key for key, item in value.items() if item is not None} if isinstance(value, dict) else set()
    return KubernetesObject if "kind" in given else Preset if "preset" in given else ServiceGroup


_Pasted = partial(Declared, otherwise="kube-proxy's own")


@dataclass(frozen=True, slots=True)
class ModeSection:
    """One mode's section of a KubeProxyConfiguration."""

    __pasted__ = True

    min_sync_period_s: Annotated[float | None, _Pasted("The least time between syncs")] = None
    sync_period_s: Annotated[float | None, _Pasted("The time after which everything is synced again")] = None
    masquerade_all: Annotated[bool | None, _Pasted("All traffic to ClusterIPs is masqueraded")] = None
    masquerade_bit: Annotated[int | None, _Pasted("The bit of the mark that asks for it", at_most=31)] = None


@dataclass(frozen=True, slots=True)
class IptablesSection(ModeSection):
    """``iptables:`` of a KubeProxyConfiguration."""

    localhost_node_ports: Annotated[bool | None, _Pasted("NodePorts answer on 127.0.0.1 too")] = None


@dataclass(frozen=True, slots=True)
class IpvsSection(ModeSection):
    """``ipvs:`` of a KubeProxyConfiguration."""

    scheduler: Annotated[str | None, _Pasted("How IPVS chooses an endpoint, e.g. rr")] = None
    strict_arp: Annotated[bool | None, _Pasted("Nodes do not answer ARP for Services' addresses")] = None
    tcp_timeout_s: Annotated[float | None, _Pasted("Idle TCP connections are forgotten")] = None
    tcp_fin_timeout_s: Annotated[float | None, _Pasted("Closed TCP connections are forgotten")] = None
    udp_timeout_s: Annotated[float | None, _Pasted("Idle UDP flows are forgotten")] = None
    exclude_cidrs: Annotated[tuple[str, ...] | None, _Pasted("Virtual servers there are left alone")] = None


@dataclass(frozen=True, slots=True)
class WinkernelSection:
    """``winkernel:`` of a KubeProxyConfiguration."""

    __pasted__ = True

    source_vip: Annotated[str | None, _Pasted("The node's address on an overlay network")] = None
    enable_dsr: Annotated[bool | None, _Pasted("Replies go to clients directly")] = None
    root_hns_endpoint_name: Annotated[str | None, _Pasted("The endpoint that health checks come from")] = None
    forward_health_check_vip: Annotated[bool | None, _Pasted("Health checks are forwarded to it")] = None


@dataclass(frozen=True, slots=True)
class ConntrackSection:
    """``conntrack:`` of a KubeProxyConfiguration."""

    __pasted__ = True

    max_per_core: Annotated[int | None, _Pasted("Connections tracked for each core of a node")] = None
    min: Annotated[int | None, _Pasted("Connections tracked at least, however few cores")] = None
    tcp_be_liberal: Annotated[bool | None, _Pasted("Packets out of the window are not called invalid")] = None


@dataclass(frozen=True, slots=True)
class DetectLocalSection:
    """``detectLocal:`` of a KubeProxyConfiguration."""

    __pasted__ = True

    bridge_interface: Annotated[str | None, _Pasted("The bridge that Pods are on, e.g. cni0")] = None
    interface_name_prefix: Annotated[str | None, _Pasted("How Pods' interfaces begin, e.g. veth")] = None


@dataclass(frozen=True, slots=True)
class KubeProxySection:
    """A KubeProxyConfiguration, verbatim; sections of modes that are not named here are read by their names."""

    __pasted__ = True

    mode: Annotated[str | None, _Pasted("The proxy mode", otherwise="iptables")] = None
    cluster_cidr: Annotated[str | None, _Pasted("Where Pods' addresses are", otherwise="cluster.podCIDR")] = None
    detect_local_mode: Annotated[str | None, _Pasted("How a node's own Pods are told from others")] = None
    detect_local: Annotated[DetectLocalSection | None, _Pasted("The interfaces of a node's own Pods")] = None
    node_port_addresses: Annotated[tuple[str, ...] | None, _Pasted("Where NodePorts answer")] = None
    iptables: Annotated[IptablesSection | None, _Pasted("How the iptables mode syncs")] = None
    nftables: Annotated[ModeSection | None, _Pasted("How the nftables mode syncs")] = None
    ipvs: Annotated[IpvsSection | None, _Pasted("How the ipvs mode syncs")] = None
    winkernel: Annotated[WinkernelSection | None, _Pasted("How a Windows node is set up")] = None
    conntrack: Annotated[ConntrackSection | None, _Pasted("How many connections a node tracks")] = None


@dataclass(frozen=True, slots=True)
class Compare:
    """The modes that meet the same arrivals and changes."""

    modes: Annotated[tuple[str, ...], Declared("Modes to compare, in this order", at_least=1)]


@dataclass(frozen=True, slots=True)
class ChangesSection:
    """Things change while traffic flows: churn at random, events at given moments."""

    churn: Annotated[ChurnParams, Declared("Pods replaced and Services created, at random")] = ChurnParams()
    events: Annotated[tuple[EventItem, ...] | None, Declared("What happens at a given moment")] = None


@dataclass(frozen=True, slots=True)
class Spec:
    """One question about one cluster."""

    kubernetes: Annotated[Kubernetes, Declared("Which Kubernetes")] = Kubernetes()
    cluster: Annotated[ClusterParams, Declared("Nodes and address ranges")] = ClusterParams()
    services: Annotated[
        tuple[ServiceGroup | KubernetesObject | Preset, ...],
        Declared("Groups of alike Services, load tests by name, or Kubernetes objects", choose=service_form),
    ] = ()
    objects: Annotated[tuple[KubernetesObject, ...] | None, Declared("Kubernetes objects, as kubectl prints them")] = (
        None
    )
    import_from: Annotated[tuple[str, ...] | None, Declared("Files with objects, or with rules of nodes")] = None
    api_server: Annotated[ApiServerParams, Declared("How many API servers, and their flags")] = ApiServerParams()
    controller_manager: Annotated[ControllerManagerParams, Declared("kube-controller-manager's flags")] = (
        ControllerManagerParams()
    )
    kube_proxy: Annotated[KubeProxySection, Declared("A KubeProxyConfiguration, verbatim")] = KubeProxySection()
    compare: Annotated[Compare | None, Declared("Modes that meet the same changes", otherwise="kube-proxy's")] = None
    traffic: Annotated[TrafficParams, Declared("Connections opened on every node")] = TrafficParams()
    changes: Annotated[ChangesSection, Declared("What changes while traffic flows")] = ChangesSection()
    faults: Annotated[FaultParams, Declared("What goes wrong on nodes; nothing by default")] = FaultParams()
    dns: Annotated[DnsParams | None, Declared("Names that clients use", otherwise="no names are used")] = None
    ingress: Annotated[
        IngressParams | None,
        Declared("A controller before the Services, for the Ingress objects", otherwise="no requests from outside"),
    ] = None
    profile: Annotated[ProfileChoice, Declared("Which measured costs")] = ProfileChoice()
    run: Annotated[RunParams, Declared("How long, how often, with which seed and engine")] = RunParams()
    thresholds: Annotated[
        dict[str, tuple[str, ...]],
        Declared('Objectives by measure, e.g. network_programming_true: ["p99 < 10s"]', alone=True),
    ] = field(default_factory=dict)
    ask: Annotated[
        Asked | None,
        Declared(
            "Answered first: why kube-proxy's CPU is high, why updates are late, how even endpoints are loaded, "
            "which mode to choose",
            otherwise="the question follows from the other keys",
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class ScenarioDocument:
    """A whole scenario file."""

    api_version: Annotated[Literal["kpsim/v1alpha1"], Declared("The format of the file")]
    kind: Annotated[Literal["Scenario", "Sweep"], Declared("One question, or a grid of them")]
    metadata: Annotated[Metadata, Declared("What the scenario is called")] = Metadata()
    spec: Annotated[Spec, Declared("The question and its cluster", required=True)] = Spec()
    sweep: Annotated[dict[str, object] | None, Declared("Ranges by path, e.g. services.web.count: 1..10k:log:9")] = None
