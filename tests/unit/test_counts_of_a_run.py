"""Counts are of a run: nothing that a reader gets is a sum over replications."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from kpsim.cluster.params import ChurnParams, ClusterParams, EndpointCount, ServiceGroup
from kpsim.experiment.replications import run_scenario
from kpsim.experiment.result import Result
from kpsim.history.events import Rollout
from kpsim.measure.summary import Estimate
from kpsim.report.figures import pictures
from kpsim.report.html import report_html
from kpsim.report.markdown import report_markdown
from kpsim.report.tables import summary_document
from kpsim.report.terminal import summary_text
from kpsim.scenario.model import RunParams, Scenario
from kpsim.traffic.params import TrafficParams

RUNS = 5
SCENARIO = Scenario(
    name="five",
    cluster=ClusterParams(nodes=4, cores=2),
    groups=(ServiceGroup("web", 1, EndpointCount(mean=9.0)),),
    modes=("iptables", "ipvs"),
    traffic=TrafficParams(53.0, 2),
    churn=ChurnParams(pod_shutdown_s=0.0),
    events=(Rollout(10.0, "default/web-0"),),
    run=RunParams(30.0, 0.0, seed=5, replications=RUNS, engine="batch"),
)


@pytest.fixture(scope="module")
def five() -> Result:
    return run_scenario(SCENARIO)


def counts_of(result: Result) -> Iterator[Estimate]:
    for found in result.modes.values():
        yield from found.counts.values()
        for event in found.events:
            yield from (event.connections, event.packets)


def sums(result: Result) -> set[int]:
    """Return each count's sum over replications, where it is too large to be something else by chance."""
    return {total for each in counts_of(result) if (total := round(RUNS * each.value)) >= 1_000}


def numbers_in(text: str) -> set[int]:
    return {int(word.replace(",", "")) for word in re.findall(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d.])|\d{4,}", text)}


def test_no_text_has_a_sum_over_replications(five: Result) -> None:
    counted = {name: summary.n for found in five.modes.values() for name, summary in found.summaries.items()}
    assert len(sums(five)) > 5
    page = re.sub(r'src="data:[^"]*"', "", report_html(five))
    texts = [
        summary_text(five),
        report_markdown(five),
        page,
        *five.warnings,
        *(p.title + p.alt for p in pictures(five)),
    ]
    for text in texts:
        assert not numbers_in(text) & (sums(five) | {n for n in counted.values() if n >= 1_000})


def test_the_scan_would_find_one(five: Result) -> None:
    for total in sums(five):
        assert total in numbers_in(f"a run lost {total:,} connections") & numbers_in(f"{total} were lost")


def test_the_summary_has_counts_of_a_run_with_their_intervals(five: Result) -> None:
    document = summary_document(five)
    for mode in document["modes"].values():
        found = {**mode["counts"], "failed": mode["events"][0]["connections"]}
        for name, each in found.items():
            assert each["low"] <= each["value"] <= each["high"], name
        assert mode["counts"]["connections"]["value"] == pytest.approx(4 * 53 * 30, rel=0.05)
    json.dumps(document, allow_nan=False)


def test_one_run_has_counts_without_intervals() -> None:
    alone = run_scenario(replace(SCENARIO, run=replace(SCENARIO.run, replications=1)))
    assert all(each.low is None and each.value == int(each.value) for each in counts_of(alone))
