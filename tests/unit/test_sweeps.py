"""A sweep names points that fail and goes on, fills a Latin hypercube, and says where an objective is crossed."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from kpsim.errors import GuardError, InputError
from kpsim.experiment import sweeps
from kpsim.experiment.guard import memory_bytes
from kpsim.experiment.result import Result
from kpsim.experiment.searches.designs import designed
from kpsim.experiment.sweeps import swept, tidy
from kpsim.report.answers.sweep import about_sweep, crossings
from kpsim.report.searches.sweep import SweepPage
from kpsim.scenario.kinds import identify
from kpsim.scenario.model import Scenario, Threshold
from kpsim.scenario.reader import read, read_sweep
from tests.report_fixture import make_result

HELLO = Path(__file__).parents[2] / "scenarios/hello.yaml"
QUICK = [("run.replications", "2"), ("run.engine", "batch")]
AXIS = [("services.web.count", "1,2,3")]


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    whole = sweeps._run_point

    def run_point(scenario: Scenario) -> list[sweeps.Row]:
        if scenario.groups[0].count == 2:
            raise error
        return whole(scenario)

    monkeypatch.setattr(sweeps, "_run_point", run_point)


def test_a_point_that_fails_is_named_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    failing(monkeypatch, ValueError("a bug"))
    found = swept(HELLO, AXIS, QUICK, cache=tmp_path)
    assert found.table["services.web.count"].unique().tolist() == [1, 3]
    (failure,) = found.failures
    assert str(failure) == "services.web.count=2: ValueError: a bug"
    assert failure.command.startswith("kpsim run ")
    assert failure.command.endswith("--set run.replications=2 --set run.engine=batch --set services.web.count=2")
    assert len(list(tmp_path.iterdir())) == 2, "a failure is not kept"
    page = SweepPage("hello", found, ["One <b>sentence</b>."], ())
    assert failure.command in page.html()
    assert failure.command in page.markdown()
    assert "<b>" not in page.html()
    assert len(page.rows()) == 4
    with pytest.raises(ValueError, match="a bug"):
        sweeps.sweep(HELLO, AXIS, QUICK, cache=tmp_path)


def test_a_point_that_a_guard_refuses_is_a_point_that_fails() -> None:
    large = [("services.web.count", "1,60000")]
    sizes = [memory_bytes(read(HELLO, [("services.web.count", count)])) for count in ("1", "60000")]
    found = swept(HELLO, large, QUICK, most_bytes=sum(sizes) / 2)
    assert [type(failure.error) for failure in found.failures] == [GuardError]
    assert found.table["services.web.count"].unique().tolist() == [1]
    with pytest.raises(GuardError):
        swept(HELLO, large, QUICK, most_bytes=1)


def test_a_row_tells_everything() -> None:
    bound = ("thresholds", '{sync_duration: ["p50 < 10s", "p50 > 9s"], network_programming_true: ["p99.9 < 1h"]}')
    table = swept(HELLO, [("services.web.count", "1")], [*QUICK, bound]).table
    records: list[dict[str, Any]] = table[table["mode"] == "iptables"].to_dict("records")  # type: ignore[assignment]  # columns are texts
    rows = {(row["measure"], row["statistic"]): row for row in records}
    assert rows["sync_duration", "p50"]["objective"] == "p50 < 10s; p50 > 9s"
    assert rows["sync_duration", "p50"]["verdict"] == "failed", "the worst of the two"
    assert rows["network_programming_true", "p99.9"]["verdict"] == "undecided"
    assert pd.isna(rows["network_programming_true", "p99.9"]["value"])
    for row in (("node", "cpu_proxy_cores"), ("node", "full_syncs_per_node_per_s"), ("run", "stale")):
        assert rows[row]["low"] <= rows[row]["value"] <= rows[row]["high"]


def test_failed_connections_of_an_event_are_rows(result: Result) -> None:
    said = [row for row in tidy(result) if row["statistic"] == "failed_connections"]
    assert len(said) == sum(len(found.events) for found in result.modes.values())


@pytest.fixture
def result() -> Result:
    return make_result()


def test_a_latin_hypercube_has_a_point_in_each_part_of_each_axis() -> None:
    pytest.importorskip("scipy", reason="SciPy is not installed: pip install 'kpsim[analysis]'")
    axes = [
        ("services.web.count", "1..10000:log:2"),
        ("cluster.nodes", "2..21:lin:2"),
        ("kubeProxy.mode", "ipvs,iptables"),
    ]
    plan = read_sweep(identify([HELLO]), axes)
    points = [dict(point) for point in designed(plan, "lhs:20", 1)]
    assert [sum(int(p["services.web.count"]) < 10**k for p in points) for k in (1, 2, 3)] == pytest.approx(
        [5, 10, 15], abs=1
    )
    assert sum(p["kubeProxy.mode"] == "ipvs" for p in points) == 10
    assert designed(plan, "lhs:20", 1) == designed(plan, "lhs:20", 1) != designed(plan, "lhs:20", 2)
    for wrong in ("lhs", "lhs:1", "sobol:8"):
        with pytest.raises(InputError, match="write lhs:N"):
            designed(plan, wrong, 1)
    swept(HELLO, [("services.web.count", "1..9:lin:2")], QUICK, design="lhs:2")


def test_an_objective_is_crossed_once_with_an_interval() -> None:
    rows = [
        {"n": x, "mode": "ipvs", "measure": "sync_duration", "statistic": "p50", "value": x / 100, "low": x / 125,
         "high": x / 80, "profile_low": None, "profile_high": None, "at_least": False}
        for x in (10, 100, 1000)
    ]  # fmt: skip
    bound = Threshold("sync_duration", "p50", "<", 2.0, "p50 < 2s")
    (found,) = crossings(pd.DataFrame(rows), ["n"], [bound])
    assert (found.at.value, found.at.low, found.at.high) == pytest.approx((200, 160, 250))
    assert str(found).startswith("sync_duration p50 < 2 s with ipvs is crossed at about n 200 [160, 250], between")
    assert crossings(pd.DataFrame(rows[:2]), ["n"], [bound]) == []
    assert about_sweep(pd.DataFrame(rows), ["n"], [bound])
