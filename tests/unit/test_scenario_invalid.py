"""Every file of tests/invalid opens with the errors expected of it, all of them, each with its line and column."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kpsim.errors import InputError
from kpsim.scenario.reader import read

FILES = sorted((Path(__file__).parents[1] / "invalid").glob("*"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_invalid_file(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    expected = re.findall(r"^# expect: (.*)$", text, re.MULTILINE)
    assert expected
    with pytest.raises(InputError) as caught:
        read(path)
    problems = [" ".join(str(problem).split()) for problem in caught.value.problems]
    for wanted, found in zip(expected, problems, strict=True):
        what, _, mend = wanted.partition("; ")
        assert what in found
        assert mend in found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_caret_points_at_something(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").split("\n")
    with pytest.raises(InputError) as caught:
        read(path)
    for problem in caught.value.problems:
        if problem.place.line:
            at = lines[problem.place.line - 1][problem.place.col - 1 :]
            assert at[:1].strip() or path.stem == "tab"
            last = re.split(r"[.\[]", problem.key)[-1].rstrip("]")
            value_or_key = problem.text[problem.place.col - 1 :] if problem.text else at
            assert value_or_key.startswith(last) or not problem.what.startswith("unknown key")
