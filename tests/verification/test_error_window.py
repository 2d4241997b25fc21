"""The error window: packets fail from a Pod's end until the rules of the last node leave it out, and no longer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kpsim.cluster.params import ChurnParams, ClusterParams, EndpointCount, ServiceGroup
from kpsim.experiment.replications import run_scenario
from kpsim.experiment.result import EventOutcome
from kpsim.history.events import Drain, Ending, Event, NodeLoss, Rollout
from kpsim.proxy.params import ProxyParams
from kpsim.proxy.registry import MODES
from kpsim.scenario.model import RunParams, Scenario
from kpsim.traffic.params import TrafficParams


def outcomes(
    *events: Event, mode: str = "iptables", engine: str = "batch", **changed: object
) -> tuple[EventOutcome, ...]:
    scenario = Scenario(
        name="window",
        cluster=ClusterParams(nodes=6, cores=2),
        groups=(ServiceGroup("web", 1, EndpointCount(mean=12.0)),),
        kube_proxy=ProxyParams(mode=mode, min_sync_period_s=10.0),  # propagation of up to ten seconds
        modes=(mode,),
        traffic=TrafficParams(60.0, 1),
        churn=ChurnParams(pod_shutdown_s=0.1),
        events=events,
        run=RunParams(90.0, 0.0, seed=3, replications=3, engine=engine),  # type: ignore[arg-type]  # one of two
    )
    return run_scenario(replace(scenario, **changed)).modes[mode].events  # type: ignore[arg-type]  # fields by name


def rolled(pre_stop_s: float) -> Rollout:
    return Rollout(20.0, "default/web-0", ending=Ending(pre_stop_s, 60.0))


def test_the_window_shrinks_with_pre_stop_and_is_none_beyond_the_propagation() -> None:
    found = [outcomes(rolled(hook))[0] for hook in (0.0, 5.0, 15.0, 30.0)]
    longest = [outcome.propagation_s for outcome in found]
    assert 5 < max(each or 0.0 for each in longest) < 15
    failed, windows = ([getattr(f, name).value for f in found] for name in ("connections", "window_s"))
    assert failed[0] > 2 * failed[1] > 0
    assert windows[0] > windows[1] > 0
    assert failed[2:] == [0, 0]
    assert [outcome.first_s for outcome in found[2:]] == [None, None]
    assert [outcome.exposed_s > 0 for outcome in found] == [True, True, False, False]


@pytest.mark.parametrize("mode", list(MODES))
def test_a_hook_as_long_as_the_longest_propagation_leaves_no_error(mode: str) -> None:
    """In any mode: a hook that no propagation seen with it exceeds."""
    without = outcomes(rolled(0.0), mode=mode)[0]
    assert without.propagation_s
    assert without.connections.value > 0 or without.propagation_s < 0.5  # a moment may meet nobody
    assert without.exposed_s == pytest.approx(max(without.propagation_s - 0.1, 0), abs=1e-6)
    hook, longest = 0.0, without.propagation_s
    while longest > hook:  # a hook changes the rollout's pace, and so the phases of syncs
        hook = longest
        hooked = outcomes(rolled(hook), mode=mode)[0]
        assert hooked.propagation_s
        longest = hooked.propagation_s
    assert hook < 20  # it ends
    assert (hooked.connections.value, hooked.packets.value, hooked.exposed_s) == (0, 0, 0.0)


def test_no_packet_fails_outside_of_the_exposure() -> None:
    outcome = outcomes(rolled(1.0))[0]
    course = outcome.course
    assert course.errors_s is not None
    first, last = course.errors_s
    assert 20.0 < first < last < course.time_s[-1] + outcome.exposed_s
    assert outcome.with_errors == outcome.replications == 3
    assert outcome.packets == outcome.connections  # one packet each


def test_a_lost_node_fails_until_it_is_noticed() -> None:
    lost = outcomes(NodeLoss(15.0), kube_proxy=ProxyParams(mode="iptables"))[0]
    assert lost.first_s is not None
    assert lost.last_s is not None
    assert lost.first_s < 0.5
    assert 40 < lost.last_s < 58
    assert lost.exposed_s >= lost.last_s
    assert lost.propagation_s is not None
    assert lost.propagation_s < 3  # from the Ready condition on


def test_each_event_has_its_own_errors() -> None:
    first, second, third = outcomes(
        rolled(0.0), Rollout(50.0, "default/web-0", ending=Ending(30.0, 60.0)), NodeLoss(85.0)
    )
    assert 3 * first.connections.value > 10
    assert second.connections.value == 0
    assert 3 * third.connections.value > 10
    assert third.propagation_s is None  # nobody has noticed when the run is over
    assert first.last_s is not None
    assert first.last_s < 30


def test_services_created_later_do_not_lengthen_the_propagation() -> None:
    """They come with endpoints that are gone from elsewhere by then: no rule of theirs ever led there."""
    churn = ChurnParams(services_created_per_s=0.5, pod_shutdown_s=0.1)
    drained = outcomes(Drain(20.0), churn=churn, kube_proxy=ProxyParams(mode="iptables"))[0]
    assert drained.propagation_s is not None
    assert 0 < drained.propagation_s < 3


def test_long_connections_break_when_their_pod_ends() -> None:
    """A hook that is long enough for new connections is none for those that are open when it is over."""
    outcome = outcomes(rolled(20.0), traffic=TrafficParams(5.0, 6, 10.0))[0]
    assert outcome.connections.value == 0
    assert outcome.packets.value > 0


def test_both_engines_see_the_same_window() -> None:
    batch, reference = (outcomes(rolled(0.0), engine=engine)[0] for engine in ("batch", "reference"))
    for name in ("connections", "packets", "first_s", "last_s", "window_s", "propagation_s", "exposed_s", "pending"):
        assert getattr(batch, name) == getattr(reference, name)
