"""Python's front: what ``kpsim.load`` takes, what its verbs give, and what it says of what is wrong."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import kpsim
from kpsim.api import Result, Scenario
from kpsim.experiment.replications import run
from kpsim.report.tables import summary_document
from tests.report_fixture import make_result

SMALL: dict[str, object] = {
    "cluster": {"nodes": 2, "cores": 2},
    "services": [{"name": "web", "count": 2, "endpoints": 2}, {"name": "small-web", "count": 1, "endpoints": 1}],
    "traffic": {"connectionsPerSecondPerNode": 20, "packetsPerConnection": 2},
    "changes": {"churn": {"podReplacementsPerSecond": 0.5}},
    "run": {"duration": "5s", "warmup": "1s", "replications": 2, "engine": "batch", "packets": "2k"},
}
WEB = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}
HELLO = Path(__file__).parents[2] / "scenarios/hello.yaml"


@pytest.fixture(scope="module")
def small() -> Scenario:
    return kpsim.load(SMALL)


@pytest.fixture(scope="module")
def result(small: Scenario) -> Result:
    return small.run()


def test_a_dict_is_read_as_its_yaml_would_be(tmp_path: Path, small: Scenario) -> None:
    whole = {"apiVersion": "kpsim/v1alpha1", "kind": "Scenario", "metadata": {"name": "scenario"}, "spec": SMALL}
    (tmp_path / "s.yaml").write_text(json.dumps(whole))
    assert kpsim.load(tmp_path / "s.yaml").model == small.model == kpsim.load(whole).model


def test_objects_are_read_as_kubectl_prints_them(tmp_path: Path) -> None:
    (tmp_path / "web.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [WEB]}))
    (alone,), (listed,) = kpsim.load(WEB).model.objects.services, kpsim.load([WEB]).model.objects.services
    (read,) = kpsim.load(tmp_path / "web.json").model.objects.services
    assert (alone.name, alone.ports) == (listed.name, listed.ports) == (read.name, read.ports)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"services": [{"name": "web", "cout": 3}]}, r"<dict>:\d+:\d+: spec.services\[0\].cout: unknown key"),
        ({"kubernetes": {"version": 1.30}}, "quote it"),
        ({"cluster": {"nodes": float("nan")}}, "is not plain data"),
        ({"cluster": {"nodes": object()}}, "object has no place in YAML"),
        ([{"kind": "Service"}], "name or generateName is required"),
        ([], "<objects>"),
        ("no/such/file.yaml", "no such file"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(given: object, says: str) -> None:
    with pytest.raises(kpsim.InputError, match=says):
        kpsim.load(given)  # type: ignore[arg-type]  # wrong on purpose


def test_values_are_set_by_the_names_of_yaml(small: Scenario) -> None:
    other = small.with_(
        {"services.small-web.count": np.int64(7)}, services__web__count=5_000, run__duration="30s",
        compare__modes=("iptables", "ipvs"), cluster={"nodes": 9}, kubernetes__version="1.33",
    )  # fmt: skip
    model = other.model
    assert [group.count for group in model.groups] == [5_000, 7]
    assert (model.run.duration_s, model.modes, model.cluster.nodes) == (30.0, ("iptables", "ipvs"), 9)
    assert model.kubernetes_version == (1, 33)
    assert small.model.cluster.nodes == 2, "the scenario it was made of stays"
    assert other.with_(cluster__nodes=3).model.groups == model.groups


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"cluster__node": 3}, "did you mean nodes"),
        ({"services__wob__count": 3}, "did you mean web"),
        ({"cluster__nodes": {3}}, "is no value of a scenario"),
        ({"run__duration": 30}, "unit"),
    ],
)
def test_a_wrong_value_is_refused_at_once(small: Scenario, settings: dict[str, object], says: str) -> None:
    with pytest.raises(kpsim.InputError, match=says):
        small.with_(settings and None, **settings)


def test_a_run_finds_what_the_command_line_finds(tmp_path: Path, result: Result, small: Scenario) -> None:
    (tmp_path / "s.yaml").write_text(small.to_yaml())
    assert result.to_dict() == summary_document(run(tmp_path / "s.yaml"))
    with ThreadPoolExecutor(2) as executor:
        assert small.run(executor=executor).to_dict() == result.to_dict()


def test_a_frame_has_every_number_once_with_its_unit(result: Result) -> None:
    table = result.frame()
    assert not table.duplicated(["mode", "measure", "statistic"]).any()
    assert set(table["unit"]) == {"s", "B/s", "1/s", "1/s a node", "cores", "rules", "connections/s a core"}
    found = result.estimate("sync_duration", "mean")
    assert found is not None
    (row,) = table[(table["measure"] == "sync_duration") & (table["statistic"] == "mean")].to_dict("records")
    assert (row["value"], row["low"], row["high"]) == (found.value, found.low, found.high)


def test_a_lower_bound_has_no_upper_end() -> None:
    table = kpsim.load(HELLO).with_(run__replications=2).run().frame()
    bounded = table[np.isinf(table["high"])]
    assert (bounded["low"] == bounded["value"]).all()
    assert len(bounded)


def test_a_figure_is_the_reports_own_and_asked_for_by_name(result: Result) -> None:
    paper = result.plot("latency")
    assert paper._repr_svg_().startswith("<?xml")
    assert paper.axes
    with pytest.raises(kpsim.InputError, match="did you mean latency"):
        result.plot("latncy")
    with pytest.raises(kpsim.InputError, match="nothing to show"):
        result.plot("dns")


def test_a_notebook_shows_the_answer_and_hostile_names_are_only_text(result: Result) -> None:
    assert result.answer[0].split(";")[0] in result._repr_html_()
    assert "<script>" not in Result(make_result(name="<script>alert(1)</script>"))._repr_html_()
    assert len(repr(result)) < 100


def test_a_result_is_saved_as_a_run_directory(result: Result, tmp_path: Path) -> None:
    place = result.save(tmp_path / "kept")
    assert {"report.html", "summary.json", "manifest.json", "scenario.resolved.yaml"} <= {
        p.name for p in place.iterdir()
    }
    (tmp_path / "other").mkdir()
    (tmp_path / "other/mine.txt").write_text("mine")
    with pytest.raises(kpsim.InputError, match="holds no results"):
        result.save(tmp_path / "other")


def test_what_is_not_there_has_the_nearest_name(result: Result) -> None:
    with pytest.raises(kpsim.InputError, match="did you mean sync_duration"):
        result.estimate("sync_duratio")
    with pytest.raises(kpsim.InputError, match="there is no mode 'ipvs'"):
        result.estimate("sync_duration", mode="ipvs")


def test_a_sweep_has_a_column_an_axis(small: Scenario) -> None:
    found = small.sweep(services__web__count="1..4:lin:2", cluster__nodes=np.array([1, 2]))
    assert found.axes == ["services.web.count", "cluster.nodes"]
    assert len(found.frame()[found.axes].drop_duplicates()) == 4
    assert "4 points" in found._repr_html_()
    with pytest.raises(kpsim.InputError, match=r"did you mean cluster\.nodes"):
        found.plot(axis="cluster.node")


def test_a_sweep_file_is_swept_and_not_run() -> None:
    cliff = kpsim.load(HELLO.with_name("iptables-cliff.yaml"))
    with pytest.raises(kpsim.InputError, match=r"take sweep\(\)"):
        cliff.run()


def test_a_check_says_what_is_exceeded(small: Scenario) -> None:
    found = small.with_(cluster__serviceClusterIPRange="10.96.0.0/28").check()
    table = found.frame()
    assert found.limits[0].share == table["share"].iloc[0]
    assert "ClusterIPs" in found._repr_html_()
