"""The page about measurements is the one that today's model makes, and README quotes its table."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from kpsim.experiment.validation.verdicts import Validation, validate
from kpsim.report.validation.blocks import table_markdown
from kpsim.report.validation.page import short_table, write_page
from kpsim.report.validation.scores import scores, topic_of
from tests.golden.curated import ROOT, same_platform

KEPT = ROOT / "results" / "validation"


@pytest.fixture(scope="module")
def found() -> Validation:
    return validate()


def test_the_page_is_the_one_kept(found: Validation, tmp_path: Path) -> None:
    made = write_page(found, tmp_path)
    manifest = json.loads((ROOT / "results" / "hello" / "manifest.json").read_text(encoding="utf-8"))
    assert made.read_text(encoding="utf-8") == (KEPT / "report.md").read_text(encoding="utf-8"), "make validation"
    kept = sorted(path.name for path in (KEPT / "figures").iterdir())
    assert kept == sorted(path.name for path in (tmp_path / "figures").iterdir())
    for name in kept:
        old, new = ((folder / "figures" / name).read_text(encoding="utf-8") for folder in (KEPT, tmp_path))
        if same_platform(manifest):
            assert old == new, f"{name}: make validation"
        assert re.findall("<title>(.*)</title>", old) == re.findall("<title>(.*)</title>", new)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert html.count("<figure>") == len(kept) == 3
    assert '<table class="cards">' in html


def test_readme_says_how_far_to_believe_it_in_the_pages_words(found: Validation) -> None:
    _, _, rest = (ROOT / "README.md").read_text(encoding="utf-8").partition("## How far to believe it\n")
    section = rest.partition("\n## ")[0]
    assert table_markdown(short_table(found)) in section, "copy the first table of results/validation/report.md"


def test_every_record_has_one_place_on_the_page(found: Validation) -> None:
    assert sum(score.rows for score in scores(found.verdicts)) == len(found.verdicts)
    assert {topic_of(verdict.record).topic for verdict in found.verdicts} >= {"first packets", "CPU of commands"}
    assert "everything else" not in {topic_of(verdict.record).topic for verdict in found.verdicts}
    missed = [score for score in scores(found.verdicts) if score.verdict == "missed"]
    assert all(score.missed for score in missed)
    assert missed
