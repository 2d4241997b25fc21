"""``kpsim limit``: the largest value that still meets the objectives, with an interval and what ends it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kpsim.cli import completing
from kpsim.cli.options import (
    THRESHOLD_FAILED,
    executor_of,
    file_argument,
    format_option,
    overrides,
    progress_bar,
    run_options,
    say,
    size_in_bytes,
    styled,
    time_in_seconds,
    to_json,
)
from kpsim.cli.stopped import end_early, keep
from kpsim.cli.tables import print_table, wrapped

if TYPE_CHECKING:
    from kpsim.experiment.searches.limit import LimitFound
    from kpsim.scenario.kinds import Look

_RANGE = re.compile(r"\s*(\S+?)?\s*\.\.\s*(\S+)?\s*")
Range = tuple[float | None, float | None]


@click.command()
@click.argument("axis", metavar="AXIS")
@file_argument
@click.option("--objective", "objectives", multiple=True, metavar="TEXT", help="e.g. 'sync_duration.p99 < 60s'.")
@click.option("--range", "within", metavar="A..B", help="Where to look; from where the scenario stands by default.")
@click.option(
    "--mode", shell_complete=completing.modes, help="Proxy mode; those that the scenario compares by default."
)
@run_options
@format_option
def limit(
    axis: str, look: Look, objectives: tuple[str, ...], within: str | None, output: str, **options: Any
) -> None:  # fmt: skip
    """Find the largest value of AXIS at which FILE still meets its thresholds, or each --objective.

    AXIS is "services", which scales all groups of Services in proportion, or a key as --set takes it, such as
    cluster.nodes or changes.churn.podReplacementsPerSecond. Hard limits on the way are named with the value at which
    they end the cluster, and nothing is simulated beyond what "kpsim check" refuses. The exit code is 99 if the
    scenario itself stands beyond the limit of its mode.
    """
    from kpsim.experiment.directory import default_place, staged
    from kpsim.experiment.searches.limit import limit as find_limit
    from kpsim.experiment.searches.probing import Stopped
    from kpsim.report.searches.limit import document

    name = f"{look.paths[0].stem}-limit"
    place = options["out"] or default_place(name)
    with staged(place) as directory:
        kept = 0
        try:
            with executor_of(options) as executor, progress_bar(name, options["quiet"], "probes") as tell:
                found = find_limit(
                    look, axis, overrides(options), objectives=objectives, within=_between(within), executor=executor,
                    progress=tell, most_bytes=size_in_bytes(options["max_memory"]),
                    most_s=time_in_seconds(options["max_time"]),
                )  # fmt: skip
            say(found.scenario.warnings)
            _write(found, directory)
        except Stopped as stopped:
            found, kept = None, keep(stopped, directory, "Limit", axis)
    if found is None:
        end_early(kept, place)
    if output == "json":
        click.echo(to_json(document(found)))
    else:
        _show(found)
    for file in ("probes.csv", "limit.json", "limit.svg"):
        if (place / file).exists():
            click.echo(f"  {file.partition('.')[2]}: {place / file}", err=output == "json")
    raise SystemExit(THRESHOLD_FAILED if _beyond(found) else 0)


def _between(text: str | None) -> Range:
    """Return both ends of ``--range``; ``None`` for one that is left out."""
    from kpsim.units import UnitError, parse_duration, parse_number

    if text is None:
        return None, None
    match = _RANGE.fullmatch(text)
    if not match or not (match[1] or match[2]):
        raise click.BadParameter(f"{text!r} is not A..B, e.g. 1k..100k", param_hint="--range")
    ends: list[float | None] = []
    for end in match.groups():
        try:
            ends.append(None if end is None else parse_number(end))
        except UnitError:
            try:
                ends.append(parse_duration(end))
            except UnitError as error:
                raise click.BadParameter(f"{end!r}: {error.what}", param_hint="--range") from None
    low, high = ends
    if (low is not None and low <= 0) or (low is not None and high is not None and low >= high):
        raise click.BadParameter(f"{text!r} must begin above 0 and end above its beginning", param_hint="--range")
    return low, high


def _write(found: LimitFound, directory: Path) -> None:
    from kpsim.report.figures.searches.limit import limit_picture
    from kpsim.report.searches.limit import document, frame
    from kpsim.report.tables import write_frame
    from kpsim.scenario.kinds import MANIFEST
    from kpsim.scenario.schema import API_VERSION

    (directory / "limit.json").write_text(to_json(document(found)) + "\n", encoding="utf-8")
    write_frame(frame(found), directory / "probes.csv")
    manifest = {"apiVersion": API_VERSION, "kind": "Limit", "axis": found.axis.name, "scenario": found.scenario.name}
    (directory / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    picture = limit_picture(found)
    if picture is not None:
        picture.write(directory)


def _show(found: LimitFound) -> None:
    from kpsim.report.searches.limit import WAY_HEAD, notes, probe_head, probe_rows, sentences, way_rows

    *answers, how = sentences(found)
    for said in answers:
        click.echo(styled("title", wrapped(said)))
    click.echo(wrapped(how))
    for each in found.modes:
        if each.largest is not None and (settings := found.axis.settings(each.largest.value)):
            click.echo(styled("dim", wrapped(f"that is, with {each.mode}: {' '.join(settings)}", "  ")))
    click.echo()
    print_table(probe_head(found), probe_rows(found), indent="  ")
    if found.ceilings:
        click.echo()
        print_table(WAY_HEAD, way_rows(found), indent="  ")
    for note in notes(found):
        click.echo(styled("warning", wrapped(note, "  ! ", hanging=0)))
    click.echo()


def _beyond(found: LimitFound) -> bool:
    """Return True if the scenario stands beyond the limit of the mode that it is configured for."""
    configured = found.scenario.kube_proxy.mode
    mode = next((each for each in found.modes if each.mode == configured), found.modes[0])
    start = found.axis.start
    if mode.largest is None or start is None:
        return mode.largest is None
    return start < mode.largest.value if mode.improves else start > mode.largest.value
