"""The question decides the headline: each kind of scenario opens with the sentence that answers it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import kpsim
from kpsim.cluster.params import ChurnParams, ClusterParams, EndpointCount, ServiceGroup
from kpsim.dns.params import DnsParams
from kpsim.experiment.answers.limits import Limit
from kpsim.experiment.replications import run, run_scenario
from kpsim.experiment.result import Result
from kpsim.experiment.sweeps import tidy
from kpsim.history.events import EVENTS, ApiServerRestart, Drain, Ending, NodeJoin, NodeLoss, Rollout, ServiceDeletion
from kpsim.proxy.registry import MODES
from kpsim.report.answers.question import Question, questions_of
from kpsim.report.answers.sweep import about_sweep
from kpsim.report.answers.why import dominant, parts, reasons
from kpsim.report.html import report_html
from kpsim.report.markdown import report_markdown
from kpsim.report.tables import summary_document
from kpsim.report.terminal import summary_text
from kpsim.report.verdict import Answer, answer
from kpsim.scenario.model import RunParams, Scenario, Threshold
from kpsim.scenario.reader import read
from kpsim.traffic.params import TrafficParams
from tests.report_fixture import make_result

SCENARIOS = sorted((Path(__file__).parents[2] / "scenarios").glob("*.yaml"))
SCENARIO = Scenario(
    name="asked",
    cluster=ClusterParams(nodes=5, cores=2),
    groups=(ServiceGroup("web", 2, EndpointCount(mean=8.0)),),
    traffic=TrafficParams(40.0, 1),
    churn=ChurnParams(pod_shutdown_s=0.0),
    run=RunParams(40.0, 0.0, seed=2, replications=3, engine="batch"),
)
ROLLOUT = Rollout(10.0, "default/web-0")
CHURN = ChurnParams(pod_replacements_per_s=0.5)
SLOW = Threshold("network_programming_true", "p99", "<", 60.0, "p99 < 60s")


def asked(**changed: object) -> Answer:
    return answer(run_scenario(replace(SCENARIO, **changed)))  # type: ignore[arg-type]  # fields by name


def test_the_first_question_decides_and_the_others_follow() -> None:
    everything = replace(
        SCENARIO,
        thresholds=(SLOW,),
        events=(ROLLOUT,),
        dns=DnsParams(clients_use_names=True),
        modes=("iptables", "ipvs"),
    )
    order = [Question.THRESHOLDS, Question.EVENT, Question.DNS, Question.COMPARISON]
    assert list(questions_of(everything)) == order
    assert questions_of(everything, axes=("services.web.count",))[0] is Question.SWEEP
    assert questions_of(SCENARIO) == (Question.NOTHING,)


@pytest.mark.parametrize(
    ("name", "question"),
    [("10k-services", "thresholds"), ("rolling-update", "event"), ("node-failure", "event"), ("node-join", "event"),
     ("dns-ndots", "dns"), ("hello", "comparison"), ("dual-stack-lock", "nothing")],
)  # fmt: skip
def test_shipped_scenarios_ask_what_they_say(name: str, question: str) -> None:
    (path,) = (path for path in SCENARIOS if path.stem == name)
    assert questions_of(read(path))[0] == question


def test_a_rollout_opens_with_its_failed_connections_and_the_hook_that_ends_them() -> None:
    said = asked(events=(ROLLOUT,))
    assert said.question is Question.EVENT
    found = re.search(r"failed connections of a run are ([\d.]+) \[95 %: [\d.]+, [\d.]+\] with iptables", said.sentence)
    assert found
    assert float(found[1]) > 1
    option = re.search(r"--set changes\.events\.0\.rollout\.preStop=(\d+)s", said.sentence)
    assert option
    hooked = asked(events=(replace(ROLLOUT, ending=Ending(float(option[1]), 60.0)),))
    assert hooked.sentence.startswith("Rollout of default/web-0: no connection fails: rules without a Pod are in force")


def test_a_lost_node_says_how_long_what_share_and_what_dominates() -> None:
    said = asked(events=(NodeLoss(10.0),), run=replace(SCENARIO.run, duration_s=90.0))
    assert re.match(
        r"Loss of a node: connections fail for \d+\.\d s \[95 %: \d+\.\d, \d+\.\d\] with iptables", said.sentence
    )
    assert re.search(r"(1\d|2\d) % of all connections in that time", said.sentence)  # one node of five
    assert re.search(r"9\d % of the longest, \d+\.\d s, is until it is noticed, and rules follow in", said.sentence)


def test_a_join_a_drain_a_deletion_and_a_restart_have_their_sentences() -> None:
    events = (NodeJoin(5.0), Drain(8.0), ServiceDeletion(15.0, "default/web-1"), ApiServerRestart(20.0))
    said = asked(events=events)
    join, drain, deletion, restart = (said.sentence, *said.more)
    assert re.match(r"Join of a node: it has no rules for .*s \(mostly .*\) with iptables", join)
    assert drain.startswith("Drain of a node: ")
    assert re.match(
        r"Deletion of default/web-1: in force on every node after .*s with iptables at most; refused", deletion
    )
    assert restart.startswith("Restart of API server 0: the run's changes are in force after ")
    assert {kind.asks for kind in EVENTS} == {"ending", "outage", "join", "write", "server"}


@pytest.mark.parametrize("race", [None, 0.05])
def test_names_are_answered_with_the_share_beyond_a_second_and_the_reason(race: float | None) -> None:
    said = asked(dns=DnsParams(clients_use_names=True, race=race, replicas=2))
    assert said.question is Question.DNS
    assert re.match(r"A lookup takes .* \(p50\), [\d.]+x the .* with absolute names", said.sentence)
    if race is None:
        assert re.search(r"none of [\d,]+ in a run takes longer than 1 s \(95 %: fewer than 1 in", said.sentence)
        assert "no answer is lost to conntrack's race" in said.sentence
    else:
        share = re.search(
            r"(\d+) % \[95 %: .*\] take longer than 1 s, with absolute names ([\d.]+) % .*, because conn", said.sentence
        )
        assert share
        assert 3 * float(share[2]) < float(share[1]) < 25
    assert any("dns.nodeLocal=true" in sentence for sentence in said.more)


def test_a_run_without_changes_says_so_and_what_to_add() -> None:
    said = asked()
    assert said.question is Question.NOTHING
    assert said.sentence.startswith("Nothing changes in this run: kube-proxy keeps ")
    assert "changes.churn.podReplacementsPerSecond" in said.more[0]
    churned = asked(churn=CHURN)
    assert re.match(
        r"No objective is set: a change is in force after .* with iptables, and most of its way is the wait for a sync",
        churned.sentence,
    )


@pytest.mark.parametrize("version", [(1, 34), (1, 35), (1, 37)])
@pytest.mark.parametrize(
    "modes", [("iptables", "ipvs"), ("iptables", "ipvs", "nftables"), ("ipvs",), ("ipvs", "iptables")]
)
@pytest.mark.parametrize("thresholds", [(), (Threshold("first_packet_latency", "p99", "<", 5e-5, "p99 < 50us"),)])
def test_no_sentence_offers_a_deprecated_mode_without_the_alternative(
    version: tuple[int, int], modes: tuple[str, ...], thresholds: tuple[Threshold, ...]
) -> None:
    result = make_result(modes, thresholds=thresholds)
    result = replace(result, scenario=replace(result.scenario, kubernetes_version=version))
    said = answer(result)
    assert "ipvs" in " ".join(said.sentences)
    for sentence in said.sentences:
        if re.search(r"choose ipvs|stay with ipvs|ipvs gains|to ipvs|ipvs \(.*\) meets|Only ipvs", sentence):
            assert "nftables is the alternative" in sentence, sentence
    if said.recommended and version >= (1, 35) and "nftables" in modes:
        assert said.recommended == "nftables"
    assert said.question is (Question.THRESHOLDS if thresholds else said.question)


def test_a_comparison_names_the_mode_to_choose_and_the_version() -> None:
    said = answer(make_result(["iptables", "nftables"], thresholds=()))
    assert said.question is Question.COMPARISON
    assert said.sentence.startswith(
        "In Kubernetes 1.34, choose nftables (Linux 5.13 or later): of the modes run, nftables"
    )
    assert said.change == ""


def test_what_stands_beside_a_number_is_in_every_table(result: Result) -> None:
    broken = Limit("NodePorts", "hard", 3000, 2768, "ports", "serviceNodePortRange")
    result = replace(result, limits=(broken,))
    for text in (summary_text(result), report_markdown(result).replace("\\", "")):
        assert text.count("ipvs (deprecated from 1.35, beyond NodePorts)") >= 3
        assert "iptables (extrapolated, beyond NodePorts)" in text
    page = report_html(result)
    rows = re.findall(r'<td data-label="[^"]*"><span><span class="swatch"[^>]*></span>ipvs(.*?)</td>', page)
    assert len(rows) > 5
    assert all("deprecated from 1.35, beyond NodePorts" in row for row in rows)
    assert {row["marks"] for row in tidy(result)} == {
        "extrapolated, beyond NodePorts",
        "deprecated from 1.35, beyond NodePorts",
    }
    assert MODES["nftables"].deprecated is None


@pytest.fixture(scope="module")
def result() -> Result:
    return make_result()


def swept(axis: str, values: dict[int, tuple[float, float, float]], prices: float = 1.0) -> list[dict[str, object]]:
    """Rows of p99 of first packets in two modes: the first always 1 s, and the second with its interval."""
    flat = {"measure": "first_packet_latency", "statistic": "p99", "n": 9, "at_least": False, "marks": ""}
    rows: list[dict[str, object]] = []
    for x, (value, low, high) in values.items():
        ends = {"value": value, "low": low, "high": high, "profile_low": value / prices, "profile_high": value * prices}
        rows.append({axis: x, "mode": "iptables", **flat, **dict.fromkeys(ends, 1.0)})
        rows.append({axis: x, "mode": "ipvs", **flat, **ends})
    return rows


def test_a_sweep_opens_with_its_crossings() -> None:
    axis = "services.svc.count"
    points = {1: (2.0, 1.9, 2.1), 10: (1.1, 0.9, 1.2), 1000: (0.5, 0.4, 0.6), 5000: (0.3, 0.2, 0.4)}
    bound = Threshold("first_packet_latency", "p99", "<", 1.5, "p99 < 1.5s")
    said = about_sweep(pd.DataFrame(swept(axis, points)), [axis], [bound])
    assert said == [
        "first_packet_latency p99 < 1.5 s with iptables is met at every point.",
        "first_packet_latency p99 < 1.5 s with ipvs is failed up to 1 Service, met from 10 on.",
        (
            "First-packet latency (p99) with ipvs is higher up to 1 Service, not to be told apart at 10, "
            "lower from 1,000 on, against iptables."
        ),
    ]
    wide = about_sweep(pd.DataFrame(swept(axis, points, prices=4.0)), [axis], [bound])
    assert wide[1].endswith("is undecided up to 1,000 Services, met from 5,000 on.")
    assert about_sweep(pd.DataFrame(swept("proxy.mode", points)).astype({"proxy.mode": str}), ["proxy.mode"]) == []


@pytest.fixture(scope="module")
def churned() -> Result:
    return run_scenario(replace(SCENARIO, churn=CHURN, modes=("iptables", "ipvs")))


def test_reasons_are_on_the_terminal(churned: Result) -> None:
    text = " ".join(summary_text(churned).split())
    assert "most of it is the wait for a sync: " in text
    assert re.search(
        r"kube-proxy's CPU: [\d.]+ \[95 %: .*?\] cores a node: \d+ % partial syncs, "
        r"\d+ % beside syncs, such as decoding events, of a partial one \d+ %",
        text,
    )
    assert re.search(r"full syncs: [\d.]+ a \w+ a node, .* in the mean", text)
    assert "full syncs: none in the measured time" in text
    for found in churned.modes.values():
        shares = [share for _, share in parts(found)]
        assert sum(shares) == pytest.approx(1.0)
        assert shares == sorted(shares, reverse=True)
        cores = {kind: found.rates[f"cpu_proxy_{kind}cores"].value for kind in ("", "full_", "partial_", "beside_")}
        assert cores["full_"] + cores["partial_"] + cores["beside_"] == pytest.approx(cores[""])
        assert [head for head, _ in reasons(found)] == ["a change's way", "kube-proxy's CPU", "full syncs"]
    most = dominant(churned.modes["iptables"])
    assert most is not None
    assert most[0] == "wait for a sync"


def test_the_head_of_the_summary_is_the_answer(churned: Result) -> None:
    document = summary_document(churned)
    assert list(document)[3] == "answer"
    said = answer(churned)
    assert document["answer"]["question"] == "comparison"
    assert document["answer"]["sentence"] == said.sentence
    assert (
        summary_text(churned).splitlines()[3].removeprefix("· ")
        == said.sentence[: len(summary_text(churned).splitlines()[3]) - 2]
    )


def test_the_hook_of_a_rollout_behind_an_ingress_outlives_its_lists_too() -> None:
    (path,) = (path for path in SCENARIOS if path.stem == "ingress-rollout")
    two = ("run.replications", "2")
    said = answer(run(path, [two])).sentence
    assert re.search(r"requests through the Ingress that found no Pod \(502\) are [\d,]+ \[95 %: ", said)
    option = re.search(r"--set (changes\.events\.0\.rollout\.preStop)=(\d+s)", said)
    assert option
    hooked = answer(run(path, [two, (option[1], option[2])])).sentence
    assert hooked.startswith("Rollout of default/web-0: no connection fails: rules without a Pod are in force after")


def test_what_is_asked_for_comes_before_objectives_and_they_follow() -> None:
    compared = replace(SCENARIO, churn=CHURN, thresholds=(SLOW,), modes=("iptables", "nftables"), ask="comparison")
    assert questions_of(compared) == (Question.COMPARISON, Question.THRESHOLDS)
    said = answer(run_scenario(compared))
    assert said.sentence.startswith("In Kubernetes 1.34, ")
    assert any("network_programming_true" in text or "the objective" in text for text in said.more)


def test_a_sweep_names_the_mode_to_choose_in_its_release_and_the_one_after_a_deprecated_one() -> None:
    rows = [
        {"n": n, "mode": mode, "measure": "first_packet_latency", "statistic": "p99", "value": value, "at_least": False,
         "low": value * 0.9, "high": value * 1.1, "profile_low": value, "profile_high": value}
        for n, of in ((1, 1.0), (100, 1.0), (10_000, 4.0))
        for mode, value in (("iptables", of), ("ipvs", 2.0), ("nftables", 0.5))
    ]  # fmt: skip
    said = about_sweep(pd.DataFrame(rows), ["n"], version=(1, 34))
    deprecated = "ipvs (deprecated from 1.35: nftables is the alternative)"
    assert said[0].startswith(
        f"In Kubernetes 1.34, {deprecated} is faster than iptables from n 10,000 on for first packets"
    )
    assert said[0].endswith("slower at some sizes for first packets.")
    assert said[1] == "In Kubernetes 1.34, nftables is faster than iptables from n 1 on for first packets."
    assert about_sweep(pd.DataFrame(rows), ["n"]) == said[2:]


def test_extrapolation_and_a_hard_limit_stand_in_the_first_sentence() -> None:
    spec = {
        "cluster": {"nodes": 2},
        "services": [{"name": "web", "count": 1, "endpoints": 1500}],
        "changes": {"churn": {"podReplacementsPerSecond": 1}},
        "thresholds": {"network_programming_true": ["p50 < 1h"]},
        "run": {"duration": "20s", "warmup": "5s", "replications": 2, "engine": "batch", "packets": 1000},
    }
    first, *_ = kpsim.load(spec).run().answer
    assert first == (
        "iptables meets the objective, on costs extrapolated beyond measured sizes and on a cluster beyond a hard "
        "limit (addresses in an Endpoints object)."
    )
    smaller, *_ = kpsim.load(spec).with_(services__web__endpoints=300).run().answer
    assert smaller == "iptables meets the objective."
