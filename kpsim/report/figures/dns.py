"""Lookup times are drawn for names as written and as absolute names, with the tail of those that lost an answer.

Lookups do not depend on the proxy mode, so any mode's are everybody's.
"""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from kpsim.experiment.result import Cdf, ModeResult, Result
from kpsim.profiles.defaults import load_defaults
from kpsim.report.figures.canvas import Picture, Sheet, log_ticks
from kpsim.report.figures.distribution import draw_cdf, percentiles, share_axis, time_axis, usable
from kpsim.report.style import Dashes
from kpsim.report.wording.quantity import count, factor, quantity

_CURVES: dict[str, tuple[str, str, Dashes]] = {
    "dns_latency": ("as written", "#D55E00", "-"),
    "dns_latency_absolute": ("absolute names", "#004C7D", (0, (5.0, 1.8))),
}
_MOST_TICKS = 4
_LEAST = 2  # observations that the tail ends at


def _mode(result: Result) -> ModeResult | None:
    return next((found for found in result.modes.values() if usable(found.cdfs.get("dns_latency"))), None)


def headline(result: Result) -> str:
    """Return the median lookup, how many times that of absolute names, and how many lose an answer."""
    found = _mode(result)
    written = found.summaries.get("dns_latency") if found else None
    if found is None or written is None or "p50" not in written.quantiles:
        return "DNS latency"
    median = written.quantiles["p50"].value
    said = f"Half of all lookups take more than {quantity(median, 's')}"
    absolute = found.summaries.get("dns_latency_absolute")
    if absolute is not None and "p50" in absolute.quantiles:
        least = absolute.quantiles["p50"].value
        said += f", with absolute names {quantity(least, 's')} ({factor(median / least)})"
    late = _late(found.cdfs["dns_latency"])
    return f"{said}; 1 in {count(round(1 / late))} waits for a lost answer" if late * written.n > _LEAST else said


def _late(cdf: Cdf) -> float:
    """Return the share of lookups that waited out a time-out; nothing else takes nearly as long."""
    defaults = load_defaults()
    timeout_s = defaults.value("dns.timeout") / defaults.value("dns.attempts")
    return float(1 - cdf.share[cdf.value < timeout_s].max(initial=0.0))


def picture(result: Result) -> Picture | None:
    """Draw the distributions and their tails; ``None`` where clients use no names."""
    found = _mode(result)
    if found is None:
        return None
    curves = {name: found.cdfs[name] for name in _CURVES if usable(found.cdfs.get(name))}
    sheet = Sheet("dns", headline(result), panels=2)
    body, tail = sheet.axes
    ends = [quantile for cdf in curves.values() if (quantile := float(cdf.value[cdf.share <= 0.99].max(initial=0))) > 0]
    time_axis(body, (_up_to(cdf, max(ends)) for cdf in curves.values()), [])
    share_axis(body, "share of lookups")
    body.set_xlabel("DNS latency (log scale)")
    time_axis(tail, curves.values(), [])
    most = max(found.summaries[name].n if name in found.summaries else 1 for name in curves) / _LEAST
    _tail_axes(tail, most)
    said = []
    for name, cdf in curves.items():
        words, color, dashes = _CURVES[name]
        line = draw_cdf(body, cdf, color, dashes)
        beyond = np.maximum(1 - cdf.share, 1 / (10 * most))
        tail.plot(cdf.value, beyond, color=color, linestyle=dashes, linewidth=1.8, drawstyle="steps-post")
        text = percentiles(found.summaries.get(name))
        sheet.key(line, f"{words}: {text}")
        said.append(f"{words}: {text}")
    return sheet.picture("; ".join(said), "Right: the slowest of the same lookups. The same in every mode.")


def _tail_axes(tail: Axes, most: float) -> None:
    """Shares as one in so many, up to ``most``; every other decade of a long time axis."""
    log_ticks(tail.yaxis, 1 / most, 1.3)
    decades = range(math.floor(math.log10(most)) + 1)
    tail.yaxis.set_major_locator(FixedLocator([10.0**-power for power in decades]))
    tail.yaxis.set_minor_locator(NullLocator())
    tail.yaxis.set_major_formatter(FuncFormatter(lambda share, _: _one_in(share)))
    times = tail.xaxis.get_majorticklocs()
    if len(times) > _MOST_TICKS:
        tail.xaxis.set_major_locator(FixedLocator(times[len(times) % 2 == 0 :: 2].tolist()))
    tail.set_xlabel("… of the lookups take longer than")


def _one_in(share: float) -> str:
    """Return a share as people say it: "1 in 10k"."""
    number = round(1 / share)
    return "all" if number == 1 else f"1 in {number // 1000}k" if number >= 1000 else f"1 in {number}"


def _up_to(cdf: Cdf, most_s: float) -> Cdf:
    inside = cdf.value <= most_s
    return Cdf(cdf.value[inside], cdf.share[inside])
