"""The model's assumptions, as reports list them."""

from __future__ import annotations

from functools import lru_cache

from kpsim.profiles.shipped import shipped


@lru_cache(maxsize=1)
def assumptions() -> tuple[tuple[str, str], ...]:
    """Numbered assumptions with the direction in which each errs: ``("A1", "…")``, in order."""
    found = shipped("assumptions.yaml")
    return tuple((str(key).strip("[]"), str(value)) for key, value in found.items())
