"""The format of a profile file, checked when one is read that does not ship with kpsim.

A coefficient is ``{unit, both|quiet|typical: [value, low, high], source}``, with ``cold: […]`` where a swept cache
was measured too, ``measured_to`` where counts beyond it are extrapolation, and ``note``.  Values leave here in SI.
The classes are the format: a file that is not kpsim's own is checked by their fields and types.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

import yaml

from kpsim.errors import InputError, Place, Problem
from kpsim.profiles.shipped import SHIPPED, parse_yaml, shipped

TIMES = ("s", "ms", "us", "ns")
Unit = Literal["ns", "us", "ms", "s", "B", "B/s", "1/s", "1", "ratio"]
SCALE = {
    "ns": 1e-9,
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "B": 1.0,
    "B/s": 1.0,
    "1/s": 1.0,
    "1": 1.0,
    "ratio": 1.0,
}
TRIPLES = ("both", "quiet", "typical", "cold")

Triple = tuple[float, float, float]
"""A value and its interval of 95 %."""

CLOSED = {"extra": "forbid"}  # to whatever checks: keys that are no fields are wrong


@dataclass(frozen=True, slots=True)
class Coefficient:
    """One number: its value and 95 % interval in SI units, and its source."""

    name: str
    unit: str
    value: float
    low: float
    high: float
    source: str
    note: str = ""
    measured_to: float | None = None
    cold: tuple[float, float, float] | None = None

    @property
    def assumed(self) -> bool:
        """True if the number was never measured."""
        return self.source.startswith("assumed")


@dataclass(frozen=True, slots=True, kw_only=True)
class CoefficientText:
    """A coefficient as written."""

    __pydantic_config__ = CLOSED

    unit: Unit
    both: Triple | None = None
    quiet: Triple | None = None
    typical: Triple | None = None
    cold: Triple | None = None
    sigma: float = 0.0
    source: str
    note: str = ""
    measured_to: float | None = None

    def __post_init__(self) -> None:
        if self.both is None and self.typical is None:
            raise ValueError("needs `both` or `typical`: [value, low, high]")
        for triple in (self.both, self.quiet, self.typical, self.cold):
            _check_order(triple)

    @staticmethod
    def of(written: Mapping[str, Any]) -> CoefficientText:
        """Return a coefficient of a file that is right."""
        numbers = {key: tuple(map(float, written[key])) for key in TRIPLES if written.get(key) is not None}
        return CoefficientText(**{**written, **numbers})

    def resolve(self, name: str, which: str) -> Coefficient:
        """Return the number in SI for the set ``which`` (quiet or typical)."""
        triple: Triple | None = getattr(self, which) or self.both or self.typical
        assert triple is not None
        scale = SCALE[self.unit]
        value, low, high = (scale * x for x in triple)
        cold = (scale * self.cold[0], scale * self.cold[1], scale * self.cold[2]) if self.cold else None
        return Coefficient(name, self.unit, value, low, high, self.source, self.note, self.measured_to, cold)


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine that a profile was measured on, and the kernels that its costs are taken to hold for."""

    __pydantic_config__ = CLOSED

    kernel: str
    cpu: str
    kernels: tuple[str, str]  # first and last release

    @staticmethod
    def of(written: Mapping[str, Any]) -> Machine:
        """Return a machine of a file that is right."""
        return Machine(**{**written, "kernels": tuple(written["kernels"])})


@dataclass(frozen=True, slots=True)
class Moved:
    """Times of a profile's base that are so many times as long here; names may have wildcards (fnmatch)."""

    __pydantic_config__ = CLOSED

    families: Sequence[str]
    names: Sequence[str]
    times: Triple
    source: str

    def __post_init__(self) -> None:
        _check_order(self.times)
        if self.times[1] <= 0:
            raise ValueError(f"must be above zero: {self.times}")

    @staticmethod
    def of(written: Mapping[str, Any]) -> Moved:
        """Return what a file that is right says to be moved."""
        return Moved(**{**written, "times": tuple(map(float, written["times"]))})

    def fits(self, family: str, name: str) -> bool:
        """Return True if a coefficient of a family is moved by this."""
        return any(fnmatchcase(family, each) for each in self.families) and any(
            fnmatchcase(name, each) for each in self.names
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileText:
    """A profile file as written; with a ``base``, it says only what is otherwise there."""

    __pydantic_config__ = CLOSED

    apiVersion: Literal["kpsim/v1alpha1"]  # noqa: N815 - Kubernetes' spelling
    kind: Literal["CostProfile", "Defaults"]
    name: str
    about: str
    machine: Machine | None = None
    sources: Mapping[str, str]
    families: Mapping[str, Mapping[str, CoefficientText]]
    base: str | None = None
    moved: tuple[Moved, ...] = ()
    """The first that fits a coefficient of the base moves it."""
    variation: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    scatter: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Half a 95 % interval, of the logarithm, by mode and quantity."""

    @staticmethod
    def of(written: Mapping[str, Any]) -> ProfileText:
        """Return a profile of a file that is right: one that ships with kpsim, or was checked."""
        families = {
            family: {name: CoefficientText.of(coefficient) for name, coefficient in coefficients.items()}
            for family, coefficients in written["families"].items()
        }
        machine = Machine.of(written["machine"]) if written.get("machine") else None
        moved = tuple(Moved.of(each) for each in written.get("moved", ()))
        return ProfileText(**{**written, "families": families, "machine": machine, "moved": moved})

    def document(self) -> dict[str, Any]:
        """Return the profile as plain data, without what it does not say."""
        said: dict[str, Any] = _said(self)
        return said


def _check_order(triple: Triple | None) -> None:
    if triple and not triple[1] <= triple[0] <= triple[2]:
        raise ValueError(f"the interval must hold the value: {triple}")


def _said(part: Any) -> Any:
    """Return plain data: of a class the fields that are not as they are without a word."""
    if isinstance(part, Mapping):
        return {key: _said(value) for key, value in part.items()}
    if isinstance(part, list | tuple):
        return [_said(each) for each in part]
    if not is_dataclass(part):
        return part
    told = ((each, getattr(part, each.name)) for each in fields(part))
    return {
        each.name: _said(value)
        for each, value in told
        if value is not None and value != each.default and (each.default_factory is MISSING or value)
    }


def read_yaml(path: Path) -> ProfileText:
    """Return a profile file, checked.  Raises :class:`InputError` naming the file and every key that is wrong.

    A file that ships with kpsim is right, as a test holds it to be: the library that checks takes a tenth of a second.
    """
    if path.parent == SHIPPED:
        return ProfileText.of(shipped(path.name))
    try:
        written = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise InputError([Problem(Place(str(path)), what=f"cannot be read as a profile: {error}")]) from error
    from kpsim.profiles.files.checked import checked

    return checked(written, path)
