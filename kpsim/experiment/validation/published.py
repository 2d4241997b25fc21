"""Published records follow from structure (rules, processes) or from a cost, with a study's own fixed part and factor.

``studies.yaml`` says which cost, and on which of its records a study is fitted; the rest of them is predicted.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import resources
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np

from kpsim.calibration.records import Record, read_records
from kpsim.experiment.validation.arithmetic import counted
from kpsim.experiment.validation.setups import SCALE, Question, Unspoken, sync_question
from kpsim.experiment.validation.sizes import Size
from kpsim.profiles.costs import CostProfile, load_profile
from kpsim.profiles.shipped import parse_yaml
from kpsim.profiles.terms import Counts, Part, work

PACKETS = "linux-6.18-zen3"  # syncs and packets on one machine, for whatever machine a study had
UNITS = {
    **SCALE,
    "MiB": 2.0**20,
    "rules": 1.0,
    "calls": 1.0,
    "cores": 1.0,
    "req/s": 1.0,
    "requests_per_s (axis unlabelled)": 1.0,
}
WHOLE = ("go", "iptables", "save", "list", "restore")
GRID = 200
LEAST, MOST, HALVINGS = 1e-4, 1e4, 60  # of a study's factor
COUNTED = ("bytes", "lines")
WITH, WITHOUT = "pod2svc", "pod2pod"


@cache
def studies() -> list[dict[str, Any]]:
    """Return the studies as they are written."""
    text = resources.files("kpsim.calibration").joinpath("studies.yaml").read_text(encoding="utf-8")
    found: list[dict[str, Any]] = parse_yaml(text)
    return found


@cache
def shipped_studies() -> tuple[Record, ...]:
    """Return the published records that ship."""
    return tuple(read_records(Path(str(resources.files("kpsim.calibration"))) / "records" / "published.yaml"))


def study_of(record: Record) -> dict[str, Any] | None:
    """Return the study that a record is of, ``None`` where none is known; a study without quantities is of all."""
    return next(
        (
            s
            for s in studies()
            if record.id.startswith(s["prefix"]) and record.quantity == s.get("quantity", record.quantity)
        ),
        None,
    )


def fitted_on(record: Record) -> bool:
    """Return True if a study's fixed part or factor was fitted on the record."""
    return any(record.id in study.get("fit", ()) for study in studies()) or record.setup.get("variant", "").startswith(
        WITHOUT
    )


def published(record: Record, named: CostProfile | None) -> float:
    """Return the predicted value of a published record, in its unit."""
    study = study_of(record)
    if study is not None and "unspoken" in study:
        raise Unspoken(study["unspoken"])
    count = counted(record, study)
    if count is not None:
        return count
    if study is None or study["cost"] in COUNTED:
        raise Unspoken(_reason(record))
    if study["cost"] == "as without":
        return _without_service(record)
    if record.setup.get("variant", "") not in (study.get("variant", ""), *_percentiles(study)):
        raise Unspoken(_reason(record))
    profile = named or _profile_of(study)
    fixed, factor = _fitted(study, named) if named else _fitted_as_shipped(studies().index(study))
    value = fixed + _cost(record, study, profile, factor)
    scale = UNITS.get(record.unit, 1.0)
    value *= float(study.get("per_s", 1.0))
    return 1 / value / scale if study.get("rate") else value / scale


def _without_service(record: Record) -> float:
    """Return what was measured without the Service: a line that is full of packets of known flows does not see one."""
    other = record.id.replace(WITH, WITHOUT)
    found = next((each.measured for each in shipped_studies() if each.id == other), None)
    if found is None:
        raise Unspoken("no record here says what the line carries without a Service")
    return found


def _percentiles(study: dict[str, Any]) -> tuple[str, ...]:
    return ("p01", "p50", "p90", "p99") if study["cost"] == "percentile" else ()


def _reason(record: Record) -> str:
    if (
        record.quantity.endswith(("threshold", "slo", "defaults", "config"))
        or record.quantity == "scalability_threshold"
    ):
        return "a limit or a setting somebody chose, no measurement"
    if record.mode == "controlplane":
        return "a whole cluster's control plane: kpsim run predicts it from a scenario, no closed form here"
    return f"{record.quantity} under {record.mode}: its machine or load is not told, or no study here fits it"


def _fitted(study: dict[str, Any], profile: CostProfile) -> tuple[float, float]:
    """Return a study's fixed part [s] and factor, from the records it is fitted on."""
    by_id = {record.id: record for record in shipped_studies()}
    rows = [by_id[each] for each in study["fit"]]
    if not rows:
        return 0.0, 1.0
    measured = [row.measured * UNITS.get(row.unit, 1.0) for row in rows]
    seconds = [1 / value if study.get("rate") else value / study.get("per_s", 1.0) for value in measured]

    if study.get("shift"):
        return seconds[0] - _cost(rows[0], study, profile, 1.0), 1.0

    def short(factor: float) -> float:
        costs = [_cost(row, study, profile, factor) for row in rows]
        return seconds[-1] - costs[-1] - (seconds[0] - costs[0] if len(rows) > 1 else 0.0)

    factor = _root(short)
    return (seconds[0] - _cost(rows[0], study, profile, factor) if len(rows) > 1 else 0.0), factor


@cache
def _fitted_as_shipped(index: int) -> tuple[float, float]:
    """Return the fixed part and the factor of a study under the profile it is told by: many records ask for them."""
    study = studies()[index]
    return _fitted(study, _profile_of(study))


def _profile_of(study: dict[str, Any]) -> CostProfile:
    """Return the profile that a study names: that of its kernels, where one is known."""
    return load_profile(study.get("profile", PACKETS))


def _root(short: Callable[[float], float]) -> float:
    """Return the factor at which nothing is missing: more of it is never less."""
    low, high = LEAST, MOST
    for _ in range(HALVINGS):
        middle = sqrt(low * high)
        low, high = (middle, high) if short(middle) > 0 else (low, middle)
    return sqrt(low * high)


def _price(asked: Question, profile: CostProfile) -> float:
    total = 0.0
    for part in asked.parts:
        family = f"{part.family}/{asked.aspect}" if asked.aspect else part.family
        known = profile.text.families.get(family, {})
        done = work(part, asked.counts, asked.aspect)
        if done is None or any(count and name not in known for name, count in done.items()):
            raise Unspoken(f"{part.part} under {part.family} has no price in {profile.name}")
        total += sum(count * known[name].resolve(name, "typical").value for name, count in done.items() if count)
    return total


def _family(record: Record) -> str:
    return "iptables-legacy" if record.mode == "iptables" else record.mode


def _size(record: Record) -> Size:
    n = record.number("services")
    return Size(n, record.number("endpoints_total") or n * record.number("endpoints_per_service", 1.0), 1.0)


def _cost(record: Record, study: dict[str, Any], profile: CostProfile, factor: float) -> float:
    """Return what a record costs on the profile's machine, with what grows times a study's own factor [s, B]."""
    once, growing = _costs(record, study, profile, factor)
    return once + factor * growing


def _costs(record: Record, study: dict[str, Any], profile: CostProfile, factor: float) -> tuple[float, float]:
    """Return what is paid once, and what the factor multiplies; a percentile has the factor in it."""
    family, size, kind = study.get("family") or _family(record), _size(record), study["cost"]
    packet = Part("udp_first", family)
    if kind == "percentile":
        return _percentile(record, packet, size.services, profile, factor), 0.0
    if kind == "connection":
        once = _price(Question((packet,), _way(0.0)), profile)
        return once, _price(Question((packet,), _way(size.services / 2 * study.get("rules", 1))), profile) - once
    if kind == "restore":
        before = {
            "rules": record.number("rules_before"),
            "dispatch": 0.0,
            "dispatch_steps": 0.0,
            "one": 1.0,
            "changed_rules": 0.0,
        }
        added = {"rules": record.number("rules_added"), "one": 1.0}
        there = _price(Question((Part("restore", family),), before), profile) if before["rules"] else 0.0
        return 0.0, there + _price(Question((Part("restore", family, "start"),), added), profile)
    if kind == "append":
        return 0.0, _price(Question((Part("append", family),), {"one": 1.0, "rules": record.number("rules")}), profile)
    if kind == "memory":
        return 0.0, _price(sync_question(family, (1, 32), size, "full", ("memory",), "rss_kb"), profile)
    parts = ("restore",) if record.quantity == "iptables_restore_time" else WHOLE
    return 0.0, _price(sync_question(family, (1, 32), size, study.get("kind", "start"), parts, ""), profile)


def _way(rank: float) -> Counts:
    return {"one": 1.0, "rank": rank, "tried": 0.0, "doublings": 0.0}


def _percentile(record: Record, packet: Part, services: float, profile: CostProfile, factor: float) -> float:
    """Return a percentile over Services at random ranks, each packet times a draw of the profile's own variation."""
    once, deep = (_price(Question((packet,), _way(rank)), profile) for rank in (0.0, services))
    varied = profile.text.variation["packet_first"]["typical"]
    shares, ratios = np.array(sorted((float(k), float(v)) for k, v in varied.items())).T
    grid = (np.arange(GRID) + 0.5) / GRID
    packets = np.outer(once + factor * (deep - once) * grid, np.interp(grid, shares, ratios))
    return float(np.percentile(packets, float(record.setup["variant"][1:])))
