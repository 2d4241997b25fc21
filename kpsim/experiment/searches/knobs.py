"""The knobs that ``kpsim tune`` turns: where each stands in a scenario, the values worth trying, and its floor.

A value may be read as another: kube-proxy takes iptables' and nftables' ``minSyncPeriod: 0s`` as unset.  The mode's own
runner is asked what it makes of a value, so that there is one place that knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kpsim.errors import InputError, Place, Problem, did_you_mean
from kpsim.experiment.searches.quantity import Quantity
from kpsim.profiles.defaults import load_defaults
from kpsim.scenario.model import Scenario
from kpsim.scenario.sections.events import name_of_kind
from kpsim.simulation import mode_of
from kpsim.units import format_duration

SECTIONS = ("iptables", "ipvs", "nftables")  # of a KubeProxyConfiguration, with sync periods of their own
PROGRAMMING = Quantity("network_programming_true", "p99")
PROXY_CPU = Quantity("cpu_proxy_cores")
FAILED, EXPOSURE = Quantity("failed_connections"), Quantity("exposure")
ROLLOUT = Quantity("rollout_duration")
SENT = Quantity("api_bytes_per_s")
PATH_OF_RATE = ("controllerManager.qps", "controllerManager.burst")
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Knob:
    """A knob: its name, the values tried, the two measures it trades, and a sentence about its least value."""

    name: str
    about: str
    ladder: tuple[str, ...]
    measures: tuple[Quantity, Quantity]
    floor: str

    def settings(self, scenario: Scenario, mode: str, value: str) -> Pairs:
        """Return what ``--set`` sets for a value.  Raises :class:`InputError` where the scenario has no such knob."""
        if self.name in ("minSyncPeriod", "syncPeriod"):
            if mode not in SECTIONS:
                raise InputError(f"{mode} has no {self.name} of its own; take {', '.join(SECTIONS)} with --mode")
            return ((f"kubeProxy.{mode}.{self.name}", value),)
        if self.name == "qps":
            return tuple((path, value) for path in PATH_OF_RATE)
        if self.name == "slices":
            return (("controllerManager.maxEndpointsPerSlice", value),)
        ending = [
            (f"changes.events.{index}.{name_of_kind(type(event))}.preStop", value)
            for index, event in enumerate(scenario.events)
            if hasattr(event, "ending")
        ]
        if not ending:
            mend = "add e.g. changes: {events: [{at: 20s, rollout: {service: default/web-0}}]}"
            raise InputError(
                [Problem(Place(scenario.name), what="no event ends Pods, so preStop does nothing", mend=mend)]
            )
        return tuple(ending)

    def now(self, scenario: Scenario, mode: str) -> str:
        """Return the value that the scenario has, its default included; "" where it has none."""
        if self.name in ("minSyncPeriod", "syncPeriod"):
            if self.name == "syncPeriod":
                default = load_defaults().value("kube_proxy.sync_period")
                return format_duration(scenario.kube_proxy.for_mode(mode).sync_period(default))
            return format_duration(mode_of(scenario, mode)[0].runner(scenario.kubernetes_version).min_sync_s)
        manager = scenario.controller_manager
        if self.name == "qps":
            return _number(manager.qps or load_defaults().value("controller_manager.kube_api_qps"))
        if self.name == "slices":
            default = load_defaults().value("endpointslice.max_endpoints_per_slice")
            return _number(manager.max_endpoints_per_slice or default)
        endings = [event.ending.pre_stop_s for event in scenario.events if hasattr(event, "ending")]
        return format_duration(endings[0] or 0.0) if endings else ""

    def read_as(self, scenario: Scenario, mode: str, value: str) -> str:
        """Return the value that kube-proxy makes of the written one, where it is another; "" else."""
        if self.name != "minSyncPeriod":
            return ""
        taken = self.now(scenario, mode)
        return taken if taken != value else ""


def _number(value: float) -> str:
    return f"{value:.6g}"


KNOBS = {
    knob.name: knob
    for knob in (
        Knob(
            "minSyncPeriod",
            "least time between two syncs of kube-proxy",
            ("0s", "100ms", "250ms", "500ms", "1s", "2s", "5s", "10s", "30s"),
            (PROGRAMMING, PROXY_CPU),
            "0s is read as unset, which is 1s, by iptables and nftables; ipvs takes it as it is. Where a sync takes "
            "longer than minSyncPeriod, it is the sync that is the floor.",
        ),
        Knob(
            "syncPeriod",
            "longest time without a sync, and to a full one after a failure",
            ("10s", "30s", "1m", "5m", "15m", "1h"),
            (PROGRAMMING, PROXY_CPU),
            "It must not be below minSyncPeriod; and where every sync is partial, only resyncs pay for it.",
        ),
        Knob(
            "qps",
            "kube-controller-manager --kube-api-qps, with --kube-api-burst alike",
            ("5", "10", "20", "50", "100", "200", "500"),
            (PROGRAMMING, PROXY_CPU),
            "It must be above the EndpointSlice writes a second that changes ask for, or they wait longer and longer; "
            "kpsim check names both.",
        ),
        Knob(
            "preStop",
            "sleep of the preStop hook of Pods that an event ends",
            ("0s", "1s", "2s", "3s", "5s", "10s", "15s", "20s"),
            (FAILED, ROLLOUT),
            "Less than the longest way from a deletion to every node's rules loses connections; and with the process's "
            "own end it must fit into terminationGracePeriodSeconds, 30 s by default.",
        ),
        Knob(
            "slices",
            "kube-controller-manager --max-endpoints-per-slice",
            ("10", "25", "50", "100", "250", "500", "1000"),
            (PROGRAMMING, SENT),
            "1 to 1000; a slice is sent whole to every node for each change in it.",
        ),
    )
}


def knob_called(name: str) -> Knob:
    """Return the knob of a name.  Raises :class:`InputError` if there is none."""
    if name not in KNOBS:
        mend = did_you_mean(name, list(KNOBS)) or f"there are {', '.join(KNOBS)}"
        raise InputError([Problem(Place("--knob"), what=f"there is no knob {name[:60]!r}", mend=mend)])
    return KNOBS[name]


def measures_of(knob: Knob, texts: Sequence[Quantity]) -> tuple[Quantity, Quantity]:
    """Return the two measures to trade.  Raises :class:`InputError` for any other number of them."""
    if not texts:
        return knob.measures
    if len(texts) != 2:
        raise InputError(f"--against names {len(texts)} measures, and a front is of two")
    return texts[0], texts[1]
