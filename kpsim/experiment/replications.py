"""An experiment: the same question asked several times under different draws, and answered with intervals.

Replications are independent and may run in parallel; each simulates all modes on the same draws.  Results do not
depend on how many jobs there are, because draws are keyed by replication, and sums are taken in its order.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from kpsim.cluster.columns import Cluster
from kpsim.experiment.answers.assembled import assemble
from kpsim.experiment.guard import check_size
from kpsim.experiment.observe import Observations, observe
from kpsim.experiment.result import Result
from kpsim.experiment.workers import Here, executing, finished, hands_of
from kpsim.measure.intervals import GROUPS
from kpsim.scenario.model import Scenario
from kpsim.scenario.reader import read
from kpsim.simulation import build_cluster, choose_engine, prepare, run_mode

Progress = Callable[[int, int], None]  # mode runs done, of how many


def run(
    path: str | Path,
    overrides: Sequence[tuple[str, str]] = (),
    *,
    jobs: int = 1,
    progress: Progress | None = None,
    most_bytes: float | None = None,
    most_s: float | None = None,
) -> Result:
    """Read a scenario (or a dump of Kubernetes objects) and run it.

    Raises
    ------
    InputError
        with everything that is wrong in the file.
    GuardError
        if it would take more memory than ``most_bytes``, or longer than ``most_s``.
    """
    return run_scenario(read(path, overrides), jobs=jobs, progress=progress, most_bytes=most_bytes, most_s=most_s)


def run_scenario(
    scenario: Scenario,
    *,
    jobs: int = 1,
    progress: Progress | None = None,
    most_bytes: float | None = None,
    most_s: float | None = None,
    executor: Executor | None = None,
) -> Result:
    """Run every replication under every mode and sum up; ``executor`` is used instead of ``jobs`` local processes.

    Interrupted after at least one replication, it sums up what there is and says ``complete=False``.
    """
    hands = hands_of(executor) if executor else jobs
    most = check_size(scenario, most_bytes, most_s, jobs=hands).processes
    engine, reason = choose_engine(scenario)
    cluster, warnings = build_cluster(scenario)  # here too, so that a scenario that cannot be built fails at once
    done: dict[int, list[Observations]] = {}
    numbers = range(scenario.run.replications)
    total = len(numbers) * len(scenario.modes)
    tell = progress or (lambda _done, _total: None)
    try:
        with executing(min(most, len(numbers)), executor) as chosen:
            _spread(
                scenario, engine, chosen, most, cluster, done, lambda count: tell(count * len(scenario.modes), total)
            )
    except KeyboardInterrupt:
        if not done:
            raise
    runs = {mode: [done[number][m] for number in sorted(done)] for m, mode in enumerate(scenario.modes)}
    result = assemble(scenario, cluster, runs, engine, reason, warnings)
    return replace(result, complete=len(done) == len(numbers))


def _spread(
    scenario: Scenario,
    engine: str,
    executor: Executor,
    most: int,
    cluster: Cluster,
    done: dict[int, list[Observations]],
    tell: Callable[[int], None],
) -> None:
    """Fill ``done`` through an executor, as replications come in."""
    numbers = range(scenario.run.replications)
    if isinstance(executor, Here):
        begun = finished({n: (scenario, n, engine, cluster) for n in numbers}, replicate, executor)
    else:
        packed = pickle.dumps(scenario)
        begun = finished({n: (packed, n, engine) for n in numbers}, replicate_packed, executor, most)
    with closing(begun) as answers:
        for number, future in answers:
            done[number] = future.result()
            tell(len(done))


def replicate_packed(packed: bytes, number: int, engine: str) -> list[Observations]:
    """Return one replication of a pickled scenario; another of the same in this process finds the cluster built."""
    scenario, cluster = unpacked(packed)
    return replicate(scenario, number, engine, cluster)


@lru_cache(maxsize=1)
def unpacked(packed: bytes) -> tuple[Scenario, Cluster]:
    """Return a pickled scenario and its cluster, kept until another is asked for."""
    scenario: Scenario = pickle.loads(packed)  # noqa: S301 - from the process that sends the task
    return scenario, build_cluster(scenario)[0]


def replicate(scenario: Scenario, number: int, engine: str, cluster: Cluster | None = None) -> list[Observations]:
    """Return one replication under all modes, in the scenario's order."""
    cluster = cluster or build_cluster(scenario)[0]
    batches = -(-GROUPS // scenario.run.replications)  # stretches of time beside the replications, if they are few
    replication = prepare(scenario, cluster, number)
    return [  # a mode's run is let go before the next one
        observe(replication, run_mode(replication, mode, engine), batches) for mode in scenario.modes
    ]
