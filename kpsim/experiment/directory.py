"""A run's files are written beside their place under a temporary name, and moved there when whole."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path

from kpsim.errors import InputError
from kpsim.experiment.result import Result
from kpsim.interrupts import putting_away, undisturbed
from kpsim.scenario.kinds import MANIFEST, holds_results
from kpsim.scenario.resolved import write_resolved
from kpsim.scenario.schema import API_VERSION

DISK_SAYS_NO = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG}


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
    anything else there is an :class:`InputError`, and so are another run that is at work for this place, a disk that is
    full, and one that cannot be written to.  Inside, an interrupt is an exception.
    """
    final = place.resolve()  # through links, and so that "." has a name
    _refuse_what_is_there(place, final)
    with putting_away(), ExitStack() as undone:
        staging = _staging(final)
        made = [parent for parent in staging.parents if not parent.exists()]
        undone.callback(_remove_empty, made)
        try:
            with undisturbed():
                _take(staging, place, undone)
            yield staging
            with undisturbed():
                _put(staging, final)
        except OSError as error:
            if error.errno in DISK_SAYS_NO or str(error.filename or "").startswith(str(staging)):
                what = f"{place}: cannot be written: {error.strerror or error}"
                raise InputError(f"{what}; name another place with --out") from error
            raise


def _take(staging: Path, place: Path, undone: ExitStack) -> None:
    """Make the directory, or empty what a run that was killed has left; it is this process' until it ends.

    The lock is on the directory itself, so that it goes with the process and leaves no file.
    """
    while True:
        with suppress(FileExistsError):
            staging.mkdir(parents=True)
        held = _locked(staging)
        if held is None:
            what = f"--out {place}: another run is at work there; wait for it, or name another place"
            raise InputError(what)
        if staging.exists() and (held < 0 or staging.stat().st_ino == os.fstat(held).st_ino):
            break
        os.close(held)  # the other run has just moved it to its place
    undone.callback(_clear, staging, held)
    for left in staging.iterdir():
        shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()


def _locked(directory: Path) -> int | None:
    """Return an open descriptor that locks the directory, -1 where there are no such locks; ``None`` if it is taken."""
    try:
        import fcntl  # not on Windows
    except ImportError:
        return -1
    held = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(held)
        return None
    except OSError:
        pass  # a file system without locks
    return held


def _clear(staging: Path, held: int) -> None:
    """Remove what is left of the directory, whatever signals come meanwhile, and let others have the place."""
    with undisturbed():
        shutil.rmtree(staging, ignore_errors=True)
        if held >= 0:
            os.close(held)


def _put(staging: Path, final: Path) -> None:
    """Move the directory to its place; what was there is there again if that fails."""
    before = final.with_name(f".{final.name}.before")
    shutil.rmtree(before, ignore_errors=True)
    if final.exists():
        final.rename(before)
    try:
        staging.rename(final)
    except OSError:
        if before.exists():
            before.rename(final)
        raise
    shutil.rmtree(before, ignore_errors=True)


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


def write_whole(place: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all.  Raises :class:`OSError`."""
    with undisturbed():
        beside = place.with_name(f".{place.name}.{os.getpid()}")
        try:
            beside.write_text(text, encoding="utf-8")
            beside.replace(place)
        finally:
            beside.unlink(missing_ok=True)


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
    # a file's name need not be text; as JSON's escape its bytes come back as they were
    (directory / MANIFEST).write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
    (directory / "scenario.resolved.yaml").write_text(write_resolved(result.scenario), encoding="utf-8")
