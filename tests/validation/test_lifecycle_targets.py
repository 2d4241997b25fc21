"""Lives of Pods and nodes against what Kubernetes' constants and kubemark say of them; targets are data.

Every number is what events of a scenario came to.  A twin breaks the model in one place and must miss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from unittest.mock import patch

import numpy as np
import pytest

from kpsim.clock import EventQueue
from kpsim.cluster.changes import ChangeKind
from kpsim.cluster.params import ChurnParams, ClusterParams, EndpointCount, ServiceGroup
from kpsim.history.events import Crash, Event, NodeLoss, ReadinessFailure
from kpsim.history.play import HistorySettings
from kpsim.history.pods import PodBook, PodTimings
from kpsim.profiles.defaults import load_defaults
from kpsim.rng import stream
from kpsim.scenario.model import RunParams, Scenario
from kpsim.simulation import build_cluster, prepare
from kpsim.traffic.params import TrafficParams
from kpsim.units import F64
from tests.validation.targets import TARGETS, Found, Target, check, each_of, missed, target_named

S = 1_000_000_000
AT_S = 10.0
WEB = "default/web-0"
LOST = NodeLoss(AT_S)
HUNG = ReadinessFailure(AT_S, WEB, for_s=60.0, pods=3)
STARTED = 10_000  # Pods


def unready_after_s(event: Event, seed: int, version: tuple[int, int] = (1, 34)) -> list[float]:
    """How long after the event each Pod's Ready condition became false [s]."""
    scenario = Scenario(
        name="one event",
        cluster=ClusterParams(nodes=5),
        groups=(ServiceGroup("web", 1, EndpointCount(mean=10.0)),),
        traffic=TrafficParams(0.0),
        events=(event,),
        kubernetes_version=version,
        run=RunParams(120.0, 0.0, seed=seed, replications=1),
    )
    changes = prepare(scenario, build_cluster(scenario)[0], 0).changes
    return [at_ns / S - AT_S for at_ns in changes.at_ns[changes.kind == ChangeKind.POD_UNREADY].tolist()]


@cache
def removal_s(*versions: tuple[int, int], runs: int = 120) -> Found:
    """The first endpoint of a lost node that is not ready, the versions in turn."""
    return Found.of([min(unready_after_s(LOST, seed, versions[seed % len(versions)])) for seed in range(runs)])


@cache
def unready_s(event: Event = HUNG) -> Found:
    """Every Pod's probes have a phase of their own."""
    return Found.of([after_s for seed in range(60) for after_s in unready_after_s(event, seed)])


def found_by_the_second_probe() -> Found:
    right = PodTimings.of

    def hasty(*args: object) -> PodTimings:
        return replace(right(*args), probe_failures=2)  # type: ignore[arg-type]  # handed through

    with patch.object(PodTimings, "of", hasty):
        return Found.of([after_s for seed in range(60) for after_s in unready_after_s(HUNG, seed)])


@cache
def start_up_s() -> F64:
    """From the creation of each of many Pods to its readiness."""
    clock = EventQueue()
    timings = HistorySettings.of(load_defaults(), ChurnParams(), (1, 34), None, None).pods
    book = PodBook(clock, timings, stream(1, "start-up"), bind=lambda _pod: 0, first=0)
    for n in range(STARTED):
        book.create(n, 0, 0)
    clock.run(60 * S)
    ready = [at_ns / S for at_ns, kind, _ in book.told if kind == ChangeKind.POD_READY]
    assert len(ready) == STARTED
    return np.array(ready)


def first_probe_at_random_s() -> F64:
    return start_up_s() + np.random.default_rng(1).uniform(0, 10, STARTED)


MODEL: Mapping[str, Callable[[], Found]] = {
    "removal_until_1_31_s": lambda: removal_s((1, 31)),
    "removal_since_1_32_s": lambda: removal_s((1, 32), (1, 34)),
    "unready_s": unready_s,
    "start_up_p50_s": lambda: Found(float(np.quantile(start_up_s(), 0.5))),
    "start_up_p90_s": lambda: Found(float(np.quantile(start_up_s(), 0.9))),
    "start_up_p99_s": lambda: Found(float(np.quantile(start_up_s(), 0.99))),
}


@each_of("lifecycle")
def test_the_model_meets_its_target(target: Target) -> None:
    check(target, MODEL)


def test_every_target_is_computed() -> None:
    assert {target["of"] for target in TARGETS["lifecycle"]} == set(MODEL)


@pytest.mark.parametrize("name", ["removal_until_1_31_s", "removal_since_1_32_s", "unready_s"])
def test_the_whole_range_occurs(name: str) -> None:
    """Chance has both ends of it: a model that always says the middle is within the range too."""
    low, high = target_named(name)["range"]
    each = MODEL[name]().each
    assert min(each) < low + 0.2 * (high - low)
    assert max(each) > high - 0.2 * (high - low)


WRONG: Mapping[str, Callable[[], Found]] = {
    "removal_until_1_31_s": lambda: removal_s((1, 32)),  # the longer grace period
    "removal_since_1_32_s": lambda: removal_s((1, 31)),
    "unready_s": found_by_the_second_probe,
    "start_up_p50_s": lambda: Found(float(np.quantile(first_probe_at_random_s(), 0.5))),  # it is at once
    "start_up_p99_s": lambda: Found(float(np.quantile(first_probe_at_random_s(), 0.99))),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_model_misses(name: str) -> None:
    assert missed(target_named(name), WRONG[name]())


def test_a_process_that_ends_is_not_one_that_hangs() -> None:
    """The kubelet's own look finds it within a second, without a probe."""
    assert missed(target_named("unready_s"), unready_s(Crash(AT_S, WEB, pods=3)))
