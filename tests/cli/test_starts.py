"""The first file: one that kpsim brings, by its name wherever a file is taken, or one that ``init`` writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from kpsim.scenario.starts.shipped import shipped
from kpsim.scenario.starts.template import starts
from tests.cli.shell import SERVICES, Shell

SCENARIOS = Path(__file__).parents[2] / "scenarios"


def test_every_scenario_of_the_folder_is_shipped() -> None:
    assert {name: path.read_bytes() for name, path in shipped().items()} == {
        path.stem: path.read_bytes() for path in SCENARIOS.glob("*.yaml")
    }


@pytest.mark.parametrize("name", ["hello", "hello.yaml", "scenarios/hello.yaml"])
def test_a_scenario_that_kpsim_brings_is_found_by_its_name(kpsim: Shell, name: str) -> None:
    assert kpsim("check", name).out.startswith("hello: 3 Services")
    assert kpsim("explain", "service", "web-0", "-f", name).code == 0


def test_what_lies_there_comes_before_a_name(kpsim: Shell) -> None:
    assert kpsim("check", kpsim.small(name="hello")).out.startswith("small: ")


def test_a_name_that_is_nearly_one_is_suggested(kpsim: Shell) -> None:
    answer = kpsim("check", "helo")
    assert answer.code == 3
    assert "did you mean hello, a scenario that comes with kpsim?" in answer.err
    assert kpsim("check", "sub/hello").code == 3, "a path is a path"


@pytest.mark.parametrize("name", starts())
def test_what_init_writes_is_right_and_commented(kpsim: Shell, name: str) -> None:
    assert kpsim("init", name, "--out", "mine.yaml").err == "wrote mine.yaml; now: kpsim run mine.yaml\n"
    text = (kpsim.here / "mine.yaml").read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert "schema.json" not in text
    assert kpsim("check", "mine.yaml").code == 0


def test_init_lists_its_presets_and_refuses_others(kpsim: Shell) -> None:
    assert kpsim("init", "--list").out.splitlines()[1].split()[:2] == ["own", "Three"]
    assert {row["name"] for row in kpsim("init", "--list", "-o", "json").json} >= {"own", "hello", "cl2-load"}
    refused = kpsim("init", "cl2-laod")
    assert refused.code == 3
    assert "did you mean cl2-load?" in refused.err
    assert kpsim("init", "hello", "--from", "x").code == 2


def test_init_begins_with_a_dump_and_writes_over_nothing(kpsim: Shell) -> None:
    dump = kpsim.write("dump.yaml", SERVICES)
    assert kpsim("init", "--from", dump).out == kpsim("import", dump).out
    refused = kpsim("init", "--from", dump, "--out", dump)
    assert refused.code == 3
    assert "is there already" in refused.err
