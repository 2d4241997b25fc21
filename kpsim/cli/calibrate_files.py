"""``kpsim calibrate LOG``, ``kpsim calibrate METRICS METRICS``: a running kube-proxy against a profile, and fitted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kpsim.cli.options import format_option, keep_others_file, to_json
from kpsim.cli.tables import print_table, wrapped

if TYPE_CHECKING:
    from kpsim.experiment.calibrating.answer import Answer
    from kpsim.experiment.calibrating.comparing import Comparison
    from kpsim.units import Version


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="LOG… | METRICS METRICS")
@click.option("--mode", metavar="MODE", default="", help="Proxy mode, or iptables-nft, where the files do not say it.")
@click.option("--version", metavar="VERSION", help="Kubernetes' release, e.g. 1.30, where the files do not say it.")
@click.option("--services", type=click.IntRange(1), help="Service ports there were, where the files do not say it.")
@click.option("--endpoints", type=click.IntRange(0), help="Endpoints of them all, where the files do not say it.")
@click.option(
    "--base", metavar="PROFILE", default="linux-6.18-zen3", show_default=True, help="Profile to compare with."
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the fitted profile there.")
@format_option
def calibrate_files(files: tuple[Path, ...], out: Path | None, output: str, **options: Any) -> None:
    """Compare a running kube-proxy's syncs with a profile, and fit a profile to them.

    LOG is what kube-proxy wrote at -v=2 (in mode ipvs and on Windows at -v=4), as text or JSON, plain or as kubectl
    logs, docker, a container runtime or journald wrap it. METRICS is one of two scrapes of the same kube-proxy's
    /metrics. Files may be gzipped. A scenario uses the profile by `spec.profile.name: ./file.yaml`.
    """
    from kpsim.experiment.calibrating.answer import answer
    from kpsim.experiment.calibrating.observed import Hints
    from kpsim.experiment.validation.machines import written

    if out is not None:
        keep_others_file(out)
    version = _version(options["version"])
    hints = Hints(options["mode"], version, options["services"], options["endpoints"])
    found = answer(files, hints, options["base"])
    if out is not None:
        _write(out, written(found.profile(out.name.partition(".")[0]), f"kpsim calibrate from {found.data}"))
    if output == "json":
        click.echo(to_json(_as_json(found, out)))
        return
    _tell(found, out)


def _version(text: str | None) -> Version | None:
    from kpsim.dumps.evidence.releases import release_of
    from kpsim.errors import InputError, Place, Problem

    found = release_of(text) if text else None
    if text and found is None:
        what, mend = f"{text!r} is no release of Kubernetes", "write e.g. 1.30"
        raise InputError([Problem(Place(), key="--version", what=what, mend=mend)])
    return found


def _write(out: Path, text: str) -> None:
    from kpsim.errors import InputError, Place, Problem
    from kpsim.experiment.directory import write_whole

    try:
        write_whole(out, text)
    except OSError as error:
        raise InputError([Problem(Place(str(out)), what=f"cannot be written: {error.strerror}")]) from None


def _tell(found: Answer, out: Path | None) -> None:
    from kpsim.report.wording.quantity import many, quantity

    for each in found.comparisons:
        click.echo(each.sentence(found.base.name))
    click.echo()
    print_table(
        ["syncs", "number", "Services", "measured", "profile", "times", "from", "to", "profile allows"],
        [_row(each) for each in found.comparisons],
        right=(1, 2, 3, 4, 5, 6, 7),
    )
    if found.growth:
        click.echo("\nAgainst the rules that are there (virtual and real servers in mode ipvs)")
        print_table(
            ["syncs", "fixed", "95 % interval", "a rule", "95 % interval", "from", "to"],
            [
                [each.kind, *_with_interval(each.fixed_s), *_with_interval(each.a_rule_s),
                 *(f"{count:,.0f}" for count in each.rules)]
                for each in found.growth
            ],
            right=(1, 2, 3, 4, 5, 6),
        )  # fmt: skip
    fit = found.fitted
    click.echo(
        f"\nFitted to {many(fit.rows, 'group')} of syncs of one kind and size: median error {fit.off:.1%}, "
        f"{fit.off_before:.0%} before"
    )
    print_table(
        ["coefficient", "base", "here", "95 % interval", "told by the data"],
        [
            [each.name, quantity(each.before, "s"), quantity(each.value, "s"),
             f"[{quantity(each.low, 's')}, {quantity(each.high, 's')}]",
             "yes" if each.told else "with the others"]
            for each in fit.coefficients
        ],
        right=(1, 2, 3),
    )  # fmt: skip
    for title, lines in (("Not told", found.cannot), ("Taken", found.notes)):
        click.echo(f"\n{title}")
        for line in lines:
            click.echo(wrapped(line, "  ", hanging=2))
    if out is not None:
        click.echo(f"\n{out} is written; a scenario uses it by spec.profile.name")


def _with_interval(found: tuple[float, float, float]) -> tuple[str, str]:
    from kpsim.report.wording.quantity import quantity

    value, low, high = (quantity(each, "s") for each in found)
    return value, f"[{low}, {high}]"


def _row(each: Comparison) -> list[str]:
    from kpsim.report.wording.quantity import quantity

    fewest, most = each.services
    ends = f"{fewest:,.0f}" if fewest == most else f"{fewest:,.0f} to {most:,.0f}"
    low, high = each.allowed
    verdict = "inside" if each.inside else "outside"
    return [
        each.kind, f"{each.syncs:,}", ends, quantity(each.measured_s, "s"), quantity(each.predicted_s, "s"),
        f"{each.times:.2f}", f"{each.low:.2f}", f"{each.high:.2f}", f"{low:.2f} to {high:.2f}: {verdict}",
    ]  # fmt: skip


def _as_json(found: Answer, out: Path | None) -> dict[str, object]:
    fit = found.fitted
    return {
        "answer": found.comparisons[0].sentence(found.base.name),
        "profile": found.base.name,
        "family": found.cluster.family,
        "version": "{}.{}".format(*found.cluster.version),
        "comparisons": [
            {"kind": each.kind, "syncs": each.syncs, "services": list(each.services), "measured_s": each.measured_s,
             "predicted_s": each.predicted_s, "times": each.times, "low": each.low, "high": each.high,
             "allowed": list(each.allowed), "inside": each.inside}
            for each in found.comparisons
        ],
        "growth": [
            {"kind": each.kind, "fixed_s": list(each.fixed_s), "a_rule_s": list(each.a_rule_s),
             "rules": list(each.rules)}
            for each in found.growth
        ],
        "fit": {"rows": fit.rows, "median_error": fit.off, "median_error_before": fit.off_before},
        "coefficients": [
            {"name": each.name, "base_s": each.before, "value_s": each.value, "low_s": each.low, "high_s": each.high,
             "told": each.told}
            for each in fit.coefficients
        ],
        "not_told": list(found.cannot),
        "taken": list(found.notes),
        "out": str(out) if out else None,
    }  # fmt: skip
