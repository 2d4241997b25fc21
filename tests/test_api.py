"""The public names: what ``kpsim.__all__`` lists is what there is, and listing it costs nothing until it is used."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import kpsim

ROOT = Path(__file__).parents[1]
FORMER: dict[str, tuple[str, str]] = vars(kpsim)["_FORMER"]
HEAVY = ("click", "dask", "jinja2", "matplotlib", "numpy", "pandas", "pydantic", "rich", "scipy", "simpy", "yaml")


def test_every_listed_name_is_there() -> None:
    for name in kpsim.__all__:
        assert getattr(kpsim, name) is not None


def test_every_public_name_is_listed() -> None:
    there = {name for name in dir(kpsim) if not name.startswith("_") and name != "annotations"}
    rooms = {name for name in there if isinstance(getattr(kpsim, name), ModuleType)}
    assert there - rooms == {name for name in kpsim.__all__ if not name.startswith("_")}
    assert len(kpsim.__all__) == len(set(kpsim.__all__))


def test_listed_things_have_a_docstring_and_live_where_they_say() -> None:
    for name in kpsim.__all__:
        thing = getattr(kpsim, name)
        if callable(thing):
            assert thing.__doc__, name
            assert thing.__module__.startswith("kpsim."), name


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    name = "no_such_name"
    with pytest.raises(AttributeError, match=name):
        getattr(kpsim, name)


def test_names_of_before_work_for_a_release_and_say_what_replaces_them() -> None:
    for name, (home, instead) in FORMER.items():
        with pytest.warns(DeprecationWarning, match=rf"kpsim\.{name} goes with kpsim 0\.2; write kpsim\.") as said:
            thing = getattr(kpsim, name)
        assert thing is getattr(import_module(home), name)
        assert instead in str(said[0].message)
        assert said[0].filename == __file__
    assert not FORMER.keys() & set(kpsim.__all__)


def test_importing_kpsim_imports_nothing_heavy() -> None:
    code = "import json, sys, kpsim; dir(kpsim); print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert not loaded & set(HEAVY)


def test_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert kpsim.__version__ == project["version"]
    newest = re.search(r"^## (\d\S*)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest[1] == project["version"]


def test_types_are_shipped() -> None:
    assert (Path(kpsim.__file__).parent / "py.typed").exists()
