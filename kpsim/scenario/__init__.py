"""A question about a cluster, read from YAML: declared keys, reader with line and column, writer, JSON Schema.

A file goes through here once.  :mod:`~kpsim.scenario.kinds` opens it and tells what it is,
:mod:`~kpsim.scenario.tree` sets overrides into it, :mod:`~kpsim.scenario.keys`
reads the classes that :mod:`~kpsim.scenario.schema` puts together, :mod:`~kpsim.scenario.build` and the sections say
what it means; out comes a frozen :class:`Scenario`.  What is wrong gathers in one ``Complaints``.
"""

from __future__ import annotations

from kpsim.scenario.model import ProfileChoice, RunParams, Scenario, Sweep, Threshold

__all__ = ["ProfileChoice", "RunParams", "Scenario", "Sweep", "Threshold"]
