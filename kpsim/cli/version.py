"""``kpsim version``."""

from __future__ import annotations

import click

import kpsim


@click.command()
def version() -> None:
    """Print kpsim's version."""
    click.echo(f"kpsim {kpsim.__version__}")
