"""``kpsim calibrate`` on logs and scrapes: the comparison first, a profile that a run can use, a line for bad files."""

from __future__ import annotations

import gzip
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from kpsim.calibration.readings import SyncReading
from kpsim.experiment.calibrating.observed import Cluster, Hints
from kpsim.experiment.calibrating.pricing import priced
from kpsim.profiles.costs import load_profile
from tests.cli.shell import Shell

BASE = "linux-6.18-zen3"
SIZES = (100, 400, 1200)
SENTENCE = re.compile(r"your (\w+) syncs take ([\d.,]+) times \[([\d.]+), ([\d.,]+)\] what profile (\S+) says")


def line(n: int, text: str) -> str:
    """One of klog's lines; after 40 s also a large cluster looks for stale chains again."""
    at = 40 * n
    return f"I0105 {at // 3600:02d}:{at // 60 % 60:02d}:{at % 60:02d}.000001       1 proxier.go:800] {text}\n"


def log_of(readings: list[SyncReading], seconds: list[float]) -> str:
    """What a kube-proxy 1.34 writes of these syncs."""
    text = ""
    for n, (each, took_s) in enumerate(zip(readings, seconds, strict=True)):
        counts = f"numServices={each.services:.0f} numEndpoints={each.endpoints:.0f} numNATRules={each.written:.0f}"
        text += line(n, f'"Syncing iptables rules" ipFamily="IPv4" fullSync={str(each.full).lower()}')
        text += line(n, f'"Reloading service iptables data" ipFamily="IPv4" {counts}')
        text += line(n, f'"SyncProxyRules complete" ipFamily="IPv4" elapsed="{1e3 * took_s:.6f}ms"')
    return text


def readings(sizes: tuple[int, ...] = SIZES, partial: int = 9) -> list[SyncReading]:
    """One full sync and several partial ones of each size, five endpoints a Service."""
    found = []
    for n in sizes:
        whole = SyncReading(1.0, full=True, services=n, endpoints=5 * n, written=5 + 17 * n)
        found += [whole, *(replace(whole, full=False, written=5 + n + 16 * k) for k in range(1, partial + 1))]
    return found


def predicted(each: list[SyncReading], profile: str = BASE) -> list[float]:
    """What a profile says of those syncs."""
    syncs, left_out = priced(each, Cluster("iptables-legacy", (1, 34), ()), Hints(), load_profile(profile))
    assert not left_out
    return [sync.predicted_s for sync in syncs]


def test_the_answers_first_line_is_the_comparison(kpsim: Shell) -> None:
    mine = readings()
    (kpsim.here / "a.log").write_text(log_of(mine, [1.4 * s for s in predicted(mine)]))
    answer = kpsim("calibrate", "a.log")
    assert answer.code == 0
    kind, times, low, high, profile = SENTENCE.fullmatch(answer.out.split("\n")[0]).groups()  # type: ignore[union-attr]
    assert (kind, times, profile) == ("partial", "1.4", BASE)
    assert float(low) <= 1.4 <= float(high)
    assert "Go time" in answer.out, "what cannot be told is said"


def test_a_fitted_profile_says_what_the_log_says_at_every_size(kpsim: Shell) -> None:
    mine = readings()
    wanted = [(1.7 if each.full else 0.6) * s for each, s in zip(mine, predicted(mine), strict=True)]
    (kpsim.here / "a.log").write_text(log_of(mine, wanted))
    answer = kpsim("calibrate", "a.log", "--out", "mine.yaml", "-o", "json")
    found = json.loads(answer.out)
    assert {each["kind"]: round(each["times"], 2) for each in found["comparisons"]} == {"partial": 0.6, "full": 1.7}
    off = [a / b for a, b in zip(predicted(mine, str(kpsim.here / "mine.yaml")), wanted, strict=True)]
    assert all(0.9 < ratio < 1.1 for ratio in off), off
    assert not all(0.9 < a / b < 1.1 for a, b in zip(predicted(mine), wanted, strict=True)), "the base does not"
    sources = load_profile(str(kpsim.here / "mine.yaml")).sources
    assert sources["calibrated"].startswith("calibrated: syncs of a running kube-proxy")
    assert all(
        "not measured here" in says or key in ("calibrated", "moved-along", "assumed") for key, says in sources.items()
    )


def test_time_against_rules_is_told_where_sizes_differ(kpsim: Shell) -> None:
    mine = readings()
    (kpsim.here / "a.log").write_text(log_of(mine, [0.05 + 20e-6 * (5 + 17 * (each.services or 0)) for each in mine]))
    found = json.loads(kpsim("calibrate", "a.log", "-o", "json").out)["growth"]
    assert [each["kind"] for each in found] == ["partial", "full"]
    for each in found:
        for name, truth in (("fixed_s", 0.05), ("a_rule_s", 20e-6)):
            value, low, high = each[name]
            assert value == pytest.approx(truth, rel=0.02)
            assert low <= value <= high
    one = readings((400,))
    (kpsim.here / "b.log").write_text(log_of(one, predicted(one)))
    answer = kpsim("calibrate", "b.log")
    assert "how time grows with the rules: that takes three sizes" in answer.out
    assert "Against the rules" not in answer.out


def test_a_larger_cluster_is_predicted_from_smaller_ones(kpsim: Shell) -> None:
    """The log is of a machine whose costs a rule and costs a sync differ from the base's by other factors."""
    mine, larger = readings(), readings((4000,))

    def truth(each: list[SyncReading]) -> list[float]:
        return [0.02 + (2.2 if one.full else 1.5) * (s - 0.005) for one, s in zip(each, predicted(each), strict=True)]

    (kpsim.here / "a.log").write_text(log_of(mine, truth(mine)))
    kpsim("calibrate", "a.log", "--out", "mine.yaml")
    says = predicted(larger, str(kpsim.here / "mine.yaml"))
    off = [a / b for a, b in zip(says, truth(larger), strict=True)]
    assert all(0.85 < ratio < 1.15 for ratio in off), off


def test_a_run_takes_the_profile(kpsim: Shell) -> None:
    mine = readings((100,))
    (kpsim.here / "a.log").write_text(log_of(mine, [3 * s for s in predicted(mine)]))
    (kpsim.here / "s.yaml").write_text(
        "apiVersion: kpsim/v1alpha1\nkind: Scenario\nmetadata: {name: s}\nspec:\n"
        "  cluster: {nodes: 2}\n  services: [{name: web, count: 3, endpoints: 2}]\n  run: {duration: 5s, warmup: 1s}\n"
    )
    kpsim("calibrate", "a.log", "--out", "mine.yaml")
    assert kpsim("check", "s.yaml", "--set", "profile.name=mine.yaml").code == 0


def test_scrapes_of_a_simulated_kube_proxy_agree_with_its_profile(kpsim: Shell) -> None:
    """What kpsim metrics prints under a profile takes one time what that profile says."""
    (kpsim.here / "s.yaml").write_text(
        "apiVersion: kpsim/v1alpha1\nkind: Scenario\nmetadata: {name: s}\nspec:\n"
        '  kubernetes: {version: "1.34"}\n  cluster: {nodes: 2}\n'
        f"  profile: {{name: {BASE}}}\n"
        "  services: [{name: web, count: 800, endpoints: 5}]\n"
        "  changes: {churn: {podReplacementsPerSecond: 0.5}}\n  run: {duration: 600s, warmup: 1s, replications: 1}\n"
    )
    for at in ("100s", "600s"):
        (kpsim.here / f"{at}.txt").write_text(kpsim("metrics", "s.yaml", "--at", at).out)
    answer = kpsim("calibrate", "100s.txt", "600s.txt", "--services", "800", "--endpoints", "4000", "-o", "json")
    (partial,) = [each for each in json.loads(answer.out)["comparisons"] if each["kind"] == "partial"]
    assert partial["syncs"] > 100
    assert 0.9 < partial["times"] < 1.1
    assert partial["low"] < partial["times"] < partial["high"]


@pytest.mark.parametrize("mode", ["ipvs", "kernelspace", "nftables", "iptables-nft"])
def test_every_mode_that_logs_its_syncs_is_compared(kpsim: Shell, mode: str) -> None:
    (kpsim.here / "a.log").write_text(line(1, '"syncProxyRules complete" elapsed="93.2ms"') * 3)
    answer = kpsim("calibrate", "a.log", "--mode", mode, "--services", "40", "--endpoints", "99", "--out", "p.yaml")
    assert answer.code == 0, answer.err
    assert SENTENCE.fullmatch(answer.out.split("\n")[0])


def test_a_size_that_nothing_says_is_asked_for(kpsim: Shell) -> None:
    (kpsim.here / "a.log").write_text(line(1, "syncProxyRules took 61.6ms"))
    answer = kpsim("calibrate", "a.log", "--mode", "iptables")
    assert answer.code == 3
    assert answer.err.startswith("a.log:1:1: nothing can be compared")
    assert "--services and --endpoints" in answer.err
    assert kpsim("calibrate", "a.log", "--mode", "iptables", "--services", "4", "--endpoints", "9").code == 0


def test_files_that_do_not_go_together_are_refused_in_one_line(kpsim: Shell) -> None:
    mine = readings((100,))
    (kpsim.here / "a.log").write_text(log_of(mine, predicted(mine)))
    (kpsim.here / "m.txt").write_text("# TYPE kubeproxy_sync_x gauge\nkubeproxy_sync_x 1\n")
    (kpsim.here / "old.log").write_text(line(1, "syncProxyRules took 61.6ms"))
    (kpsim.here / "page.html").write_text("<html>404 page not found</html>\n")
    (kpsim.here / "curl.txt").write_text("HTTP/1.1 200 OK\r\n\r\n# TYPE kubeproxy_sync_x gauge\nkubeproxy_sync_x 1\n")
    (kpsim.here / "cut.gz").write_bytes(gzip.compress((kpsim.here / "a.log").read_bytes())[:-40])
    for arguments, says in (
        (("m.txt",), "m.txt:1:1: two scrapes"),
        (("m.txt", "m.txt"), "m.txt:1:1: no sync ended"),
        (("m.txt", "m.txt", "m.txt"), "m.txt:1:1: two scrapes"),
        (("a.log", "m.txt"), "m.txt:1:1: metrics beside a log"),
        (("m.txt", "page.html"), "page.html:1:1: is no log of kube-proxy"),
        (("m.txt", "curl.txt"), "curl.txt:1:1: is no line of metrics"),
        (("a.log", "old.log"), "old.log:1:1: its kube-proxy is of another release than that of a.log"),
        (("gone.log",), "gone.log: there is no such file"),
        (("cut.gz",), "cut.gz:"),
        (("a.log", "--mode", "iptabels"), "--mode: there is no mode iptabels"),
        (("a.log", "--version", "soon"), "--version: 'soon' is no release"),
        (("a.log", "--base", "nobody"), "spec.profile.name: no profile 'nobody'"),
        (("a.log", "--out", "no/such/place.yaml"), "no/such/place.yaml: cannot be written"),
    ):
        answer = kpsim("calibrate", *arguments)
        assert answer.code == 3, answer
        assert answer.err.startswith(says), answer.err
        assert answer.out == ""


GENERATION_1_28 = (
    "numServices={n} numEndpoints={e} numFilterChains=6 numFilterRules=5 numNATChains=9 numNATRules={written}"
)


def test_kinds_are_told_by_what_was_written_where_no_line_says_them(kpsim: Shell) -> None:
    """Up to 1.32 a line does not say whether a sync is full: the first of a process is, and one that writes it all."""
    text, at = line(0, '"Version info" version="v1.28.3"') + line(0, '"Using iptables Proxier"'), 1
    for written, failed in ((17005, 0), (1021, 0), (1037, 0), (1021, 1), (1021, 0), (16990, 0), (1021, 0)):
        text += line(at, '"Syncing iptables rules"')
        text += line(at, f'"Reloading service iptables data" {GENERATION_1_28.format(n=1000, e=5000, written=written)}')
        text += line(at, '"Sync failed" retryingTime="30s"') * failed
        text += line(at, '"SyncProxyRules complete" elapsed="80ms"')
        at += 1
    (kpsim.here / "a.log").write_text(text)
    found = json.loads(kpsim("calibrate", "a.log", "-o", "json").out)
    assert {each["kind"]: each["syncs"] for each in found["comparisons"]} == {"partial": 3, "full": 2, "first": 1}
    assert found["version"] == "1.28"
    older = kpsim("calibrate", "a.log", "--version", "1.26", "-o", "json")
    assert {each["kind"] for each in json.loads(older.out)["comparisons"]} == {"full", "first"}


def test_excerpts_without_a_syncs_beginning_are_read(kpsim: Shell) -> None:
    """Issues quote single lines, of several generations in one file, with remarks between them."""
    text = "# a remark\n" + line(
        1, '"Reloading service nftables data" ipFamily="IPv4" numServices=900 numEndpoints=4000'
    )
    text += line(3, '"SyncProxyRules complete" ipFamily="IPv4" elapsed="1m15.5s"')
    text += (
        "# another\n"
        + line(9, "running iptables-restore [--noflush --counters]")
        + line(9, "syncProxyRules took 61.6ms")
    )
    (kpsim.here / "a.txt").write_text(text)
    found = json.loads(kpsim("calibrate", "a.txt", "-o", "json").out)
    assert [(each["kind"], each["syncs"], each["measured_s"]) for each in found["comparisons"]] == [
        ("partial", 1, 75.5)
    ]
    assert any("several releases" in note for note in found["taken"])
    assert any("of another release" in note for note in found["taken"])


@pytest.mark.skipif("KPSIM_CASES" not in os.environ, reason="KPSIM_CASES names no folder of public logs and metrics")
def test_public_samples_are_read_or_refused_in_a_line(kpsim: Shell) -> None:
    folder = Path(os.environ["KPSIM_CASES"]).resolve()
    files = [path for path in sorted(folder.rglob("*")) if re.search("proxy.*log|journal|sync-lines", path.name)]
    assert files, "a folder without logs"
    for path in files:
        answer = kpsim("calibrate", str(path))
        assert answer.code in (0, 3)
        assert answer.code == 3 or SENTENCE.fullmatch(answer.out.split("\n")[0])
        assert answer.code == 0 or answer.err.startswith(f"{path}:")


@pytest.mark.skipif("KPSIM_CASES" not in os.environ, reason="KPSIM_CASES names no folder of public logs and metrics")
def test_public_scrapes_are_compared_with_one_before_the_first_sync(kpsim: Shell) -> None:
    before = kpsim.write("before.txt", "kubeproxy_sync_proxy_rules_service_changes_pending 0\n")
    files = sorted(Path(os.environ["KPSIM_CASES"]).resolve().rglob("metrics.txt"))
    assert files, "a folder without metrics"
    for path in files:
        version, mode = path.parent.name.split("-")[:2]
        size = ("--mode", mode, "--version", version, "--services", "4", "--endpoints", "9")
        answer = kpsim("calibrate", before, str(path), *size)
        assert answer.code == 0, answer.err
        assert SENTENCE.fullmatch(answer.out.split("\n")[0])


def test_a_profile_is_not_written_over_a_file_that_is_none(kpsim: Shell) -> None:
    kpsim.write("mine.yaml", "apiVersion: v1\nkind: Service\n")
    kpsim.write("proxy.log", "I0105 00:00:00.000001       1 proxier.go:800] x\n")
    for command in (["calibrate", "proxy.log"], ["calibrate", "bench"]):
        answer = kpsim(*command, "--out", "mine.yaml")
        assert answer.code == 3
        assert "--out mine.yaml: is there already and is no profile of kpsim's" in answer.err
    assert (kpsim.here / "mine.yaml").read_text(encoding="utf-8").startswith("apiVersion: v1")
