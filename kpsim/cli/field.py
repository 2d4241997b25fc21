"""``kpsim explain field``: the reference of a scenario's keys, from the code that reads them."""

from __future__ import annotations

from dataclasses import asdict

import click

from kpsim.cli import completing
from kpsim.cli.options import format_option, styled, to_json
from kpsim.cli.tables import print_table, wrapped


@click.command("field", short_help="What a key of a scenario means, its unit, default and values.")
@click.argument("name", default="", shell_complete=completing.fields)
@format_option
def field(name: str, output: str) -> None:
    """Explain key NAME of a scenario: its meaning, unit, default, values, and the part of the model it goes to.

    NAME is written as in the file or after --set: spec.kubeProxy.mode, traffic.connectionsPerSecondPerNode,
    services.count. Without one, the keys at the top are listed.
    """
    from kpsim.explain.field import explain_field

    found = explain_field(name)
    if output == "json":
        click.echo(to_json(asdict(found)))
        return
    key = found.key
    if key.path:
        click.echo(styled("title", key.path))
        click.echo(wrapped(f"{key.text}.", "  "))
        click.echo()
        facts = [
            ("is", key.unit),
            ("default", "it must be given" if key.required else key.default),
            ("values", ", ".join(key.choices)),
            ("set it", found.option),
            ("goes to", key.becomes),
        ]
        for label, words in facts:
            if words:
                click.echo(wrapped(f"{label:>9}  {words}", hanging=11))
    if found.below:
        click.echo()
        rows = [
            [text.path.rpartition(".")[2], text.unit, "required" if text.required else text.default, text.text]
            for text in found.below
        ]
        print_table(["key", "is", "default", "meaning"], rows, indent="  ")
