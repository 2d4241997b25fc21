"""Ranges of a sweep, written out: ``100..100k:log:13``, ``1..50:lin:5``, ``a,b,c``.

Between whole ends the points are whole, and each stands once; between ends with a decimal point or a unit they are
not rounded.
"""

from __future__ import annotations

import re

import numpy as np

from kpsim.units import UnitError, format_duration, parse_count, parse_duration, parse_number

MAX_POINTS = 10_000
_RANGE = re.compile(r"\s*(\S+?)\s*\.\.\s*([^\s:]+)\s*(?::(\w+))?\s*(?::(\w+))?\s*")


def expand(written: object) -> tuple[str, ...]:
    """Every value of a range, as text for an override.

    Raises
    ------
    ValueError
        saying what is wrong with the range.
    """
    if isinstance(written, list):
        values = tuple(_text(item) for item in written)
    else:
        text = _text(written)
        match = _RANGE.fullmatch(text)
        if match:
            return _between(*match.groups())
        values = tuple(part.strip() for part in text.split(","))
    if not values or not all(values):
        raise ValueError("a value of the range is empty")
    return values


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise ValueError("a range is one text or a list of values")


def _between(low: str, high: str, spacing: str | None, number: str | None) -> tuple[str, ...]:
    if spacing not in ("log", "lin"):
        raise ValueError(f"a range from {low} to {high} needs :log: or :lin: and the number of points")
    if not number or not number.isdecimal() or not 2 <= int(number) <= MAX_POINTS:
        raise ValueError(f"the number of points must be 2 to {MAX_POINTS:,}")
    first, last, kind = _ends(low, high)
    if spacing == "log" and first <= 0:
        raise ValueError("a :log: range must begin above 0")
    points = (np.geomspace if spacing == "log" else np.linspace)(first, last, int(number)).tolist()
    points[0], points[-1] = first, last  # exactly the ends as written
    return tuple(dict.fromkeys(_point(point, kind) for point in points))


def _point(point: float, kind: str) -> str:
    if kind == "count":
        return str(round(point))
    return format_duration(round(point, 9)) if kind == "duration" else f"{point:.12g}"


def at_share(written: object, values: tuple[str, ...], share: float) -> str:
    """Return the value at a share, 0 to 1, of the way along a range; of a list of ``values``, one of them.

    >>> at_share("1..10k:log:5", (), 0.5), at_share("0..10:lin:2", (), 0.25), at_share("a,b", ("a", "b"), 0.7)
    ('100', '2', 'b')
    """
    match = _RANGE.fullmatch(written) if isinstance(written, str) else None
    if match is None:
        return values[min(int(share * len(values)), len(values) - 1)]
    first, last, kind = _ends(match[1], match[2])
    along = first * (last / first) ** share if match[3] == "log" else first + (last - first) * share
    return _point(along, kind)


def _ends(low: str, high: str) -> tuple[float, float, str]:
    """Both ends as numbers, and what they are."""
    try:
        return float(parse_count(low)), float(parse_count(high)), "number" if "." in low + high else "count"
    except (UnitError, OverflowError):
        pass
    try:
        return parse_number(low), parse_number(high), "number"
    except UnitError:
        pass
    try:
        return parse_duration(low), parse_duration(high), "duration"
    except UnitError:
        raise ValueError(f"{low}..{high} is not a range of numbers or durations") from None
