"""Records of measurements are read from tables by their columns, and from YAML by its fields.

A row that holds several measured quantities becomes several records, whose ids end in the column's name.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from math import isfinite
from pathlib import Path
from typing import Any

from kpsim.documents import load
from kpsim.errors import InputError, Place, Problem

KERNEL, SYNCS, SYNCS_CPU, CHURN, END_TO_END, PUBLISHED = (
    "kernel", "kube-proxy syncs", "kube-proxy CPU", "churn", "end to end", "published",
)  # fmt: skip
_SIGNS: Mapping[str, frozenset[str]] = {  # columns that tell one table from another, tried in this order
    KERNEL: frozenset({"mode", "services", "endpoints", "quantity", "unit", "p50"}),
    CHURN: frozenset({"mode", "services", "changes_per_s", "min_sync_period"}),
    END_TO_END: frozenset({"mode", "changes_per_s", "p50_s"}),
    SYNCS_CPU: frozenset({"version", "mode", "services", "operation", "cpu_s"}),
    SYNCS: frozenset({"version", "mode", "services", "operation", "wall_s"}),
}
_MEASURED: Mapping[str, Mapping[str, str]] = {  # column -> its unit
    SYNCS: {
        "wall_s": "s", "go_wall_s": "s", "children_wall_s": "s", "processes": "1", "cpu_s": "s", "go_cpu_s": "s",
        "children_cpu_s": "s", "iptables_wall_s": "s", "save_wall_s": "s",
        "restore_wall_s": "s", "list_wall_s": "s", "nat_rules": "rules", "rss_kb": "KiB",
    },
    SYNCS_CPU: {"cpu_s": "s", "go_cpu_s": "s", "start_cpu_s": "s", "start_to_first_sync_done_s": "s", "rss_mb": "MB"},
    CHURN: {
        "syncs": "1", "sync_p50_s": "s", "lat_p50_s": "s", "lat_p90_s": "s", "lat_mean_s": "s", "metric_mean_s": "s",
        "cpu_s": "s", "go_cpu_s": "s", "child_cpu_s": "s", "rss_kb": "KiB",
    },
    END_TO_END: {"p50_s": "s", "p90_s": "s", "p99_s": "s", "reported_mean_s": "s"},
}  # fmt: skip
_SUMS: Mapping[str, Mapping[str, tuple[str, ...]]] = {  # columns that are made of others
    SYNCS: {
        "cpu_s": ("go_cpu_s", "children_user_s", "children_system_s"),
        "children_cpu_s": ("children_user_s", "children_system_s"),
    },
    CHURN: {"cpu_s": ("go_cpu_s", "child_cpu_s")},
}
_NUMBERS = frozenset({"services", "endpoints", "endpoints_per_service", "changes_per_s", "rules_traversed", "seconds"})
YAML = (".yaml", ".yml")
_WORDS: Mapping[str, tuple[str, ...]] = {"endpoints_per_service": ("mix",), "rules_traversed": ("-",)}


@dataclass(frozen=True, slots=True)
class Record:
    """One measured number and its set-up, as text by column."""

    id: str
    file: str
    study: str
    quantity: str
    mode: str
    measured: float
    unit: str
    setup: Mapping[str, str]

    def number(self, key: str, default: float = 0.0) -> float:
        """Return a column as a number, ``default`` where it is empty or none."""
        try:
            return float(self.setup.get(key, ""))
        except ValueError:
            return default

    @property
    def fitted(self) -> bool:
        """Return True if the table says that a fit has seen the row."""
        return self.setup.get("use") == "fit"


def read_records(path: Path) -> list[Record]:
    """Return the records of a file.  Raises :class:`InputError` where it is no such table."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # tables of spreadsheets begin with a mark
    except (OSError, UnicodeDecodeError) as error:
        raise InputError([Problem(Place(str(path)), what=f"cannot be read: {error}")]) from error
    if path.suffix in YAML:
        return [record for document in load(text, str(path)) for record in _published(path, document.data)]
    try:
        return _table(path, text)
    except csv.Error as error:
        raise InputError([Problem(Place(str(path)), what=f"no table: {error}")]) from error


def _table(path: Path, text: str) -> list[Record]:
    """Return the records of a table; lines that begin with # say something else."""
    kept = [(n, line) for n, line in enumerate(text.splitlines(keepends=True), 1) if not line.startswith("#")]
    rows = csv.DictReader(StringIO("".join(line for _, line in kept)), restval="")
    rows.fieldnames = [name.strip() for name in rows.fieldnames or ()]
    study = next((name for name, signs in _SIGNS.items() if signs <= set(rows.fieldnames)), None)
    if study is None:
        known = "; ".join(f"{name}: {', '.join(sorted(signs))}" for name, signs in _SIGNS.items())
        raise InputError([Problem(Place(str(path)), what=f"no table of records; columns tell one, {known}")])
    found: list[Record] = []
    problems: list[Problem] = []
    for n, row in enumerate(rows, 2):
        texts = {name: text.strip() for name, text in row.items() if name}
        wrong = _wrong(study, texts)
        place = Place(str(path), kept[rows.line_num - 1][0])
        problems += [Problem(place, what=f"{column}: {texts[column]!r} is no number.") for column in wrong]
        if not wrong:
            found += _of_row(path, study, n, texts)
    if problems:
        raise InputError(problems)
    return found


def _wrong(study: str, row: Mapping[str, str]) -> list[str]:
    """Return the columns that should say a number and do not; an empty one says nothing, which is fine."""
    measured = {"p50"} if study == KERNEL else {*_MEASURED[study], *sum(_SUMS.get(study, {}).values(), ())}
    return [
        column
        for column in sorted((_NUMBERS | measured) & row.keys())
        if row[column] and row[column] not in _WORDS.get(column, ()) and not _is_number(row[column])
    ]


def _is_number(text: str) -> bool:
    try:
        return isfinite(float(text))
    except ValueError:
        return False


def _of_row(path: Path, study: str, line: int, row: dict[str, str]) -> list[Record]:
    """Return the records of a row: one at least, so that no row is lost without a word."""
    mode = (row["mode"] or "?").split()[0]
    if study == KERNEL:
        measured = float(row["p50"]) if row["p50"] else float("nan")
        return [Record(f"{path.stem}:{line}", path.name, study, row["quantity"], mode, measured, row["unit"], row)]
    mode = f"{mode}-{row.get('backend') or 'legacy'}" if mode == "iptables" else mode
    found = []
    for column, unit in _MEASURED[study].items():
        parts = (column,) if column in row else _SUMS.get(study, {}).get(column, ("",))
        texts = [row.get(part, "") for part in parts]
        if all(texts):
            total = sum(map(float, texts))
            found.append(Record(f"{path.stem}:{line}:{column}", path.name, study, column, mode, total, unit, row))
    return found or [Record(f"{path.stem}:{line}", path.name, study, "nothing", mode, float("nan"), "", row)]


def _published(path: Path, found: Any) -> Iterator[Record]:
    """A value that is a map of percentiles or variants is as many records."""
    if not isinstance(found, list) or not all(isinstance(each, dict) and "id" in each for each in found):
        raise InputError([Problem(Place(str(path)), what="no list of records with an id each")])
    for each in found:
        told = each.get("setup")
        setup = {key: str(value) for key, value in told.items()} if isinstance(told, dict) else {}
        value = each.get("value")
        values = value if isinstance(value, dict) else {"": value}
        for variant, number in values.items():
            name = f"{each['id']}:{variant}" if variant else str(each["id"])
            measured = float(number) if isinstance(number, int | float) else float("nan")
            text = {**setup, "variant": str(variant), "study_id": str(each["id"])}
            quantity, mode, unit = (str(each.get(key, "")) for key in ("quantity", "mode", "unit"))
            yield Record(name, path.name, PUBLISHED, quantity, mode, measured, unit, text)
