"""``kpsim run``: simulate, say the verdict, keep a run directory with a report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kpsim.cli.options import (
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

__all__ = ["run", "simulate"]


@click.command()
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="FILE|DIR…")
@run_options
@format_option
def run(files: tuple[Path, ...], output: str, **options: Any) -> None:
    """Simulate FILE: a scenario, or a default one around a dump or manifests of real Kubernetes objects.

    Results go to stdout; a run directory with report and figures to results/runs, or to --out.
    """
    code = 0
    for file in files:
        code = max(code, simulate(file, overrides(options), output, options))
    raise SystemExit(code)


def simulate(file: Path, sets: list[tuple[str, str]], output: str, options: dict[str, Any]) -> int:
    """Run one file and show it; the exit code."""
    from kpsim.experiment.directory import default_place, staged, write_manifest
    from kpsim.experiment.replications import run_scenario
    from kpsim.scenario.kinds import is_sweep
    from kpsim.scenario.reader import read

    if is_sweep(file):
        from kpsim.cli.sweep import sweep_file

        return sweep_file(file, [], sets, output, options)
    scenario = read(file, sets)
    say(scenario.warnings)
    with progress_bar(scenario.name, options["quiet"]) as tell:
        result = run_scenario(
            scenario, jobs=jobs_of(options), progress=tell, most_bytes=size_in_bytes(options["max_memory"])
        )
    say([w for w in result.warnings if w not in scenario.warnings])
    from kpsim.report.directory import write_report
    from kpsim.report.tables import summary_document
    from kpsim.report.terminal import summary_text

    place = options["out"] or default_place(scenario.name)
    with staged(place) as directory:
        write_report(result, directory)
        write_manifest(result, directory)
    if output == "json":
        click.echo(to_json(summary_document(result)))
    else:
        click.echo(summary_text(result, styled))
        click.echo(f"  report: {place / 'report.html'}")
    return 0 if result.passed else THRESHOLD_FAILED
