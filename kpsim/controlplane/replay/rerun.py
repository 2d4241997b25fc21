"""The recorded actions done again in the model, and what its controllers make of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from kpsim.clock import EventQueue, Rank
from kpsim.cluster.changes import NEVER, ChangeKind, Changes
from kpsim.cluster.columns import Cluster
from kpsim.cluster.grow import grow
from kpsim.cluster.params import ClusterParams, EndpointCount, ServiceGroup
from kpsim.controlplane.control import ControlPlane
from kpsim.controlplane.params import ControllerManagerParams
from kpsim.controlplane.replay.recording import Recording
from kpsim.controlplane.services import ABSENT
from kpsim.profiles.defaults import Defaults
from kpsim.units import F64, I64, to_ns

_AFTER_S = 60.0  # what is looked at after the last action


@dataclass(frozen=True, slots=True)
class Outcome:
    """A replay yields counts of writes and latencies from a readiness change's answer to the slice at a watcher [s]."""

    slice_writes: int
    endpoints_writes: int
    stale_syncs: int
    with_trigger: float  # share of the slices' writes
    latency_s: F64

    def percentile_s(self, percent: float) -> float:
        """One percentile of the latencies, not a number without any."""
        return float(np.percentile(self.latency_s, percent)) if len(self.latency_s) else float("nan")


def replay(recording: Recording, manager: ControllerManagerParams, defaults: Defaults, seed: int) -> Outcome:
    """Let the controllers run on what was recorded, once, on a machine like the recorded one."""
    defaults = defaults.instead("api_server", "api_server_recorded")
    cluster, changes, lags = _stage(recording)
    horizon_ns = int(changes.at_ns[-1]) + to_ns(_AFTER_S)
    clock = EventQueue()
    plane = ControlPlane(clock, cluster, changes, manager, defaults, (seed, 0), horizon_ns, lags=lags)
    for from_s, until_s in recording.stalls:
        clock.call_at(to_ns(from_s), Rank.CHANGE, plane.api.stall, to_ns(until_s))
    clock.run(horizon_ns)
    first_ns = min(to_ns(action.asked_s) for action in recording.actions)
    rows = [row for row in plane.api.log.rows if not row.creates and row.sent_ns >= first_ns]
    flips = np.isin(changes.kind, [ChangeKind.POD_READY, ChangeKind.POD_UNREADY])
    answered = dict(zip(changes.at_ns[flips].tolist(), (changes.at_ns + lags)[flips].tolist(), strict=True))
    latencies = []
    for row in rows:
        arrival = plane.fanout.arrival_ns(np.array([row.sent_ns]), np.array([row.spread_ns]), np.zeros(1, np.int64))[0]
        latencies += [(arrival - answered[at_ns]) / 1e9 for at_ns in row.effects_ns if at_ns in answered]
    others = sum(at_ns >= first_ns for at_ns in plane.api.log.endpoints_ns)
    triggered = sum(row.trigger_ns >= 0 for row in rows) / max(len(rows), 1)
    return Outcome(len(rows), others, plane.controller.stale_retries, triggered, np.array(latencies))


def _stage(recording: Recording) -> tuple[Cluster, Changes, I64]:
    """The cluster with a place for every Pod there ever is, the actions as changes to it, and what each waits."""
    old = [service for service in recording.standing if service not in recording.created_s]
    services = [*old, *recording.created_s]
    addresses = {service: dict.fromkeys(recording.standing[service]) for service in services}
    for action in recording.actions:
        addresses[action.service][action.address] = None
    pods = {pair: i for i, pair in enumerate((service, ip) for service in services for ip in addresses[service])}
    groups = [ServiceGroup(name, 1, EndpointCount(mean=len(ips))) for name, ips in addresses.items()]
    cluster = grow(ClusterParams(nodes=1), groups, (), 0, seed=1)
    states = [
        ABSENT if service in recording.created_s else recording.standing[service].get(ip, ABSENT)
        for service, ip in pods
    ]
    cluster = replace(cluster, initial=len(old), pod_state=np.array(states, np.int64))
    told = [(a.asked_s, a.answered_s, a.kind, pods[a.service, a.address]) for a in recording.actions]
    told += [(t, t, ChangeKind.SERVICE_CREATED, services.index(name)) for name, t in recording.created_s.items()]
    asked, answered, kind, subject = zip(*sorted(told), strict=True)
    at_ns = np.array([to_ns(at_s) for at_s in asked], np.int64)
    changes = Changes(
        at_ns=at_ns,
        kind=np.array(kind, np.int64),
        subject=np.array(subject, np.int64),
        pod_slot=np.arange(cluster.pods),
        pod_ip=cluster.pod_ip,
        pod_gone_ns=np.full(cluster.pods, NEVER),
    )
    return cluster, changes, np.array([to_ns(at_s) for at_s in answered], np.int64) - at_ns
