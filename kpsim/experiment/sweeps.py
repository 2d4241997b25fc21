"""Sweeps: one document under a grid of overrides, each point an experiment of its own, kept so that it can go on.

A point is known by the hash of its resolved scenario and of the model; what was computed before is read back.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import closing, suppress
from functools import lru_cache
from importlib.metadata import version
from itertools import product
from pathlib import Path

import pandas as pd

from kpsim.errors import InputError
from kpsim.experiment.answers.cautions import marks
from kpsim.experiment.guard import check_memory
from kpsim.experiment.replications import run_scenario
from kpsim.experiment.result import Result
from kpsim.experiment.workers import executing, finished, hands_of
from kpsim.measure.summary import Estimate
from kpsim.scenario.kinds import Look, identify
from kpsim.scenario.model import Scenario, Sweep
from kpsim.scenario.reader import read, read_sweep
from kpsim.scenario.resolved import write_resolved

COLUMNS = [
    "mode",
    "measure",
    "statistic",
    "value",
    "low",
    "high",
    "n",
    "at_least",
    "profile_low",
    "profile_high",
    "marks",
]
Point = tuple[tuple[str, str], ...]
Row = dict[str, object]


def grid(plan: Sweep) -> list[Point]:
    """Return every combination of the axes' values, last axis fastest."""
    names = [name for name, _ in plan.axes]
    return [tuple(zip(names, values, strict=True)) for values in product(*(values for _, values in plan.axes))]


def tidy(result: Result) -> list[Row]:
    """Return one row a mode, measure and statistic."""
    rows: list[Row] = []
    for mode, found in result.modes.items():
        beside = ", ".join(marks(result.scenario, found, result.limits))
        for name, summary in found.summaries.items():
            for statistic, e in {"mean": summary.mean, **summary.quantiles}.items():
                prices = found.priced.get(name, {}).get(statistic) or Estimate(e.value)
                ends = (prices.low, prices.high, beside)
                row = (mode, name, statistic, e.value, e.low, e.high, summary.n, e.at_least, *ends)
                rows.append(dict(zip(COLUMNS, row, strict=True)))
        for statistic, value in (("rules", found.rules), ("capacity_per_s", found.capacity_per_s)):
            rows.append(
                dict(
                    zip(
                        COLUMNS, (mode, "node", statistic, value, None, None, 1, False, None, None, beside), strict=True
                    )
                )
            )
    return rows


def sweep(
    given: str | Path | Look,
    sets: Sequence[tuple[str, str]] = (),
    overrides: Sequence[tuple[str, str]] = (),
    *,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
    cache: Path | None = None,
    most_bytes: float | None = None,
    executor: Executor | None = None,
) -> pd.DataFrame:
    """Run the grid of ``sets`` (or of the file's own ``sweep:``) and return a tidy table, a column an axis.

    ``overrides`` hold for every point.  Points found in ``cache`` are not run again, so that a sweep that was
    interrupted goes on where it was.
    Raises :class:`InputError` if any point is wrong, before the first is run.
    """
    look = given if isinstance(given, Look) else identify([given])
    plan = read_sweep(look, sets)
    if not plan.axes:
        raise InputError(
            f"{look.name}: nothing to sweep over; name an axis, e.g. --set services.small.count=100..10k:log:5"
        )
    points = grid(plan)
    scenarios = [read(look, [*overrides, *point]) for point in points]
    for scenario in scenarios:
        check_memory(scenario, most_bytes)
    tell = progress or (lambda _done, _total: None)
    found = _kept(cache, scenarios)
    tell(len(found), len(points))
    todo = {i: scenario for i, scenario in enumerate(scenarios) if i not in found}
    with closing(_run_points(todo, jobs, executor)) as computed:
        for i, rows in computed:
            found[i] = rows
            _keep(cache, scenarios[i], rows)
            tell(len(found), len(points))
    table = pd.DataFrame([{**_typed(point), **row} for i, point in enumerate(points) for row in found[i]])
    return table[[*(name for name, _ in plan.axes), *COLUMNS]]


def _kept(cache: Path | None, scenarios: Sequence[Scenario]) -> dict[int, list[Row]]:
    """Return the points that were computed before; one that cannot be read is computed again."""
    found: dict[int, list[Row]] = {}
    for i, scenario in enumerate(scenarios if cache else ()):
        assert cache is not None
        with suppress(OSError, ValueError):
            found[i] = json.loads((cache / f"{_key(scenario)}.json").read_text(encoding="utf-8"))
    return found


def _keep(cache: Path | None, scenario: Scenario, rows: list[Row]) -> None:
    """Keep a point for next time, whole or not at all; where there is no room for it, do without."""
    if cache is None:
        return
    place = cache / f"{_key(scenario)}.json"
    with suppress(OSError):
        cache.mkdir(parents=True, exist_ok=True)
        beside = place.with_suffix(f".{os.getpid()}")
        beside.write_text(json.dumps(rows), encoding="utf-8")
        beside.replace(place)


def _run_points(
    todo: Mapping[int, Scenario], jobs: int, executor: Executor | None
) -> Generator[tuple[int, list[Row]], None, None]:
    """Points as they are done, the largest started first so that no worker ends up alone with it."""
    largest_first = sorted(todo, key=lambda i: -sum(g.count for g in todo[i].groups))
    with executing(jobs, executor) as chosen:
        if len(todo) < hands_of(chosen):  # so few points that each takes everyone
            for i in largest_first:
                yield i, tidy(run_scenario(todo[i], executor=chosen))
            return
        with closing(finished({i: (todo[i],) for i in largest_first}, _run_point, chosen)) as answers:
            for i, future in answers:
                yield i, future.result()


def _run_point(scenario: Scenario) -> list[Row]:
    return tidy(run_scenario(scenario))


def _key(scenario: Scenario) -> str:
    return hashlib.sha256(f"{model_digest()}\n{write_resolved(scenario)}".encode()).hexdigest()[:24]


@lru_cache(maxsize=1)
def model_digest() -> str:
    """Return the model as it stands, code and profiles: a point computed by another is no answer of this one."""
    digest = hashlib.sha256(version("kpsim").encode())
    root = Path(__file__).parents[1]
    for path in sorted(p for p in root.rglob("*") if p.suffix in (".py", ".yaml")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _typed(point: Point) -> dict[str, object]:
    """Axis values as numbers where they are numbers, for axes of figures."""
    out: dict[str, object] = {}
    for name, value in point:
        try:
            out[name] = int(value)
        except ValueError:
            try:
                out[name] = float(value)
            except ValueError:
                out[name] = value
    return out
