"""Where a run's files live: written beside their place under a temporary name, and moved there when whole."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from kpsim.errors import InputError
from kpsim.experiment.result import Result
from kpsim.scenario.resolved import write_resolved

__all__ = ["default_place", "staged", "write_manifest"]


def default_place(name: str, root: Path = Path("results/runs")) -> Path:
    """``results/runs/<name>-<time>``, not there yet."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")  # noqa: DTZ005 - a name for people, in their time
    place = root / f"{name}-{stamp}"
    twice = 2
    while place.exists():
        place = root / f"{name}-{stamp}-{twice}"
        twice += 1
    return place


@contextmanager
def staged(place: Path) -> Iterator[Path]:
    """A directory to fill, which becomes ``place`` only if the block ends well; nothing half-written is left behind.

    An existing run at ``place`` is replaced; anything else there is an :class:`InputError`.
    """
    if (
        place.exists()
        and not (place / "manifest.json").exists()
        and any(place.iterdir() if place.is_dir() else [place])
    ):
        raise InputError(f"--out {place}: is there already and is no run of kpsim; name another place")
    staging = place.with_name(f".{place.name}.partial")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        staging.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"--out {place}: cannot be written: {error.strerror}") from error
    try:
        yield staging
        shutil.rmtree(place, ignore_errors=True)
        staging.rename(place)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def write_manifest(result: Result, directory: Path) -> None:
    """``manifest.json`` and ``scenario.resolved.yaml``: what it takes to run it again."""
    verdicts = [
        {"measure": v.threshold.measure, "objective": v.threshold.text, "mode": v.mode, "passed": v.passed}
        for v in result.verdicts
    ]
    manifest = {
        "name": result.scenario.name,
        "complete": result.complete,
        "engine": result.engine,
        "provenance": dict(result.provenance),
        "thresholds": verdicts,
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False)
    (directory / "manifest.json").write_text(text + "\n", encoding="utf-8")
    (directory / "scenario.resolved.yaml").write_text(write_resolved(result.scenario), encoding="utf-8")
