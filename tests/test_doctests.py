"""The examples in docstrings are run: lines of use for a newcomer, and worked examples of three rows."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest

from tests.test_tidy import MODULES, ROOT

SHOWN = [f"kpsim.{module.name}" for module in MODULES if ">>> " in module.text]
WANTED = {  # classes that a newcomer meets; "" is the module's own docstring
    "kpsim.cluster.columns": "Cluster",
    "kpsim.controlplane.control": "ControlPlane",
    "kpsim.datapath.batch": "",
    "kpsim.experiment.result": "Result",
    "kpsim.proxy.contract": "Mode",
    "kpsim.proxy.sync.sums.locality": "",
    "kpsim.proxy.sync.loop": "SyncLoop",
    "kpsim.proxy.sync.sums.prefix": "",
    "kpsim.scenario.model": "Scenario",
}


@pytest.mark.parametrize("name", SHOWN)
def test_examples_hold(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # they read scenarios/
    assert not doctest.testmod(import_module(name)).failed, "the captured output says which"


@pytest.mark.parametrize("name", WANTED)
def test_a_newcomer_finds_an_example(name: str) -> None:
    shown = getattr(import_module(name), WANTED[name]) if WANTED[name] else import_module(name)
    assert doctest.DocTestParser().get_examples(shown.__doc__ or "")
