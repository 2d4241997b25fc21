"""A run directory is opened: its manifest, its summary, and the scenario that it answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kpsim.documents import load
from kpsim.errors import InputError, Place, Problem
from kpsim.scenario.kinds import MANIFEST
from kpsim.scenario.model import Scenario
from kpsim.scenario.reader import read

SUMMARY, RESOLVED = "summary.json", "scenario.resolved.yaml"


@dataclass(frozen=True, slots=True)
class KeptRun:
    """One run as its directory holds it."""

    place: Path
    manifest: Mapping[str, Any]
    summary: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Return the scenario's name."""
        return str(self.manifest.get("name") or self.place.name)

    @property
    def provenance(self) -> Mapping[str, str]:
        """Return versions, profile, seed and hash of the run."""
        found = self.manifest.get("provenance")
        return found if isinstance(found, dict) else {}

    @property
    def summary_text(self) -> str:
        """Return ``summary.json`` as it lies there."""
        return _text(self.place / SUMMARY)

    def scenario(self) -> Scenario:
        """Return the scenario, with what was warned of when its own files were read.

        Raises :class:`InputError` if the directory does not hold it.
        """
        path = self.place / RESOLVED
        if not path.is_file():
            what = f"holds no {RESOLVED}, so what was run is not known"
            raise InputError(
                [Problem(Place(str(self.place)), what=what, mend="run the scenario again: kpsim run FILE")]
            )
        scenario = read(path)
        said = self.manifest.get("warnings")
        return replace(scenario, warnings=tuple(map(str, said))) if isinstance(said, list) else scenario

    def settings(self) -> dict[str, Any]:
        """Return the document of the scenario; empty where the directory does not hold it.

        Raises :class:`InputError` where it is not YAML.
        """
        path = self.place / RESOLVED
        found = load(_text(path), str(path))[0].data if path.is_file() else {}
        return found if isinstance(found, dict) else {}


def open_run(place: Path) -> KeptRun:
    """Return what a run directory holds.  Raises :class:`InputError` if it is none, or a sweep's."""
    if not place.exists():
        raise _refused(place, "there is no such directory", "kpsim run FILE says where it writes one")
    if not place.is_dir() or not (place / MANIFEST).is_file():
        raise _refused(place, "is not the directory of a run", "name one that kpsim run FILE has written")
    manifest = _json(place / MANIFEST)
    if not str(manifest.get("apiVersion")).startswith("kpsim/"):
        raise _refused(place, f"has a {MANIFEST} that is not kpsim's", "name a directory that kpsim run has written")
    if manifest.get("kind") != "Run":
        kind = str(manifest.get("kind"))[:40]
        raise _refused(place, f"holds a {kind}, not one run", "its table is sweep.csv; kpsim sweep goes on with it")
    return KeptRun(place, manifest, _json(place / SUMMARY))


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise _refused(path, f"is not JSON: {error}", "run the scenario again") from None
    if not isinstance(found, dict):
        raise _refused(path, "does not hold a mapping", "run the scenario again")
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror or "") if isinstance(error, OSError) else "it is not UTF-8"
        raise _refused(path, f"cannot be read: {why.lower()}", "run the scenario again") from None


def _refused(path: Path, what: str, mend: str) -> InputError:
    return InputError([Problem(Place(str(path)), what=what, mend=mend)])
