"""Widths of prediction intervals: from the errors of rows that a fit has not seen, or assumed where there are none.

Errors are logarithms of measured over predicted.  Those of one size are alike, so it is sizes that count as degrees of
freedom, not rows; and since few sizes tell a width badly, the other quantities of the same kind count as some more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources

import numpy as np

from kpsim.measure.intervals import student_t95
from kpsim.profiles.shipped import parse_yaml

Errors = Mapping[str, Sequence[tuple[float, str]]]  # quantity -> (error, the size that was left out)


@cache
def assumed_scatter(name: str) -> float:
    """Return the value called ``name``, in the unit that the file says.  Raises ``KeyError`` for a name not there."""
    found = parse_yaml(resources.files(__package__).joinpath("scatter.yaml").read_text(encoding="utf-8"))
    return float(found[name]["value"])


def half_widths(errors: Errors) -> dict[str, float]:
    """Return half a 95 % interval of the logarithm by quantity, "all" of those without rows; none of no rows.

    >>> half_widths({"save.wall": [(0.1, "10"), (-0.1, "100"), (0.1, "1000")]})["save.wall"]  # t of 5 times 0.1
    0.2571
    """
    finite = {name: [(e, size) for e, size in rows if np.isfinite(e)] for name, rows in errors.items()}
    squares = {name: np.square([e for e, _ in rows]) for name, rows in finite.items() if rows}
    found = {
        name: _half(squares[name], len({size for _, size in finite[name]}), _alike(name, squares)) for name in squares
    }
    if not squares:
        return {}
    everything = np.concatenate([*squares.values()])
    return found | {"all": _half(everything, 0, everything)}


def _alike(name: str, squares: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the squared errors of what was measured alike: wall times of commands, or CPU, or memory."""
    aspect = name.partition(".")[2]
    return np.concatenate(
        [each for other, each in squares.items() if other == name or aspect == other.partition(".")[2] != ""]
    )


def _half(squares: np.ndarray, sizes: int, alike: np.ndarray) -> float:
    further = assumed_scatter("sizes_of_others")
    mean = (sizes * float(np.mean(squares)) + further * float(np.mean(alike))) / (sizes + further)
    half = student_t95(int(sizes + further)) * float(np.sqrt(mean))
    return round(min(max(half, assumed_scatter("least")), assumed_scatter("most")), 4)
