"""Cost profiles: what one rule, one packet, one netlink call took on a measured machine.

A profile has one family of coefficients for each way of doing things that was measured (iptables on the legacy tables,
IPVS, …).  :class:`Costs` is one family under one choice of set and cache warmth: it turns counts of work into seconds,
and once, for the engines, into integer nanoseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib import resources
from math import exp
from pathlib import Path

import numpy as np

from kpsim.errors import InputError, Place, Problem
from kpsim.profiles.files.derived import on_base
from kpsim.profiles.format import TIMES, Coefficient, ProfileText, read_yaml
from kpsim.profiles.shipped import SHIPPED, shipped
from kpsim.units import F64, I64

FACTOR_ONE = 1024  # a cost factor of one; costs vary as ``(ns * factor) >> 10``
TABLE_BITS = 12  # a 32-bit draw picks one of 4,096 factors


@dataclass(frozen=True, slots=True)
class Costs:
    """One family's coefficients [s each], by name."""

    family: str
    coefficients: Mapping[str, Coefficient]
    factors: Mapping[str, I64]  # kind of work -> (4096,) cost factors over 1024, by the top bits of a draw

    def seconds(self, work: Mapping[str, int | I64], bound: str = "value") -> F64:
        """Return the time ``work`` takes [s]; ``bound`` "low" or "high" takes that end of every interval."""
        total: F64 = np.zeros(())
        for name, count in work.items():
            if name not in self.coefficients:
                raise InputError(
                    f"the cost profile has no {name} for {self.family}; kpsim sources lists what one needs"
                )
            each = np.multiply(count, float(getattr(self.coefficients[name], bound)), dtype=np.float64)
            total = total + each
        return total

    def ns(self, work: Mapping[str, int | I64]) -> I64:
        """Return the time ``work`` takes as integer ns: the one place where seconds become ticks of the engines."""
        return np.asarray(np.rint(self.seconds(work) * 1e9), np.int64)

    def steps_ns(self, work: Mapping[str, int | I64], most: int) -> I64:
        """Return the time of 0, 1, … ``most`` repetitions of ``work`` [ns], (most + 1,)."""
        return np.asarray(np.rint(np.arange(most + 1) * float(self.seconds(work)) * 1e9), np.int64)

    def factor(self, kind: str, draw: np.ndarray) -> I64:
        """Cost factors over 1024 for 32-bit draws: packets and syncs do not all take the same time."""
        return np.asarray(self.factors[kind][draw >> (32 - TABLE_BITS)])

    def varied(self, kind: str, ns: int, draw: np.ndarray) -> I64:
        """Return ``ns`` times the cost factor of each 32-bit draw [ns]."""
        if draw.size < 1 << TABLE_BITS:
            return (ns * self.factor(kind, draw)) >> 10
        every = (ns * self.factors[kind]) >> 10
        return np.asarray(every[np.right_shift(draw, 32 - TABLE_BITS, dtype=np.intp)])

    def extrapolation(self, name: str, count: float) -> float | None:
        """Return how many times ``count`` exceeds the coefficient's measured range; ``None`` within or unknown."""
        most = self.coefficients[name].measured_to
        return count / most if most and count > most else None


@dataclass(frozen=True, slots=True)
class CostProfile:
    """A profile file, read."""

    name: str
    about: str
    sources: Mapping[str, str]
    text: ProfileText
    scale: float = 1.0  # of all times; intervals are wider by what scaling cost between two measured machines

    def scaled(self, factor: float) -> CostProfile:
        """Return the same profile for a machine that takes ``factor`` times as long."""
        return replace(self, scale=factor)

    def costs(self, family: str, which: str, cache_warmth: float) -> Costs:
        """Return one family with set ``which`` and caches between swept (0) and warm (1).

        Where a coefficient was also measured with swept caches, its value moves linearly from ``cold`` to warm.
        """
        if family not in self.text.families:
            raise InputError(f"profile {self.name} has no costs for {family}; it has {', '.join(self.text.families)}")
        resolved = {}
        for name, text in self.text.families[family].items():
            c = text.resolve(name, which)
            if c.cold:
                warm = (c.value, c.low, c.high)
                v, lo, hi = (cache_warmth * w + (1 - cache_warmth) * k for w, k in zip(warm, c.cold, strict=True))
                c = Coefficient(name, c.unit, v, lo, hi, c.source, c.note, c.measured_to, c.cold)
            resolved[name] = c if self.scale == 1 else self._moved(family, c)
        factors = {kind: _factors(item[which]) for kind, item in self.text.variation.items()}
        return Costs(family, resolved, factors)

    def _moved(self, family: str, c: Coefficient) -> Coefficient:
        """Return a time on the machine that the profile is scaled to; what is no time stays as it is."""
        if c.unit not in TIMES:
            return c
        spread = exp(_half_width(family.partition("/")[0]))
        value, low, high = c.value * self.scale, c.low * self.scale / spread, c.high * self.scale * spread
        return Coefficient(c.name, c.unit, value, low, high, c.source, c.note, c.measured_to)

    def cpu_costs(self, family: str, which: str) -> Costs | None:
        """Return what the same work of syncs takes of a processor, ``None`` where only wall time is known."""
        return self.costs(f"{family}/cpu", which, 1.0) if f"{family}/cpu" in self.text.families else None

    def coefficients(self, which: str = "typical") -> list[tuple[str, Coefficient]]:
        """Return every number with its family, as printed by ``kpsim sources``."""
        return [(f, t.resolve(n, which)) for f, c in self.text.families.items() for n, t in c.items()]


def _factors(knots: Mapping[float, float]) -> I64:
    """Return an inverse distribution function through ``{share: ratio to the median}``, sampled at 4,096 midpoints."""
    share, ratio = zip(*sorted((float(k), float(v)) for k, v in knots.items()), strict=True)
    grid = (np.arange(1 << TABLE_BITS) + 0.5) / (1 << TABLE_BITS)
    return np.asarray(np.rint(np.interp(grid, share, ratio) * FACTOR_ONE), np.int64)


@cache
def _half_width(family: str) -> float:
    """Return the logarithm by which intervals of a family widen when its profile is scaled, as it was measured."""
    found = shipped("scaling.yaml")
    return float(found.get(family, found["others"])["half_width"])


DEFAULT = "linux-6.18-zen3"


def profile_names() -> list[str]:
    """Return the cost profiles that ship with kpsim, by the names they have now."""
    folder = resources.files(__package__)
    return sorted(p.name.removesuffix(".yaml") for p in folder.iterdir() if p.name.startswith(("linux", "uml")))


@cache
def aliases() -> Mapping[str, str]:
    """Return the names that profiles had before, and those they have now."""
    found = shipped("aliases.yaml")
    return {old: each["is"] for old, each in found.items()}


@lru_cache(maxsize=8)
def load_profile(name: str) -> CostProfile:
    """Return the profile called ``name``, or the one in the file of that name.  Raises :class:`InputError`."""
    known = profile_names()
    name = aliases().get(name, name)
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
    elif name in known:
        path = SHIPPED / f"{name}.yaml"
    else:
        raise InputError(f"spec.profile.name: no profile {name!r}; there are {', '.join(known)}, or a file")
    text = read_yaml(path)
    if text.base is not None:
        if text.base not in known:  # so that no file is its own base
            raise InputError(
                [Problem(Place(str(path)), key="base", what=f"no profile {text.base!r}; there are {', '.join(known)}")]
            )
        text = on_base(text, load_profile(text.base).text)
    return CostProfile(text.name, text.about, text.sources, text)
