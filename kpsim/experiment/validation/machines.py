"""Profiles are written from the tables that ship: ``python -m kpsim.experiment.validation.machines [FOLDER]``.

Each machine's own records are fitted first; what only the other machine's tables tell is then scaled by the ratio of
what both have, and the spread of those ratios widens its interval.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from copy import deepcopy
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from kpsim.calibration.records import CHURN, END_TO_END, Record, read_records
from kpsim.experiment.validation.fitting import event_costs as latency_costs
from kpsim.experiment.validation.fitting import explained, families, rendered, scatter_of_latencies
from kpsim.profiles.costs import CostProfile, load_profile
from kpsim.profiles.format import ProfileText, parse_yaml

RECORDS = resources.files("kpsim.calibration")
Families = dict[str, dict[str, Any]]


def shipped_records(names: list[str] | None = None) -> list[Record]:
    """Return the records of the tables that ship, or of some of them."""
    folder = Path(str(RECORDS)) / "records"
    files = [folder / name for name in names] if names else sorted(folder.glob("*.csv"))
    return [record for file in files for record in read_records(file)]


def machines() -> list[dict[str, Any]]:
    """Return the machines whose profiles are fitted here."""
    found: list[dict[str, Any]] = parse_yaml((RECORDS / "machines.yaml").read_text(encoding="utf-8"))
    return found


def _ratio(mine: Families, other: Families) -> tuple[float, float]:
    """Return the median ratio of coefficients that both machines have, and half a 95 % interval of its logarithm."""
    both = [
        np.log(mine[family][name][0] / other[family][name][0])
        for family in mine.keys() & other.keys()
        if "/rss" not in family
        for name in mine[family].keys() & other[family].keys()
        if mine[family][name][0] > 0 and other[family][name][0] > 0
    ]
    return float(np.exp(np.median(both))), float(np.quantile(np.abs(both - np.median(both)), 0.9))


def _moved(other: Families, mine: Families, ratio: float, wide: float) -> Families:
    """Return what ``mine`` has not, scaled; memory is no faster on another machine."""
    found: Families = {}
    for family, coefficients in other.items():
        still = family.endswith(("/rss_kb", "/bytes", "/process"))
        by, spread = (1.0, 1.0) if still else (ratio, float(np.exp(wide)))
        found[family] = {
            name: (by * value, by * low / spread, by * high * spread, most)
            for name, (value, low, high, most) in coefficients.items()
            if name not in mine.get(family, {})
        }
    return found


def _based(base: ProfileText, ratio: float, wide: float, source: str) -> Families:
    """Return another profile's families; scaled where ``source`` says so, as they are where it is empty."""
    found: Families = deepcopy(base.model_dump(exclude_none=True, exclude_defaults=True)["families"])
    found.setdefault("iptables-nft", {k: v for k, v in deepcopy(found["iptables-legacy"]).items() if "rule" not in k})
    for coefficient in [c for family in found.values() for c in family.values()] if source else []:
        for which in ("both", "quiet", "typical", "cold"):
            if which in coefficient:
                value, low, high = coefficient[which]
                spread = float(np.exp(wide))
                coefficient[which] = [float(f"{ratio * x:.4g}") for x in (value, low / spread, high * spread)]
        assumed = coefficient["source"].startswith("assumed")
        coefficient["source"] = "assumed" if assumed else source
    return found


def profiles() -> dict[str, dict[str, Any]]:
    """Return every machine's profile as a document, fitted anew."""
    listed = machines()
    records = {each["name"]: shipped_records(each["records"]) for each in listed}
    fitted = {name: families(explained(mine)) for name, mine in records.items()}
    return {each["name"]: _document(each, records[each["name"]], fitted) for each in listed}


def _document(machine: Mapping[str, Any], records: list[Record], fitted: Mapping[str, Any]) -> dict[str, Any]:
    mine, scatter = fitted[machine["name"]]
    document: dict[str, Any] = {
        "apiVersion": "kpsim/v1alpha1", "kind": "CostProfile", "name": machine["name"], "about": machine["about"],
        "sources": dict(machine["sources"]), "families": {}, "scatter": scatter,
    }  # fmt: skip
    if "base" in machine:
        base = load_profile(machine["base"]).text
        (other,) = (name for name in fitted if name.startswith("linux") and name != machine["name"])
        ratio, wide = _ratio(mine, fitted[other][0])
        document["sources"] |= base.sources
        document["families"] = _based(base, ratio, wide, machine["scaled"] if "packets" in machine else "")
        document["variation"] = base.variation
        rendered(_moved(fitted[other][0], mine, ratio, wide), machine["scaled"], document["families"])
        document["scatter"] = {mode: {**each, **scatter.get(mode, {})} for mode, each in fitted[other][1].items()} | {
            mode: {**fitted[other][1].get(mode, {}), **each} for mode, each in scatter.items()
        }
    rendered(mine, machine["source"], document["families"])
    running = [record for record in records if record.study in (CHURN, END_TO_END)]
    if running:
        rendered(latency_costs(running, _profile(document)), machine["source"], document["families"])
        for mode, each in scatter_of_latencies(running, _profile(document)).items():
            document["scatter"].setdefault(mode, {}).update(each)
    return document


def _profile(document: Mapping[str, Any]) -> CostProfile:
    text = ProfileText.model_validate(document)
    return CostProfile(text.name, text.about, text.sources, text)


def written(document: Mapping[str, Any], by: str = "`make profiles` from calibration/records") -> str:
    """Return the document as YAML, a coefficient a line; its first line says ``by`` what it was written."""
    keys = ("apiVersion", "kind", "name", "about", "machine", "sources")
    head = {key: document[key] for key in keys if key in document}
    lines = [f"# Written by {by}; triples are [value, low, high], a 95 % interval."]
    lines += [yaml.safe_dump(head, sort_keys=False, width=130, allow_unicode=True).rstrip(), "families:"]
    for family, coefficients in document["families"].items():
        lines += [f"  {family}:"]
        for name, coefficient in coefficients.items():
            flow = yaml.safe_dump(
                coefficient, default_flow_style=True, sort_keys=False, width=10_000, allow_unicode=True
            )
            lines += [f"    {name}: {flow.strip()}"]
    for key in ("variation", "scatter"):
        if document.get(key):
            lines += [yaml.safe_dump({key: document[key]}, sort_keys=True, width=130).rstrip()]
    return "\n".join(lines) + "\n"


def main(folder: Path) -> None:
    """Write every profile into ``folder``."""
    for name, document in profiles().items():
        (folder / f"{name}.yaml").write_text(written(document), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
