"""Two documents, or the results of two runs, are laid side by side: what differs, and by how much."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kpsim.measure.summary import MEASURES, Estimate

STATISTICS = ("mean", "p50", "p99")
ABSENT = "nothing"


@dataclass(frozen=True, slots=True)
class Change:
    """One place of two documents that differs, and what stands there in each, as JSON."""

    path: str
    was: str
    now: str


@dataclass(frozen=True, slots=True)
class Difference:
    """A number of two runs and their difference; ``told_apart`` is False where its interval holds zero.

    ``told_apart`` is None where one of the two has no interval; ``statistic`` is "" of what is counted, not measured.
    """

    mode: str
    measure: str
    statistic: str
    unit: str
    was: Estimate
    now: Estimate
    difference: Estimate
    told_apart: bool | None


def changes(was: object, now: object, path: str = "") -> Iterator[Change]:
    """Yield every leaf that differs between two documents of plain data.

    >>> [change.path for change in changes({"a": {"b": 1}, "c": [1, 2]}, {"a": {"b": 2}, "c": [1]})]
    ['a.b', 'c[1]']
    """
    if isinstance(was, dict) and isinstance(now, dict):
        for key in dict.fromkeys([*was, *now]):
            below = f"{path}.{key}" if path else str(key)
            yield from changes(was.get(key, _NOTHING), now.get(key, _NOTHING), below)
    elif isinstance(was, list) and isinstance(now, list):
        for index in range(max(len(was), len(now))):
            before, after = (each[index] if index < len(each) else _NOTHING for each in (was, now))
            yield from changes(before, after, f"{path}[{index}]")
    elif was is not now and (type(was) is not type(now) or was != now):
        yield Change(path, _shown(was), _shown(now))


_NOTHING = object()


def _shown(value: object) -> str:
    return ABSENT if value is _NOTHING else json.dumps(value, ensure_ascii=False)


def differences(was: Mapping[str, Any], now: Mapping[str, Any], modes: Mapping[str, str]) -> Iterator[Difference]:
    """Yield what was measured in both of two summaries; ``modes`` pairs the modes of the first with the second's.

    The intervals of a difference are those of two runs that know nothing of each other: where they had the same seed
    the truth is narrower.
    """
    for mode, other in modes.items():
        first, second = was["modes"][mode], now["modes"][other]
        label = mode if mode == other else f"{mode} → {other}"
        for name, summary in first.get("summaries", {}).items():
            there = second.get("summaries", {}).get(name)
            for statistic in STATISTICS if there else ():
                pair = [_statistic(each, statistic) for each in (summary, there)]
                yield from _compared(label, name, statistic, str(summary.get("unit", "")), pair)
        for name, found in first.get("rates", {}).items():
            pair = [_estimate(found), _estimate(second.get("rates", {}).get(name))]
            yield from _compared(label, name, "mean", _unit(name), pair)
        for name, statistic, unit in (("rules", "", ""), ("capacity_per_s", "mean", "/s")):
            yield from _compared(label, name, statistic, unit, [_exact(each.get(name)) for each in (first, second)])


def _compared(mode: str, name: str, statistic: str, unit: str, pair: list[Estimate | None]) -> Iterator[Difference]:
    was, now = pair
    if was is None or now is None or (was.value == now.value == 0):
        return
    by = now.value - was.value
    if was.low is None or was.high is None or now.low is None or now.high is None:
        exact = statistic == ""  # counted, not measured
        yield Difference(mode, name, statistic, unit, was, now, Estimate(by), (by != 0) if exact else None)
        return
    low = by - math.hypot(now.value - now.low, was.high - was.value)
    high = by + math.hypot(now.high - now.value, was.value - was.low)
    apart = not low <= 0 <= high
    yield Difference(mode, name, statistic, unit, was, now, Estimate(by, low, high), apart)


def _statistic(summary: Mapping[str, Any], name: str) -> Estimate | None:
    return _estimate(summary.get("mean") if name == "mean" else summary.get("quantiles", {}).get(name))


def _estimate(found: Any) -> Estimate | None:
    """Return an estimate as a summary has it; None for what is none, or only "at least" something."""
    if not isinstance(found, dict) or found.get("value") is None or found.get("at_least"):
        return None
    return Estimate(found["value"], found.get("low"), found.get("high"))


def _exact(value: Any) -> Estimate | None:
    return Estimate(value) if isinstance(value, int | float) else None


_RATE_UNITS = (("_bytes_per_s", "B/s"), ("_per_s", "/s"), ("_bytes", "B"), ("_s", "s"))


def _unit(name: str) -> str:
    return next((unit for ending, unit in _RATE_UNITS if name.endswith(ending)), "")


def title_of(measure: str) -> str:
    """Return a measure's name in words."""
    return MEASURES[measure].title.lower() if measure in MEASURES else measure.replace("_", " ")
