"""``kpsim rules``: one node's rules as the real tools take them, all of them or what a partial sync writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kpsim.cli import completing
from kpsim.cli.options import file_argument, node_options, say, scenario_of

if TYPE_CHECKING:
    from kpsim.explain.packet import NodeRules
    from kpsim.scenario.kinds import Look


@click.command()
@file_argument
@node_options("Whose rules: what is local differs.")
@click.option("--family", type=click.Choice(["IPv4", "IPv6"]), help="Default: the cluster's first. [IPv4 if both]")
@click.option(
    "--changed",
    multiple=True,
    metavar="NAMESPACE/NAME",
    shell_complete=completing.services,
    help="Only what is written when this changes.",
)
def rules(look: Look, node: str, family: str | None, changed: tuple[str, ...], **options: Any) -> None:
    """Print what kube-proxy writes on --node for the Services of FILE, at the start of a run.

    The text is what iptables-restore, nft -f or ipvsadm -R take; load it in a network namespace of your own. With
    --changed, which may be given several times, it is what a partial sync writes after those Services have changed,
    without what depends on the state before: chains that are deleted, elements that are new or gone.
    """
    from kpsim.explain.packet import NodeRules

    scenario = scenario_of(look, options)
    found = NodeRules.of(scenario, node, family or "")
    say(found.warnings)
    if scenario.cluster.dual_stack and not family:
        say(["the cluster has both IP families: these are the rules of IPv4; --family IPv6 writes those of IPv6"])
    for line in found.text(_changed(found, changed)):
        click.echo(line)


def _changed(found: NodeRules, names: tuple[str, ...]) -> frozenset[str] | None:
    """Return the Services to write; ``None`` for all.  Raises :class:`InputError` for one that is not there."""
    from kpsim.explain.subject import find_service

    full = [name if "/" in name else f"default/{name}" for name in names]
    for name in full:
        find_service(found.scenario, found.cluster, name)
    version = found.scenario.kubernetes_version
    if full and found.mode.runner(version).full_s is None:
        at = "{}.{}".format(*version)
        say([f"kube-proxy mode {found.mode.name} has no partial sync in Kubernetes {at}: this is everything"])
        return None
    return frozenset(full) if full else None
