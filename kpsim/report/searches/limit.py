"""A limit in sentences, rows and as a document; terminal, files, notebook and figure all quote these."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from kpsim.experiment.answers.curves import GUESSED
from kpsim.experiment.searches.ceilings import Ceiling
from kpsim.experiment.searches.limit import LimitFound, ModeLimit
from kpsim.experiment.searches.probing import Probe
from kpsim.measure.summary import Estimate
from kpsim.proxy.registry import MODES
from kpsim.report.wording.quantity import EMPTY, compact, count, estimate, quantity
from kpsim.report.wording.ranking import listed
from kpsim.units import format_duration

WAY_HEAD = ("limit", "kind", "mode", "within it up to", "limit is")
INTERVALS = (
    "Brackets are 95 % intervals, by sampling how runs differ, by prices what the profile is not sure of; the wider "
    "decides. Packets' CPU, the control plane's rates and counts of an event have none by prices."
)


def value_text(found: LimitFound, value: float) -> str:
    """Return a value of the axis for readers: "12,582 Services", "5.73", "1 s"."""
    axis = found.axis
    if axis.kind == "duration":
        return quantity(value, "s")
    text = count(value) if axis.kind in ("services", "whole") else f"{value:,.4g}"
    return f"{text} {axis.noun}" if axis.noun != axis.name else text


def sentence(found: LimitFound, each: ModeLimit) -> str:
    """Return one mode's answer."""
    what, objectives = found.axis.noun, listed(objective.text for objective in found.objectives)
    every, mode = "the objective" if len(found.objectives) == 1 else "every objective", _called(found, each.mode)
    if each.largest is None:
        if each.ended == "limit":
            return f"{mode}: {each.breaks} is beyond its limit at every value looked at."
        return f"{mode} does not meet {each.breaks} at any value of {what} that was looked at."
    at = _with_interval(found, each)
    if each.improves:
        return f"{mode} meets {objectives} from {at} of {what} on; below, {each.breaks} breaks first."
    if each.ended == "objective":
        return f"{mode} meets {objectives} up to {at}; beyond, {each.breaks} breaks first."
    if each.ended == "limit" and each.ceiling is not None:
        most = f"{compact(each.ceiling.limit.limit)} {each.ceiling.limit.unit}"
        return f"{mode} meets {every} up to {at}, where a hard limit ends it: {each.ceiling.limit.name}, {most}."
    if each.ended == "limit":
        return f"{mode} meets {every} up to {at}; more cannot be: {each.breaks}."
    return f"{mode} meets {every} at every value that was looked at, up to {at}."


def _with_interval(found: LimitFound, each: ModeLimit) -> str:
    """Return the largest value with both intervals: "12,582 Services [12,400, 12,700 by sampling; … by prices]"."""
    assert each.largest is not None
    said = []
    for interval, by in ((each.largest, "by sampling"), (each.prices, "by prices")):
        if interval is not None and interval.low is not None and interval.high is not None:
            said.append(f"{', '.join(_bare(found, end) for end in (interval.low, interval.high))} {by}")
    at = value_text(found, each.largest.value)
    brackets = f" [{'; '.join(said)}]" if said else ""
    return f"{at}{brackets}{', extrapolated' if any(GUESSED in caution for caution in each.cautions) else ''}"


def _called(found: LimitFound, mode: str) -> str:
    """Return a mode with a mark where it is deprecated: "ipvs (deprecated from 1.35)"."""
    deprecated = MODES[mode].deprecated if mode in MODES else None
    if deprecated is None:
        return mode
    since = "since" if found.scenario.kubernetes_version >= deprecated else "from"
    return "{} (deprecated {} {}.{})".format(mode, since, *deprecated)


def _bare(found: LimitFound, value: float) -> str:
    """Return a value without the things counted; a duration keeps its unit."""
    text = value_text(found, value)
    return text if found.axis.kind == "duration" else text.partition(" ")[0]


def sentences(found: LimitFound) -> tuple[str, ...]:
    """Return every mode's answer, then how it was looked for."""
    run, full = found.run, found.scenario.run
    again = f"{format_duration(run.duration_s)} with {run.replications} replications"
    instead = f" instead of the scenario's {format_duration(full.duration_s)}" if found.shortened else ""
    stands = f" The scenario stands at {value_text(found, found.axis.start)}{_open(found)}." if found.axis.start else ""
    probes = sum(len(each.probes) for each in found.modes)
    said = [sentence(found, each) for each in found.modes]
    return (*said, f"{probes} probes of {again}{instead}, all with the same random numbers.{stands} {INTERVALS}")


def _open(found: LimitFound) -> str:
    """Return that the scenario itself is undecided with some modes, if it is: it stands inside an interval."""
    modes = [each.mode for each in found.modes if found.standing(each) == "undecided"]
    return f", inside the interval of {listed(modes)}: whether it meets them there is undecided" if modes else ""


def headline(found: LimitFound) -> str:
    """Return the message of the figure: where each mode ends."""
    return f"{listed(objective.text for objective in found.objectives)}: met by {ends(found)}"


def ends(found: LimitFound) -> str:
    """Return where each mode ends: "iptables up to 12,582 Services and ipvs up to 57,064 Services"."""
    parts = []
    for each in found.modes:
        if each.largest is None:
            parts.append(f"{each.mode} nowhere")
        else:
            at = f"{'at least ' if each.largest.at_least else ''}{value_text(found, each.largest.value)}"
            why = f" ({each.breaks})" if each.ended == "limit" else ""
            parts.append(f"{each.mode} {'from' if each.improves else 'up to'} {at}{why}")
    return listed(parts)


def probe_rows(found: LimitFound) -> list[list[str]]:
    """Return a row a probe: value, mode, and each objective's quantity with its interval."""
    quantities = dict.fromkeys(objective.quantity for objective in found.objectives)
    return [
        [value_text(found, probe.value), each.mode, *(_cell(probe.estimate(q), q.unit) for q in quantities)]
        for each in found.modes
        for probe in each.probes
    ]


def _cell(value: Estimate | None, unit: str) -> str:
    return EMPTY if value is None else estimate(value, unit)


def probe_head(found: LimitFound) -> list[str]:
    """Return the head of :func:`probe_rows`."""
    return [found.axis.noun, "mode", *dict.fromkeys(objective.quantity.name for objective in found.objectives)]


def way_rows(found: LimitFound) -> list[list[str]]:
    """Return a row a limit on the way, hard and soft, the nearest first."""
    return [
        [each.limit.name, each.limit.kind if each.ends or each.limit.kind == "soft" else "hard, but played out",
         each.mode or "all", _up_to(found, each), f"{compact(each.limit.limit)} {each.limit.unit}"]
        for each in found.ceilings
    ]  # fmt: skip


def _up_to(found: LimitFound, each: Ceiling) -> str:
    return value_text(found, each.at) if each.at else "beyond from the start"


def frame(found: LimitFound) -> pd.DataFrame:
    """Return a row a probe, mode and quantity: the axis, mode, measure, statistic, value, low, high, unit."""
    return probes_frame(found.axis.name, [probe for each in found.modes for probe in each.probes])


def probes_frame(name: str, probes: Iterable[Probe]) -> pd.DataFrame:
    """Return a row a probe and quantity: ``name``'s value, mode, measure, statistic, value, low, high, unit."""
    rows = [
        (probe.value, probe.mode, q.measure, q.statistic, *_numbers(probe, q), q.unit)
        for probe in probes
        for q in probe.drawn
    ]
    return pd.DataFrame(rows, columns=[name, "mode", "measure", "statistic", "value", "low", "high", "unit"])


def _numbers(probe: Probe, quantity: Any) -> tuple[float, float, float]:
    found = probe.estimate(quantity)
    if found is None:
        return math.nan, math.nan, math.nan
    if found.at_least:
        return found.value, found.value, math.inf
    low, high = (math.nan if end is None else end for end in (found.low, found.high))
    return found.value, low, high


def document(found: LimitFound) -> dict[str, Any]:
    """Return everything as plain data, ready for ``json.dumps``."""
    return {
        "apiVersion": "kpsim/v1alpha1",
        "kind": "Limit",
        "scenario": found.scenario.name,
        "answer": list(sentences(found)),
        "axis": {"name": found.axis.name, "start": found.axis.start, "looked_at_up_to": found.highest},
        "objectives": [objective.text for objective in found.objectives],
        "modes": [_mode_document(found, each) for each in found.modes],
        "on_the_way": [
            {"name": c.limit.name, "kind": c.limit.kind, "mode": c.mode, "ends": c.ends, "within_up_to": c.at,
             "limit": c.limit.limit, "unit": c.limit.unit, "source": c.limit.source}
            for c in found.ceilings
        ],
        "refusal": found.refusal,
        "probe": {
            "duration_s": found.run.duration_s, "warmup_s": found.run.warmup_s, "seed": found.run.seed,
            "replications": found.run.replications, "packets": found.run.packets, "shortened": found.shortened,
        },
    }  # fmt: skip


def _mode_document(found: LimitFound, each: ModeLimit) -> dict[str, Any]:
    return {
        "mode": each.mode,
        "largest": None if each.largest is None else estimate_document(each.largest),
        "prices": estimate_document(each.prices),
        "standing": found.standing(each),
        "smallest_that_meets": each.improves,
        "ended_by": each.ended,
        "breaks": each.breaks,
        "settings": [] if each.largest is None else list(found.axis.settings(each.largest.value)),
        "cautions": list(each.cautions),
        "probes": [
            {"value": probe.value, **{q.name: estimate_document(probe.estimate(q)) for q in probe.drawn}}
            for probe in each.probes
        ],
    }


def estimate_document(found: Estimate | None) -> dict[str, float | bool | None] | None:
    """Return an estimate as plain data of nine digits."""
    if found is None:
        return None
    ends = {name: getattr(found, name) for name in ("value", "low", "high")}
    rounded = {
        name: None if end is None or not math.isfinite(end) else float(f"{end:.9g}") for name, end in ends.items()
    }
    return {**rounded, "at_least": found.at_least}


def notes(found: LimitFound) -> Sequence[str]:
    """Return what must stand beside the numbers: modes that end, costs extrapolated at the limit."""
    return [f"{each.mode}: {caution}" for each in found.modes for caution in each.cautions]
