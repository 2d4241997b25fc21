"""What several commands share: options, the progress bar, colours, and how a result is shown."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from kpsim.errors import InputError, Place, Problem

__all__ = [
    "THRESHOLD_FAILED",
    "file_argument",
    "format_option",
    "jobs_of",
    "overrides",
    "progress_bar",
    "run_options",
    "say",
    "size_in_bytes",
    "styled",
    "to_json",
]

THRESHOLD_FAILED = 99
LINE_EVERY_S = 10.0
_COLORS = {
    "title": {"bold": True},
    "met": {"fg": "green"},
    "failed": {"fg": "red", "bold": True},
    "unknown": {"fg": "yellow"},
    "unset": {"dim": True},
    "dim": {"dim": True},
    "warning": {"fg": "yellow"},
}


Command = TypeVar("Command", bound=Callable[..., Any])

file_argument = click.argument("file", type=click.Path(path_type=Path))
format_option = click.option(
    "-o", "--output", "output", type=click.Choice(["table", "json"]), default="table", help="Format on stdout."
)


def run_options(function: Command) -> Command:
    """The options of every command that simulates."""
    for option in reversed(
        [
            click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Override a value below spec."),
            click.option("--seed", type=int, help="Seed of all random streams."),
            click.option("--replications", type=click.IntRange(1), help="How often to repeat under other draws."),
            click.option("--engine", type=click.Choice(["auto", "reference", "batch"]), help="Which engine."),
            click.option("--jobs", type=click.IntRange(1), help="Processes; as many as cores by default."),
            click.option("--max-memory", metavar="SIZE", help="Refuse runs estimated above it, e.g. 4G."),
            click.option("--out", type=click.Path(path_type=Path), help="Where to write, instead of results/runs."),
            click.option("-q", "--quiet", is_flag=True, help="No progress."),
        ]
    ):
        function = option(function)
    return function


def overrides(options: dict[str, Any]) -> list[tuple[str, str]]:
    """``--set`` and its shorthands as (key, value) pairs.  Raises ``click.BadParameter`` without an ``=``."""
    pairs = []
    for text in options.get("sets") or ():
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="--set")
        pairs.append((key, value))
    for name in ("seed", "replications", "engine"):
        if options.get(name) is not None:
            pairs.append((f"run.{name}", str(options[name])))
    return pairs


def jobs_of(options: dict[str, Any]) -> int:
    """Processes to use."""
    return int(options.get("jobs") or os.cpu_count() or 1)


def size_in_bytes(text: str | None) -> float | None:
    """``4G`` as a number of bytes; ``None`` stays.  Raises :class:`InputError` if it is no size."""
    if text is None:
        return None
    from kpsim.units import UnitError, parse_count

    try:
        return float(parse_count(text.removesuffix("iB").removesuffix("B")))
    except UnitError as error:
        raise InputError([Problem(Place(), key="--max-memory", what=error.what, mend="write e.g. 4G")]) from None


@contextmanager
def progress_bar(what: str, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Progress on stderr: a bar with rate and time left on a terminal, a line every ten seconds elsewhere."""
    if quiet:
        yield None
    elif sys.stderr.isatty() and not os.environ.get("NO_COLOR"):
        with _bar(what) as tell:
            yield tell
    else:
        yield _lines(what)


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int], None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _lines(what: str) -> Callable[[int, int], None]:
    began = last = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= LINE_EVERY_S:
            last = now
            left = (now - began) / done * (total - done) if done else 0.0
            click.echo(f"{what}: {done} of {total}, {now - began:.0f} s, about {left:.0f} s left", err=True)

    return tell


def styled(kind: str, text: str) -> str:
    """Colour for a terminal; click drops it where there is none, and NO_COLOR is honoured."""
    if os.environ.get("NO_COLOR") is not None or not sys.stdout.isatty():
        return text
    return click.style(text, **_COLORS.get(kind, {}))  # type: ignore[arg-type]  # keywords of click.style


def say(problems: Sequence[str]) -> None:
    """Warnings on stderr."""
    for text in problems:
        click.echo(f"warning: {text}", err=True)


def to_json(document: object) -> str:
    """A document as JSON for stdout."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
