"""Runs that ask for nothing are answered too: what it costs at rest or under churn, and what to add to learn more."""

from __future__ import annotations

from kpsim.experiment.result import ModeResult, Result
from kpsim.report.answers.why import dominant
from kpsim.report.wording.change import current_mode
from kpsim.report.wording.quantity import percent, told, told_both

ADD = "changes.churn.podReplacementsPerSecond or changes.events to see changes, thresholds to have it judged"


def about_nothing(result: Result) -> list[str]:
    """Return what the run costs, and what to add to it."""
    if not result.modes:
        return ["Nothing was run."]
    mode = current_mode(result)
    found = result.modes[mode]
    if not _changes(result, found):
        return [f"Nothing changes in this run: {_at_rest(found)} with {mode}.", f"To learn more, add {ADD}."]
    return [f"No objective is set: {_of_a_change(found, mode)}.", f"To learn more, add {_more(result)}."]


def _changes(result: Result, found: ModeResult) -> bool:
    churn, counted = result.scenario.churn, found.counts.get("changes")
    asked = churn.pod_replacements_per_s > 0 or churn.services_created_per_s > 0
    return asked if counted is None else asked or counted.value > 0


def _at_rest(found: ModeResult) -> str:
    said = []
    cpu = found.rates.get("cpu_proxy_cores")
    if cpu is not None:
        said.append(f"kube-proxy keeps {told(cpu)} cores of a node busy")
    first = found.summaries.get("first_packet_latency")
    if first is not None and first.n:
        at = "p99" if "p99" in first.quantiles else "mean"
        said.append(f"first packets take {_of(found, 'first_packet_latency', at)}")
    return " and ".join(said) or "nothing was observed"


def _of(found: ModeResult, measure: str, statistic: str) -> str:
    summary, prices = found.summaries[measure], found.priced.get(measure, {}).get(statistic)
    return f"{told_both(summary.statistic(statistic), prices, summary.unit)} ({statistic})"


def _of_a_change(found: ModeResult, mode: str) -> str:
    summary = found.summaries.get("network_programming_true")
    if summary is None or not summary.n:
        return f"{_at_rest(found)} with {mode}"
    at = next((name for name in ("p99", "p90", "p50") if name in summary.quantiles), "mean")
    said = f"a change is in force after {_of(found, summary.measure, at)} with {mode}"
    most = dominant(found)
    return f"{said}, and most of its way is the {most[0]} ({percent(most[1])})" if most else said


def _more(result: Result) -> str:
    said = ["thresholds to have it judged", "changes.events for a rollout or a lost node"]
    return ", ".join([*said, "compare.modes for another mode"] if len(result.modes) == 1 else said)
