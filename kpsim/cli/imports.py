"""``kpsim import``: a scenario from a cluster's own objects and rules."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kpsim.cli.options import file_argument

if TYPE_CHECKING:
    from kpsim.scenario.kinds import Look


def free(_context: click.Context, _parameter: click.Parameter, out: Path | None) -> Path | None:
    """Return the place to write to; refused before a large dump is read if there is something."""
    if out is not None and out.exists():
        from kpsim.errors import InputError

        raise InputError(f"--out {out}: is there already; remove it or name another file")
    return out


@click.command(name="import")
@file_argument
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    is_eager=True,
    callback=free,
    help="Write the scenario there instead of to stdout.",
)
@click.option("--anonymise", is_flag=True, help="Replace names, namespaces, addresses and labels, for sharing.")
def imports(look: Look, out: Path | None, anonymise: bool) -> None:
    """Write a commented scenario around what one cluster gave.

    FILE is what kubectl get -o json|yaml printed, manifests, or the rules of a node as iptables-save, iptables -nvL,
    ipvsadm -Ln, ipvsadm -Sn, /proc/net/ip_vs or nft list ruleset print them, or a directory of those; which one is
    detected.  kube-proxy's configuration and log, beside objects or rules, say its mode and settings.
    Several are merged: objects say more than rules, rules fill in what no object was given for.
    With --anonymise the result can be shared: the structure is kept, and check and run answer the same.
    """
    from kpsim.scenario.imported import scenario_document

    given(scenario_document(look, anonymise=anonymise), out)


def given(text: str, out: Path | None) -> None:
    """Print a scenario, or write it where it was asked for.  Raises :class:`InputError` where it cannot be."""
    from kpsim.errors import InputError
    from kpsim.experiment.directory import write_whole

    if out is None:
        click.echo(text, nl=False)
        return
    try:
        write_whole(out, text)
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written: {error.strerror}") from error
    click.echo(f"wrote {out}; now: kpsim run {out}", err=True)
