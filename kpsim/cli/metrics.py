"""``kpsim metrics``: what kube-proxy's own metrics would show on one node at one moment of a run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from kpsim.cli.options import file_argument, node_options, say, scenario_of

if TYPE_CHECKING:
    from kpsim.scenario.kinds import Look


@click.command()
@file_argument
@node_options("Whose kube-proxy.")
@click.option("--at", metavar="DURATION", help="When, since the run began, e.g. 30s; its end by default.")
def metrics(look: Look, node: str, at: str | None, **options: Any) -> None:
    """Print what GET /metrics of kube-proxy on --node would show, as OpenMetrics text.

    Runs the first replication of FILE without its packets. Names, labels, types and buckets are those of the
    scenario's Kubernetes version; counters begin with a start of kube-proxy right before the run, or with a restart,
    and times are seconds since the run began. What is not simulated is named on standard error.
    """
    from kpsim.experiment.guard import check_size
    from kpsim.report.openmetrics import openmetrics
    from kpsim.scrape import scrape

    scenario = scenario_of(look, options)
    run, traffic = replace(scenario.run, replications=1), replace(scenario.traffic, connections_per_s_per_node=0.0)
    check_size(replace(scenario, run=run, traffic=traffic, modes=(scenario.kube_proxy.mode,)))
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
