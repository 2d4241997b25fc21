"""A fitted profile is written as a file that a scenario can name: the base with the coefficients that were moved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from kpsim.experiment.calibrating.fitting import Fitted
from kpsim.profiles.costs import CostProfile
from kpsim.profiles.format import SCALE

CALIBRATED, ALONG = "calibrated", "moved-along"


def document(base: CostProfile, family: str, fitted: Fitted, name: str, data: str) -> dict[str, Any]:
    """Return the profile as a document; ``data`` says what it was fitted to."""
    found: dict[str, Any] = base.text.model_dump(exclude_none=True, exclude_defaults=True)
    taken = f"taken from profile {base.name}, not measured here"
    found["name"] = name
    found["about"] = f"{data}; everything else is {base.name}'s: {base.about}"
    found["sources"] = {
        CALIBRATED: f"calibrated: {data}; fitted from profile {base.name}, intervals of 95 %",
        ALONG: f"calibrated together: {data}; the data tell the sum, in which this one keeps its part",
        **{key: says if key == "assumed" else f"{taken}; there: {says}" for key, says in base.sources.items()},
    }
    there = found["families"][family]
    for moved in fitted.coefficients:
        old = there[moved.name]
        triple = [float(f"{x / SCALE[old['unit']]:.4g}") for x in (moved.value, moved.low, moved.high)]
        which = "both" if "both" in old else "typical"
        there[moved.name] = {
            "unit": old["unit"],
            which: [triple[0], min(triple[:2]), max(triple[0], triple[2])],
            "source": CALIBRATED if moved.told else ALONG,
            **({"note": old["note"]} if "note" in old else {}),
            **({"measured_to": float(f"{moved.most:.4g}")} if moved.most > 1 else {}),
        }
    return found


def written(found: Mapping[str, Any], first_line: str) -> str:
    """Return a profile's document as YAML, a coefficient a line."""
    head = {key: found[key] for key in ("apiVersion", "kind", "name", "about", "sources")}
    lines = [
        f"# {' '.join(first_line.split())}",
        yaml.safe_dump(head, sort_keys=False, width=130, allow_unicode=True).rstrip(),
        "families:",
    ]
    for family, coefficients in found["families"].items():
        lines += [f"  {family}:", *(f"    {name}: {_flow(each)}" for name, each in coefficients.items())]
    for key in ("variation", "scatter"):
        if found.get(key):
            lines.append(yaml.safe_dump({key: found[key]}, sort_keys=True, width=130).rstrip())
    return "\n".join(lines) + "\n"


def _flow(coefficient: Mapping[str, Any]) -> str:
    return yaml.safe_dump(
        dict(coefficient), default_flow_style=True, sort_keys=False, width=10_000, allow_unicode=True
    ).strip()
