"""The scenarios that come with kpsim are found by their names, wherever a file is taken.

Their one source is the folder ``scenarios`` beside the package, which a link inside it shows to an installer too.  What
lies at a path always comes before a name.
"""

from __future__ import annotations

import os
from functools import cache
from importlib.resources import files
from pathlib import Path

SUFFIX = ".yaml"
FOLDERS = (Path(), Path("scenarios"))  # a name may be written as the README of a checkout does: scenarios/hello.yaml


@cache
def shipped() -> dict[str, Path]:
    """Return the file of each scenario that comes with kpsim, by name.

    >>> "hello" in shipped()
    True
    """
    folder = Path(str(files("kpsim"))) / "scenarios"
    if not folder.is_dir():  # a checkout without links: the text of one lies there instead
        folder = Path(str(files("kpsim"))).parent / "scenarios"
    return {path.stem: path for path in sorted(folder.glob(f"*{SUFFIX}"))}


def located(path: Path) -> Path:
    """Return the path, or where nothing lies there and it is the name of a scenario that kpsim brings, that one's.

    >>> located(Path("hello")).name, located(Path("no-such")).name
    ('hello.yaml', 'no-such')
    """
    if path.parent not in FOLDERS or path.suffix not in ("", SUFFIX) or os.path.lexists(path):
        return path
    return shipped().get(path.name.removesuffix(SUFFIX), path)
