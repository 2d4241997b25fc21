"""Data files that ship with kpsim are parsed once; what they said is kept beside Python's bytecode, and like it.

Reading YAML takes as long as importing a tenth of kpsim, in each command and worker.  The time and size of its file
stand in what is kept, it is trusted as the bytecode beside it is, and there is none where Python writes no bytecode.
"""

from __future__ import annotations

import marshal
import os
import sys
from contextlib import suppress
from functools import lru_cache
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

import yaml

SHIPPED = Path(__file__).parent


def parse_yaml(text: str) -> Any:
    """Return a YAML text as plain values, by the C parser where PyYAML has it: every command reads a profile."""
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe loaders


def shipped(name: str) -> Any:
    """Return the plain values of a file in this folder."""
    return read(SHIPPED / name)


def read(path: Path) -> Any:
    """Return the plain values of a YAML file that ships with kpsim."""
    stamp = (path.stat().st_mtime_ns, path.stat().st_size)
    try:
        kept = Path(cache_from_source(f"{path}.py")).with_suffix(".data")
        before, values = marshal.loads(kept.read_bytes())  # noqa: S302 - whoever writes here may write code beside it
    except (OSError, ValueError, EOFError, TypeError, NotImplementedError):
        before, values = None, None
    if before == stamp:
        return values
    values = parse_yaml(path.read_text(encoding="utf-8"))
    if not sys.dont_write_bytecode:
        with suppress(OSError, ValueError, NotImplementedError):
            _keep(marshal.dumps((stamp, values)), Path(cache_from_source(f"{path}.py")).with_suffix(".data"))
    return values


def _keep(data: bytes, kept: Path) -> None:
    kept.parent.mkdir(exist_ok=True)
    new = kept.with_name(f"{kept.name}.{os.getpid()}")
    try:
        new.write_bytes(data)
        new.replace(kept)
    finally:
        new.unlink(missing_ok=True)


@lru_cache(maxsize=1)
def assumptions() -> tuple[tuple[str, str], ...]:
    """Numbered assumptions with the direction in which each errs: ``("A1", "…")``, in order."""
    found = shipped("assumptions.yaml")
    return tuple((str(key).strip("[]"), str(value)) for key, value in found.items())
