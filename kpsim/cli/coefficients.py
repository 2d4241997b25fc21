"""``kpsim explain coefficients``: by how much each price's own interval moves a scenario's measures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kpsim.cli.options import file_option, format_option, say, scenario_of, set_option, styled, to_json
from kpsim.cli.tables import print_table, wrapped

if TYPE_CHECKING:
    from kpsim.experiment.answers.levers import Lever
    from kpsim.scenario.kinds import Look

SHOWN = 4  # coefficients a measure


@click.command(short_help="Which cost to measure next: how far each moves packets and syncs.")
@file_option
@set_option
@format_option
def coefficients(look: Look, output: str, sets: tuple[str, ...]) -> None:
    """Say which cost to measure next: how far each one's own interval moves first packets and syncs.

    Nothing is simulated. A first packet passes half of the rules; syncs are of the cluster as it begins, with one
    change. `-o json` lists every coefficient.
    """
    from kpsim.experiment.answers.levers import levers
    from kpsim.report.wording.quantity import percent, quantity

    found = levers(scenario_of(look, {"sets": sets}))
    say(found.warnings)
    if output == "json":
        click.echo(to_json({"coefficients": [_as_json(lever) for lever in found.each]}))
        return
    best = found.next_measured
    if best is not None:
        name, moves = best.coefficient.name, _moves(best)
        said = f"Measure next: {name} ({best.mode}). Its interval alone moves {best.measure} by {moves}"
        click.echo(styled("title", wrapped(f"{said}; {best.measured_with} measures it.")))
    of = f"of Linux {found.kernel}" if found.kernel else "of a machine that does not say its kernel"
    click.echo(wrapped(f"Costs are those {of} (profile {found.profile})."))
    groups: dict[tuple[str, str], list[Lever]] = {}
    for lever in found.each:
        groups.setdefault((lever.mode, lever.measure), []).append(lever)
    for (mode, measure), mine in groups.items():
        click.echo(f"\n{mode}: {measure}, {quantity(mine[0].value_s, 's')}")
        print_table(
            ["coefficient", "value", "95 % interval", "moves it by", "share of it", "measured with"],
            [
                [each.coefficient.name, quantity(each.coefficient.value, "s"), _interval(each), _moves(each),
                 percent(each.share), each.measured_with or "no command"]
                for each in mine[:SHOWN]
            ],
            right=(1, 2, 3, 4), indent="  ",
        )  # fmt: skip


def _interval(lever: Lever) -> str:
    from kpsim.report.wording.quantity import quantity

    return f"{quantity(lever.coefficient.low, 's')} to {quantity(lever.coefficient.high, 's')}"


def _moves(lever: Lever) -> str:
    down, up = (end / lever.value_s - 1 for end in (lever.low_s, lever.high_s))
    return f"{100 * down:+.2g} % to {100 * up:+.2g} %" if up < 1 else f"{100 * down:+.2g} % to {100 * up:+,.0f} %"


def _as_json(lever: Lever) -> dict[str, object]:
    price = lever.coefficient
    return {
        "mode": lever.mode, "measure": lever.measure, "name": price.name, "value_s": price.value, "low_s": price.low,
        "high_s": price.high, "source": price.source, "measure_s": lever.value_s, "measure_low_s": lever.low_s,
        "measure_high_s": lever.high_s, "measured_with": lever.measured_with,
    }  # fmt: skip
