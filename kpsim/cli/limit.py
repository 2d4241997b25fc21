"""``kpsim limit``: the largest value that still meets the objectives, with an interval and what ends it."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kpsim.cli.options import file_argument, format_option, mode_option, run_options, strict_option, styled, to_json
from kpsim.cli.searching import ended, kept, objective_option, searched, told_files
from kpsim.cli.tables import print_table, wrapped

if TYPE_CHECKING:
    from kpsim.experiment.searches.limit import LimitFound
    from kpsim.scenario.kinds import Look

_RANGE = re.compile(r"\s*(\S+?)?\s*\.\.\s*(\S+)?\s*")
Range = tuple[float | None, float | None]


@click.command()
@click.argument("axis", metavar="AXIS")
@file_argument
@objective_option
@click.option("--range", "within", metavar="A..B", help="Where to look; from where the scenario stands by default.")
@mode_option
@run_options
@strict_option
@format_option
def limit(
    axis: str, look: Look, objectives: tuple[str, ...], within: str | None, output: str, **options: Any
) -> None:  # fmt: skip
    """Find the largest value of AXIS at which FILE still meets its thresholds, or each --objective.

    AXIS is "services", which scales all groups of Services in proportion, or a key as --set takes it, such as
    cluster.nodes or changes.churn.podReplacementsPerSecond. Hard limits on the way are named with the value at which
    they end the cluster, and nothing is simulated beyond what "kpsim check" refuses. The exit code is 99 if the
    scenario itself stands beyond the limit of its mode, and 98, with --strict, if an interval of the limit holds it.
    """
    from kpsim.experiment.searches.limit import limit as find_limit
    from kpsim.report.searches.limit import document

    find = partial(find_limit, look, axis, objectives=objectives, within=_between(within))
    found, place = searched("limit", axis, look, options, "probes", find, _write)
    if output == "json":
        click.echo(to_json(document(found)))
    else:
        _show(found)
    told_files(place, ("probes.csv", "limit.json", "limit.svg"), output)
    raise ended(found.standing(found.configured), strict=options["strict"])


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

    about = {"axis": found.axis.name, "scenario": found.scenario.name}
    kept(directory, "Limit", document(found), about, {"probes.csv": frame(found)}, limit_picture(found))


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
