"""The curated results are those of today's scenarios and today's model."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from kpsim.profiles.shipped import assumptions
from kpsim.scenario.kinds import identify
from kpsim.scenario.reader import read
from kpsim.scenario.resolved import write_resolved
from tests.golden.curated import LARGE, ROOT, SCENARIOS, differences, unlike


def test_every_scenario_opens_with_its_question() -> None:
    for path in SCENARIOS:
        lines = path.read_text(encoding="utf-8").splitlines()
        assert lines[0].startswith("# "), path
        assert "?" in lines[0], f"{path.name} opens with a question"
        assert any("Shape expected" in line for line in lines), f"{path.name} says what shape to expect"


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda p: p.stem)
def test_every_scenario_has_its_curated_result(path: Path) -> None:
    kept = ROOT / "results" / path.stem
    assert (kept / "manifest.json").is_file(), "make results"
    assert list((kept / "figures").glob("*.svg"))
    if identify([path]).is_sweep:
        assert (kept / "sweep.csv").is_file()
        return
    manifest = json.loads((kept / "manifest.json").read_text(encoding="utf-8"))
    resolved = write_resolved(read(path))
    assert manifest["provenance"]["scenario_sha256"] == hashlib.sha256(resolved.encode()).hexdigest(), "make results"
    assert manifest["complete"] is True


@pytest.mark.parametrize("path", [path for path in SCENARIOS if path.stem not in LARGE], ids=lambda p: p.stem)
def test_small_results_are_those_kept(path: Path) -> None:
    assert differences(path) == [], "a change of the model changes its answers: make results, and say why"


def test_large_results_are_checked_elsewhere() -> None:
    assert {path.stem for path in SCENARIOS} > LARGE, "make results-check"


def test_a_difference_is_found_and_a_rounding_is_not_one_elsewhere() -> None:
    kept = {"p99": [1.0, {"n": 3}], "mode": "ipvs", "low": None}
    assert unlike(kept, kept, same_platform=True) == []
    rounded = {**kept, "p99": [1.0 + 1e-15, {"n": 3}]}
    assert unlike(kept, rounded, same_platform=False) == []
    assert unlike(kept, rounded, same_platform=True) == ["p99.0: kept 1.0, found 1.000000000000001"]
    for other in ({**kept, "p99": [1.0 + 1e-11, {"n": 3}]}, {**kept, "mode": "iptables"}, {**kept, "low": 0.0}, {}):
        assert unlike(kept, other, same_platform=False)
        assert unlike(other, kept, same_platform=False)


def test_design_lists_the_assumptions_word_for_word() -> None:
    design = " ".join((ROOT / "DESIGN.md").read_text(encoding="utf-8").split())
    for number, words in assumptions():
        assert f"- **{number}** {' '.join(words.split())}" in design, number
