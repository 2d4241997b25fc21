"""``kpsim sweep``: a grid of values, a tidy table, a figure against scale."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kpsim.cli.options import file_argument, format_option, jobs_of, overrides, progress_bar, run_options
from kpsim.cli.tables import print_table

__all__ = ["sweep", "sweep_file"]

SHOWN = (("first_packet_latency", "p50"), ("first_packet_latency", "p99"), ("sync_duration", "p50"),
         ("network_programming_true", "p99"))  # fmt: skip


@click.command()
@file_argument
@run_options
@format_option
def sweep(file: Path, output: str, **options: Any) -> None:
    """Simulate FILE at every combination of --set KEY=RANGE, or of its own sweep.

    A range is A..B:log:N, A..B:lin:N or A,B,C. Points already computed are not computed again.
    """
    given = overrides(options)
    ranges = [(key, value) for key, value in given if ".." in value or "," in value]
    fixed = [pair for pair in given if pair not in ranges]
    raise SystemExit(sweep_file(file, ranges, fixed, output, options))


def sweep_file(
    file: Path, ranges: list[tuple[str, str]], fixed: list[tuple[str, str]], output: str, options: dict[str, Any]
) -> int:
    """Run the grid, write its table and figures, show the main columns; the exit code."""
    from kpsim.experiment.directory import default_place
    from kpsim.experiment.sweeps import COLUMNS
    from kpsim.experiment.sweeps import sweep as run_sweep

    with progress_bar(file.stem, options["quiet"]) as tell:
        table = run_sweep(
            file, ranges, fixed, jobs=jobs_of(options), progress=tell, cache=Path("results/sweeps/points"),
            most_bytes=_bytes(options),
        )  # fmt: skip
    place = options["out"] or default_place(file.stem, Path("results/sweeps"))
    _write(table, place, [c for c in table.columns if c not in COLUMNS])
    if output == "json":
        click.echo(table.to_json(orient="records", indent=2))
    else:
        _show(table, [c for c in table.columns if c not in COLUMNS])
        click.echo(f"\ntable: {place / 'sweep.csv'}")
        for figure in sorted(place.glob("*.svg")):
            click.echo(f"figure: {figure}")
    return 0


def _bytes(options: dict[str, Any]) -> float | None:
    from kpsim.cli.options import size_in_bytes

    return size_in_bytes(options["max_memory"])


def _write(table: Any, place: Path, axes: list[str]) -> None:
    from kpsim.experiment.directory import staged
    from kpsim.report.figures.scale import scale_pictures

    with staged(place) as directory:
        table.to_csv(directory / "sweep.csv", index=False)
        (directory / "manifest.json").write_text('{"kind": "sweep"}\n', encoding="utf-8")
        for picture in scale_pictures(table, axes):
            picture.write(directory)


def _show(table: Any, axes: list[str]) -> None:
    from kpsim.report.wording.quantity import quantity

    head = [*axes, "mode", *(f"{measure.replace('_', ' ')} {statistic}" for measure, statistic in SHOWN)]
    rows = []
    for key, part in table[table["measure"] != "node"].groupby([*axes, "mode"], sort=False):
        values = part.set_index(["measure", "statistic"])["value"]
        rows.append([*map(str, key), *(quantity(values.get(pair), "s") for pair in SHOWN)])
    print_table(head, rows, right=range(len(axes) + 1, len(head)))
