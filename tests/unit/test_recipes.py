"""The recipes of CONTRIBUTING.md: a measure by its two declarations, and that the files named there are there.

A mode by registration is ``test_mode_for_engines.py``, an event kind by one class ``test_declared_keys.py``.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from kpsim.cli import main
from kpsim.experiment.observing import observe
from kpsim.experiment.observing.observations import Observations
from kpsim.measure.stretches import Batches
from kpsim.measure.summary import MEASURES, Measure
from kpsim.simulation import ModeRun, Replication

ROOT = Path(__file__).parents[2]
TOY = Measure(
    "delivery_size", "B", "Delivery size", "what a watch event carries", subject="deliveries", each="watch events",
    compared=True, drawn="delivery_size",
)  # fmt: skip
YAML = """\
apiVersion: kpsim/v1alpha1
kind: Scenario
metadata: {name: sizes}
spec:
  cluster: {nodes: 2}
  services: [{name: web, count: 3, endpoints: 4}]
  compare: {modes: [iptables, ipvs]}
  traffic: {connectionsPerSecondPerNode: 5}
  changes: {churn: {podReplacementsPerSecond: 2}}
  thresholds: {delivery_size: ["max < 1M", "p50 < 1"]}
  run: {duration: 20s, warmup: 2s, replications: 2}
"""


def _observe_sizes(seen: Observations, _: Replication, run: ModeRun, measured: Batches) -> None:
    rows = run.sent.column("sent_ns") >= measured.from_ns
    sizes = measured.split(run.sent.column("size")[rows], run.sent.column("sent_ns")[rows])
    seen.count(TOY.name, sizes)


def test_a_measure_is_one_declaration_and_where_it_is_observed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MEASURES, TOY.name, TOY)
    monkeypatch.setattr(observe, "OBSERVERS", (*observe.OBSERVERS, _observe_sizes))
    path, out = tmp_path / "sizes.yaml", tmp_path / "out"
    path.write_text(YAML, encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["kpsim", "run", str(path), "--out", str(out), "--jobs", "1", "-q"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 99  # an objective failed, and that is an answer
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    for mode in ("iptables", "ipvs"):
        found = summary["modes"][mode]["summaries"][TOY.name]
        assert found["unit"] == "B"
        assert found["mean"]["value"] > 100
    page = (out / "report.md").read_text(encoding="utf-8")
    objectives = [line for line in page.splitlines() if f"`{TOY.name}`" in line and "&lt;" in line]
    assert sum("**failed**" in line for line in objectives) == sum("| met" in line for line in objectives) == 2
    assert f"{TOY.name} p50" in page  # one mode against the other
    drawn = (out / "figures" / f"{TOY.drawn}.svg").read_text(encoding="utf-8")
    assert "delivery size (log scale)" in drawn
    assert "share of watch events" in drawn


def test_the_recipes_name_files_that_there_are() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    recipes = [part for part in text.split("\n## ") if part.startswith("A new ")]
    assert len(recipes) >= 7
    for recipe in recipes:
        named = set(re.findall(r"`((?:kpsim|tests|scenarios)/[\w./-]+)`", recipe))
        assert named, recipe.splitlines()[0]
        assert not [name for name in named if not (ROOT / name).exists()]
