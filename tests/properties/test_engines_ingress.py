"""Both engines see the same requests through an Ingress controller: the same syncs of it, and the same ends."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Literal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpsim.cluster.params import ChurnParams, ClusterParams, EndpointCount, ServiceGroup
from kpsim.history.events import (
    Crash,
    Ending,
    Event,
    NodeJoin,
    NodeLoss,
    ReadinessFailure,
    Rollout,
    Scale,
    ServiceDeletion,
)
from kpsim.ingress.outcomes import IngressOutcomes, Status
from kpsim.ingress.params import IngressParams
from kpsim.kube.objects import Ingress, IngressBackend, IngressPath, KubeObjects
from kpsim.scenario.model import RunParams, Scenario
from kpsim.scenario.sections.ingress import with_controller
from kpsim.simulation import ModeRun
from kpsim.traffic.params import TrafficParams
from tests.properties.test_engines_equal import both, differences

PATHS = tuple(IngressPath(IngressBackend(name, 80), f"/{name}") for name in ("web-0", "web-1", "few-0", "none-0", "x"))
OBJECTS = KubeObjects(ingresses=(Ingress("default", "shop", PATHS),))
HASTY = Rollout(8.0, "default/web-0", ending=Ending(pre_stop_s=0.0))


def scenario(params: IngressParams, *events: Event, churn: float = 1.0) -> Scenario:
    return Scenario(
        name="ingress",
        cluster=ClusterParams(nodes=5, cores=1),
        groups=(
            ServiceGroup("web", 2, EndpointCount(mean=6.0)),
            ServiceGroup("few", 1, EndpointCount(mean=1.0)),
            ServiceGroup("none", 1, EndpointCount(mean=0.0)),
        ),
        objects=with_controller(OBJECTS, params),
        ingress=params,
        traffic=TrafficParams(2.0, 2),
        churn=ChurnParams(churn, pod_shutdown_s=0.0),
        events=events,
        run=RunParams(30.0, 0.0, seed=5, replications=1),
    )


def unlike(batch: ModeRun, reference: ModeRun) -> list[str]:
    one, two = batch.ingress, reference.ingress
    assert one is not None
    assert two is not None
    names = [f.name for f in fields(IngressOutcomes)]
    found = [n for n in names if not np.array_equal(getattr(one.outcomes, n), getattr(two.outcomes, n))]
    for r, (mine, other) in enumerate(zip(one.syncs, two.syncs, strict=True)):
        same = np.array_equal(mine.absorbed, other.absorbed) and np.array_equal(mine.taken_ns, other.taken_ns)
        found += [] if same else [f"syncs of {r}"]
    return found


def statuses(run: ModeRun) -> set[int]:
    assert run.ingress is not None
    return set(run.ingress.outcomes.status.tolist())


@pytest.mark.parametrize("mode", ["iptables", "ipvs", "nftables", "ebpf"])
@pytest.mark.parametrize("to", ["Pods", "ClusterIP"])
def test_engines_agree_on_a_rollout(to: Literal["Pods", "ClusterIP"], mode: str) -> None:
    _, batch, reference = both(scenario(IngressParams(60.0, to=to), HASTY), mode)
    assert not differences(batch, reference)
    assert not unlike(batch, reference)
    assert batch.ingress is not None
    assert batch.ingress.outcomes.tries.max() == 3
    assert statuses(batch) >= {Status.ANSWERED, Status.UNAVAILABLE}


def test_engines_agree_where_pods_and_nodes_are_silent() -> None:
    events = (
        NodeLoss(5.0, node="node-1", for_s=12.0),
        ReadinessFailure(9.0, "default/web-1", for_s=15.0, pods=3),
        Crash(12.0, "default/web-0"),
    )
    _, batch, reference = both(scenario(IngressParams(60.0), *events), "iptables")
    assert not unlike(batch, reference)
    assert Status.TIMED_OUT in statuses(batch) or (batch.ingress and (batch.ingress.outcomes.tries > 1).any())


@pytest.mark.parametrize("mode", ["iptables", "ebpf"])
@pytest.mark.parametrize("to", ["Pods", "ClusterIP"])
def test_engines_agree_where_a_service_goes_and_a_node_comes(to: Literal["Pods", "ClusterIP"], mode: str) -> None:
    events = (NodeJoin(6.0), ServiceDeletion(12.0, "default/web-1"))
    _, batch, reference = both(scenario(IngressParams(60.0, to=to), *events), mode)
    assert not differences(batch, reference)
    assert not unlike(batch, reference)
    assert batch.ingress is not None
    ended = batch.ingress.outcomes.status[batch.ingress.outcomes.arrival_ns > 20_000_000_000]
    lost = Status.UNAVAILABLE if to == "Pods" else Status.BAD_GATEWAY
    kept = 2 / 5 if to == "Pods" else 1 / 5  # paths without the Services that are not there, or have no endpoints
    assert (ended == lost).mean() > kept


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.builds(
        IngressParams,
        requests_per_s=st.sampled_from([5.0, 40.0]),
        replicas=st.integers(1, 3),
        cores=st.integers(1, 3),
        to=st.sampled_from(["Pods", "ClusterIP"]),
        tries=st.sampled_from([None, 1, 4]),
        syncs_per_s=st.sampled_from([None, 0.05, 20.0]),
    ),
    st.sampled_from([0.0, 3.0]),
    st.booleans(),
)
def test_engines_agree_on_any_controller(params: IngressParams, churn: float, scaled: bool) -> None:
    events = (Scale(6.0, "default/web-0", 1),) if scaled else (HASTY,)
    _, batch, reference = both(scenario(params, *events, churn=churn), "iptables")
    assert not unlike(batch, reference)


def test_nothing_else_depends_on_requests() -> None:
    plain = scenario(IngressParams(60.0), HASTY)
    _, few, _ = both(plain, "iptables")
    _, many, _ = both(replace(plain, ingress=IngressParams(120.0, cores=4, to="ClusterIP")), "iptables")
    assert not differences(few, many)
