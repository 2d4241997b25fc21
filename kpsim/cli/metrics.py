"""``kpsim metrics``: what kube-proxy's own metrics would show on one node at one moment of a run."""

from __future__ import annotations

from pathlib import Path

import click

from kpsim.cli.options import file_argument, overrides


@click.command()
@file_argument
@click.option("--mode", help="Proxy mode; the scenario's by default.")
@click.option("--node", default="node-0", show_default=True, help="Whose kube-proxy.")
@click.option("--at", metavar="DURATION", help="When, since the run began, e.g. 120s; its end by default.")
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Override a value below spec.")
def metrics(file: Path, mode: str | None, node: str, at: str | None, sets: tuple[str, ...]) -> None:
    """Print what GET /metrics of kube-proxy on --node would show, as OpenMetrics text.

    Runs the first replication of FILE without its packets. Names, labels, types and buckets are those of the
    scenario's Kubernetes version; counters begin with the run, or with kube-proxy where that restarts, and times are
    seconds since the run began. What is not simulated is named on standard error.
    """
    from kpsim.cli.options import say
    from kpsim.report.openmetrics import openmetrics
    from kpsim.scenario.reader import read
    from kpsim.scrape import scrape

    pairs = overrides({"sets": sets})
    scenario = read(file, [*pairs, ("kubeProxy.mode", mode)] if mode else pairs)
    found = scrape(scenario, node, _seconds(at))
    say(found.warnings)
    for line in openmetrics(found.families):
        click.echo(line)
    if found.not_simulated:
        click.echo(f"not simulated: {', '.join(found.not_simulated)}", err=True)


def _seconds(text: str | None) -> float | None:
    """``120s`` in seconds; ``None`` stays.  Raises :class:`InputError` if it is no duration."""
    from kpsim.errors import InputError, Place, Problem
    from kpsim.units import UnitError, parse_duration

    if text is None:
        return None
    try:
        return parse_duration(text)
    except UnitError as error:
        raise InputError([Problem(Place(), key="--at", what=error.what, mend=error.mend)]) from None
