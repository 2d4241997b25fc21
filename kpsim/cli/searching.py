"""Commands that search share their options, the directory they keep what they found in, and their exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kpsim.cli.options import (
    THRESHOLD_FAILED,
    UNDECIDED,
    executor_of,
    overrides,
    progress_bar,
    say,
    size_in_bytes,
    time_in_seconds,
    to_json,
)
from kpsim.cli.stopped import end_early, keep

if TYPE_CHECKING:
    from kpsim.report.figures.canvas import Picture
    from kpsim.scenario.kinds import Look

Found = TypeVar("Found")
objective_option = click.option(
    "--objective", "objectives", multiple=True, metavar="TEXT",
    help="Instead of the scenario's thresholds, e.g. 'sync_duration.p99 < 60s'.",
)  # fmt: skip


def searched(
    kind: str, over: str, look: Look, options: Mapping[str, Any], noun: str, find: Callable[..., Found],
    write: Callable[[Found, Path], None],
) -> tuple[Found, Path]:  # fmt: skip
    """Search over an axis or a knob, keep what was found in a directory, and return both; the end, if interrupted."""
    from kpsim.experiment.directory import default_place, staged
    from kpsim.experiment.searches.probing import Stopped

    name = f"{look.paths[0].stem}-{kind}"
    place = options["out"] or default_place(name)
    found: Found | None = None
    probes = 0
    with staged(place) as directory:
        try:
            with executor_of(dict(options)) as executor, progress_bar(name, options["quiet"], noun) as tell:
                found = find(
                    overrides=overrides(dict(options)), executor=executor, progress=tell,
                    most_bytes=size_in_bytes(options["max_memory"]), most_s=time_in_seconds(options["max_time"]),
                )  # fmt: skip
            say(found.scenario.warnings)  # type: ignore[attr-defined]  # both have one
            write(found, directory)
        except Stopped as stopped:
            found, probes = None, keep(stopped, directory, kind.capitalize(), over)
    if found is None:
        end_early(probes, place)
    return found, place


def kept(
    directory: Path, kind: str, document: Mapping[str, Any], about: Mapping[str, Any],
    tables: Mapping[str, Any], picture: Picture | None,
) -> None:  # fmt: skip
    """Write a search's document, tables, figure and manifest."""
    from kpsim.report.tables import write_frame
    from kpsim.scenario.kinds import MANIFEST
    from kpsim.scenario.schema import API_VERSION

    (directory / f"{kind.lower()}.json").write_text(to_json(document) + "\n", encoding="utf-8")
    for name, table in tables.items():
        write_frame(table, directory / name)
    manifest = {"apiVersion": API_VERSION, "kind": kind, **about}
    (directory / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    if picture is not None:
        picture.write(directory)


def told_files(place: Path, names: tuple[str, ...], output: str) -> None:
    """Say where each file that was kept lies."""
    for file in names:
        if (place / file).exists():
            click.echo(f"  {file.partition('.')[2]}: {place / file}", err=output == "json")


def ended(standing: str, *, strict: bool) -> SystemExit:
    """Return the end of a command whose objectives are met, failed or undecided."""
    return SystemExit({"met": 0, "failed": THRESHOLD_FAILED, "undecided": UNDECIDED if strict else 0}[standing])
