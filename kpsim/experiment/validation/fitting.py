"""Records become coefficients: every part that was timed alone is fitted, and rows left out say how far that is off."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kpsim.calibration.least_squares import fit, not_negative
from kpsim.calibration.records import CHURN, END_TO_END, KERNEL, PUBLISHED, Record
from kpsim.calibration.scatter import assumed_scatter, half_widths
from kpsim.experiment.validation.latency import latency
from kpsim.experiment.validation.prediction import group, priced, scatter_key
from kpsim.experiment.validation.setups import Question, Unspoken, question, read_early, tick_s, timer_bytes
from kpsim.profiles.costs import CostProfile
from kpsim.profiles.format import SCALE as IN_SI
from kpsim.profiles.terms import work
from kpsim.proxy.work import REWRITTEN
from kpsim.units import F64

DISTURBED = "disturbed"  # rows that something else slowed down: no fit takes them, but the next ones may be so too
SUMS = frozenset({"wall_s", "children_wall_s", "cpu_s"})  # of parts that are timed one by one too
_BY_SIZE = ("services", "kernel", "run")
_SET_UP = ("kernel", "run", "services", "endpoints", "position")
_CONFIGURATION = ("services", "endpoints", "endpoints_per_service", "version")
CLOCKS = ("user", "sys")  # what a process's time is told apart into, by ticks; their sum is counted without


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement as a sum, in SI: counts by aspect and coefficient, what was measured, what a record tells of it.

    ``alone``: of one part, so that a fit learns from it; ``blur`` is what its clock does not resolve.
    """

    record: Record
    counts: Mapping[tuple[str, str], float]
    measured: float
    told: float
    blur: float
    alone: bool = True


Rows = dict[tuple[str, str], list[Row]]  # by family, and an aspect, or "user+sys" of both clocks


def explained(records: Iterable[Record]) -> Rows:
    """Return what can be fitted, rows that share coefficients together."""
    found: Rows = defaultdict(list)
    for record in records:
        use = record.setup.get("use", "fit")
        if record.study in (CHURN, END_TO_END, PUBLISHED) or use not in ("fit", DISTURBED) or read_early(record):
            continue
        try:
            asked = question(record)
        except Unspoken:
            continue
        row = _row(record, asked)
        if row is not None:
            family, clocks = asked.parts[0].family, asked.aspect in CLOCKS
            found[family, "+".join(CLOCKS) if clocks else asked.aspect].append(row)
            if record.quantity == "list_wall_s":  # a listing is nothing but CPU, and was timed better than that was
                counts = {("cpu", name): count for (_, name), count in row.counts.items()}
                found[family, "cpu"].append(replace(row, counts=counts))
    for (_, aspect), rows in found.items():
        if aspect == "+".join(CLOCKS):
            rows.extend(_both_clocks(rows))
    return found


def _row(record: Record, asked: Question) -> Row | None:
    """Return a record as a sum, or ``None`` where there is nothing to learn."""
    if asked.exact is not None or not asked.parts:
        return None
    total: dict[tuple[str, str], float] = defaultdict(float)
    for part in asked.parts:
        if part.part == REWRITTEN:  # next to nothing of so few changed Services: its prices are told by full syncs
            continue
        done = work(part, asked.counts, asked.aspect)
        if done is None:
            return None
        for name, count in done.items():
            total[asked.aspect, name] += count
    measured, blur = record.measured * asked.scale, tick_s(record)
    use = record.setup.get("use")
    alone = (record.quantity not in SUMS or asked.parts[0].part == "sync") and use != DISTURBED
    if asked.aspect in CLOCKS:  # the mean of several readings is right where each counts a tick or none
        return Row(record, dict(total), record.number("mean", measured), measured, blur, alone)
    least = max(blur, assumed_scatter("timer_apart") * timer_bytes(record))
    if measured <= 0 or measured < least or not any(total.values()):
        return None
    measured = 1 / measured if asked.inverse else measured
    return Row(record, dict(total), measured, measured, blur, alone)


def _both_clocks(rows: list[Row]) -> list[Row]:
    """Return the sums of user and system time of the same commands: ticks share out a time that is counted exactly."""
    pairs: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        stem = row.record.quantity.partition(".")[0]
        pairs[(stem, *(row.record.setup.get(key, "") for key in _SET_UP))].append(row)
    return [
        Row(
            one.record,
            {**one.counts, **other.counts},
            one.measured + other.measured,
            np.nan,
            0.0 if one.record.setup.get("mean") else one.blur,
            one.alone and other.alone,
        )
        for one, other in (pair for pair in pairs.values() if len(pair) == len(CLOCKS))
        if one.measured + other.measured > 0
    ]


def families(rows: Rows) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, float]]]:
    """Return coefficients by family, and how far left-out rows were off by mode and quantity."""
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    off: dict[str, dict[str, list[tuple[float, str]]]] = defaultdict(lambda: defaultdict(list))
    for (family, _), all_rows in sorted(rows.items()):
        alone = [row for row in all_rows if row.alone]
        names = sorted({name for row in alone for name in row.counts})
        counts = np.array([[row.counts.get(name, 0.0) for name in names] for row in alone])
        measured, told, blur = (np.array([getattr(row, key) for row in alone]) for key in ("measured", "told", "blur"))
        fitted = fit(counts, measured, _groups([row.record for row in alone]), blur, told=told)
        values = dict(zip(names, zip(fitted.value, fitted.low, fitted.high, strict=True), strict=True))
        for name, most in zip(names, counts.max(axis=0), strict=True):
            found[f"{family}/{name[0]}" if name[0] else family][name[1]] = (*values[name], most)
        for row, left_out in zip(alone, fitted.left_out, strict=True):
            off[row.record.mode][group(row.record)].append((float(left_out), _size(row.record)))
        for row in all_rows:
            if not row.alone:
                guess = sum(values[name][0] * count for name, count in row.counts.items() if name in values)
                seen = 1.0 if row.record.setup.get("use") == DISTURBED else assumed_scatter("seen_sum")
                error = seen * float(np.log((row.told + row.blur) / (guess + row.blur))) if guess else np.nan
                off[row.record.mode][group(row.record)].append((error, _size(row.record)))
    return dict(found), {mode: half_widths(each) for mode, each in off.items()}


def _size(record: Record) -> str:
    return f"{record.setup.get('services', '')} {record.setup.get('run', '')}"


def _groups(records: list[Record]) -> F64:
    """Return a number for each configuration: rows of one are resampled and left out together.

    A table of commands and packets leaves out whole sizes, since those are what is asked for beyond the table.
    """
    keys = [tuple(r.setup.get(key, "") for key in (_BY_SIZE if r.study == KERNEL else _CONFIGURATION)) for r in records]
    order = {key: i for i, key in enumerate(sorted(set(keys)))}
    return np.array([order[key] for key in keys], np.float64)


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
            kept = {k: _in_unit(old[k], old["unit"], unit) for k in ("quiet", "cold") if k in old}
            kept |= {"note": old["note"]} if "note" in old else {}
            which = "typical" if "quiet" in kept or "typical" in old else "both"
            there[name] = {"unit": unit, which: triple, **kept, "source": source}
            if most > 1:
                there[name]["measured_to"] = _number(most)


def _in_unit(triple: list[float], old: str, new: str) -> list[float]:
    return [_number(x * IN_SI[old] / IN_SI[new]) for x in triple]


@dataclass(frozen=True, slots=True)
class Bare:
    """A running node's number as it would be without events: predicted, with how many syncs and changes there were."""

    record: Record
    value: float
    syncs: float
    changes: float

    @property
    def left(self) -> float:
        """Return how much of what was measured is events'."""
        return self.record.measured - self.value

    def with_events(self, costs: Mapping[str, Mapping[str, Any]]) -> float | None:
        """Return the number with what events cost, or ``None`` where nothing tells their cost."""
        mode, quantity = self.record.mode, self.record.quantity
        if self.record.study == END_TO_END:
            way = costs.get(mode, {}).get("change_delivered")
            return self.value + float(way[0]) if way else None
        if quantity not in ("cpu_s", "go_cpu_s"):
            return self.value
        told = costs.get(f"{mode}/cpu", {})
        if not told:
            return None
        decoded, accounted = (float(told[name][0]) for name in ("change_decoded", "sync_accounted"))
        return self.value + self.changes * decoded + self.syncs * accounted


def without_events(records: list[Record], profile: CostProfile) -> list[Bare]:
    """Return what running nodes would have shown without events, of records that the model speaks to."""
    nothing = {"control plane": 0.0, "events": 0.0}

    def price(asked: Question, chosen: CostProfile) -> float:
        known = nothing.get(asked.parts[0].part)
        return priced(asked, chosen) if known is None else known

    found = []
    for record in records:
        try:
            value = latency(record, profile, price)
            counted = record.quantity in ("cpu_s", "go_cpu_s")
            syncs = latency(replace(record, quantity="syncs"), profile, price) if counted else 0.0
        except Unspoken:
            continue
        found.append(Bare(record, value, syncs, record.number("changes_per_s") * record.number("seconds")))
    return found


def event_costs(bare: list[Bare]) -> dict[str, dict[str, Any]]:
    """Return what only running nodes tell: CPU of decoded events, and a change's way through the control plane."""
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for mode in sorted({each.record.mode for each in bare}):
        ways = [x.left for x in bare if x.record.mode == mode and x.record.quantity in ("p50_s", "p90_s")]
        if ways:
            low, middle, high = np.maximum(np.quantile(ways, [0.0, 0.5, 1.0]), 0.0)
            found[mode]["change_delivered"] = (middle, low, high, 0.0)
    running = [each for each in bare if each.record.quantity == "go_cpu_s"]
    if running:
        for mode, shared in _shared(running).items():
            found[f"{mode}/cpu"] |= shared
    return found


def _shared(running: list[Bare]) -> dict[str, dict[str, Any]]:
    """Return what a change and a sync add, whatever the mode; the ends are fits without a row."""
    columns = np.array([each.changes for each in running]), np.array([each.syncs for each in running])
    rest, measured = np.array([each.left for each in running]), np.array([each.record.measured for each in running])
    design, target = np.column_stack(columns) / measured[:, None], rest / measured
    kept = [np.arange(len(rest)) != out for out in range(-1, len(rest))]
    values = [not_negative(design[rows].T @ design[rows], design[rows].T @ target[rows]) for rows in kept if rows.any()]
    ends = zip(values[0], np.min(values, axis=0), np.max(values, axis=0), (c.max() for c in columns), strict=True)
    decoded, accounted = ((float(v), float(low), float(high), float(most)) for v, low, high, most in ends)
    told = {"change_decoded": decoded, "sync_accounted": accounted}
    return {mode: dict(told) for mode in sorted({"iptables-nft", *(each.record.mode for each in running)})}


def scatter_of_latencies(bare: list[Bare]) -> dict[str, dict[str, float]]:
    """Return how far running nodes were off without their own run, by quantity: of so few, modes stand together."""
    off: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for run in sorted({_run(each.record) for each in bare}):
        costs = event_costs([each for each in bare if _run(each.record) != run])
        for each in (each for each in bare if _run(each.record) == run):
            guess = each.with_events(costs)
            if guess is not None and guess > 0 and each.record.measured > 0:
                error = float(np.log(each.record.measured / guess))
                off[scatter_key(each.record)].append((error, each.record.id))
    halves = half_widths(off)
    del halves["all"]
    return dict.fromkeys(sorted({each.record.mode for each in bare}), halves)


def _run(record: Record) -> str:
    """Return the name of the run that a record was measured in."""
    return record.id.rpartition(":")[0]
