"""The curated results are those of today's scenarios and today's model."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from pathlib import Path

import pytest

import kpsim
from kpsim.profiles.assumptions import assumptions
from kpsim.report.directory import write_report
from kpsim.scenario.kinds import identify
from kpsim.scenario.resolved import write_resolved

ROOT = Path(__file__).parents[2]
SCENARIOS = sorted((ROOT / "scenarios").glob("*.yaml"))


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
    resolved = write_resolved(kpsim.read(path))
    assert manifest["provenance"]["scenario_sha256"] == hashlib.sha256(resolved.encode()).hexdigest(), "make results"
    assert manifest["complete"] is True


@pytest.mark.parametrize("name", ["hello", "online-boutique"])
def test_small_results_are_the_same_to_the_byte(name: str, tmp_path: Path) -> None:
    kept = ROOT / "results" / name
    provenance = json.loads((kept / "manifest.json").read_text(encoding="utf-8"))["provenance"]
    result = kpsim.run(ROOT / "scenarios" / f"{name}.yaml")
    here = {package: version(package) for package in ("numpy", "simpy")}
    if any(provenance[k] != v for k, v in (here | {"platform": result.provenance["platform"]}).items()):
        pytest.skip("the same bytes are promised for the pinned versions on one platform")
    write_report(result, tmp_path)
    ours, theirs = (json.loads((d / "summary.json").read_text(encoding="utf-8")) for d in (tmp_path, kept))
    for document in (ours, theirs):
        document["provenance"].pop("python", None)
    assert ours == theirs, "a change of the model changes its answers: make results, and say why"


def test_design_lists_the_assumptions_word_for_word() -> None:
    design = " ".join((ROOT / "DESIGN.md").read_text(encoding="utf-8").split())
    for number, words in assumptions():
        assert f"- **{number}** {' '.join(words.split())}" in design, number
