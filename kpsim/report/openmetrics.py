"""Metrics as OpenMetrics text, as ``GET /metrics`` gives it to those who ask for that format.

Source: the OpenMetrics specification 1.0.  Floats have a point or an exponent, counts of a histogram have none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from kpsim.scrape import Family

ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def openmetrics(families: Iterable[Family]) -> Iterator[str]:
    """Yield the text line by line, with the ``# EOF`` that says it is whole."""
    for family in families:
        yield f"# HELP {family.name} {family.help.translate(ESCAPES)}"
        yield f"# TYPE {family.name} {family.type}"
        for sample in family.samples:
            yield f"{family.name}{sample.suffix}{_labels(sample.labels)} {sample.value!r}"
    yield "# EOF"


def _labels(labels: Mapping[str, str]) -> str:
    inside = ",".join(f'{name}="{value.translate(ESCAPES)}"' for name, value in labels.items())
    return f"{{{inside}}}" if inside else ""
