"""``kpsim explain dns``: what a Pod's lookup of a name tries, is answered, and costs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from kpsim.cli.options import format_option, overrides, styled, to_json
from kpsim.cli.tables import wrapped


@click.command("dns", short_help="What a Pod's lookup of a name tries, is answered, and costs.")
@click.argument("name")
@click.option("-f", "--file", "file", type=click.Path(path_type=Path), required=True, help="Scenario or dump.")
@click.option("--from-namespace", "namespace", default="default", show_default=True, help="The asking Pod's namespace.")
@click.option("--ndots", type=int, help="As in the Pod's resolv.conf; 5 unless the scenario says otherwise.")
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Override a value below spec.")
@format_option
def dns(name: str, file: Path, namespace: str, ndots: int | None, sets: tuple[str, ...], output: str) -> None:
    """Explain how a Pod looks NAME up: each name tried, the answers, and what they cost.

    NAME is written as a program would, such as web, web.shop, www.example.com, or with a last dot; _http._tcp.web asks
    for SRV records, and an address for its name. A name that is not there is explained too.
    """
    from kpsim.explain.dns import explain_lookup
    from kpsim.scenario.reader import read

    found = explain_lookup(read(file, overrides({"sets": sets})), name, namespace, ndots)
    if output == "json":
        click.echo(to_json(asdict(found)))
        return
    click.echo(styled("title", found.headline))
    for line in found.resolv_conf:
        click.echo(f"  {line}")
    click.echo()
    for number, step in enumerate(found.steps, 1):
        click.echo(f"  {number}. {step.name}")
        for answer in step.answers:
            click.echo(wrapped(answer, " " * 7, hanging=2))
    click.echo()
    click.echo(wrapped(found.verdict, "  ", hanging=3))
    click.echo()
    for line in found.costs:
        click.echo(f"  {line}")
    if found.notes:
        click.echo()
    for note in found.notes:
        click.echo(wrapped(note))
