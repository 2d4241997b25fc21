"""``kpsim check``: is the file right, and how far is each limit?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kpsim.cli.options import file_argument, format_option, overrides, say, size_in_bytes, to_json
from kpsim.cli.tables import print_table

__all__ = ["check"]


@click.command()
@file_argument
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Override a value below spec.")
@click.option("--max-memory", metavar="SIZE", help="Refuse runs estimated above it, e.g. 4G.")
@format_option
def check(file: Path, output: str, max_memory: str | None, **options: Any) -> None:
    """Read FILE, lay out its cluster, and list every hard and soft limit with its use; nothing is simulated."""
    from kpsim.experiment.guard import check_memory, memory_bytes
    from kpsim.experiment.limits import limits_of
    from kpsim.experiment.replications import build_cluster, choose_engine
    from kpsim.scenario.kinds import is_sweep
    from kpsim.scenario.reader import read, read_sweep

    if is_sweep(file):
        axes = read_sweep(file).axes
        say([f"a sweep over {', '.join(name for name, _ in axes)}: checked at its first point"])
        options["sets"] = (*(f"{name}={values[0]}" for name, values in axes), *options["sets"])
    scenario = read(file, overrides(options))
    check_memory(scenario, size_in_bytes(max_memory))
    cluster, warnings = build_cluster(scenario)
    say(warnings)
    limits = limits_of(scenario, cluster)
    proxied = cluster.services.proxied[: cluster.initial]
    facts = {
        "scenario": scenario.name,
        "nodes": cluster.nodes,
        "services": cluster.initial,
        "service_ports": int(cluster.services.ports[: cluster.initial][proxied].sum()),
        "endpoints": int(cluster.endpoint_offset[cluster.initial]),
        "engine": choose_engine(scenario)[0],
        "memory_bytes": round(memory_bytes(scenario)),
    }
    if output == "json":
        rows = [{"name": m.name, "kind": m.kind, "used": m.used, "limit": m.limit, "unit": m.unit, "source": m.source}
                for m in limits]  # fmt: skip
        click.echo(to_json(facts | {"limits": rows}))
        return
    click.echo(
        f"{scenario.name}: {facts['services']:,} Services with {facts['service_ports']:,} service ports and "
        f"{facts['endpoints']:,} endpoints on {cluster.nodes:,} nodes; {facts['engine']} engine, "
        f"about {facts['memory_bytes'] / 1e6:,.0f} MB"
    )
    print_table(
        ["limit", "kind", "used", "of", "share", "says"],
        [[m.name, m.kind, f"{m.used:,.0f}", f"{m.limit:,.0f}", f"{m.share:.1%}", m.source] for m in limits],
        right=(2, 3, 4),
    )
    broken = [m for m in limits if m.share > 1]
    for limit in broken:
        say([f"{limit.name}: {limit.used:,.0f} of {limit.limit:,.0f} ({limit.kind} limit)"])
