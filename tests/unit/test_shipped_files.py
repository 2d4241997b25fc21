"""Data files that ship with kpsim are right, and what is kept of one is what it says."""

from __future__ import annotations

import marshal
import sys
from pathlib import Path

import pytest

from kpsim.errors import InputError
from kpsim.profiles.files.checked import checked
from kpsim.profiles.format import ProfileText, read_yaml
from kpsim.profiles.shipped import SHIPPED, parse_yaml, read, shipped

PROFILES = [path for path in sorted(SHIPPED.glob("*.yaml")) if "kind: CostProfile" in path.read_text(encoding="utf-8")]
PROFILES += [SHIPPED / "kubernetes-defaults.yaml", SHIPPED / "kpsim-costs.yaml"]


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_profiles_that_ship_are_right_and_read_as_the_check_reads_them(path: Path, tmp_path: Path) -> None:
    written = parse_yaml(path.read_text(encoding="utf-8"))
    assert ProfileText.of(checked(written, path)) == read_yaml(path)
    copy = tmp_path / "mine.yaml"
    copy.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    assert read_yaml(copy) == read_yaml(path)
    assert ProfileText.of(read_yaml(path).document()) == read_yaml(path)


def test_profiles_of_others_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(PROFILES[0].read_text(encoding="utf-8").replace("unit: us", "unit: weeks", 1), encoding="utf-8")
    with pytest.raises(InputError, match="Input should be 'ns'"):
        read_yaml(path)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    path = tmp_path / "some.yaml"
    path.write_text("a: {0.5: [1, 2.5], b: null}", encoding="utf-8")
    return path


def test_what_is_kept_of_a_file_is_read_until_the_file_changes(file: Path) -> None:
    assert read(file) == {"a": {0.5: [1, 2.5], "b": None}}
    (kept,) = (file.parent / "__pycache__").iterdir()
    stamp, _ = marshal.loads(kept.read_bytes())  # noqa: S302 - written here
    kept.write_bytes(marshal.dumps((stamp, "kept")))
    assert read(file) == "kept"
    file.write_text("a: 1", encoding="utf-8")
    assert read(file) == {"a": 1} == read(file)


@pytest.mark.parametrize("broken", [b"", b"x", marshal.dumps(3), marshal.dumps((1, 2, 3))])
def test_what_is_kept_and_broken_is_written_anew(file: Path, broken: bytes) -> None:
    values = read(file)
    (kept,) = (file.parent / "__pycache__").iterdir()
    kept.write_bytes(broken)
    assert read(file) == values
    assert marshal.loads(kept.read_bytes())[1] == values  # noqa: S302 - written here


def test_nothing_is_kept_where_nothing_can_be(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (file.parent / "__pycache__").write_text("a file", encoding="utf-8")
    assert read(file) == {"a": {0.5: [1, 2.5], "b": None}}
    (file.parent / "__pycache__").unlink()
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert read(file) == {"a": {0.5: [1, 2.5], "b": None}}
    assert not (file.parent / "__pycache__").exists()


def test_a_file_is_found_by_its_name() -> None:
    assert shipped("aliases.yaml") == parse_yaml((SHIPPED / "aliases.yaml").read_text(encoding="utf-8"))
