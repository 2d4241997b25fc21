"""The control plane against what KEP-752, Kubernetes' constants and measurements say of it; targets are data.

Every number is what a run of the model came to, not the formula again.  A twin breaks the model in one place and must
miss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from kpsim.clock import EventQueue
from kpsim.cluster.changes import NEVER, ChangeKind, Changes
from kpsim.cluster.columns import Cluster
from kpsim.cluster.grow import grow
from kpsim.cluster.params import ClusterParams, EndpointCount, ServiceGroup
from kpsim.controlplane.control import ControlPlane
from kpsim.controlplane.params import ApiServerParams, ControllerManagerParams
from kpsim.profiles.defaults import load_defaults
from kpsim.scenario.reader import read
from kpsim.simulation import build_cluster
from kpsim.units import F64
from tests.validation.targets import TARGETS, Found, Target, check, each_of, missed, target_named

S = 1_000_000_000
ROOT = Path(__file__).parents[2]
TERMINATED, APPEARED, BECAME_READY, GONE, CREATED = tuple(ChangeKind)[:5]
MANAGER, API = ControllerManagerParams(), ApiServerParams()
KEP = ApiServerParams(object_sizes="kep-752")
UNLIMITED = ControllerManagerParams(qps=1e6, burst=100_000, concurrent_service_endpoint_syncs=60)


def cluster_of(count: int, endpoints: int, nodes: int, created: int = 0) -> Cluster:
    return grow(ClusterParams(nodes=nodes), (ServiceGroup("s", count, EndpointCount(mean=endpoints)),), (), created, 1)


def run(
    cluster: Cluster,
    told: Sequence[tuple[int, ChangeKind, int]],
    seconds: int,
    manager: ControllerManagerParams = MANAGER,
    api: ApiServerParams = API,
    slots: Sequence[int] = (),
    seed: int = 1,
) -> ControlPlane:
    clock = EventQueue()
    at, kind, subject = (np.array(column, np.int64) for column in zip(*told, strict=True))
    new = int(cluster.pod_ip.max()) + 1 + np.arange(len(slots))
    changes = Changes(
        at, kind, subject,
        pod_slot=np.concatenate([np.arange(cluster.pods), np.array(slots, np.int64)]),
        pod_ip=np.concatenate([cluster.pod_ip, new]).astype(np.uint32),
        pod_gone_ns=np.full(cluster.pods + len(slots), NEVER),
    )  # fmt: skip
    plane = ControlPlane(clock, cluster, changes, manager, load_defaults(), (seed, 0), seconds * S, api)
    clock.run(seconds * S)
    return plane


def sent_bytes(plane: ControlPlane) -> int:
    """Bytes of EndpointSlices to all kube-proxies."""
    return sum(row.size for row in plane.api.log.rows if not row.creates) * len(plane.fanout.rank)


def load_test(nodes: int = 5_000) -> Cluster:
    """What clusterloader2's load test has made once it has created everything, as the scenario of that name says it."""
    return build_cluster(read(ROOT / "scenarios" / "cl2-load-5000.yaml", [("services.cl2-load.nodes", str(nodes))]))[0]


@cache
def huge(api: ApiServerParams, manager: ControllerManagerParams = MANAGER) -> dict[str, float]:
    """A Service of 20,000 endpoints on 5,000 nodes: created, one endpoint changed, and one in a hundred rolled."""
    cluster = cluster_of(1, 20_000, nodes=5_000, created=1)
    created = run(cluster, [(S, CREATED, 1)], 60, manager, api)
    updated = run(cluster, [(S, TERMINATED, 4_321)], 60, manager, api)
    share = 100
    rolled = run(cluster, [(S + n * S // 2, TERMINATED, n * share) for n in range(20_000 // share)], 120, manager, api)
    assert rolled.api.log.writes == 20_000 // share  # one write each
    return {
        "create_bytes": sent_bytes(created),
        "update_bytes": sent_bytes(updated),
        "rolling_bytes": sent_bytes(rolled) * share,
        "slices": sum(not row.creates for row in created.api.log.rows),
        "events": sum(not row.creates for row in created.api.log.rows) * len(created.fanout.rank),
    }


def drain_s(manager: ControllerManagerParams = MANAGER) -> float:
    plane = run(cluster_of(1_000, 1, nodes=100), [(S, TERMINATED, pod) for pod in range(1_000)], 120, manager)
    assert plane.api.log.writes == 1_000
    return (plane.api.log.rows[-1].stages[-1] - S) / S


def saturated_per_s(api: ApiServerParams = API) -> float:
    """Writes a second where neither workers nor the client's bucket are the limit, on nominal seats."""
    api = replace(api, borrow_seats=False)
    plane = run(cluster_of(600, 1, nodes=5_000), [(S, TERMINATED, pod) for pod in range(600)], 60, UNLIMITED, api)
    committed = np.sort([row.stages[-1] for row in plane.api.log.rows])
    assert len(committed) == 600
    return float(500 / (committed[550] - committed[50]) * S)


def fan_out_s(endpoints: int = 8_000) -> float:
    """Creating so many endpoints in one object, from its commit to the last of 5,000 watchers."""
    plane = run(
        cluster_of(1, endpoints, nodes=5_000, created=1), [(S, CREATED, 1)], 60,
        ControllerManagerParams(max_endpoints_per_slice=endpoints),
    )  # fmt: skip
    (row,) = (row for row in plane.api.log.rows if not row.creates)
    sent, spread, nodes = np.array([row.sent_ns]), np.array([row.spread_ns]), np.arange(5_000)
    return float(plane.fanout.arrival_ns(sent, spread, nodes).max() - row.stages[-1]) / S


@cache
def unloaded(batch_s: float = 0.0, replications: int = 40) -> tuple[F64, F64]:
    """Ready Pods, one every few seconds, on 100 nodes: true delays to the nodes, and what the trigger adds, by run."""
    delays, shifts = [], []
    cluster = cluster_of(12, 3, nodes=100)
    for seed in range(replications):
        at = S * np.arange(2, 62, 5) + np.random.default_rng(seed).integers(0, S, 12)
        slots = [3 * n for n in range(12)]
        told = [(int(at[n]) - S, APPEARED, cluster.pods + n) for n in range(12)]
        told += [(int(at[n]), BECAME_READY, cluster.pods + n) for n in range(12)]
        batch = ControllerManagerParams(endpointslice_updates_batch_period_s=batch_s)
        plane = run(cluster, sorted(told), 70, batch, slots=slots, seed=seed)
        rows = [row for row in plane.api.log.rows if row.effects_ns]
        effect, trigger = (
            np.array(at)[:, None] for at in zip(*((r.effects_ns[0], r.trigger_ns) for r in rows), strict=True)
        )
        sent, spread = (np.array(at)[:, None] for at in zip(*((r.sent_ns, r.spread_ns) for r in rows), strict=True))
        arrival = plane.fanout.arrival_ns(sent, spread, np.arange(100))
        delays.append((arrival - effect) / S)
        shifts.append(((arrival - trigger) - (arrival - effect)).mean(axis=1) / S)
    return np.array(delays), np.array(shifts)


def spread_of(values: F64, statistic: Callable[[F64], float]) -> Found:
    """A statistic of each replication: mean and standard error."""
    return Found.of([statistic(row) for row in values])


MODEL: Mapping[str, Callable[[], Found]] = {
    "kep_create_bytes": lambda: Found(huge(KEP)["create_bytes"]),
    "kep_update_bytes": lambda: Found(huge(KEP)["update_bytes"]),
    "kep_rolling_bytes": lambda: Found(huge(KEP)["rolling_bytes"]),
    "fields_create_bytes": lambda: Found(huge(API)["create_bytes"]),
    "fields_update_bytes": lambda: Found(huge(API)["update_bytes"]),
    "load_services": lambda: Found(load_test().initial),
    "load_endpoints": lambda: Found(int(load_test().endpoint_offset[-1])),
    "slices": lambda: Found(huge(KEP)["slices"]),
    "events": lambda: Found(huge(KEP)["events"]),
    "drain_s": lambda: Found(drain_s()),
    "writes_5000_per_s": lambda: Found(saturated_per_s()),
    "writes_1667_per_s": lambda: Found(saturated_per_s(ApiServerParams(replicas=3))),
    "writes_196_seats_per_s": lambda: Found(saturated_per_s(ApiServerParams(1, 800, 400))),
    "fan_out_s": lambda: Found(fan_out_s()),
    "unloaded_p50_s": lambda: Found(float(np.quantile(unloaded()[0], 0.5))),
    "unloaded_p99_s": lambda: Found(float(np.quantile(unloaded()[0], 0.99))),
    "shift_mean_s": lambda: spread_of(unloaded()[1], lambda row: float(row.mean())),
    "shift_sd_s": lambda: spread_of(unloaded()[1], lambda row: float(np.sqrt(((row - 0.5) ** 2).mean()))),
}


@each_of("control plane")
def test_the_model_meets_its_target(target: Target) -> None:
    check(target, MODEL)


def test_every_target_is_computed() -> None:
    assert {target["of"] for target in TARGETS["control plane"]} == set(MODEL)


WRONG: Mapping[str, Callable[[], Found]] = {
    "kep_create_bytes": lambda: Found(huge(API)["create_bytes"]),  # objects as they are today
    "load_services": lambda: Found(load_test(4_900).initial),  # one namespace is missing
    "load_endpoints": lambda: Found(load_test(4_900).pods),
    "slices": lambda: Found(huge(KEP, ControllerManagerParams(max_endpoints_per_slice=99))["slices"]),
    "drain_s": lambda: Found(drain_s(ControllerManagerParams(qps=40, burst=30))),  # a bucket shared by nobody
    "writes_5000_per_s": lambda: Found(saturated_per_s(ApiServerParams(1, 800, 400))),
    "writes_1667_per_s": lambda: Found(saturated_per_s()),  # all watchers counted on every server
    "fan_out_s": lambda: Found(fan_out_s(800)),  # in ten slices, and only one of them
    "unloaded_p50_s": lambda: Found(float(np.quantile(unloaded(0.5)[0], 0.5))),  # a batch period of half a second
    "shift_mean_s": lambda: spread_of(unloaded()[1] - 0.5, lambda row: float(row.mean())),  # rounded, not cut
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_model_misses(name: str) -> None:
    assert missed(target_named(name), WRONG[name]())
