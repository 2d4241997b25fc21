"""``kpsim report`` and ``kpsim replay``: a kept run in another format, and the same run again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kpsim.cli.options import (
    THRESHOLD_FAILED,
    format_option,
    jobs_of,
    memory_option,
    progress_bar,
    say,
    size_in_bytes,
    time_in_seconds,
    time_option,
    to_json,
)
from kpsim.cli.tables import print_table, wrapped

if TYPE_CHECKING:
    from kpsim.experiment.kept.reading import KeptRun

RUN = click.argument("place", metavar="RUN", type=click.Path(path_type=Path))
MOST_CHANGES = 20
_FILES = {"html": "report.html", "markdown": "report.md", "json": "summary.json", "csv": "summaries.csv"}
_FORMATS = (*_FILES, "parquet", "openmetrics", "trace")


@click.command()
@RUN
@click.option(
    "--format",
    "kind",
    type=click.Choice(_FORMATS),
    default="html",
    show_default=True,
    help="Format; trace is Perfetto's.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Where to write; a directory for csv and parquet.")
@click.option("--replication", type=click.IntRange(0), default=0, help="Of a trace; the first is 0.")
@click.option("--nodes", type=click.IntRange(1), default=50, show_default=True, help="In a trace, at most.")
def report(place: Path, kind: str, out: Path | None, replication: int, nodes: int) -> None:
    """Give what RUN found in another format. RUN is a directory that kpsim run has written.

    Text goes to stdout, or to --out. html is the page, of which the path is said; csv is the table of measures, and
    with --out all tables; parquet writes all tables, needs pyarrow, and without --out writes beside them. trace is one
    replication's writes and syncs for ui.perfetto.dev or chrome://tracing: it is simulated again, without its packets.
    """
    from kpsim.experiment.kept.reading import open_run

    kept = open_run(place)
    if kept.manifest.get("complete") is False:
        say([f"{place} is of a run that was interrupted: its results are of the replications that were whole"])
    if kind == "parquet" or (kind == "csv" and out is not None):
        _tables(kept, kind, out or place)
        return
    if kind == "html" and out is None:
        click.echo(_there(kept, _FILES[kind]))
        return
    _put(_text(kept, kind, replication, nodes), out)


def _text(kept: KeptRun, kind: str, replication: int, nodes: int) -> str:
    if kind in _FILES:
        return _there(kept, _FILES[kind]).read_text(encoding="utf-8")
    if kind == "openmetrics":
        from kpsim.report.exports.metrics import families_of
        from kpsim.report.openmetrics import openmetrics

        return "".join(f"{line}\n" for line in openmetrics(families_of(kept.summary)))
    from kpsim.report.exports.trace import trace_of

    return json.dumps(trace_of(kept.scenario(), replication, nodes), ensure_ascii=False) + "\n"


def _there(kept: KeptRun, name: str) -> Path:
    """Return a file of the run.  Raises :class:`InputError` where it is not there, with what writes it."""
    from kpsim.errors import InputError, Place, Problem
    from kpsim.experiment.kept.reading import RESOLVED

    path = kept.place / name
    if not path.is_file():
        file = kept.place / RESOLVED
        mend = f"kpsim run {file if file.is_file() else 'FILE'} writes one"
        raise InputError([Problem(Place(str(kept.place)), what=f"holds no {name}", mend=mend)])
    return path


def _tables(kept: KeptRun, kind: str, out: Path) -> None:
    if kind == "parquet":
        from kpsim.report.exports.parquet import write_parquet

        written = _writing(out, lambda: write_parquet(kept.place, out))
    else:
        from kpsim.report.tables import TABLES

        there = [_there(kept, name) for name in TABLES]
        written = _writing(out, lambda: [Path(shutil.copyfile(table, out / table.name)) for table in there])
    for path in written:
        click.echo(path)


def _writing(out: Path, write: Callable[[], list[Path]]) -> list[Path]:
    from kpsim.errors import InputError

    try:
        out.mkdir(parents=True, exist_ok=True)
        return write()
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written: {error.strerror}") from error


def _put(text: str, out: Path | None) -> None:
    from kpsim.errors import InputError

    if out is None:
        click.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written: {error.strerror}") from error
    click.echo(f"wrote {out}", err=True)


@click.command()
@RUN
@click.option("--jobs", type=click.IntRange(1), help="Processes; as many as cores by default.")
@memory_option
@time_option
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@format_option
def replay(place: Path, output: str, quiet: bool, **options: Any) -> None:
    """Run RUN again, and say whether summary.json comes out the same, byte for byte.

    RUN is a directory that kpsim run has written. Nothing in it is changed. Where something differs, it is said what,
    and which versions are others now; the exit code is 99 then.
    """
    from kpsim.experiment.kept.reading import open_run
    from kpsim.experiment.kept.replay import compared, run_again
    from kpsim.report.directory import summary_json
    from kpsim.report.tables import summary_document

    kept, most_bytes = open_run(place), size_in_bytes(options["max_memory"])
    most_s = time_in_seconds(options["max_time"])
    with progress_bar(kept.name, quiet) as tell:
        result = run_again(kept, jobs=jobs_of(options), progress=tell, most_bytes=most_bytes, most_s=most_s)
    found = compared(kept, result, summary_json(result), summary_document(result))
    if output == "json":
        rows = {name: [_row(each) for each in getattr(found, name)] for name in ("changes", "versions")}
        click.echo(to_json({"run": str(place), "same": found.same, "scenario_edited": found.edited, **rows}))
    elif found.same:
        click.echo(f"{place}: summary.json is the same, byte for byte ({len(kept.summary_text.encode()):,} bytes)")
    else:
        _tell(place, found)
    raise SystemExit(0 if found.same else THRESHOLD_FAILED)


def _row(change: Any) -> dict[str, str]:
    return {"path": change.path, "was": change.was, "now": change.now}


def _tell(place: Path, found: Any) -> None:
    changed = found.changes
    click.echo(wrapped(f"{place}: summary.json differs in {len(changed):,} places"))
    if found.edited:
        click.echo(wrapped("scenario.resolved.yaml is not the one that was run: its hash is another", "  "))
    if found.versions:
        others = ", ".join(f"{each.path} {each.was} is now {each.now}" for each in found.versions)
        click.echo(wrapped(f"other versions: {others}", "  "))
    elif not found.edited:
        click.echo(wrapped("versions and scenario are the same: this is a bug in kpsim, please report it", "  "))
    click.echo()
    rows = [[each.path, each.was[:40], each.now[:40]] for each in changed[:MOST_CHANGES]]
    print_table(["place", "was", "now"], rows or [["(white space)", "", ""]], indent="  ")
    if len(changed) > MOST_CHANGES:
        click.echo(f"  … and {len(changed) - MOST_CHANGES:,} more")
