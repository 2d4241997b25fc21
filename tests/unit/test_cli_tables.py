"""Rows that are wider than a terminal are wrapped, and nothing in them is lost; piped, each is one line."""

from __future__ import annotations

import pytest

from kpsim.cli import tables

HEAD = ("mode", "1.24", "about")
LONG = "one word after another until the line is full and then some more of them"


@pytest.mark.parametrize(("width", "row"), [(50, "x" * 12), (30, "x" * 26), (100, "x"), (10_000, "x")])
def test_a_row_keeps_all_its_words_within_the_width(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int, row: str
) -> None:
    monkeypatch.setattr(tables, "_width", lambda: width)
    tables.print_table(HEAD, [(row, "gone", LONG), ("short", "yes", "few")])
    said = capsys.readouterr().out
    assert all(len(line) <= max(width, 36) for line in said.splitlines())
    assert said.split() == [*HEAD, row, "gone", *LONG.split(), "short", "yes", "few"]
    assert (len(said.splitlines()) == 3) == (width >= 100)


def test_a_sentence_hangs_below_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_width", lambda: 24)
    lines = tables.wrapped(f"[1] {LONG}", "  ", hanging=4).splitlines()
    assert lines[0].startswith("  [1] one")
    assert all(line.startswith(" " * 6) and len(line) <= 24 for line in lines[1:])
