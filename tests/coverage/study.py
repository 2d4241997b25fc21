"""How often a 95 % interval of programming latency holds the truth: the command behind ``make coverage``.

A scenario is run many times.  Each run alone, and each five together, give intervals as kpsim gives them; the truth is
what all runs together say.  An interval should hold it in 92 to 98 of 100 cases.  Takes minutes, so no test runs it.
"""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from kpsim.experiment.observing.observe import observe
from kpsim.experiment.workers import executing, finished
from kpsim.measure.intervals import GROUPS, Drawn, draw
from kpsim.measure.summary import Estimate
from kpsim.measure.tally import Tally
from kpsim.scenario.reader import read
from kpsim.simulation import build_cluster, prepare, run_mode

SCENARIO = Path(__file__).parent / "scenario.yaml"
MEASURE = "network_programming_true"
STATISTICS = ("p50", "p90", "p99", "mean")
TOGETHER = 5
AT_ONCE = 20  # sets of runs; bounds memory

Groups = list[Tally]
Found = dict[tuple[int, str], list[Estimate]]  # by runs an interval rests on, and what it is of


def tallies(number: int) -> dict[str, Groups]:
    """One run's latencies by mode and stretch of time."""
    scenario = read(SCENARIO)
    replication = prepare(scenario, build_cluster(scenario)[0], number)
    return {
        mode: observe(replication, run_mode(replication, mode, "batch"), GROUPS).tallies[MEASURE]
        for mode in scenario.modes
    }


def runs(first: int, last: int, jobs: int) -> Iterator[dict[str, Groups]]:
    """Runs in order."""
    tasks = {number: (number,) for number in range(first, last)}
    with executing(jobs) as executor, closing(finished(tasks, tallies, executor)) as answers:
        found = {number: future.result() for number, future in answers}
    yield from (found[number] for number in tasks)


def longer(groups: Groups) -> Groups:
    """The stretches that one of several replications is cut into."""
    return [Tally.pooled(groups[i : i + TOGETHER]) for i in range(0, len(groups), TOGETHER)]


def statistics(drawn: Mapping[str, Mapping[str, Drawn]]) -> Iterator[tuple[str, Estimate]]:
    """Every statistic of every mode, and every ratio to the first mode."""
    first = next(iter(drawn))
    for mode, found in drawn.items():
        for name in STATISTICS:
            yield f"{mode} {name}", found[name].estimate()
            if mode != first:
                yield f"{mode} / {first} {name}", found[name].over(drawn[first][name])


def study(seeds: int, jobs: int) -> tuple[Found, dict[str, Estimate]]:
    """All intervals, and the truth."""
    found: Found = defaultdict(list)
    whole: dict[str, Tally] = {}
    for begin in range(0, seeds, AT_ONCE):
        end = min(begin + AT_ONCE, seeds)
        seen = list(runs(begin * TOGETHER, end * TOGETHER, jobs))
        for i, one in enumerate(seen):
            add(found, 1, one)
            if i % TOGETHER == 0:
                five = {mode: [t for run in seen[i : i + TOGETHER] for t in longer(run[mode])] for mode in one}
                add(found, TOGETHER, five)
            for mode, groups in one.items():
                whole[mode] = Tally.pooled([*groups, whole[mode]] if mode in whole else groups)
        print(f"{end} of {seeds} seeds", flush=True)
    return found, dict(statistics({mode: draw([tally]) for mode, tally in whole.items()}))


def add(found: Found, together: int, groups: Mapping[str, Sequence[Tally]]) -> None:
    """Note the intervals of one experiment."""
    for name, interval in statistics({mode: draw(each) for mode, each in groups.items()}):
        found[together, name].append(interval)


def main() -> None:
    """Print a table: how often intervals held the truth, how often they lay beyond it, and how wide they were."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    found, truth = study(asked.seeds, asked.jobs)
    print("| of | truth | one run holds it | below, above | width | five runs hold it | below, above | width |")
    print("|---|---|---|---|---|---|---|---|")
    for name, true in truth.items():
        cells = []
        for together in (1, TOGETHER):
            ends = [(e.low, e.high, e.value) for e in found[together, name] if e.low is not None and e.high is not None]
            below, above = sum(high < true.value for _, high, _ in ends), sum(low > true.value for low, _, _ in ends)
            width = sum((high - low) / value for low, high, value in ends) / len(ends)
            cells += [f"{100 * (1 - (below + above) / len(ends)):.0f} %", f"{below}, {above}", f"{100 * width:.1f} %"]
        print(f"| {name} | {true.value:.3f} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
