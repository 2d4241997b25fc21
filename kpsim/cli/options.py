"""Commands share these options, the progress bar, the colours, and one way to show a result."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kpsim.cli import completing
from kpsim.errors import InputError, Place, Problem, inert_json, shown

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from kpsim.scenario.kinds import Look
    from kpsim.scenario.model import Scenario

UNDECIDED = 98
THRESHOLD_FAILED = 99
INTERRUPTED = 130
LINE_EVERY_S, DRAWN_EVERY_S = 10.0, 0.2
BAR_COLUMNS = 40
PROFILE_HEAD_BYTES = 4096  # in which a profile says that it is one
LARGE_BYTES = 20_000_000  # from which reading takes a second or more
CLEARED = "\r\x1b[K"  # to the line's beginning, and nothing on it
_COLORS = {
    "title": {"bold": True},
    "met": {"fg": "green"},
    "failed": {"fg": "red", "bold": True},
    "undecided": {"fg": "yellow"},
    "unset": {"dim": True},
    "dim": {"dim": True},
    "warning": {"fg": "yellow"},
}


Command = TypeVar("Command", bound=Callable[..., Any])


def _identify(context: click.Context, _parameter: click.Parameter, files: tuple[Path, ...]) -> Look | None:
    if context.resilient_parsing:  # a shell asks for names: files are only read for those in them
        context.meta[completing.FILES] = files
        return None
    from kpsim.scenario.kinds import identify

    size = sum(file.stat().st_size for file in files if file.is_file())
    if size > LARGE_BYTES:
        click.echo(f"reading {size / 1e6:,.0f} MB …", err=True)
    return identify(files)


class _File(click.Path):
    """A path that was given: an empty one, e.g. of a variable that is not set, is not the directory one is in."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        if not str(value):
            self.fail("the name of a file is empty", param, ctx)
        return super().convert(value, param, ctx)


_FILE: dict[str, Any] = {
    "type": _File(path_type=Path),
    "required": True,
    "callback": _identify,
    "shell_complete": completing.scenarios,
}
file_argument = click.argument("look", nargs=-1, metavar="FILE|DIR…", **_FILE)
file_option = click.option(
    "-f", "--file", "look", multiple=True, help="Scenario or dump; several files if they show one cluster.", **_FILE
)
format_option = click.option(
    "-o", "--output", "output", type=click.Choice(["table", "json"]), default="table", help="Format on stdout."
)
set_option = click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="KEY=VALUE",
    shell_complete=completing.keys,
    help="Override a value below spec, e.g. run.duration=60s.",
)
memory_option = click.option("--max-memory", metavar="SIZE", help="Refuse runs estimated above it, e.g. 4G.")
time_option = click.option(
    "--max-time", metavar="TIME", help="Refuse runs estimated above it, e.g. 12h; 1h by default."
)


def _with(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Decorate a command with several options, in the order of its help."""

    def decorate(function: Command) -> Command:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def node_options(whose: str, default: str | None = "node-0") -> Callable[[Command], Command]:
    """Return the options of every command that looks at one node of a scenario; ``whose`` is the node's part."""
    return _with(
        click.option("--mode", shell_complete=completing.modes, help="Proxy mode; the scenario's by default."),
        click.option("--node", default=default, show_default=bool(default), help=whose),
        set_option,
    )


strict_option = click.option(
    "--strict", is_flag=True, help=f"End with {UNDECIDED} where an objective is undecided, instead of 0."
)
mode_option = click.option("--mode", shell_complete=completing.modes, help="Proxy mode; the scenario's own by default.")
run_options = _with(
    set_option,
    click.option("--seed", type=click.IntRange(0), help="Seed of all random streams."),
    click.option("--replications", type=click.IntRange(1), help="How often to repeat under other draws."),
    click.option(
        "--engine",
        type=click.Choice(["auto", "reference", "batch"]),
        help="reference simulates each packet as a process, batch all at once; the answers are the same.",
    ),
    click.option("--jobs", type=click.IntRange(1), help="Processes; as many as cores by default."),
    click.option(
        "--scheduler", metavar="ADDRESS", help="Work on a Dask scheduler's workers, e.g. tcp://10.0.0.5:8786."
    ),
    memory_option,
    time_option,
    click.option("--out", type=click.Path(path_type=Path), help="Where to write, instead of results/runs."),
    click.option("-q", "--quiet", is_flag=True, help="No progress."),
)


def scenario_of(look: Look, options: dict[str, Any]) -> Scenario:
    """Return the scenario that was given, with ``--set`` and ``--mode`` set into it.

    Raises :class:`GuardError` if its cluster is too large to be laid out.
    """
    from kpsim.experiment.guard import check_layout
    from kpsim.scenario.reader import read

    scenario = read(look, overrides(options))
    check_layout(scenario)
    return scenario


def overrides(options: dict[str, Any]) -> list[tuple[str, str]]:
    """``--set``, ``--mode`` and their like as (key, value) pairs.  Raises ``click.BadParameter`` without an ``=``."""
    pairs = []
    for text in options.get("sets") or ():
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="--set")
        pairs.append((key, value))
    pairs += [("kubeProxy.mode", options["mode"])] if options.get("mode") else []
    short = ("seed", "replications", "engine")
    return pairs + [(f"run.{name}", str(options[name])) for name in short if options.get(name) is not None]


def jobs_of(options: dict[str, Any]) -> int:
    """Processes to use."""
    return int(options.get("jobs") or os.cpu_count() or 1)


@contextmanager
def executor_of(options: dict[str, Any]) -> Iterator[Executor]:
    """Give the executor of a whole command: a scheduler's workers, or ``--jobs`` processes that stay warm."""
    from kpsim.experiment.workers import executing

    if not options.get("scheduler"):
        with executing(jobs_of(options)) as executor:
            yield executor
        return
    from kpsim.experiment.executors.remote import connected

    with connected(options["scheduler"]) as executor:
        yield executor


def size_in_bytes(text: str | None) -> float | None:
    """``4G`` as a number of bytes; ``None`` stays.  Raises :class:`InputError` if it is no size."""
    if text is None:
        return None
    from kpsim.units import UnitError, parse_count

    try:
        size = parse_count(text.removesuffix("iB").removesuffix("B"))
    except UnitError as error:
        raise InputError([Problem(Place(), key="--max-memory", what=error.what, mend="write e.g. 4G")]) from None
    if size <= 0:
        raise InputError([Problem(Place(), key="--max-memory", what=f"must be more than 0, not {text}")])
    return float(size)


def time_in_seconds(text: str | None) -> float | None:
    """``12h`` in seconds; ``None`` stays.  Raises :class:`InputError` if it is no duration."""
    if text is None:
        return None
    from kpsim.units import UnitError, parse_duration

    try:
        seconds = parse_duration(text)
    except UnitError as error:
        raise InputError([Problem(Place(), key="--max-time", what=error.what, mend="write e.g. 12h")]) from None
    if seconds <= 0:
        raise InputError([Problem(Place(), key="--max-time", what=f"must be more than 0, not {text}")])
    return seconds


@contextmanager
def progress_bar(what: str, quiet: bool, noun: str = "runs") -> Iterator[Callable[[int, int], None] | None]:
    """Progress on stderr: a line that is drawn again on a terminal, one every ten seconds elsewhere.

    It is drawn by a thread of its own: one run alone may take longer than that.
    """
    if quiet:
        yield None
        return
    drawn = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    began, over, seen = time.monotonic(), threading.Event(), [0, 0]

    def speak() -> None:
        while not over.wait(DRAWN_EVERY_S if drawn else LINE_EVERY_S):
            (done, total), spent_s = seen, time.monotonic() - began
            left = f", about {spent_s / done * (total - done):.0f} s left" if done else ""
            bar = f" {'━' * (BAR_COLUMNS * done // total):{BAR_COLUMNS}}" if drawn and total else ""
            said = f"{what}:{bar} {done} of {total or '?'} {noun}, {spent_s:.0f} s{left}"
            click.echo(f"{CLEARED}{said}" if drawn else said, err=True, nl=not drawn)

    def tell(done: int, total: int) -> None:
        seen[:] = done, total

    speaker = threading.Thread(target=speak, daemon=True)
    speaker.start()
    try:
        yield tell
    finally:
        over.set()
        speaker.join()
        if drawn:
            click.echo(CLEARED, err=True, nl=False)


def styled(kind: str, text: str) -> str:
    """Colour for a terminal; click drops it where there is none, and NO_COLOR is honoured."""
    if os.environ.get("NO_COLOR") is not None or not sys.stdout.isatty():
        return text
    return click.style(text, **_COLORS.get(kind, {}))  # type: ignore[arg-type]  # keywords of click.style


def say(problems: Sequence[str]) -> None:
    """Warnings on stderr."""
    for text in problems:
        click.echo(f"warning: {shown(text)}", err=True)


def to_json(document: object) -> str:
    """Return a document as JSON for stdout; what could move a terminal is written as JSON's own escapes."""
    return inert_json(document)


def keep_others_file(out: Path) -> None:
    """Refuse to write a profile over a file that is none.  Raises :class:`InputError`."""
    if not out.is_file():
        return
    with out.open("rb") as stream:
        head = stream.read(PROFILE_HEAD_BYTES)
    if head and b"kind: CostProfile" not in head:
        raise InputError(f"--out {out}: is there already and is no profile of kpsim's; name another file")
