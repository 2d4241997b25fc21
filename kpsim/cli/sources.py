"""``kpsim sources``: every number, with its interval and its source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kpsim.cli.options import format_option, to_json
from kpsim.cli.tables import print_table, wrapped
from kpsim.profiles.costs import DEFAULT

if TYPE_CHECKING:
    from kpsim.profiles.format import Coefficient

LARGE = 1000


@click.command()
@click.option("--profile", default=DEFAULT, help="Cost profile.")
@click.option("--set", "which", type=click.Choice(["quiet", "typical"]), default="typical", help="Set of coefficients.")
@format_option
def sources(profile: str, which: str, output: str) -> None:
    """List every number the model uses, with its source.

    Measured or read ones come first, then the assumed ones, then what is taken for granted.
    """
    from kpsim.profiles.costs import aliases, load_profile
    from kpsim.profiles.defaults import load_defaults
    from kpsim.profiles.format import SCALE
    from kpsim.profiles.shipped import assumptions

    chosen, defaults = load_profile(profile), load_defaults()
    numbers = [(f"{family}.{c.name}", c) for family, c in chosen.coefficients(which)]
    numbers += list(defaults.coefficients.items())
    where = {**chosen.sources, **defaults.text.sources}
    if output == "json":
        rows = [
            {"name": n, "unit": c.unit, "value": c.value, "low": c.low, "high": c.high, "source": c.source,
             "says": where.get(c.source, c.source), "assumed": c.assumed, "note": c.note}
            for n, c in numbers
        ]  # fmt: skip
        click.echo(to_json({"numbers": rows, "assumptions": dict(assumptions())}))
        return
    click.echo(wrapped(f"{chosen.name}: {chosen.about}"))
    before = [old for old, now in aliases().items() if now == chosen.name]
    if before:
        click.echo(wrapped(f"{', '.join(before)} is a name it had before."))
    click.echo()
    for title, assumed in (("Measured, or read in Kubernetes' source", False), ("Assumed", True)):
        click.echo(title)
        print_table(
            ["number", "value", "95 % interval", "unit", "source", "note"],
            [[n, _plain(c.value / SCALE[c.unit]), _interval(c), c.unit.replace("us", "µs"), c.source, c.note]
             for n, c in numbers if c.assumed is assumed],
            right=(1, 2),
        )  # fmt: skip
        click.echo()
    click.echo("Sources")
    for key, says in where.items():
        click.echo(wrapped(f"{key}: {says}", "  ", hanging=2))
    click.echo("\nTaken for granted")
    for key, says in assumptions():
        click.echo(wrapped(f"{key}  {says}", "  ", hanging=len(key) + 2))


def _plain(value: float) -> str:
    """Four digits, without powers of ten."""
    return f"{value:,.0f}" if abs(value) >= LARGE else f"{value:.4g}"


def _interval(c: Coefficient) -> str:
    from kpsim.profiles.format import SCALE

    return f"[{_plain(c.low / SCALE[c.unit])}, {_plain(c.high / SCALE[c.unit])}]"
