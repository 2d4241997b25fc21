"""Which kind of document a file holds, asked before it is read in earnest."""

from __future__ import annotations

from pathlib import Path

from kpsim.kube.reader import read_raw

__all__ = ["is_sweep"]


def is_sweep(path: Path) -> bool:
    """Whether ``path`` is a ``kind: Sweep``; a directory or a dump is not.  Raises :class:`InputError`."""
    if path.is_dir():
        return False
    return any(isinstance(d.data, dict) and d.data.get("kind") == "Sweep" for d in read_raw(path))
