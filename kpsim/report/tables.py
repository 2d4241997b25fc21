"""A result as plain data: one JSON document and seven CSV tables, the same bytes for the same result.

Left out on purpose: times of day, the command line and whatever else differs between two runs that found the same.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kpsim.errors import inert_cell
from kpsim.experiment.answers.cautions import marks
from kpsim.experiment.result import EventOutcome, Load, ModeResult, Result, ThresholdVerdict
from kpsim.measure.summary import Estimate, Summary
from kpsim.report.answers.objectives import standing
from kpsim.report.verdict import answer

if TYPE_CHECKING:  # a run has no frames, and need not wait a fifth of a second for them
    import pandas as pd

_DIGITS = 9
_NOT_RESULTS = frozenset({"command"})  # provenance that says how it was asked, not what was found


def _number(value: float | None) -> float | None:
    if value is None or isinstance(value, int):
        return value
    return float(f"{float(value):.{_DIGITS}g}") if math.isfinite(value) else None


def _estimate(found: Estimate | None) -> dict[str, float | bool | None] | None:
    if found is None:
        return None
    numbers = {"value": _number(found.value), "low": _number(found.low), "high": _number(found.high)}
    return numbers | ({"at_least": True} if found.at_least else {})


def _record(value: Any) -> dict[str, Any]:
    """Return a frozen dataclass of plain fields as a dictionary."""
    each = ((f.name, getattr(value, f.name)) for f in fields(value))
    return {name: _number(x) if isinstance(x, float) else x for name, x in each}


def summary_document(result: Result) -> dict[str, Any]:
    """Return everything found but the distributions (those are in ``cdf.csv``), ready for ``json.dumps``."""
    said = answer(result)
    return {
        "apiVersion": "kpsim/v1alpha1",
        "kind": "Summary",
        "scenario": result.scenario.name,
        "answer": {
            "question": said.question.value,
            "sentence": said.sentence,
            "more": list(said.more),
            "headroom": said.headroom,
            "change": said.change,
            "recommended": said.recommended,
            "standing": said.standing,
        },
        "complete": result.complete,
        "runs": result.runs,
        "passed": result.passed,
        "cluster": {
            "services": result.services,
            "service_ports": result.service_ports,
            "endpoints": result.endpoints,
            "nodes": result.nodes,
        },
        "engine": {"name": result.engine, "reason": result.engine_reason},
        "thresholds": [_verdict_record(v) for v in result.verdicts],
        "limits": [_record(limit) | {"share": _number(limit.share)} for limit in result.limits],
        "modes": {mode: _mode_document(result, found) for mode, found in result.modes.items()},
        "comparisons": [
            {
                "measure": c.measure,
                "statistic": c.statistic,
                "mode": c.mode,
                "against": c.against,
                "difference": _estimate(c.difference),
                "ratio": _estimate(c.ratio),
                "prices": _estimate(c.prices),
            }
            for c in result.comparisons
        ],
        "warnings": list(result.warnings),
        "assumptions": [{"id": name, "text": text} for name, text in result.assumptions],
        "provenance": {key: value for key, value in result.provenance.items() if key not in _NOT_RESULTS},
    }


def _verdict_record(verdict: ThresholdVerdict) -> dict[str, Any]:
    threshold = verdict.threshold
    stands = standing(verdict)
    return _record(threshold) | {
        "mode": verdict.mode,
        "found": _estimate(verdict.found),
        "profile": _estimate(verdict.profile),
        "combined": _estimate(verdict.combined),
        "standing": stands,
        "passed": {"met": True, "failed": False}.get(stands),
    }


def _mode_document(result: Result, found: ModeResult) -> dict[str, Any]:
    return {
        "marks": list(marks(result.scenario, found, result.limits)),
        "rules": found.rules,
        "capacity_per_s": _number(found.capacity_per_s),
        "position_fixed_s": _number(found.position_fixed_s),
        "position_slope_s": _number(found.position_slope_s),
        "summaries": {n: _summary_document(each) | _priced(found, n) for n, each in found.summaries.items()},
        "counts": {name: _estimate(each) for name, each in found.counts.items()},
        "rates": {name: _estimate(rate) for name, rate in found.rates.items()},
        "rates_profile": {n: _estimate(found.priced[n].get("mean")) for n in found.rates if n in found.priced},
        "by_position": [_record(each) for each in found.by_position],
        "sync_curve": [_record(each) for each in found.sync_curve],
        "load_curve": [_record(each) for each in found.load_curve],
        "extrapolations": list(found.extrapolations),
        "sync_parts": {kind: [[n, _number(share)] for n, share in each] for kind, each in found.sync_parts.items()},
        "stages": [_record(stage) for stage in found.stages],
        "swings": {name: [_record(each) for each in swings] for name, swings in found.swings.items()},
        **({"loads": [_load_record(each) for each in found.loads]} if found.loads else {}),
        **({"events": [_event_record(each) for each in found.events]} if found.events else {}),
    }


def _load_record(load: Load) -> dict[str, Any]:
    return {**_record(load), "ratio": _estimate(load.ratio)}


def _event_record(outcome: EventOutcome) -> dict[str, Any]:
    """Return an event without its course, which is drawn."""
    left_out = {"course", "window_s", *(() if outcome.unusable_for else ("unusable_s", "unusable_for"))}
    record = {f.name: getattr(outcome, f.name) for f in fields(outcome) if f.name not in left_out}
    numbers = {name: _number(x) if isinstance(x, float) else x for name, x in record.items()}
    each = {name: _estimate(getattr(outcome, name)) for name in ("connections", "packets", "window_s")}
    return numbers | each


def _summary_document(summary: Summary) -> dict[str, Any]:
    return {
        "unit": summary.unit,
        "n": summary.n,
        **({"unfinished": summary.unfinished} if summary.unfinished else {}),
        "batches": summary.batches,
        "mean": _estimate(summary.mean),
        "min": _number(summary.min),
        "max": _number(summary.max),
        "quantiles": {name: _estimate(found) for name, found in summary.quantiles.items()},
    }


def _priced(found: ModeResult, measure: str) -> dict[str, Any]:
    """Return the intervals by the profile's prices, beside those by sampling."""
    each = found.priced.get(measure)
    return {"profile": {name: _estimate(value) for name, value in each.items()}} if each else {}


Row = Sequence[object]


def _summaries(result: Result) -> Iterator[Row]:
    yield ("mode", "measure", "unit", "n", "batches", "statistic", "value", "low", "high", "at_least")
    for mode, found in result.modes.items():
        for name, summary in found.summaries.items():
            ends = {
                "mean": summary.mean,
                **summary.quantiles,
                "min": summary.statistic("min"),
                "max": summary.statistic("max"),
            }
            for statistic, value in ends.items():
                if value is not None:
                    numbers = (value.value, value.low, value.high, value.at_least)
                    yield (mode, name, summary.unit, summary.n, summary.batches, statistic, *numbers)


def _records(result: Result, attribute: str, columns: Sequence[str]) -> Iterator[Row]:
    yield ("mode", *columns)
    for mode, found in result.modes.items():
        for each in getattr(found, attribute):
            yield (mode, *(getattr(each, column) for column in columns))


def _cdfs(result: Result) -> Iterator[Row]:
    yield ("mode", "measure", "value", "share")
    for mode, found in result.modes.items():
        for name, cdf in found.cdfs.items():
            for value, share in zip(cdf.value.tolist(), cdf.share.tolist(), strict=True):
                yield (mode, name, value, share)


def _control(result: Result) -> Iterator[Row]:
    """Yield the control plane's writes and bytes by stretch of time."""
    names = ("time_s", "writes_per_s", "endpoints_writes_per_s", "bytes_per_s")
    yield names
    if result.control is not None:
        yield from zip(*(getattr(result.control, name).tolist() for name in names), strict=True)


def _courses(result: Result) -> Iterator[Row]:
    """Yield each event's Pods by state over time, and between which times packets met Pods that were gone."""
    names = ("time_s", "old_ready", "new_ready", "starting", "terminating")
    yield ("mode", "event", *names, "errors_from_s", "errors_until_s")
    for mode, found in result.modes.items():
        for number, outcome in enumerate(found.events):
            steps = zip(*(getattr(outcome.course, name).tolist() for name in names), strict=True)
            for step in steps:
                yield (mode, number, *step, *(outcome.course.errors_s or ("", "")))


def _tables(result: Result) -> Mapping[str, Iterable[Row]]:
    position = ("position", "n", "mean_s", "p10_s", "p90_s")
    sync = ("kind", "services", "rules", "seconds", "low_s", "high_s", "extrapolated")
    load = ("offered_per_s", "delivered_per_s", "utilisation", "first_packet_p99_s")
    return {
        "summaries.csv": _summaries(result),
        "by_position.csv": _records(result, "by_position", position),
        "sync_curve.csv": _records(result, "sync_curve", sync),
        "load_curve.csv": _records(result, "load_curve", load),
        "cdf.csv": _cdfs(result),
        "control.csv": _control(result),
        "courses.csv": _courses(result),
    }


TABLES = (
    "summaries.csv", "by_position.csv", "sync_curve.csv", "load_curve.csv", "cdf.csv", "control.csv", "courses.csv",
)  # fmt: skip


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.{_DIGITS}g}" if math.isfinite(value) else ""
    if isinstance(value, str):
        return inert_cell(value)
    return "" if value is None else value


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """Write a frame as CSV that no spreadsheet takes for anything but values."""
    texts = frame.map(lambda value: inert_cell(value) if isinstance(value, str) else value)
    texts.set_axis([inert_cell(str(name)) for name in frame.columns], axis=1).to_csv(path, index=False)


def table_text(result: Result, name: str) -> str:
    """Return the text of one CSV table."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_cell(value) for value in row] for row in _tables(result)[name])
    return text.getvalue()


def write_tables(result: Result, directory: Path) -> list[Path]:
    """Write the CSV tables into ``directory``, which is made if need be; a table without rows has only its header."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in TABLES:
        (directory / name).write_text(table_text(result, name), encoding="utf-8", newline="\n")
    return [directory / name for name in TABLES]
