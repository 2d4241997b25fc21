"""Names and texts of others do nothing: on a terminal, in a spreadsheet, on a page, in a figure."""

from __future__ import annotations

import dataclasses
import io
import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pandas as pd
import pytest

from kpsim.cli.streams import Inert, inert_streams
from kpsim.errors import inert, inert_cell, inert_json
from kpsim.report.figures.canvas import Sheet
from kpsim.report.html import report_html
from kpsim.report.markdown import report_markdown
from kpsim.report.tables import write_frame
from kpsim.report.terminal import summary_text
from tests.cli.shell import SMALL, Shell
from tests.report_fixture import make_result

MOVES = "\x1b[2J\x1b]0;title\x07\u202egnp.exe\u2066\x00\r\x9b31m\u2028\u200f"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_only_what_kpsim_sends_itself() -> None:
    screen = Terminal()
    Inert(screen, print).write(f"\x1b[31m{MOVES}\x1b[0m\r\x1b[K\x1b[8mhidden")
    shown = screen.getvalue()
    assert shown.startswith(
        "\x1b[31m\\x1b[2J\\x1b]0;title\\x07\\u202egnp.exe\\u2066\\x00\\r\\x9b31m\\u2028\\u200f\x1b[0m"
    )
    assert shown.endswith("\r\x1b[K\\x1b[8mhidden")
    pipe = io.StringIO()
    Inert(pipe, print).write("\x1b[31mred")
    assert pipe.getvalue() == "\\x1b[31mred"


@pytest.mark.parametrize(
    "command",
    [
        ["check", "FILE"],
        ["run", "FILE", "--set", f"cluster.{MOVES}=1"],
        ["explain", "service", MOVES, "-f", "FILE"],
        ["explain", "dns", MOVES, "-f", "FILE"],
        ["explain", "packet", "--to", MOVES, "-f", "FILE"],
    ],
)
def test_no_command_sends_them(kpsim: Shell, command: list[str]) -> None:
    file = kpsim.write("s.yaml", SMALL.replace("name: web", json.dumps({"name": MOVES})[1:-1]))
    if command[0] == "explain":
        file = kpsim.small()
    answer = kpsim(*(file if word == "FILE" else word for word in command))
    assert answer.code in (2, 3) or "\\x1b" in answer.out + answer.err
    assert inert(answer.out + answer.err) == answer.out + answer.err


def test_json_says_them_by_its_own_escapes() -> None:
    text = inert_json({"a": MOVES, "µ": 1})
    assert inert(text) == text
    assert json.loads(text)["a"] == MOVES
    assert inert_json({"µ": 1}) == '{\n  "µ": 1\n}'


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1+cmd", "-2+3", "@SUM(1)", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(tmp_path: Path, text: str) -> None:
    write_frame(pd.DataFrame({text: [text, "-1.5", "plain"], "n": [1.0, -2.0, 3.0]}), tmp_path / "a.csv")
    found = pd.read_csv(tmp_path / "a.csv", dtype=str)
    assert all(cell[0] not in "=@\t\r" for cell in (*found.columns, *found.iloc[:, 0]))
    assert found.iloc[0, 0] == found.columns[0] == inert_cell(text)
    assert found.iloc[1, 0] == "-1.5"
    assert found["n"].tolist() == ["1.0", "-2.0", "3.0"]


def test_pages_and_figures_hold_no_controls() -> None:
    result = make_result(["iptables"], name=f"<b>{MOVES}")
    result = dataclasses.replace(
        result, warnings=(MOVES,), scenario=dataclasses.replace(result.scenario, description=MOVES)
    )
    for text in (report_html(result), report_markdown(result)):
        assert inert(text) == text
    with inert_streams():
        assert summary_text(result)
    sheet = Sheet("evil", f"a {MOVES} <title> -- &")
    picture = sheet.picture(MOVES, "")
    assert inert(picture.svg) == picture.svg
    assert ET.fromstring(picture.svg).tag.endswith("svg")  # noqa: S314 - our own text


def test_closed_streams_leave_the_exit_code_and_a_full_disk_is_no_success(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL, encoding="utf-8")

    def shell(command: str) -> tuple[int, str]:
        line = f"{sys.executable} -m kpsim.cli {command}"
        done = subprocess.run(
            ["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )
        assert "Traceback" not in done.stderr
        return done.returncode, done.stderr

    assert shell("check no.yaml >&-")[0] == 3
    assert shell("check small.yaml >&- 2>&-")[0] == 0
    assert shell("check small.yaml | true")[0] == 0
    code, said = shell(
        f"version > /dev/null; mkdir gone && cd gone && rmdir ../gone && {sys.executable} -m kpsim.cli run hello"
    )
    assert code == 3
    assert "is gone; change into another" in said
    if Path("/dev/full").exists():
        assert shell("check small.yaml > /dev/full") == (
            3,
            "standard output cannot be written: No space left on device\n",
        )


def test_an_empty_name_is_not_this_directory(kpsim: Shell) -> None:
    kpsim.small()
    answer = kpsim("check", "")
    assert answer.code == 2
    assert "the name of a file is empty" in answer.err
