"""Kubernetes' own defaults and the control plane's delays, as data with their sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from kpsim.profiles.format import Coefficient, ProfileText, read_yaml
from kpsim.profiles.shipped import SHIPPED
from kpsim.units import I64


@dataclass(frozen=True, slots=True)
class Lag:
    """A delay that varies: lognormal with this median [s] and sigma; constant where sigma is 0."""

    median_s: float
    sigma: float = 0.0

    def draw(self, rng: np.random.Generator, n: int) -> I64:
        """Return ``n`` delays [ns], (n,)."""
        if not self.sigma:
            return np.full(n, round(self.median_s * 1e9), np.int64)
        return np.rint(self.median_s * 1e9 * np.exp(self.sigma * rng.standard_normal(n))).astype(np.int64)

    def one(self, rng: np.random.Generator) -> int:
        """Return a single delay [ns]."""
        if not self.sigma:
            return round(self.median_s * 1e9)
        return round(self.median_s * 1e9 * float(np.exp(self.sigma * rng.standard_normal())))


@dataclass(frozen=True, slots=True)
class Defaults:
    """The file ``kubernetes-defaults.yaml``, by ``family.name``."""

    text: ProfileText
    coefficients: Mapping[str, Coefficient]

    def value(self, key: str) -> float:
        """Return the value of ``key`` in SI units."""
        return self.coefficients[key].value

    def instead(self, family: str, other: str) -> Defaults:
        """Return the same with what ``other`` says of ``family``: the same names on another machine."""
        families, there = self.text.families, self.text.families[other]
        text = replace(self.text, families={**families, family: {**families[family], **there}})
        moved = {f"{family}.{name}": self.coefficients[f"{other}.{name}"] for name in there}
        return Defaults(text, {**self.coefficients, **moved})

    def lag(self, key: str) -> Lag:
        """Return the delay called ``key``."""
        family, _, name = key.partition(".")
        return Lag(self.coefficients[key].value, self.text.families[family][name].sigma)


@lru_cache(maxsize=1)
def load_defaults() -> Defaults:
    """Kubernetes' defaults as they ship."""
    text = read_yaml(SHIPPED / "kubernetes-defaults.yaml")
    pairs = {f"{f}.{n}": t.resolve(n, "typical") for f, c in text.families.items() for n, t in c.items()}
    return Defaults(text, pairs)
