"""A worker's imports, all of them: processes are forked from one that has imported this module."""

from __future__ import annotations

from importlib import import_module

from kpsim.collector import look_seldom
from kpsim.proxy.registry import MODES

look_seldom()  # before the imports that make most objects
_TASKS = ("kpsim.experiment.sweeps", "kpsim.experiment.searches.probing")
WORK = tuple(map(import_module, (*_TASKS, *(entry.target.partition(":")[0] for entry in MODES.values()))))
