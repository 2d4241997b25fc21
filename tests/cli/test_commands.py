"""Every command but ``run``: what it answers on small inputs, as a table and as JSON."""

from __future__ import annotations

import errno
import json
import re
from pathlib import Path

import pytest

import kpsim as package
from kpsim.proxy.registry import MODES
from tests.cli.shell import SERVICES, SMALL, Shell

COMMANDS = (
    "init",
    "run",
    "check",
    "compare",
    "sweep",
    "limit",
    "tune",
    "report",
    "replay",
    "explain",
    "import",
    "modes",
    "sources",
    "schema",
    "completion",
    "version",
)
SCENARIOS = sorted((Path(__file__).parents[2] / "scenarios").glob("*.yaml"))
AXIS = ("--set", "services.web.count=1,3")


@pytest.mark.parametrize("command", ["", *COMMANDS, "explain service"])
def test_help_is_there_under_each_command(kpsim: Shell, command: str) -> None:
    for flag in ("--help", "-h"):
        answer = kpsim(*command.split(), flag)
        assert answer.code == 0
        assert answer.out.startswith("Usage: ")
        assert "..." not in answer.out.partition("Commands:")[2], "a command's one line is not cut short"
    assert answer.err == ""


def test_help_lists_every_command_and_exit_code(kpsim: Shell) -> None:
    said = kpsim("--help").out
    for command in COMMANDS:
        assert f"\n  {command} " in said
    for code in (
        "0 passed",
        "2 usage",
        "3 bad input",
        "4 stopped",
        "98 an objective",
        "99 a threshold",
        "130 interrupted",
    ):
        assert code in said


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("rnu", "Did you mean run?"),
        ("explain svc", "Did you mean 'service'?"),
        ("run", "Missing argument 'FILE|DIR…'"),
        ("explain service web-0", "Missing option '-f' / '--file'"),
        ("check small.yaml --sed 3", "No such option"),
        ("modes more", "unexpected extra argument"),
    ],
)
def test_wrong_usage_is_said_and_is_2(kpsim: Shell, wrong: str, says: str) -> None:
    answer = kpsim(*wrong.split())
    assert answer.code == 2
    assert says in answer.err
    assert answer.out == ""


def test_version_is_said_both_ways(kpsim: Shell) -> None:
    assert kpsim("version").out == kpsim("--version").out == f"kpsim {package.__version__}\n"


def test_modes_say_what_each_release_makes_of_them_and_what_is_modelled(kpsim: Shell) -> None:
    said = kpsim("modes").out
    table = {line.split()[0]: line.split()[1:] for line in said.split("\n\n")[0].splitlines()}
    status = {mode: " ".join(words) for mode, words in table.items()}
    assert table["mode"][-1] == "about"
    assert status["nftables"].startswith("not yet")
    assert status["userspace"].startswith("deprecated gone")
    for name, entry in MODES.items():
        about = said[said.rindex(f"\n{name}") :]
        assert about.index("modelled") < about.index("left out")
        for version, _ in entry.about().history:
            assert "{}.{}".format(*version) in about
    rows = {row["name"]: row for row in kpsim("modes", "-o", "json", "--kubernetes", "1.35").json}
    assert {name: row["status"] for name, row in rows.items()}.items() >= {
        ("iptables", "available"), ("ipvs", "deprecated"), ("nftables", "available"), ("userspace", "gone"),
    }  # fmt: skip
    assert all(row["modelled"] and row["not_modelled"] for row in rows.values())


def test_a_version_that_is_none_is_refused(kpsim: Shell) -> None:
    answer = kpsim("modes", "--kubernetes", "one")
    assert answer.code == 3
    assert "is not a version of Kubernetes" in answer.err


def test_sources_gives_every_number_its_source(kpsim: Shell) -> None:
    said = kpsim("sources").out
    assert said.index("Measured") < said.index("\nAssumed") < said.index("\nTaken for granted")
    for row in kpsim("sources", "--set", "quiet", "-o", "json").json["numbers"]:
        assert row["low"] <= row["value"] <= row["high"], row["name"]
        assert row["says"], row["name"]
    refused = kpsim("sources", "--profile", "nope")
    assert refused.code == 3
    assert "linux-6.18-zen3" in refused.err


def test_a_profiles_former_name_is_its_own(kpsim: Shell) -> None:
    named = kpsim("sources", "--profile", "measured-linux-6.18").out
    assert named.startswith("linux-6.18-zen3: ")
    assert "measured-linux-6.18 is a name it had before." in named


def test_the_schema_accepts_every_scenario_and_refuses_a_misspelt_one(kpsim: Shell) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    import yaml

    validator = jsonschema.Draft202012Validator(kpsim("schema").json)
    validator.check_schema(validator.schema)
    for path in SCENARIOS:
        found = [error.message for error in validator.iter_errors(yaml.safe_load(path.read_text(encoding="utf-8")))]
        assert not found, path.name
    for old, new in (("cluster:", "clutser:"), ("nodes: 2", "nodes: -2"), ("kind: Scenario", "kind: Scenery")):
        assert list(validator.iter_errors(yaml.safe_load(SMALL.replace(old, new)))), new


def test_check_lists_limits_and_simulates_nothing(kpsim: Shell) -> None:
    answer = kpsim("check", kpsim.small(), "--set", "changes.churn.podReplacementsPerSecond=0.2")
    assert answer.code == 0
    assert answer.out.startswith("small: 2 Services with 2 service ports and 4 endpoints on 2 nodes; ")
    churn = next(line for line in answer.out.splitlines() if line.startswith("Pod churn"))
    assert churn.split()[2:6] == ["soft", "0.4", "20", "2"], "a use below one is not shown as none"
    assert kpsim.left() == ["small.yaml"]


def test_check_as_json_and_a_limit_that_is_passed(kpsim: Shell) -> None:
    answer = kpsim("check", kpsim.small(), "--set", "services.web.count=12000", "-o", "json")
    limits = {limit["name"]: limit for limit in answer.json["limits"]}
    assert limits["Services"]["share"] == pytest.approx(1.2)
    assert "warning: Services: 12,000 of 10,000 (soft limit)" in answer.err
    assert answer.json["services"] == 12_000


def test_check_takes_a_sweep_at_its_last_point(kpsim: Shell) -> None:
    text = SMALL.replace("kind: Scenario", "kind: Sweep") + "sweep: {services.web.count: 1..300:log:3}\n"
    answer = kpsim("check", kpsim.write("grid.yaml", text))
    assert answer.out.startswith("small: 300 Services")
    assert "a sweep over services.web.count" in answer.err


def test_compare_runs_the_modes_that_are_named_or_all_there_are(kpsim: Shell) -> None:
    named = kpsim("compare", kpsim.small(), "--modes", "ipvs,iptables", "--jobs", "1", "-o", "json", "--out", "out")
    assert named.code == 0
    assert list(named.json["modes"]) == ["ipvs", "iptables"]
    assert {row["against"] for row in named.json["comparisons"]} == {"ipvs"}
    every = kpsim("compare", kpsim.small(), "--jobs", "1", "--out", "out")
    assert "ipvs (deprecated from 1.35) against iptables, paired by replication" in every.out


@pytest.mark.parametrize(
    ("modes", "code", "says"),
    [
        ("", 2, "two modes or more"),
        ("iptables", 2, "two modes or more"),
        ("iptables,foo", 3, "there is no mode 'foo'"),
        ("iptables,ivps", 3, "did you mean ipvs?"),
        ("ipvs,ipvs", 3, "named twice"),
    ],
)
def test_modes_that_cannot_be_compared_are_said(kpsim: Shell, modes: str, code: int, says: str) -> None:
    answer = kpsim("compare", kpsim.small(), "--modes", modes)
    assert answer.code == code
    assert says in answer.err


def test_a_sweep_is_tabled_and_goes_on_where_it_was(kpsim: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    first = kpsim("sweep", kpsim.small(), *AXIS, "--jobs", "1", "--replications", "1", "--out", "out")
    assert first.code == 0
    assert first.out.splitlines()[0].startswith("services.web.count  mode      first packet latency p50")
    assert "table: out/sweep.csv" in first.out
    assert (kpsim.here / "out/sweep.csv").read_text(encoding="utf-8").startswith("services.web.count,mode,measure,")
    monkeypatch.setattr("kpsim.experiment.sweeps._run_point", lambda _: pytest.fail("it was run again"))
    again = kpsim("sweep", kpsim.small(), *AXIS, "--jobs", "1", "--replications", "1", "--out", "out", "-o", "json")
    assert {row["services.web.count"] for row in again.json["rows"]} == {1, 3}
    assert {"answer", "axes", "verdicts", "crossings", "failed"} <= set(again.json)
    kept = sorted((kpsim.here / "results/sweeps/points").iterdir())
    assert len(kept) == 2


def test_a_kept_point_that_is_torn_is_computed_again(kpsim: Shell) -> None:
    command = ("sweep", kpsim.small(), *AXIS, "--jobs", "1", "--replications", "1", "--out", "out", "-o", "json")
    first = kpsim(*command)
    next((kpsim.here / "results/sweeps/points").iterdir()).write_text('[{"mode": "ipta')
    assert kpsim(*command).json == first.json


def test_a_sweep_file_runs_under_run_too(kpsim: Shell) -> None:
    text = SMALL.replace("kind: Scenario", "kind: Sweep") + "sweep: {services.web.count: [1, 2]}\n"
    answer = kpsim("run", kpsim.write("grid.yaml", text), "--jobs", "1", "--replications", "1", "--out", "out")
    assert answer.code == 0
    assert "table: out/sweep.csv" in answer.out
    refused = kpsim("compare", "grid.yaml")
    assert refused.code == 3
    assert "kpsim run grid.yaml" in refused.err


def test_an_interrupted_sweep_says_what_it_keeps(kpsim: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    from kpsim.experiment import sweeps

    whole = sweeps._run_point
    seen: list[object] = []

    def run_point(scenario: object) -> object:
        seen.append(scenario)
        if len(seen) > 1:
            raise KeyboardInterrupt
        return whole(scenario)  # type: ignore[arg-type]  # a Scenario

    monkeypatch.setattr(sweeps, "_run_point", run_point)
    answer = kpsim("sweep", kpsim.small(), *AXIS, "--jobs", "1", "--replications", "1", "--out", "out")
    assert answer.code == 130
    assert "1 of 2 points were done; they are kept" in answer.err
    assert not (kpsim.here / "out").exists()


@pytest.mark.parametrize(
    ("axis", "says"),
    [
        ("services.web.count=1..4", "needs :log: or :lin:"),
        ("services.web.count=1,x", "'x' is not a number"),
        ("services.web.count=2", "nothing to sweep over"),
        ("services.wbe.count=1,2", "did you mean web?"),
    ],
)
def test_a_wrong_range_is_said_before_anything_is_run(kpsim: Shell, axis: str, says: str) -> None:
    answer = kpsim("sweep", kpsim.small(), "--set", axis)
    assert answer.code == 3
    assert says in answer.err
    assert kpsim.left() == ["small.yaml"]


def test_import_writes_a_scenario_that_reads_back(kpsim: Shell) -> None:
    kpsim.write("objects.yaml", SERVICES)
    printed = kpsim("import", "objects.yaml")
    assert printed.out.startswith("# Made from objects.yaml: 6 Services")
    written = kpsim("import", "objects.yaml", "--out", "scenario.yaml")
    assert (kpsim.here / "scenario.yaml").read_text(encoding="utf-8") == printed.out
    assert written.out == ""
    assert "now: kpsim run scenario.yaml" in written.err
    both = [json.loads(kpsim("check", name, "-o", "json").out) for name in ("objects.yaml", "scenario.yaml")]
    assert both[0] == both[1]


@pytest.mark.parametrize(
    ("out", "says"), [("objects.yaml", "is there already"), ("no/where.yaml", "cannot be written")]
)
def test_import_does_not_write_over_what_is_there(kpsim: Shell, out: str, says: str) -> None:
    answer = kpsim("import", kpsim.write("objects.yaml", SERVICES), "--out", out)
    assert answer.code == 3
    assert f"--out {out}: {says}" in answer.err
    assert (kpsim.here / "objects.yaml").read_text(encoding="utf-8") == SERVICES


def test_a_release_that_is_not_out_and_a_default_that_changes_are_warned_of(kpsim: Shell) -> None:
    said = kpsim("modes", "--kubernetes", "1.38")
    assert (said.code, "1.38 is later than 1.37, the last known here" in said.err) == (0, True)
    assert not kpsim("modes", "--kubernetes", "1.37").err
    assert "off by default in 1.40 and gone in 1.43" in said.out
    assert "planned as the default in 1.40" in said.out
    services = "  services: [{name: a, count: 10, endpoints: 2}]\n"
    head = "apiVersion: kpsim/v1alpha1\nkind: Scenario\nmetadata: {name: later}\nspec:\n"
    version = '  kubernetes: {version: "1.40"}\n'
    said = kpsim("check", kpsim.write("later.yaml", head + version + services))
    assert "no kube-proxy mode is given" in said.err
    chosen = kpsim.write("chosen.yaml", head + version + "  kubeProxy: {mode: nftables}\n" + services)
    assert "no kube-proxy mode is given" not in kpsim("check", chosen).err


def test_too_few_syncs_for_percentiles_show_their_mean_and_ends(kpsim: Shell) -> None:
    few = """
apiVersion: kpsim/v1alpha1
kind: Scenario
metadata: {name: few}
spec:
  kubernetes: {version: "1.32"}
  cluster: {nodes: 2}
  kubeProxy: {mode: nftables}
  services: [{name: svc, count: 20, endpoints: 3}]
  faults: {restartsPerNodePerHour: 1}
  traffic: {connectionsPerSecondPerNode: 1}
  run: {duration: 2h, warmup: 5s, replications: 1, packets: 1k}
"""
    said = kpsim("run", kpsim.write("few.yaml", few), "--jobs", "1").out
    (row,) = [line for line in said.splitlines() if line.split()[:1] == ["sync_duration"]]
    for word in ("min", "max"):
        assert word in row
    assert re.search(r" \d+  [\d.]+ ms  min", row), "the mean stands in its column"
    assert "–" not in row


def test_ipvs_and_kernelspace_sync_twice_a_minute_when_nothing_happens(kpsim: Shell) -> None:
    head = "apiVersion: kpsim/v1alpha1\nkind: Scenario\nmetadata: {name: idle}\nspec:\n"
    rest = (
        "  cluster: {nodes: 1}\n  services: [{name: a, count: 30, endpoints: 5}]\n  run: {duration: 4h, warmup: 1s}\n"
    )
    file = kpsim.write("idle.yaml", head + rest)
    for mode in ("ipvs", "kernelspace"):
        for version in ("1.30", "1.34", "1.36"):
            said = kpsim("metrics", file, "--mode", mode, "--set", f"kubernetes.version={version}").out
            counts = [float(line.split()[1]) for line in said.splitlines() if "rules_duration_seconds_count" in line]
            families = 2 if (mode, version) == ("ipvs", "1.30") else 1
            assert 470 * families < counts[-1] < 485 * families


@pytest.mark.parametrize("command", ["validate", "reference"])
def test_a_disk_that_is_full_is_one_line_for_every_command(
    kpsim: Shell, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    def full(*_given: object, **_more: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    answer = kpsim(command, "--out", "pages")
    assert answer.code == 3
    assert answer.err == "cannot be read or written: No space left on device\n"
