"""A prompt in an empty directory, and runs without their pictures, which take longer than the runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.shell import Shell


@pytest.fixture
def kpsim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("kpsim.report.directory.pictures", lambda _result: ())
    monkeypatch.setattr("kpsim.report.figures.scale.scale_pictures", lambda *_: ())
    return Shell(tmp_path, monkeypatch, capsys)
