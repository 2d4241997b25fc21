"""``kpsim explain ingress``: the rule that a request meets, and its way to a Pod."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from kpsim.cli.options import file_option, format_option, node_options, say, scenario_of, styled, to_json
from kpsim.cli.tables import wrapped

if TYPE_CHECKING:
    from kpsim.scenario.kinds import Look


@click.command("ingress", short_help="The rule of an Ingress that a request meets, and its way on to a Pod.")
@click.argument("url", metavar="HOST/PATH")
@file_option
@node_options("On which node the controller's Pod is, where that matters.", "")
@format_option
def ingress(url: str, look: Look, node: str, output: str, **options: Any) -> None:
    """Explain a request for HOST/PATH: the Ingress rule it meets, the Service port, the hop's cost, the way on.

    A request that no rule is about goes to a default backend, or is answered with 404. With --set ingress.to=ClusterIP
    the way on is told as "kpsim explain service" tells it.
    """
    from kpsim.explain.ingress import explain_request

    found = explain_request(scenario_of(look, options), url, node)
    say(found.warnings)
    if output == "json":
        click.echo(to_json(asdict(found)))
        return
    click.echo(styled("title", found.headline))
    for title, lines in (
        ("into the cluster", found.way_in),
        ("rules of Ingresses", found.rules),
        ("endpoints", found.endpoints),
        ("what the hop costs", found.costs),
    ):
        if lines:
            click.echo(f"\n  {title}")
        for line in lines:
            click.echo(wrapped(line, "    ", hanging=2))
        if lines is found.rules:
            click.echo(wrapped(f"=> {found.verdict}", "    ", hanging=3))
    if found.port is not None:
        from kpsim.cli.explain import show

        show(found.port)
    if found.notes:
        click.echo()
    for note in found.notes:
        click.echo(wrapped(note))
