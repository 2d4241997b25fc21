"""The table of targets is whole, no row of it has been loosened, and a tolerance can be missed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.validation.targets import TARGETS, TOLERANCES, Found, missed, tolerances

EVERY = [target for targets in TARGETS.values() for target in targets]

# The rows of the table, and how near each must be.  Beside them a row may have more that it is held to.
STATED: list[tuple[int, str, Any]] = [
    (1, "exact", True),
    (2, "exact", True),
    (3, "exact", True),
    (4, "relative", 0.05),
    (5, "relative", 0.05),
    (6, "range", [30, 45]),
    (6, "range", [40, 55]),
    (7, "range", [20, 31]),
    (8, "exact", True),
    (9, "relative", 0.10),
    (10, "factor", 2),
    (11, "relative", 0.20),
    (12, "most", True),
    (12, "standard_errors", 4),
]


def test_every_row_of_the_table_is_there_at_its_stated_tolerance() -> None:
    assert {target["row"] for target in EVERY} == set(range(1, 13)) == {row for row, _, _ in STATED}
    for row, kind, bound in STATED:
        given = [target[kind] for target in EVERY if target["row"] == row and kind in target]
        assert bound in given, f"row {row}"
        if kind in {"relative", "factor", "standard_errors"}:
            assert max(given) == bound, f"row {row}"


def test_every_room_has_its_tests_and_every_target_says_who_expects_it() -> None:
    here = Path(__file__).parent
    assert {f"test_{room.replace(' ', '_').lower()}_targets.py" for room in TARGETS} == {
        path.name for path in here.glob("test_*_targets.py")
    }
    assert len({target["of"] for target in EVERY}) == len(EVERY)
    assert {target["kind"] for target in EVERY} <= {"arithmetic", "derived", "measured", "shape"}
    assert all(target["source"] and target["unit"] and target["what"] for target in EVERY)
    assert all(tolerances(target) for target in EVERY)


@pytest.mark.parametrize(
    ("tolerance", "near", "far"),
    [
        ({"exact": True}, Found(100), Found(100.001)),
        ({"relative": 0.05}, Found(104), Found(94)),
        ({"factor": 2}, Found(51), Found(49)),
        ({"most": True}, Found(3), Found(101)),
        ({"range": [90, 120]}, Found.of([91, 119]), Found.of([89, 101, 119])),
        ({"standard_errors": 4}, Found(103, 1), Found(105, 1)),
        ({"range": [90, 120], "standard_errors": 4}, Found(103, 1, (91, 119)), Found(105, 1, (91, 119))),
    ],
)
def test_a_tolerance_can_be_met_and_missed(tolerance: dict[str, Any], near: Found, far: Found) -> None:
    target = {"what": "it", "expected": 100, "unit": "s", **tolerance}
    assert not missed(target, near)
    assert "it: expected 100 s" in missed(target, far)


def test_every_kind_of_tolerance_is_used() -> None:
    assert {kind for target in EVERY for kind in tolerances(target)} == set(TOLERANCES)
