"""Recorded runs against the model, judged quantity by quantity; a run's name ends in its client's limit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from kpsim.controlplane.params import ControllerManagerParams
from kpsim.controlplane.replay.recording import Recording, Row
from kpsim.controlplane.replay.rerun import Outcome, replay
from kpsim.profiles.defaults import Defaults

BURSTS = {20: 30}  # kube-controller-manager's own default; elsewhere as many as a second has
_FEW = 20  # retries are counted: so few of them say little about a share

_QUANTITIES: Mapping[str, tuple[float, Callable[[Outcome], float]]] = {
    "slice_writes": (0.15, lambda outcome: outcome.slice_writes),
    "endpoints_writes": (0.15, lambda outcome: outcome.endpoints_writes),
    "stale_syncs": (0.3, lambda outcome: outcome.stale_syncs),
    "share_of_writes_with_trigger": (0.15, lambda outcome: outcome.with_trigger),
    "latency_p50_s": (0.25, lambda outcome: outcome.percentile_s(50)),
    "latency_p90_s": (0.25, lambda outcome: outcome.percentile_s(90)),
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One quantity of one run, measured and predicted, and how far apart they may be (a share of what was measured)."""

    run: str
    quantity: str
    measured: float
    predicted: float
    tolerance: float
    disturbed: bool  # whoever recorded it says so

    @property
    def agrees(self) -> bool:
        """Return True if both are within the tolerance; of rare counts, within two standard deviations of a count."""
        allowed = self.tolerance * self.measured
        if self.quantity == "stale_syncs" and self.measured < _FEW:
            allowed = max(allowed, 2 * math.sqrt(max(self.measured, self.predicted, 1.0)))
        return abs(self.predicted - self.measured) <= allowed


def compare(summary: Row, recording: Recording, defaults: Defaults, seeds: int = 5) -> Iterator[Comparison]:
    """Replay a run ``seeds`` times, and set means against its row of what was measured."""
    run = summary["run"]
    qps = int(run.rsplit("_", 1)[1])
    manager = ControllerManagerParams(qps=qps, burst=BURSTS.get(qps, qps))
    outcomes = [replay(recording, manager, defaults, seed) for seed in range(seeds)]
    for quantity, (tolerance, of) in _QUANTITIES.items():
        if summary[quantity]:
            predicted = float(np.mean([of(outcome) for outcome in outcomes]))
            disturbed = "disturbed" in summary["what"]
            yield Comparison(run, quantity, float(summary[quantity]), predicted, tolerance, disturbed)
