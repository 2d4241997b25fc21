"""``kpsim run``: simulate, say the verdict, keep a run directory with a report."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from kpsim.cli.options import (
    INTERRUPTED,
    THRESHOLD_FAILED,
    UNDECIDED,
    executor_of,
    file_argument,
    format_option,
    mode_option,
    overrides,
    progress_bar,
    run_options,
    say,
    size_in_bytes,
    strict_option,
    styled,
    time_in_seconds,
    to_json,
)

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from kpsim.scenario.kinds import Look

Pairs = Sequence[tuple[str, str]]
Progress = Callable[[int, int], None]  # mode runs done, of how many


@click.command()
@file_argument
@mode_option
@run_options
@strict_option
@format_option
def run(look: Look, output: str, **options: Any) -> None:
    """Simulate FILE: a scenario, or a default one around a dump or manifests of real Kubernetes objects.

    Results go to stdout; a run directory with report and figures to results/runs, or to --out.
    Several scenarios are run one after another, once all of them are known to be right; several files that show a
    cluster are run as one.
    """
    pairs, looks = overrides(options), look.questions()
    if len(looks) > 1:
        if options["out"]:
            raise click.UsageError("--out is the place of one run; leave it out, or give one file")
        refuse_wrong(looks, pairs)
    code, documents = 0, []
    with executor_of(options) as executor:
        for number, one in enumerate(looks):
            if number and output != "json":
                click.echo()
            status, document = simulate(one, pairs, output, options, executor)
            code = max(code, status)
            documents.append(document)
            if status == INTERRUPTED:
                break
    if output == "json":
        click.echo(to_json(documents[0] if len(looks) == 1 else documents))
    raise SystemExit(code)


def refuse_wrong(looks: Sequence[Look], pairs: Pairs) -> None:
    """Raise :class:`InputError` with everything that is wrong in any of several files, before the first is run."""
    from kpsim.errors import InputError, Problem
    from kpsim.scenario.reader import read, read_sweep

    problems: list[Problem] = []
    for look in looks:
        try:
            if look.is_sweep:
                read_sweep(look)
            else:
                read(look, pairs)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)


def simulate(look: Look, pairs: Pairs, output: str, options: dict[str, Any], executor: Executor) -> tuple[int, object]:
    """Run what was given, keep its results and show them; the exit code, and the results as a JSON document."""
    from kpsim.experiment.workers import Warm
    from kpsim.scenario.reader import read

    if look.is_sweep and not _one_point(look, pairs):
        from kpsim.cli.sweep import sweep_files

        return sweep_files(look, [], pairs, output, options, executor)
    most_bytes, most_s = size_in_bytes(options["max_memory"]), time_in_seconds(options["max_time"])
    scenario = read(look, pairs)
    if isinstance(executor, Warm) and scenario.run.replications > 1:
        executor.begin()  # the processes' imports, while this one has its own
    from kpsim.experiment.directory import default_place, staged, write_manifest
    from kpsim.experiment.replications import run_scenario

    say(scenario.warnings)
    place = options["out"] or default_place(scenario.name)
    with staged(place) as directory:
        with progress_bar(scenario.name, options["quiet"]) as bar:
            tell = _importing(len(scenario.modes), bar) if isinstance(executor, Warm) else bar
            result = run_scenario(scenario, executor=executor, progress=tell, most_bytes=most_bytes, most_s=most_s)
        if isinstance(executor, Warm):
            executor.rest()  # what draws needs memory too
        say([w for w in result.warnings if w not in scenario.warnings])
        result = replace(result, provenance={**result.provenance, "command": command_of(look, pairs)})
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
    undecided = UNDECIDED if options.get("strict") else 0
    return {True: 0, False: THRESHOLD_FAILED, None: undecided}[result.passed], summary_document(result)


def command_of(look: Look, pairs: Pairs) -> str:
    """Return the command that repeats a run, with everything that was set."""
    sets = [part for key, value in pairs for part in ("--set", f"{key}={value}")]
    return shlex.join(["kpsim", "run", *map(str, look.paths), *sets])


def _importing(left: int, tell: Progress | None) -> Progress:
    """Return ``tell``, which also imports what draws while the last ``left`` mode runs leave a processor free."""
    thread = threading.Thread(target=import_module, args=("kpsim.report.directory",), daemon=True)

    def told(done: int, total: int) -> None:
        if tell:
            tell(done, total)
        if thread.ident is None and total - done <= left:
            thread.start()
        if done == total:
            thread.join()  # two threads that import may wait for each other

    return told


def _one_point(look: Look, pairs: Pairs) -> bool:
    """Return True if every axis of a sweep is set to one value: it is then a run."""
    from kpsim.scenario.reader import read_sweep

    return {name for name, _ in read_sweep(look).axes} <= {name for name, _ in pairs}
