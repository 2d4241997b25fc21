"""Widths of prediction intervals that no fit tells are read from ``scatter.yaml``, each with its unit and source."""

from __future__ import annotations

from functools import cache
from importlib import resources

from kpsim.profiles.format import parse_yaml


@cache
def assumed_scatter(name: str) -> float:
    """Return the value called ``name``, in the unit that the file says.  Raises ``KeyError`` for a name not there."""
    found = parse_yaml(resources.files(__package__).joinpath("scatter.yaml").read_text(encoding="utf-8"))
    return float(found[name]["value"])
