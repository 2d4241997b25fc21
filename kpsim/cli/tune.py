"""``kpsim tune``: a ladder of values of one knob, the front of two measures, and the YAML of the value to take."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kpsim.cli import completing
from kpsim.cli.options import (
    THRESHOLD_FAILED,
    executor_of,
    file_argument,
    format_option,
    overrides,
    progress_bar,
    run_options,
    say,
    size_in_bytes,
    styled,
    time_in_seconds,
    to_json,
)
from kpsim.cli.stopped import end_early, keep
from kpsim.cli.tables import print_table, wrapped

if TYPE_CHECKING:
    from kpsim.experiment.searches.tune import Tuned
    from kpsim.scenario.kinds import Look


@click.command()
@file_argument
@click.option("--knob", required=True, metavar="NAME", help="minSyncPeriod, syncPeriod, qps, preStop or slices.")
@click.option("--values", metavar="A,B,…", help="Values to try instead of the knob's own.")
@click.option(
    "--against", metavar="A,B", help="Two measures to trade, e.g. network_programming_true.p99,api_bytes_per_s."
)
@click.option("--objective", "objectives", multiple=True, metavar="TEXT", help="Instead of the scenario's thresholds.")
@click.option("--mode", shell_complete=completing.modes, help="Proxy mode; the scenario's by default.")
@run_options
@format_option
def tune(
    look: Look, knob: str, values: str | None, against: str | None, objectives: tuple[str, ...], output: str,
    **options: Any,
) -> None:  # fmt: skip
    """Find the value of a knob to take for FILE: what each value gains, what it costs, and the configuration to paste.

    The value to take is the cheapest that meets the thresholds of FILE, or each --objective; without any, the knee of
    the front. preStop is chosen so that no connection fails. The exit code is 99 if there are objectives and no value
    is shown to meet them.
    """
    from kpsim.experiment.directory import default_place, staged
    from kpsim.experiment.searches.probing import Stopped
    from kpsim.experiment.searches.tune import tune as find_value
    from kpsim.report.searches.tune import document

    name = f"{look.paths[0].stem}-tune"
    place = options["out"] or default_place(name)
    with staged(place) as directory:
        kept = 0
        try:
            with executor_of(options) as executor, progress_bar(name, options["quiet"], "values") as tell:
                found = find_value(
                    look, knob, overrides(options), values=_parts(values), against=_parts(against),
                    objectives=objectives, executor=executor, progress=tell,
                    most_bytes=size_in_bytes(options["max_memory"]), most_s=time_in_seconds(options["max_time"]),
                )  # fmt: skip
            say(found.scenario.warnings)
            _write(found, directory)
        except Stopped as stopped:
            found, kept = None, keep(stopped, directory, "Tune", knob)
    if found is None:
        end_early(kept, place)
    if output == "json":
        click.echo(to_json(document(found)))
    else:
        _show(found)
    for file in ("values.csv", "tune.json", "pareto.svg"):
        if (place / file).exists():
            click.echo(f"  {file.partition('.')[2]}: {place / file}", err=output == "json")
    raise SystemExit(THRESHOLD_FAILED if found.objectives and not found.chosen.met else 0)


def _parts(text: str | None) -> list[str]:
    return [part.strip() for part in text.split(",")] if text else []


def _write(found: Tuned, directory: Path) -> None:
    from kpsim.report.figures.searches.pareto import pareto_picture
    from kpsim.report.searches.tune import document, frame
    from kpsim.report.tables import write_frame
    from kpsim.scenario.kinds import MANIFEST
    from kpsim.scenario.schema import API_VERSION

    (directory / "tune.json").write_text(to_json(document(found)) + "\n", encoding="utf-8")
    write_frame(frame(found), directory / "values.csv")
    manifest = {"apiVersion": API_VERSION, "kind": "Tune", "knob": found.knob.name, "scenario": found.scenario.name}
    (directory / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    picture = pareto_picture(found)
    if picture is not None:
        picture.write(directory)


def _show(found: Tuned) -> None:
    from kpsim.report.searches.tune import head, rows, sentences, to_paste

    first, *rest = sentences(found)
    click.echo(styled("title", wrapped(first)))
    for said in rest:
        click.echo(wrapped(said))
    click.echo()
    print_table(head(found), rows(found), indent="  ")
    for value, why in found.refused:
        click.echo(wrapped(f"{value}: {why}", "  - "))
    where, text = to_paste(found)
    if text:
        click.echo(f"\n  for {where}:")
        for line in text.splitlines():
            click.echo(f"    {line}")
    click.echo()
