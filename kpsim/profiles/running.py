"""The costs of kpsim's own runs: the file ``kpsim-costs.yaml``, read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from kpsim.profiles.format import read_yaml
from kpsim.profiles.shipped import SHIPPED


@dataclass(frozen=True, slots=True)
class RunCosts:
    """Seconds of one core and bytes by what a run counts; what is not named costs nothing."""

    seconds: Mapping[str, float]
    bytes: Mapping[str, float]


def costs_file() -> Path:
    """Return the file's path."""
    return SHIPPED / "kpsim-costs.yaml"


@lru_cache(maxsize=1)
def load_run_costs() -> RunCosts:
    """Return the costs as they ship."""
    families = read_yaml(costs_file()).families
    seconds, sizes = (
        {name: text.resolve(name, "typical").value for name, text in families[family].items()}
        for family in ("time", "memory")
    )
    return RunCosts(seconds, sizes)
