"""From a change to a delivery: the queue, the token bucket, the trigger time, the fan-out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest

from kpsim import theory
from kpsim.clock import EventQueue
from kpsim.cluster.changes import ChangeKind, Changes
from kpsim.cluster.columns import Cluster, PodState
from kpsim.cluster.grow import grow
from kpsim.cluster.params import ChurnParams, ClusterParams, EndpointCount, ServiceGroup
from kpsim.controlplane.apiserver import ApiServer
from kpsim.controlplane.control import ControlPlane
from kpsim.controlplane.controller import EndpointSliceController
from kpsim.controlplane.deliveries import Delivery
from kpsim.controlplane.params import ControllerManagerParams, ControllerSettings
from kpsim.controlplane.services import ServiceStates
from kpsim.controlplane.statuses import informer_lags
from kpsim.kube.objects import Endpoint, ResolvedService, Service, ServicePort
from kpsim.profiles.defaults import load_defaults
from kpsim.ratelimits import TokenBucket
from kpsim.scenario.model import RunParams, Scenario
from kpsim.simulation import build_cluster, prepare
from kpsim.traffic.params import TrafficParams
from tests.changes import Told, changes_of

READY, SERVING, TERMINATING = PodState.READY, PodState.SERVING, PodState.TERMINATING
S, MS = 1_000_000_000, 1_000_000
TERMINATED, APPEARED, BECAME_READY, GONE, CREATED = tuple(ChangeKind)[:5]


def cluster_of(*groups: ServiceGroup, created: int = 0, nodes: int = 3) -> Cluster:
    return grow(ClusterParams(nodes=nodes), groups, (), created, seed=1)


@dataclass
class Run:
    """A control plane that has run."""

    plane: ControlPlane
    rows: Sequence[Delivery]

    @property
    def writes(self) -> int:
        return self.plane.api.log.writes


def run(
    cluster: Cluster,
    changes: Changes,
    params: ControllerManagerParams | None = None,
    seconds: float = 30.0,
    seed: int = 1,
) -> Run:
    clock = EventQueue()
    plane = ControlPlane(
        clock, cluster, changes, params or ControllerManagerParams(), load_defaults(), (seed, 0), round(seconds * S)
    )
    clock.run(round(seconds * S))
    return Run(plane, plane.api.log.rows)


# ── Work queue ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Bench:
    """A controller alone with its queue: Services' endpoints are set by hand, each write takes its drawn time."""

    def __init__(self, services: int = 3, **settings: float) -> None:
        self.clock = EventQueue()
        self.cluster = cluster_of(ServiceGroup("s", services, EndpointCount(mean=2.0)))
        self.states = ServiceStates(self.cluster, changes_of(self.cluster))
        self.api = ApiServer(self.clock, load_defaults(), 1, np.random.default_rng(1), 1000 * S)
        made = ControllerSettings.of(ControllerManagerParams(), load_defaults())
        self.settings = replace(made, **settings)  # type: ignore[arg-type]  # integers given as such
        self.controller = EndpointSliceController(self.clock, self.settings, self.api, {4: self.states})

    def flip(self, service: int) -> None:
        """Make the Service need a write, whatever it needed before."""
        pod, bits = next(iter(self.states.of(service).wanted.items()))
        self.states.of(service).want(pod, bits ^ int(READY), 0)

    def until(self, time_ns: int) -> Sequence[Delivery]:
        self.clock.run(time_ns)
        return self.api.log.rows


def test_a_key_added_often_is_synced_once() -> None:
    bench = Bench()
    bench.flip(1)
    for _ in range(20):
        bench.controller.add(1)
    rows = bench.until(5 * S)
    assert [row.service for row in rows] == [1]


def test_a_key_in_work_is_done_once_more_when_its_worker_is_done() -> None:
    bench = Bench(sync_ns=10 * MS, informer_ns=0)
    bench.flip(0)
    bench.controller.add(0)
    bench.until(11 * MS)  # its slice is on its way
    for _ in range(10):
        bench.controller.add(0)
    bench.flip(0)
    rows = bench.until(5 * S)
    assert [row.service for row in rows] == [0, 0]
    assert [row.sent_ns for row in rows] == sorted(row.sent_ns for row in rows)


def test_one_service_is_never_in_two_hands() -> None:
    bench = Bench(sync_ns=10 * MS, informer_ns=0)
    for step in range(40):
        bench.until(step * 3 * MS + 1)
        bench.flip(0)
        bench.controller.add(0)
    rows = bench.until(5 * S)
    gaps = [b.sent_ns - a.sent_ns for a, b in pairwise(rows)]
    assert 2 < len(rows) < 40
    assert min(gaps) >= 10 * MS  # a whole sync lies between two writes
    assert rows[-1].usable == tuple(p for p, b in bench.states.of(0).wanted.items() if b & READY)


def test_at_most_as_many_syncs_at_once_as_there_are_workers() -> None:
    for workers, rounds in ((1, 6), (2, 3), (5, 2)):
        bench = Bench(services=6, workers=workers, sync_ns=S)
        for service in range(6):
            bench.flip(service)
            bench.controller.add(service)
        rows = bench.until(20 * S)
        assert sorted(row.service for row in rows) == list(range(6))
        assert rows[-1].sent_ns // S == rounds


def test_a_delayed_key_waits_for_the_whole_period_from_its_first_add() -> None:
    bench = Bench()
    bench.flip(0)
    for step in range(5):
        bench.until(step * 100 * MS + 1)
        bench.controller.add(0, 500 * MS)
    rows = bench.until(5 * S)
    assert len(rows) == 1
    assert 500 * MS < rows[0].sent_ns < 600 * MS


def test_a_delayed_key_keeps_its_earliest_deadline() -> None:
    """A change with a short batch period is not held back by a retry that waits for longer."""
    bench = Bench()
    bench.flip(0)
    bench.controller.add(0, 1000 * MS)
    bench.controller.add(0, 100 * MS)
    rows = bench.until(5 * S)
    assert 100 * MS < rows[0].sent_ns < 200 * MS


def test_a_sync_before_the_informer_saw_the_last_write_is_retried_after_a_second() -> None:
    cluster = cluster_of(ServiceGroup("s", 1, EndpointCount(mean=3.0)))
    told = [(5 * S, TERMINATED, 0), (5 * S + 9 * MS, TERMINATED, 1), (20 * S, TERMINATED, 2)]
    lag = load_defaults().lag("api_server.watch")
    found = []
    for seed in range(60):  # whether the second change meets the first one's write is a matter of the draws
        done = run(cluster, changes_of(cluster, told), seed=seed)
        if done.plane.controller.stale_retries and len(done.rows) == 3:
            found.append(done)
    assert len(found) > 3
    for done in found:
        assert done.plane.controller.stale_retries == 1
        first, second, third = done.rows
        gap_s = (second.sent_ns - first.sent_ns) / S
        assert 1.0 < gap_s < 1.0 + 30 * lag.median_s
        assert len(first.usable) == 2
        assert third.sent_ns // S == 20
        assert len(second.usable) == 1


def test_nothing_changed_nothing_written() -> None:
    bench = Bench()
    bench.controller.add(2)
    assert not bench.until(S)
    assert bench.api.log.writes == 0


# ── Token bucket ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_bucket_gives_the_burst_at_once_and_then_its_rate() -> None:
    bucket = TokenBucket(20.0, 30)
    waits = [bucket.take(0) for _ in range(100)]
    assert waits == [0] * 30 + [50 * MS * i for i in range(1, 71)]


def test_bucket_refills_while_nobody_takes_and_no_further_than_full() -> None:
    bucket = TokenBucket(20.0, 3)
    assert [bucket.take(0) for _ in range(4)] == [0, 0, 0, 50 * MS]
    assert [bucket.take(150 * MS) for _ in range(3)] == [0, 0, 50 * MS]
    assert [bucket.take(900 * S) for _ in range(4)] == [0, 0, 0, 50 * MS]


@pytest.mark.parametrize(("qps", "burst", "expected_s"), [(None, None, 48.5), (100.0, 100, 9.0), (20.0, 500, 25.0)])
def test_a_thousand_dirty_services_drain_at_the_pace_of_the_bucket(
    qps: float | None, burst: int | None, expected_s: float
) -> None:
    cluster = cluster_of(ServiceGroup("s", 1000, EndpointCount(mean=1.0)))
    told = [(S, TERMINATED, pod) for pod in range(1000)]
    done = run(cluster, changes_of(cluster, told), ControllerManagerParams(qps, burst), seconds=120)
    assert Counter(row.service for row in done.rows) == Counter(range(1000))
    took_s = (done.rows[-1].sent_ns - S) / S
    assert took_s == pytest.approx(expected_s, rel=0.05)
    write_s = load_defaults().lag("api_server.write").median_s
    assert took_s == pytest.approx(theory.token_bucket_drain(1000, qps or 20.0, burst or 30, write_s, 5), rel=0.05)


def test_without_a_bucket_worth_the_name_the_workers_bind() -> None:
    cluster = cluster_of(ServiceGroup("s", 1000, EndpointCount(mean=1.0)))
    told = [(S, TERMINATED, pod) for pod in range(1000)]
    params = ControllerManagerParams(qps=1e6, burst=10_000)
    took = {}
    for workers in (5, 10):
        done = run(cluster, changes_of(cluster, told), replace(params, concurrent_service_endpoint_syncs=workers))
        took[workers] = done.rows[-1].sent_ns - S
    assert took[5] == pytest.approx(2 * took[10], rel=0.05)
    assert took[5] > 0.9 * S  # five at a time, 5 ms and more each


def test_pods_of_one_service_cost_one_write_services_cost_one_each() -> None:
    """Latency under load grows with dirty Services, not with Pods."""
    cluster = cluster_of(ServiceGroup("big", 1, EndpointCount(mean=90.0)))
    batched = ControllerManagerParams(endpointslice_updates_batch_period_s=0.5)
    done = run(cluster, changes_of(cluster, [(S, TERMINATED, pod) for pod in range(90)]), batched)
    assert done.writes == 1


# ── Trigger time ─────────────────────────────────────────────────────────────────────────────────────────────────────

BATCHED = ControllerManagerParams(endpointslice_updates_batch_period_s=5.0)


def test_the_trigger_is_the_earliest_of_the_batch_in_whole_seconds() -> None:
    cluster = cluster_of(ServiceGroup("s", 1, EndpointCount(mean=2.0)))
    told: list[Told] = [(7 * S + 900 * MS, APPEARED, 2), (8 * S + 700 * MS, BECAME_READY, 2), (9 * S, APPEARED, 3)]
    (row,) = run(cluster, changes_of(cluster, told, slots=[0, 1]), BATCHED).rows
    assert row.trigger_ns == 8 * S  # a condition has one transition time, its latest


def test_a_transition_counts_only_in_a_later_second_than_the_pod_s_last() -> None:
    """Not ready and ready in one second are one transition time, so the second write has no annotation."""
    cluster = cluster_of(ServiceGroup("s", 1, EndpointCount(mean=2.0)))
    for ready_ns, trigger_ns in ((3 * S + 900 * MS, -1), (4 * S + 100 * MS, 4 * S)):
        told: list[Told] = [(3 * S, APPEARED, 2), (ready_ns, BECAME_READY, 2)]
        rows = run(cluster, changes_of(cluster, told, slots=[0])).rows
        assert [row.trigger_ns for row in rows] == [3 * S, trigger_ns]


def test_a_new_endpoint_comes_with_the_time_of_its_pod_s_first_status() -> None:
    """Posted before there is an address; if a sync for another Pod comes between, it has used that time up."""
    cluster = cluster_of(ServiceGroup("s", 1, EndpointCount(mean=2.0)))
    told: list[Told] = [(3 * S, ChangeKind.POD_POSTED, 2), (5 * S, APPEARED, 2)]
    rows = run(cluster, changes_of(cluster, told, slots=[0])).rows
    assert [row.trigger_ns for row in rows] == [3 * S]
    rows = run(cluster, changes_of(cluster, sorted([*told, (4 * S, TERMINATED, 0)]), slots=[0])).rows
    assert [row.trigger_ns for row in rows] == [3 * S, -1]


def test_an_exit_has_a_trigger_unless_the_pod_is_gone_from_the_list() -> None:
    """The terminal phase moves the transition time; the deletion that follows it takes the Pod out of sight."""
    cluster = cluster_of(ServiceGroup("s", 1, EndpointCount(mean=2.0)))
    told: list[Told] = [(3 * S, TERMINATED, 0), (6 * S, ChangeKind.POD_EXITED, 0), (7 * S, GONE, 0)]
    done = run(cluster, changes_of(cluster, told))
    assert [(len(row.usable), row.endpoints, row.trigger_ns) for row in done.rows] == [(1, 2, -1), (1, 1, 6 * S)]
    late = run(cluster, changes_of(cluster, told[1:]), BATCHED)
    assert [(row.endpoints, row.trigger_ns) for row in late.rows] == [(1, -1)]


def test_an_event_that_comes_before_its_write_s_answer_is_taken_for_somebody_else_s() -> None:
    """The tracker learns a generation from the answer, so such an event queues its Service a second later."""
    synced = []
    for event_ns, answer_ns in ((2 * MS, 3 * MS), (3 * MS, 2 * MS)):
        bench = Bench()
        bench.api.heard_ns = lambda lag=event_ns: lag  # type: ignore[method-assign,misc]  # draws that are known
        bench.api.answer_ns = lambda lag=answer_ns: lag  # type: ignore[method-assign,misc]
        bench.flip(0)
        bench.controller.add(0)
        bench.until(500 * MS)
        bench.flip(0)  # nobody says so
        synced.append(len(bench.until(5 * S)))
    assert synced == [2, 1]


def test_a_trigger_that_was_used_is_not_used_again() -> None:
    cluster = cluster_of(ServiceGroup("s", 1, EndpointCount(mean=2.0)))
    told: list[Told] = [(3 * S + 1, APPEARED, 2), (6 * S + 1, BECAME_READY, 2), (12 * S, TERMINATED, 0)]
    rows = run(cluster, changes_of(cluster, told, slots=[0])).rows
    assert [row.trigger_ns for row in rows] == [3 * S, 6 * S, -1]


def test_going_away_has_no_trigger() -> None:
    cluster = cluster_of(ServiceGroup("s", 1, EndpointCount(mean=2.0)))
    rows = run(cluster, changes_of(cluster, [(3 * S, TERMINATED, 0), (6 * S, GONE, 0)])).rows
    assert [(len(row.usable), row.trigger_ns) for row in rows] == [(1, -1), (1, -1)]


def test_all_slices_of_one_sync_carry_the_same_trigger() -> None:
    cluster = cluster_of(ServiceGroup("s", 1, EndpointCount(mean=4.0)))
    params = replace(BATCHED, max_endpoints_per_slice=1)
    told: list[Told] = [(3 * S, APPEARED, 4), (4 * S, APPEARED, 5), (4 * S, TERMINATED, 0)]
    rows = run(cluster, changes_of(cluster, told, slots=[0, 1]), params).rows
    assert len(rows) == 3
    assert {row.trigger_ns for row in rows} == {3 * S}


# ── What reaches kube-proxies ────────────────────────────────────────────────────────────────────────────────────────


def test_one_life_of_a_pod_is_four_writes() -> None:
    """Address, ready, terminating, gone: each its own change of an EndpointSlice."""
    cluster = cluster_of(ServiceGroup("s", 1, EndpointCount(mean=1.0)))
    told: list[Told] = [(2 * S, APPEARED, 1), (4 * S, BECAME_READY, 1), (6 * S, TERMINATED, 1), (8 * S, GONE, 1)]
    rows = run(cluster, changes_of(cluster, told, slots=[0])).rows
    assert [row.usable for row in rows] == [(0,), (0, 1), (0,), (0,)]
    assert [row.endpoints for row in rows] == [2, 2, 2, 1]
    assert [row.changed for row in rows] == [0, 1, 1, 0]
    assert [row.effects_ns for row in rows] == [(), (4 * S,), (6 * S,), ()]


def test_the_last_pod_serves_while_it_terminates() -> None:
    cluster = cluster_of(ServiceGroup("s", 1, EndpointCount(mean=1.0)))
    rows = run(cluster, changes_of(cluster, [(2 * S, TERMINATED, 0), (8 * S, GONE, 0)])).rows
    assert [row.usable for row in rows] == [(0,), ()]


def test_headless_services_are_written_and_not_delivered() -> None:
    cluster = cluster_of(
        ServiceGroup("bare", 2, EndpointCount(mean=3.0), headless=True), ServiceGroup("s", 1, EndpointCount(mean=3.0))
    )
    done = run(cluster, changes_of(cluster, [(S + 200 * MS * pod, TERMINATED, pod) for pod in range(9)]))
    assert done.writes == 9
    assert {row.service for row in done.rows} == {2}
    assert len(done.rows) == 3


def test_external_names_have_no_slices() -> None:
    """The EndpointSlice controller passes over Services of type ExternalName: they select nothing."""
    scenario = Scenario(
        "names",
        groups=(ServiceGroup("outside", 4, type="ExternalName"), ServiceGroup("s", 1)),
        traffic=TrafficParams(0.0),
        churn=ChurnParams(5.0),
        run=RunParams(10.0, 0.0, replications=1),
    )
    cluster, _ = build_cluster(scenario)
    assert np.diff(cluster.endpoint_offset).tolist() == [0, 0, 0, 0, 1]
    replication = prepare(scenario, cluster, 0)
    done = run(cluster, replication.changes, seconds=10)
    assert {row.service for row in done.rows} == {4}
    assert done.writes == len(done.rows)


def churned(
    replacements_per_s: float,
    created_per_s: float = 0.0,
    seed: int = 1,
    seconds: float = 60.0,
    count: int = 4,
    shutdown_s: float | None = None,
) -> tuple[Cluster, Changes, Run]:
    scenario = Scenario(
        "churned",
        cluster=ClusterParams(nodes=7),
        groups=(ServiceGroup("s", count, EndpointCount(mean=3.0)),),
        traffic=TrafficParams(0.0),
        churn=ChurnParams(replacements_per_s, created_per_s, shutdown_s),
        run=RunParams(seconds, 0.0, seed=seed, replications=1),
    )
    cluster, _ = build_cluster(scenario)
    changes = prepare(scenario, cluster, 0).changes
    return cluster, changes, run(cluster, changes, seconds=seconds, seed=seed)


def test_deliveries_are_in_order_at_every_node() -> None:
    cluster, _, done = churned(20.0)
    nodes = np.arange(cluster.nodes)
    at = np.array(
        [done.plane.fanout.arrival_ns(np.int64(r.sent_ns), np.int64(r.spread_ns), nodes) for r in done.rows]  # type: ignore[arg-type]  # scalars broadcast
    )
    assert len(at) > 500
    assert (np.diff(at, axis=0) >= 0).all()
    assert (at > np.array([r.sent_ns for r in done.rows])[:, None]).all()
    assert [r.index for r in done.rows] == list(range(len(done.rows)))
    assert all(b.sent_ns >= a.sent_ns + a.spread_ns for a, b in pairwise(done.rows))
    assert sorted(done.plane.fanout.rank.tolist()) == nodes.tolist()


def test_size_of_a_slice_grows_with_its_endpoints() -> None:
    defaults = load_defaults()
    cluster = cluster_of(ServiceGroup("s", 1, EndpointCount(mean=5.0)))
    rows = run(cluster, changes_of(cluster, [(S, GONE, 0), (3 * S, GONE, 1)])).rows
    fixed, each = (defaults.value(f"endpointslice.{key}") for key in ("slice_bytes", "endpoint_bytes"))
    assert [row.size for row in rows] == [fixed + 4 * each, fixed + 3 * each]


@pytest.mark.parametrize("replacements_per_s", [0.0, 10.0])
def test_a_created_service_is_announced_and_then_gets_its_endpoints(replacements_per_s: float) -> None:
    _, changes, done = churned(replacements_per_s, created_per_s=0.5)
    created = changes.subject[changes.kind == CREATED]
    assert len(created) == 30
    settled = [int(s) for s in created if changes.at_ns[(changes.kind == CREATED) & (changes.subject == s)][0] < 55 * S]
    for service in settled:
        rows = [row for row in done.rows if row.service == service]
        born = int(changes.at_ns[(changes.kind == CREATED) & (changes.subject == service)][0])
        assert rows[0].creates, f"Service {service} has slices before it exists"
        assert (rows[0].usable, rows[0].endpoints, rows[0].effects_ns) == ((), 0, (born,))
        assert not any(row.creates for row in rows[1:])
        assert len(rows) > 1
        assert rows[1].trigger_ns == born // S * S
        assert rows[1].usable, f"Service {service} never gets its endpoints"


def passing(changes: Changes) -> set[int]:
    """Both changes of Pods that were ready for less than half a second, which no write need ever say."""
    ready_ns: dict[int, int] = {}
    found: set[int] = set()
    for at, kind, pod in zip(changes.at_ns.tolist(), changes.kind.tolist(), changes.subject.tolist(), strict=True):
        if kind == BECAME_READY:
            ready_ns[pod] = at
        elif kind == TERMINATED and at - ready_ns.get(pod, -S) < S // 2:
            found |= {ready_ns[pod], at}
    return found


@pytest.mark.parametrize("seed", range(4))
def test_effects_are_recorded_exactly_once(seed: int) -> None:
    """Each change of readiness that lasts is brought into force by one row, and no row brings what did not happen."""
    _, changes, done = churned(1.0, seed=seed)
    told = dict(zip(changes.at_ns.tolist(), changes.kind.tolist(), strict=True))
    effects = Counter(at for row in done.rows for at in row.effects_ns)
    assert len(effects) > 60
    assert set(effects.values()) == {1}
    assert {told[at] for at in effects} == {BECAME_READY, TERMINATED}
    ready_pods = set(range(12)) | set(changes.subject[changes.kind == BECAME_READY].tolist())
    expected = {
        at
        for at, kind, pod in zip(changes.at_ns.tolist(), changes.kind.tolist(), changes.subject.tolist(), strict=True)
        if kind == BECAME_READY or (kind == TERMINATED and pod in ready_pods)
    }
    expected -= passing(changes)
    late = 58 * S
    assert {at for at in expected if at < late} == {at for at in effects if at < late} - passing(changes)
    for row in done.rows:
        assert all(at < row.sent_ns for at in row.effects_ns)


def test_a_pod_that_was_in_force_for_a_moment_is_two_effects() -> None:
    """Deleted while the write that makes it ready is under way: the write is sent, and taken back by the next."""
    cluster = cluster_of(ServiceGroup("s", 1, EndpointCount(mean=1.0)))
    ready_at, deleted_at = 5 * S, 5 * S + 18 * MS
    told: list[Told] = [(2 * S, APPEARED, 1), (ready_at, BECAME_READY, 1), (deleted_at, TERMINATED, 1)]
    came_and_went = 0
    for seed in range(80):  # whether it happens is a matter of the draws
        rows = run(cluster, changes_of(cluster, told, slots=[0]), seed=seed).rows
        served = [1 in row.usable for row in rows]
        assert not served[-1]
        effects = [row.effects_ns for row in rows]
        if any(served):
            came_and_went += 1
            assert effects[served.index(True)] == (ready_at,)
            assert effects[-1] == (deleted_at,)
        else:
            assert not any(effects)
    assert 5 < came_and_went < 80


def test_the_informer_sees_one_object_s_changes_in_order_however_long_the_run() -> None:
    """A day with two replacements a second has more objects than times fit side by side into 64 bits."""
    from kpsim.controlplane.control import _in_order

    rng = np.random.default_rng(3)
    pods, day = 200_000, 86_400 * S
    at = np.sort(rng.integers(0, day, 2 * pods))
    subject = rng.permutation(np.repeat(np.arange(pods), 2))
    changes = Changes(at, np.zeros(2 * pods, np.int64), subject, subject, np.zeros(pods, np.uint32), subject)
    seen = at + rng.integers(0, 20 * MS, len(at))
    ordered = _in_order(changes, seen)
    first, second = np.argsort(subject, kind="stable").reshape(-1, 2).T
    assert (ordered[first] == seen[first]).all()
    assert (ordered[second] == np.maximum(seen[first], seen[second])).all()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("replacements_per_s", "shutdown_s"), [(2.0, None), (20.0, None), (5.0, 0.0), (20.0, 0.0)])
def test_what_is_committed_in_the_end_is_what_is_alive(
    replacements_per_s: float, shutdown_s: float | None, seed: int
) -> None:
    """However changes overtake each other, slices end up with the Pods there are: nobody lost, no dead Pod kept."""
    cluster, changes, _ = churned(replacements_per_s, seed=seed, count=2, shutdown_s=shutdown_s)
    last = 40 * S
    keep = changes.at_ns < last
    changes = replace(changes, at_ns=changes.at_ns[keep], kind=changes.kind[keep], subject=changes.subject[keep])
    done = run(cluster, changes, seconds=60, seed=seed)
    alive = {pod: int(bits) for pod, bits in enumerate(cluster.pod_state.tolist())}
    for kind, pod in zip(changes.kind.tolist(), changes.subject.tolist(), strict=True):
        if kind == APPEARED:
            alive[pod] = 0
        elif kind == BECAME_READY:
            alive[pod] = int(READY | SERVING)
        elif kind == TERMINATED and pod in alive:
            alive[pod] = int(TERMINATING) | (int(SERVING) if alive[pod] & READY else 0)
        elif kind == GONE:
            alive.pop(pod, None)
    for service in range(2):
        owned = [pod for pod in alive if int(changes.pod_slot[pod]) in cluster.endpoints(service)]
        row = [r for r in done.rows if r.service == service][-1]
        assert row.endpoints == len(owned)
        assert set(row.usable) <= set(owned)
        assert set(row.usable) == ({p for p in owned if alive[p] & READY} or set(row.usable))


def test_two_endpoints_with_one_address_do_not_stand_in_for_each_other() -> None:
    """Pods on the host network share their node's address; when one of them goes, the other one stays."""
    service = Service("ns", "agents", cluster_ip="10.96.0.10", ports=(ServicePort(80),))
    pods = tuple(Endpoint("192.0.2.7", pod=f"ns/{name}") for name in ("a", "b"))
    cluster = grow(ClusterParams(), (), (ResolvedService(service, pods),), 0, seed=1)
    rows = run(cluster, changes_of(cluster, [(S, TERMINATED, 1), (3 * S, GONE, 1)])).rows
    assert [row.usable for row in rows] == [(0,), (0,)]


def test_the_run_does_not_outlast_its_horizon() -> None:
    _, _, done = churned(20.0, seconds=5.0)
    assert done.rows
    assert all(row.sent_ns < 5 * S + row.spread_ns + sum(r.spread_ns for r in done.rows) for row in done.rows)
    assert all(at < 5 * S for row in done.rows for at in row.effects_ns)


# ── Kubelets ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_kubelet_gets_twenty_five_pods_a_second_through() -> None:
    """GET and PATCH through 50 requests a second and a burst of 100; other nodes wait for nothing."""
    cluster = cluster_of(ServiceGroup("s", 200, EndpointCount(mean=1.0)), nodes=2)
    told: list[Told] = [(S, ChangeKind.POD_UNREADY, pod) for pod in range(200) if pod % 2 == 0 or pod < 10]
    changes = changes_of(cluster, told)
    seen = changes.at_ns + informer_lags(cluster, changes, load_defaults(), np.random.default_rng(1))
    busy, idle = (np.sort(seen[changes.subject % 2 == node]) - S for node in (0, 1))
    assert busy[-1] == pytest.approx((200 - 100) / 50 * S, rel=0.1)
    assert len(idle) == 5
    assert idle[-1] < 0.3 * S
