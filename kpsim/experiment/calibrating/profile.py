"""A fitted profile is a document that a scenario can use: the base with the coefficients that were moved."""

from __future__ import annotations

from typing import Any

from kpsim.experiment.calibrating.fitting import Fitted
from kpsim.profiles.costs import CostProfile
from kpsim.profiles.format import SCALE

CALIBRATED, ALONG = "calibrated", "moved-along"


def document(base: CostProfile, family: str, fitted: Fitted, name: str, data: str) -> dict[str, Any]:
    """Return the profile as a document; ``data`` says what it was fitted to."""
    found: dict[str, Any] = base.text.document()
    found.pop("machine", None)  # of the base; which machine this is the data do not say
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
