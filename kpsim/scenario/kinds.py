"""Which kind of document a file holds, asked before it is read in earnest."""

from __future__ import annotations

import zlib
from pathlib import Path

from kpsim.documents import decode
from kpsim.kube.reader import read_raw

LOOKED_AT_BYTES = 1 << 16  # from its beginning: no tool prints more before it says what it prints


def is_sweep(path: Path) -> bool:
    """Whether ``path`` is a ``kind: Sweep``; a directory or a dump is not.  Raises :class:`InputError`."""
    if path.is_dir() or rule_text(path) is not None:
        return False
    return any(isinstance(d.data, dict) and d.data.get("kind") == "Sweep" for d in read_raw(path))


def rule_text(path: Path) -> str | None:
    """The text of a file in which a node's rules stand; ``None`` for any other file, or if it cannot be read.

    Raises
    ------
    InputError
        if it begins as one and is damaged further on.
    """
    from kpsim.dumps.detection import formats_of

    try:
        with path.open("rb") as stream:
            head = stream.read(LOOKED_AT_BYTES)
        if head[:2] == b"\x1f\x8b":
            head = zlib.decompressobj(wbits=31).decompress(head, LOOKED_AT_BYTES)
        wide = head[:2] in (b"\xff\xfe", b"\xfe\xff")
        if not formats_of(head.decode("utf-16" if wide else "utf-8-sig", "replace")):
            return None
        return decode(path.read_bytes(), str(path))
    except (OSError, ValueError, zlib.error):  # whoever reads it in earnest says what is wrong with it
        return None
