"""The check of a profile file: names, types and intervals, each problem with its key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from kpsim.errors import InputError, Place, Problem

Triple = Annotated[list[float], Field(min_length=3, max_length=3)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Coefficient(_Strict):
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
    def _ordered(self) -> _Coefficient:
        if self.both is None and self.typical is None:
            raise ValueError("needs `both` or `typical`: [value, low, high]")
        for triple in (self.both, self.quiet, self.typical, self.cold):
            if triple and not triple[1] <= triple[0] <= triple[2]:
                raise ValueError(f"the interval must hold the value: {triple}")
        return self


class _Machine(_Strict):
    kernel: str
    cpu: str
    kernels: Annotated[list[str], Field(min_length=2, max_length=2)]


class _Moved(_Strict):
    families: list[str]
    names: list[str]
    times: Triple
    source: str

    @model_validator(mode="after")
    def _ordered(self) -> _Moved:
        if not 0 < self.times[1] <= self.times[0] <= self.times[2]:
            raise ValueError(f"the interval must hold the value: {self.times}")
        return self


class _Profile(_Strict):
    apiVersion: Literal["kpsim/v1alpha1"]  # noqa: N815 - Kubernetes' spelling
    kind: Literal["CostProfile", "Defaults"]
    name: str
    about: str
    machine: _Machine | None = None
    sources: dict[str, str]
    families: dict[str, dict[str, _Coefficient]]
    base: str | None = None
    moved: list[_Moved] = []
    variation: dict[str, dict[str, Any]] = {}
    scatter: dict[str, dict[str, float]] = {}


def checked(written: Any, path: Path) -> dict[str, Any]:
    """Return a profile as plain data of the right types.  Raises :class:`InputError` with every key that is wrong."""
    try:
        return _Profile.model_validate(written).model_dump(exclude_none=True)
    except ValidationError as error:
        raise InputError(
            Problem(Place(str(path)), key=".".join(map(str, e["loc"])), what=e["msg"]) for e in error.errors()
        ) from error
