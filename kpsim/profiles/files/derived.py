"""A profile that says only how it differs from another is completed from that one.

Studies of old kernels tell a few costs and nothing of the others; these are the base's, moved by an assumed factor.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from kpsim.profiles.format import TIMES, TRIPLES, CoefficientText, Moved, ProfileText

DIGITS = 4


def on_base(text: ProfileText, base: ProfileText) -> ProfileText:
    """Return ``text`` with the families, variation and scatter of ``base``, moved as ``text`` says."""
    families: dict[str, dict[str, CoefficientText]] = {
        family: {name: _moved(family, name, each, text.moved) for name, each in coefficients.items()}
        for family, coefficients in base.families.items()
    }
    for family, own in text.families.items():
        families[family] = families.get(family, {}) | dict(own)
    return replace(
        text,
        families=families,
        sources={**base.sources, **text.sources},
        variation=text.variation or base.variation,
        scatter=text.scatter or base.scatter,
    )


def _moved(family: str, name: str, text: CoefficientText, moves: Iterable[Moved]) -> CoefficientText:
    move = next((each for each in moves if each.fits(family, name)), None)
    if move is None or text.unit not in TIMES:  # memory and rates are no slower on an old kernel
        return text
    changed: dict[str, Any] = {
        which: tuple(float(f"{x * by:.{DIGITS}g}") for x, by in zip(triple, move.times, strict=True))
        for which in TRIPLES
        if (triple := getattr(text, which)) is not None
    }
    return replace(text, source=move.source, **changed)
