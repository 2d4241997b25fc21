"""Numbers as a reader wants to see them: three digits, an SI prefix, the 95 % interval in brackets.

Everywhere else in kpsim a time is a float in seconds; only a report picks µs or ms.  Nothing here knows what a number
is about beyond its unit.
"""

from __future__ import annotations

import math
import re

from kpsim.measure.summary import MEASURES, Estimate

EMPTY = "–"
_AFTER_NUMBER = re.compile(r"(?<=\d) (?=[\w%])")

_SMALL = ((1e-9, "n"), (1e-6, "µ"), (1e-3, "m"), (1.0, ""))
_LARGE = ((1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T"))
_PREFIXES: dict[str, tuple[tuple[float, str], ...]] = {"s": _SMALL, "B": _LARGE, "B/s": _LARGE}


def _round3(value: float) -> float:
    return float(f"{value:.3g}")


def nearest_prefix(value: float, unit: str) -> tuple[float, str]:
    """Return the factor and the prefixed unit in which ``value`` has one to three digits before the point."""
    prefixes = _PREFIXES.get(unit)
    if prefixes is None or not math.isfinite(value):
        return 1.0, unit
    size = _round3(abs(value))
    if size == 0:
        return 1.0, unit
    fitting = [(scale, prefix) for scale, prefix in prefixes if size >= scale * (1 - 1e-9)]
    scale, prefix = fitting[-1] if fitting else prefixes[0]
    return scale, prefix + unit


def _decimals(value: float) -> int:
    size = _round3(abs(value))
    if size == 0 or not math.isfinite(size):
        return 0
    return max(0, 2 - math.floor(math.log10(size)))


def plain(value: float, decimals: int | None = None) -> str:
    """Return a bare number with three significant digits and commas between thousands."""
    if not math.isfinite(value):
        return EMPTY
    places = min(_decimals(value), 9) if decimals is None else decimals
    text = f"{value:,.{places}f}"
    return text.removeprefix("-") if float(text.replace(",", "")) == 0 else text


def _joined(number: str, unit: str) -> str:
    return f"{number} {unit}".rstrip()


def quantity(value: float | None, unit: str = "") -> str:
    """Return a value with its unit, such as "63.1 µs"; an en dash where there is none."""
    if value is None or not math.isfinite(value):
        return EMPTY
    scale, prefixed = nearest_prefix(value, unit)
    return _joined(plain(value / scale), prefixed)


def compact(value: float, unit: str = "") -> str:
    """Return a round value without trailing zeros, for ticks and bounds: "1 ms", "50 µs"."""
    scale, prefixed = nearest_prefix(value, unit)
    return _joined(f"{value / scale:,.4g}" if abs(value / scale) < 1000 else f"{value / scale:,.0f}", prefixed)


def estimate(found: Estimate | None, unit: str = "") -> str:
    """Return a value and its interval under one prefix: "63.1 µs [62.0, 64.3]"; or "at least 63.1 µs"."""
    if found is None or not math.isfinite(found.value):
        return EMPTY
    if found.at_least:
        return f"at least {quantity(found.value, unit)}"
    if found.low is None or found.high is None:
        return quantity(found.value, unit)
    size = max(abs(found.value), abs(found.low), abs(found.high))
    if not math.isfinite(size):
        return quantity(found.value, unit)
    scale, prefixed = nearest_prefix(size, unit)
    places = min(_decimals(size / scale), 9)
    value, low, high = (plain(x / scale, places) for x in (found.value, found.low, found.high))
    return f"{_joined(value, prefixed)} [{low}, {high}]"


def told(found: Estimate | None, unit: str = "") -> str:
    """Return a value in a sentence, where its bracket has to say by itself what it is: "22.4 [95 %: 18.1, 26.7]"."""
    return estimate(found, unit).replace(" [", " [95 %: ")


def told_both(found: Estimate | None, prices: Estimate | None, unit: str = "") -> str:
    """Return a value with both intervals by name: "8.1 s [95 %: 7.9 s, 8.2 s by sampling; 6.4 s, 9.9 s by prices]"."""
    if found is None:
        return EMPTY
    value = f"{'at least ' if found.at_least else ''}{quantity(found.value, unit)}"
    each = ((ends(found, unit), "sampling"), (ends(prices, unit), "prices"))
    named = [f"{text} by {what}" for text, what in each if text]
    return f"{value} [95 %: {'; '.join(named)}]" if named else f"{value}, without an interval"


def ends(found: Estimate | None, unit: str = "") -> str:
    """Return an interval alone, each end with its unit: "7.91 s, 8.22 s"; "" where there is none."""
    if found is None or found.low is None or found.high is None:
        return ""
    return f"{quantity(found.low, unit)}, {quantity(found.high, unit)}"


def told_share(found: Estimate) -> str:
    """Return a share of a whole in a sentence: "0.41 % [95 %: 0.38 %, 0.44 %]"."""
    if found.low is None or found.high is None:
        return percent(found.value)
    return f"{percent(found.value)} [95 %: {percent(found.low)}, {percent(found.high)}]"


def number(found: Estimate) -> str:
    """Return the number of things in a run with its interval: "22.4 [17.1, 27.7]"; whole where every run has it."""
    if found.low is None or found.high is None or found.low == found.high:
        return count(found.value)
    return estimate(found)


def count(value: float) -> str:
    """Return a number of things: "83,850"."""
    return f"{value:,.0f}" if math.isfinite(value) else EMPTY


def many(value: float, noun: str) -> str:
    """Return a number of things with their name: "1 Service", "83,850 endpoints"."""
    return f"{count(value)} {noun}{'' if value == 1 else 's'}"


def percent(share: float) -> str:
    """Return a share of a whole, without claiming 0 % or 100 % of what is only near it."""
    if not math.isfinite(share):
        return EMPTY
    if 0 < share < 0.001:
        return "< 0.1 %"
    text = f"{100 * share:.2g}" if share < 0.1 else f"{100 * share:.3g}" if 0.995 < share < 1 else f"{100 * share:,.0f}"
    return f"{'99.9' if 0.9995 <= share < 1 else text} %"


def factor(ratio: float) -> str:
    """Return a ratio as text: "12x", "1.3x", "0.25x"."""
    if not math.isfinite(ratio):
        return EMPTY
    return f"{ratio:,.0f}x" if ratio >= 9.95 else f"{ratio:.2g}x"


def unit_of(measure: str) -> str:
    """Return the unit of a measure, "" for one the table does not know."""
    return MEASURES[measure].unit if measure in MEASURES else ""


def ratio(found: Estimate) -> str:
    """Return a ratio with its interval: "0.371x [0.366, 0.376]"."""
    value, bracket, interval = estimate(found).partition(" [")
    return f"{value}x{bracket}{interval}" if value != EMPTY else EMPTY


def glued(text: str) -> str:
    """Return the text with a no-break space after each number, so that lines break elsewhere."""
    return _AFTER_NUMBER.sub("\u00a0", text)


_RATE_UNITS = (("_share", ""), ("_bytes_per_s", "B/s"), ("_per_s", "/s"), ("_bytes", "B"), ("_s", "s"))


def rate(name: str, found: Estimate) -> str:
    """Return a rate whose name ends in its unit (``api_bytes_per_s``), with its interval."""
    unit = next((unit for ending, unit in _RATE_UNITS if name.endswith(ending)), "")
    return estimate(found, unit)
