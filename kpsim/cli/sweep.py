"""``kpsim sweep``: a grid of values, a tidy table, a figure against scale."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kpsim.cli.options import (
    INTERRUPTED,
    executor_of,
    file_argument,
    format_option,
    mode_option,
    overrides,
    progress_bar,
    run_options,
    size_in_bytes,
    styled,
    time_in_seconds,
    to_json,
)
from kpsim.cli.tables import print_table, wrapped
from kpsim.errors import KpsimError, shown

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from kpsim.experiment.sweeps import Swept
    from kpsim.scenario.kinds import Look

SHOWN = (("first_packet_latency", "p50"), ("first_packet_latency", "p99"), ("sync_duration", "p50"),
         ("network_programming_true", "p99"))  # fmt: skip
SHOWN_TOO = (("dns_latency", "p50"), ("dns_latency", "p99"))  # where clients use names
KEPT = Path("results/sweeps/points")
Pairs = Sequence[tuple[str, str]]
Progress = Callable[[int, int], None]


@click.command()
@file_argument
@click.option("--design", metavar="lhs:N", default="", help="N points of a Latin hypercube between the axes' ends.")
@mode_option
@run_options
@format_option
def sweep(look: Look, output: str, **options: Any) -> None:
    """Simulate FILE at every combination of --set KEY=RANGE, or of its own sweep.

    A range is A..B:log:N, A..B:lin:N or A,B,C. Points are kept in results/sweeps/points, and those already computed
    are not computed again. A point that fails is named with the command that repeats it, and the others go on; the
    exit code is then 1, or 4 if a guard stopped it. -o json is an object: axes, answer, verdicts (a point, mode and
    objective each), crossings, failed (points, with the command that repeats them) and rows, as in sweep.csv.
    """
    given = overrides(options)
    ranges = [(key, value) for key, value in given if ".." in value or "," in value]
    fixed = [pair for pair in given if pair not in ranges]
    with executor_of(options) as executor:
        code, document = sweep_files(look, ranges, fixed, output, options, executor)
    if output == "json":
        click.echo(to_json(document))
    raise SystemExit(code)


def sweep_files(
    look: Look, ranges: Pairs, fixed: Pairs, output: str, options: dict[str, Any], executor: Executor
) -> tuple[int, object]:
    """Run the grid, write its table and figures, show the main columns; the exit code, and the document."""
    from kpsim.experiment.directory import default_place, staged
    from kpsim.experiment.sweeps import swept
    from kpsim.scenario.schema import API_VERSION

    most_bytes, name = size_in_bytes(options["max_memory"]), look.paths[0].stem
    place = options["out"] or default_place(name, Path("results/sweeps"))
    done = [0, 0]
    try:
        with staged(place) as directory:
            with progress_bar(name, options["quiet"], "points") as tell:
                found = swept(
                    look, ranges, fixed, design=options.get("design", ""), executor=executor,
                    progress=_counting(done, tell), cache=KEPT, most_bytes=most_bytes,
                    most_s=time_in_seconds(options["max_time"]),
                )  # fmt: skip
            about = _written(look, name, fixed, found, directory)
    except KeyboardInterrupt:
        kept = "; they are kept, the same command goes on from there" if done[0] else ""
        click.echo(f"interrupted: {done[0]} of {done[1]} points were done{kept}", err=True)
        return INTERRUPTED, {"apiVersion": API_VERSION, "kind": "Sweep", "name": name, "complete": False, "rows": []}
    if output != "json":
        for sentence in about["answer"]:
            click.echo(wrapped(sentence, hanging=2))
        if about["answer"]:
            click.echo()
        _show(found.table, list(found.axes))
        click.echo()
    for failure in found.failures:
        click.echo(styled("failed", f"failed: {shown(str(failure))}\n  again: {failure.command}"), err=True)
    for what, file in (("table", "sweep.csv"), ("report", "report.html")):
        click.echo(f"  {what}: {place / file}", err=output == "json")
    code = max((_code(failure.error) for failure in found.failures), default=0)
    return code, {
        "apiVersion": API_VERSION, "kind": "Sweep", "name": name, **about,
        "rows": json.loads(found.table.to_json(orient="records", double_precision=15)),
    }  # fmt: skip


def _code(error: Exception) -> int:
    return error.exit_code if isinstance(error, KpsimError) else 1


def _counting(done: list[int], tell: Progress | None) -> Progress:
    """Progress that is also remembered."""

    def count(points: int, of: int) -> None:
        done[:] = points, of
        if tell:
            tell(points, of)

    return count


def _written(look: Look, name: str, fixed: Pairs, found: Swept, directory: Path) -> dict[str, Any]:
    """Write table, figures, report and manifest; return axes, answer, crossings, verdicts, and points that failed."""
    from kpsim.report.answers.sweep import about_sweep, crossings
    from kpsim.report.figures.scale import scale_pictures
    from kpsim.report.searches.sweep import SweepPage
    from kpsim.scenario.kinds import MANIFEST
    from kpsim.scenario.reader import read
    from kpsim.scenario.schema import API_VERSION

    axes = list(found.axes)
    scenario = read(look, [*fixed, *found.point])
    thresholds = scenario.thresholds
    crossed = crossings(found.table, axes, thresholds)
    said = [*about_sweep(found.table, axes, thresholds, scenario.kubernetes_version), *map(str, crossed)]
    SweepPage(name, found, said, thresholds, scale_pictures(found.table, axes, thresholds)).write(directory)
    about = {
        "axes": axes, "answer": said, "verdicts": _verdicts(found.table, axes),
        "crossings": [
            {"mode": c.mode, "measure": c.threshold.measure, "objective": c.threshold.text, "at": c.at.value,
             "low": c.at.low, "high": c.at.high}
            for c in crossed
        ],
        "failed": [{"point": dict(f.point), "why": str(f), "command": f.command} for f in found.failures],
    }  # fmt: skip
    manifest = {"apiVersion": API_VERSION, "kind": "Sweep", **about}
    (directory / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return about


def _verdicts(table: Any, axes: list[str]) -> list[dict[str, Any]]:
    """Return an objective's standing at every point, mode by mode."""
    judged = table[table["verdict"] != ""]
    columns = [*axes, "mode", "measure", "statistic", "objective", "verdict"]
    return list(json.loads(judged[columns].to_json(orient="records")))


def _worst(verdicts: Any) -> str:
    return next(word for word in ("failed", "undecided", "met", "") if word in set(verdicts) or not word)


def _show(table: Any, axes: list[str]) -> None:
    from kpsim.report.wording.quantity import EMPTY, quantity

    looked_up = (table["measure"] == "dns_latency").any()
    shown = (*SHOWN_TOO, *SHOWN) if looked_up else SHOWN
    marked = (table["marks"] != "").any()
    head = [*axes, "mode", *(f"{measure.replace('_', ' ')} {statistic}" for measure, statistic in shown)]
    right = range(len(axes) + 1, len(head))
    judged = (table["verdict"] != "").any()
    head += ["objectives"] if judged else []
    head += ["beside it"] if marked else []
    rows = []
    for key, part in table.groupby([*axes, "mode"], sort=False):
        values = part.set_index(["measure", "statistic"])["value"]
        rows.append([*map(str, key), *(quantity(values.get(pair), "s") for pair in shown)])
        rows[-1] += [_worst(part["verdict"])] if judged else []
        rows[-1] += [str(part["marks"].iloc[0])] if marked else []
    print_table(head, rows, right=right)
    if any(EMPTY in row for row in rows):
        click.echo(
            f"  {EMPTY} too few observations for this percentile, or none; longer runs or more replications help"
        )
