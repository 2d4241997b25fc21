"""``kpsim import``: a scenario from what users have."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["imports"]


@click.command(name="import")
@click.argument("dump", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Write the scenario there instead of to stdout.")
def imports(dump: Path, out: Path | None) -> None:
    """Write a commented scenario around the Kubernetes objects in DUMP.

    DUMP is what kubectl get -o json|yaml printed, manifests, or a directory of those.
    """
    from kpsim.errors import InputError
    from kpsim.scenario.imported import scenario_document

    text = scenario_document(dump)
    if out is None:
        click.echo(text, nl=False)
        return
    if out.exists():
        raise InputError(f"--out {out}: is there already; remove it or name another file")
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written: {error.strerror}") from error
    click.echo(f"wrote {out}; now: kpsim run {out}", err=True)
