"""``kpsim check``: is the file right, and how far is each limit?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kpsim.cli.options import (
    file_argument,
    format_option,
    memory_option,
    overrides,
    say,
    set_option,
    size_in_bytes,
    time_in_seconds,
    time_option,
    to_json,
)
from kpsim.cli.problems import Reported, check_update
from kpsim.cli.run import refuse_wrong
from kpsim.cli.tables import print_table, wrapped

if TYPE_CHECKING:
    from kpsim.experiment.answers.limits import Limit
    from kpsim.experiment.answers.waits import Wait
    from kpsim.scenario.kinds import Look


@click.command(cls=Reported)
@file_argument
@set_option
@memory_option
@time_option
@click.option("--was", multiple=True, type=click.Path(path_type=Path), help="Judge FILE as an update of this.")
@format_option
def check(look: Look, output: str, was: tuple[Path, ...], **options: Any) -> None:
    """Read FILE, lay out its cluster, and list every hard and soft limit with its use; nothing is simulated.

    Several scenarios are checked one after another, several files that show a cluster as one.
    """
    if was:
        check_update(look, was, output, options)
        return
    documents, looks = [], look.questions()
    if len(looks) > 1:
        refuse_wrong(looks, overrides(options))
    for number, one in enumerate(looks):
        if number and output != "json":
            click.echo()
        documents.append(_check(one, output, options))
    if output == "json":
        click.echo(to_json(documents[0] if len(documents) == 1 else documents))


def _check(look: Look, output: str, options: dict[str, Any]) -> dict[str, object]:
    """Show the limits of one scenario, and return them as a JSON document."""
    from kpsim.experiment.answers.limits import limits_of
    from kpsim.experiment.answers.waits import notes_of, waits_of
    from kpsim.experiment.guard import check_size, memory_bytes
    from kpsim.scenario.reader import read, read_sweep
    from kpsim.simulation import build_cluster, choose_engine

    sets = options["sets"]
    if look.is_sweep:
        axes = read_sweep(look).axes
        say([f"a sweep over {', '.join(name for name, _ in axes)}: checked at its last point"])
        sets = (*(f"{name}={values[-1]}" for name, values in axes), *sets)
    scenario = read(look, overrides({"sets": sets}))
    seconds = check_size(scenario, size_in_bytes(options["max_memory"]), time_in_seconds(options["max_time"])).seconds
    cluster, warnings = build_cluster(scenario)
    say(warnings)
    limits, waits = limits_of(scenario, cluster), waits_of(scenario, cluster)
    notes = notes_of(scenario, cluster)
    proxied = cluster.services.proxied[: cluster.initial]
    memory = memory_bytes(scenario)
    facts = {
        "scenario": scenario.name,
        "nodes": cluster.nodes,
        "services": cluster.service_count,
        "service_ports": int(cluster.services.ports[: cluster.initial][proxied].sum()),
        "endpoints": cluster.endpoint_count,
        "engine": choose_engine(scenario)[0],
        "memory_bytes": round(memory),
        "seconds": round(seconds, 1),
    }
    if output != "json":
        said = (
            f"{scenario.name}: {_many(facts['services'], 'Service')} with "
            f"{_many(facts['service_ports'], 'service port')} and {_many(facts['endpoints'], 'endpoint')} on "
            f"{_many(facts['nodes'], 'node')}; a run takes the {facts['engine']} engine and about "
            f"{memory / 1e6:,.0f} MB, and keeps one core busy for about {_long(seconds)}"
        )
        click.echo(wrapped(said))
        _show(limits, waits)
        for note in notes:
            click.echo(wrapped(note))
    say([f"{m.name}: {m.used:,.0f} of {m.limit:,.0f} ({m.kind} limit)" for m in limits if m.share > 1])
    return facts | {"problems": [], "warnings": list(warnings), **_rows(limits, waits), "notes": list(notes)}


def _rows(limits: tuple[Limit, ...], waits: tuple[Wait, ...]) -> dict[str, object]:
    return {
        "limits": [
            {"name": m.name, "kind": m.kind, "used": m.used, "limit": m.limit, "share": m.share, "unit": m.unit,
             "source": m.source} for m in limits
        ],
        "waits": [
            {"name": w.name, "seconds": w.seconds, "low_seconds": w.low_s, "high_seconds": w.high_s, "why": w.why,
             "source": w.source} for w in waits
        ],
    }  # fmt: skip


def _many(count: object, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _show(limits: tuple[Limit, ...], waits: tuple[Wait, ...]) -> None:
    """Limits, the nearest first, then the waits; their sources stand below them, once."""
    from kpsim.report.wording.quantity import percent

    sources = list(dict.fromkeys([*(m.source for m in limits), *(w.source for w in waits)]))
    print_table(
        ["limit", "kind", "used", "of", "share", "unit", "source"],
        [
            [m.name, m.kind, _used(m.used), _used(m.limit), percent(m.share), m.unit,
             f"[{sources.index(m.source) + 1}]"]
            for m in limits
        ],
        right=(2, 3, 4),
    )  # fmt: skip
    if waits:
        click.echo()
        print_table(
            ["created at once", "takes", "between", "because", "source"],
            [
                [w.name, _long(w.seconds), _between(w), w.why,
                 f"[{sources.index(w.source) + 1}]"]
                for w in waits
            ],
            right=(1,),
        )  # fmt: skip
    click.echo()
    for number, source in enumerate(sources, 1):
        click.echo(wrapped(f"[{number}] {source}", hanging=len(f"[{number}] ")))


def _long(seconds: float) -> str:
    """Return a time in words for people who wait for it."""
    if seconds < 100:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.3g} min" if seconds < 6000 else f"{seconds / 3600:.3g} h"


def _between(wait: Wait) -> str:
    return f"{_long(wait.low_s)} and {_long(wait.high_s)}" if wait.low_s < wait.high_s else "–"


def _used(used: float) -> str:
    return f"{used:,.0f}" if used == round(used) or used >= 100 else f"{used:.2g}"
