"""Sweeps: one document under a grid of overrides, each point an experiment of its own, kept so that it can go on.

A point is known by the hash of its resolved scenario and of the model; what was computed before is read back.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shlex
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kpsim.errors import GuardError, InputError, KpsimError
from kpsim.experiment.answers.cautions import marks
from kpsim.experiment.guard import at_once, check_size, check_time, memory_limit
from kpsim.experiment.replications import run_scenario
from kpsim.experiment.result import Result
from kpsim.experiment.searches.designs import Point, designed, grid
from kpsim.experiment.workers import executing, finished, hands_of
from kpsim.measure.summary import Estimate
from kpsim.scenario.kinds import Look, identify
from kpsim.scenario.model import Scenario, Sweep
from kpsim.scenario.reader import read, read_sweep
from kpsim.scenario.resolved import write_resolved

if TYPE_CHECKING:
    import pandas as pd

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
    "objective",
    "verdict",
]
RATES = ("cpu_proxy_cores", "cpu_packets_cores", "syncs_per_node_per_s", "full_syncs_per_node_per_s")
COUNTS = ("refused", "dropped", "stale", "syncs_failed")  # of a run
Row = dict[str, object]


def tidy(result: Result) -> list[Row]:
    """Return one row a mode, measure and statistic; a node's CPU and syncs, and a run's failures, are among them."""
    return [row for mode in result.modes for row in _rows(result, mode)]


def _rows(result: Result, mode: str) -> Iterator[Row]:
    found = result.modes[mode]
    beside = ", ".join(marks(result.scenario, found, result.limits))
    judged = _judged(result, mode)
    for name, summary in found.summaries.items():
        for statistic, e in {"mean": summary.mean, **summary.quantiles}.items():
            prices = found.priced.get(name, {}).get(statistic) or Estimate(e.value)
            verdict = judged.pop((name, statistic), ("", ""))
            values = (e.value, e.low, e.high, summary.n, e.at_least, prices.low, prices.high)
            yield _row(mode, name, statistic, *values, beside, *verdict)
    for (name, statistic), verdict in judged.items():  # the sample is too small for a value
        yield _row(mode, name, statistic, None, None, None, 0, False, None, None, beside, *verdict)
    for measure, statistic, e in (
        ("node", "rules", Estimate(found.rules)),
        ("node", "capacity_per_s", Estimate(found.capacity_per_s)),
        *(("node", name, found.rates[name]) for name in RATES if name in found.rates),
        *(("run", name, found.counts[name]) for name in COUNTS if name in found.counts),
        *((outcome.event, "failed_connections", outcome.connections) for outcome in found.events),
    ):
        runs = 1 if e.low is None else result.runs
        yield _row(mode, measure, statistic, e.value, e.low, e.high, runs, e.at_least, None, None, beside, "", "")


def _row(*values: object) -> Row:
    return dict(zip(COLUMNS, values, strict=True))


def _judged(result: Result, mode: str) -> dict[tuple[str, str], tuple[str, str]]:
    """Return a mode's objectives and the worst of their verdicts, by measure and statistic."""
    judged: dict[tuple[str, str], tuple[str, str]] = {}
    for each in (verdict for verdict in result.verdicts if verdict.mode == mode):
        key = (each.threshold.measure, each.threshold.statistic)
        text, before = judged.get(key, ("", "met"))
        said = {True: "met", False: "failed", None: "undecided"}[each.passed]
        worst = max(before, said, key=("met", "undecided", "failed").index)
        judged[key] = (f"{text}; {each.threshold.text}".removeprefix("; "), worst)
    return judged


@dataclass(frozen=True, slots=True)
class Failure:
    """A point that has no answer: its place in the grid, what went wrong, and the command that repeats it."""

    point: Point
    error: Exception
    command: str

    def __str__(self) -> str:
        named = " ".join(f"{name}={value}" for name, value in self.point)
        first = str(self.error).partition("\n")[0] or type(self.error).__name__
        bug = "" if isinstance(self.error, KpsimError) else f"{type(self.error).__name__}: "
        return f"{named}: {bug}{first}"


@dataclass(frozen=True, slots=True)
class Swept:
    """A sweep's table, a column an axis, and the points that failed."""

    table: pd.DataFrame
    axes: tuple[str, ...]
    point: Point  # the first
    failures: tuple[Failure, ...] = ()


def sweep(
    given: str | Path | Look,
    sets: Sequence[tuple[str, str]] = (),
    overrides: Sequence[tuple[str, str]] = (),
    **how: Any,
) -> pd.DataFrame:
    """Return the table of :func:`swept`, which takes ``how``; raise what the first point that failed raised."""
    found = swept(given, sets, overrides, **how)
    if found.failures:
        raise found.failures[0].error
    return found.table


def swept(
    given: str | Path | Look,
    sets: Sequence[tuple[str, str]] = (),
    overrides: Sequence[tuple[str, str]] = (),
    *,
    design: str = "",
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
    cache: Path | None = None,
    most_bytes: float | None = None,
    most_s: float | None = None,
    executor: Executor | None = None,
) -> Swept:
    """Run the grid of ``sets`` (or of the file's own ``sweep:``) and return a tidy table, a column an axis.

    ``overrides`` hold for every point.  ``design`` is "lhs:N" for N points of a Latin hypercube instead of the grid.
    Points found in ``cache`` are not run again, so that a sweep that was interrupted goes on where it was.  A point
    that fails, or would take more memory than ``most_bytes``, does not keep the others from being run.
    Raises :class:`InputError` if any point is wrong, before the first is run; the error of the first, if all fail; and
    :class:`GuardError` if points that are not in ``cache`` would take longer than ``most_s`` together.
    """
    look = given if isinstance(given, Look) else identify([given])
    plan = read_sweep(look, sets)
    if not plan.axes:
        raise InputError(
            f"{look.name}: nothing to sweep over; name an axis, e.g. --set services.small.count=100..10k:log:5"
        )
    jobs = hands_of(executor) if executor else jobs
    if not design:
        _refuse_too_many(plan, look, overrides, most_s, jobs)
    points = designed(plan, design, read(look, overrides).run.seed) if design else grid(plan)
    scenarios = [read(look, [*overrides, *point]) for point in points]
    found = {i: rows for i, rows in enumerate(_kept(cache, scenario) for scenario in scenarios) if rows is not None}
    failed, largest = _weighed({i: s for i, s in enumerate(scenarios) if i not in found}, most_bytes, most_s, jobs)
    most = at_once(jobs, largest, memory_limit(most_bytes))
    tell = progress or (lambda _done, _total: None)
    tell(len(found), len(points))
    todo = {i: scenario for i, scenario in enumerate(scenarios) if i not in found and i not in failed}
    with closing(_run_points(todo, most, executor)) as computed:
        for i, rows in computed:
            if isinstance(rows, Exception):
                failed[i] = rows
            else:
                found[i] = rows
                _keep(cache, scenarios[i], rows)
            tell(len(found) + len(failed), len(points))
    failures = [Failure(points[i], failed[i], _command(look, overrides, points[i])) for i in sorted(failed)]
    if not found:
        raise failures[0].error
    import pandas as pd  # not in a worker, which gives rows

    table = pd.DataFrame([{**_typed(point), **row} for i, point in enumerate(points) for row in found.get(i, ())])
    axes = tuple(name for name, _ in plan.axes)
    return Swept(table[[*axes, *COLUMNS]], axes, points[0], tuple(failures))


def _weighed(
    todo: Mapping[int, Scenario], most_bytes: float | None, most_s: float | None, jobs: int
) -> tuple[dict[int, Exception], float]:
    """Return the points that are too large, and the memory of the largest other one [bytes].

    Raises :class:`GuardError` if the others would take longer than ``most_s`` together.
    """
    failed: dict[int, Exception] = {}
    taken_s, largest = 0.0, 0.0
    for done, (i, scenario) in enumerate(todo.items(), start=1):
        try:
            size = check_size(scenario, most_bytes, math.inf)
        except GuardError as error:
            failed[i] = error
            continue
        taken_s, largest = taken_s + size.seconds, max(largest, size.memory_bytes)
        check_time(taken_s / jobs, most_s, {}, f"this sweep, at {done:,} of its {len(todo):,} points alone,")
    return failed, largest


def _command(look: Look, overrides: Sequence[tuple[str, str]], point: Point) -> str:
    """Return the command that runs one point alone."""
    sets = [text for name, value in (*overrides, *point) for text in ("--set", f"{name}={value}")]
    return shlex.join(["kpsim", "run", *map(str, look.paths), *sets])


def _refuse_too_many(
    plan: Sweep, look: Look, overrides: Sequence[tuple[str, str]], most_s: float | None, jobs: int
) -> None:
    """Raise :class:`GuardError` if the grid has too many points even for its smaller end, before it is written out."""
    count = math.prod(len(values) for _, values in plan.axes)
    ends = [[*overrides, *((name, values[end]) for name, values in plan.axes)] for end in (0, -1)]
    least_s = min(check_size(read(look, pairs), math.inf, math.inf).seconds for pairs in ends)
    check_time(count * least_s / jobs, most_s, {}, f"this sweep of {count:,} points")


def _kept(cache: Path | None, scenario: Scenario) -> list[Row] | None:
    """Return the rows of a point that was computed before; one that cannot be read is computed again."""
    if cache is None:
        return None
    with suppress(OSError, ValueError):
        rows = json.loads((cache / f"{_key(scenario)}.json").read_text(encoding="utf-8"))
        if isinstance(rows, list) and rows and all(isinstance(row, dict) and list(row) == COLUMNS for row in rows):
            return rows
    return None


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
    todo: Mapping[int, Scenario], most: int, executor: Executor | None
) -> Generator[tuple[int, list[Row] | Exception], None, None]:
    """Points as they are done or fail, the largest started first so that no worker ends up alone with it."""
    largest_first = sorted(todo, key=lambda i: -sum(g.count for g in todo[i].groups))
    with executing(most, executor) as chosen:
        if len(todo) < hands_of(chosen):  # so few points that each takes everyone
            for i in largest_first:
                try:
                    yield i, tidy(run_scenario(todo[i], executor=chosen))
                except Exception as error:  # noqa: BLE001 - a bug at one point is no reason to lose the others
                    yield i, error
            return
        with closing(finished({i: (todo[i],) for i in largest_first}, _run_point, chosen, most)) as answers:
            for i, future in answers:
                wrong = future.exception()
                yield i, wrong if isinstance(wrong, Exception) else future.result()


def _run_point(scenario: Scenario) -> list[Row]:
    return tidy(run_scenario(scenario, most_bytes=math.inf, most_s=math.inf))  # it was checked with all others


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
