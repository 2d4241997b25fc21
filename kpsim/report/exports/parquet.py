"""The tables of a run as Parquet files, for those who read them with Spark, DuckDB or pandas."""

from __future__ import annotations

import io
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from kpsim.errors import MissingExtra
from kpsim.experiment.result import Result
from kpsim.report.tables import TABLES, table_text


def write_parquet(result: Result, directory: Path) -> list[Path]:
    """Write each table of a result into ``directory`` as Parquet, and return the files.

    Raises :class:`MissingExtra` without pyarrow.
    """
    if find_spec("pyarrow") is None:
        raise MissingExtra("writing Parquet needs pyarrow: pip install 'kpsim[parquet]'")
    written = []
    for name in TABLES:
        path = directory / f"{Path(name).stem}.parquet"
        pd.read_csv(io.StringIO(table_text(result, name))).to_parquet(path, index=False)
        written.append(path)
    return written
