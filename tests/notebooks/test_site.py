"""The reference tells every command, key, measure and coefficient; the site builds, and asks nothing of the network."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("commands", "scenario", "measures", "costs", "limits")
needs_docs = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("mkdocs", "nbconvert")),
    reason="the docs extra is not installed",
)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("reference")
    subprocess.run([sys.executable, "-m", "kpsim.cli", "reference", "--out", str(out)], cwd=ROOT, check=True)
    return {name: (out / f"{name}.md").read_text(encoding="utf-8") for name in PARTS}


def test_every_command_is_there(pages: dict[str, str]) -> None:
    from kpsim.cli import _COMMANDS

    told = re.findall(r"^## kpsim (\S+)$", pages["commands"], re.MULTILINE)
    assert set(told) == set(_COMMANDS)
    assert "## kpsim explain packet" in pages["commands"]


def names(schema: Any) -> Iterator[str]:
    """Every key of a schema, wherever it stands."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
    for inner in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from names(inner)


def test_every_key_is_there_with_its_meaning(pages: dict[str, str]) -> None:
    from kpsim.scenario.jsonschema import json_schema

    rows = dict(re.findall(r"^\| `([^`]+)` \| (.*) \|$", pages["scenario"], re.MULTILINE))
    told = {part for key in rows for part in re.split(r"[.\[\]*]+", key)}
    assert set(names(json_schema())) <= told
    assert "spec.cluster.nodes" in rows
    assert "spec.changes.events[].rollout.preStop" in rows
    assert not [key for key, meaning in rows.items() if not meaning.strip()]


def test_every_measure_and_coefficient_is_there(pages: dict[str, str]) -> None:
    from kpsim.measure.summary import MEASURES
    from kpsim.profiles.costs import DEFAULT, load_profile

    assert not [name for name in MEASURES if f"`{name}`" not in pages["measures"]]
    known = [f"{family}.{each.name}" for family, each in load_profile(DEFAULT).coefficients("typical")]
    assert not [name for name in known if f"`{name}`" not in pages["costs"]]
    assert "conntrack entries of a node" in pages["limits"]


def test_each_page_of_the_site_is_in_its_navigation() -> None:
    nav = (ROOT / "notebooks" / "mkdocs.yml").read_text(encoding="utf-8")
    missing = [page.stem for page in (ROOT / "notebooks" / "howto").glob("*.md") if f"howto/{page.name}" not in nav]
    missing += [page.stem for page in (ROOT / "notebooks").glob("*.ipynb") if f"tutorial/{page.stem}.md" not in nav]
    assert not missing


@needs_docs
@pytest.mark.slow
def test_the_site_builds_and_loads_nothing_from_elsewhere() -> None:
    done = subprocess.run(["make", "docs"], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    made = list((ROOT / "build" / "docs" / "site").rglob("*.html"))
    assert len(made) > 20
    loads = re.compile(r"""<(?:script|img|link)[^>]+(?:src|href)=["']?https?://""")
    assert not [page.name for page in made if loads.search(page.read_text(encoding="utf-8"))]
