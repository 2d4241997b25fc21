"""The scenario as the rest of the house sees it: frozen, every default filled in, every number in SI units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from kpsim.cluster.params import ChurnParams, ClusterParams, ServiceGroup
from kpsim.controlplane.params import ApiServerParams, ControllerManagerParams
from kpsim.declared import Declared, Group
from kpsim.dns.params import DnsParams
from kpsim.history.events import Event
from kpsim.ingress.params import IngressParams
from kpsim.kube.objects import KubeObjects
from kpsim.proxy.params import FaultParams, ProxyParams
from kpsim.traffic.params import TrafficParams
from kpsim.units import Version

_SCALE = Group(
    "scale", "A slower or faster machine than the profile's; intervals widen by what scaling was seen to cost."
)


@dataclass(frozen=True, slots=True)
class ProfileChoice:
    """The measured costs to use: profile name, ``quiet`` or ``typical`` set, caches cold (0) to warm (1), speed."""

    name: Annotated[str, Declared("Measured costs by their name, or a file's path")] = "linux-6.18-zen3"
    set: Annotated[Literal["quiet", "typical"], Declared("Costs of a quiet machine, or of a usual one")] = "typical"
    cache_warmth: Annotated[float, Declared("How warm CPU caches are; 0 is cold", at_most=1)] = 1.0
    cpu_scale: Annotated[
        float, Declared("How many times as long everything takes as there", more_than=0, key="cpu", group=_SCALE)
    ] = 1.0


@dataclass(frozen=True, slots=True)
class RunParams:
    """A run's length, repetitions, seed and engine, and the most packets for a mode in all its runs."""

    duration_s: Annotated[float, Declared("Simulated time, the warm-up included", more_than=0)] = 60.0
    warmup_s: Annotated[float, Declared("Simulated time at the beginning that is not measured")] = 10.0
    seed: Annotated[int, Declared("Where all random numbers come from; the same seed gives the same bytes")] = 1
    replications: Annotated[int, Declared("Runs with random numbers of their own", at_least=1)] = 5
    engine: Annotated[
        Literal["auto", "reference", "batch"], Declared("Processes one by one, arrays, or what suits the size")
    ] = "auto"
    packets: Annotated[int, Declared("Packets simulated for each mode, at most, in all runs", at_least=1)] = 5_000_000


@dataclass(frozen=True, slots=True)
class Threshold:
    """An objective: ``statistic`` of ``measure`` must be below (or above) ``bound``, in the measure's SI unit."""

    measure: str
    statistic: str  # p50, p90, p99, p99.9, mean, max
    operator: Literal["<", "<=", ">", ">="]
    bound: float
    text: str  # as written, e.g. "p99 < 10s"


Asked = Literal["cpu", "updates", "balance", "comparison"]  # a question put before those that other keys imply


@dataclass(frozen=True, slots=True)
class Scenario:
    """One question about one cluster.

    >>> from dataclasses import replace
    >>> question = Scenario("small", cluster=ClusterParams(nodes=2), groups=(ServiceGroup("web", count=3),))
    >>> question.modes, question.run.replications
    (('iptables',), 5)
    >>> replace(question, modes=("ipvs", "nftables")).modes
    ('ipvs', 'nftables')

    From a file: ``kpsim.load("scenarios/hello.yaml").model``.
    """

    name: str
    description: str = ""
    kubernetes_version: Version = (1, 34)
    cluster: ClusterParams = ClusterParams()
    groups: tuple[ServiceGroup, ...] = ()
    objects: KubeObjects = KubeObjects()
    api_server: ApiServerParams = ApiServerParams()
    controller_manager: ControllerManagerParams = ControllerManagerParams()
    kube_proxy: ProxyParams = ProxyParams()
    modes: tuple[str, ...] = ("iptables",)  # compared, in this order; the same arrivals and changes for each
    traffic: TrafficParams = TrafficParams()
    churn: ChurnParams = ChurnParams()
    events: tuple[Event, ...] = ()
    faults: FaultParams = FaultParams()
    dns: DnsParams = DnsParams()
    ingress: IngressParams | None = None  # a controller before the Services
    profile: ProfileChoice = ProfileChoice()
    run: RunParams = RunParams()
    thresholds: tuple[Threshold, ...] = ()
    ask: Asked | None = None
    warnings: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Sweep:
    """A grid of overrides on one document: every combination is a Scenario of its own."""

    axes: tuple[tuple[str, tuple[str, ...]], ...]  # ("services.small.count", ("100", "1000")), …
    written: Mapping[str, object] = field(default_factory=dict, compare=False)  # each axis' range as it was written
