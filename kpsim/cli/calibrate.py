"""``kpsim calibrate``: a profile of this host by measuring it, or of a cluster from its logs and metrics."""

from __future__ import annotations

import csv
import io
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kpsim.cli.options import format_option, keep_others_file, say, to_json
from kpsim.cli.tables import print_table

if TYPE_CHECKING:
    from kpsim.experiment.bench.run import Benched

_FILES = (
    "kpsim.cli.calibrate_files:calibrate_files"  # what is asked for when the first argument is none of the commands
)


class _CommandOrFiles(click.Group):
    """A group whose first argument is one of its commands, or a file: then all arguments are those of ``_FILES``."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] in self.commands:
            return super().resolve_command(ctx, args)
        module, _, attribute = _FILES.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return "", command, args


@click.group(
    cls=_CommandOrFiles,
    subcommand_metavar="bench | LOG|METRICS… [OPTIONS]",
    context_settings={"ignore_unknown_options": True},  # those before a file are that command's
)
def calibrate() -> None:
    """Fit costs to a machine of yours.

    `bench` measures this host, as root, in network namespaces of its own, in less than a minute. Anything else is a
    file: kube-proxy's log (-v=2), or two scrapes of its /metrics.
    """


@calibrate.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default="bench.yaml",
    show_default=True,
    metavar="FILE",
    help="Profile; beside it the rows (.csv) and how far the fit is off (.svg).",
)
@click.option(
    "--base", metavar="PROFILE", default="linux-6.18-zen3", show_default=True, help="Where the rest comes from."
)
@click.option("--quick", is_flag=True, help="Fewer and smaller sizes, in some twenty seconds; wider intervals.")
@format_option
def bench(out: Path, base: str, quick: bool, output: str) -> None:
    """Measure this host and write a profile of it.

    Rules as kube-proxy writes them are loaded in network namespaces without a name (iptables on both back ends,
    nftables, IPVS), packets and connections are sent through, updates and listings are timed. Nothing of it is seen on
    the host, and nothing is left, even if it is killed. What cannot be measured is taken from --base and marked so.
    """
    from kpsim.errors import InputError
    from kpsim.experiment.bench.run import bench as measured
    from kpsim.experiment.validation.machines import written
    from kpsim.report.figures.fit.residuals import picture

    if out.suffix not in (".yaml", ".yml") or not out.resolve().parent.is_dir():
        raise InputError(f"--out: {out} must be a .yaml file in a folder that is there")
    keep_others_file(out)
    began_s = time.monotonic()

    def says(text: str) -> None:
        click.echo(f"{time.monotonic() - began_s:4.0f} s  {text}", err=True)

    found = measured(out.stem, base, says, quick=quick)
    out.write_text(written(found.document, "`kpsim calibrate bench`"), encoding="utf-8", newline="\n")
    drawn, table = out.with_suffix(".svg"), out.with_suffix(".csv")
    drawn.write_text(picture(found.compared).svg, encoding="utf-8", newline="\n")
    table.write_text(_table(found), encoding="utf-8", newline="\n")
    say([f"not measured: {what}: {why}" for what, why in found.missing])
    say(found.warnings)
    if output == "json":
        click.echo(to_json(_as_json(found, [out, drawn, table])))
        return
    _print(found)
    click.echo(f"\n{out}, {drawn} and {table} are written; try  kpsim run FILE --set profile.name={out}")


def _table(found: Benched) -> str:
    """Return the rows as `kpsim validate --records` takes them."""
    columns = list(dict.fromkeys(name for row in found.rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(found.rows)
    return text.getvalue()


def _print(found: Benched) -> None:
    from kpsim.report.figures.fit.residuals import median_error

    rows = []
    for mode, kind, n, ratio in found.against_base():
        mine = [each for each in found.compared if each.record.mode == mode and each.is_packet is (kind == "packets")]
        off = [median_error([each for each in mine if each.unseen is unseen]) for unseen in (False, True)]
        rows.append([mode, kind, str(n), f"{ratio:.2f}", *(f"{each:.1%}" if each >= 0 else "-" for each in off)])
    headings = ["mode", "", "rows", f"times {found.base.name}", "fit off by", "larger size off by"]
    print_table(headings, rows, right=(2, 3, 4, 5))
    click.echo("\nMedians; the last column is the largest size, predicted from the smaller ones alone.\n")
    taken = {family: counts for family, counts in found.taken().items() if counts[0]}
    print_table(
        ["family", "measured", f"from {found.base.name}"],
        [[family, str(mine), str(other)] for family, (mine, other) in taken.items()],
        right=(1, 2),
    )
    others = [family for family in found.document["families"] if family not in taken]
    click.echo(f"\nOf {found.base.name} alone, times moved by these ratios: {', '.join(others)}")


def _as_json(found: Benched, files: list[Path]) -> dict[str, object]:
    return {
        "files": [str(each) for each in files],
        "rows": len(found.rows),
        "not_measured": [{"what": what, "why": why} for what, why in found.missing],
        "warnings": list(found.warnings),
        "against_base": [
            {"mode": mode, "kind": kind, "rows": n, "ratio": ratio} for mode, kind, n, ratio in found.against_base()
        ],
        "families": {family: {"measured": mine, "from_base": other} for family, (mine, other) in found.taken().items()},
    }
