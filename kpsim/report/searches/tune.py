"""A tuned knob in sentences, rows, as YAML to paste, and as a document."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import yaml

from kpsim.experiment.searches.quantity import Quantity
from kpsim.experiment.searches.tune import Rung, Tuned, size_of
from kpsim.measure.summary import MEASURES
from kpsim.proxy.registry import MODES
from kpsim.report.searches.limit import INTERVALS, estimate_document
from kpsim.report.wording.change import configuration
from kpsim.report.wording.quantity import EMPTY, estimate, quantity, told_both
from kpsim.report.wording.ranking import listed
from kpsim.units import format_duration

MARKS = {True: "yes", False: "no", None: "undecided"}


def rung_text(rung: Rung) -> str:
    """Return a value with what kube-proxy makes of it: "0s (read as 1s)"."""
    return f"{rung.written} (read as {rung.read_as})" if rung.read_as else rung.written


def measure_text(found: Quantity) -> str:
    """Return a quantity for readers: "network programming latency p99"."""
    if found.measure in MEASURES:
        return f"{MEASURES[found.measure].noun.removesuffix(', true')} {found.statistic}"
    return {"cpu_proxy_cores": "kube-proxy's CPU", "api_bytes_per_s": "bytes sent to kube-proxies"}.get(
        found.measure, found.measure.replace("_", " ")
    )


def cell(rung: Rung, measure: Quantity) -> str:
    """Return a quantity of a rung with its interval and unit."""
    found = rung.probe.estimate(measure)
    if found is None:
        return EMPTY
    if measure.unit in ("s", "B/s"):
        return estimate(found, measure.unit)
    value, bracket, ends = estimate(found).partition(" [")
    return f"{value} {measure.unit}{bracket}{ends}"


def both_cell(rung: Rung, measure: Quantity) -> str:
    """Return a quantity of a rung with both of its intervals."""
    value, prices = rung.probe.estimate(measure), rung.prices.get(measure)
    if value is None or prices is None:
        return cell(rung, measure)
    if measure.unit == "s":
        return told_both(value, prices, measure.unit)
    at, bracket, ends = told_both(value, prices).partition(" [")
    return f"{at} {measure.unit}{bracket}{ends}"


def sentences(found: Tuned) -> tuple[str, ...]:
    """Return what to take and why, what that changes, the knob's floor, and how it was looked for."""
    chosen = f"{found.knob.name} {rung_text(found.chosen)}"
    gains = listed([f"{measure_text(m)} {both_cell(found.chosen, m)}" for m in found.measures])
    said = [_untold(found) if found.untold else f"Take {chosen} with {found.mode}: {gains}; {found.why}."]
    now = next((rung for rung in found.rungs if size_of(rung.written) == size_of(found.now)), None)
    if now is not None and now.written != found.chosen.written:
        stands = listed([f"{measure_text(m)} {both_cell(now, m)}" for m in found.measures])
        said.append(f"The scenario has {rung_text(now)}: {stands}.")
    elif now is not None and not found.untold:
        said.append("That is what the scenario has.")
    said.append(f"Floor: {found.knob.floor}")
    note = MODES[found.mode].note if MODES[found.mode].deprecated else ""
    if note:
        said.append(f"{found.mode}: {note}.")
    run, full = found.run, found.scenario.run
    counted = found.sampled and any(measure.counts for measure in found.measures)
    shorter = f" instead of {format_duration(full.duration_s)}" if run.duration_s < full.duration_s else ""
    some = " Packets were looked at on some nodes and at some times only, so there are more." if counted else ""
    probes = (
        f"{len(found.rungs)} values, {format_duration(run.duration_s)}{shorter} with {run.replications} replications"
    )
    return (*said, f"{probes} each, all with the same random numbers.{some} {INTERVALS}")


def _untold(found: Tuned) -> str:
    """Return why no value can be recommended, and how to learn more."""
    measures = listed([measure_text(measure) for measure in found.untold])
    means = ",".join(f"{m.measure}.mean" if m in found.untold and m.statistic else m.name for m in found.measures)
    return (
        f"No {found.knob.name} can be recommended with {found.mode}: {measures} cannot be told of any value, because "
        "too little happens in the time that is looked at. To learn more, simulate longer (--set run.duration=10m), "
        f"with churn (--set changes.churn.podReplacementsPerSecond=1), or trade means (--against {means})."
    )


def headline(found: Tuned) -> str:
    """Return the message of the figure."""
    first, second = found.measures
    return (
        f"{found.knob.name} {found.chosen.written} with {found.mode}: {measure_text(first)} "
        f"{plain(found.chosen, first)} for {measure_text(second)} {plain(found.chosen, second)}"
    )


def plain(rung: Rung, measure: Quantity) -> str:
    """Return a quantity of a rung without its interval."""
    found = rung.probe.estimate(measure)
    if found is None:
        return EMPTY
    at_least = "at least " if found.at_least else ""
    if measure.unit in ("s", "B/s"):
        return f"{at_least}{quantity(found.value, measure.unit)}"
    return f"{at_least}{quantity(found.value)} {measure.unit}"


def head(found: Tuned) -> list[str]:
    """Return the head of :func:`rows`."""
    return [found.knob.name, *(measure.name for measure in found.measures), "on the front", "meets objectives"]


def rows(found: Tuned) -> list[list[str]]:
    """Return a row a value, the chosen one marked."""
    return [
        [
            f"{'> ' if rung is found.chosen and not found.untold else '  '}{rung_text(rung)}",
            *(cell(rung, measure) for measure in found.measures),
            "yes" if rung.on_front else "no",
            MARKS[rung.met] if found.objectives else EMPTY,
        ]
        for rung in found.rungs
    ]


def to_paste(found: Tuned) -> tuple[str, str]:
    """Return where the chosen value goes, and the text to put there."""
    value = found.chosen.written
    if found.untold:
        return "", ""
    if found.knob.name in ("minSyncPeriod", "syncPeriod"):
        return "KubeProxyConfiguration", configuration(found.chosen.scenario, found.mode) or ""
    if found.knob.name == "preStop":
        seconds = math.ceil(size_of(value))
        spec = {"lifecycle": {"preStop": {"sleep": {"seconds": seconds}}}}
        return "each container of the Pod template (Kubernetes 1.30 and later; before, exec: sleep)", _yaml(spec)
    flags = {
        "qps": [f"--kube-api-qps={value}", f"--kube-api-burst={value}"],
        "slices": [f"--max-endpoints-per-slice={value}"],
    }[found.knob.name]
    return "the command of kube-controller-manager", _yaml({"command": ["kube-controller-manager", *flags]})


def _yaml(document: dict[str, Any]) -> str:
    return str(yaml.safe_dump(document, sort_keys=False))


def frame(found: Tuned) -> pd.DataFrame:
    """Return a row a value and quantity: the knob, read_as, mode, measure, statistic, value, low, high, unit."""
    table = []
    for rung in found.rungs:
        for measure in rung.probe.drawn:
            value = rung.probe.estimate(measure)
            ends = (value.value, value.low, value.high) if value else (math.nan,) * 3
            if value and value.at_least:
                ends = (value.value, value.value, math.inf)
            row = (rung.written, rung.read_as, found.mode, measure.measure, measure.statistic, *ends, measure.unit)
            table.append((*row, rung.on_front, rung is found.chosen))
    columns = ["read_as", "mode", "measure", "statistic", "value", "low", "high", "unit", "on_front", "chosen"]
    return pd.DataFrame(table, columns=[found.knob.name, *columns]).astype({"low": float, "high": float})


def document(found: Tuned) -> dict[str, Any]:
    """Return everything as plain data, ready for ``json.dumps``."""
    where, text = to_paste(found)
    return {
        "apiVersion": "kpsim/v1alpha1",
        "kind": "Tune",
        "scenario": found.scenario.name,
        "answer": list(sentences(found)),
        "knob": {"name": found.knob.name, "about": found.knob.about, "floor": found.knob.floor, "now": found.now},
        "mode": found.mode,
        "measures": [measure.name for measure in found.measures],
        "objectives": [objective.text for objective in found.objectives],
        "recommended": {
            "value": None if found.untold else found.chosen.written,
            "why": found.why,
            "where": where,
            "configuration": text,
        },
        "values": [
            {
                "value": rung.written,
                "read_as": rung.read_as or rung.written,
                **{measure.name: estimate_document(rung.probe.estimate(measure)) for measure in rung.probe.drawn},
                "prices": {measure.name: estimate_document(each) for measure, each in rung.prices.items()},
                "on_front": rung.on_front,
                "met": rung.met,
            }
            for rung in found.rungs
        ],
        "refused": [{"value": value, "why": why} for value, why in found.refused],
        "sampled": found.sampled,
    }
