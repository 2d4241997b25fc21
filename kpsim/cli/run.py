"""``kpsim run``: simulate, say the verdict, keep a run directory with a report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from kpsim.cli.options import (
    INTERRUPTED,
    THRESHOLD_FAILED,
    format_option,
    jobs_of,
    overrides,
    progress_bar,
    run_options,
    say,
    size_in_bytes,
    styled,
    to_json,
)

Pairs = Sequence[tuple[str, str]]


@click.command()
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="FILE|DIR…")
@run_options
@format_option
def run(files: tuple[Path, ...], output: str, **options: Any) -> None:
    """Simulate FILE: a scenario, or a default one around a dump or manifests of real Kubernetes objects.

    Results go to stdout; a run directory with report and figures to results/runs, or to --out.
    Several files are run one after another, once all of them are known to be right.
    """
    pairs = overrides(options)
    if len(files) > 1:
        if options["out"]:
            raise click.UsageError("--out is the place of one run; leave it out, or give one file")
        _check_all(files, pairs)
    code, documents = 0, []
    for number, file in enumerate(files):
        if number and output != "json":
            click.echo()
        status, document = simulate(file, pairs, output, options)
        code = max(code, status)
        documents.append(document)
        if status == INTERRUPTED:
            break
    if output == "json":
        click.echo(to_json(documents[0] if len(files) == 1 else documents))
    raise SystemExit(code)


def _check_all(files: Sequence[Path], pairs: Pairs) -> None:
    """Everything that is wrong in any of several files, before the first of them is run."""
    from kpsim.errors import InputError, Problem
    from kpsim.scenario.kinds import is_sweep
    from kpsim.scenario.reader import read, read_sweep

    problems: list[Problem] = []
    for file in files:
        try:
            if is_sweep(file):
                read_sweep(file)
            else:
                read(file, pairs)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)


def simulate(file: Path, pairs: Pairs, output: str, options: dict[str, Any]) -> tuple[int, object]:
    """Run one file, keep its results and show them; the exit code, and the results as a JSON document."""
    from kpsim.errors import InputError
    from kpsim.experiment.directory import default_place, holds_results, staged, write_manifest
    from kpsim.experiment.replications import run_scenario
    from kpsim.scenario.kinds import is_sweep
    from kpsim.scenario.reader import read

    if holds_results(file):
        raise InputError(
            f"{file}: holds the results of a run; to run it again: kpsim run {file}/scenario.resolved.yaml"
        )
    if is_sweep(file):
        from kpsim.cli.sweep import sweep_file

        return sweep_file(file, [], pairs, output, options)
    most_bytes = size_in_bytes(options["max_memory"])
    scenario = read(file, pairs)
    say(scenario.warnings)
    place = options["out"] or default_place(scenario.name)
    with staged(place) as directory:
        with progress_bar(scenario.name, options["quiet"]) as tell:
            result = run_scenario(scenario, jobs=jobs_of(options), progress=tell, most_bytes=most_bytes)
        say([w for w in result.warnings if w not in scenario.warnings])
        from kpsim.report.directory import write_report
        from kpsim.report.tables import summary_document
        from kpsim.report.terminal import summary_text

        write_report(result, directory)
        write_manifest(result, directory)
    if output != "json":
        click.echo(summary_text(result, styled))
    click.echo(f"  report: {place / 'report.html'}", err=output == "json")
    if not result.complete:
        click.echo("interrupted: the results are of the replications that were whole, and marked incomplete", err=True)
        return INTERRUPTED, summary_document(result)
    return 0 if result.passed else THRESHOLD_FAILED, summary_document(result)
