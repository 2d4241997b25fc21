"""A kept run is run again: from the scenario it resolved to, with the seed it had."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kpsim.errors import InputError, Place, Problem
from kpsim.experiment.kept.differences import Change, changes
from kpsim.experiment.kept.reading import KeptRun
from kpsim.experiment.replications import run_scenario
from kpsim.experiment.result import Result

VERSIONS = ("kpsim", "python", "numpy", "simpy", "pandas", "platform")
HASH = "scenario_sha256"


@dataclass(frozen=True, slots=True)
class Replayed:
    """A run's summary compared with the one that is kept: ``same`` bytes, or what differs; and the versions."""

    same: bool
    changes: tuple[Change, ...]  # of summary.json
    versions: tuple[Change, ...]
    edited: bool  # the scenario is not the one that was run


def run_again(kept: KeptRun, **how: Any) -> Result:
    """Return the result of running a kept scenario again; :func:`run_scenario` takes ``how``.

    Raises :class:`InputError` for a run that was not whole.
    """
    if kept.manifest.get("complete") is False:
        what, mend = (
            "is of a run that was interrupted, so nothing can equal it",
            "run the scenario again: kpsim run FILE",
        )
        raise InputError([Problem(Place(str(kept.place)), what=what, mend=mend)])
    return run_scenario(kept.scenario(), **how)


def compared(kept: KeptRun, result: Result, summary_text: str, summary: object) -> Replayed:
    """Return what differs between what is kept and a run of now, whose summary is given as text and as data."""
    mine = {name: kept.provenance.get(name) for name in VERSIONS}
    now = {name: result.provenance.get(name) for name in VERSIONS}
    same = kept.summary_text == summary_text
    differing = () if same else tuple(changes(dict(kept.summary), summary))
    edited = kept.provenance.get(HASH) != result.provenance.get(HASH)
    return Replayed(same, differing, tuple(changes(mine, now)), edited)
