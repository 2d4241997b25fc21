"""``kpsim rules``: one node's rules as the real tools take them."""

from __future__ import annotations

from pathlib import Path

import click

from kpsim.cli.options import file_argument, overrides, say

__all__ = ["rules"]


@click.command()
@file_argument
@click.option("--mode", help="Proxy mode; the scenario's by default.")
@click.option("--node", default="node-0", show_default=True, help="Whose rules: what is local differs.")
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Override a value below spec.")
def rules(file: Path, mode: str | None, node: str, sets: tuple[str, ...]) -> None:
    """Print what kube-proxy writes on --node for the Services of FILE, at the start of a run.

    The text is what iptables-restore, nft -f or ipvsadm -R take; load it in a network namespace of your own.
    """
    from kpsim.experiment.explanation.packets import NodeRules
    from kpsim.scenario.reader import read

    pairs = overrides({"sets": sets})
    scenario = read(file, [*pairs, ("kubeProxy.mode", mode)] if mode else pairs)
    found = NodeRules.of(scenario, node)
    say(found.warnings)
    for line in found.text():
        click.echo(line)
