"""``kpsim init``: a commented scenario to begin with."""

from __future__ import annotations

from pathlib import Path

import click

from kpsim.cli import completing
from kpsim.cli.imports import free, given
from kpsim.cli.options import format_option, to_json
from kpsim.cli.tables import print_table


@click.command()
@click.argument("preset", required=False, shell_complete=completing.presets)
@click.option(
    "--from",
    "dumps",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Around what a cluster gave; as kpsim import.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), is_eager=True, callback=free, help="Write there, not to stdout."
)
@click.option("--list", "listed", is_flag=True, help="Say which presets there are, and what each asks.")
@format_option
def init(preset: str | None, dumps: tuple[Path, ...], out: Path | None, listed: bool, output: str) -> None:
    """Write a commented scenario to begin with.

    PRESET is a scenario that comes with kpsim (such as hello; kpsim run hello runs it as it is), a load test, or own:
    a small cluster to make yours. -o json is for --list.
    """
    from kpsim.scenario.starts.template import OWN, start, starts

    if listed:
        if output == "json":
            click.echo(to_json([{"name": name, "about": about} for name, about in starts().items()]))
        else:
            print_table(["preset", "about"], [list(row) for row in starts().items()])
        return
    if preset and dumps:
        raise click.UsageError(f"a scenario begins with {preset} or with --from, not with both")
    if dumps:
        from kpsim.scenario.imported import scenario_document
        from kpsim.scenario.kinds import identify

        text = scenario_document(identify(dumps))
    else:
        text = start(preset or OWN)
    given(text, out)
