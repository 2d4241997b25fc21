"""Python's front: a scenario with its verbs, and results that are tables, figures and sentences.

``kpsim.load`` gives a :class:`Scenario`; its verbs give results.  Nothing here changes: ``with_`` gives another
scenario.  Numbers are in SI units (seconds, bytes, cores); keys are YAML's own, as in a scenario file and in ``--set``.
What stands behind each is in ``.model`` (a scenario) and ``.found`` (what was found of it), frozen dataclasses.
"""

from __future__ import annotations

from kpsim.api.results import Check, Result, Sweep
from kpsim.api.scenario import Scenario, load
from kpsim.api.searched import Limit, Tune
from kpsim.api.validated import Validation, validate

__all__ = ["Check", "Limit", "Result", "Scenario", "Sweep", "Tune", "Validation", "load", "validate"]
