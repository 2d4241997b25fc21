"""A file is read as text, gzip or not, and everything that makes it unreadable is said with its line and column."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from kpsim.errors import InputError, Place, Problem

MOST_BYTES = 1 << 30
LONGEST_LINE = 32 << 20  # characters; at high verbosity kube-proxy writes all rules into one line
_GZIP, _UTF16 = b"\x1f\x8b", (b"\xff\xfe", b"\xfe\xff")


def refuse(place: Place, what: str, mend: str = "") -> NoReturn:
    """Raise :class:`InputError` with one problem."""
    raise InputError([Problem(place, what=what, mend=mend)])


def read_text(path: Path) -> str:
    """Return the text of a file.  Raises :class:`InputError` where there is none."""
    file = str(path)
    try:
        if path.is_dir():
            refuse(Place(file), "is a folder", "name its files")
        if path.exists() and not path.is_file():  # a pipe may never end
            refuse(Place(file), "is a pipe or a device, and only files are read", "write what it gives into a file")
        with path.open("rb") as stream:
            raw = stream.read(MOST_BYTES + 1)
    except FileNotFoundError:
        refuse(Place(file), "there is no such file or directory")
    except (OSError, ValueError) as error:
        refuse(Place(file), f"cannot be read: {getattr(error, 'strerror', None) or type(error).__name__}")
    return text_of(raw, file)


def text_of(raw: bytes, file: str) -> str:
    """Return bytes as text: UTF-8 or UTF-16, gzip or not.  Raises :class:`InputError` where they are none."""
    if raw[:2] == _GZIP:
        raw = _unfolded(raw, file)
    if len(raw) > MOST_BYTES:
        refuse(Place(file, 1, 1), f"is longer than {MOST_BYTES >> 20} MiB", "give a part of it, e.g. one day")
    try:
        text = raw.decode("utf-16" if raw[:2] in _UTF16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        refuse(_place(file, raw[: error.start]), "is not text", "give the log or the metrics as they were printed")
    nul = text.find("\0")
    if nul >= 0:
        before = text[:nul]
        at = Place(file, before.count("\n") + 1, nul - (before.rfind("\n") + 1) + 1)
        refuse(at, "is not text: it contains a NUL", "give the log or the metrics as they were printed")
    if not text.strip():
        refuse(Place(file, 1, 1), "is empty")
    return text


def lines_of(text: str, file: str) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not empty, numbered from 1.  Raises :class:`InputError` for one that no log has."""
    number, at = 0, 0
    while at < len(text):
        number += 1
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        if end - at > LONGEST_LINE:
            refuse(
                Place(file, number, LONGEST_LINE + 1),
                f"the line is longer than {LONGEST_LINE >> 20} MiB: no log of kube-proxy",
            )
        line = text[at:end].rstrip("\r")
        if line.strip():
            yield number, line
        at = end + 1


def _unfolded(raw: bytes, file: str) -> bytes:
    """Return what a gzip file holds, members after one another as ``cat`` leaves them."""
    found: list[bytes] = []
    total, rest = 0, raw
    while rest:
        stream = zlib.decompressobj(wbits=31)
        try:
            part = stream.decompress(rest, MOST_BYTES - total + 1)
        except zlib.error as error:
            refuse(_place(file, b"".join(found)), f"the gzip file is damaged behind this place: {error}")
        found.append(part)
        total += len(part)
        if total > MOST_BYTES:
            refuse(Place(file, 1, 1), f"unfolds to more than {MOST_BYTES >> 20} MiB", "give a part of it")
        if not stream.eof:
            refuse(_place(file, b"".join(found)), "the gzip file is cut off behind this place", "copy it again, whole")
        rest = stream.unused_data.lstrip(b"\0")
    return b"".join(found)


def _place(file: str, before: bytes) -> Place:
    """Return the place behind some bytes."""
    return Place(file, before.count(b"\n") + 1, len(before) - (before.rfind(b"\n") + 1) + 1)
