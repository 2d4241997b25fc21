"""Where the network programming latency that kube-proxy reports is not the true one, and where it is.

kube-proxy takes a sample for each write that has a trigger time, from that time to the end of the sync which took the
write up; what is true is a latency for each change, from when it happened until it is in force.  Every difference
stands beside a run in which it is not there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from unittest.mock import patch

import numpy as np
import pytest

from kpsim.cluster.changes import NEVER, ChangeKind, Changes
from kpsim.cluster.params import ClusterParams, EndpointCount, ServiceGroup
from kpsim.controlplane.params import ControllerManagerParams
from kpsim.experiment.observing.observe import observe
from kpsim.measure.tally import Tally
from kpsim.proxy.params import FaultParams
from kpsim.scenario.model import RunParams, Scenario
from kpsim.simulation import build_cluster, prepare, run_mode
from kpsim.traffic.params import TrafficParams
from kpsim.units import F64

S = 1_000_000_000
NODES, SERVICES, PODS = 20, 12, 5  # Pods of each Service
REPLICATIONS = 40
TERMINATING, APPEARED, READY, GONE, _, UNREADY = tuple(ChangeKind)[:6]
QUIET = Scenario(
    name="told",
    cluster=ClusterParams(nodes=NODES, cores=1),
    groups=(ServiceGroup("s", SERVICES, EndpointCount(mean=float(PODS))),),
    traffic=TrafficParams(0.0),
    run=RunParams(120.0, 0.0, seed=1, replications=1),
)
BATCHED = replace(QUIET, controller_manager=ControllerManagerParams(endpointslice_updates_batch_period_s=0.5))
FIRST = [PODS * service for service in range(SERVICES)]  # a Pod of each Service
APART = [(5 + 8 * n) * S + 370_000_000 for n in range(SERVICES)]  # one change after another has been programmed

Told = Sequence[tuple[int, ChangeKind, int]]


def seen(scenario: Scenario, told: Told, new: Sequence[int] = ()) -> tuple[Tally, Tally]:
    """True and reported latencies on all nodes, when just these changes happen; ``new`` Pods take others' places."""
    replication = prepare(scenario, build_cluster(scenario)[0], 0)
    cluster = replication.cluster
    at, kind, subject = (np.array(column, np.int64) for column in zip(*sorted(told), strict=True))
    replication.changes = Changes(
        at, kind, subject,
        pod_slot=np.concatenate([np.arange(cluster.pods), np.array(new, np.int64)]),
        pod_ip=np.concatenate([cluster.pod_ip, cluster.pod_ip.max() + 1 + np.arange(len(new))]).astype(np.uint32),
        pod_gone_ns=np.full(cluster.pods + len(new), NEVER),
    )  # fmt: skip
    tallies = observe(replication, run_mode(replication, "iptables", "batch"), 1).tallies
    (true,), (reported,) = tallies["network_programming_true"], tallies["network_programming_reported"]
    return true, reported


def numbers(true: Tally, reported: Tally) -> tuple[float, float]:
    """How many there are on each node."""
    return true.n / NODES, reported.n / NODES


def close(values: F64, expected: float) -> bool:
    """Whether the mean of independent values is within four standard errors."""
    error = float(values.std(ddof=1)) / math.sqrt(len(values))
    return abs(float(values.mean()) - expected) <= 4 * error


# ── What gives a sample ──────────────────────────────────────────────────────────────────────────────────────────────


def test_deletions_give_no_sample() -> None:
    """Neither the deletionTimestamp nor the object's end moves a Ready condition."""
    deleted = [(at, TERMINATING, pod) for at, pod in zip(APART, FIRST, strict=True)]
    deleted += [(at + 2 * S, GONE, pod) for at, _, pod in deleted]
    assert numbers(*seen(QUIET, deleted)) == (SERVICES, 0)
    failed = [(at, UNREADY, pod) for at, pod in zip(APART, FIRST, strict=True)]
    assert numbers(*seen(QUIET, failed)) == (SERVICES, SERVICES)  # the same Pods taken out of service another way


def test_a_deletion_and_a_readiness_in_one_write_give_the_latter_s_sample() -> None:
    told = [(at // S * S, UNREADY, pod) for at, pod in zip(APART, FIRST, strict=True)]
    true, reported = seen(BATCHED, told + [(at - S // 4, TERMINATING, pod + 1) for at, _, pod in told])
    assert numbers(true, reported) == (2 * SERVICES, SERVICES)
    # on the whole second nothing is added: what is missing is the quarter by which deletions have waited longer
    assert true.mean() - reported.mean() == pytest.approx(0.125, abs=1e-9)
    true, reported = seen(BATCHED, told + [(at - S // 4, UNREADY, pod + 1) for at, _, pod in told])
    assert numbers(true, reported) == (2 * SERVICES, SERVICES)
    assert true.mean() - reported.mean() == pytest.approx(0.125 - 1, abs=1e-9)  # theirs is the second before


def test_an_address_that_appears_gives_a_sample_and_changes_nothing_for_packets() -> None:
    new = [60 + n for n in range(SERVICES)]
    appeared = [(at, APPEARED, pod) for at, pod in zip(APART, new, strict=True)]
    assert numbers(*seen(QUIET, appeared, FIRST)) == (0, SERVICES)
    ready = [(at + 3 * S, READY, pod) for at, _, pod in appeared]
    assert numbers(*seen(QUIET, appeared + ready, FIRST)) == (SERVICES, 2 * SERVICES)
    together = [(at + S // 4, READY, pod) for at, _, pod in appeared]  # ready before the batch period is over
    assert numbers(*seen(BATCHED, appeared + together, FIRST)) == (SERVICES, SERVICES)


# ── Batches ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def bursts(gap_ns: int) -> list[tuple[int, ChangeKind, int]]:
    """All Pods of each Service but one become not ready, one after another."""
    return [(at + n * gap_ns, UNREADY, pod + n) for at, pod in zip(APART, FIRST, strict=True) for n in range(PODS - 1)]


def test_a_batch_gives_one_sample_with_its_oldest_trigger() -> None:
    told = bursts(S // 10)
    true, reported = seen(BATCHED, told)
    changes = PODS - 1
    assert numbers(true, reported) == (SERVICES * changes, SERVICES)
    # whatever the syncs took, they took it for both: what remains is where each of the two begins to count
    begins = np.mean([at for at, _, _ in told]) - np.mean([at // S * S for at in APART])
    assert reported.mean() - true.mean() == pytest.approx(begins / S, abs=1e-6)
    oldest = np.mean(APART) - np.mean([at // S * S for at in APART])
    assert begins > oldest + 0.1 * S  # beyond what whole seconds add: the younger changes have waited less
    assert reported.least > 0.5 * S  # the oldest waits the whole period


def test_without_a_batch_period_every_change_has_its_sample() -> None:
    told = bursts(3 * S // 2)
    true, reported = seen(QUIET, told)
    assert numbers(true, reported) == (SERVICES * (PODS - 1),) * 2
    # a batch that is over before the next change comes is one of one
    assert numbers(*seen(BATCHED, told)) == (SERVICES * (PODS - 1),) * 2
    every, few = numbers(*seen(QUIET, bursts(S // 100)))
    assert every == SERVICES * (PODS - 1)
    assert SERVICES < few < every  # changes that come while a write is under way gather even so


# ── Whole seconds ────────────────────────────────────────────────────────────────────────────────────────────────────


@cache
def added_s(whole: bool = False) -> F64:
    """What each replication's samples are longer than its true latencies, on average."""
    added = np.empty(REPLICATIONS)
    for seed in range(REPLICATIONS):
        offset = np.zeros(SERVICES, np.int64) if whole else np.random.default_rng(seed).integers(0, S, SERVICES)
        told = [(at // S * S + int(o), UNREADY, pod) for at, pod, o in zip(APART, FIRST, offset, strict=True)]
        true, reported = seen(replace(QUIET, run=replace(QUIET.run, seed=seed)), told)
        assert numbers(true, reported) == (SERVICES, SERVICES)
        added[seed] = reported.mean() - true.mean()
    return added


def test_whole_seconds_of_the_trigger_add_half_a_second_on_average() -> None:
    assert close(added_s(), 0.5)
    assert not close(added_s(), 0.0)  # as if it were rounded
    spread = added_s().std(ddof=1) * SERVICES**0.5  # of one change
    assert spread == pytest.approx(12**-0.5, rel=4 / (2 * REPLICATIONS) ** 0.5)


def test_changes_on_the_second_are_reported_as_they_were() -> None:
    assert np.abs(added_s(whole=True)).max() < 1e-9


def test_a_finer_annotation_would_tell_the_truth() -> None:
    told = [(at, UNREADY, pod) for at, pod in zip(APART, FIRST, strict=True)]
    true, reported = seen(QUIET, told)
    assert reported.mean() - true.mean() == pytest.approx(0.37, abs=1e-6)
    with patch("kpsim.controlplane.services.SECOND_NS", 1):
        true, reported = seen(QUIET, told)
    assert reported.total == true.total


# ── Failed syncs ─────────────────────────────────────────────────────────────────────────────────────────────────────

FAILS = 0.2
SYNC_PERIOD_S = 30.0  # when the next sync comes after one that failed and nothing else asks for one


@cache
def with_failures(share: float) -> tuple[F64, F64, F64]:
    """Of each replication: the share of changes with a sample, and mean true and reported latencies."""
    told = [((5 + 40 * n) * S, UNREADY, pod) for n, pod in enumerate(FIRST)]
    rows = []
    for seed in range(REPLICATIONS):
        run = RunParams(800.0, 0.0, seed=seed, replications=1)
        true, reported = seen(replace(QUIET, run=run, faults=FaultParams(failed_syncs=share)), told)
        assert true.n == SERVICES * NODES  # in the end every change is in force everywhere
        rows.append((reported.n / true.n, true.mean(), reported.mean()))
    sampled, true_s, reported_s = np.array(rows).T
    return sampled, true_s, reported_s


def test_a_sync_that_fails_loses_the_samples_of_what_it_took_up() -> None:
    sampled, _, _ = with_failures(FAILS)
    assert close(sampled, 1 - FAILS)
    assert not close(sampled, 1 - FAILS**2)  # as if the next sync made up for it
    assert (with_failures(0.0)[0] == 1).all()


def test_failures_make_changes_late_and_the_metric_does_not_notice() -> None:
    (_, true_s, reported_s), (_, usual_s, usual_reported_s) = with_failures(FAILS), with_failures(0.0)
    late_s = true_s - usual_s
    assert late_s.mean() - 4 * late_s.std(ddof=1) / REPLICATIONS**0.5 > 0.9 * FAILS * SYNC_PERIOD_S
    # it tells of those that were on time; some of their syncs are full ones, which take longer, after two failures
    assert abs(float((reported_s - usual_reported_s).mean())) < 0.01 * late_s.mean()
