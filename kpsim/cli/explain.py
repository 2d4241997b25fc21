"""``kpsim explain``: the rules a Service becomes, and what the packets of a connection pay for them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from kpsim.cli import completing
from kpsim.cli.coefficients import coefficients
from kpsim.cli.field import field
from kpsim.cli.ingress import ingress
from kpsim.cli.lookup import dns
from kpsim.cli.options import file_option, format_option, node_options, say, scenario_of, styled, to_json
from kpsim.cli.tables import print_table, wrapped
from kpsim.errors import InputError, Place, Problem

if TYPE_CHECKING:
    from kpsim.explain.service import PortExplanation
    from kpsim.scenario.kinds import Look

MOST_LINES = 40


@click.group()
def explain() -> None:
    """Show how a Service is made to work, and what it costs; or what a key of a scenario means."""


explain.add_command(coefficients)
explain.add_command(dns)
explain.add_command(field)
explain.add_command(ingress)


@explain.command("service", short_help="The rules of one Service, and what its packets meet and pay.")
@click.argument("name", shell_complete=completing.services)
@file_option
@node_options("On which node, where that matters; by default one without its endpoints.", "")
@format_option
def _service(name: str, look: Look, node: str, output: str, **options: Any) -> None:
    """Explain Service NAME: its rules, and what its packets meet and pay.

    NAME is "namespace/name", or "name" in the namespace default. Rules are in the mode's own syntax; the way of a new
    connection's first packet is told step by step, with the cost of each and what later packets pay.
    """
    from kpsim.explain.service import explain_service

    scenario = scenario_of(look, options)
    found = explain_service(scenario, name if "/" in name else f"default/{name}", node)
    say(found.warnings)
    if output == "json":
        click.echo(to_json(asdict(found)))
        return
    click.echo(styled("title", found.headline))
    for fact in found.facts:
        click.echo(wrapped(fact, "  "))
    for port in found.ports:
        show(port)
    if found.footnotes:
        click.echo()
    for note in found.footnotes:
        click.echo(wrapped(note))


def show(port: PortExplanation) -> None:
    """Print one service port's rules, path and costs."""
    from kpsim.report.wording.quantity import quantity

    click.echo()
    click.echo(styled("title", port.headline))
    for fact in port.facts:
        click.echo(wrapped(fact, "  "))
    _lines(f"rules on {port.where}", port.rules)
    _lines("what the first packet of a connection meets, in order", port.path)
    click.echo(wrapped(f"=> {port.verdict}", "    ", hanging=3))
    click.echo("\n  what that costs")
    rows = [
        [c.packet, c.stage, c.steps, quantity(c.each_s, "s") if c.each_s else "", quantity(c.total_s, "s")]
        for c in port.costs
    ]
    print_table(["packet", "stage", "steps", "each", "together"], rows, right=(2, 3, 4), indent="    ")
    if port.later:
        click.echo()
        click.echo(wrapped(f"later packets: {port.later}", "  "))


def _lines(title: str, lines: tuple[str, ...]) -> None:
    click.echo(f"\n  {title}")
    for line in lines[:MOST_LINES]:
        click.echo(f"    {line}")
    if len(lines) > MOST_LINES:
        click.echo(f"    … and {len(lines) - MOST_LINES:,} more lines of the same kind")


@explain.command("packet", short_help="The rules one packet meets on a node, in order, and its verdict.")
@click.option("--from", "source", default="pod", show_default=True, help="pod, node, outside, or an address.")
@click.option(
    "--to",
    "destination",
    required=True,
    shell_complete=completing.services,
    help="namespace/name[:port], or ip:port.",
)
@click.option("--protocol", type=click.Choice(["tcp", "udp", "sctp"]), default="tcp", help="For ip:port.")
@click.option("--node-ip", "node_ips", multiple=True, metavar="IP", help="An address of a rule dump's node.")
@file_option
@node_options("On which node: a scenario's first, unless said; a rule dump is of one node.", None)
@format_option
def _packet(
    source: str, destination: str, protocol: str, look: Look, node: str | None, node_ips: tuple[str, ...],
    output: str, **options: Any,
) -> None:  # fmt: skip
    """Trace the first packet of a connection through one node's rules, in the order in which it meets them.

    Where FILE is what a tool printed of a node's rules (iptables-save, nft list ruleset, ipvsadm -Ln, ...), or a folder
    with that in it, these rules are traced as they stand, everybody's chains among them; with --mode of another mode,
    or with --set, those that kpsim would write there for the same Services. From outside, a Service is reached at its
    load balancer's or external address, else at its NodePort.
    """
    from kpsim.explain.dumped import explain_dumped_packet
    from kpsim.explain.packet import explain_packet

    if _as_they_stand(look, options):
        found = explain_dumped_packet(look.dumps, source, destination, protocol, node=node or "", node_ips=node_ips)
    elif node_ips:
        what, mend = "is for a rule dump's own rules", "leave it out; kpsim gives its nodes addresses itself"
        raise InputError([Problem(Place(), key="--node-ip", what=what, mend=mend)])
    else:
        found = explain_packet(scenario_of(look, options), source, destination, protocol, node or "")
    say(found.warnings)
    if output == "json":
        click.echo(to_json(asdict(found)))
        return
    click.echo(styled("title", found.headline))
    for number, line in enumerate(found.met, 1):
        click.echo(f"  {number:>3}. {line}")
    click.echo()
    click.echo(wrapped(found.verdict, "  "))
    click.echo()
    for note in found.notes:
        click.echo(wrapped(note))


def _as_they_stand(look: Look, options: dict[str, Any]) -> bool:
    """Return True if rule dumps were given, whatever beside them, and no option asks for other rules than their own."""
    shown = next((dump.mode for dump in look.dumps if dump.mode), "")
    return look.shows_rules and not options["sets"] and options["mode"] in (None, shown)
