"""A scenario run anew against what is kept of it in ``results/``: to the bit, or to 12 digits on another platform."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Iterator
from importlib.metadata import version
from io import StringIO
from pathlib import Path

import pandas as pd

from kpsim.experiment.replications import run
from kpsim.experiment.sweeps import sweep
from kpsim.report.tables import summary_document
from kpsim.scenario.kinds import identify

ROOT = Path(__file__).parents[2]
SCENARIOS = sorted((ROOT / "scenarios").glob("*.yaml"))
LARGE = {"10k-services", "cl2-load-5000", "huge-service", "iptables-cliff"}  # half a minute or more each

_PLATFORM = ("numpy", "simpy", "pandas", "platform")  # of these the last bits may depend
_ABSENT = object()


def differences(path: Path) -> list[str]:
    """Everything in which a run of the scenario at ``path`` differs from its curated result."""
    kept = ROOT / "results" / path.stem
    manifest = json.loads((ROOT / "results" / "hello" / "manifest.json").read_text(encoding="utf-8"))
    same = same_platform(manifest)
    if identify([path]).is_sweep:
        text = StringIO(sweep(path).to_csv(index=False))
        old, new = (pd.read_csv(table).to_dict("list") for table in (kept / "sweep.csv", text))
        return unlike(old, new, same_platform=same)
    old = json.loads((kept / "summary.json").read_text(encoding="utf-8"))
    new = json.loads(json.dumps(summary_document(run(path)), allow_nan=False))
    for document in (old, new):
        for name in ("python", *(() if same else _PLATFORM)):
            document["provenance"].pop(name, None)
    return unlike(old, new, same_platform=same)


def same_platform(manifest: dict[str, dict[str, object]]) -> bool:
    """Return True if results with this manifest come from a platform like this one."""
    here = {name: version(name) for name in _PLATFORM[:-1]} | {"platform": f"{platform.system()} {platform.machine()}"}
    return all(manifest["provenance"][name] == here[name] for name in _PLATFORM)


def unlike(kept: object, found: object, *, same_platform: bool) -> list[str]:
    """Where two documents differ, a line each."""
    old, new = dict(_leaves(kept)), dict(_leaves(found))
    return [
        f"{key}: kept {old.get(key, 'nothing')}, found {new.get(key, 'nothing')}"
        for key in old | new
        if not _alike(old.get(key, _ABSENT), new.get(key, _ABSENT), same_platform)
    ]


def _alike(old: object, new: object, same_platform: bool) -> bool:
    if not isinstance(old, float) or not isinstance(new, float):
        return old == new
    if old == new or (math.isnan(old) and math.isnan(new)):
        return True
    return not same_platform and math.isclose(old, new, rel_tol=1e-12, abs_tol=1e-15)  # [s]: a millionth of a ns


def _leaves(document: object, key: str = "") -> Iterator[tuple[str, object]]:
    if not isinstance(document, dict | list):
        yield key, document
        return
    for name, part in document.items() if isinstance(document, dict) else enumerate(document):
        yield from _leaves(part, f"{key}.{name}" if key else str(name))
