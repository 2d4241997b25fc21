"""``kpsim report`` and ``kpsim replay``: a kept run in another format, and the same run again."""

from __future__ import annotations

import json
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
    from kpsim.experiment.result import Result

RUN = click.argument("place", metavar="RUN", type=click.Path(path_type=Path))
MOST_CHANGES = 20
_FORMATS = ("html", "markdown", "json", "csv", "parquet", "openmetrics", "trace")


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

    A run of before is told anew, as runs are told now; where it lacks something for that, it is said. Text goes to
    stdout, or to --out. html is the page, written beside the results, of which the path is said; csv is the table of
    measures, and with --out all tables; parquet writes all tables, needs pyarrow, and without --out writes beside them.
    trace is one replication's writes and syncs for ui.perfetto.dev or chrome://tracing: it is simulated again, without
    its packets.
    """
    from kpsim.experiment.kept.reading import open_run

    kept = open_run(place)
    if kept.manifest.get("complete") is False:
        say([f"{place} is of a run that was interrupted: its results are of the replications that were whole"])
    if kind == "trace":
        from kpsim.report.exports.trace import trace_of

        _put(json.dumps(trace_of(kept.scenario(), replication, nodes), ensure_ascii=False) + "\n", out)
    elif kind == "openmetrics":
        from kpsim.report.exports.metrics import families_of
        from kpsim.report.openmetrics import openmetrics

        _put("".join(f"{line}\n" for line in openmetrics(families_of(kept.summary))), out)
    elif kind == "html" and out is None:
        _put(_anew(kept, kind), place / "report.html", quiet=True)
        click.echo(place / "report.html")
    elif kind == "parquet" or (kind == "csv" and out is not None):
        _tables(_told(kept), kind, out or place)
    else:
        _put(_anew(kept, kind), out)


def _told(kept: KeptRun) -> Result:
    """Return the run's result; what it lacks is said."""
    from kpsim.experiment.kept.result import result_of

    result, lacks = result_of(kept)
    if lacks:
        again = f"kpsim run {kept.place}/scenario.resolved.yaml has them"
        say([f"{kept.place} was written by an earlier kpsim and lacks {', '.join(lacks)}; {again}"])
    return result


def _anew(kept: KeptRun, kind: str) -> str:
    from kpsim.report.directory import page, summary_json
    from kpsim.report.markdown import report_markdown
    from kpsim.report.tables import table_text

    result = _told(kept)
    if kind == "csv":
        return table_text(result, "summaries.csv")
    return {"html": page, "markdown": report_markdown, "json": summary_json}[kind](result)


def _tables(result: Result, kind: str, out: Path) -> None:
    from kpsim.report.exports.parquet import write_parquet
    from kpsim.report.tables import write_tables

    write = write_parquet if kind == "parquet" else write_tables
    for path in _writing(out, lambda: write(result, out)):
        click.echo(path)


def _writing(out: Path, write: Callable[[], list[Path]]) -> list[Path]:
    from kpsim.errors import InputError

    try:
        out.mkdir(parents=True, exist_ok=True)
        return write()
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written: {error.strerror}") from error


def _put(text: str, out: Path | None, *, quiet: bool = False) -> None:
    from kpsim.errors import InputError

    if out is None:
        click.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written: {error.strerror}") from error
    if not quiet:
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
