"""Events: what controllers and kubelets make of them, and when endpoints hear of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from kpsim.clock import EventQueue
from kpsim.cluster.changes import NEVER, ChangeKind, Changes, Spells
from kpsim.cluster.columns import Cluster
from kpsim.cluster.params import ChurnParams, ClusterParams, EndpointCount, ServiceGroup
from kpsim.controlplane.control import ControlPlane
from kpsim.controlplane.deliveries import Delivery
from kpsim.controlplane.params import ControllerManagerParams
from kpsim.errors import InputError
from kpsim.history.client import Client
from kpsim.history.events import (
    Crash,
    Drain,
    Ending,
    Event,
    IntOrPercent,
    NodeLoss,
    ReadinessFailure,
    Rollout,
    Scale,
    StatefulSetRollout,
    ZoneLoss,
)
from kpsim.history.pods import termination_ns
from kpsim.history.workloads import fenceposts
from kpsim.profiles.defaults import Lag, load_defaults
from kpsim.ratelimits import TokenBucket
from kpsim.scenario.model import RunParams, Scenario
from kpsim.scenario.reader import read
from kpsim.scenario.resolved import write_resolved
from kpsim.simulation import Replication, build_cluster, prepare
from kpsim.traffic.params import TrafficParams

S = 1_000_000_000
KIND = ChangeKind
ROLLED = "default/web-0"
Told = list[tuple[float, ChangeKind, int]]  # when [s], what, which Pod


def scenario_of(*events: Event, pods: int = 10, seconds: float = 120.0, seed: int = 1, **changed: object) -> Scenario:
    scenario = Scenario(
        name="drawn",
        cluster=ClusterParams(nodes=5),
        groups=(
            ServiceGroup("web", 1, EndpointCount(mean=float(pods))),
            ServiceGroup("db", 1, EndpointCount(mean=3.0)),
        ),
        traffic=TrafficParams(0.0),
        events=events,
        run=RunParams(seconds, 0.0, seed=seed, replications=1),
    )
    return replace(scenario, **changed)  # type: ignore[arg-type]  # fields by name


def drawn(scenario: Scenario, number: int = 0) -> Replication:
    cluster, _ = build_cluster(scenario)
    return prepare(scenario, cluster, number)


def play(scenario: Scenario, number: int = 0) -> tuple[Cluster, Changes]:
    replication = drawn(scenario, number)
    return replication.cluster, replication.changes


def told(changes: Changes, *kinds: ChangeKind) -> Told:
    rows = zip(changes.at_ns.tolist(), changes.kind.tolist(), changes.subject.tolist(), strict=True)
    return [(at / S, KIND(kind), pod) for at, kind, pod in rows if not kinds or kind in kinds]


def deliveries(scenario: Scenario) -> Sequence[Delivery]:
    cluster, changes = play(scenario)
    clock = EventQueue()
    horizon = round(scenario.run.duration_s * S)
    key = (scenario.run.seed, 0)
    plane = ControlPlane(clock, cluster, changes, ControllerManagerParams(), load_defaults(), key, horizon)
    clock.run(horizon)
    return plane.api.log.rows


# ── Deployments ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "expected"),
    [
        (10, IntOrPercent(25, percent=True), IntOrPercent(25, percent=True), (3, 2)),  # up, and down
        (250, IntOrPercent(25, percent=True), IntOrPercent(25, percent=True), (63, 62)),
        (4, IntOrPercent(25, percent=True), IntOrPercent(25, percent=True), (1, 1)),
        (3, IntOrPercent(0), IntOrPercent(25, percent=True), (0, 1)),  # rounding left nothing, so one may be missing
        (3, IntOrPercent(1), IntOrPercent(0), (1, 0)),
        (7, IntOrPercent(100, percent=True), IntOrPercent(0, percent=True), (7, 0)),
    ],
)
def test_surge_is_rounded_up_and_unavailable_down(
    replicas: int, surge: IntOrPercent, unavailable: IntOrPercent, expected: tuple[int, int]
) -> None:
    assert fenceposts(replicas, surge, unavailable) == expected


def standing(changes: Changes, pods: int) -> list[tuple[float, int, int]]:
    """After each change: when, how many Pods are ready, how many are wanted (not being deleted)."""
    ready, live = set(range(pods)), set(range(pods))
    rows = []
    for at, kind, pod in told(changes):
        if kind is KIND.POD_READY:
            ready.add(pod)
        if kind is KIND.POD_APPEARED:
            live.add(pod)
        if kind in (KIND.POD_TERMINATING, KIND.POD_UNREADY):
            ready.discard(pod)
        if kind is KIND.POD_TERMINATING:
            live.discard(pod)
        rows.append((at, len(ready), len(live)))
    return rows


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("surge", "unavailable"), [("25%", "25%"), ("0", "30%"), ("50%", "0"), ("1", "0"), ("100%", "100%")]
)
def test_a_rollout_keeps_between_its_fenceposts_and_ends(surge: str, unavailable: str, seed: int) -> None:
    def portion(text: str) -> IntOrPercent:
        return IntOrPercent(int(text.rstrip("%")), percent=text.endswith("%"))

    event = Rollout(5.0, ROLLED, portion(surge), portion(unavailable))
    _, changes = play(scenario_of(event, seed=seed))
    most, least = fenceposts(10, event.max_surge, event.max_unavailable)
    rows = standing(changes, 10)
    assert min(ready for _, ready, _ in rows) >= 10 - least
    assert max(live for _, _, live in rows) <= 10 + most
    if least and least < 10:
        assert min(ready for _, ready, _ in rows) == 10 - least  # it uses what it may
    assert rows[-1][1:] == (10, 10)
    gone = {pod for _, _, pod in told(changes, KIND.POD_GONE)}
    assert set(range(10)) <= gone


def test_the_first_step_is_surge_new_and_unavailable_old_and_then_one_for_one() -> None:
    replication = drawn(scenario_of(Rollout(5.0, ROLLED), pods=20))
    changes, trace = replication.changes, replication.traces[0]
    first_ready = told(changes, KIND.POD_READY)[0][0]
    before = Counter(kind for at, kind, _ in told(changes) if at < first_ready)
    assert before[KIND.POD_TERMINATING] == 5  # 20 x 25 %
    assert trace.course.time_ns[0] == 5 * S
    # each Pod that becomes ready lets one old one go, until there are none
    ready = np.array([at for at, _, _ in told(changes, KIND.POD_READY)])
    ended = np.array([at for at, _, pod in told(changes, KIND.POD_TERMINATING) if pod < 20])[5:]
    assert len(ended) == 15
    assert (ended > ready[:15]).all()
    assert np.median(ended - ready[:15]) < 0.3


def test_a_replicaset_starts_slowly_and_then_as_fast_as_its_bucket_allows() -> None:
    scenario = scenario_of(Scale(1.0, ROLLED, 1000), pods=1, seconds=200.0)
    _, changes = play(scenario)
    appeared = np.array([at for at, _, _ in told(changes, KIND.POD_APPEARED)])
    assert len(appeared) == 999
    assert 47 < appeared[-1] - appeared[0] < 52  # (999 - 30) / 20 a second
    _, fast = play(replace(scenario, controller_manager=ControllerManagerParams(qps=1e6, burst=1000)))
    appeared = np.array([at for at, _, _ in told(fast, KIND.POD_APPEARED)])
    write_s = load_defaults().value("api_server.write")
    assert 8 * write_s < appeared[-1] - appeared[0] < 3.0  # ten batches, one after another


def test_scaling_down_takes_those_that_are_not_ready_first() -> None:
    events = (ReadinessFailure(5.0, ROLLED, for_s=100.0, pods=3), Scale(60.0, ROLLED, 7))
    for seed in range(5):
        _, changes = play(scenario_of(*events, seed=seed))
        failed = {pod for _, _, pod in told(changes, KIND.POD_UNREADY)}
        assert len(failed) == 3
        assert {pod for _, _, pod in told(changes, KIND.POD_TERMINATING)} == failed


def test_warm_up_waits_for_the_next_probe_but_the_first_is_at_once() -> None:
    """Ready with the first probe that is passed: none waits for a random phase."""
    took = {}
    for warm_up in (0.0, 0.1, 10.0, 10.1):
        _, changes = play(scenario_of(Rollout(5.0, ROLLED, warm_up_s=warm_up)))
        appeared = {pod: at for at, _, pod in told(changes, KIND.POD_APPEARED)}
        gaps = [at - appeared[pod] for at, _, pod in told(changes, KIND.POD_READY)]
        took[warm_up] = np.median(gaps)
    assert took[0.0] == pytest.approx(0.55, rel=0.3)
    assert took[0.1] - took[0.0] == pytest.approx(10.0, abs=0.3)
    assert took[10.0] - took[0.0] == pytest.approx(10.0, abs=0.3)
    assert took[10.1] - took[0.0] == pytest.approx(20.0, abs=0.3)


def test_from_address_to_ready_takes_what_the_profile_says() -> None:
    manager = ControllerManagerParams(1e6, 5000)
    _, changes = play(scenario_of(Scale(1.0, ROLLED, 3001), pods=1, controller_manager=manager))
    expected = load_defaults().lag("pod.ready").draw(np.random.default_rng(7), 100_000) / S
    appeared = {pod: at for at, _, pod in told(changes, KIND.POD_APPEARED)}
    gaps = [at - appeared[pod] for at, _, pod in told(changes, KIND.POD_READY)]
    assert np.median(gaps) == pytest.approx(float(np.median(expected)), rel=0.03)


# ── StatefulSets ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_statefulset_goes_one_by_one_from_the_last() -> None:
    _, changes = play(scenario_of(StatefulSetRollout(5.0, "default/db-0", Ending(pre_stop_s=2.0))))
    rows = told(changes)
    ended = [pod for _, kind, pod in rows if kind is KIND.POD_TERMINATING]
    assert ended == [12, 11, 10]
    steps = [(kind, changes.pod_slot[pod]) for _, kind, pod in rows]
    end = (KIND.POD_TERMINATING, KIND.POD_EXITED, KIND.POD_GONE)
    each = (*end, KIND.POD_CREATED, KIND.POD_POSTED, KIND.POD_APPEARED, KIND.POD_READY)
    assert steps == [(kind, pod) for pod in ended for kind in each]


def test_a_statefulset_scales_by_ordinal() -> None:
    events = (StatefulSetRollout(1.0, "default/db-0"), Scale(60.0, "default/db-0", 5), Scale(90.0, "default/db-0", 2))
    _, changes = play(scenario_of(*events))
    rows = [row for row in told(changes) if row[0] >= 60]
    up, down = ([row for row in rows if low <= row[0] < low + 30] for low in (60, 90))
    assert [kind for _, kind, _ in up] == [KIND.POD_CREATED, KIND.POD_POSTED, KIND.POD_APPEARED, KIND.POD_READY] * 2
    assert [kind for _, kind, _ in down] == [KIND.POD_TERMINATING, KIND.POD_EXITED, KIND.POD_GONE] * 3
    assert [pod for _, kind, pod in down if kind is KIND.POD_GONE][:2] == [up[4][2], up[0][2]]  # the last first


# ── A Pod's end ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("pre_stop", "shutdown", "grace", "expected"),
    [
        (0, 1, 30, 1),
        (5, 1, 30, 6),
        (29, 10, 30, 31),
        (28, 10, 30, 30),
        (40, 1, 30, 31),
        (40, 9, 30, 32),
        (0, 99, 30, 30),
        (0, 9, 0, 2),
    ],
)
def test_a_process_ends_with_its_grace_period_or_two_seconds_after_sigterm(
    pre_stop: int, shutdown: int, grace: int, expected: int
) -> None:
    assert termination_ns(pre_stop, shutdown, grace, 2) == expected


def test_pre_stop_and_grace_of_a_rollout_are_those_of_its_pods() -> None:
    for ending, expected in ((Ending(5.0, None), 6.0), (Ending(50.0, 10.0), 11.0), (Ending(), 4.0)):
        churn = ChurnParams(pre_stop_s=3.0)
        _, changes = play(scenario_of(Rollout(5.0, ROLLED, ending=ending), churn=churn))
        ended = {pod: at for at, _, pod in told(changes, KIND.POD_TERMINATING)}
        gaps = {round(changes.pod_gone_ns[pod] / S - at, 6) for pod, at in ended.items()}
        assert gaps == {expected}
        assert {round(at - ended[pod], 6) for at, _, pod in told(changes, KIND.POD_EXITED)} == {expected}
        exits = {pod: at for at, _, pod in told(changes, KIND.POD_EXITED)}
        assert all(0 < at - exits[pod] < 0.3 for at, _, pod in told(changes, KIND.POD_GONE))


def test_up_to_1_26_a_pod_that_ended_is_only_not_ready_until_its_object_goes() -> None:
    made = replace(scenario_of(Rollout(5.0, ROLLED)), kubernetes_version=(1, 26))
    _, changes = play(made)
    assert not told(changes, KIND.POD_EXITED)
    ended = {pod: at for at, _, pod in told(changes, KIND.POD_UNREADY)}
    removed = told(changes, KIND.POD_GONE)
    assert removed
    assert all(at - ended[pod] == pytest.approx(1.0) for at, _, pod in removed)


def test_random_churn_has_pre_stop_hooks_too() -> None:
    without, with_hook = (
        play(scenario_of(churn=ChurnParams(2.0, pre_stop_s=hook)))[1].pod_gone_ns for hook in (None, 4.0)
    )
    gone = without < NEVER
    assert gone.sum() > 100
    assert (with_hook[gone] - without[gone] == 4 * S).all()


# ── Crashes and probes ───────────────────────────────────────────────────────────────────────────────────────────────


def outages(changes: Changes) -> list[tuple[int, float, float]]:
    spells = changes.outages
    return [(o, a / S, b / S) for o, a, b in zip(spells.of, spells.from_ns, spells.until_ns, strict=True)]


def test_a_crash_is_noticed_within_the_pleg_second_and_the_first_restart_is_immediate() -> None:
    noticed = []
    for seed in range(30):
        _, changes = play(scenario_of(Crash(10.0, ROLLED, pods=2), seed=seed))
        assert len(outages(changes)) == 2
        back = {pod: until for pod, from_s, until in outages(changes) if from_s == 10.0}
        for at, _, pod in told(changes, KIND.POD_UNREADY):
            noticed.append(at - 10)
            assert 0.2 < back[pod] - at < 2.0
        assert {pod: round(at, 9) for at, _, pod in told(changes, KIND.POD_READY)} == {
            pod: round(until, 9) for pod, until in back.items()
        }
        assert (changes.pod_gone_ns == NEVER).all()
    assert 0 <= min(noticed) < 0.1
    assert 0.9 < max(noticed) < 1.0
    assert np.mean(noticed) == pytest.approx(0.5, abs=4 * 12**-0.5 / 60**0.5)


@pytest.mark.parametrize(("times", "waits"), [(2, 10), (3, 30), (4, 70), (7, 10 + 20 + 40 + 80 + 160 + 300)])
def test_restarts_in_a_row_back_off_by_ten_seconds_doubling_to_three_hundred(times: int, waits: float) -> None:
    _, changes = play(scenario_of(Crash(1.0, ROLLED, times=times), seconds=900.0))
    ((_, from_s, until_s),) = outages(changes)
    assert waits < until_s - from_s < waits + 2.2 * times + 1


def test_a_pod_that_hung_is_ready_with_the_first_probe_after_it_answers_again() -> None:
    for seed in range(40):
        _, changes = play(scenario_of(ReadinessFailure(10.0, ROLLED, for_s=60.0, pods=3), seed=seed))
        assert len(told(changes, KIND.POD_UNREADY)) == 3
        ready = [at for at, _, _ in told(changes, KIND.POD_READY)]
        assert len(ready) == 3
        assert all(70 <= at < 80 for at in ready)  # the first probe after it answers again
        assert {(a, b) for _, a, b in outages(changes)} == {(10.0, 70.0)}


def test_a_short_hang_goes_unnoticed_or_not_by_the_phase_of_its_probe() -> None:
    noticed = 0
    for seed in range(60):
        _, changes = play(scenario_of(ReadinessFailure(10.0, ROLLED, for_s=25.0), seed=seed))
        noticed += len(told(changes, KIND.POD_UNREADY))
        assert len(outages(changes)) == 1
    assert 15 < noticed < 45  # the third probe must fall into 25 s: half of the phases
    _, changes = play(scenario_of(ReadinessFailure(10.0, ROLLED, for_s=20.0), seed=2))
    assert not told(changes, KIND.POD_UNREADY)


def test_the_probe_of_a_new_pod_ticks_from_its_container_s_start() -> None:
    """Its phase is no draw: a Pod hung 12 s after it became ready is probed 8 s later."""
    rolled = Rollout(5.0, ROLLED, IntOrPercent(100, percent=True), IntOrPercent(0))
    _, changes = play(scenario_of(rolled, ReadinessFailure(30.0, ROLLED, for_s=60.0, pods=10)))
    became = {pod: at for at, _, pod in told(changes, KIND.POD_READY) if at < 30}
    noticed = told(changes, KIND.POD_UNREADY)
    assert len(noticed) == 10
    for at, _, pod in noticed:
        assert 0 <= (at - became[pod]) % 10 < 1.0  # up to the timeout after one of its ticks


# ── Nodes ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_lost_node_s_pods_are_evicted_after_their_toleration_and_made_anew_elsewhere() -> None:
    cluster, changes = play(scenario_of(NodeLoss(10.0, node="node-2"), seconds=500.0))
    lost = {pod for pod in range(13) if pod % 5 == 2}
    assert {pod for _, _, pod in told(changes, KIND.POD_UNREADY)} == lost
    assert not told(changes, KIND.POD_GONE)  # nobody on the node is left to say so
    assert set(changes.pod_gone_ns[list(lost)].tolist()) == {10 * S}
    noticed = told(changes, KIND.POD_UNREADY)[0][0]
    ended = told(changes, KIND.POD_TERMINATING)
    assert {pod for _, _, pod in ended} == lost
    assert all(noticed + 300 < at < noticed + 311 for at, _, _ in ended)
    new = [pod for _, _, pod in told(changes, KIND.POD_READY)]
    assert len(new) == len(lost)
    assert 2 not in cluster.homes(len(changes.pod_ip))[new]
    assert changes.lost.cover(np.array([2, 2, 1]), np.array([9 * S, 10 * S, 10 * S])).tolist() == [False, True, False]


@pytest.mark.parametrize("for_s", [20.0, 120.0])
def test_a_node_that_comes_back_brings_its_pods(for_s: float) -> None:
    _, changes = play(scenario_of(NodeLoss(10.0, node="node-2", for_s=for_s), seconds=500.0))
    lost = {pod for pod in range(13) if pod % 5 == 2}
    unready = {pod: at for at, _, pod in told(changes, KIND.POD_UNREADY)}
    assert set(unready) == lost
    assert all((at == 10 + for_s) == (for_s == 20.0) for at in unready.values())  # noticed before, or at its return
    ready = {pod: at for at, _, pod in told(changes, KIND.POD_READY)}
    assert set(ready) == lost
    assert all(10 + for_s < at < 10 + for_s + 4 for at in ready.values())
    assert not told(changes, KIND.POD_TERMINATING)
    assert {pod: round(until, 6) for pod, _, until in outages(changes)} == {p: round(at, 6) for p, at in ready.items()}
    assert (changes.pod_gone_ns == NEVER).all()


def test_a_full_node_takes_nine_seconds_to_patch_and_a_zone_much_longer() -> None:
    """108 Pods one after another, and an event for each: (216 - 30) / 20 s; many nodes queue for the same bucket."""
    full = scenario_of(NodeLoss(10.0, node="node-0"), pods=535)
    _, changes = play(full)
    at = [at for at, _, _ in told(changes, KIND.POD_UNREADY)]
    assert len(at) == 108
    assert at[-1] - at[0] == pytest.approx((216 - 30) / 20, abs=0.3)
    zone = replace(full, cluster=ClusterParams(nodes=5, zones=2), events=(ZoneLoss(10.0, 0),))
    _, changes = play(replace(zone, run=RunParams(200.0, 0.0, replications=1)))
    at = [at for at, _, _ in told(changes, KIND.POD_UNREADY)]
    assert len(at) > 300
    assert at[-1] - at[0] > 10


def test_when_every_zone_is_lost_nobody_is_evicted() -> None:
    scenario = scenario_of(ZoneLoss(10.0, 0), seconds=600.0, cluster=ClusterParams(nodes=4, zones=2))
    _, changes = play(scenario)
    assert told(changes, KIND.POD_TERMINATING)
    _, changes = play(replace(scenario, cluster=ClusterParams(nodes=4, zones=1)))
    assert not told(changes, KIND.POD_TERMINATING)
    assert len(told(changes, KIND.POD_UNREADY)) == 13


def test_nodes_of_a_zone_are_evicted_ten_seconds_apart() -> None:
    _, changes = play(scenario_of(NodeLoss(10.0, count=2), seconds=600.0))
    ended = [at for at, _, _ in told(changes, KIND.POD_TERMINATING)]
    gaps = np.diff(ended)
    assert (gaps > 1).sum() == 1
    assert gaps.max() >= 9.5


def test_draining_takes_one_node_after_another_and_puts_nothing_back() -> None:
    cluster, changes = play(scenario_of(Drain(10.0, nodes=2, ending=Ending(pre_stop_s=5.0)), pods=20))
    home = cluster.homes(len(changes.pod_ip))
    ended = [(at, int(home[pod])) for at, _, pod in told(changes, KIND.POD_TERMINATING)]
    nodes = list(dict.fromkeys(node for _, node in ended))
    first, second = ([at for at, node in ended if node == n] for n in nodes[:2])
    assert max(first) - 10 < 0.1
    assert min(second) >= 16.0  # the first one's Pods are gone after preStop and shutdown
    last = told(changes, KIND.POD_READY)
    assert not {int(home[pod]) for at, _, pod in last if at > 20} & set(nodes[:2])
    assert standing(changes, 23)[-1][1:] == (23, 23)


# ── Beside churn, and at the API ─────────────────────────────────────────────────────────────────────────────────────


def test_without_events_nothing_changes() -> None:
    scenario = scenario_of(churn=ChurnParams(3.0, 0.1))
    replication = drawn(scenario)
    assert replication.changes.pod_home is None
    assert not replication.traces
    assert not len(replication.changes.lost)


def test_churn_leaves_alone_what_events_are_about() -> None:
    churn = ChurnParams(4.0)
    _, alone = play(scenario_of(churn=churn))
    cluster, changes = play(scenario_of(Rollout(50.0, ROLLED), NodeLoss(60.0, node="node-1"), churn=churn))
    hit = {pod % 13 for _, _, pod in told(alone, KIND.POD_TERMINATING)}
    assert len(hit) == 13
    before = {int(changes.pod_slot[pod]) for at, _, pod in told(changes, KIND.POD_TERMINATING) if at < 50}
    assert before == {10, 12}  # of db, what is not on node 1
    churned = np.arange(13, 13 + round(len(told(alone, KIND.POD_READY))))
    assert 1 not in cluster.homes(len(changes.pod_ip))[churned]


def test_every_pod_takes_the_place_of_one_of_its_service() -> None:
    events = (Rollout(5.0, ROLLED), Scale(30.0, ROLLED, 25), Crash(40.0, "default/db-0"), NodeLoss(41.0))
    cluster, changes = play(scenario_of(*events))
    new = np.arange(cluster.pods, len(changes.pod_ip))
    assert len(new) >= 25
    assert set(changes.pod_slot[new].tolist()) <= set(range(13))
    assert len(np.unique(changes.pod_ip)) == len(changes.pod_ip)


def test_an_endpoint_that_is_not_ready_leaves_and_comes_back() -> None:
    scenario = scenario_of(ReadinessFailure(10.0, "default/db-0", for_s=40.0))
    rows = deliveries(scenario)
    assert [len(row.usable) for row in rows] == [2, 3]
    assert [row.endpoints for row in rows] == [3, 3]  # it stays in the slice
    _, changes = play(scenario)
    at = [round(at * S) for at, _, _ in told(changes)]
    assert [row.effects_ns for row in rows] == [(at[0],), (at[1],)]
    assert [row.trigger_ns for row in rows] == [at[0] // S * S, at[1] // S * S]  # the Ready condition moved, both times


def test_a_flicker_that_no_write_carried_is_forgotten() -> None:
    """With a long batch period both changes fall into one sync; the next one tells of its own change only."""
    scenario = scenario_of(Crash(10.0, "default/db-0"), Scale(40.0, "default/db-0", 0))
    cluster, changes = play(scenario)
    clock = EventQueue()
    params = ControllerManagerParams(endpointslice_updates_batch_period_s=8.0)
    plane = ControlPlane(clock, cluster, changes, params, load_defaults(), (1, 0), 120 * S)
    clock.run(120 * S)
    ended = {round(at * S) for at, _, _ in told(changes, KIND.POD_TERMINATING)}
    effects = [at for row in plane.api.log.rows for at in row.effects_ns]
    assert sorted(effects) == sorted(ended)


def test_events_about_nothing_say_so() -> None:
    empty = replace(scenario_of(Crash(1.0, ROLLED)), groups=(ServiceGroup("web", 1, EndpointCount(mean=0.0)),))
    with pytest.raises(InputError, match="no Pods behind a Service called default/web-0"):
        play(empty)


def test_the_same_events_are_the_same_twice_and_another_replication_differs() -> None:
    scenario = scenario_of(Rollout(5.0, ROLLED), NodeLoss(20.0), Crash(30.0, ROLLED))
    one, two, other = (told(play(scenario, number)[1]) for number in (0, 0, 1))
    assert one == two
    assert one != other


EVERY: Sequence[Event] = (
    Rollout(1.0, ROLLED, IntOrPercent(3), IntOrPercent(10, percent=True), Ending(5.0, 40.0), 12.0),
    Scale(2.0, ROLLED, 7, Ending(grace_s=10.0)),
    StatefulSetRollout(3.0, "default/db-0", Ending(pre_stop_s=0.5), 1.5),
    Crash(4.0, ROLLED, 2, 3, 0.25),
    ReadinessFailure(5.0, ROLLED, 61.0, 2),
    Drain(6.0, 2),
    Drain(7.0, 1, "node-1", Ending(1.0, 2.0)),
    NodeLoss(8.0, 2),
    NodeLoss(9.0, 1, "node-0", 600.0),
    ZoneLoss(10.0, 0, 30.0),
)


def test_events_read_back_as_they_were(tmp_path: Path) -> None:
    scenario = scenario_of(*EVERY)
    path = tmp_path / "scenario.yaml"
    path.write_text(write_resolved(scenario), encoding="utf-8")
    assert read(path).events == EVERY


def test_spells_cover_what_they_say_however_large_the_numbers() -> None:
    big = 1 << 61
    spells = Spells.made_of([(7, 10, 20), (7, 30, NEVER), (3, 5, 6), (1 << 40, big, big + 5)])
    which = np.array([7, 7, 7, 7, 7, 3, 3, 2, 1 << 40, 1 << 40])
    times = np.array([9, 10, 19, 20, big, 5, 6, 5, big + 4, big + 5])
    assert spells.cover(which, times).tolist() == [False, True, True, False, True, True, False, False, True, False]


def test_each_controller_has_a_bucket_of_its_own() -> None:
    clock, done = EventQueue(), []
    lag, rng = Lag(0.0), np.random.default_rng(1)
    clients = [Client(clock, TokenBucket(10.0, 2), lag, lag, rng) for _ in range(2)]
    for client in clients:
        for _ in range(4):
            client.call(lambda: done.append(clock.now))
    clock.run(10 * S)
    assert Counter(done) == {0: 4, S // 10: 2, 2 * S // 10: 2}
    assert all(a <= b for a, b in pairwise(done))
