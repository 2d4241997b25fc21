"""Profiles are written from the tables that ship: ``python -m kpsim.experiment.validation.machines [FOLDER]``.

Each machine's own records are fitted first; what only the other machine's tables tell is then scaled by the ratio of
what both have, and the spread of those ratios widens its interval.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from copy import deepcopy
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from kpsim.calibration.records import CHURN, END_TO_END, KERNEL, Record, read_records
from kpsim.experiment.validation.fitting import event_costs as latency_costs
from kpsim.experiment.validation.fitting import explained, families, rendered, scatter_of_latencies, without_events
from kpsim.experiment.validation.prediction import COMMANDS, KUBE_PROXY, priced
from kpsim.experiment.validation.setups import TICK_S, question
from kpsim.experiment.validation.whole import completed, with_events
from kpsim.profiles.costs import CostProfile
from kpsim.profiles.format import ProfileText, read_yaml
from kpsim.profiles.shipped import parse_yaml

RECORDS = resources.files("kpsim.calibration")
Families = dict[str, dict[str, Any]]
CLOCKS = (".wall", ".user", ".sys")
CPU_CLOCKS = (".user", ".sys")
LEGIBLE_S = 5 * TICK_S  # less is told by a few ticks of the clock
SCALING = """\
# Written by `make profiles`: how far off commands of linux-6.18-zen5 are if linux-6.18-zen3 prices them, times one
# factor for all. half_width: of the logarithm, holds 95 % of the rows; nft's are wide because its commands wait, which
# no processor hastens. others: families not measured on both machines. spec.profile.scale widens intervals by this.
"""


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


def cpu_ratio(mine: list[Record], other: list[Record]) -> tuple[float, float]:
    """Return how many times the CPU one machine takes for the same commands, and half a 95 % interval (logarithm).

    Whole commands tell it better than coefficients, which share a command's time otherwise on each machine.
    """
    found = [{_set_up(r): r.measured for r in each if r.quantity.endswith(CPU_CLOCKS)} for each in (mine, other)]
    both = np.log([
        found[0][key] / found[1][key] for key in sorted(found[0].keys() & found[1].keys())
        if min(found[0][key], found[1][key]) >= LEGIBLE_S
    ])  # fmt: skip
    return float(np.exp(np.median(both))), float(np.quantile(np.abs(both - np.median(both)), 0.95))


def _set_up(record: Record) -> tuple[str, ...]:
    return record.mode, record.quantity, *(record.setup.get(key, "") for key in ("services", "endpoints"))


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
    found: Families = deepcopy(base.document()["families"])
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


def profiles(left_out: Callable[[Record], bool] = lambda _: False) -> dict[str, dict[str, Any]]:
    """Return every machine's profile as a document, fitted anew, on all records but those ``left_out``."""
    listed = machines()
    records = {each["name"]: [r for r in shipped_records(each["records"]) if not left_out(r)] for each in listed}
    fitted = {name: families(explained(mine)) for name, mine in records.items()}
    found = {each["name"]: _document(each, records[each["name"]], fitted) for each in listed}
    for each in listed:
        if "base" in each:
            (other,) = (name for name in fitted if name.startswith("linux") and name != each["name"])
            ratio = cpu_ratio(records[each["name"]], records[other])
            with_events(found[each["name"]]["families"], found[other]["families"], ratio, each["scaled"])
    return found


def _document(machine: Mapping[str, Any], records: list[Record], fitted: Mapping[str, Any]) -> dict[str, Any]:
    mine, scatter = fitted[machine["name"]]
    document: dict[str, Any] = {
        "apiVersion": "kpsim/v1alpha1", "kind": "CostProfile", "name": machine["name"], "about": machine["about"],
        "machine": dict(machine["machine"]), "sources": dict(machine["sources"]), "families": {}, "scatter": scatter,
    }  # fmt: skip
    if "base" in machine:
        base = read_yaml(Path(str(RECORDS)) / machine["base"])
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
    if "base" in machine:
        completed(document["families"])
    running = [record for record in records if record.study in (CHURN, END_TO_END)]
    if running:
        bare = without_events(running, _profile(document))
        rendered(latency_costs(bare), machine["source"], document["families"])
        for mode, each in scatter_of_latencies(bare).items():
            document["scatter"].setdefault(mode, {}).update(each)
    return document


def _profile(document: Mapping[str, Any]) -> CostProfile:
    text = ProfileText.of(document)
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


def scaling(mine: CostProfile, name: str) -> dict[str, dict[str, float]]:
    """Return what it costs to price machine ``name`` with another's profile times one factor, by family.

    ``half_width`` holds 95 % of the commands, user, system and wall time alike, around the factor of them all.
    """
    (machine,) = (each for each in machines() if each["name"] == name)
    off: dict[str, list[float]] = {}
    for record in shipped_records(machine["records"]):
        if record.study == KERNEL and record.quantity.endswith(CLOCKS) and record.measured > 0:
            asked = question(record)
            guess = priced(asked, mine)
            if guess > 0:
                off.setdefault(record.mode, []).append(float(np.log(record.measured * asked.scale / guess)))
    middle = float(np.median(np.concatenate([*off.values()])))
    found = {family: np.abs(np.array(each) - middle) for family, each in off.items()}
    found["others"] = np.concatenate([*found.values()])
    return {
        family: {"half_width": round(float(np.quantile(each, 0.95)), 3), "rows": len(each)}
        for family, each in found.items()
    } | {"all": {"factor": round(float(np.exp(middle)), 3)}}


def main(folder: Path, left_out: Callable[[Record], bool] = lambda _: False) -> None:
    """Write every profile into ``folder``, fitted on all records but those ``left_out``, and what scaling one costs."""
    found = profiles(left_out)
    for name, document in found.items():
        (folder / f"{name}.yaml").write_text(written(document), encoding="utf-8")
    measured = scaling(_profile(found[COMMANDS]), KUBE_PROXY)
    (folder / "scaling.yaml").write_text(SCALING + yaml.safe_dump(measured, sort_keys=True), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
