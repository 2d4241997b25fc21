"""The format of a profile file, checked when one is read.

A coefficient is ``{unit, both|quiet|typical: [value, low, high], source}``, with ``cold: […]`` where a swept cache
was measured too, ``measured_to`` where counts beyond it are extrapolation, and ``note``.  Values leave here in SI.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from kpsim.errors import InputError, Place, Problem

TIMES = ("s", "ms", "us", "ns")
SCALE = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "B": 1.0, "B/s": 1.0, "1/s": 1.0, "1": 1.0, "ratio": 1.0}
Triple = Annotated[list[float], Field(min_length=3, max_length=3)]


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


class CoefficientText(BaseModel):
    """A coefficient as written."""

    model_config = ConfigDict(extra="forbid")

    unit: Literal["ns", "us", "ms", "s", "B", "B/s", "1/s", "1", "ratio"]
    both: Triple | None = None
    quiet: Triple | None = None
    typical: Triple | None = None
    cold: Triple | None = None
    sigma: float = 0.0
    source: str
    note: str = ""
    measured_to: float | None = None

    @model_validator(mode="after")
    def _ordered(self) -> CoefficientText:
        if self.both is None and self.typical is None:
            raise ValueError("needs `both` or `typical`: [value, low, high]")
        for triple in (self.both, self.quiet, self.typical, self.cold):
            if triple and not triple[1] <= triple[0] <= triple[2]:
                raise ValueError(f"the interval must hold the value: {triple}")
        return self

    def resolve(self, name: str, which: str) -> Coefficient:
        """Return the number in SI for the set ``which`` (quiet or typical)."""
        triple: list[float] = getattr(self, which) or self.both or self.typical or []
        scale = SCALE[self.unit]
        value, low, high = (scale * x for x in triple)
        cold = (scale * self.cold[0], scale * self.cold[1], scale * self.cold[2]) if self.cold else None
        return Coefficient(name, self.unit, value, low, high, self.source, self.note, self.measured_to, cold)


class Machine(BaseModel):
    """The machine that a profile was measured on, and the kernels that its costs are taken to hold for."""

    model_config = ConfigDict(extra="forbid")

    kernel: str
    cpu: str
    kernels: Annotated[list[str], Field(min_length=2, max_length=2)]  # first and last release


class Moved(BaseModel):
    """Times of a profile's base that are so many times as long here; names may have wildcards (fnmatch)."""

    model_config = ConfigDict(extra="forbid")

    families: list[str]
    names: list[str]
    times: Triple
    source: str

    @model_validator(mode="after")
    def _ordered(self) -> Moved:
        if not 0 < self.times[1] <= self.times[0] <= self.times[2]:
            raise ValueError(f"the interval must hold the value: {self.times}")
        return self

    def fits(self, family: str, name: str) -> bool:
        """Return True if a coefficient of a family is moved by this."""
        return any(fnmatchcase(family, each) for each in self.families) and any(
            fnmatchcase(name, each) for each in self.names
        )


class ProfileText(BaseModel):
    """A profile file as written; with a ``base``, it says only what is otherwise there."""

    model_config = ConfigDict(extra="forbid")

    apiVersion: Literal["kpsim/v1alpha1"]  # noqa: N815 - Kubernetes' spelling
    kind: Literal["CostProfile", "Defaults"]
    name: str
    about: str
    machine: Machine | None = None
    sources: dict[str, str]
    families: dict[str, dict[str, CoefficientText]]
    base: str | None = None
    moved: list[Moved] = []  # the first that fits a coefficient of the base moves it
    variation: dict[str, dict[str, Any]] = {}
    scatter: dict[str, dict[str, float]] = {}  # mode -> quantity -> half a 95 % interval, of the logarithm


def parse_yaml(text: str) -> Any:
    """Return a YAML text as plain values, by the C parser where PyYAML has it: every command reads a profile."""
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe loaders


def read_yaml(path: Path) -> ProfileText:
    """Return a profile file, checked.  Raises :class:`InputError` naming the file and every key that is wrong."""
    try:
        return ProfileText.model_validate(parse_yaml(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError) as error:
        raise InputError([Problem(Place(str(path)), what=f"cannot be read as a profile: {error}")]) from error
    except ValidationError as error:
        raise InputError(
            Problem(Place(str(path)), key=".".join(map(str, e["loc"])), what=e["msg"]) for e in error.errors()
        ) from error
