"""``kpsim modes``: which proxy modes there are, by Kubernetes version."""

from __future__ import annotations

import click

from kpsim.cli.options import format_option, to_json
from kpsim.cli.tables import print_table
from kpsim.proxy.registry import MODES, PLANNED

__all__ = ["modes"]


def _version(version: tuple[int, int] | None) -> str:
    return f"{version[0]}.{version[1]}" if version else ""


@click.command()
@format_option
def modes(output: str) -> None:
    """List the modes that are modelled, with the releases that have them, and those that are not modelled yet."""
    if output == "json":
        click.echo(
            to_json(
                [
                    {"name": m.name, "since": _version(m.since), "deprecated": _version(m.deprecated),
                     "removed": _version(m.removed), "about": m.summary, "note": m.note, "modelled": True}
                    for m in MODES.values()
                ]
                + [{"name": name, "about": about, "modelled": False} for name, about in PLANNED.items()]
            )
        )  # fmt: skip
        return
    rows = [[m.name, _version(m.since), _version(m.deprecated), _version(m.removed), m.summary] for m in MODES.values()]
    rows += [[name, "", "", "", f"not modelled yet: {about}"] for name, about in PLANNED.items()]
    print_table(["mode", "since", "deprecated", "removed", "about"], rows)
    for entry in MODES.values():
        if entry.note:
            click.echo(f"{entry.name}: {entry.note}")
