"""A run's summary as OpenMetrics text, so that it can be drawn beside what a cluster's Prometheus has.

Measures are summaries with their quantiles, labelled by mode; rates and limits are gauges.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kpsim.scrape import Family, Sample

PREFIX = "kpsim_"
UNITS = {"s": "seconds", "B": "bytes"}
_LONG = (("_bytes_per_s", "_bytes_per_second"), ("_per_s", "_per_second"), ("_s", "_seconds"))


def families_of(summary: Mapping[str, Any]) -> Iterator[Family]:
    """Yield the families of a summary document."""
    modes: Mapping[str, Any] = summary["modes"]
    for measure in dict.fromkeys(name for found in modes.values() for name in found["summaries"]):
        have = {mode: found["summaries"][measure] for mode, found in modes.items() if measure in found["summaries"]}
        unit = next(iter(have.values()))["unit"]
        name = f"{PREFIX}{measure}" + (f"_{UNITS[unit]}" if unit in UNITS else "")
        samples = tuple(sample for mode, found in have.items() for sample in _samples(mode, found))
        if samples:
            yield Family(name, "summary", f"{measure.replace('_', ' ')} in the simulated run", samples)
    for rate in dict.fromkeys(name for found in modes.values() for name in found["rates"]):
        values = {mode: found["rates"].get(rate) for mode, found in modes.items()}
        yield from _gauge(_long(rate), {(("mode", m),): v["value"] for m, v in values.items() if v})
    limits = [(limit["name"], limit) for limit in summary.get("limits", ())]
    for part in ("used", "limit"):
        name = "limit_used" if part == "used" else "limit"
        yield from _gauge(name, {(("limit", label),): limit[part] for label, limit in limits})


def _samples(mode: str, found: Mapping[str, Any]) -> Iterator[Sample]:
    if not found["n"]:
        return
    for quantile, each in found["quantiles"].items():
        if each and each["value"] is not None:
            share = f"{float(quantile.removeprefix('p')) / 100:g}"
            yield Sample("", {"mode": mode, "quantile": share}, float(each["value"]))
    if found["mean"] and found["mean"]["value"] is not None:
        yield Sample("_sum", {"mode": mode}, float(found["mean"]["value"]) * found["n"])
    yield Sample("_count", {"mode": mode}, int(found["n"]))


def _gauge(name: str, values: Mapping[tuple[tuple[str, str], ...], Any]) -> Iterator[Family]:
    samples = tuple(
        Sample("", dict(labels), float(value)) for labels, value in values.items() if isinstance(value, int | float)
    )
    if samples:
        yield Family(f"{PREFIX}{name}", "gauge", f"{name.replace('_', ' ')} in the simulated run", samples)


def _long(rate: str) -> str:
    for short, long in _LONG:
        if rate.endswith(short):
            return rate.removesuffix(short) + long
    return rate
