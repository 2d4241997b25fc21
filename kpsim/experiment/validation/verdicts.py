"""Every record gets a prediction with its interval, or a reason; errors are summed up by quantity and mode."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import isnan
from pathlib import Path

import numpy as np

from kpsim.calibration.records import PUBLISHED, YAML, Record, read_records
from kpsim.errors import InputError
from kpsim.experiment.validation.arithmetic import rounded_as
from kpsim.experiment.validation.machines import shipped_records
from kpsim.experiment.validation.prediction import Prediction, group, predict, profile_for
from kpsim.experiment.validation.published import fitted_on, shipped_studies
from kpsim.experiment.validation.setups import Unspoken

ROUNDED = 2e-3  # relative
_NUMBERS = frozenset({"services", "endpoints", "endpoints_per_service", "rules_traversed", "changes_per_s"})
_KEYS = (
    "kernel", "version", "backend", "services", "endpoints", "endpoints_per_service", "operation", "position",
    "rules_traversed", "changes_per_s", "min_sync_period",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict:
    """One record against the model."""

    record: Record
    prediction: Prediction
    fitted: bool

    @property
    def ratio(self) -> float:
        """Return predicted over measured; a count that is told in prose is right if ours rounds to it."""
        told, value = self.record.measured, self.prediction.value
        if self.prediction.in_prose:
            value = rounded_as(value, told)
        return value / told if told else float("inf")

    @property
    def inside(self) -> bool:
        """Return True if the measured value is in the interval."""
        return self.prediction.low <= self.record.measured <= self.prediction.high

    @property
    def words(self) -> str:
        """Return the verdict in a word or two."""
        if self.inside:
            return "inside"
        return "too low" if self.prediction.value < self.record.measured else "too high"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that the model does not speak to."""

    record: Record
    reason: str


@dataclass(frozen=True, slots=True)
class Validation:
    """All records of one run of ``kpsim validate``."""

    verdicts: Sequence[Verdict]
    refusals: Sequence[Refusal]

    def summary(self) -> list[tuple[str, str, bool, int, float, float, float]]:
        """Return quantity, mode, fitted, rows, median and worst error (a share), and coverage, by those three."""
        groups: dict[tuple[str, str, bool], list[Verdict]] = defaultdict(list)
        for verdict in self.verdicts:
            groups[group(verdict.record), verdict.record.mode, verdict.fitted].append(verdict)
        return [
            (*key, len(each), float(np.median(_errors(each))), float(_errors(each).max()), coverage(each))
            for key, each in sorted(groups.items())
        ]


def _errors(verdicts: Sequence[Verdict]) -> np.ndarray:
    return np.abs([verdict.ratio - 1 for verdict in verdicts])


def coverage(verdicts: Sequence[Verdict]) -> float:
    """Return the share of records whose measured value is inside its interval."""
    return float(np.mean([verdict.inside for verdict in verdicts])) if verdicts else float("nan")


def _identity(record: Record) -> tuple[str, ...]:
    """Return the set-up of a measurement: what two records of the same one have in common, beside the value."""
    numbers = (f"{record.number(k):g}" if k in _NUMBERS else record.setup.get(k, "") for k in _KEYS)
    return (record.study, record.quantity, record.mode, *numbers)


Known = dict[tuple[str, ...], list[float]]


def _fitted() -> Known:
    """Return what the shipped profiles were fitted on, values by set-up."""
    found: Known = defaultdict(list)
    for record in shipped_records():
        if record.fitted:
            found[_identity(record)].append(record.measured)
    return found


def _seen(record: Record, known: Known) -> bool:
    """Return True if a fit has seen the record; tables that ship are rounded."""
    return any(abs(value - record.measured) <= ROUNDED * abs(value) for value in known.get(_identity(record), ()))


def shipped(study: str | None = None) -> list[Record]:
    """Return the records that ship, or those of one study: a table's name, or the beginning of published ids."""
    records = [*shipped_records(), *shipped_studies()]
    if study is None:
        return records
    found = [r for r in records if Path(r.file).stem == study or (r.study == PUBLISHED and r.id.startswith(study))]
    if not found:
        known = sorted({Path(r.file).stem for r in records})
        raise InputError(
            f"--study: no study {study!r}; there are {', '.join(known)}, or the beginning of a published id"
        )
    return found


def validate(files: Sequence[Path] = (), study: str | None = None, profile: str | None = None) -> Validation:
    """Hold the model against the records of ``files``, or against those that ship."""
    if not files:
        return judged(shipped(study), _fitted(), profile)
    records, refusals = [], []
    for file, listed in _files(files):
        try:
            records += read_records(file)
        except InputError as error:
            if listed:
                raise
            said = "; ".join(problem.what for problem in error.problems)
            refusals.append(Refusal(Record(file.stem, file.name, "", "", "", float("nan"), "", {}), said))
    found = judged(_told_apart(records), _fitted(), profile)
    return Validation(found.verdicts, [*found.refusals, *refusals])


def _files(paths: Sequence[Path]) -> Iterator[tuple[Path, bool]]:
    """Yield every file, and whether it was named itself; of a directory those that may be tables, by name."""
    for path in paths:
        if path.is_dir():
            yield from ((each, False) for each in sorted(path.iterdir()) if each.suffix in (".csv", *YAML))
        else:
            yield path, True


def _told_apart(records: Iterable[Record]) -> Iterator[Record]:
    """Yield the records, with a number at the end of an id that an earlier one has, as in files of one name."""
    had: dict[str, int] = defaultdict(int)
    for record in records:
        had[record.id] += 1
        yield record if had[record.id] == 1 else replace(record, id=f"{record.id}#{had[record.id]}")


def judged(records: Iterable[Record], known: Known, profile: str | None) -> Validation:
    """Return the verdicts on ``records``; those ``known`` were fitted on."""
    verdicts, refusals = [], []
    for record in records:
        if isnan(record.measured):
            refusals.append(Refusal(record, "the value is no number"))
            continue
        try:
            found = predict(record, profile)
        except Unspoken as reason:
            refusals.append(Refusal(record, str(reason)))
            continue
        except (ValueError, KeyError, ZeroDivisionError) as reason:  # whatever a stranger's table leaves out
            refusals.append(Refusal(record, f"its set-up is not told, or makes no sense: {reason}"))
            continue
        own = profile in (None, profile_for(record))
        seen = fitted_on(record) if record.study == PUBLISHED else own and _seen(record, known)
        verdicts.append(Verdict(record, found, seen))
    return Validation(verdicts, refusals)
