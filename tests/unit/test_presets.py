"""Load tests as shorthand: the Services they have once they have created everything."""

from __future__ import annotations

from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from kpsim.cluster.params import ServiceGroup
from kpsim.scenario.model import Scenario
from kpsim.scenario.reader import read
from kpsim.scenario.resolved import write_resolved
from kpsim.scenario.schema import Preset
from kpsim.scenario.sections.presets import PRESETS

ROOT = Path(__file__).parents[2]


def scenario(tmp_path: Path, services: str, *overrides: tuple[str, str]) -> Scenario:
    path = tmp_path / "scenario.yaml"
    path.write_text(
        f"apiVersion: kpsim/v1alpha1\nkind: Scenario\nspec:\n  services:\n    - {services}\n", encoding="utf-8"
    )
    return read(path, overrides)


def totals(groups: tuple[ServiceGroup, ...]) -> tuple[int, int]:
    """Services and endpoints."""
    return sum(g.count for g in groups), round(sum(g.count * g.endpoints.mean for g in groups))


def test_the_schema_knows_every_preset() -> None:
    assert set(get_args(get_args(get_type_hints(Preset, include_extras=True)["preset"])[0])) == set(PRESETS)


def test_a_namespace_of_a_hundred_nodes(tmp_path: Path) -> None:
    made = scenario(tmp_path, "{preset: cl2-load, nodes: 100}")
    assert [(g.name, g.count, g.endpoints.mean, g.headless) for g in made.groups] == [
        ("big-service", 1, 250, False),
        ("medium-service", 12, 30, False),
        ("small-service", 149, 5, False),
        ("medium-statefulset", 1, 30, True),
        ("small-statefulset", 1, 5, True),
    ]
    assert {g.namespace for g in made.groups} == {"cl2-load-1"}
    assert totals(made.groups) == (164, 1_390)


@pytest.mark.parametrize(("nodes", "namespaces", "services"), [(50, 1, 81), (100, 1, 164), (250, 2, 328), (3, 1, 6)])
def test_cl2_load_at_any_size(tmp_path: Path, nodes: int, namespaces: int, services: int) -> None:
    made = scenario(tmp_path, f"{{preset: cl2-load, nodes: {nodes}}}")
    assert len({g.namespace for g in made.groups}) == namespaces
    assert totals(made.groups)[0] == services


def test_without_a_size_it_is_the_clusters(tmp_path: Path) -> None:
    made = scenario(tmp_path, "{preset: cl2-load}", ("cluster.nodes", "200"))
    assert made.groups == scenario(tmp_path, "{preset: cl2-load, nodes: 200}").groups


def test_an_override_names_the_preset(tmp_path: Path) -> None:
    made = scenario(tmp_path, "{preset: cl2-load}", ("services.cl2-load.nodes", "200"))
    assert totals(made.groups) == (328, 2_780)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("{preset: huge-service}", (1, 1_000)),
        ("{preset: huge-service, endpoints: 20k}", (1, 20_000)),
        ("{preset: node-density, nodes: 20}", (2_450, 2_450)),
        ("{preset: node-density, iterations: 1500}", (1_500, 1_500)),
        ("{preset: cluster-density, nodes: 24}", (120, 240)),
        ("{preset: cluster-density, iterations: 1}", (5, 10)),
    ],
)
def test_other_load_tests(tmp_path: Path, written: str, expected: tuple[int, int]) -> None:
    assert totals(scenario(tmp_path, written).groups) == expected


def test_a_thousand_pairs_a_namespace(tmp_path: Path) -> None:
    made = scenario(tmp_path, "{preset: node-density, iterations: 2500}")
    assert [(g.namespace, g.count) for g in made.groups] == [
        ("node-density-1", 1000),
        ("node-density-2", 1000),
        ("node-density-3", 500),
    ]


@pytest.mark.parametrize("name", ["cl2-load-5000", "huge-service"])
def test_written_back_a_preset_is_its_groups(tmp_path: Path, name: str) -> None:
    made = read(ROOT / "scenarios" / f"{name}.yaml")
    text = write_resolved(made)
    assert "preset:" not in text
    path = tmp_path / "resolved.yaml"
    path.write_text(text, encoding="utf-8")
    assert read(path) == made
