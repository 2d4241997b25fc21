"""When syncs start: both generations of the bounded-frequency runner, the idle timer, the hourly full sync."""

from __future__ import annotations

import numpy as np
import pytest

from kpsim.cluster.changes import NEVER
from kpsim.cluster.params import ClusterParams
from kpsim.proxy.contract import RunnerSettings
from kpsim.proxy.params import ModePeriods, ProxyParams
from kpsim.proxy.registry import MODES, create
from kpsim.proxy.sync.pacing import BURST, Pacing, RunnerState
from kpsim.scenario.model import Scenario
from kpsim.simulation import mode_of
from kpsim.units import I64

NO = np.array([False])

S = 1_000_000_000
OLD, NEW = (1, 33), (1, 34)


def pacing(
    version: tuple[int, int], min_s: float = 1.0, idle_s: float = 3600.0, full_s: float | None = 3600.0
) -> Pacing:
    return Pacing.of(RunnerSettings(min_s, idle_s, full_s, cleanup_s=30.0), version)


def starts(
    paced: Pacing, arrivals: list[float], takes_s: float, until_s: float = 100.0, phase: float = 0.0
) -> tuple[list[float], list[int]]:
    """Starts of all syncs [s] and how many deliveries each took, by walking through time as kube-proxy would."""
    state = RunnerState.at_start(np.full((3, 1), phase), paced)
    at: I64 = np.array([round(a * S) for a in arrivals], np.int64)
    taken = 0
    found: list[float] = []
    batches: list[int] = []
    while True:
        request = following = NEVER
        if taken < len(at):
            request = max(int(at[taken]), int(state.last_end[0]))
            token = int(paced.token_at(state)[0])
            later = at[taken:][at[taken:] >= token]
            following = int(later[0]) if len(later) else NEVER
        start = np.maximum(paced.start(state, np.array([request]), np.array([following])), 0)
        if start[0] >= until_s * S:
            return found, batches
        known = int((at <= start[0]).sum())
        end = start + round(takes_s * S)
        full = paced.is_full(state, start)
        paced.ran(state, np.array([True]), start, end, full, paced.cleans(state, start, np.array([False])), NO)
        found.append(float(start[0]) / S)
        batches.append(known - taken)
        taken = known


# ── From 1.34: no burst ──────────────────────────────────────────────────────────────────────────────────────────────


def test_new_runner_starts_at_once_when_idle_and_then_rests_after_the_end() -> None:
    found, batches = starts(pacing(NEW), [10.0, 10.1, 10.2], takes_s=0.5)
    assert found == [10.0, 11.5]
    assert batches == [1, 2]


def test_new_runner_under_constant_events_runs_once_a_period_and_duration() -> None:
    found, _ = starts(pacing(NEW), [10 + 0.01 * i for i in range(2000)], takes_s=0.25, until_s=29.0)
    assert np.diff(found).tolist() == [1.25] * (len(found) - 1)


def test_new_runner_has_no_burst_however_long_it_was_quiet() -> None:
    found, _ = starts(pacing(NEW), [50.0, 50.3], takes_s=0.1)
    assert found == [50.0, 51.1]


def test_a_request_while_a_sync_runs_waits_for_the_rest_after_it() -> None:
    found, batches = starts(pacing(NEW, min_s=0.2), [1.0, 1.5], takes_s=3.0)
    assert found == [1.0, 4.2]
    assert batches == [1, 1]


@pytest.mark.parametrize("version", [OLD, NEW])
def test_without_a_minimum_the_next_sync_starts_as_the_last_one_ends(version: tuple[int, int]) -> None:
    found, batches = starts(pacing(version, min_s=0.0), [1.0, 1.5, 1.9, 8.0], takes_s=2.0)
    assert found == [1.0, 3.0, 8.0]
    assert batches == [1, 2, 1]


# ── Up to 1.33: a bucket of two ──────────────────────────────────────────────────────────────────────────────────────


def test_old_runner_lets_two_through_after_a_quiet_period_and_then_spaces() -> None:
    found, batches = starts(pacing(OLD), [10.0, 10.2, 10.4, 10.5], takes_s=0.05)
    assert found == [10.0, 10.2, 11.25]  # the third a second after the end of the second
    assert batches == [1, 1, 2]


def test_old_runner_s_bucket_fills_while_a_sync_runs() -> None:
    found, _ = starts(pacing(OLD), [10.0, 10.2, 10.9, 11.9], takes_s=0.8)
    assert found == [10.0, 10.8, 11.6, 12.4]  # tokens left after each: 1, 0.8, 0.6, 0.4


def test_a_request_after_the_token_does_not_wait_for_the_spacing() -> None:
    """The timer is for a request that found no token; a later request finds one, and takes the earlier along."""
    events = [10.0, 10.2, 10.7, 11.3]  # two tokens and what refilled are gone at 11.0; the next is there at 12.0
    alone, _ = starts(pacing(OLD), events, takes_s=0.5)
    assert alone == [10.0, 10.5, 11.0, 12.5]  # a second after the end at 11.5, token or not
    early, _ = starts(pacing(OLD), [*events, 11.9], takes_s=0.5)
    assert early == alone
    joined, batches = starts(pacing(OLD), [*events, 12.2], takes_s=0.5)
    assert joined == [10.0, 10.5, 11.0, 12.2]
    assert batches == [1, 1, 1, 2]


def test_old_runner_under_constant_events_is_faster_than_the_new_one() -> None:
    events = [10 + 0.001 * i for i in range(40_000)]
    old, _ = starts(pacing(OLD), events, takes_s=0.25, until_s=50.0)
    new, _ = starts(pacing(NEW), events, takes_s=0.25, until_s=50.0)
    assert np.diff(old[2:]) == pytest.approx(1.0, abs=0.002)  # tokens refill while a sync runs
    assert np.diff(new) == pytest.approx(1.25)
    slow, _ = starts(pacing(OLD), events, takes_s=1.5, until_s=50.0)
    assert np.diff(slow[2:]) == pytest.approx(1.5, abs=0.002)


def test_the_bucket_never_holds_more_than_two() -> None:
    paced = pacing(OLD)
    state = RunnerState.at_start(np.zeros((3, 1)), paced)
    assert state.credit[0] == BURST * S
    for start in (1000 * S, 1000 * S + 1, 1000 * S + 2):
        assert (paced.token_at(state)[0] <= start) == (start < 1000 * S + 2)
        if start < 1000 * S + 2:
            at = np.array([start])
            paced.ran(state, np.array([True]), at, at, NO, NO, NO)
    assert paced.token_at(state)[0] == 1001 * S


def test_what_did_not_run_is_left_alone() -> None:
    paced = pacing(OLD)
    state = RunnerState.at_start(np.zeros((3, 2)), paced)
    at = np.array([5 * S, 5 * S])
    paced.ran(
        state,
        np.array([True, False]),
        at,
        at + 1,
        np.array([True, True]),
        np.array([True, True]),
        np.array([False, False]),
    )
    assert state.last_end.tolist() == [5 * S + 1, -S]
    assert state.last_full[1] == 0
    assert state.credit.tolist() == [S, 2 * S]


# ── Timers ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("version", [OLD, NEW])
def test_idle_timer_runs_from_the_end_of_the_last_sync(version: tuple[int, int]) -> None:
    found, _ = starts(pacing(version, min_s=0.0, idle_s=30.0), [40.0], takes_s=0.5, phase=0.5)
    assert found == [15.0, 40.0, 70.5]


@pytest.mark.parametrize("version", [OLD, NEW])
def test_nothing_happens_in_an_hour_of_quiet_but_for_the_timer(version: tuple[int, int]) -> None:
    found, _ = starts(pacing(version), [], takes_s=0.5, until_s=10_000.0, phase=0.25)
    assert found == [2700.0, 6300.5, 9901.0]


def test_a_full_sync_is_due_an_hour_after_the_start_of_the_last_one() -> None:
    paced = pacing(NEW)
    state = RunnerState.at_start(np.zeros((3, 1)), paced)
    for start_s, full in (
        (100.0, False),
        (3599.9, False),
        (3600.0, True),
        (3700.0, False),
        (7199.0, False),
        (7300.0, True),
    ):
        start = np.array([round(start_s * S)])
        assert bool(paced.is_full(state, start)[0]) is full
        paced.ran(state, np.array([True]), start, start + S, paced.is_full(state, start), NO, NO)


def test_without_a_full_period_every_sync_is_full() -> None:
    paced = pacing(NEW, full_s=None)
    assert paced.is_full(RunnerState.at_start(np.zeros((3, 3)), paced), np.array([0, 1, S])).all()


def test_stale_chains_are_looked_for_always_or_once_a_period() -> None:
    paced = pacing(NEW)
    state = RunnerState.at_start(np.zeros((3, 1)), paced)
    for start_s, small, large in ((10.0, True, False), (30.0, True, False), (30.001, True, True)):
        start = np.array([round(start_s * S)])
        assert bool(paced.cleans(state, start, np.array([False]))[0]) is small
        assert bool(paced.cleans(state, start, np.array([True]))[0]) is large


def test_phases_stand_anywhere_in_their_periods() -> None:
    phase = np.array([[0.0, 0.5, 0.99]] * 3)
    state = RunnerState.at_start(phase, pacing(NEW, idle_s=30.0))
    assert state.last_end.tolist() == [-S, -15 * S, round(-29.7 * S)]  # idle, and rested
    assert state.last_full.tolist() == [0, -1800 * S, -3564 * S]
    assert state.last_cleanup.tolist() == [0, -15 * S, round(-29.7 * S)]


# ── Whose periods ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("version", [OLD, NEW])
def test_defaults_are_kube_proxy_s(version: tuple[int, int]) -> None:
    iptables = create(ProxyParams(mode="iptables")).runner(version)
    assert (iptables.min_sync_s, iptables.idle_s, iptables.full_s, iptables.cleanup_s) == (1.0, 3600.0, 3600.0, 30.0)
    assert iptables.spares_large == (version == NEW)
    ipvs = create(ProxyParams(mode="ipvs")).runner(version)
    assert (ipvs.min_sync_s, ipvs.idle_s, ipvs.full_s) == (0.0, 30.0, None)


def test_a_configured_zero_is_a_second_for_iptables_and_zero_for_ipvs() -> None:
    assert create(ProxyParams(mode="iptables", min_sync_period_s=0.0)).runner(NEW).min_sync_s == 1.0
    assert create(ProxyParams(mode="ipvs", min_sync_period_s=0.0)).runner(NEW).min_sync_s == 0.0


@pytest.mark.parametrize("mode", list(MODES))
def test_configured_periods_hold(mode: str) -> None:
    runner = create(ProxyParams(mode=mode, min_sync_period_s=7.0, sync_period_s=45.0)).runner(NEW)
    assert runner.min_sync_s == 7.0
    assert runner.cleanup_s == 45.0
    assert (runner.idle_s == 45.0) == (mode in {"ipvs", "userspace", "kernelspace"})


def test_compared_modes_keep_their_own_periods() -> None:
    """What the section of one mode says is not lost when another one is the configured mode."""
    given = ProxyParams(
        mode="iptables",
        min_sync_period_s=10.0,
        periods=(ModePeriods("iptables", 10.0), ModePeriods("ipvs", 3.0, 60.0)),
    )
    scenario = Scenario("both", cluster=ClusterParams(), kube_proxy=given, modes=("iptables", "ipvs"))
    runners = {name: mode_of(scenario, name)[0].runner(NEW) for name in scenario.modes}
    assert runners["iptables"].min_sync_s == 10.0
    assert (runners["ipvs"].min_sync_s, runners["ipvs"].idle_s) == (3.0, 60.0)
