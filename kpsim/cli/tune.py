"""``kpsim tune``: a ladder of values of one knob, the front of two measures, and the YAML of the value to take."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kpsim.cli.options import file_argument, format_option, mode_option, run_options, strict_option, styled, to_json
from kpsim.cli.searching import ended, kept, objective_option, searched, told_files
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
@objective_option
@mode_option
@run_options
@strict_option
@format_option
def tune(
    look: Look, knob: str, values: str | None, against: str | None, objectives: tuple[str, ...], output: str,
    **options: Any,
) -> None:  # fmt: skip
    """Find the value of a knob to take for FILE: what each value gains, what it costs, and the configuration to paste.

    The value to take is the cheapest that meets the thresholds of FILE, or each --objective; without any, the knee of
    the front. preStop is chosen so that no connection fails. The exit code is 99 if there are objectives and no value
    meets them, and 98, with --strict, if that is undecided of some.
    """
    from kpsim.experiment.searches.tune import tune as find_value
    from kpsim.report.searches.tune import document

    find = partial(find_value, look, knob, values=_parts(values), against=_parts(against), objectives=objectives)
    found, place = searched("tune", knob, look, options, "values", find, _write)
    if output == "json":
        click.echo(to_json(document(found)))
    else:
        _show(found)
    told_files(place, ("values.csv", "tune.json", "pareto.svg"), output)
    raise ended(found.standing, strict=options["strict"])


def _parts(text: str | None) -> list[str]:
    return [part.strip() for part in text.split(",")] if text else []


def _write(found: Tuned, directory: Path) -> None:
    from kpsim.report.figures.searches.pareto import pareto_picture
    from kpsim.report.searches.tune import document, frame

    about = {"knob": found.knob.name, "scenario": found.scenario.name}
    kept(directory, "Tune", document(found), about, {"values.csv": frame(found)}, pareto_picture(found))


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
