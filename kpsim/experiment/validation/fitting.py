"""Records become coefficients: every part that was timed alone is fitted, and rows left out say how far that is off."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from kpsim.calibration.least_squares import fit
from kpsim.calibration.records import CHURN, END_TO_END, KERNEL, PUBLISHED, Record
from kpsim.calibration.scatter import assumed_scatter
from kpsim.calibration.terms import work
from kpsim.experiment.validation.latency import latency
from kpsim.experiment.validation.prediction import group, priced, scatter_key
from kpsim.experiment.validation.setups import TICK_S, Question, Unspoken, question
from kpsim.profiles.costs import CostProfile
from kpsim.profiles.format import SCALE as IN_SI
from kpsim.units import F64

SUMS = frozenset({"wall_s", "children_wall_s", "cpu_s"})  # of parts that are timed one by one too
FEW = 6  # rows of a quantity, below which its mode's scatter stands for its own
_SIZE = ("services", "kernel", "run")
_CONFIGURATION = ("services", "endpoints", "endpoints_per_service", "version")
Rows = dict[tuple[str, str], list[tuple[Record, dict[str, float], float, bool]]]


def explained(records: Iterable[Record]) -> Rows:
    """Return what can be fitted by family and aspect: records, counts by coefficient, measured in SI, timed alone."""
    found: Rows = defaultdict(list)
    for record in records:
        if record.study in (CHURN, END_TO_END, PUBLISHED) or record.setup.get("use", "fit") != "fit":
            continue
        try:
            asked = question(record)
        except Unspoken:
            continue
        row = _row(record, asked)
        if row is not None:
            alone = record.quantity not in SUMS or asked.parts[0].part == "sync"
            found[asked.parts[0].family, asked.aspect].append((record, *row, alone))
            if record.quantity == "list_wall_s":  # a listing is nothing but CPU, and was timed better than that was
                found[asked.parts[0].family, "cpu"].append((record, *row, True))
    return found


def _row(record: Record, asked: Question) -> tuple[dict[str, float], float] | None:
    """Return counts by coefficient and the measured value, or ``None`` where there is nothing to learn."""
    if asked.exact is not None or not asked.parts:
        return None
    total: dict[str, float] = defaultdict(float)
    for part in asked.parts:
        done = work(part, asked.counts)
        if done is None:
            return None
        for name, count in done.items():
            total[name] += count
    measured = record.measured * asked.scale
    short = asked.aspect in ("user", "sys", "cpu") and measured < TICK_S
    if measured <= 0 or short or not any(total.values()):
        return None
    return dict(total), 1 / measured if asked.inverse else measured


def families(rows: Rows) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, float]]]:
    """Return coefficients by family, and how far left-out rows were off by mode and quantity."""
    found: dict[str, dict[str, Any]] = {}
    off: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (family, aspect), all_rows in sorted(rows.items()):
        alone = [row for row in all_rows if row[3]]
        names = sorted({name for row in alone for name in row[1]})
        counts = np.array([[row[1].get(name, 0.0) for name in names] for row in alone])
        measured = np.array([row[2] for row in alone])
        fitted = fit(counts, measured, _groups([row[0] for row in alone]))
        values = dict(zip(names, zip(fitted.value, fitted.low, fitted.high, strict=True), strict=True))
        most = counts.max(axis=0)
        found[f"{family}/{aspect}" if aspect else family] = {
            name: (*values[name], most[i]) for i, name in enumerate(names)
        }
        for row, left_out in zip(alone, fitted.left_out, strict=True):
            off[row[0].mode][group(row[0])].append(float(left_out))
        for record, total, value, timed_alone in all_rows:
            if not timed_alone:
                guess = sum(values[name][0] * count for name, count in total.items() if name in values)
                off[record.mode][group(record)].append(assumed_scatter("seen_sum") * float(np.log(value / guess)))
    return found, {mode: _scatter(each) for mode, each in off.items()}


def _groups(records: list[Record]) -> F64:
    """Return a number for each configuration: rows of one are resampled and left out together.

    A table of commands and packets leaves out whole sizes, since those are what is asked for beyond the table.
    """
    keys = [tuple(r.setup.get(key, "") for key in (_SIZE if r.study == KERNEL else _CONFIGURATION)) for r in records]
    order = {key: i for i, key in enumerate(sorted(set(keys)))}
    return np.array([order[key] for key in keys], np.float64)


def _scatter(off: Mapping[str, list[float]]) -> dict[str, float]:
    """Return half the interval that holds 95 % of the rows left out, of each quantity and of all; none of one size."""
    finite = {name: np.array(values)[np.isfinite(values)] for name, values in off.items()}
    everything = np.concatenate(list(finite.values()))
    if not len(everything):
        return {}
    wide = {name: values for name, values in finite.items() if len(values) >= FEW}
    return {name: _half(values) for name, values in {**wide, "all": everything}.items()}


def _half(off: F64) -> float:
    """Return what 95 % of the errors keep within; with few of them, the quantile is taken further out."""
    share = min(1.0, 0.95 * (1 + 1 / len(off)))
    return round(max(float(np.quantile(np.abs(off), share)), assumed_scatter("least")), 4)


def _number(value: float) -> float:
    return float(f"{value:.4g}")


def _unit(family: str, value: float) -> str:
    if family.endswith(("/rss_kb", "/process", "/bytes")):
        return "B"
    return next((unit for unit in ("s", "ms", "us") if value >= IN_SI[unit] / 10), "ns")


def rendered(found: Mapping[str, Mapping[str, Any]], source: str, sink: dict[str, dict[str, Any]]) -> None:
    """Put fitted coefficients into ``sink``, families of a profile, each in the unit that reads best."""
    for family, coefficients in found.items():
        there = sink.setdefault(family, {})
        for name, (value, low, high, most) in coefficients.items():
            unit = _unit(family, value or high)
            triple = [_number(x / IN_SI[unit]) for x in (value, low, high)]
            triple = [triple[0], min(triple[0], triple[1]), max(triple[0], triple[2])]
            old = there.get(name, {})
            kept = {k: old[k] for k in ("quiet", "cold", "note") if k in old and unit == old.get("unit")}
            which = "typical" if "quiet" in kept or "typical" in old else "both"
            there[name] = {"unit": unit, which: triple, **kept, "source": source}
            if most > 1:
                there[name]["measured_to"] = _number(most)


def event_costs(records: list[Record], profile: CostProfile) -> dict[str, dict[str, Any]]:
    """Return what only running nodes tell: CPU of decoded events, and a change's way through the control plane."""
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    nothing = {"control plane": 0.0, "events": 0.0}

    def price(asked: Question, chosen: CostProfile) -> float:
        known = nothing.get(asked.parts[0].part)
        return priced(asked, chosen) if known is None else known

    for mode in sorted({record.mode for record in records}):
        rest = {
            quantity: [
                (r, r.measured - latency(r, profile, price))
                for r in records
                if (r.mode, r.quantity) == (mode, quantity)
            ]
            for quantity in ("go_cpu_s", "p50_s", "p90_s")
        }
        events = np.array([left / (r.number("changes_per_s") * r.number("seconds")) for r, left in rest["go_cpu_s"]])
        ways = np.array([left for quantity in ("p50_s", "p90_s") for _, left in rest[quantity]])
        for family, name, values in ((f"{mode}/cpu", "change_decoded", events), (mode, "change_delivered", ways)):
            if len(values):
                middle = max(float(np.median(values)), 0.0)
                low, high = max(float(values.min()), 0.0), max(float(values.max()), 0.0)
                found[family][name] = (middle, min(low, middle), max(high, middle), 0.0)
    return found


def scatter_of_latencies(records: list[Record], profile: CostProfile) -> dict[str, dict[str, float]]:
    """Return how far running nodes were off, by mode and quantity; rows are few, so modes stand together."""
    off: dict[str, list[float]] = defaultdict(list)
    for record in records:
        try:
            guess = latency(record, profile, priced)
        except Unspoken:
            continue
        if guess > 0 and record.measured > 0:
            off[scatter_key(record)].append(float(np.log(record.measured / guess)))
    halves = {quantity: _half(np.array(values)) for quantity, values in off.items() if values}
    return dict.fromkeys(sorted({record.mode for record in records}), halves)
