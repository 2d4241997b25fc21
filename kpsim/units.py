"""Quantities as people write them, and the aliases for arrays of them and for a release.

A duration needs its unit (``30s``, ``250ms``, Go's ``1m30s``), because a bare 30 has been read as seconds, milliseconds
and nanoseconds by different programs; counts may be short (``100k``, ``10M``, ``1e6``).  Everything here takes text and
gives numbers or the other way round; a text that cannot be read raises :class:`UnitError`, which knows the mend but not
the file.  This module must not know what is being measured.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]
I32 = NDArray[np.int32]
F64 = NDArray[np.float64]
U32 = NDArray[np.uint32]
Bools = NDArray[np.bool_]
Nanoseconds = int

Version = tuple[int, int]
"""A release of Kubernetes, major and minor number."""

LONGEST_S = 9.2e9  # nanoseconds are counted in 64 bits: 292 years

_SECONDS = {
    "ns": Decimal("1e-9"),
    "us": Decimal("1e-6"),
    "µs": Decimal("1e-6"),  # U+00B5, the micro sign
    "μs": Decimal("1e-6"),  # U+03BC, the Greek letter: Go takes both
    "ms": Decimal("1e-3"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
}
_MULTIPLES = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "B": 10**9, "T": 10**12}
_NUMBER = r"(?:\d{1,20}(?:\.\d{0,400})?|\.\d{1,400})"
_PART = re.compile(rf"({_NUMBER})(ns|us|µs|μs|ms|s|m|h)")
_DURATION = re.compile(rf"(?:{_NUMBER}(?:ns|us|µs|μs|ms|s|m|h))+")
_COUNT = re.compile(r"([+-]?)(\d[\d_]{0,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE]([+-]?\d{1,2}))?\s?([kKMGBT]?)")

MOST_CORES = 8192  # of a machine: Linux, NR_CPUS on x86-64


class UnitError(ValueError):
    """A quantity that cannot be read: the fault, and its mend."""

    def __init__(self, what: str, mend: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.mend = mend


def parse_duration(text: object) -> float:
    """Return the duration that ``text`` says [s]: ``"30s"``, ``"250ms"``, ``"1m30s"``, ``"15m0s"``, ``"0"``.

    Raises
    ------
    UnitError
        if it is not text, has no unit, is negative or is not a duration.
    """
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        raise UnitError(f"must be a duration, not {_kind(text)}", "write a number and its unit, e.g. 30s or 250ms")
    written = str(text).strip()
    if written == "0":
        return 0.0
    if _DURATION.fullmatch(written):
        seconds = float(sum(Decimal(number) * _SECONDS[unit] for number, unit in _PART.findall(written)))
        if seconds > LONGEST_S:
            raise UnitError(f"{_quoted(written)} is longer than the clock can count")
        return seconds
    if written.startswith("-"):
        raise UnitError(f"a duration must not be negative, not {written}")
    if re.fullmatch(_NUMBER, written):
        raise UnitError(f"the duration {written} has no unit", f"write {written}s (or ms, m, h)")
    raise UnitError(f"{_quoted(written)} is not a duration", "write a number and its unit, e.g. 30s, 250ms or 1m30s")


def format_duration(seconds: float) -> str:
    """Return the shortest usual writing of a duration [s] that :func:`parse_duration` reads back to the same number."""
    exact = Decimal(repr(float(seconds)))
    if exact >= 60 and exact == exact.to_integral_value():
        hours, rest = divmod(int(exact), 3600)
        minutes, left = divmod(rest, 60)
        parts = [f"{n}{unit}" for n, unit in ((hours, "h"), (minutes, "m"), (left, "s")) if n]
        return "".join(parts)
    for unit in ("s", "ms", "us", "ns"):
        scaled = exact / _SECONDS[unit]
        if scaled == scaled.to_integral_value() and scaled * _SECONDS[unit] == exact:
            return f"{int(scaled)}{unit}"
    return f"{exact:f}s"


def parse_number(text: object) -> float:
    """Return a plain quantity without a unit: ``12``, ``0.5``, ``"10k"``, ``"1e6"``.

    Raises
    ------
    UnitError
        if it is not a finite number.
    """
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        raise UnitError(f"must be a number, not {_kind(text)}")
    if isinstance(text, int):
        try:
            return float(text)
        except OverflowError:
            raise UnitError("is too large for any cluster") from None
    if isinstance(text, float):
        if not math.isfinite(text):
            raise UnitError(f"must be a finite number, not {text}")
        return text
    return float(_decimal(text))


def parse_count(text: object) -> int:
    """Return the count that ``text`` says: ``12``, ``"100k"``, ``"10M"``, ``"1e6"``, ``"1_000"``; whole and exact.

    Raises
    ------
    UnitError
        if it is not a whole number.
    """
    if isinstance(text, int) and not isinstance(text, bool):
        return text
    if isinstance(text, float):
        if not text.is_integer():
            raise UnitError(f"must be a whole number, not {text:g}")
        return int(text)
    if not isinstance(text, str):
        raise UnitError(f"must be a whole number, not {_kind(text)}")
    value = _decimal(text)
    if value != value.to_integral_value():
        raise UnitError(f"must be a whole number, not {_quoted(text)}")
    return int(value)


def to_ns(seconds: float) -> Nanoseconds:
    """Seconds as the whole nanoseconds the engines count in, rounded to the nearest."""
    return round(seconds * 1e9)


def _decimal(text: str) -> Decimal:
    match = _COUNT.fullmatch(text.strip())
    if not match:
        raise UnitError(f"{_quoted(text)} is not a number", "write e.g. 12, 100k, 10M or 1e6")
    sign, digits, exponent, suffix = match.groups()
    value = Decimal(digits.replace("_", "")).scaleb(int(exponent or 0)) * _MULTIPLES[suffix]
    return -value if sign == "-" else value


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _kind(value: object) -> str:
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return f"the truth value {str(value).lower()}"
    names = {dict: "a mapping", list: "a list", str: "text", int: "a number", float: "a number"}
    return names.get(type(value), "this")
