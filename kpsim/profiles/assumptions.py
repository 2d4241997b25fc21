"""The model's assumptions, as reports list them."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources

from kpsim.profiles.format import parse_yaml


@lru_cache(maxsize=1)
def assumptions() -> tuple[tuple[str, str], ...]:
    """Numbered assumptions with the direction in which each errs: ``("A1", "…")``, in order."""
    text = (resources.files(__package__) / "assumptions.yaml").read_text(encoding="utf-8")
    return tuple((str(key).strip("[]"), str(value)) for key, value in parse_yaml(text).items())
