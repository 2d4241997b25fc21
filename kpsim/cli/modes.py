"""``kpsim modes``: which proxy modes there are, by Kubernetes version, and what of each is modelled."""

from __future__ import annotations

import re

import click

from kpsim.cli.options import format_option, say, styled, to_json
from kpsim.cli.tables import print_table, wrapped
from kpsim.errors import InputError
from kpsim.proxy.registry import LAST_KNOWN, MODES, ModeEntry, beyond
from kpsim.units import Version

FIRST_SHOWN = (1, 24)  # of the columns by version
LABEL_WIDTH = 8


def _text(version: Version | None) -> str:
    return f"{version[0]}.{version[1]}" if version else ""


def _parsed(text: str | None) -> Version | None:
    if text is None:
        return None
    found = re.fullmatch(r"v?(\d{1,3})\.(\d{1,3})(\.\d+)?", text)
    if not found:
        raise InputError(f"--kubernetes: {text!r} is not a version of Kubernetes; write e.g. 1.34")
    return int(found[1]), int(found[2])


@click.command()
@click.option("--kubernetes", "version", metavar="VERSION", help="What this release makes of each mode.")
@format_option
def modes(version: str | None, output: str) -> None:
    """List the proxy modes: releases that have them, what changed when, what is modelled and what is not."""
    wanted = _parsed(version)
    say(tuple(beyond(wanted or LAST_KNOWN)))
    if output == "json":
        click.echo(to_json([_as_json(entry, wanted) for entry in MODES.values()]))
        return
    columns = [wanted] if wanted else _turning_points()
    rows = [[m.name, *(m.status(column) for column in columns), m.summary] for m in MODES.values()]
    print_table(["mode", *map(_text, columns), "about"], rows)
    for entry in MODES.values():
        _describe(entry, wanted)


def _turning_points() -> list[Version]:
    """Return the releases in which a mode came, was deprecated or went, from the first shown on."""
    turns = {turn for m in MODES.values() for turn in (m.since, m.deprecated, m.removed) if turn and turn > FIRST_SHOWN}
    return sorted({FIRST_SHOWN, *turns})


def _describe(entry: ModeEntry, wanted: Version | None) -> None:
    click.echo()
    click.echo(styled("title", wrapped(f"{entry.name}: {entry.note}" if entry.note else entry.name)))
    about = entry.about()
    if entry.since and entry.since not in dict(about.history):
        _line(_text(entry.since), "added")
    for since, what in about.history:
        if wanted is None or since <= wanted:
            _line(_text(since), what)
    _line("modelled", about.modelled)
    _line("left out", about.left_out)


def _line(label: str, words: str) -> None:
    """A label and what it says, wrapped to the terminal."""
    click.echo(wrapped(f"{label:>{LABEL_WIDTH}}  {words}", "  ", hanging=LABEL_WIDTH + 2))


def _as_json(entry: ModeEntry, wanted: Version | None) -> dict[str, object]:
    about = entry.about()
    return {
        "name": entry.name,
        "since": _text(entry.since),
        "deprecated": _text(entry.deprecated),
        "removed": _text(entry.removed),
        **({"status": entry.status(wanted)} if wanted else {}),
        "about": entry.summary,
        "note": entry.note,
        "history": [{"version": _text(since), "change": what} for since, what in about.history],
        "modelled": about.modelled,
        "not_modelled": about.left_out,
    }
