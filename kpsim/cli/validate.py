"""``kpsim validate``: the model against measurements, record by record."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kpsim.cli.options import format_option, to_json
from kpsim.cli.tables import print_table

if TYPE_CHECKING:
    from kpsim.experiment.validation.verdicts import Validation, Verdict


@click.command()
@click.option("--study", metavar="STUDY", help="One shipped study only: a table, or the beginning of published ids.")
@click.option(
    "--records", "files", multiple=True, type=click.Path(path_type=Path), metavar="FILE", help="Records of your own."
)
@click.argument("more", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE…]")
@click.option(
    "--profile", metavar="PROFILE", help="Price everything with this profile, not with each record's machine's."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write a page there, as report.md and report.html, with its figures.",
)
@format_option
def validate(
    study: str | None,
    files: tuple[Path, ...],
    more: tuple[Path, ...],
    profile: str | None,
    out: Path | None,
    output: str,
) -> None:
    """Predict measurements and say how far off each prediction is.

    Without files, the records that ship. FILE is a table in the columns of a shipped one, or YAML with published
    records (id, mode, quantity, unit, setup, value), or a directory of such files; further ones may follow the first.
    """
    from kpsim.experiment.validation.verdicts import validate as held

    found = held([*files, *more], study, profile)
    if out is not None:
        from kpsim.report.validation.page import write_page

        click.echo(f"the page: {write_page(found, out)}", err=True)
    if output == "json":
        click.echo(to_json(_as_json(found)))
        return
    print_table(
        ["record", "quantity", "mode", "measured", "predicted", "unit", "ratio", "from", "to", "verdict", "seen"],
        [_cells(verdict) for verdict in found.verdicts],
        right=(3, 4, 6, 7, 8),
    )
    click.echo()
    print_table(
        ["quantity", "mode", "", "records", "median error", "worst", "inside"],
        [
            [quantity, mode, "fitted" if seen else "predicted", str(n), f"{middle:.1%}", f"{worst:.0%}", f"{share:.0%}"]
            for quantity, mode, seen, n, middle, worst, share in found.summary()
        ],
        right=(3, 4, 5, 6),
    )
    click.echo()
    _held(found)
    _refused(found)


def _held(found: Validation) -> None:
    """Say how many measurements 95 % intervals held, and how many of those that no fit has seen."""
    from kpsim.experiment.validation.verdicts import coverage

    unseen = [verdict for verdict in found.verdicts if not verdict.fitted]
    for words, verdicts in (("predictions", found.verdicts), ("of what no fit has seen", unseen)):
        if verdicts:
            click.echo(
                f"{len(verdicts):,} {words}: {coverage(verdicts):.1%} of the measurements inside their intervals"
            )


def _cells(verdict: Verdict) -> list[str]:
    record, said = verdict.record, verdict.prediction
    numbers = (f"{record.measured:.4g}", f"{said.value:.4g}", record.unit, f"{verdict.ratio:.2f}")
    ends = (f"{said.low:.4g}", f"{said.high:.4g}")
    return [
        record.id,
        record.quantity,
        record.mode,
        *numbers,
        *ends,
        verdict.words,
        "fitted" if verdict.fitted else "predicted",
    ]


def _refused(found: Validation) -> None:
    """Say why records have no prediction, the most frequent reason first."""
    by_reason: dict[str, list[str]] = {}
    for refusal in found.refusals:
        by_reason.setdefault(refusal.reason, []).append(refusal.record.id)
    for reason, ids in sorted(by_reason.items(), key=lambda item: -len(item[1])):
        click.echo(
            f"\nnot predicted, {len(ids)} records: {reason}\n  {', '.join(ids[:6])}{' …' if len(ids) > 6 else ''}"
        )


def _as_json(found: Validation) -> dict[str, object]:
    return {
        "records": [
            {
                "id": verdict.record.id,
                "file": verdict.record.file,
                "quantity": verdict.record.quantity,
                "mode": verdict.record.mode,
                "measured": verdict.record.measured,
                "predicted": verdict.prediction.value,
                "low": verdict.prediction.low,
                "high": verdict.prediction.high,
                "unit": verdict.record.unit,
                "fitted": verdict.fitted,
            }
            for verdict in found.verdicts
        ],
        "not_predicted": [{"id": refusal.record.id, "reason": refusal.reason} for refusal in found.refusals],
    }
