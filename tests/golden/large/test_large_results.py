"""The curated results of the large scenarios are today's: a quarter of an hour, by ``make results-check``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden.curated import LARGE, SCENARIOS, differences


@pytest.mark.parametrize("path", [path for path in SCENARIOS if path.stem in LARGE], ids=lambda p: p.stem)
def test_large_results_are_those_kept(path: Path) -> None:
    assert differences(path) == [], "a change of the model changes its answers: make results, and say why"
