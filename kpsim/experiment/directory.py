"""A run's files are written beside their place under a temporary name, and moved there when whole."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from kpsim.errors import InputError
from kpsim.experiment.result import Result
from kpsim.scenario.kinds import MANIFEST, holds_results
from kpsim.scenario.resolved import write_resolved
from kpsim.scenario.schema import API_VERSION


def default_place(name: str, root: Path = Path("results/runs")) -> Path:
    """Return a free path ``results/runs/<name>-<time>``."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")  # noqa: DTZ005 - a name for people, in their time
    place = root / f"{name}-{stamp}"
    twice = 2
    while place.exists() or _staging(place).exists():
        place = root / f"{name}-{stamp}-{twice}"
        twice += 1
    return place


@contextmanager
def staged(place: Path) -> Iterator[Path]:
    """A directory to fill, which becomes ``place`` only if the block ends well; nothing half-written is left behind.

    Enter it before the work: a place that cannot be had is said at once.  Results of kpsim at ``place`` are replaced;
    anything else there is an :class:`InputError`, and so is a disk that is full.
    """
    final = place.resolve()  # through links, and so that "." has a name
    _refuse_what_is_there(place, final)
    staging = _staging(final)
    made = [parent for parent in staging.parents if not parent.exists()]
    shutil.rmtree(staging, ignore_errors=True)
    try:
        staging.mkdir(parents=True)
    except OSError as error:
        _remove_empty(made)
        raise InputError(f"{place}: cannot be written: {error.strerror}; name another place with --out") from error
    try:
        yield staging
        shutil.rmtree(final, ignore_errors=True)
        staging.rename(final)
    except OSError as error:
        if error.errno == errno.ENOSPC or str(error.filename or "").startswith(str(staging)):
            raise InputError(f"{place}: cannot be written: {error.strerror}; name another place with --out") from error
        raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        _remove_empty(made)


def _staging(place: Path) -> Path:
    return place.with_name(f".{place.name}.partial")


def _remove_empty(directories: list[Path]) -> None:
    """Take away the parents that were made, deepest first, if nothing came to stand in them."""
    for directory in directories:
        with suppress(OSError):
            directory.rmdir()


def _refuse_what_is_there(place: Path, final: Path) -> None:
    if not final.exists():
        return
    if not final.is_dir():
        raise InputError(f"--out {place}: is a file; name a directory, which may be new")
    if final == Path.cwd():
        raise InputError(f"--out {place}: is the directory you are in; name one inside it")
    if any(final.iterdir()) and not holds_results(final):
        raise InputError(f"--out {place}: is there already and holds no results of kpsim; name another place")


def write_manifest(result: Result, directory: Path) -> None:
    """``manifest.json`` and ``scenario.resolved.yaml``: what it takes to run it again."""
    verdicts = [
        {"measure": v.threshold.measure, "objective": v.threshold.text, "mode": v.mode, "passed": v.passed}
        for v in result.verdicts
    ]
    manifest = {
        "apiVersion": API_VERSION,
        "kind": "Run",
        "name": result.scenario.name,
        "complete": result.complete,
        "engine": result.engine,
        "provenance": dict(result.provenance),
        "thresholds": verdicts,
        "warnings": list(result.scenario.warnings),  # of reading: the resolved scenario gives no cause for them
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False)
    (directory / MANIFEST).write_text(text + "\n", encoding="utf-8")
    (directory / "scenario.resolved.yaml").write_text(write_resolved(result.scenario), encoding="utf-8")
