"""A search that was interrupted leaves its probes, in a directory that says that it is not whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from kpsim.cli.options import INTERRUPTED

if TYPE_CHECKING:
    from kpsim.experiment.searches.probing import Stopped


def keep(stopped: Stopped, directory: Path, kind: str, name: str) -> int:
    """Write the probes of a search over ``name`` and return how many there are.  Without any, the interrupt goes on."""
    from kpsim.report.searches.limit import probes_frame
    from kpsim.report.tables import write_frame
    from kpsim.scenario.kinds import MANIFEST
    from kpsim.scenario.schema import API_VERSION

    if not stopped.probes:
        raise stopped
    write_frame(probes_frame(name, stopped.probes), directory / "probes.csv")
    manifest = {"apiVersion": API_VERSION, "kind": kind, "axis": name, "complete": False}
    (directory / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return len(stopped.probes)


def end_early(kept: int, place: Path) -> NoReturn:
    """Say where the probes are, and exit as an interrupted command does."""
    probes = "1 probe is" if kept == 1 else f"{kept:,} probes are"
    click.echo(f"interrupted: {probes} kept in {place / 'probes.csv'}, and there is no answer", err=True)
    raise SystemExit(INTERRUPTED)
