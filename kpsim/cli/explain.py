"""``kpsim explain``: the rules a Service becomes, and what the packets of a connection pay for them."""

from __future__ import annotations

from pathlib import Path

import click

from kpsim.cli.options import say
from kpsim.cli.tables import print_table

__all__ = ["explain"]

MOST_LINES = 40


@click.group()
def explain() -> None:
    """Show how a Service is made to work, and what it costs."""


@explain.command()
@click.argument("name")
@click.option("-f", "--file", "file", type=click.Path(path_type=Path), required=True, help="Scenario or dump.")
@click.option("--mode", help="Proxy mode; the scenario's by default.")
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Override a value below spec.")
def service(name: str, file: Path, mode: str | None, sets: tuple[str, ...]) -> None:
    """Explain Service NAME ("namespace/name", or "name" in default): its rules in the mode's own syntax, and the
    path of a new connection and of later packets, with the cost of each step.
    """
    from kpsim.cli.options import overrides
    from kpsim.experiment.explanation import explain_service
    from kpsim.report.wording.quantity import quantity
    from kpsim.scenario.reader import read

    pairs = overrides({"sets": sets})
    scenario = read(file, [*pairs, ("kubeProxy.mode", mode)] if mode else pairs)
    found = explain_service(scenario, name if "/" in name else f"default/{name}")
    say(found.warnings)
    click.echo(found.headline)
    for port in found.ports:
        click.echo(f"\n{port.label}  {port.address}")
        lines = port.rules
        for line in lines[:MOST_LINES]:
            click.echo(f"  {line}")
        if len(lines) > MOST_LINES:
            click.echo(f"  … and {len(lines) - MOST_LINES} more of the same kind")
        click.echo(f"\n  {port.story}")
        rows = [[c.packet, c.stage, c.steps, quantity(c.each_s, "s"), quantity(c.total_s, "s")] for c in port.costs]
        print_table(["packet", "stage", "steps", "each", "in all"], rows, right=(2, 3, 4))
    click.echo(f"\n{found.footnote}")
