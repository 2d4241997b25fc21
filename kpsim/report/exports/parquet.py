"""The tables of a run as Parquet files, for those who read them with Spark, DuckDB or pandas."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from kpsim.errors import InputError, MissingExtra, Place, Problem
from kpsim.report.tables import TABLES


def write_parquet(place: Path, directory: Path) -> list[Path]:
    """Write each CSV table of the run in ``place`` into ``directory`` as Parquet, and return the files.

    Raises
    ------
    MissingExtra
        without pyarrow.
    InputError
        if the run has no tables.
    """
    if find_spec("pyarrow") is None:
        raise MissingExtra("writing Parquet needs pyarrow: pip install 'kpsim[parquet]'")
    tables = [place / name for name in TABLES if (place / name).is_file()]
    if not tables:
        what, mend = "holds no tables", f"kpsim run {place}/scenario.resolved.yaml writes them"
        raise InputError([Problem(Place(str(place)), what=what, mend=mend)])
    written = []
    for table in tables:
        path = directory / f"{table.stem}.parquet"
        pd.read_csv(table).to_parquet(path, index=False)
        written.append(path)
    return written
