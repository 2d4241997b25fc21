"""How often the 95 % interval of ``kpsim limit`` holds the true crossing, over a hundred seeds: part of ``make soak``.

The truth is a fine sweep: many replications at each of a few values around the crossing, all pooled, and a line between
the two neighbours of the bound, both axes logarithmic.  Takes minutes, so CI runs a short form.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Iterator
from concurrent.futures import Executor
from itertools import pairwise
from pathlib import Path

from kpsim.experiment.searches.axis import Axis
from kpsim.experiment.searches.limit import limit
from kpsim.experiment.searches.probing import Prober, lighter
from kpsim.experiment.searches.quantity import Objective
from kpsim.experiment.workers import executing
from kpsim.measure.summary import Estimate
from kpsim.scenario.kinds import identify

SCENARIO = Path(__file__).parent / "limit.yaml"
AXIS = "services"
FINE = (9_000.0, 9_500.0, 10_000.0, 10_500.0)
TRUTH_SEED = 1_000_000  # not one of those searched with
NEEDED = 0.9  # of the intervals must hold the truth


def true_crossing(replications: int, executor: Executor) -> float:
    """Return the crossing that a fine sweep finds."""
    pairs = [("run.seed", str(TRUTH_SEED)), ("run.replications", str(replications))]
    axis = Axis.of(identify([SCENARIO]), AXIS, pairs)
    (threshold,) = axis.base.thresholds
    objective = Objective.of(threshold)
    prober = Prober(axis, (objective.quantity,), lighter(axis.base, pairs, (objective.quantity,)), executor=executor)
    found = {}
    for value, (probe,) in zip(FINE, prober.at(FINE, axis.base.modes), strict=True):
        drawn = probe.drawn[objective.quantity]
        assert drawn is not None
        found[value] = math.log(drawn.value / objective.bound)
    for (below, low), (above, high) in pairwise(found.items()):
        if low < 0 <= high:
            return float(below * (above / below) ** (-low / (high - low)))
    raise AssertionError(f"no crossing among {found}")


def intervals(seeds: range, executor: Executor) -> Iterator[Estimate]:
    """Yield what a search finds with each seed."""
    for seed in seeds:
        found = limit(identify([SCENARIO]), AXIS, [("run.seed", str(seed))], executor=executor)
        (mode,) = found.modes
        assert mode.largest is not None
        yield mode.largest


def holds(interval: Estimate, truth: float) -> bool:
    """Return True if an interval holds the truth."""
    return interval.low is not None and interval.high is not None and interval.low <= truth <= interval.high


def main() -> None:
    """Print each miss and the share of intervals that hold the truth; end in 1 if they are too few."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--truth", type=int, default=200, help="replications at each value of the fine sweep")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    with executing(asked.jobs) as executor:
        truth = true_crossing(asked.truth, executor)
        print(f"the true crossing is {truth:,.0f}", flush=True)
        held, widths = 0, 0.0
        for seed, found in enumerate(intervals(range(1, asked.seeds + 1), executor), 1):
            held += holds(found, truth)
            widths += ((found.high or math.inf) - (found.low or 0.0)) / found.value
            if not holds(found, truth):
                print(f"seed {seed}: {found.value:,.0f} [{found.low:,.0f}, {found.high:,.0f}] misses it", flush=True)
            if seed % 10 == 0:
                print(f"{held} of {seed} hold it", flush=True)
    print(f"{held} of {asked.seeds} intervals hold it; they are {widths / asked.seeds:.1%} wide")
    raise SystemExit(held < NEEDED * asked.seeds)


if __name__ == "__main__":
    main()
