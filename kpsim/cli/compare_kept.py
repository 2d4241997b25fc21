"""``kpsim compare RUN RUN`` and ``kpsim compare FILE --versions A,B``: two sets of results side by side."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kpsim.cli.options import executor_of, progress_bar, say, size_in_bytes, styled, time_in_seconds, to_json
from kpsim.cli.tables import print_table, wrapped

if TYPE_CHECKING:
    from kpsim.experiment.kept.differences import Difference
    from kpsim.experiment.result import Result
    from kpsim.report.compared.upgrade import Upgrade
    from kpsim.scenario.kinds import Look
    from kpsim.scenario.model import Scenario
    from kpsim.units import Version

LATENCIES = ("first_packet_latency", "network_programming_true", "sync_duration", "dns_latency", "ingress_latency")
_VERSION = re.compile(r"v?(\d{1,3})\.(\d{1,3})")


def compare_kept(places: Sequence[Path], output: str) -> None:
    """Show two kept runs side by side."""
    from kpsim.experiment.kept.reading import open_run
    from kpsim.report.compared.runs import compare_runs

    if len(places) != 2:
        raise click.UsageError(f"two runs are compared, not {len(places)}")
    first, second = map(open_run, places)
    found = compare_runs(first, second)
    if output == "json":
        click.echo(to_json(asdict(found)))
        return
    click.echo(styled("title", f"first: {first.place}, second: {second.place}"))
    for fact in found.facts:
        click.echo(wrapped(fact, "  "))
    _show(found.rows, found.crossings)


def compare_versions(
    look: Look,
    versions: str,
    named: str | None,
    pairs: Sequence[tuple[str, str]],
    output: str,
    options: dict[str, Any],
) -> None:
    """Show what a release changes for the cluster of ``look``, under modes that were ``named`` or the scenario's."""
    from kpsim.experiment.kept.differences import differences
    from kpsim.report.compared.runs import SHARED, crossings
    from kpsim.report.compared.upgrade import modes_of_both, upgrade
    from kpsim.report.tables import summary_document
    from kpsim.scenario.reader import read

    wanted = _versions(versions)
    if options["out"]:
        raise click.UsageError("--out is the place of one run; --versions keeps none")
    base = read(look, pairs)
    modes, said = modes_of_both(named.split(",") if named else base.modes, wanted)
    mode = base.kube_proxy.mode if base.kube_proxy.mode in modes else modes[0]
    chosen = [*pairs, ("compare.modes", ",".join(modes)), ("kubeProxy.mode", mode)]
    scenarios = [read(look, [*chosen, ("kubernetes.version", "{}.{}".format(*each))]) for each in wanted]
    changed = upgrade(*scenarios)
    first, second = (summary_document(_run(scenario, options)) for scenario in scenarios)
    pairs_of_modes = {name: name for name in modes}
    rows = tuple(differences(first, second, pairs_of_modes))
    if output == "json":
        document = {"versions": ["{}.{}".format(*each) for each in wanted], "modes": modes, "left_out": said}
        click.echo(to_json({**document, "changed": asdict(changed), "rows": [asdict(row) for row in rows]}))
        return
    say([*scenarios[0].warnings])
    old, new = ("{}.{}".format(*each) for each in wanted)
    click.echo(styled("title", f"{base.name}: from Kubernetes {old} (first) to {new} (second)"))
    for sentence in (*said, SHARED):
        click.echo(wrapped(sentence, "  "))
    _tell(changed, new)
    _show(rows, tuple(crossings(first, second, pairs_of_modes)))


def _versions(text: str) -> list[Version]:
    found = [_VERSION.fullmatch(part.strip()) for part in text.split(",")]
    versions = [(int(match[1]), int(match[2])) for match in found if match]
    if len(versions) != len(found) or len(set(versions)) != 2 or len(found) != 2:
        raise click.BadParameter(f"{text!r} is not two releases, e.g. 1.30,1.36", param_hint="--versions")
    return versions


def _run(scenario: Scenario, options: dict[str, Any]) -> Result:
    from kpsim.experiment.replications import run_scenario

    name = "{} under {}.{}".format(scenario.name, *scenario.kubernetes_version)
    with executor_of(options) as executor, progress_bar(name, options["quiet"]) as tell:
        most_bytes, most_s = size_in_bytes(options["max_memory"]), time_in_seconds(options["max_time"])
        result = run_scenario(scenario, executor=executor, progress=tell, most_bytes=most_bytes, most_s=most_s)
    if not result.complete:
        raise KeyboardInterrupt  # half of a comparison is none
    return result


def _tell(changed: Upgrade, new: str) -> None:
    parts = {
        "modes": changed.modes,
        "defaults": changed.defaults,
        "syncs": changed.syncs,
        "rules": changed.rules,
        f"warnings in {new} only": changed.warnings,
    }
    for title, lines in parts.items():
        click.echo()
        click.echo(styled("title", title))
        for line in lines or ("nothing changes that kpsim knows of",):
            click.echo(wrapped(line, "  ", hanging=2) if not line.startswith("  ") else f"  {line}")


def _show(rows: Iterable[Difference], crossed: Sequence[str]) -> None:
    from kpsim.report.compared.runs import HEADS, RIGHT, apart, cells, headline

    rows = tuple(rows)
    differing = [row for row in rows if row.was.value != row.now.value]
    click.echo()
    click.echo(wrapped(headline(rows, LATENCIES)))
    click.echo(wrapped(apart(rows)))
    for sentence in crossed:
        click.echo(wrapped(f"By the cost model, {sentence}"))
    click.echo()
    print_table(HEADS, [cells(row) for row in differing], right=RIGHT)
    if len(differing) < len(rows):
        click.echo(f"  {len(rows) - len(differing):,} more are equal")
