"""Events in what a reader gets: terminal, page, Markdown, JSON and the figure."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from kpsim.cluster.params import ChurnParams, ClusterParams, EndpointCount, ServiceGroup
from kpsim.experiment.replications import run_scenario
from kpsim.experiment.result import Result
from kpsim.history.events import Ending, NodeLoss, Rollout
from kpsim.report.figures import event, pictures
from kpsim.report.html import report_html
from kpsim.report.markdown import report_markdown
from kpsim.report.tables import summary_document
from kpsim.report.terminal import summary_text
from kpsim.report.wording.quantity import number
from kpsim.scenario.model import RunParams, Scenario
from kpsim.traffic.params import TrafficParams
from tests.report_fixture import make_result

SCENARIO = Scenario(
    name="told",
    cluster=ClusterParams(nodes=4, cores=2),
    groups=(ServiceGroup("web", 1, EndpointCount(mean=8.0)),),
    modes=("iptables", "ipvs"),
    traffic=TrafficParams(40.0, 1),
    churn=ChurnParams(pod_shutdown_s=0.0),
    events=(NodeLoss(40.0), Rollout(10.0, "default/web-0")),
    run=RunParams(60.0, 0.0, seed=2, replications=2, engine="batch"),
)


@pytest.fixture(scope="module")
def told() -> Result:
    return run_scenario(SCENARIO)


def test_every_output_names_the_events_and_their_errors(told: Result) -> None:
    first, second = told.modes["iptables"].events
    assert first.connections.value
    assert second.connections.value
    for text in (summary_text(told), report_markdown(told), report_html(told)):
        for said in ("loss of a node at 40.0 s", "rollout of default/web-0 at 10.0 s", number(second.connections)):
            assert said in text
    document = summary_document(told)
    rows = document["modes"]["iptables"]["events"]
    assert [row["event"] for row in rows] == ["loss of a node", "rollout of default/web-0"]
    assert rows[1]["connections"]["value"] == pytest.approx(second.connections.value)
    assert rows[1]["propagation_s"] == pytest.approx(second.propagation_s)
    json.dumps(document, allow_nan=False)


def test_without_events_nothing_is_said_of_them() -> None:
    result = make_result()
    assert "error window" not in summary_text(result)
    assert "<h2>Events</h2>" not in report_html(result)
    assert "events" not in summary_document(result)["modes"]["iptables"]
    assert "event" not in [picture.name for picture in pictures(result)]


def test_the_figure_is_of_the_rollout_and_says_what_it_cost(told: Result) -> None:
    (picture,) = [picture for picture in pictures(told) if picture.name == "event"]
    outcome = told.modes["iptables"].events[1]
    assert picture.title == event.headline(told)
    assert picture.title.startswith("Rollout of default/web-0: ")
    assert f"{round(outcome.connections.value)} failed connections until" in picture.title
    assert "old, ready" in picture.svg
    assert picture.svg == next(p for p in pictures(told) if p.name == "event").svg


def test_the_figure_says_when_nothing_failed() -> None:
    quiet = replace(SCENARIO, events=(Rollout(10.0, "default/web-0", ending=Ending(20.0)),), modes=("ipvs",))
    result = run_scenario(quiet)
    assert event.headline(result) == "Rollout of default/web-0: no packet meets a Pod that is gone"
    assert event.picture(result) is not None
    assert "none" in summary_text(result)


def test_the_course_counts_every_pod(told: Result) -> None:
    course = told.modes["ipvs"].events[1].course
    ready = course.old_ready + course.new_ready
    assert (ready.min(), ready[0], ready[-1]) == (6, 8, 8)
    assert (course.old_ready[-1], course.new_ready[-1], course.starting[-1], course.terminating[-1]) == (0, 8, 0, 0)
    assert (course.time_s[1:] > course.time_s[:-1]).all()
    total = ready + course.starting
    assert total.max() <= 10  # 8 and a quarter
