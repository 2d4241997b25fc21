"""Quantities and mappings as they stand in a scenario file: text that becomes typed values, and complaints that mend.

What :mod:`kpsim.scenario.schema` and the sections beside it are made of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from kpsim.units import UnitError, parse_count, parse_duration, parse_number

T = TypeVar("T")


def reading(parse: Callable[[object], T]) -> Callable[[object], T]:
    """A parser of :mod:`kpsim.units` whose complaint keeps its mend."""

    def read(value: object) -> T:
        try:
            return parse(value)
        except UnitError as error:
            context = {"what": error.what, "mend": error.mend}
            raise PydanticCustomError("unit", "{what}", context) from None

    return read


_NUMBER_TEXT = {"type": "string", "pattern": r"^[0-9][0-9_]*(\.[0-9]+)?([eE][0-9]+)?[kKMGBT]?$"}
_COUNT_SCHEMA = {"anyOf": [{"type": "integer", "minimum": 0}, _NUMBER_TEXT]}
_RATE_SCHEMA = {"anyOf": [{"type": "number", "minimum": 0}, _NUMBER_TEXT]}
_DURATION_SCHEMA = {"type": "string", "pattern": r"^(0|([0-9]*\.?[0-9]+(ns|us|µs|ms|s|m|h))+)$"}

Count = Annotated[int, Field(ge=0), BeforeValidator(reading(parse_count)), WithJsonSchema(_COUNT_SCHEMA)]
Positive = Annotated[int, Field(ge=1), BeforeValidator(reading(parse_count)), WithJsonSchema(_COUNT_SCHEMA)]
Rate = Annotated[float, Field(ge=0), BeforeValidator(reading(parse_number)), WithJsonSchema(_RATE_SCHEMA)]
Share = Annotated[float, Field(ge=0, le=1), BeforeValidator(reading(parse_number)), WithJsonSchema(_RATE_SCHEMA)]
Duration = Annotated[float, BeforeValidator(reading(parse_duration)), WithJsonSchema(_DURATION_SCHEMA)]
LongDuration = Annotated[float, Field(gt=0), BeforeValidator(reading(parse_duration)), WithJsonSchema(_DURATION_SCHEMA)]


Objectives = Annotated[
    list[str],
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]


class Part(BaseModel):
    """A mapping of ours: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, alias_generator=to_camel)


class PastedPart(BaseModel):
    """A mapping of kube-proxy's: unknown keys are looked at later."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, alias_generator=to_camel)
