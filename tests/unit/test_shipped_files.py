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
    assert checked(written, path) == read_yaml(path)
    copy = tmp_path / "mine.yaml"
    copy.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    assert read_yaml(copy) == read_yaml(path)
    assert ProfileText.of(read_yaml(path).document()) == read_yaml(path)


MINE = """\
apiVersion: kpsim/v1alpha1
kind: CostProfile
name: mine
about: a test
machine: {kernel: 6.1.0, cpu: any, kernels: ["6.1", "6.8"]}
sources: {}
families: {ipvs: {packet_first: {unit: us, both: [2, 1, 3], source: assumed}}}
moved: [{families: [ipvs], names: ["*"], times: [2, 1, 4], source: assumed}]
"""


@pytest.mark.parametrize(
    ("right", "wrong", "key", "said"),
    [
        ("unit: us", "unit: weeks", "families.ipvs.packet_first.unit", "Input should be 'ns'"),
        ("[2, 1, 3]", "[2, 2.5, 3]", "families.ipvs.packet_first", "the interval must hold the value: (2.0, 2.5, 3.0)"),
        ("both: [2, 1, 3], ", "", "families.ipvs.packet_first", "needs `both` or `typical`"),
        ("[2, 1, 3]", "[2, 1]", "families.ipvs.packet_first.both.2", "Field required"),
        ("[2, 1, 3]", "[2, 1, many]", "families.ipvs.packet_first.both.2", "valid number"),
        ("source: assumed}}", "sauce: assumed}}", "families.ipvs.packet_first.sauce", "no such key"),
        ("times: [2, 1, 4]", "times: [2, 0, 4]", "moved.0", "must be above zero"),
        ('["6.1", "6.8"]', '["6.1"]', "machine.kernels.1", "Field required"),
        ("about: a test", "abut: a test", "abut", "no such key"),
        ("kind: CostProfile", "kind: Profile", "kind", "Input should be 'CostProfile' or 'Defaults'"),
    ],
)
def test_profiles_of_others_are_checked(tmp_path: Path, right: str, wrong: str, key: str, said: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(MINE, encoding="utf-8")
    assert read_yaml(path).name == "mine"
    path.write_text(MINE.replace(right, wrong, 1), encoding="utf-8")
    with pytest.raises(InputError) as refused:
        read_yaml(path)
    told = {problem.key: problem.what for problem in refused.value.problems}
    assert said in told.get(key, ""), told


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
