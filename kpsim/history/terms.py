"""Terms that events and workloads share: a portion of Pods, and how Pods end."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from kpsim.declared import Declared, Form
from kpsim.units import UnitError, parse_count


@dataclass(frozen=True, slots=True)
class IntOrPercent:
    """A number of Pods, or a share of them, as Kubernetes writes it: ``3`` or ``25%``."""

    value: int
    percent: bool = False

    def of(self, total: int, *, up: bool) -> int:
        """Return how many of ``total``; a share of one Pod is rounded ``up`` or down."""
        if not self.percent:
            return self.value
        return -(-total * self.value // 100) if up else total * self.value // 100

    def __str__(self) -> str:
        return f"{self.value}%" if self.percent else str(self.value)


def _read_portion(value: object) -> IntOrPercent:
    if isinstance(value, str) and value.strip().endswith("%"):
        digits = value.strip()[:-1]
        if re.fullmatch("[0-9]{1,9}", digits):
            return IntOrPercent(int(digits), percent=True)
        raise UnitError(f"{value[:40]!r} is not a percentage of Pods", "write whole percents, e.g. 25%")
    count = parse_count(value)
    if count < 0:
        raise UnitError(f"must not be negative, but is {count}")
    return IntOrPercent(count)


PORTION = Form(object, _read_portion, lambda p: str(p) if p.percent else p.value, "Pods, or a share of them, e.g. 25%")
QUARTER = IntOrPercent(25, percent=True)  # pkg/apis/apps/v1/defaults.go


@dataclass(frozen=True, slots=True)
class Ending:
    """Pods end by a preStop hook and terminationGracePeriodSeconds; ``None`` leaves either as it was."""

    pre_stop_s: Annotated[float | None, Declared("A preStop hook that sleeps", otherwise="as it was")] = None
    grace_s: Annotated[
        float | None,
        Declared("Pods that take longer to end are killed", key="terminationGracePeriod", otherwise="as it was"),
    ] = None
