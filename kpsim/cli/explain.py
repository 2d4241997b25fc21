"""``kpsim explain``: the rules a Service becomes, and what the packets of a connection pay for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kpsim.cli.lookup import dns
from kpsim.cli.options import format_option, overrides, say, styled, to_json
from kpsim.cli.tables import print_table, wrapped
from kpsim.errors import InputError, Place, Problem

if TYPE_CHECKING:
    from kpsim.explain.service import PortExplanation
    from kpsim.scenario.model import Scenario

MOST_LINES = 40


@click.group()
def explain() -> None:
    """Show how a Service is made to work, and what it costs."""


explain.add_command(dns)


@explain.command("service", short_help="The rules of one Service, and what its packets meet and pay.")
@click.argument("name")
@click.option("-f", "--file", "file", type=click.Path(path_type=Path), required=True, help="Scenario or dump.")
@click.option("--mode", help="Proxy mode; the scenario's by default.")
@click.option("--node", default="", help="On which node, where that matters; by default one without its endpoints.")
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Override a value below spec.")
@format_option
def _service(name: str, file: Path, mode: str | None, node: str, sets: tuple[str, ...], output: str) -> None:
    """Explain Service NAME: its rules, and what its packets meet and pay.

    NAME is "namespace/name", or "name" in the namespace default. Rules are in the mode's own syntax; the way of a new
    connection's first packet is told step by step, with the cost of each and what later packets pay.
    """
    from kpsim.explain.service import explain_service
    from kpsim.scenario.reader import read

    pairs = overrides({"sets": sets})
    scenario = read(file, [*pairs, ("kubeProxy.mode", mode)] if mode else pairs)
    found = explain_service(scenario, name if "/" in name else f"default/{name}", node)
    say(found.warnings)
    if output == "json":
        click.echo(to_json(asdict(found)))
        return
    click.echo(styled("title", found.headline))
    for fact in found.facts:
        click.echo(wrapped(fact, "  "))
    for port in found.ports:
        _show(port)
    if found.footnotes:
        click.echo()
    for note in found.footnotes:
        click.echo(wrapped(note))


def _show(port: PortExplanation) -> None:
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
@click.option("--to", "destination", required=True, help="namespace/name[:port], or ip:port.")
@click.option("--protocol", type=click.Choice(["tcp", "udp", "sctp"]), default="tcp", help="For ip:port.")
@click.option("--node", help="On which node: node-0 of a scenario, unless said; a rule dump is of one node.")
@click.option("--node-ip", "node_ips", multiple=True, metavar="IP", help="An address of a rule dump's node.")
@click.option(
    "-f", "--file", "files", type=click.Path(path_type=Path), required=True, multiple=True,
    help="Scenario or dump; of one node's rules, several files if they came so.",
)  # fmt: skip
@click.option("--mode", help="Proxy mode; the scenario's by default.")
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Override a value below spec.")
@format_option
def _packet(
    source: str, destination: str, protocol: str, node: str | None, node_ips: tuple[str, ...], files: tuple[Path, ...],
    mode: str | None, sets: tuple[str, ...], output: str,
) -> None:  # fmt: skip
    """Trace the first packet of a connection through one node's rules, in the order in which it meets them.

    Where FILE is what a tool printed of a node's rules (iptables-save, nft list ruleset, ipvsadm -Ln, ...), these rules
    are traced as they stand, everybody's chains among them; with --mode of another mode, or with --set, those that
    kpsim would write there for the same Services.
    """
    from kpsim.explain.dumped import explain_dumped_packet
    from kpsim.explain.packet import explain_packet

    texts = _texts(files, mode) if not sets else None
    if texts is not None:
        found = explain_dumped_packet(texts, source, destination, protocol, node=node or "", node_ips=node_ips)
    else:
        scenario = _scenario(files, mode, sets, node_ips)
        found = explain_packet(scenario, source, destination, protocol, node or "node-0")
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


def _texts(files: Sequence[Path], mode: str | None) -> list[tuple[str, str]] | None:
    """The texts of rule dumps with their names, where it is their own rules that are asked for."""
    from kpsim.explain.dumped import mode_of_dumps
    from kpsim.scenario.kinds import rule_text

    texts = [(text, path.name) for path in files if (text := rule_text(path)) is not None]
    if len(texts) < len(files) or (mode is not None and mode != mode_of_dumps(texts)):
        return None
    return texts


def _scenario(files: Sequence[Path], mode: str | None, sets: tuple[str, ...], node_ips: Sequence[str]) -> Scenario:
    """The scenario in a file, or the one around what several files show of a cluster."""
    from kpsim.scenario.reader import read, read_around

    pairs = overrides({"sets": sets})
    pairs += [("kubeProxy.mode", mode)] if mode else []
    if node_ips:
        what, mend = "is for a rule dump's own rules", "leave it out; kpsim gives its nodes addresses itself"
        raise InputError([Problem(Place(), key="--node-ip", what=what, mend=mend)])
    return read(files[0], pairs) if len(files) == 1 else read_around(files, pairs)[0]
