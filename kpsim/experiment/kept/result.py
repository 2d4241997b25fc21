"""A result is read back from its run directory, so that a run of before is told as runs are told now.

Numbers have the nine digits that files keep.  Older runs lack what was not kept then; the parts that are missing are
named, and everything else is as it was found.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from kpsim.errors import InputError, Place, Problem
from kpsim.experiment.answers.limits import Limit
from kpsim.experiment.kept.reading import SUMMARY, KeptRun
from kpsim.experiment.observing.control import BINS, control_load
from kpsim.experiment.result import (
    Cdf,
    ChangeStage,
    Comparison,
    ControlLoad,
    EventCourse,
    EventOutcome,
    LoadPoint,
    ModeResult,
    PositionBin,
    Result,
    Swing,
    SyncPoint,
    ThresholdVerdict,
)
from kpsim.measure.summary import Estimate, Summary
from kpsim.scenario.model import Scenario, Threshold

Row = Mapping[str, Any]
Made = TypeVar("Made")
NONE = np.zeros(0, np.int64)
NO_COURSE = EventCourse(np.zeros(0), NONE, NONE, NONE, NONE, None)


def result_of(kept: KeptRun) -> tuple[Result, tuple[str, ...]]:
    """Return the result that a run directory holds, and the parts that it lacks.

    Raises :class:`InputError` for a summary that is not one of kpsim's, or without its scenario.
    """
    scenario = kept.scenario()
    try:
        return _read(kept, scenario)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"is not a summary that can be told anew: {type(error).__name__} {error}"
        mend = f"run it again: kpsim run {kept.place}/scenario.resolved.yaml"
        raise InputError([Problem(Place(str(kept.place / SUMMARY)), what=what, mend=mend)]) from None


def _read(kept: KeptRun, scenario: Scenario) -> tuple[Result, tuple[str, ...]]:
    summary, lacks = kept.summary, []
    tables = {name: _table(kept.place / f"{name}.csv") for name in ("cdf", "control", "courses")}
    modes = {name: _mode(name, found, tables) for name, found in summary["modes"].items()}
    asked = {
        "distributions (cdf.csv)": tables["cdf"],
        "the control plane over time (control.csv)": tables["control"],
        "intervals by prices": any(found.priced for found in modes.values()),
        "coefficients that move the answer": any(found.swings for found in modes.values()),
        "stages of a change": any(found.stages for found in modes.values()) or not _changes(modes),
        "Pods over the time of an event (courses.csv)": tables["courses"] or not scenario.events,
    }
    lacks += [name for name, there in asked.items() if not there]
    cluster = summary["cluster"]
    result = Result(
        scenario=scenario,
        modes=modes,
        comparisons=tuple(map(_comparison, summary.get("comparisons", ()))),
        limits=tuple(_made(Limit, row) for row in summary.get("limits", ())),
        verdicts=tuple(map(_verdict, summary.get("thresholds", ()))),
        services=cluster["services"],
        service_ports=cluster["service_ports"],
        endpoints=cluster["endpoints"],
        nodes=cluster["nodes"],
        engine=summary["engine"]["name"],
        engine_reason=summary["engine"]["reason"],
        warnings=tuple(summary.get("warnings", ())),
        assumptions=tuple((each["id"], each["text"]) for each in summary.get("assumptions", ())),
        provenance={str(key): str(value) for key, value in kept.provenance.items()},
        complete=bool(summary.get("complete", True)),
        control=_control(scenario, tables["control"]),
        runs=summary.get("runs", scenario.run.replications),
    )
    return result, tuple(lacks)


def _changes(modes: Mapping[str, ModeResult]) -> bool:
    return any("network_programming_true" in found.summaries for found in modes.values())


def _mode(name: str, found: Row, tables: Mapping[str, list[dict[str, str]]]) -> ModeResult:
    summaries = {measure: _summary(measure, each) for measure, each in found["summaries"].items()}
    priced = {measure: _estimates(each.get("profile", {})) for measure, each in found["summaries"].items()}
    rates = {rate: {"mean": each} for rate, each in _estimates(found.get("rates_profile", {})).items()}
    courses = [row for row in tables["courses"] if row["mode"] == name]
    return ModeResult(
        mode=name,
        summaries=summaries,
        cdfs=_cdfs([row for row in tables["cdf"] if row["mode"] == name]),
        counts=_estimates(found.get("counts", {})),
        rates=_estimates(found.get("rates", {})),
        by_position=_each(PositionBin, found, "by_position"),
        position_fixed_s=_known(found.get("position_fixed_s")),
        position_slope_s=_known(found.get("position_slope_s")),
        sync_curve=_each(SyncPoint, found, "sync_curve"),
        load_curve=_each(LoadPoint, found, "load_curve"),
        capacity_per_s=_known(found.get("capacity_per_s")),
        rules=found["rules"],
        extrapolations=tuple(found.get("extrapolations", ())),
        events=tuple(_event(row, i, courses) for i, row in enumerate(found.get("events", ()))),
        stages=_each(ChangeStage, found, "stages"),
        priced={measure: each for measure, each in priced.items() if each} | rates,
        swings={measure: tuple(_made(Swing, row) for row in rows) for measure, rows in found.get("swings", {}).items()},
        sync_parts={
            kind: tuple((part, share) for part, share in parts) for kind, parts in found.get("sync_parts", {}).items()
        },
    )


def _made(kind: Callable[..., Made], row: Row) -> Made:
    """Return a record from the keys of a row that are its fields."""
    names = {each.name for each in fields(kind)}  # type: ignore[arg-type]  # it is a dataclass
    return kind(**{name: value for name, value in row.items() if name in names})


def _each(kind: Callable[..., Made], found: Row, key: str) -> tuple[Made, ...]:
    return tuple(_made(kind, row) for row in found.get(key, ()))


def _known(value: Any) -> float:
    """Return a number; what was not finite was written as nothing."""
    return float("inf") if value is None else float(value)


def _estimate(found: Any) -> Estimate | None:
    if isinstance(found, int | float) and not isinstance(found, bool):
        return Estimate(found)
    if not isinstance(found, dict) or found.get("value") is None:
        return None
    return Estimate(found["value"], found.get("low"), found.get("high"), bool(found.get("at_least")))


def _estimates(found: Row) -> dict[str, Estimate]:
    return {name: each for name, value in found.items() if (each := _estimate(value)) is not None}


def _sure(found: Any) -> Estimate:
    each = _estimate(found)
    return Estimate(float("nan")) if each is None else each


def _summary(measure: str, found: Row) -> Summary:
    return Summary(
        measure=measure,
        unit=found["unit"],
        n=found["n"],
        mean=_sure(found["mean"]),
        min=_known(found["min"]),
        max=_known(found["max"]),
        quantiles=_estimates(found["quantiles"]),
        batches=found["batches"],
        unfinished=found.get("unfinished", 0),
    )


def _comparison(row: Row) -> Comparison:
    known = {name: row[name] for name in ("measure", "statistic", "mode", "against")}
    return Comparison(
        **known, difference=_sure(row["difference"]), ratio=_sure(row["ratio"]), prices=_estimate(row.get("prices"))
    )


def _verdict(row: Row) -> ThresholdVerdict:
    found, profile = (_estimate(row.get(name)) for name in ("found", "profile"))
    return ThresholdVerdict(_made(Threshold, row), row["mode"], found, row.get("passed"), profile)


def _event(row: Row, number: int, courses: Iterable[Mapping[str, str]]) -> EventOutcome:
    named = ("connections", "packets", "window_s")
    course = _course([each for each in courses if each["event"] == str(number)])
    return _made(EventOutcome, {**row, **{name: _sure(row[name]) for name in named}, "course": course})


def _course(rows: list[Mapping[str, str]]) -> EventCourse:
    if not rows:
        return NO_COURSE
    old, new, starting, ending = (
        np.array([int(row[name]) for row in rows]) for name in ("old_ready", "new_ready", "starting", "terminating")
    )
    first = rows[0]["errors_from_s"]
    errors = (float(first), float(rows[0]["errors_until_s"])) if first else None
    return EventCourse(np.array([float(row["time_s"]) for row in rows]), old, new, starting, ending, errors)


def _cdfs(rows: list[dict[str, str]]) -> dict[str, Cdf]:
    points: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        points.setdefault(row["measure"], []).append((float(row["value"]), float(row["share"])))
    return {measure: Cdf(*np.array(each).T) for measure, each in points.items()}


def _control(scenario: Scenario, rows: list[dict[str, str]]) -> ControlLoad | None:
    if not rows:
        return None
    names = ("writes_per_s", "endpoints_writes_per_s", "bytes_per_s")
    rates = np.array([[float(row[name]) for row in rows] for name in names])
    return control_load(scenario, [rates * scenario.run.duration_s / BINS])


def _table(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
