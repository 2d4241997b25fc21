"""``kpsim limit`` and ``kpsim tune``: what they say, what they keep, and what they refuse."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.shell import Shell

EVENT = """\
  changes:
    events: [{at: 2s, rollout: {service: default/web-0, preStop: 0s}}]
"""
QUICK = ("--set", "run.engine=batch", "-q", "--jobs", "1")


@pytest.fixture
def asked(kpsim: Shell) -> str:
    more = "  thresholds: {sync_duration: [mean < 1m]}\n  changes: {churn: {podReplacementsPerSecond: 3}}\n"
    return kpsim.small("  run:", f"{more}  run:")


def test_a_limit_is_a_sentence_a_table_and_files(kpsim: Shell, asked: str) -> None:
    answer = kpsim("limit", "services", asked, "--range", "1..16", "--out", "kept", *QUICK)
    assert answer.code == 0, answer.err
    assert "iptables meets the objective at every value that was looked at, up to 16 Services" in answer.out
    assert "with the same random numbers" in answer.out
    assert "by prices what the profile is not sure of" in " ".join(answer.out.split())
    document = json.loads((kpsim.here / "kept/limit.json").read_text())
    assert [mode["largest"]["value"] for mode in document["modes"]] == [16]
    head = (kpsim.here / "kept/probes.csv").read_text().splitlines()[0]
    assert head == "services,mode,measure,statistic,value,low,high,unit"
    assert (kpsim.here / "kept/limit.svg").read_text().startswith("<?xml")
    again = kpsim("limit", "services", asked, "--range", "1..16", "--out", "kept", "-o", "json", *QUICK)
    assert again.json == document


def test_a_scenario_beyond_its_limit_is_99(kpsim: Shell, asked: str) -> None:
    objective = ("--objective", "sync_duration.mean < 1us")
    answer = kpsim("limit", "cluster.nodes", asked, *objective, "--range", "1..2", "-o", "json", *QUICK)
    assert answer.code == 99
    assert answer.json["modes"][0]["ended_by"] == "nowhere"


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["limit", "services", "small.yaml"], 3, "there is no objective; name one with --objective"),
        (["limit", "service", "asked.yaml"], 3, "did you mean services"),
        (["limit", "services", "asked.yaml", "--range", "9..3"], 2, "must begin above 0"),
        (["limit", "services", "asked.yaml", "--range", "much"], 2, "is not A..B"),
        (["limit", "services", "asked.yaml", "--objective", "much"], 3, "is not an objective"),
        (["tune", "asked.yaml"], 2, "Missing option '--knob'"),
        (["tune", "asked.yaml", "--knob", "minSyncPeriods"], 3, "did you mean minSyncPeriod"),
        (["tune", "asked.yaml", "--knob", "preStop"], 3, "no event ends Pods"),
        (["tune", "asked.yaml", "--knob", "qps", "--against", "sync_duration.p50"], 3, "a front is of two"),
        (["tune", "asked.yaml", "--knob", "qps", "--values", "many"], 3, "neither a number nor a duration"),
        (["tune", "asked.yaml", "--knob", "minSyncPeriod", "--mode", "ebpf"], 3, "has no minSyncPeriod of its own"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(
    kpsim: Shell, asked: str, args: list[str], code: int, says: str
) -> None:
    kpsim.write("asked.yaml", (kpsim.here / asked).read_text())
    kpsim.small()
    before = kpsim.left()
    answer = kpsim(*args, "-q")
    assert answer.code == code, answer.err
    assert says in answer.err
    assert kpsim.left() == before


def test_a_knob_has_a_value_to_take_and_yaml_to_paste(kpsim: Shell, asked: str) -> None:
    against = ("--against", "sync_duration.mean,syncs_per_node_per_s")
    args = ("tune", asked, "--knob", "minSyncPeriod", "--values", "0s,10s", *against, "--out", "kept", *QUICK)
    answer = kpsim(*args)
    assert answer.code == 0, answer.err
    assert answer.out.startswith("Take minSyncPeriod ")
    assert "0s (read as 1s)" in answer.out
    assert "kind: KubeProxyConfiguration" in answer.out
    document = json.loads((kpsim.here / "kept/tune.json").read_text())
    assert [each["value"] for each in document["values"]] == ["0s", "1s", "10s"]
    assert document["values"][0]["sync_duration.mean"] == document["values"][1]["sync_duration.mean"]
    assert document["values"][0]["read_as"] == "1s"


def test_a_rollout_is_tuned_to_lose_nothing(kpsim: Shell) -> None:
    rolling = kpsim.small("  run:", f"{EVENT}  run:")
    args = (
        "tune",
        rolling,
        "--knob",
        "preStop",
        "--values",
        "0s,8s",
        "--set",
        "run.duration=20s",
        "-o",
        "json",
        *QUICK,
    )
    answer = kpsim(*args)
    found = {each["value"]: each for each in answer.json["values"]}
    assert found["8s"]["exposure"]["value"] == 0 == found["8s"]["failed_connections"]["value"]
    assert found["0s"]["exposure"]["value"] > 0
    assert found["8s"]["rollout_duration"]["value"] > found["0s"]["rollout_duration"]["value"]
    assert answer.json["recommended"]["value"] == "8s"
    assert "seconds: 8" in answer.json["recommended"]["configuration"]
    assert answer.code == 0


LIMIT = ("limit", "services", "asked.yaml", "--range", "1..16")
TUNE = (
    "tune",
    "asked.yaml",
    "--knob",
    "qps",
    "--values",
    "5,20,50",
    "--against",
    "sync_duration.mean,syncs_per_node_per_s",
)


@pytest.mark.parametrize(("args", "kind"), [(LIMIT, "Limit"), (TUNE, "Tune")])
def test_an_interrupted_search_keeps_its_probes(
    kpsim: Shell, asked: str, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], kind: str
) -> None:
    from kpsim.experiment.searches import probing

    whole, left = probing.observed, [3]  # tasks: of two replications each

    def observed(*given: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return whole(*given)

    kpsim.write("asked.yaml", (kpsim.here / asked).read_text())
    monkeypatch.setattr(probing, "observed", observed)
    answer = kpsim(*args, "--out", "kept", *QUICK)
    assert answer.code == 130, answer.err
    assert "interrupted: 1 probe is kept in kept/probes.csv, and there is no answer" in answer.err
    manifest = json.loads((kpsim.here / "kept/manifest.json").read_text())
    assert (manifest["kind"], manifest["complete"]) == (kind, False)
    rows = (kpsim.here / "kept/probes.csv").read_text().splitlines()
    assert len(rows) > 1
    assert len({row.partition(",")[0] for row in rows[1:]}) == 1
    left[0] = 1
    assert kpsim(*args, "--out", "other", *QUICK).code == 130
    assert not (kpsim.here / "other").exists(), "not one probe was whole"
