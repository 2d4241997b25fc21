"""Logs or metrics are answered: first a comparison in one sentence, then the fit, then what the data cannot tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kpsim.calibration.readings import Observed
from kpsim.errors import InputError, Place, Problem
from kpsim.experiment.calibrating.comparing import Comparison, compared, spread_of_a_sync
from kpsim.experiment.calibrating.fitting import Fitted, fitted
from kpsim.experiment.calibrating.growing import Growth, grown
from kpsim.experiment.calibrating.observed import Cluster, Hints, cluster_of, observe
from kpsim.experiment.calibrating.pricing import FIRST, FULL, PARTIAL, Priced, priced
from kpsim.experiment.calibrating.profile import document
from kpsim.profiles.costs import CostProfile, load_profile


@dataclass(frozen=True, slots=True)
class Answer:
    """A kube-proxy's own records against a profile."""

    base: CostProfile
    cluster: Cluster
    observed: tuple[Observed, ...]
    comparisons: tuple[Comparison, ...]
    growth: tuple[Growth, ...]
    fitted: Fitted
    cannot: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def data(self) -> str:
        """Return what was fitted to, in words."""
        kinds = ", ".join(f"{each.syncs:,} {each.kind}" for each in self.comparisons)
        files = " and ".join(
            " ".join(Path(name).name.split()) for each in self.observed for name in each.file.split(" and ")
        )
        return f"syncs of a running kube-proxy ({kinds}; {self.observed[0].kind}: {files})"

    def profile(self, name: str) -> dict[str, Any]:
        """Return the fitted profile as a document."""
        return document(self.base, self.cluster.family, self.fitted, name, self.data)


def answer(paths: Sequence[Path], hints: Hints, base: str) -> Answer:
    """Return what logs, or two scrapes of metrics, say of a profile.  Raises :class:`InputError`."""
    profile = load_profile(base)
    observed = observe(paths, hints)
    cluster = cluster_of(observed, hints)
    readings = [reading for each in observed for reading in each.readings]
    try:
        syncs, left_out = priced(readings, cluster, hints, profile)
    except KeyError as error:
        what = f"profile {base} has no {error.args[0]} of {cluster.family}, which its syncs pay"
        raise InputError([Problem(Place(), key="--base", what=what)]) from None
    if not syncs:
        what = f"nothing can be compared: {'; '.join(left_out)}"
        raise InputError([Problem(Place(observed[0].file.partition(" and ")[0], 1, 1), what=what)])
    comparisons = compared(syncs, profile, cluster.family)
    found = fitted(syncs, profile, cluster.family, spread_of_a_sync(profile, cluster.family))
    notes = [*cluster.said, *(note for each in observed for note in each.notes), *left_out]
    growth = tuple(grown(syncs))
    return Answer(
        profile,
        cluster,
        tuple(observed),
        tuple(comparisons),
        growth,
        found,
        tuple(_cannot(observed, syncs, found, growth)),
        tuple(notes),
    )


def _cannot(
    observed: Sequence[Observed], syncs: Sequence[Priced], found: Fitted, growth: Sequence[Growth]
) -> Iterator[str]:
    """Yield the things that the data do not tell, and why."""
    kinds = {each.kind for each in syncs}
    metrics = observed[0].kind == "metrics"
    where = "the metrics have one duration a sync" if metrics else "the log has one duration a sync"
    yield f"kube-proxy's own Go time apart from that of the processes it runs: {where}"
    cpu = [each.go_cpu_s for each in observed if each.go_cpu_s is not None]
    if cpu:
        number = sum(reading.times for each in observed for reading in each.readings)
        yield (
            f"CPU time of a sync: kube-proxy's own process used {1e3 * sum(cpu) / number:.3g} ms for each, with events "
            "decoded, garbage collected and whatever else it does; its children are not in it"
        )
    else:
        yield "CPU time: durations are wall time, with whatever else ran on the node"
    if not growth:
        yield (
            "how time grows with the rules: that takes three sizes, the most rules half as many again as the fewest; "
            "so the fixed part and that of a rule keep the proportion they have in the base"
        )
    if FULL not in kinds:
        rest = (
            "first syncs stand for them"
            if found.first_as_full
            else "they keep the base's costs where they have their own"
        )
        yield f"full syncs: none is in it; {rest}"
    if PARTIAL not in kinds:
        yield "partial syncs: none is in it; they keep the base's costs where they have their own"
    if FIRST in kinds:
        yield "first syncs: whether tables were empty is not said; they are priced as full ones over the same rules"
    if metrics and PARTIAL in kinds:
        yield "how much each partial sync changed: only the last one's rules are there, so one Service is taken"
    yield "packets, connections, conntrack's clean-up and memory: nothing of them is in it"
