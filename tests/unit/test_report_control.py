"""Figures of the control plane: limits and stages are those of the result, and nothing is drawn of nothing."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from kpsim.controlplane.deliveries import DeliveryLog, Notice
from kpsim.experiment.observing.control import BINS, control_load, writes_over_time
from kpsim.experiment.replications import run
from kpsim.experiment.result import ChangeStage, ControlLoad, Result
from kpsim.report.figures import pictures
from kpsim.report.figures.canvas import drawing
from kpsim.report.figures.control import control_plane, stages
from tests.report_fixture import make_result

LOAD = ControlLoad(
    time_s=np.arange(0.5, 10.0),
    writes_per_s=np.array([40.0, 30, 0, 50, 40, 40, 40, 40, 40, 80]),
    endpoints_writes_per_s=np.full(10, 30.0),
    bytes_per_s=np.full(10, 2e8),
    seats_writes_per_s=35.0,
    client_writes_per_s=100.0,
    egress_bytes_per_s=1.25e9,
)
STAGES = tuple(ChangeStage(name, 0.01 * 2**n, 0.02 * 2**n) for n, name in enumerate(("informer", "watch", "sync")))


@pytest.fixture(scope="module")
def result() -> Result:
    made = make_result()
    modes = {mode: replace(found, stages=STAGES) for mode, found in made.modes.items()}
    return replace(made, modes=modes, control=LOAD)


def test_both_are_drawn_in_a_report(result: Result) -> None:
    drawn = {picture.name: picture for picture in pictures(result)}
    assert {"control_plane", "stages"} <= set(drawn)
    for name in ("control_plane", "stages"):
        ET.fromstring(drawn[name].svg)  # noqa: S314 (our own text)
        assert len(drawn[name].svg) < 250_000
    assert pictures(result) == pictures(result)


def test_nothing_is_drawn_of_nothing(result: Result) -> None:
    with drawing():
        assert control_plane.picture(replace(result, control=None)) is None
        assert control_plane.picture(replace(result, control=replace(LOAD, writes_per_s=np.zeros(10)))) is None
        assert stages.picture(make_result()) is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "The API server's seats are 229 % used at the busiest; the control plane sends up to 200 MB/s"),
        (
            {"seats_writes_per_s": None, "client_writes_per_s": 320.0},
            "The control plane sends up to 200 MB/s to kube-proxies; a controller's own request limit is the nearest",
        ),
        ({"seats_writes_per_s": None, "bytes_per_s": np.full(10, 1.2e9)}, "The API server's network is 96 % used"),
        ({"seats_writes_per_s": 400.0, "client_writes_per_s": 50.0}, "A controller's own request limit is 160 % used"),
        (
            {"client_writes_per_s": 100.0, "seats_writes_per_s": None, "endpoints_writes_per_s": np.full(10, 90.0)},
            "A controller's own request limit is 90 % used",
        ),
    ],
)
def test_the_title_names_the_nearest_limit_of_the_busiest_time(
    result: Result, changes: dict[str, object], said: str
) -> None:
    load = replace(LOAD, **changes)  # type: ignore[arg-type]  # fields of a load
    assert control_plane.headline(replace(result, control=load)).startswith(said)


@pytest.mark.parametrize(
    ("wrote", "side", "height"),
    [
        ([2.0, 3, 2, 3, 2, 3, 2, 3], 0, 20.0),  # far below: just above the limit's line
        ([2.0, 22, 24, 2, 2, 3, 2, 3], 1, 20.0),  # a burst through it: in the other half
        ([2.0, 22, 24, 2, 2, 25, 2, 22], 0, 24.0),  # bursts in both halves: above the lower one
        ([25.0, 24, 25, 24, 25, 24, 25, 24], 0, 13.0),  # all above it: below its line
    ],
)
def test_a_limit_is_named_where_nothing_is_drawn(wrote: list[float], side: int, height: float) -> None:
    with drawing():
        axes = Figure().subplots()
    axes.set_yscale("log")
    axes.set_ylim(1, 200)
    half, at = control_plane._free_place(axes, [np.array(wrote)], 20.0, [], 0)
    assert half == side
    assert at == pytest.approx(height, rel=0.01)
    if height == 20:
        assert control_plane._free_place(axes, [np.array(wrote)], 20.0, [22.0], 0)[1] < 20, (
            "not through another limit's line"
        )


def test_the_waterfall_says_which_stage_is_longest(result: Result) -> None:
    assert stages.headline(result) == "Most of a change's way is the sync: 50 % with iptables and 50 % with ipvs"
    slow = (STAGES[0], ChangeStage("watch", 0.039, 0.1), STAGES[2])
    modes = {**result.modes, "ipvs": replace(result.modes["ipvs"], stages=slow)}
    said = stages.headline(replace(result, modes=modes))
    assert said == "Most of a change's way is the sync: 50 % with iptables; the watch: 72 % with ipvs"


def test_bytes_are_spread_over_the_time_they_take() -> None:
    told = Notice(0, (), 0, 0, -1, (), creates=False)
    log = DeliveryLog(60, 6_000, written_ns=[10 * i for i in range(60)], endpoints_ns=[1_199])
    for i in range(60):
        log.add(told, sent_ns=10 * i, spread_ns=10, size=100)
    made = writes_over_time(log, 7, 1_200)
    assert made.shape == (3, BINS)
    assert made.sum(axis=1).tolist() == [60, 1, 60 * 100 * 7]
    assert made[2, :60].tolist() == [700.0] * 60
    long = DeliveryLog(1)
    long.add(told, sent_ns=0, spread_ns=1_200, size=1_200)
    assert writes_over_time(long, 1, 1_200)[2].tolist() == [10.0] * BINS


def test_a_run_says_what_its_control_plane_did() -> None:
    result = run("scenarios/hello.yaml", [("apiServer.replicas", "2"), ("run.replications", "2")])
    load = result.control
    assert load is not None
    seconds = result.scenario.run.duration_s
    for mode in result.modes.values():
        mean = (load.writes_per_s + load.endpoints_writes_per_s).mean()
        assert mean == pytest.approx(mode.rates["api_writes_per_s"].value, rel=1e-9)
        assert load.bytes_per_s.mean() == pytest.approx(mode.rates["api_bytes_per_s"].value, rel=1e-6)
        names = [stage.name for stage in mode.stages]
        assert names[0] == "kubelet and informer"
        assert names[-1] == "sync"
        ends = [stage.p50_s for stage in mode.stages]
        assert ends == sorted(ends)
        true = mode.summaries["network_programming_true"]
        assert ends[-1] == pytest.approx(true.quantiles["p50"].value, rel=0.05)
    assert load.egress_bytes_per_s == 2.5e9
    assert load.client_writes_per_s == 20
    assert len(load.time_s) == BINS
    assert load.time_s[-1] < seconds


def test_limits_are_those_of_the_scenario() -> None:
    result = make_result()
    scenario = replace(result.scenario, cluster=replace(result.scenario.cluster, nodes=5_000))
    load = control_load(scenario, [np.zeros((3, BINS))] * 2)
    assert load.seats_writes_per_s == pytest.approx(35.3, abs=0.05)
    assert load.client_writes_per_s == 20
    off = replace(scenario, api_server=replace(scenario.api_server, priority_and_fairness=False, replicas=3))
    load = control_load(off, [np.zeros((3, BINS))])
    assert load.seats_writes_per_s is None
    assert load.egress_bytes_per_s == 3.75e9
