"""A worker's imports, all of them: processes are forked from one that has imported this module."""

from __future__ import annotations

from importlib import import_module

from kpsim.experiment import sweeps
from kpsim.experiment.searches import probing
from kpsim.proxy.registry import MODES

WORK = (sweeps, probing, *(import_module(entry.target.partition(":")[0]) for entry in MODES.values()))
