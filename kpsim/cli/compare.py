"""``kpsim compare``: the same cluster, arrivals and changes under several proxy modes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kpsim.cli.options import executor_of, file_argument, format_option, overrides, run_options, strict_option, to_json
from kpsim.cli.run import simulate

if TYPE_CHECKING:
    from kpsim.scenario.kinds import Look


@click.command()
@file_argument
@click.option("--modes", metavar="A,B,…", help="Modes to compare, the first being what the others are compared with.")
@run_options
@strict_option
@format_option
def compare(look: Look, modes: str | None, output: str, **options: Any) -> None:
    """Simulate FILE under --modes (by default those a Linux cluster of its version has), paired by replication."""
    from kpsim.errors import InputError
    from kpsim.scenario.reader import read
    from kpsim.scenario.sections.modes import usual_modes

    if modes is not None and len(modes.split(",")) < 2:
        raise click.BadParameter(f"{modes!r} is not two modes or more, e.g. iptables,ipvs", param_hint="--modes")
    if look.is_sweep:
        raise InputError(f"{look.name}: is a Sweep; kpsim run {look.name} compares the modes it names at every point")
    pairs = overrides(options)
    if modes is None:
        modes = ",".join(usual_modes(read(look, pairs).kubernetes_version))
    with executor_of(options) as executor:
        code, document = simulate(look, [*pairs, ("compare.modes", modes)], output, options, executor)
    if output == "json":
        click.echo(to_json(document))
    raise SystemExit(code)
