"""A case is played in this process: each command ends with an exit code that is an answer, and with nothing else."""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import shutil
import signal
import sys
import tempfile
import time
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import FrameType
from unittest.mock import patch

import matplotlib as mpl

from kpsim.cli import main
from tests.fuzz.inputs import Case

ANSWERS = {0, 3, 4, 98, 99}
LONGEST_S = 60  # under any load; a second or two on a quiet machine
ALLOWED = {"\n", "\t"}


class TookTooLong(BaseException):
    """A command went beyond its time; no ``except Exception`` holds it up."""


def play(case: Case) -> list[tuple[str, int]]:
    """Run the commands of a case and return (command, exit code) of each.  Raises AssertionError where one is wrong."""
    ends = []
    with tempfile.TemporaryDirectory() as folder, _inside(Path(folder)):
        files = ((case.name, case.raw), *case.beside)
        if case.before:
            shutil.copytree(_made(files, case.before), folder, dirs_exist_ok=True)
        for name, raw in files:
            Path(name).write_bytes(raw)
        for pattern, at, cut, piece in case.damage:
            for file in sorted(Path().glob(pattern)):
                raw = file.read_bytes()
                file.write_bytes(raw[:at] + piece.encode("utf-8", "surrogatepass") + raw[at + cut :])
        for command in case.commands:
            words = [case.name if word == "FILE" else word for word in command]
            code, out, err = _run(words)
            assert code in ANSWERS, f"{' '.join(words)}: exit code {code}\n{err}"
            assert "Traceback" not in err, err
            sent = {c for c in out + err if unicodedata.category(c) in ("Cc", "Cf", "Cs")} - ALLOWED
            assert not sent, f"{' '.join(words)}: sends {sorted(map(ascii, sent))}"
            assert len(err) < 2_000_000, f"{' '.join(words)}: {len(err):,} characters of messages"
            left = {path.name for path in Path().iterdir()} - {name for name, _ in files} - {"out", "results"}
            assert not left, f"{' '.join(words)}: left {left}"
            ends.append((" ".join(command), code))
    return ends


@cache
def _made(files: tuple[tuple[str, bytes], ...], commands: tuple[tuple[str, ...], ...]) -> str:
    """Return a folder in which some commands were run; it is made once."""
    folder = tempfile.mkdtemp(prefix="kpsim-fuzz-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with _inside(Path(folder)):
        for name, raw in files:
            Path(name).write_bytes(raw)
        for command in commands:
            code, _, err = _run(list(command))
            assert code in ANSWERS, f"{' '.join(command)}: exit code {code}\n{err}"
    return folder


def _run(words: list[str]) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    before, sys.argv = sys.argv, ["kpsim", *words]
    code = None
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), _bounded(" ".join(words)):
            main()
    except SystemExit as done:
        code = done.code
    finally:
        sys.argv = before
    return int(code or 0), out.getvalue(), err.getvalue()


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    mpl.use("Agg")
    here = Path.cwd()
    os.chdir(folder)
    try:
        with patch("kpsim.report.directory.pictures", _none), patch("kpsim.report.figures.scale.scale_pictures", _none):
            yield
    finally:
        os.chdir(here)


def _none(*_given: object) -> tuple[()]:
    """No pictures: they take longer than the runs."""
    return ()


@contextlib.contextmanager
def _bounded(what: str) -> Iterator[None]:
    def late(_number: int, _frame: FrameType | None) -> None:
        raise TookTooLong(f"{what}: more than {LONGEST_S} s")

    if not hasattr(signal, "SIGALRM"):
        yield
        return
    began, before = time.monotonic(), signal.signal(signal.SIGALRM, late)
    signal.alarm(LONGEST_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - began < LONGEST_S, what
