"""``kpsim schema``: the JSON Schema editors complete scenarios with."""

from __future__ import annotations

import click

from kpsim.cli.options import to_json


@click.command()
def schema() -> None:
    """Print the JSON Schema of a scenario, generated from the reader."""
    from kpsim.scenario.jsonschema import json_schema

    click.echo(to_json(json_schema()))
