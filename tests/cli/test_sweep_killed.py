"""A sweep that is killed goes on where it was, and ends with the same bytes; ``make soak`` kills it twenty times."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from kpsim.experiment.sweeps import sweep
from tests.soak.kills import killed


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
def test_a_sweep_killed_twice_ends_with_the_same_table(tmp_path: Path) -> None:
    after, whole, _ = killed(tmp_path, kills=2, number=1, points=4)
    assert after == whole
    assert len(after.splitlines()) > 4


@pytest.mark.parametrize("damage", ["", "{", "null", "[]", "[1]", '[{"mode": "iptables"}]', '"text"'])
def test_a_kept_point_that_is_damaged_is_computed_again(tmp_path: Path, damage: str) -> None:
    scenario = tmp_path / "s.yaml"
    scenario.write_text(
        "apiVersion: kpsim/v1alpha1\nkind: Scenario\nspec:\n  services: [{name: web, count: 1, endpoints: 1}]\n"
        "  run: {duration: 3s, warmup: 0s, replications: 1, packets: 100}\n",
        encoding="utf-8",
    )
    axes = [("services.web.count", "1,2")]
    first = sweep(scenario, axes, cache=tmp_path / "kept")
    for kept in sorted((tmp_path / "kept").glob("*.json")):
        assert json.loads(kept.read_text(encoding="utf-8"))
        kept.write_text(damage, encoding="utf-8")
    assert sweep(scenario, axes, cache=tmp_path / "kept").equals(first)
