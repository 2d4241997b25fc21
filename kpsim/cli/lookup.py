"""``kpsim explain dns``: what a Pod's lookup of a name tries, is answered, and costs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from kpsim.cli.options import file_option, format_option, scenario_of, set_option, styled, to_json
from kpsim.cli.tables import wrapped

if TYPE_CHECKING:
    from kpsim.scenario.kinds import Look


@click.command("dns", short_help="What a Pod's lookup of a name tries, is answered, and costs.")
@click.argument("name")
@file_option
@click.option("--from-namespace", "namespace", default="default", show_default=True, help="The asking Pod's namespace.")
@click.option("--ndots", type=int, help="As in the Pod's resolv.conf; 5 unless the scenario says otherwise.")
@set_option
@format_option
def dns(name: str, look: Look, namespace: str, ndots: int | None, output: str, **options: Any) -> None:
    """Explain how a Pod looks NAME up: each name tried, the answers, and what they cost.

    NAME is written as a program would, such as web, web.shop, www.example.com, or with a last dot; _http._tcp.web asks
    for SRV records, and an address for its name. A name that is not there is explained too.
    """
    from kpsim.explain.dns import explain_lookup

    found = explain_lookup(scenario_of(look, options), name, namespace, ndots)
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
