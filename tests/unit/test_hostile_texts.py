"""Texts made to hurt, or by accident like it: refused by line, in bounded time and memory, safe on a terminal."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from kpsim.documents import load
from kpsim.errors import MOST_SHOWN, GuardError, InputError, Place, Problem, shown
from kpsim.explain.service import explain_service
from kpsim.scenario.reader import read
from kpsim.scenario.sections.modes import usual_modes

HEAD = "apiVersion: kpsim/v1alpha1\nkind: Scenario\nspec:\n  services: [{name: a, count: 1}]\n"
QUICK_S = 20.0  # a second on a quiet machine; before, minutes


def refused(folder: Path, text: str) -> str:
    (folder / "s.yaml").write_text(text)
    began = time.monotonic()
    with pytest.raises(InputError) as error:
        read(folder / "s.yaml")
    assert time.monotonic() - began < QUICK_S
    return str(error.value)


def test_aliases_that_stand_for_too_much_are_refused_at_their_line() -> None:
    text = "a0: &a0 [x, y]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]\n" for n in range(1, 40))
    with pytest.raises(InputError, match=r"bomb\.yaml:\d+:\d+: aliases stand for more than 100,000 values") as error:
        load(text, "bomb.yaml")
    assert len(error.value.problems) == 1


def test_lists_of_objects_by_alias_are_bounded_too(tmp_path: Path) -> None:
    items = "".join(
        f"- &l{n} {{kind: List, items: [{', '.join([f'*l{n - 1}'] * 9)}]}}\n"
        if n
        else "- &l0 {kind: List, items: []}\n"
        for n in range(20)
    )
    assert "aliases stand for more than" in refused(tmp_path, f"kind: List\nitems:\n{items}")


def test_a_few_aliases_are_what_they_stand_for() -> None:
    (document,) = load("a: &a {b: 1}\nc: [*a, *a]\nd: {<<: *a, e: 2}\n", "f")
    assert document.data == {"a": {"b": 1}, "c": [{"b": 1}, {"b": 1}], "d": {"b": 1, "e": 2}}


@pytest.mark.parametrize("number", ["9" * 60_000 + "s", "9" * 60_000 + ".x", "1" + "_" * 60_000 + "x", "9" * 60_000])
def test_numbers_of_very_many_digits_take_no_time(tmp_path: Path, number: str) -> None:
    said = refused(tmp_path, HEAD + f"  run: {{duration: {number}}}\n")
    assert "s.yaml:5:" in said
    assert len(said) < 1000


def test_very_many_unknown_keys_are_counted(tmp_path: Path) -> None:
    said = refused(tmp_path, HEAD + "".join(f"  k{n}: 1\n" for n in range(3000)))
    assert f"and {3000 - MOST_SHOWN:,} problems more" in said
    assert "s.yaml:5:3: spec.k0: unknown key" in said


@pytest.mark.parametrize(
    "text", ["[" * 50_000 + "]" * 50_000, "a: " + "[" * 50_000, '{"a":' * 50_000 + "1" + "}" * 50_000]
)
def test_texts_nested_without_end_are_refused(tmp_path: Path, text: str) -> None:
    assert "nested more than 200 levels deep" in refused(tmp_path, text)


def test_control_characters_are_shown_and_not_sent(tmp_path: Path) -> None:
    said = refused(tmp_path, HEAD + '  "\\e[31mred": 1\n')
    assert "spec.\\x1b[31mred: unknown key" in said
    assert "\x1b" not in said
    assert str(Problem(Place("\x1b]0;x.yaml", 1, 1), what="\x07")) == "\\x1b]0;x.yaml:1:1: \\x07"


def test_long_texts_are_cut() -> None:
    assert shown("x" * 10_000_000).endswith("… (10,000,000 characters)")
    assert shown("two\nlines") == "two\nlines"


def test_a_preset_of_a_thousand_million_nodes_is_not_written_out(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(HEAD.replace("{name: a, count: 1}", "{preset: cl2-load}"))
    with pytest.raises(GuardError, match="the preset cl2-load stands for more than 100,000 groups"):
        read(tmp_path / "s.yaml", [("cluster.nodes", "1000000000")])


def test_only_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path / "x" / ("n" * 300)):
        with pytest.raises(InputError) as error:
            read(path)
        assert str(path) in str(error.value)
    (tmp_path / "a.json").write_text('{"kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 1}]}}')
    assert read(tmp_path).objects.services  # a pipe in a folder is passed over


def test_stories_without_pods_or_services_end_well(tmp_path: Path) -> None:
    (tmp_path / "service.yaml").write_text("kind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80}]}\n")
    (tmp_path / "pod.yaml").write_text("kind: Pod\nmetadata: {name: a}\nspec: {containers: []}\n")
    for mode in usual_modes((1, 34)):
        found = explain_service(read(tmp_path / "service.yaml", [("kubeProxy.mode", mode)]), "default/a")
        assert "can serve it" in found.ports[0].verdict
    with pytest.raises(InputError, match="there is no Service default/x"):
        explain_service(read(tmp_path / "pod.yaml"), "default/x")
