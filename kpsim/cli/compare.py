"""``kpsim compare``: a cluster under several proxy modes, or before and after an upgrade; or two runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kpsim.cli import completing
from kpsim.cli.options import executor_of, file_argument, format_option, overrides, run_options, strict_option, to_json
from kpsim.cli.run import simulate

if TYPE_CHECKING:
    from kpsim.scenario.kinds import Look


@click.command()
@file_argument
@click.option(
    "--modes",
    metavar="A,B,…",
    shell_complete=completing.modes,
    help="Modes to compare, the first being what the others are compared with.",
)
@click.option("--versions", metavar="A,B", help="Kubernetes releases instead: what an upgrade changes, e.g. 1.30,1.36.")
@run_options
@strict_option
@format_option
def compare(look: Look, modes: str | None, versions: str | None, output: str, **options: Any) -> None:
    """Simulate FILE under --modes (by default those a Linux cluster of its version has), paired by replication.

    With --versions A,B it is the cluster before and after an upgrade: modes, defaults, syncs and rules that change, and
    the latencies under both. FILE may be two directories that kpsim run has written: then nothing is simulated, and
    what differs between their scenarios and their results is said.
    """
    from kpsim.errors import InputError
    from kpsim.scenario.kinds import holds_results
    from kpsim.scenario.reader import read
    from kpsim.scenario.sections.modes import usual_modes

    if any(map(holds_results, look.paths)):
        from kpsim.cli.compare_kept import compare_kept

        if modes or versions or options["sets"]:
            raise click.UsageError(
                "two runs are compared as they are; --modes, --versions and --set are for a scenario"
            )
        compare_kept(look.paths, output)
        return
    if modes is not None and len(modes.split(",")) < 2 and versions is None:
        raise click.BadParameter(f"{modes!r} is not two modes or more, e.g. iptables,ipvs", param_hint="--modes")
    if look.is_sweep:
        raise InputError(f"{look.name}: is a Sweep; kpsim run {look.name} compares the modes it names at every point")
    pairs = overrides(options)
    if versions is not None:
        from kpsim.cli.compare_kept import compare_versions

        compare_versions(look, versions, modes, pairs, output, options)
        return
    scenario = read(look, pairs)
    if modes is None:
        modes = ",".join(usual_modes(scenario.kubernetes_version))
    if scenario.ask is None:
        pairs = [*pairs, ("ask", "comparison")]  # the mode to choose comes before the scenario's objectives
    with executor_of(options) as executor:
        code, document = simulate(look, [*pairs, ("compare.modes", modes)], output, options, executor)
    if output == "json":
        click.echo(to_json(document))
    raise SystemExit(code)
