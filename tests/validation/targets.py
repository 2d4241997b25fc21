"""What the model is held to, as ``control_plane_targets.yaml`` has it, and whether it gets there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from kpsim.units import F64

Target = Mapping[str, Any]
TABLE = Path(__file__).parent / "control_plane_targets.yaml"
TARGETS: dict[str, list[dict[str, Any]]] = yaml.safe_load(TABLE.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Found:
    """What the model came to; where there is chance in it, with its standard error and the values it is the mean of."""

    value: float
    error: float = 0.0
    each: tuple[float, ...] = ()

    @staticmethod
    def of(values: list[float] | F64) -> Found:
        """The mean of independent values."""
        each = np.asarray(values, np.float64)
        return Found(float(each.mean()), float(each.std(ddof=1) / np.sqrt(len(each))), tuple(each.tolist()))


def _within_range(target: Target, found: Found) -> bool:
    low, high = target["range"]
    return all(low <= value <= high for value in found.each or (found.value,))


TOLERANCES: Mapping[str, Callable[[Target, Found], bool]] = {
    "exact": lambda target, found: found.value == target["expected"],
    "relative": lambda target, found: abs(found.value / target["expected"] - 1) <= target["relative"],
    "factor": lambda target, found: 1 / target["factor"] <= found.value / target["expected"] <= target["factor"],
    "most": lambda target, found: found.value <= target["expected"],
    "range": _within_range,
    "standard_errors": lambda target, found: (
        abs(found.value - target["expected"]) <= target["standard_errors"] * found.error
    ),
}


def tolerances(target: Target) -> set[str]:
    return TOLERANCES.keys() & target.keys()


def missed(target: Target, found: Found) -> str:
    """Why a target is not met, or nothing."""
    kinds = tolerances(target)
    assert kinds, "a target without a tolerance is always met"
    failed = sorted(kind for kind in kinds if not TOLERANCES[kind](target, found))
    if not failed:
        return ""
    says = f"{target['what']}: expected {target['expected']:g} {target['unit']}, the model says {found.value:g}"
    if found.each:
        says += f", between {min(found.each):g} and {max(found.each):g}"
    return f"{says} ({', '.join(f'{kind} {target[kind]}' for kind in failed)})"


def each_of(room: str) -> pytest.MarkDecorator:
    """A test for every target of a room."""
    return pytest.mark.parametrize("target", TARGETS[room], ids=lambda target: f"{target['row']}-{target['of']}")


def target_named(name: str) -> dict[str, Any]:
    (target,) = (target for targets in TARGETS.values() for target in targets if target["of"] == name)
    return target


def check(target: Target, model: Mapping[str, Callable[[], Found]]) -> None:
    """Run the model and fail where it misses."""
    found = model[target["of"]]()
    print(f"{target['what']}: expected {target['expected']:g} {target['unit']}, found {found.value:g}")
    assert not missed(target, found)
